"""Folders of images: layouts, pixels, and the cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiltyard import Data, Files, MissingFile
from tiltyard_vision.datasets import image_folder
from tiltyard_vision.datasets.image_folder import ImageFolder, central_square


def _picture(path: Path, colour: tuple[int, int, int] = (0, 0, 0), size: tuple[int, int] = (20, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def _load(folder: Path, **keys: object) -> Data:
    return ImageFolder(folder=folder.name, size=8, **keys)(Files((folder.parent,)))  # type: ignore[arg-type]


@pytest.mark.parametrize("held", ["test", "val"])
def test_train_and_held_out_folders_are_the_splits(tmp_path: Path, held: str) -> None:
    for number in range(3):
        _picture(tmp_path / "own" / "train" / "b" / f"{number}.png", (10, 20, 30))
        _picture(tmp_path / "own" / "train" / "a" / "deeper" / f"{number}.jpeg")
    _picture(tmp_path / "own" / held / "b" / "0.bmp", (40, 50, 60))
    (tmp_path / "own" / "train" / "a" / "._0.jpeg").write_text("what a Mac leaves behind")
    data = _load(tmp_path / "own")
    assert (len(data.train), len(data.test), data.classes) == (6, 1, ("a", "b"))
    assert data.test.labels.tolist() == [1]
    assert data.test.images[0, :, 0, 0].tolist() == [40, 50, 60]
    assert data.train.images[data.train.labels == 1][0, :, 4, 4].tolist() == [10, 20, 30]


def test_class_folders_alone_are_divided_class_by_class(tmp_path: Path) -> None:
    for name, count in (("cane", 10), ("gatto", 20)):
        for number in range(count):
            _picture(tmp_path / "own" / name / f"{number}.png", (number, count, 0))
    data = _load(tmp_path / "own", test_fraction=0.3)
    assert data.test.labels.bincount().tolist() == [3, 6]
    seen = {tuple(image[:, 0, 0].tolist()) for split in (data.train, data.test) for image in split.images}
    assert len(seen) == 30
    assert _load(tmp_path / "own", test_fraction=0.3).test.sha256() == data.test.sha256()
    assert _load(tmp_path / "own", test_fraction=0.3, seed=1).test.sha256() != data.test.sha256()


def test_tiny_imagenet_layout_with_its_annotations(real: Callable[[str], Path]) -> None:
    root = real("tiny-imagenet-subset")
    data = ImageFolder(folder=root.name, size=64)(Files((root.parent,)))
    assert (len(data.train), len(data.test), len(data.classes)) == (2000, 1000, 20)
    assert data.train.labels.bincount().tolist() == [100] * 20
    assert data.classes[0] == "goldfish"
    wnids = sorted(path.name for path in (root / "train").iterdir())
    lines = (root / "val" / "val_annotations.txt").read_text().splitlines()
    stored = {image.numpy().tobytes(): int(y) for image, y in zip(data.test.images, data.test.labels, strict=True)}
    for line in lines[:50]:
        name, wnid = line.split("\t")[:2]
        pixels = np.asarray(Image.open(root / "val" / "images" / name).convert("RGB")).transpose(2, 0, 1)
        assert stored[pixels.tobytes()] == wnids.index(wnid)


def test_photographs_are_resized_and_cropped_as_torchvision_does_it(real: Callable[[str], Path]) -> None:
    from torchvision.transforms import CenterCrop, Compose, Resize

    paths = sorted(real("food101-subset/test").rglob("*.jpg"))[:12]
    transform = Compose([Resize(72), CenterCrop(64)])
    for path in paths:
        expected = np.asarray(transform(Image.open(path).convert("RGB"))).transpose(2, 0, 1)
        assert np.array_equal(central_square(path, 72, 64), expected)


def test_photographs_of_three_classes_in_two_folders(real_files: Callable[[str], Files]) -> None:
    data = ImageFolder(folder="food101-subset", size=32)(real_files("food101-subset"))
    assert (len(data.train), len(data.test), data.shape) == (225, 75, (3, 32, 32))
    assert data.classes == ("pizza", "steak", "sushi")
    assert len(data.test.labels[:20].unique()) == 3


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two classes of ten pictures each."""
    for number in range(20):
        _picture(tmp_path / "own" / "ab"[number % 2] / f"{number}.png", (number, 0, 0))
    return tmp_path / "own"


def test_second_load_decodes_nothing(own: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _load(own).train.sha256()
    monkeypatch.setattr(image_folder, "central_square", None)
    again = _load(own)
    assert again.train.sha256() == first
    assert len(list((cache / "images").iterdir())) == 1


def test_writing_to_loaded_images_does_not_reach_the_cache(own: Path) -> None:
    data = _load(own)
    digest = data.train.sha256()
    data.train.images.zero_()
    assert _load(own).train.sha256() == digest


def test_changed_files_and_keys_are_decoded_anew(own: Path, cache: Path) -> None:
    before = _load(own).train.sha256()
    _load(own, resize=9)
    _picture(own / "a" / "0.png", (200, 0, 0))
    os.utime(own / "a" / "0.png", (1, 1))
    assert _load(own, test_fraction=0.05).train.sha256() != before
    assert len(list((cache / "images").iterdir())) == 3


def test_a_damaged_image_is_named_and_leaves_no_half_cache(own: Path, cache: Path) -> None:
    (own / "b" / "7.png").write_bytes((own / "b" / "7.png").read_bytes()[:45])
    with pytest.raises(ValueError, match=r"7\.png cannot be read as an image"):
        _load(own)
    assert not list((cache / "images").iterdir())


def test_a_cache_that_cannot_be_written_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILTYARD_CACHE", str(own / "a" / "0.png"))
    with pytest.raises(ValueError, match=r"cannot be kept in .*\$TILTYARD_CACHE"):
        _load(own)


def test_folders_at_fault_are_named(tmp_path: Path) -> None:
    root = tmp_path / "own"
    with pytest.raises(MissingFile, match="own"):
        _load(root)
    root.mkdir()
    with pytest.raises(ValueError, match="own has no class folders"):
        _load(root)
    (root / "a").mkdir()
    with pytest.raises(ValueError, match="a has no images"):
        _load(root)
    _picture(root / "Train" / "a" / "0.png")
    with pytest.raises(ValueError, match="is the folder Train a class or a part"):
        _load(root)
    _picture(root / "train" / "a" / "0.png")
    with pytest.raises(ValueError, match="none of test, val"):
        _load(root)
    _picture(root / "test" / "zebra" / "0.png")
    with pytest.raises(ValueError, match="zebra is of a class that the training images lack: a"):
        _load(root)


def test_a_wrong_annotation_is_named_by_its_line(tmp_path: Path) -> None:
    root = tmp_path / "own"
    _picture(root / "train" / "n1" / "images" / "0.JPEG")
    _picture(root / "val" / "images" / "v.JPEG")
    (root / "val" / "val_annotations.txt").write_text("v.JPEG\tn1\t0\t0\t1\t1\nv.JPEG\tn2\n")
    with pytest.raises(ValueError, match=r"line 2: .* 'n2' no class"):
        _load(root)


def test_two_classes_of_one_word_keep_distinct_names(tmp_path: Path) -> None:
    root = tmp_path / "own"
    for wnid in ("n1", "n2", "n3"):
        _picture(root / "train" / wnid / "images" / "0.JPEG")
    _picture(root / "val" / "images" / "v.JPEG")
    (root / "val" / "val_annotations.txt").write_text("v.JPEG\tn1\t0\t0\t1\t1\n")
    (root / "words.txt").write_text("n1\tcrane\nn2\tcrane, machine\nn3\tox, cattle\n")
    assert _load(root).classes == ("crane (n1)", "crane (n2)", "ox")
