"""The samples an attack is called with, and random draws that belong to a sample and not to its batch."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .classifier import margin

_GOLDEN = -0x61C8864680B583EB  # 2^64 / golden ratio, as a signed 64-bit number
_AT_ONCE = 2**19  # values drawn in one go


@dataclass(frozen=True)
class Batch:
    """Images (N, C, H, W) float32 in [0, 1], labels, and targets of a targeted attack, with the samples' ids.

    Under a threat in normalised units the images are normalised ones, and lie in no box.

    ``batch[mask]`` drops samples and every other sample keeps its random draws: a draw is a hash of
    (seed, key, sample id, draw number), computed for the whole batch at once on the images' device. Results
    therefore do not depend on batch size, order, sharding, or on which samples were dropped.
    """

    x: Tensor
    y: Tensor
    ids: Tensor
    target: Tensor | None = None
    seed: int = 0
    key: str = ""
    found: tuple[Tensor, ...] = ()
    """Images (N, C, H, W) that broke other victims of the plan, the clean one where none did: for transfer."""

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """The samples that a mask (N,) of booleans, a vector of positions or a slice selects."""
        target = None if self.target is None else self.target[index]
        found = tuple(images[index] for images in self.found)
        return replace(self, x=self.x[index], y=self.y[index], ids=self.ids[index], target=target, found=found)

    def keyed(self, key: str) -> Batch:
        """The same samples with draws of their own."""
        return replace(self, key=key)

    def copied(self) -> Batch:
        """The same samples in memory of their own."""
        target = None if self.target is None else self.target.clone()
        return replace(self, x=self.x.clone(), y=self.y.clone(), ids=self.ids.clone(), target=target)

    def margin(self, scores: Tensor) -> Tensor:
        """Margin (N,) of scores (N, K): negative exactly where the adversary wins; attacks descend it."""
        return margin(scores, self.y, self.target)

    def uniform(self, low: float = 0.0, high: float = 1.0, *, draw: int = 0, values: int | None = None) -> Tensor:
        """Uniform numbers in [low, high), one for each value of each image, or (N, values).

        Give every further draw within one attack its own number ``draw``.
        """
        return self._drawn(draw, values, lambda bits: low + (high - low) * self._unit(bits, 40))

    def normal(self, *, draw: int = 0, values: int | None = None) -> Tensor:
        """Standard normal numbers (Box-Muller), one for each value of each image, or (N, values)."""

        def box_muller(bits: Tensor) -> Tensor:
            first, second = self._unit(bits, 40) + 2.0**-24, self._unit(bits, 8)
            return (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()

        return self._drawn(draw, values, box_muller)

    @property
    def call_seed(self) -> int:
        """A 32-bit seed for foreign code: of seed and key, and of the sample where there is but one."""
        sample = int(self.ids[0]) if len(self) == 1 else ""
        salt = hashlib.blake2b(f"{self.seed}|{self.key}|{sample}".encode(), digest_size=4)
        return int.from_bytes(salt.digest(), "little")

    def seed_globals(self) -> None:
        """Seed the global generators of torch, numpy and Python, for foreign code that draws from them.

        The harness puts them back after every attack. What is drawn belongs to the whole batch, not to samples.
        """
        random.seed(self.call_seed)
        np.random.seed(self.call_seed)
        torch.manual_seed(self.call_seed)

    def _unit(self, bits: Tensor, shift: int) -> Tensor:
        """24 of 64 bits as numbers in [0, 1)."""
        return (bits >> shift & 0xFFFFFF).to(self.x.dtype) * 2.0**-24

    def _drawn(self, draw: int, values: int | None, turned: Callable[[Tensor], Tensor]) -> Tensor:
        """Numbers made of 64 mixed bits for each value: splitmix64 (Steele et al. 2014, OOPSLA), a stream per sample.

        Samples go by in parts: integers of all of them would take more memory than a search.
        """
        salt = hashlib.blake2b(f"{self.seed}|{self.key}|{draw}".encode(), digest_size=8).digest()
        stream = _mix(self.ids.to(self.x.device) * _GOLDEN + int.from_bytes(salt, "little", signed=True))
        count = self.x[0].numel() if values is None else values
        counter = torch.arange(1, count + 1, device=self.x.device) * _GOLDEN
        parts = stream.unsqueeze(1).split(max(1, _AT_ONCE // max(count, 1)))
        numbers = torch.cat([turned(_mix(part + counter)) for part in parts])
        return numbers if values is not None else numbers.view_as(self.x)


def _mix(z: Tensor) -> Tensor:
    """The finaliser of splitmix64; int64 arithmetic wraps, and the masks make the shifts logical."""
    z = (z ^ (z >> 30 & 0x3FFFFFFFF)) * -0x40A7B892E31B1A47
    z = (z ^ (z >> 27 & 0x1FFFFFFFFF)) * -0x6B2FB644ECCEEE15
    return z ^ (z >> 31 & 0x1FFFFFFFF)
