"""The saliency map attack against a straight-line form, and the softmax that it is blind behind."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Threat, Victim, distance
from tiltyard_studies.jsma import JSMA, _pair

CLASSES, COUNT = 4, 5


def _classifier(sharpness: float = 1.0) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(54, CLASSES))
    last = network[-1]
    assert isinstance(last, nn.Linear)
    last.weight.data *= sharpness
    last.bias.data *= sharpness
    return Classifier(network, Category(CLASSES)).eval().requires_grad_(False)


def _batch(classifier: Classifier, targeted: bool = True) -> Batch:
    x = torch.rand(COUNT, 1, 5, 5, generator=torch.Generator().manual_seed(2))
    y = classifier(x).argmax(1)
    return Batch(x, y, torch.arange(COUNT) + 3, (y + 1) % CLASSES if targeted else None)


def _straight(classifier: Classifier, x: Tensor, target: int, values: int, on: str) -> Tensor:
    """The algorithm as its paper tells it: one image, the whole Jacobian, all pairs in a loop."""
    image = x.clone()
    for _ in range(values // 2):
        if int(classifier(image.unsqueeze(0)).argmax()) == target:
            break

        def outputs(flat: Tensor) -> Tensor:
            logits = classifier.raw(flat.view(1, 1, 5, 5))[0]
            return logits.softmax(0) if on == "softmax" else logits

        jacobian = torch.autograd.functional.jacobian(outputs, image.flatten())
        up, down = jacobian[target], jacobian.sum(0) - jacobian[target]
        merits = {
            (p, q): float(-(up[p] + up[q]) * (down[p] + down[q]))
            for p, q in itertools.combinations(range(25), 2)
            if image.flatten()[p] < 1 and image.flatten()[q] < 1 and up[p] + up[q] > 0 > down[p] + down[q]
        }
        if not merits:
            break
        image.view(-1)[list(max(merits, key=lambda pair: merits[pair]))] = 1
    return image


@pytest.mark.parametrize("on", ["softmax", "logits"])
@pytest.mark.parametrize("values", [2, 7, 24])
def test_it_is_the_algorithm_of_its_paper(on: str, values: int) -> None:
    classifier = _classifier()
    batch = _batch(classifier)
    found = JSMA(on=on)(Victim(classifier, batch, 2), batch, Threat("l0", values, "targeted"))  # type: ignore[arg-type]
    assert batch.target is not None
    for n in range(COUNT):
        wanted = _straight(classifier, batch.x[n], int(batch.target[n]), values, on)
        torch.testing.assert_close(found[n], wanted)
    assert (distance(found - batch.x, "l0") <= values).all()
    assert bool((classifier(found).argmax(1) == batch.target).any()) or values == 2


def test_without_a_target_it_goes_for_the_strongest_other_class() -> None:
    classifier = _classifier()
    free = _batch(classifier, targeted=False)
    scores = classifier(free.x)
    runner_up = scores.topk(2).indices[:, 1]
    aimed = Batch(free.x, free.y, free.ids, runner_up)
    found = JSMA()(Victim(classifier, free), free, Threat("l0", 10))
    assert torch.equal(found, JSMA()(Victim(classifier, aimed), aimed, Threat("l0", 10, "targeted")))


def test_a_saturated_softmax_stops_it_and_the_logits_do_not() -> None:
    """What defensive distillation at a high temperature does to a network, without any training."""
    soft, sharp = _classifier(), _classifier(1e5)
    batch = _batch(soft)
    threat = Threat("l0", 24, "targeted")
    assert batch.target is not None
    assert torch.equal(JSMA()(Victim(sharp, batch), batch, threat), batch.x)
    beyond = JSMA(on="logits")(Victim(sharp, batch), batch, threat)
    assert torch.equal(beyond, JSMA(on="logits")(Victim(soft, batch), batch, threat))
    assert bool((sharp(beyond).argmax(1) == batch.target).any())


def test_small_slopes_are_not_taken_for_none() -> None:
    up = torch.tensor([1.0, 3.0, -1.0, 2.0])
    pairs = [_pair(scale * up, -scale * up, torch.tensor([True] * 4)) for scale in (1.0, 1e-30)]
    for pair in pairs:
        assert pair is not None
        assert sorted(pair.tolist()) == [1, 3]


@pytest.mark.parametrize("likeness", [-1.0, -0.9, 0.0, 0.9, 1.0])
def test_the_best_of_all_pairs_is_found_among_a_few(likeness: float) -> None:
    generator = torch.Generator().manual_seed(5)
    for size in (2, 3, 40):
        noise, up = torch.randn(2, size, generator=generator)
        down = -likeness * up - (1 - likeness**2) ** 0.5 * noise
        pairs = itertools.combinations(range(size), 2)
        merits = {
            (p, q): -(up[p] + up[q]) * (down[p] + down[q]) for p, q in pairs if up[p] + up[q] > 0 > down[p] + down[q]
        }
        found = _pair(up, down, torch.ones(size, dtype=torch.bool))
        if merits:
            assert found is not None
            assert tuple(sorted(found.tolist())) == max(merits, key=lambda pair: merits[pair])
        else:
            assert found is None


def test_values_that_are_one_already_are_no_candidates() -> None:
    up = torch.tensor([1.0, 3.0, 0.5, 2.0])
    assert sorted(_pair(up, -up, torch.tensor([True, False, True, True])).tolist()) == [0, 3]  # type: ignore[union-attr]
    assert _pair(up, -up, torch.tensor([True, False, False, False])) is None
    assert _pair(-up, up, torch.tensor([True] * 4)) is None
