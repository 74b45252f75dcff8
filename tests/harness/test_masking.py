"""The masking report names what each crooked network does, and has nothing to say of honest ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from crooked import (
    Detached,
    Digits,
    Noisy,
    Poisoned,
    Quantised,
    Scaled,
    adversarially,
    coded,
    fitted,
    softmax_outputs,
)
from torch import Tensor, nn

import tiltyard
from tiltyard import Batch, Threat, Victim
from tiltyard.events import CellFinished, VictimProbed
from tiltyard.masking.trials import Trial, compare
from tiltyard.results import Results
from tiltyard.spec import Plan

PGD = {"use": "native.pgd", "steps": 20}
REFERENCE = ({"use": "native.fgsm", "loss": "ce"}, {"use": "native.bim", "loss": "ce"})
RADII = {"linf": [0.05, 0.1, 0.2], "l2": [0.3, 0.6, 1.2], "l1": [1.0, 2.0, 4.0]}


@pytest.fixture
def planned(planned: Callable[..., Plan]) -> Callable[..., Plan]:
    return partial(planned, checked=True)


def report(data: Digits, network: nn.Module, norm: str = "linf", attacks=(PGD,)) -> Results:
    threat = {"norm": norm, "eps": RADII[norm]}
    return tiltyard.evaluate(network, data.test_x[:80], data.test_y[:80], list(attacks), threat, device="cpu")


def raised(results: Results) -> dict[str, str]:
    """The evidence of every indicator that is raised, by name."""
    rows = results.csv("masking")
    rows = rows[rows["raised"].fillna(False)]
    return dict(zip(rows["indicator"], rows["evidence"], strict=True))


CROOKED: dict[str, tuple[Callable[[nn.Module], nn.Module], set[str]]] = {
    "quantised input": (Quantised, {"zero gradient", "black box beats white box", "not at chance", "weak attacks"}),
    "logits times 10,000": (lambda network: Scaled(network, 1e4), {"saturated", "cross-entropy fails"}),
    "softmax outputs": (softmax_outputs, {"probabilities"}),
    "no graph": (Detached, {"zero gradient", "black box beats white box"}),
    "a graph of zeros": (lambda network: Detached(network, softly=True), {"zero gradient", "not at chance"}),
    "noise": (lambda network: Noisy(network, declared=False), {"randomised"}),
    "declared noise": (lambda network: Noisy(network, declared=True), {"randomised"}),
    "no numbers": (lambda network: Poisoned(network, 0.4), {"undefined scores"}),
}


@pytest.mark.parametrize("name", CROOKED)
def test_a_crooked_network_is_flagged_for_what_it_does(name: str, data: Digits, honest: nn.Module) -> None:
    make, expected = CROOKED[name]
    results = report(data, make(honest))
    assert expected <= raised(results).keys()
    flags = [*results.table["flags"], *results.leaderboard["flags"]]  # an entry whose every cell failed has no rank
    assert len(flags) == (3 if name == "no graph" else 6)
    assert all(expected <= set(words.split("; ")) for words in flags)


def test_evidence_is_in_words_and_numbers(data: Digits, honest: nn.Module) -> None:
    found = raised(report(data, Quantised(honest)))
    assert found["zero gradient"] == "64 of 64 margins have no gradient"
    assert "does not require grad" in raised(report(data, Detached(honest)))["zero gradient"]
    assert "not declared" in raised(report(data, Noisy(honest, declared=False)))["randomised"]


def test_defensive_distillation_is_flagged_under_cross_entropy_and_under_the_margin(data: Digits) -> None:
    teacher = fitted(data, 1, temperature=100)
    student = fitted(data, 2, temperature=100, teacher=teacher.network).network
    assert {"saturated", "cross-entropy fails"} <= raised(report(data, student)).keys()
    assert "weak attacks" in raised(report(data, student, attacks=REFERENCE))


@pytest.mark.parametrize("seed", [0, 1])
def test_codes_under_the_label_study_s_own_attacks_are_flagged(seed: int, data: Digits) -> None:
    attacks = ({"use": "native.fgsm", "loss": "label"}, {"use": "native.bim", "loss": "label", "steps": 5})
    results = report(data, coded(data, seed), attacks=attacks)
    assert raised(results).keys() == {"weak attacks"}
    assert raised(report(data, coded(data, seed))) == {}


@pytest.mark.parametrize("norm", RADII)
def test_an_honest_network_raises_nothing(norm: str, data: Digits, honest: nn.Module) -> None:
    results = report(data, honest, norm)
    assert raised(results) == {}
    assert results.table["flags"].isna().all()
    assert set(results.csv("masking")["raised"].dropna()) == {False}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", ["linear", "convolutional", "adversarially trained"])
def test_honest_networks_of_other_kinds_and_seeds_raise_nothing(kind: str, seed: int, data: Digits) -> None:
    def linear() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    options = {"linear": {"make": linear}, "adversarially trained": {"harden": adversarially, "epochs": 6}}
    network = fitted(data, seed, **options.get(kind, {})).network
    assert raised(report(data, network)) == {}


def test_the_reference_attacks_on_an_honest_network_raise_nothing(data: Digits, honest: nn.Module) -> None:
    assert raised(report(data, honest, attacks=REFERENCE)) == {}


def test_an_attack_that_gives_its_finds_away_is_flagged_and_no_other(data: Digits, honest: nn.Module) -> None:
    class Forgetful:
        """Finds what one gradient step finds, and returns the image it began with."""

        norms = frozenset({"linf"})

        def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
            x = batch.x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
            with torch.no_grad():
                victim((x - threat.eps * gradient.sign()).clamp(0, 1))
            return batch.x

    results = report(data, honest, attacks=(PGD, Forgetful()))
    assert "Forgetful met an adversarial image" in raised(results)["silent success"]
    flagged = results.table[results.table["flags"].notna()]
    assert set(flagged["attack"]) == {"Forgetful"}


def test_a_larger_ball_that_holds_more_is_flagged(data: Digits, honest: nn.Module) -> None:
    class Shy:
        """Gives up in large balls."""

        norms = frozenset({"linf"})

        def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
            image = batch.x
            for _ in range(10):
                x = image.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
                moved = x - threat.eps / 5 * gradient.sign() * (threat.eps <= 0.1)
                image = (batch.x + (moved - batch.x).clamp(-threat.eps, threat.eps)).clamp(0, 1)
            return image.detach()

    results = report(data, honest, attacks=(PGD, Shy()))
    assert "at eps 0.1" in raised(results)["not monotone"]
    assert set(results.table.loc[results.table["flags"].notna(), "attack"]) == {"Shy"}


def _trial(broken: int, count: int = 64) -> Trial:
    return Trial("attack", "white box", 0.1, tuple(range(count)), tuple(range(broken)))


def test_a_difference_counts_if_chance_does_not_explain_it_and_it_matters() -> None:
    few, many = _trial(10), _trial(15)
    assert not compare([many], [few]).first_wins  # five more of five: 3 %
    assert compare([_trial(16)], [few]).first_wins  # six more of six: 1.6 %
    assert not compare([few], [_trial(16)]).first_wins
    assert not compare([_trial(120, 1000)], [_trial(100, 1000)]).first_wins  # sure, and a difference of 2 %


def test_probes_are_kept_and_not_made_again(planned, run) -> None:
    _, events, first = run(planned())
    assert sum(isinstance(event, VictimProbed) for event in events) == 1
    kept = list(first.folder.glob("victims/*/masking-linf.json"))
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    _, events, second = run(planned())
    assert not any(isinstance(event, VictimProbed) for event in events)
    assert kept[0].stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(first.csv("masking"), second.csv("masking"))


def test_another_attack_of_the_study_is_looked_at_again(planned, run) -> None:
    run(planned())
    _, events, results = run(planned(extra='[[attack]]\nuse = "toy.descent"\nsteps = 9\n'))
    assert sum(isinstance(event, VictimProbed) for event in events) == 1
    assert "steps=9" in results.csv("masking").set_index("indicator").loc["weak attacks", "evidence"]


def test_the_report_can_be_turned_off(planned, run) -> None:
    _, events, results = run(planned(("samples = 24", "samples = 24\nmasking = false")))
    assert not any(isinstance(event, VictimProbed) for event in events)
    assert results.csv("masking").empty
    assert {path.name for path in results.folder.glob("victims/*/*")} <= {"codebook.json"}


def test_a_victim_that_cannot_be_probed_costs_no_results(planned, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiltyard.masking import probing

    def fail(*_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(probing, "probe", fail)
    fine, events, results = run(planned())
    assert fine
    assert [event.reason for event in events if isinstance(event, VictimProbed)] == ["RuntimeError: no such luck"]
    assert results.csv("masking")["raised"].isna().all()
    assert (results.table["status"] == "done").all()


def test_probes_do_not_depend_on_what_else_was_run(planned, run, tmp_path: Path) -> None:
    torch.manual_seed(1)
    _, _, one = run(planned(), tmp_path / "a")
    torch.manual_seed(2)
    _, events, two = run(planned(), tmp_path / "b")
    assert any(isinstance(event, CellFinished) for event in events)
    pd.testing.assert_frame_equal(one.csv("masking"), two.csv("masking"))


def test_a_detector_is_asked_whether_the_grey_image_gets_past_it(planned, run) -> None:
    _, _, results = run(planned(('use = "toy.none"', 'use = "toy.bright"')))
    rows = results.csv("masking").set_index("indicator")
    assert "the grey image" in rows.loc["not at chance", "evidence"]
    assert isinstance(rows.loc["zero gradient", "evidence"], str)
