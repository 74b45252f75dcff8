"""Which files of a folder are training and test images, and of which class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .splits import stratified

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
HELD_OUT = ("test", "val", "validation", "valid")

Labelled = list[tuple[Path, int]]


@dataclass(frozen=True)
class ImageTree:
    """Image files with their labels, in an order that mixes the classes, and the names of the classes."""

    train: Labelled
    test: Labelled
    classes: tuple[str, ...]


def image_tree(root: Path, test_fraction: float, seed: int) -> ImageTree:
    """The layout of ``root``, in this order: Tiny ImageNet's, ``train`` beside a held-out folder, classes only.

    Raises ``ValueError`` naming the folder at fault.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is a file and not a folder of images")
    train = root / "train"
    if not train.is_dir():
        return _undivided(root, test_fraction, seed)
    classes = _classes(train)
    annotations = root / "val" / "val_annotations.txt"
    held = next((root / name for name in HELD_OUT if (root / name).is_dir()), None)
    if annotations.is_file():
        test = _annotated(annotations, classes)
        names = _words(root / "words.txt", classes)
    elif held is not None:
        test, names = _labelled(held, classes), classes
    else:
        raise ValueError(f"{root} has a folder train and none of {', '.join(HELD_OUT)} beside it")
    return ImageTree(_mixed(_labelled(train, classes), seed), _mixed(test, seed), names)


def _undivided(root: Path, test_fraction: float, seed: int) -> ImageTree:
    """Class folders only: a share of every class is held out."""
    classes = _classes(root)
    parts = [name for name in classes if name.lower() in {"train", *HELD_OUT}]
    if parts:
        raise ValueError(f"{root}: is the folder {parts[0]} a class or a part? Parts are named train and test or val")
    files = _labelled(root, classes)
    train, test = stratified(np.array([label for _, label in files]), test_fraction, seed)
    return ImageTree([files[i] for i in train], [files[i] for i in test], classes)


def _classes(folder: Path) -> tuple[str, ...]:
    """Names of the class folders, sorted: the position is the label, as in torchvision's ImageFolder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise ValueError(f"{folder} has no class folders")
    return tuple(names)


def _labelled(folder: Path, classes: tuple[str, ...]) -> Labelled:
    """Every image below the class folders of ``folder``, sorted."""
    files: Labelled = []
    for name in _classes(folder):
        if name not in classes:
            raise ValueError(f"{folder / name} is of a class that the training images lack: {', '.join(classes)}")
        found = sorted(path for path in (folder / name).rglob("*") if _is_image(path))
        if not found:
            raise ValueError(f"{folder / name} has no images ({', '.join(sorted(SUFFIXES))})")
        files += [(path, classes.index(name)) for path in found]
    return files


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _annotated(annotations: Path, classes: tuple[str, ...]) -> Labelled:
    """Tiny ImageNet's validation images: a line holds file name, class and a box, separated by tabs."""
    labels = {name: label for label, name in enumerate(classes)}
    files: Labelled = []
    for number, line in enumerate(annotations.read_text(encoding="utf-8").splitlines(), 1):
        name, wnid = (*line.split("\t"), "", "")[:2]
        path = annotations.parent / "images" / name
        if wnid not in labels or Path(name).name != name or not path.is_file():
            raise ValueError(f"{annotations}, line {number}: {name!r} is no file in images, or {wnid!r} no class")
        files.append((path, labels[wnid]))
    return files


def _words(path: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """The first word that the list gives for each WordNet id; the id beside it where two share a word."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    names = [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]
    shared = Counter(names)
    return tuple(n if shared[n] == 1 else f"{n} ({wnid})" for n, wnid in zip(names, wnids, strict=True))


def _mixed(files: Labelled, seed: int) -> Labelled:
    return [files[i] for i in np.random.default_rng(seed).permutation(len(files))]
