"""Any folder of image files, one folder a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from tiltyard import Data, Files, Outline, Split

from .cache import decoded, fingerprint
from .image_tree import image_tree

SLENDER = 100
"""How many times longer than broad an image may be: it is resized before the square is cut out."""


@dataclass(frozen=True)
class ImageFolder:
    """RGB images of ``size`` x ``size`` pixels from the image files below ``folder``.

    The shorter side is resized to ``resize`` pixels (default: ``size``; bilinear with antialiasing), then the
    central square is kept. Layouts, told apart by what lies there:

    - ``train/CLASS/...`` with ``test/CLASS/...``, or ``val`` where there is no ``test``;
    - Tiny ImageNet's: ``train/WNID/images/*`` and ``val/images/*`` with ``val/val_annotations.txt``;
    - ``CLASS/...`` only, as in Animals-10: ``test_fraction`` of every class is held out, drawn with ``seed``.

    The order of the images is drawn with ``seed`` as well, so that the first N are a mix of classes.
    Decoded images are kept in the cache folder under a hash of file names, sizes, times and these keys, and
    read from there memory-mapped.
    """

    folder: str
    size: PositiveInt = 64
    resize: PositiveInt | None = None
    test_fraction: float = 0.2
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize = {self.resize} must be at least size = {self.size}, which is cut out of it")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction = {self.test_fraction} must lie between 0 and 1, both excluded")

    classes: ClassVar[int | None] = None

    def outline(self, files: Files) -> Outline:
        """What the names of the files tell; raises as a call does."""
        tree = image_tree(files.find(self.folder), self.test_fraction, self.seed)
        return Outline((3, self.size, self.size), len(tree.train), tree.classes)

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 3, size, size); raises ``MissingFile``, or ``ValueError`` naming folder or file."""
        root = files.find(self.folder)
        tree = image_tree(root, self.test_fraction, self.seed)
        paths = [path for path, _ in tree.train + tree.test]
        labels = torch.tensor([label for _, label in tree.train + tree.test])
        shorter = self.resize or self.size

        def image(index: int) -> NDArray[np.uint8]:
            return central_square(paths[index], shorter, self.size)

        key = fingerprint(paths, root, "central_square", shorter, self.size)
        images = decoded(key, (len(paths), 3, self.size, self.size), image)
        cut = len(tree.train)
        return Data(Split(images[:cut], labels[:cut]), Split(images[cut:], labels[cut:]), tree.classes)


def central_square(path: Path, shorter: int, size: int) -> NDArray[np.uint8]:
    """RGB values (3, size, size) of an image file; raises ``ValueError`` where it is none."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow: SyntaxError for a damaged PNG
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    shortest = min(image.size)
    if max(image.size) > SLENDER * shortest:
        raise ValueError(f"{path} is {image.width} x {image.height} pixels: resized it would not fit the memory")
    if shortest != shorter:
        width, height = (shorter * side // shortest for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size))).transpose(2, 0, 1)
