"""JPEG in front of the network: a real codec, and a gradient that goes straight through it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Classifier, Incompatible, Threat, Victim
from tiltyard_native.attacks import PGD
from tiltyard_native.defences import JPEG
from tiltyard_native.defences.jpeg import Compression, compressed

Digits = tuple[Tensor, Tensor]


def images(count: int, channels: int) -> Tensor:
    """Smooth images, as JPEG likes them."""
    generator = torch.Generator().manual_seed(channels)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, (32, 32), mode="bilinear")


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_codec(channels: int) -> None:
    from PIL import Image

    x = images(3, channels)
    coded = compressed(x, 40)
    for one, other in zip(x, coded, strict=True):
        pixels = (one * 255).round().byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(file, "JPEG", quality=40)
        wanted = np.asarray(Image.open(file)).reshape(32, 32, channels) / 255
        assert np.allclose(other.permute(1, 2, 0), wanted, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_lower_quality_loses_more_and_the_best_next_to_nothing(channels: int) -> None:
    x = images(8, channels)
    lost = [float((compressed(x, quality) - x).abs().mean()) for quality in (5, 25, 75, 95)]
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 0.01 < lost[0]


def test_images_do_not_depend_on_their_batch_and_none_is_no_problem() -> None:
    x = images(7, 3)
    assert torch.equal(compressed(x, 75), torch.cat([compressed(part, 75) for part in x.split(3)]))
    assert compressed(x[:0], 75).shape == (0, 3, 32, 32)


def test_the_forward_is_the_codecs_and_the_backward_the_identitys() -> None:
    x = images(2, 3).requires_grad_()
    coded = Compression(30)(x)
    assert torch.equal(coded, compressed(x, 30))
    slope = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((coded * slope).sum(), x)
    assert torch.equal(gradient, slope)


class Blind(nn.Module):
    """The codec with its own gradient, which is zero."""

    def forward(self, x: Tensor) -> Tensor:
        return compressed(x, 25) + 0 * x


def test_static_attacks_are_held_off_and_a_straight_through_gradient_breaks_it(trainer: Any, digits: Digits) -> None:
    plain, defended = trainer(), JPEG(quality=10)(trainer)
    x, y = digits[0][1197:1397], digits[1][1197:1397]
    both = (plain(x).argmax(1) == y) & (defended(x).argmax(1) == y)
    batch = Batch(x, y, torch.arange(200))[both]

    def broken(victim: Classifier, seen: Classifier) -> float:
        found = PGD(steps=20)(Victim(seen, batch), batch, Threat("linf", 0.12))
        return float((victim(found).argmax(1) != batch.y).float().mean())

    oblivious, adaptive = broken(defended, plain), broken(defended, defended)
    assert oblivious < broken(plain, plain) - 0.15
    assert adaptive > oblivious + 0.1
    blind = Classifier(nn.Sequential(Blind(), plain.network), plain.scheme).eval()
    assert adaptive > broken(defended, blind) + 0.3


def test_the_classifier_predicts_on_the_compressed_image(trainer: Any, digits: Digits) -> None:
    x, y = digits[0][1197:1217], digits[1][1197:1217]
    plain, defended = trainer(), JPEG(quality=50)(trainer)
    assert torch.allclose(defended(x), plain(compressed(x, 50)))
    assert torch.allclose(defended.loss(x, y), plain.loss(compressed(x, 50), y))
    assert not defended.randomised


def test_two_channels_are_refused_with_a_sentence(trainer: Any) -> None:
    trainer.held_out = (torch.rand(4, 2, 8, 8), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(Incompatible, match="1 or 3 channels"):
        JPEG()(trainer)


def test_a_quality_beyond_the_scale_is_named() -> None:
    with pytest.raises(ValueError, match="quality = 96"):
        JPEG(quality=96)
