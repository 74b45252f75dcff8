"""Smoothing by votes: what its scores are, and what averaging over draws is worth against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Classifier, Setting, Threat, Victim, margin
from tiltyard.evaluator import judge
from tiltyard_native.attacks import PGD
from tiltyard_native.defences import Smoothing, Undefended
from tiltyard_native.defences.smoothing import Noisy, tally

Digits = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Noise in training and voting is drawn from the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def broken(
    defended: Classifier, digits: Digits, attack: PGD, eps: float, seen: Classifier | None = None, count: int = 200
) -> float:
    """Share of ``count`` digits, right to begin with, that the attack gets the defence to take for another class."""
    batch = Batch(digits[0][1197:][:count], digits[1][1197:][:count], torch.arange(count))
    batch = batch[judge(defended, batch).right(batch.y)]
    images = attack(Victim(seen or defended, batch), batch, Threat("linf", eps))
    return float(judge(defended, batch, images, "adversarial").wrong(batch.y).float().mean())


def test_the_best_score_is_the_votes_winner_and_the_margin_is_negative_exactly_where_it_loses() -> None:
    generator = torch.Generator().manual_seed(0)
    ballots = torch.randn(5, 2000, 3, generator=generator) * torch.rand(5, 2000, 1, generator=generator) * 60
    scores = tally(ballots)
    cast = F.one_hot(ballots.argmax(2), 3).sum(0)
    won = cast.amax(1)
    assert bool((cast.gather(1, scores.argmax(1, keepdim=True)).squeeze(1) == won).all())
    y = torch.arange(2000) % 3
    lost = margin(scores, y) < 0
    assert torch.equal(lost, scores.argmax(1) != y)
    own = cast.gather(1, y.unsqueeze(1)).squeeze(1)
    assert bool(lost[own < won].all())
    assert not bool(lost[(own == won) & ((cast == won.unsqueeze(1)).sum(1) == 1)].any())


def test_ties_go_to_the_higher_mean_softmax_and_no_score_is_infinite() -> None:
    ballots = torch.tensor([[[5.0, 0.0, -500.0]], [[0.0, 1.0, -500.0]]])
    scores = tally(ballots)
    assert int(scores.argmax()) == 0
    assert bool(scores.isfinite().all())
    assert float(scores.exp().sum()) == pytest.approx(1, abs=1e-6)


def test_scores_are_log_shares_of_the_votes_and_one_soft_vote(trainer: Any, digits: Digits) -> None:
    x = digits[0][1197:1207]
    defended = Smoothing(sigma=0.3, votes=7)(trainer)
    torch.manual_seed(3)
    scores = defended(x)
    torch.manual_seed(3)
    copies = x.repeat(7, 1, 1, 1)
    ballots = defended.network(copies + 0.3 * torch.randn_like(copies)).view(7, 10, 10)
    share = (F.one_hot(ballots.argmax(2), 10).sum(0) + ballots.softmax(2).mean(0)) / 8
    assert torch.allclose(scores.exp(), share, atol=1e-6)


def test_the_gradient_is_that_of_the_log_mean_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    ballots = torch.randn(4, 6, 3, generator=generator, requires_grad=True)
    (given,) = torch.autograd.grad(tally(ballots)[:, 1].sum(), ballots)
    (wanted,) = torch.autograd.grad(ballots.softmax(2).mean(0)[:, 1].log().sum(), ballots)
    assert torch.allclose(given, wanted, atol=1e-6)


def test_calls_differ_and_the_global_seed_repeats_them(trainer: Any, digits: Digits) -> None:
    x = digits[0][1197:1207]
    defended = Smoothing(votes=3)(trainer)
    assert defended.randomised
    torch.manual_seed(1)
    first = defended(x)
    assert not torch.equal(defended(x), first)
    torch.manual_seed(1)
    assert torch.equal(defended(x), first)


def test_verdicts_do_not_depend_on_the_batch(trainer: Any, digits: Digits) -> None:
    batch = Batch(digits[0][1197:1217], digits[1][1197:1217], torch.arange(20))
    defended = Smoothing(sigma=0.5, votes=3)(trainer)
    whole = judge(defended, batch).scores
    parts = torch.cat([judge(defended, batch[rows]).scores for rows in torch.arange(20).split(7)])
    assert torch.allclose(whole, parts, atol=1e-5)


def test_training_with_noise_keeps_the_accuracy_that_noise_costs(trainer: Any, digits: Digits) -> None:
    x, y = digits[0][1197:], digits[1][1197:]
    right = {}
    for trained in (True, False):
        defended = Smoothing(sigma=0.5, votes=4, train_noise=trained)(trainer)
        right[trained] = float((defended(x).argmax(1) == y).float().mean())
    assert trainer.keys == ["gaussian noise, sigma 0.5", ""]
    assert right[True] > 0.8
    assert right[True] > right[False] + 0.05


def test_both_losses_are_the_schemes_own_on_noisy_images(trainer: Any) -> None:
    x, y = trainer.x[:20], trainer.y[:20]
    plain = trainer()
    torch.manual_seed(2)
    noise = torch.randn_like(x)
    torch.manual_seed(2)
    assert torch.allclose(Noisy(0.3)(plain, x, y), plain.loss(x + 0.3 * noise, y))
    defended = Smoothing(sigma=0.3, votes=200, train_noise=False)(trainer)
    drawn = torch.stack([Noisy(0.3)(plain, x, y) for _ in range(200)])
    error = drawn.std(0) * (2 / 200) ** 0.5
    assert bool(((defended.loss(x, y) - drawn.mean(0)).abs() < 5 * error + 1e-5).all())


def test_it_holds_off_attackers_who_do_not_know_of_it_and_adaptive_ones_break_far_more(
    trainer: Any, digits: Digits
) -> None:
    plain, defended = trainer(), Smoothing(sigma=0.25, votes=8)(trainer)
    oblivious = broken(defended, digits, PGD(steps=20), 0.15, plain)
    assert oblivious < broken(plain, digits, PGD(steps=20), 0.15) - 0.3
    assert broken(defended, digits, PGD(steps=20, eot=8), 0.15) > 1.4 * oblivious


def test_averaging_over_draws_beats_one_draw_at_equal_steps(trainer: Any, digits: Digits) -> None:
    """One vote, so that no other average hides what eot is worth."""
    defended = Smoothing(sigma=0.25, votes=1)(trainer)
    once = broken(defended, digits, PGD(steps=20), 0.15, count=400)
    assert broken(defended, digits, PGD(steps=20, eot=16), 0.15, count=400) > once + 0.03


def test_the_straight_through_gradient_beats_the_votes_own_which_is_zero(trainer: Any, digits: Digits) -> None:
    class Counted(Classifier):
        randomised = True

        def forward(self, x: Tensor) -> Tensor:
            return self.outputs(x).scores

        def outputs(self, x: Tensor) -> Any:
            scores, rejection = defended.outputs(x)
            return type(defended.outputs(x))(scores.detach() + 0 * x.flatten(1).sum(1, keepdim=True), rejection)

    defended = Smoothing(sigma=0.25, votes=8)(trainer)
    blind = Counted(defended.network, defended.scheme)
    attack = PGD(steps=20, eot=4)
    assert broken(defended, digits, attack, 0.15) > broken(defended, digits, attack, 0.15, blind) + 0.2


def setting(trained: bool) -> Setting:
    return Setting(None, None, None, Undefended(), PGD(), "linf", "untargeted", trained)  # type: ignore[arg-type]


def test_given_weights_are_refused_unless_they_are_taken_as_they_are() -> None:
    assert "train_noise = false" in str(Smoothing().refuse(setting(trained=False)))
    assert Smoothing(train_noise=False).refuse(setting(trained=False)) is None
    assert Smoothing().refuse(setting(trained=True)) is None


def test_noise_of_no_size_is_named() -> None:
    with pytest.raises(ValueError, match="sigma"):
        Smoothing(sigma=0)
