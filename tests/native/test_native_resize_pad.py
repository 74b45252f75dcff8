"""Random resizing and padding: where it puts an image, and what averaging over draws is worth against it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tiltyard import Batch, Classifier, Threat, Victim
from tiltyard.evaluator import judge
from tiltyard_native.attacks import PGD
from tiltyard_native.defences import ResizePad
from tiltyard_native.defences.resize_pad import RandomResizePad

Digits = tuple[Tensor, Tensor]


def test_a_white_image_becomes_a_white_square_of_a_drawn_size_inside_the_frame() -> None:
    torch.manual_seed(0)
    placed = RandomResizePad(0.5)(torch.ones(2000, 1, 32, 32))
    assert placed.shape == (2000, 1, 32, 32)
    area = placed.sum((1, 2, 3)) / 32**2
    assert 0.24 < float(area.min()) < 0.27
    assert 0.95 < float(area.max()) <= 1
    assert float(area.mean()) == pytest.approx((1 - 0.5**3) / (3 * 0.5), abs=0.02)  # mean of s^2 over [0.5, 1]
    assert float((area - placed.amax(2).sum(2).squeeze(1).div(32).square()).abs().mean()) < 0.03  # nothing is cut off
    columns = placed.mean((0, 1, 2))
    assert torch.allclose(columns, columns.flip(0), atol=0.05)  # left as often as right


def test_an_image_keeps_its_content() -> None:
    """Brightness over area is that of the image, wherever and however small it lies."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, 1, 1).expand(200, 3, 32, 32)
    placed = RandomResizePad(0.8)(image)
    ratio = placed.sum((2, 3)) / image.sum((2, 3))
    assert torch.allclose(ratio, ratio[:, :1].expand(-1, 3), atol=1e-4)


def test_each_image_has_a_draw_of_its_own_and_the_global_seed_repeats_them(trainer: Any, digits: Digits) -> None:
    x = digits[0][:1].expand(5, -1, -1, -1)
    defended = ResizePad()(trainer)
    assert defended.randomised
    torch.manual_seed(1)
    first = defended(x)
    assert len(first.unique(dim=0)) == 5
    torch.manual_seed(1)
    assert torch.equal(defended(x), first)


def broken(defended: Classifier, digits: Digits, attack: PGD, eps: float) -> float:
    batch = Batch(digits[0][1197:1397], digits[1][1197:1397], torch.arange(200))
    batch = batch[judge(defended, batch).right(batch.y)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images = attack(Victim(defended, batch), batch, Threat("linf", eps))
    return float(judge(defended, batch, images, "adversarial").wrong(batch.y).float().mean())


def test_averaging_over_draws_beats_one_draw_at_equal_steps(trainer: Any, digits: Digits) -> None:
    defended = ResizePad(smallest=0.8)(trainer)
    once = broken(defended, digits, PGD(steps=20), 0.1)
    assert broken(defended, digits, PGD(steps=20, eot=16), 0.1) > once + 0.03


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_is_none_is_named(share: float) -> None:
    with pytest.raises(ValueError, match="smallest"):
        ResizePad(smallest=share)
