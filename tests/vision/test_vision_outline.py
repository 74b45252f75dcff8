"""What data sets tell of themselves before they are read is what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiltyard_vision
from tiltyard import Dataset, Files, Outline

DATASETS = tiltyard_vision.datasets()


def _agrees(dataset: Dataset, files: Files) -> None:
    outline: Outline = dataset.outline(files)  # type: ignore[attr-defined]
    data = dataset(files)
    assert (outline.shape, outline.train, len(outline.classes)) == (data.shape, len(data.train), len(data.classes))


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_packaged_data(name: str) -> None:
    _agrees(DATASETS[name](), Files())


def test_the_exact_part_of_cifar(shared_data: Path) -> None:
    _agrees(DATASETS["cifar10"](variant="lossless_subset"), Files((shared_data,)))


def test_a_folder_is_told_by_its_files(shared_data: Path) -> None:
    _agrees(DATASETS["image_folder"](folder="food101-subset", size=16), Files((shared_data,)))


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("npz", "image_folder")])
def test_every_data_set_of_known_size_tells_it(name: str) -> None:
    dataset = DATASETS[name]()
    outline = dataset.outline(Files())  # type: ignore[attr-defined]
    assert len(outline.classes) == dataset.classes
    assert outline.train > 1000
