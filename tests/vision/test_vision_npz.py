"""The user's own .npz: accepted forms, and errors that name array and expected shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiltyard import Data, Files, MissingFile
from tiltyard_vision.datasets.npz import Npz

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 10), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def _load(folder: Path, **changed: Any) -> Data:
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:3], "y_test": LABELS[:3], **changed}
    np.savez(folder / "own.npz", **{name: array for name, array in arrays.items() if array is not None})
    return Npz(file="own.npz")(Files((folder,)))


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1)], ids=["NCHW", "NHWC"])
def test_both_orders_of_the_axes_give_the_same_images(tmp_path: Path, axes: tuple[int, ...]) -> None:
    turned = IMAGES.transpose(axes)
    data = _load(tmp_path, x_train=turned, x_test=turned[:3])
    assert np.array_equal(data.train.images.numpy(), IMAGES)
    assert data.classes == ("0", "1", "2")


def test_grey_images_get_a_channel_axis(tmp_path: Path) -> None:
    assert _load(tmp_path, x_train=IMAGES[:, 0], x_test=IMAGES[:3, 0]).shape == (1, 8, 10)


def test_class_names_travel_with_the_file(tmp_path: Path) -> None:
    names = ("cat", "dog", "frog", "a class without images")
    assert _load(tmp_path, class_names=np.array(names)).classes == names


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None}, "lacks the array x_test; it holds x_train, y_train, y_test"),
        ({"x_train": IMAGES / 255}, r"x_train must be uint8 .*, not float64 \(6, 3, 8, 10\)"),
        ({"x_train": IMAGES[0, 0]}, r"x_train must be uint8 \(N, H, W\).* not uint8 \(8, 10\)"),
        ({"x_train": IMAGES[:, :2]}, r"x_train .* which axis of \(6, 2, 8, 10\)"),
        ({"x_train": IMAGES[:, :, :, :3]}, r"x_train .* which axis of \(6, 3, 8, 3\)"),
        ({"y_train": LABELS[:4]}, r"y_train must be whole numbers \(6,\).*\(4,\)"),
        ({"y_test": np.eye(3)}, r"y_test must be whole numbers \(3,\).*float64 \(3, 3\)"),
        ({"y_train": LABELS - 1}, "train labels must lie in 0..2"),
        ({"class_names": np.array(["a", "b"])}, r"class_names must be text \(K,\), K at least 3"),
        ({"y_train": np.array([0, None], dtype=object)}, "not an .npz file of plain arrays"),
        ({"x_test": IMAGES[:3, :1]}, "training and test images differ in shape"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _load(tmp_path, **changed)
    assert "own.npz" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"own\.npz is not an \.npz file"):
        Npz(file="own.npz")(Files((tmp_path,)))


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "own.npz").open("wb") as stream:
        np.save(stream, IMAGES)
    with pytest.raises(ValueError, match="it holds one array"):
        Npz(file="own.npz")(Files((tmp_path,)))


def test_an_absent_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"own\.npz"):
        Npz(file="own.npz")(Files((tmp_path,)))
