"""The adversarial images of a cell, kept so that anyone can check them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..contracts import Batch
from .files import read_checked


@dataclass(frozen=True)
class Images:
    """Verified images (M, C, H, W) that broke the victim, each with its sample, the eps of the call, and its target.

    ``eps`` (M,) is infinite for a minimal-norm attack, ``target`` (M,) is -1 where the attack was untargeted. Under a
    threat in normalised units ``pixels`` are normalised images.
    """

    sample: Tensor
    eps: Tensor
    target: Tensor
    pixels: Tensor

    def __len__(self) -> int:
        return len(self.sample)

    def __getitem__(self, index: Tensor) -> Images:
        """The images that a mask (M,) or a vector of positions selects."""
        return Images(self.sample[index], self.eps[index], self.target[index], self.pixels[index])

    @classmethod
    def of(cls, batch: Batch, pixels: Tensor, eps: float) -> Images:
        """``pixels`` (N, C, H, W), one image for each sample of ``batch``, from a call at ``eps``; on the CPU."""
        target = torch.full_like(batch.ids, -1) if batch.target is None else batch.target
        sizes = torch.full((len(batch),), eps, dtype=torch.float64)
        return cls(batch.ids.cpu(), sizes, target.cpu(), pixels.cpu())

    @classmethod
    def joined(cls, parts: Iterable[Images], shape: Sequence[int]) -> Images:
        """One table of several; of images of ``shape`` (C, H, W) where there are none."""
        none = torch.empty(0, dtype=torch.int64)
        parts = [cls(none, torch.empty(0, dtype=torch.float64), none, torch.empty(0, *shape)), *parts]
        columns = zip(*((part.sample, part.eps, part.target, part.pixels) for part in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))

    def encoded(self) -> bytes:
        """As the content of a safetensors file."""
        from safetensors.torch import save

        return save({name: getattr(self, name).contiguous() for name in ("sample", "eps", "target", "pixels")})

    @classmethod
    def read(cls, path: Path) -> Images:
        """The images of a safetensors file; raises ``DamagedError`` where it is not what its name says."""
        from safetensors.torch import load

        return cls(**load(read_checked(path)))

    def on(self, clean: Tensor, ids: Tensor) -> Tensor:
        """``clean`` (N, C, H, W) with each image in the place of its sample, whose ids (N,) are given."""
        place = {sample: row for row, sample in enumerate(ids.tolist())}
        rows = [place[sample] for sample in self.sample.tolist()]
        return clean.index_put((torch.tensor(rows, dtype=torch.int64, device=clean.device),), self.pixels.to(clean))
