"""Functions from images (N, C, H, W) to images with less detail, differentiable or straight-through."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def bit_depth(x: Tensor, bits: int) -> Tensor:
    """Values rounded to 2^``bits`` evenly spaced ones; the gradient passes as if nothing were rounded."""
    steps = 2**bits - 1
    rounded: Tensor = (x * steps).round() / steps
    return x + (rounded - x).detach()


def median(x: Tensor, window: int) -> Tensor:
    """The median of ``window`` x ``window`` values around each value, channel by channel.

    Of an even window the reference value is at the lower right of the middle, and of an even number of values
    the upper middle one is taken, as ``scipy.ndimage.median_filter`` has it, which the paper uses.
    """
    before = window // 2
    wide = reflected(x, before, window - 1 - before)
    windows = wide.unfold(2, window, 1).unfold(3, window, 1).flatten(4)
    return windows.kthvalue(window**2 // 2 + 1, dim=-1).values


def resampling(x: Tensor) -> Tensor:
    """Bilinear resampling to half the height and width and back."""
    height, width = x.shape[2:]
    small = F.interpolate(x, (max(1, height // 2), max(1, width // 2)), mode="bilinear", align_corners=False)
    return F.interpolate(small, (height, width), mode="bilinear", align_corners=False)


def non_local_means(x: Tensor, search: int, patch: int, strength: float) -> Tensor:
    """Buades et al. 2005, "A Non-local Algorithm for Image Denoising", CVPR.

    Each pixel becomes a mean over the ``search`` x ``search`` window around it, weighted by
    exp(-d^2 / ``strength``^2), where d^2 is the mean squared difference of the ``patch`` x ``patch`` patches
    around the two pixels, over all channels. No shift by the noise's variance, no conversion of colours and no
    8-bit arithmetic, so it is not OpenCV's ``fastNlMeansDenoising``, which the authors of squeezing call.
    """
    reach, rim = search // 2, patch // 2
    wide = reflected(x, reach + rim, reach + rim)
    total, weight = torch.zeros_like(x), torch.zeros_like(x[:, :1])
    for row in range(search):
        # Recomputed in the backward pass: the patches of all shifts at once would not fit in memory.
        sums = checkpoint(_one_row, wide, row, search, patch, strength, use_reentrant=False, preserve_rng_state=False)
        total, weight = total + sums[0], weight + sums[1]
    return total / weight


def _one_row(wide: Tensor, row: int, search: int, patch: int, strength: float) -> tuple[Tensor, Tensor]:
    """Weighted sum and sum of weights over the shifts of one row of the search window."""
    reach, rim = search // 2, patch // 2
    height, width = (side - 2 * reach for side in wide.shape[2:])
    centre = wide[:, :, reach : reach + height, reach : reach + width]
    total = torch.zeros_like(centre[:, :, rim : height - rim, rim : width - rim])
    weights = torch.zeros_like(total[:, :1])
    for column in range(search):
        other = wide[:, :, row : row + height, column : column + width]
        apart = F.avg_pool2d((centre - other).square().mean(1, keepdim=True), patch, stride=1)
        weight = (-apart / strength**2).exp()
        total = total + weight * other[:, :, rim : height - rim, rim : width - rim]
        weights = weights + weight
    return total, weights


def reflected(x: Tensor, before: int, after: int) -> Tensor:
    """Images with a margin that mirrors them, the edge pixels repeated (scipy's "reflect")."""
    rows, columns = (_mirror(side, before, after, x.device) for side in x.shape[2:])
    return x.index_select(2, rows).index_select(3, columns)


def _mirror(side: int, before: int, after: int, device: torch.device) -> Tensor:
    turn = torch.arange(-before, side + after, device=device) % (2 * side)
    return torch.where(turn < side, turn, 2 * side - 1 - turn)
