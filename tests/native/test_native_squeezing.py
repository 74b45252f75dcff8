"""Feature squeezing: its threshold, its rejection margin, and what an adaptive attacker makes of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Classifier, Incompatible, LabelScheme, Threat, Victim, margin
from tiltyard_native.attacks import PGD
from tiltyard_native.defences import Squeezing, Undefended
from tiltyard_native.defences.detector import SqueezingDetector
from tiltyard_native.defences.squeezers import bit_depth, median

Digits = tuple[Tensor, Tensor]


def detector(trainer: Any, **keys: Any) -> SqueezingDetector:
    defended = Squeezing(**({"squeezers": ("bit_depth",), "bits": 2} | keys))(trainer)
    assert isinstance(defended, SqueezingDetector)
    return defended


def squeezing_score(classifier: Classifier, x: Tensor, squeezed: list[Tensor]) -> Tensor:
    """Largest l1 distance of softmax vectors, one forward for each."""
    own = classifier(x).softmax(1)
    return torch.stack([(classifier(other).softmax(1) - own).abs().sum(1) for other in squeezed]).amax(0)


def test_false_positives_on_fresh_images_are_as_many_as_asked_for(trainer: Any, digits: Digits) -> None:
    """597 images to fit and 600 fresh ones: a rate of 0.05 has a standard error of 0.013."""
    x = digits[0][1197:]
    for rate in (0.05, 0.2):
        defended = detector(trainer, false_positive_rate=rate)
        assert float(defended.held_out_rate) == pytest.approx(rate, abs=1 / 597)
        assert float(defended.held_out_rate) <= rate
        assert float((defended.outputs(x).rejection > 0).float().mean()) == pytest.approx(rate, abs=0.045)


def test_the_threshold_is_the_papers_order_statistic(trainer: Any) -> None:
    held_out, _ = trainer.held_out
    plain = trainer()
    defended = detector(trainer, squeezers=("bit_depth", "median"))
    scores = squeezing_score(plain, held_out, [bit_depth(held_out, 2), median(held_out, 2)]).sort().values
    index = math.ceil(len(scores) * 0.95) - 1
    assert float(defended.threshold) == pytest.approx(float(scores[index]), abs=1e-5)


def test_rejection_comes_with_the_scores_from_one_call_of_the_network(trainer: Any, digits: Digits) -> None:
    x = digits[0][1197:1229]
    defended = detector(trainer, squeezers=("bit_depth", "median", "resampling"))
    sizes: list[int] = []
    defended.network.register_forward_hook(lambda module, given, out: sizes.append(len(given[0])))
    scores, rejection = defended.outputs(x)
    assert sizes == [4 * 32]
    assert rejection is not None
    assert torch.allclose(scores, defended.network(x), atol=1e-5)
    assert torch.equal(defended(x), scores)


def test_rejection_is_signed_by_the_threshold_and_as_large_as_the_margins(trainer: Any) -> None:
    x, y = trainer.held_out
    plain, defended = trainer(), detector(trainer)
    scores, rejection = defended.outputs(x)
    assert rejection is not None
    moved = squeezing_score(plain, x, [bit_depth(x, 2)])
    assert float(((rejection > 0) == (moved > defended.threshold)).float().mean()) > 0.995
    at = moved.sort().values[math.ceil(len(x) * 0.95) - 1]
    assert int((rejection > 0).sum()) == int((moved > at + 1e-6).sum())
    assert float(rejection.abs().median()) == pytest.approx(float(margin(scores, y).abs().median()), rel=1e-3)


@pytest.mark.parametrize("squeezer", ["bit_depth", "median", "non_local_means", "resampling"])
@pytest.mark.parametrize("mode", ["detector", "classifier"])
def test_every_squeezer_lets_a_gradient_through(trainer: Any, digits: Digits, squeezer: str, mode: str) -> None:
    x, y = digits[0][1197:1213].clone().requires_grad_(), digits[1][1197:1213]
    defended = Squeezing(squeezers=(squeezer,), bits=2, search=5, strength=0.2, mode=mode)(trainer)  # type: ignore[arg-type]
    scores, rejection = defended.outputs(x)
    value = margin(scores, y) if rejection is None else rejection
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert bool((gradient.flatten(1).abs().amax(1) > 0).all())


def test_a_classifier_predicts_and_is_scored_on_the_squeezed_image(trainer: Any, digits: Digits) -> None:
    x, y = digits[0][1197:], digits[1][1197:]
    plain = trainer()
    defended = Squeezing(squeezers=("median", "bit_depth"), bits=2, mode="classifier")(trainer)
    squeezed = bit_depth(median(x, 2), 2)
    assert torch.allclose(defended(x), plain(squeezed), atol=1e-5)
    assert torch.allclose(defended.loss(x, y), plain.loss(squeezed, y), atol=1e-5)
    assert defended.outputs(x).rejection is None
    assert defended.classes == 10


def test_an_adaptive_attack_evades_far_more_often_than_an_oblivious_one(trainer: Any, digits: Digits) -> None:
    x, y = digits[0][1197:1397], digits[1][1197:1397]
    plain, defended = trainer(), detector(trainer)
    scores, rejection = defended.outputs(x)
    assert rejection is not None
    kept = (scores.argmax(1) == y) & (rejection <= 0)
    batch = Batch(x, y, torch.arange(200))[kept]

    def evaded(seen: Classifier) -> float:
        image = PGD(steps=20)(Victim(seen, batch), batch, Threat("linf", 0.15))
        scores, rejection = defended.outputs(image)
        assert rejection is not None
        return float(((scores.argmax(1) != batch.y) & (rejection <= 0)).float().mean())

    assert evaded(defended) > 1.5 * evaded(plain)


def test_a_detector_works_on_codes_and_copies_with_its_threshold() -> None:
    generator = torch.Generator().manual_seed(0)
    scheme = LabelScheme(torch.randn(4, 3, 2, generator=generator))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Unflatten(1, (3, 2)))
    x = torch.rand(50, 1, 8, 8, generator=generator)
    y = Classifier(network, scheme)(x).argmax(1)
    defended = Squeezing(bits=1)(Given(Classifier(network, scheme), (x, y)))
    scores, rejection = defended.outputs(x)
    assert scores.shape == (50, 4)
    assert rejection is not None
    assert int((rejection > 0).sum()) <= 2
    assert set(defended.state_dict()) >= {"threshold", "scale", "held_out_rate"}


class Given:
    """A trainer that has one classifier to give."""

    def __init__(self, classifier: Classifier, held_out: Digits) -> None:
        self.classifier, self.scheme, self.held_out = classifier, classifier.scheme, held_out

    def __call__(self, objective: object = None, *, key: str = "") -> Classifier:
        return self.classifier


def test_images_that_squeezing_does_not_change_give_a_threshold_of_zero_and_a_finite_margin(trainer: Any) -> None:
    binary = (trainer.held_out[0] > 0.5).float()
    defended = Squeezing(squeezers=("bit_depth",), bits=1)(Given(trainer(), (binary, trainer.held_out[1])))
    rejection = defended.outputs(binary).rejection
    assert rejection is not None
    assert float(rejection.abs().max()) == 0.0


def test_no_held_out_images_is_told_and_not_fitted(trainer: Any) -> None:
    trainer.held_out = (trainer.x[:0], trainer.y[:0])
    with pytest.raises(Incompatible, match="held-out"):
        Squeezing()(trainer)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"squeezers": ()}, "squeezers"),
        ({"squeezers": ("median", "median")}, "at most once"),
        ({"bits": 9}, "bits = 9"),
        ({"search": 4}, "search = 4 must be odd"),
        ({"patch": 2}, "patch = 2 must be odd"),
        ({"strength": 0.0}, "strength"),
        ({"false_positive_rate": 1.0}, "false_positive_rate"),
    ],
)
def test_wrong_keys_are_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Squeezing(**keys)


def test_no_defence_is_the_trained_classifier(trainer: Any, digits: Digits) -> None:
    x = digits[0][:5]
    assert np.allclose(Undefended()(trainer)(x), trainer()(x))
    assert trainer.keys == ["", ""]
