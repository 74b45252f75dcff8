"""Codes that somebody else has computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tiltyard import Files, LabelScheme

from .array_file import read
from .codebook import Scale, label_scheme


@dataclass(frozen=True)
class FromFile:
    """Any codebook (K, *shape) in the .npy or .npz ``file``, in the order of the label numbers."""

    file: str
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes of the file's shape."""
        return label_scheme(read(self.file, files, len(classes)), self.scale, classes, self.file)


@dataclass(frozen=True)
class Bert:
    """Hidden states of bert-base-uncased (Devlin et al. 2019, arXiv 1810.04805) for "[CLS] word [SEP]".

    The 3 x 768 values are arranged as 48x48, as in Chen et al. 2021 (arXiv 2104.02226). ``file`` is an .npy
    or .npz of shape (K, 48, 48) or (K, 2304), in the order of the label numbers, and is used as it is; in
    the published codes the outliers (|v| above mean + 2 sd) are set to 0.
    """

    file: str
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, 48, 48)."""
        codes = read(self.file, files, len(classes), ((48, 48), (2304,)))
        return label_scheme(codes.reshape(-1, 48, 48), self.scale, classes, self.file)
