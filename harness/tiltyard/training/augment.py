"""Standard augmentation of image batches, drawn from a given generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def augment(images: Tensor, kinds: Sequence[str], generator: Generator) -> Tensor:
    """A batch (N, C, H, W) cropped and mirrored at random; every image has its own draw."""
    if "crop" in kinds:
        images = _cropped(images, max(1, images.shape[-1] // 8), generator)
    if "flip" in kinds:
        mirrored = torch.rand(len(images), generator=generator).to(images.device) < 0.5
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    return images


def _cropped(images: Tensor, pad: int, generator: Generator) -> Tensor:
    """Each image shifted by up to ``pad`` pixels either way, zeros moving in."""
    count, channels, height, width = images.shape
    shift = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=generator).to(images.device)
    rows = shift[0] + torch.arange(height, device=images.device)
    columns = shift[1] + torch.arange(width, device=images.device)
    sample = torch.arange(count, device=images.device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, -1, 1, 1)
    return F.pad(images, [pad] * 4)[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]
