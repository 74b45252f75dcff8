"""Images in memory, and where files are looked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


class MissingFile(FileNotFoundError):  # noqa: N818 - it says what is the matter
    """A file that a component needs is in none of the folders; the message says where it was looked for."""


@dataclass(frozen=True)
class Files:
    """The folders in which components look for files, in order: the data folder, the TOML's, the current one."""

    folders: tuple[Path, ...] = (Path(),)

    @property
    def data(self) -> Path:
        """The data folder: what ``--data`` or ``$TILTYARD_DATA`` names, where downloads go as well."""
        return self.folders[0]

    def find(self, name: str) -> Path:
        """The first existing file or folder of that name; raises ``MissingFile``."""
        tried = [folder / name for folder in self.folders]
        for path in tried:
            if path.exists():
                return path
        places = ", ".join(str(path) for path in tried)
        raise MissingFile(
            f"{name}: not found (looked for {places}); --data DIR or $TILTYARD_DATA names the data folder"
        )


@dataclass(frozen=True)
class Outline:
    """A data set before it is read: ``shape`` (C, H, W) of its images, how many are for training, class names."""

    shape: tuple[int, int, int]
    train: int
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W), in memory or memory-mapped, and labels int64 (N,).

    Images are uint8, or float32 in [0, 1] where they come from elsewhere than a picture file.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype not in (torch.uint8, torch.float32) or self.images.ndim != 4:
            shape = tuple(self.images.shape)
            raise ValueError(f"images must be uint8 or float32 (N, C, H, W), not {self.images.dtype} {shape}")
        if self.images.is_floating_point() and not bool(((self.images >= 0) & (self.images <= 1)).all()):
            raise ValueError("float images must be finite and lie in [0, 1]")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"labels must be int64 (N,), not {self.labels.dtype} {tuple(self.labels.shape)}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor) -> Split:
        """The samples at the positions ``index`` (M,)."""
        return Split(self.images[index], self.labels[index])

    def floats(self, device: torch.device | str = "cpu") -> Tensor:
        """All images as float32 in [0, 1] on ``device``."""
        return pixels(self.images.to(device))

    def batches(self, size: int, device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """Images as float32 in [0, 1] and labels, ``size`` at a time, in order, on ``device``."""
        for images, labels in zip(self.images.split(size), self.labels.split(size), strict=True):
            yield pixels(images.to(device)), labels.to(device)

    def sha256(self) -> str:
        """Digest of shape, images and labels."""
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for tensor in (self.images, self.labels):
            for chunk in tensor.split(4096):
                digest.update(memoryview(chunk.contiguous().numpy()))
        return digest.hexdigest()


def pixels(images: Tensor) -> Tensor:
    """Images of a ``Split`` as float32 in [0, 1]."""
    return images.to(torch.float32) / 255 if images.dtype == torch.uint8 else images


@dataclass(frozen=True)
class Data:
    """A data set: training and test images, and the names of the K classes."""

    train: Split
    test: Split
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, split in (("train", self.train), ("test", self.test)):
            if not len(split):
                raise ValueError(f"the {name} split is empty")
            if not 0 <= int(split.labels.min()) <= int(split.labels.max()) < len(self.classes):
                raise ValueError(f"{name} labels must lie in 0..{len(self.classes) - 1}")
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise ValueError("training and test images differ in shape")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.test.images.shape[1:]
        return channels, height, width
