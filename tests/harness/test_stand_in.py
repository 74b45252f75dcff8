"""Attacks may search on a faster network; verdicts stay with the victim, and nothing depends on the size of a pass."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from toy import Descent, Nearest, Suspicious

from tiltyard import Batch, Category, Classifier, Outputs, Threat, Victim
from tiltyard.contracts import declared
from tiltyard.evaluator import evaluate
from tiltyard.stand_in import CLOSE, StandIn, in_bfloat16, stand_in
from tiltyard.statistics import imprecise
from tiltyard_native.attacks import APGD, CW, DDN, FAB, FGSM, FMN, PGD, DeepFool, MultiTargeted, SigmaZero, Square

X = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(1))
EPS = 0.05


class Net(nn.Module):
    """Convolutions and BatchNorm, one pair in a branch that is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.second, self.other = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 64, 4)
        for norm in (self.norm, self.other):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight, 1, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x)).relu()
        return 4 * self.head((hidden + self.other(self.second(hidden))).relu().flatten(1))


class ReadTwice(Net):
    """What the second convolution makes is used with and without its BatchNorm: folding would change the sum."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(self.norm(self.first(x)).relu())
        return 4 * self.head((hidden + self.other(hidden)).relu().flatten(1))


class CalledTwice(Net):
    """One convolution does two things, only one of them normalised."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x)).relu()
        return 4 * self.head((self.second(hidden) + self.other(self.second(hidden.neg()))).relu().flatten(1))


class Unique(Net):
    """Refuses to be copied."""

    def __deepcopy__(self, memo: object) -> Net:
        raise RuntimeError("there is only one of me")


class Shaky(Classifier):
    """Adds noise of its own."""

    randomised = True

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(super().outputs(x).scores + torch.randn(len(x), 4))


def victim(network: nn.Module | None = None, kind: type[Classifier] = Classifier) -> Classifier:
    return kind(network or Net(), Category(4)).eval().requires_grad_(False)


def samples(classifier: Classifier) -> Batch:
    with torch.no_grad():
        scores = classifier(X.to(next(classifier.parameters()).dtype))
    return Batch(X, scores.argmax(1), torch.arange(50, 74), key="stand-in")


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_batchnorm_is_folded_and_the_victim_is_left_alone() -> None:
    classifier = victim()
    before = copy.deepcopy(classifier.state_dict())
    found = stand_in(classifier, X)
    assert norms(found.classifier) == 0
    assert norms(classifier) == 2
    assert torch.allclose(found.classifier(X), classifier(X), atol=CLOSE)
    assert 0 < found.doubt < CLOSE
    assert all(torch.equal(before[name], tensor) for name, tensor in classifier.state_dict().items())
    assert not any(module._forward_hooks for module in classifier.modules())


@pytest.mark.parametrize("network", [ReadTwice, CalledTwice, Unique])
def test_what_can_not_be_rewritten_says_the_same_still(network: type[nn.Module]) -> None:
    classifier = victim(network())
    found = stand_in(classifier, X)
    assert torch.allclose(found.classifier(X), classifier(X), atol=CLOSE)
    assert norms(found.classifier) > 0


def test_a_network_in_training_mode_keeps_its_batchnorm() -> None:
    classifier = victim()
    classifier.network.norm.train()
    assert norms(stand_in(classifier, X).classifier) >= 1


@pytest.mark.parametrize("kind", [Suspicious, Shaky])
def test_detectors_and_randomised_victims_are_stood_in_for(kind: type[Classifier]) -> None:
    found = stand_in(victim(kind=kind), X)
    assert isinstance(found.classifier, kind)
    assert norms(found.classifier) == 0


def test_a_pass_is_as_wide_as_its_activations_allow() -> None:
    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.wide(x).flatten(1)[:, :64])

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.wide, self.head = nn.Conv2d(1, channels, 1), nn.Linear(64, 4)

    assert stand_in(victim(), X).chunk == 128
    assert stand_in(victim(Wide(2**12)), X[:1]).chunk == 32  # a little over 1 MiB an image
    assert stand_in(victim(Wide(2**16)), X[:1]).chunk == 16


class Counting(Classifier):
    """Remembers the widest pass."""

    widest = 0

    def outputs(self, x: Tensor) -> Outputs:
        self.widest = max(self.widest, len(x))
        return super().outputs(x)


ATTACKS = {
    "linf": [FGSM(), PGD(steps=6), APGD(steps=6), MultiTargeted(steps=4), FAB(steps=4), FAB(steps=3, targets=2)],
    "l2": [DDN(steps=8), CW(steps=4, binary_search_steps=2), DeepFool(steps=4), FMN(steps=8), Square(queries=8)],
    "l0": [SigmaZero(steps=8)],
}


@pytest.mark.parametrize(("norm", "attack"), [(norm, attack) for norm in ATTACKS for attack in ATTACKS[norm]])
def test_images_do_not_depend_on_the_size_of_a_pass(norm: str, attack: object) -> None:
    classifier = victim(kind=Counting).double()
    batch = samples(classifier)
    threat = Threat(norm) if attack.minimal else Threat(norm, {"linf": EPS, "l2": 0.5}[norm])
    whole = attack(Victim(classifier, batch), batch, threat)
    classifier.widest = 0
    meter = Victim(classifier, batch, chunk=5)
    assert torch.allclose(attack(meter, batch, threat), whole, atol=1e-5)
    assert classifier.widest == 5
    assert int(meter.forwards.min()) > 0


def test_passes_are_counted_for_the_sample_whose_image_it_is() -> None:
    batch = samples(victim())
    meter = Victim(victim(), batch)
    meter(batch.x[3:5], batch.ids[3:5])
    meter(batch.x.flip(0), batch.ids.flip(0))
    assert meter.forwards.tolist() == [1, 1, 1, 2, 2] + [1] * 19


class Liar(Classifier):
    """Calls every sample broken as soon as the image has changed: a search on it ends after a step."""

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(-super().outputs(x).scores)


def records(classifier: Classifier, attack: object, *search: StandIn, eps: float = EPS):
    threat = Threat("linf", eps) if not declared(attack, "minimal") else Threat("linf")
    return evaluate(classifier, attack, samples(classifier), (threat,), (eps,), search=search).records


def test_whom_the_stand_in_says_broken_and_the_victim_does_not_is_attacked_again() -> None:
    classifier = victim()
    last = StandIn(classifier)
    alone = records(classifier, PGD(steps=10), last)
    assert 0 < int(alone["success"].sum()) < 24
    fooled = records(classifier, PGD(steps=10), StandIn(victim(classifier.network, Liar)), last)
    assert int(fooled["success"].sum()) < int(alone["success"].sum())  # without doubt its word is the last
    saved = records(classifier, PGD(steps=10), StandIn(victim(classifier.network, Liar), doubt=math.inf), last)
    assert saved["success"].tolist() == alone["success"].tolist()
    assert saved["flipped"].sum() > 0
    assert (saved["forwards"] >= alone["forwards"]).all()
    assert alone["flipped"].isna().all()


def test_doubt_is_about_margins_near_zero_only() -> None:
    classifier = victim()
    near = records(classifier, PGD(steps=2), StandIn(classifier, doubt=0.3), StandIn(classifier))
    once = records(classifier, PGD(steps=2), StandIn(classifier))
    again = near["forwards"] > once["forwards"]
    assert again.tolist() == ((once["margin"] >= 0) & (once["margin"] < 0.3)).tolist()
    assert again.any()


def test_bfloat16_searches_first_and_decides_nothing() -> None:
    classifier = victim()
    exact = stand_in(classifier, X)
    low = in_bfloat16(exact)
    assert next(low.classifier.parameters()).dtype == torch.bfloat16
    full = records(classifier, PGD(steps=10), exact, StandIn(classifier))
    found = records(classifier, PGD(steps=10), low, exact, StandIn(classifier))
    assert (found["success"] >= full["success"]).all()  # what bfloat16 leaves is searched in full precision
    assert found.loc[found["success"], "margin"].lt(0).all()
    assert found["flipped"].notna().all()


def test_minimal_attacks_are_not_begun_in_bfloat16() -> None:
    classifier = victim()
    exact = stand_in(classifier, X)
    found = records(classifier, Nearest(), in_bfloat16(exact), exact, StandIn(classifier), eps=1.0)
    assert found["flipped"].isna().all()


def test_a_search_that_was_often_wrong_is_refused() -> None:
    classifier = victim()
    liar = StandIn(victim(classifier.network, Liar), doubt=math.inf)
    assert imprecise(records(classifier, Descent(), StandIn(classifier))) is None
    reason = imprecise(records(classifier, Descent(), liar, StandIn(classifier), eps=1e-4))
    assert reason is not None
    assert "100.0%" in reason
    assert 'precision = "full"' in reason


def test_precision_is_part_of_a_cell_and_of_its_row(planned, run) -> None:
    full = planned()
    low = planned(('name = "toy"', 'name = "toy"\nprecision = "search_bf16"'))
    assert {cell.id for cell in full.cells}.isdisjoint(cell.id for cell in low.cells)
    fine, _, results = run(low)
    assert fine
    assert results.table["flip_rate"].between(0, 1).all()
    _, _, plain = run(full)
    assert plain.table["flip_rate"].isna().all()
    assert (results.table["robust_accuracy"] <= plain.table["robust_accuracy"]).all()


def test_a_cell_of_an_imprecise_search_fails_with_the_way_out(planned, run, monkeypatch) -> None:
    monkeypatch.setattr("tiltyard.victims.in_bfloat16", lying)
    low = planned(("samples = 24", 'samples = 60\nprecision = "search_bf16"'), ('["16/255", "32/255"]', "0.001"))
    fine, _, results = run(low)
    assert not fine
    assert results.table["status"].tolist() == ["failed"]
    assert 'set precision = "full"' in results.table["reason"].iloc[0]
    assert results.leaderboard["rank"].isna().all()


def lying(exact: StandIn) -> StandIn:
    classifier = Liar(exact.classifier.network, exact.classifier.scheme).eval().requires_grad_(False)
    return StandIn(classifier, exact.chunk, math.inf)
