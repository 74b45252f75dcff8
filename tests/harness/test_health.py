"""Every property of the health checks can fail, names the attack that lacks it, and no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from crooked_attacks import CROOKS, Body, Crook, drawn_for_the_batch, honest
from torch import Tensor
from toy import Nearest, Rogue

from tiltyard import Batch, Threat, Victim, distance
from tiltyard.events import AttackExamined
from tiltyard.health import PROPERTIES, UNCHECKED, Health, check, health_id, sound
from tiltyard.health.arena import SAMPLES, arena, bystanders
from tiltyard.plugins import Plugins
from tiltyard.results import read_json
from tiltyard.spec import Plan

REPOSITORY = Path(__file__).parents[2]
NATIVE = Plugins().load("native").factories["attacks"]


@pytest.fixture
def planned(planned: Callable[..., Plan]) -> Callable[..., Plan]:
    return partial(planned, checked=True)


def _failed(found: Health) -> set[str]:
    return {each.property for each in found.failed}


@pytest.mark.parametrize(("crook", "lacks"), CROOKS, ids=lambda one: getattr(one, "__name__", None))
def test_a_crook_lacks_its_property_and_no_other(crook: Body | Crook, lacks: set[str]) -> None:
    found = check(Crook(crook) if callable(crook) and not hasattr(crook, "norms") else crook, "linf")
    assert _failed(found) == lacks, [(each.property, each.evidence) for each in found.failed]


@dataclass(frozen=True)
class RawCW:
    """``torchattacks.CW`` as it is, which compares the label's score with 0 and starts from atanh of the image."""

    norms: ClassVar[frozenset[str]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        from torchattacks import CW

        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.device = torch.nn.Parameter(torch.empty(0))
                self.ask = victim.__call__

            def forward(self, x: Tensor) -> Tensor:
                return self.ask(x)

        return CW(Model(), c=10, steps=100)(batch.x, batch.y).detach()


def test_the_known_faults_of_a_library_are_found() -> None:
    pytest.importorskip("torchattacks")
    assert {"logit shift", "saturated pixels"} <= {fault.property for fault in check(RawCW(), "l2").faults}


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@pytest.mark.parametrize("images", ["grey", "black and white"])
def test_samples_lie_where_the_closed_form_says(norm: str, classes: int, images: str) -> None:
    """Twice as far in the best direction all break; a twentieth less than the optimum in that direction none does."""
    place = arena(norm, classes, images)
    assert len(place.x) == SAMPLES
    assert torch.equal(place.classifier(place.x).argmax(1), place.y)
    assert {classes - 1} <= set(place.y.tolist())
    assert (place.classifier(place.nearest).argmax(1) != place.y).all()
    assert (distance(place.nearest - place.x, norm) <= 2 * place.optimum * (1 + 1e-5)).all()
    if images == "black and white":
        assert set(place.x.unique().tolist()) == {0.0, 1.0}
    if norm != "l0":
        short = place.x + 0.475 * (place.nearest - place.x)
        assert (place.classifier(short).argmax(1) == place.y).all()


def test_bystanders_are_what_they_are_called() -> None:
    for norm in ("linf", "l2", "l1", "l0"):
        near = float(arena(norm).optimum.max())
        assert float(bystanders(norm, "hopeless").optimum.min()) >= 4 * near  # what the blind are given
        assert float(bystanders(norm, "easy").optimum.max()) <= max(0.2 * near, 1)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "transfer"])
def test_honest_attacks_have_every_property(name: str) -> None:
    attack = NATIVE[name]()
    for norm in sorted(attack.norms):
        found = check(attack, norm)
        assert not found.failed, [(each.property, each.evidence) for each in found.failed]
        assert found.badge == "passed"


def test_noise_is_weak_and_says_so_itself() -> None:
    found = check(NATIVE["noise"](), "linf")
    assert found.badge == "fails: strength"
    assert [each.known for each in found.faults] == [True]
    assert not sound(found.badge)


def test_what_does_not_apply_is_said_with_its_reason() -> None:
    why = {each.property: each.evidence for each in check(Nearest(), "l2").findings if each.result == "not applicable"}
    assert why == {
        "eps monotone": "it ignores eps",
        "eps zero": "it ignores eps",
        "targets": "it has no targeted mode",
    }
    refusing = check(Rogue("refuse"), "linf")
    assert refusing.badge == "not checked: not this one"
    assert not sound(refusing.badge)


@dataclass(frozen=True)
class Slow:
    """Takes a hundredth of a second for each step."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})
    steps: int = 10_000

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        images = honest(victim, batch, threat)
        with torch.no_grad():
            won = bool((batch.margin(victim(images)) < 0).all())
        for _ in range(0 if won else self.steps):
            time.sleep(0.01)
        return images


def test_a_slow_search_is_checked_with_less_of_its_budget() -> None:
    found = check(Slow(), "linf", 20.0)
    assert found.cut["steps"] < 400
    assert found.badge == "passed"
    assert found.seconds < 25


def test_an_attack_that_never_ends_is_not_waited_for() -> None:
    def endless(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        while True:
            victim(batch.x)

    started = time.monotonic()
    found = check(Crook(endless), "linf", 2.0)
    assert time.monotonic() - started < 20
    assert found.badge == "not finished"
    assert not sound(found.badge)


def test_side_effects_are_put_back_after_they_were_seen() -> None:
    fast = torch.backends.cudnn.benchmark

    def meddles(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        torch.backends.cudnn.benchmark = not fast
        torch.set_default_dtype(torch.float64)
        os.environ["TILTYARD_CROOK"] = "was here"
        torch.manual_seed(1)
        return honest(victim, batch, threat)

    state = torch.get_rng_state()
    found = check(Crook(meddles), "linf")
    assert {"settings", "modes", "random state"} <= _failed(found)
    assert torch.backends.cudnn.benchmark == fast
    assert torch.get_default_dtype() == torch.float32
    assert "TILTYARD_CROOK" not in os.environ
    assert torch.equal(torch.get_rng_state(), state)


def test_only_faults_keep_an_attack_from_a_leaderboard() -> None:
    assert sound(check(Crook(drawn_for_the_batch), "linf").badge)
    assert check(Crook(drawn_for_the_batch), "linf").badge == "passed; noted: batch permutation, batch size"
    assert sound(UNCHECKED)
    assert sound(None)
    assert not sound("fails: strength")


def test_every_property_is_explained() -> None:
    page = (REPOSITORY / "docs" / "doctor.md").read_text()
    for each in PROPERTIES:
        assert f"| {each.name} | {each.sentence} |" in page


def test_a_run_checks_each_attack_once_and_badges_its_rows(planned, run, tmp_path) -> None:
    plan = planned()
    fine, events, results = run(plan)
    assert fine
    assert [(e.attack, e.norm, e.badge) for e in events if isinstance(e, AttackExamined)] == [
        ("toy.descent", "linf", "passed")
    ]
    assert results.table["health"].tolist() == ["passed", "passed"]
    kept = tmp_path / "results" / "health" / f"{health_id(plan.cells[0].attack, 'linf')}.json"
    assert read_json(kept)["attack"] == "toy.descent"
    _, events, _ = run(plan)
    assert not [event for event in events if isinstance(event, AttackExamined)]


def test_the_checks_can_be_switched_off(planned, run) -> None:
    plan = planned(('name = "toy"', 'name = "toy"\ndoctor = false'))
    _, events, results = run(plan)
    assert not [event for event in events if isinstance(event, AttackExamined)]
    assert results.table["health"].tolist() == ["unchecked", "unchecked"]
    assert len(results.leaderboard) == 2


def test_rows_of_a_faulty_attack_stay_but_list_nobody(planned, run) -> None:
    _, _, results = run(planned(('use = "toy.descent"', 'use = "native.noise"')))
    assert results.table["health"].tolist() == ["fails: strength"] * 2
    assert results.table["robust_accuracy"].notna().all()
    assert results.leaderboard.empty
    both = planned(extra='\n[[attack]]\nuse = "native.noise"\n')
    _, _, results = run(both)
    assert len(results.leaderboard) == 2
