"""Squeezers against scipy and against loops that spell the definitions out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from tiltyard_native.defences.squeezers import bit_depth, median, non_local_means, resampling


def images(shape: tuple[int, ...] = (3, 2, 9, 7)) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("window", [2, 3, 4, 5, 9])
def test_median_is_scipys_with_mirrored_edges(window: int) -> None:
    from scipy.ndimage import median_filter

    x = images((3, 2, 6, 7))
    expected = median_filter(x.numpy(), size=(1, 1, window, window), mode="reflect")
    assert torch.equal(median(x, window), torch.from_numpy(expected))


def test_median_of_two_takes_the_upper_middle_with_the_pixel_at_the_lower_right() -> None:
    x = torch.tensor([[0.1, 0.2], [0.3, 0.4]]).view(1, 1, 2, 2)
    # windows: (.1 .1 .1 .1), (.1 .2 .1 .2), (.1 .1 .3 .3), (.1 .2 .3 .4), sorted index 2 of each
    assert torch.equal(median(x, 2), torch.tensor([[0.1, 0.2], [0.3, 0.3]]).view(1, 1, 2, 2))


def test_median_sends_the_gradient_to_the_value_it_took() -> None:
    x = images().requires_grad_()
    out = median(x, 3)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert float(gradient.sum()) == pytest.approx(out.numel())
    assert float(gradient.count_nonzero()) / x.numel() > 0.3


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_bit_depth_leaves_the_nearest_of_its_values(bits: int) -> None:
    x, top = images(), 2**bits - 1
    assert np.allclose(bit_depth(x, bits), np.rint(x.numpy() * top) / top, atol=1e-6)


def test_bit_depth_passes_the_gradient_as_if_it_were_not_there() -> None:
    x, weight = images().requires_grad_(), images() + 1
    (gradient,) = torch.autograd.grad((bit_depth(x, 1) * weight).sum(), x)
    assert torch.equal(gradient, weight)


def test_resampling_keeps_flat_images_and_averages_a_checkerboard_away() -> None:
    flat = torch.full((1, 3, 8, 8), 0.3)
    assert torch.allclose(resampling(flat), flat)
    board = (torch.arange(8).view(1, 1, 8, 1) + torch.arange(8)).remainder(2).float()
    assert torch.allclose(resampling(board), torch.full_like(board, 0.5))
    assert resampling(images((2, 1, 7, 1))).shape == (2, 1, 7, 1)


def slow_non_local_means(x: np.ndarray, search: int, patch: int, strength: float) -> np.ndarray:
    """The definition of Buades et al., pixel by pixel, on one image (C, H, W)."""
    reach, rim = search // 2, patch // 2
    wide = np.pad(x, [(0, 0), (reach + rim,) * 2, (reach + rim,) * 2], mode="symmetric")
    out = np.zeros_like(x)
    for i, j in itertools.product(range(x.shape[1]), range(x.shape[2])):
        own = wide[:, i + reach : i + reach + patch, j + reach : j + reach + patch]
        total = 0.0
        for k, m in itertools.product(range(search), range(search)):
            other = wide[:, i + k : i + k + patch, j + m : j + m + patch]
            weight = np.exp(-np.mean((own - other) ** 2) / strength**2)
            out[:, i, j] += weight * other[:, rim, rim]
            total += weight
        out[:, i, j] /= total
    return out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("search", "patch"), [(5, 3), (3, 1), (13, 3)])
def test_non_local_means_is_its_definition_image_by_image(channels: int, search: int, patch: int) -> None:
    x = images((2, channels, 6, 5))
    expected = np.stack([slow_non_local_means(image.double().numpy(), search, patch, 0.2) for image in x])
    assert np.allclose(non_local_means(x, search, patch, 0.2), expected, atol=1e-5)


def test_non_local_means_removes_noise_and_has_an_exact_gradient() -> None:
    from sklearn.datasets import load_digits

    clean = torch.from_numpy(load_digits().images[:20]).float().div(16).round().unsqueeze(1).repeat_interleave(3, 2)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    left = (non_local_means(noisy, 7, 3, 0.15) - clean).square().mean() / (noisy - clean).square().mean()
    assert float(left) < 0.5
    x = images((1, 2, 4, 4)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: non_local_means(z, 3, 3, 0.3), (x,))
