"""Randomised victims are judged once for each sample, with draws that belong to the sample."""

from __future__ import annotations

import torch
from torch import Tensor
from toy import Descent

from tiltyard import Batch, Classifier, Outputs, Threat
from tiltyard.evaluator import evaluate, judge
from tiltyard.testing import linear_victim


class Noisy(Classifier):
    """Adds noise to the scores at every call."""

    randomised = True

    def outputs(self, x: Tensor) -> Outputs:
        scores = super().outputs(x).scores
        return Outputs(scores + torch.randn_like(scores))


def _noisy() -> tuple[Noisy, Batch]:
    plain = linear_victim()
    victim = Noisy(plain.network, plain.scheme).eval()
    x = torch.rand(40, 1, 6, 6, generator=torch.Generator().manual_seed(3))
    return victim, Batch(x, plain(x).argmax(1), torch.arange(100, 140), seed=1, key="noisy")


def test_a_verdict_is_the_same_in_every_run_and_every_batch() -> None:
    victim, batch = _noisy()
    whole = judge(victim, batch).scores
    torch.manual_seed(7)
    assert torch.equal(judge(victim, batch).scores, whole)
    parts = torch.cat([judge(victim, batch[part]).scores for part in torch.arange(40).split(7)])
    assert torch.equal(parts, whole)


def test_clean_and_adversarial_verdicts_and_seeds_draw_anew() -> None:
    victim, batch = _noisy()
    first = judge(victim, batch).scores
    assert not torch.equal(judge(victim, batch, batch.x, "adversarial").scores, first)
    other = Batch(batch.x, batch.y, batch.ids, seed=2, key="noisy")
    assert not torch.equal(judge(victim, other).scores, first)


def test_judging_leaves_the_global_generator_alone() -> None:
    victim, batch = _noisy()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    judge(victim, batch)
    assert torch.equal(torch.rand(1), expected)


def test_two_attacks_on_a_randomised_victim_give_the_same_records() -> None:
    victim, batch = _noisy()
    threat = (Threat("linf", 0.05),)
    first = evaluate(victim, Descent(), batch, threat, (0.05,)).records
    torch.manual_seed(9)
    again = evaluate(victim, Descent(), batch, threat, (0.05,)).records
    assert first.equals(again)
    assert 0 < first["success"].mean() < 1
