"""The evaluator believes no attack: images are verified, failures are words, and nothing is left disturbed."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from toy import Descent, Idle, Nearest, Rogue, Suspicious

from tiltyard import Batch, Category, Classifier, Incompatible, Outputs, Threat, Victim, margin
from tiltyard.evaluator import evaluate
from tiltyard.evaluator.verdict import judge
from tiltyard.testing import linear_victim

EPS = 0.1


def _batch(victim: Classifier, count: int = 8, **more: object) -> Batch:
    x = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(3))
    return Batch(x, victim(x).argmax(1), torch.arange(100, 100 + count), **more)  # type: ignore[arg-type]


def _run(attack, victim, batch, eps=EPS, **more):
    return evaluate(victim, attack, batch, (Threat("linf", eps),), (eps,), **more).records


@pytest.mark.parametrize(
    ("crime", "status"),
    [
        ("raise", "error"),
        ("nan", "violated"),
        ("outside the ball", "violated"),
        ("outside the box", "violated"),
        ("just outside the ball", "repaired"),
        ("shape", "error"),
        ("integers", "error"),
        ("nothing", "error"),
        ("mutate weights", "error"),
    ],
)
def test_a_misbehaving_attack_is_a_status_and_never_a_success(crime: str, status: str) -> None:
    victim = linear_victim()
    before = {name: tensor.clone() for name, tensor in victim.state_dict().items()}
    records = _run(Rogue(crime), victim, _batch(victim))
    assert set(records["status"]) == {status}
    if status != "repaired":
        assert not records["success"].any()
        assert records["distance"].isna().all()
        assert records["reason"].notna().all()
    assert all(torch.equal(tensor, before[name]) for name, tensor in victim.state_dict().items())


@dataclass(frozen=True)
class Hanging:
    """Never comes to an end, and catches whatever an honest attack may catch."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> torch.Tensor:
        while True:
            with contextlib.suppress(Exception):
                victim(batch.x)


def test_a_hanging_attack_is_broken_off() -> None:
    victim = linear_victim()
    started = time.monotonic()
    records = _run(Hanging(), victim, _batch(victim), seconds=0.2)
    assert time.monotonic() - started < 10
    assert set(records["status"]) == {"timeout"}
    assert set(records["reason"]) == {"the attack was not done after 0.2 s"}
    assert not records["success"].any()
    assert set(_run(Descent(), victim, _batch(victim), seconds=60)["status"]) == {"ok"}
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_attack_that_overwrites_its_input_gains_nothing() -> None:
    victim = linear_victim()
    batch = _batch(victim)
    clean = batch.x.clone()
    records = _run(Rogue("mutate input"), victim, batch)
    assert torch.equal(batch.x, clean)
    assert set(records["status"]) == {"violated"}


def test_doing_nothing_at_all_is_an_error_and_not_robustness() -> None:
    victim = linear_victim()
    assert set(_run(Idle(), victim, _batch(victim))["status"]) == {"error"}


def test_an_attack_leaves_no_trace_on_random_states_modes_or_gradients() -> None:
    victim = linear_victim()
    victim.train()
    victim.network.eval()
    for parameter in victim.parameters():
        parameter.requires_grad_(True)
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    _run(Rogue("modes"), victim, _batch(victim))
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert victim.training
    assert not victim.network.training
    assert all(p.requires_grad and p.grad is None for p in victim.parameters())


def test_what_an_attack_prints_does_not_reach_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    victim = linear_victim()
    _run(Rogue("print"), victim, _batch(victim))
    assert capsys.readouterr().out == ""


def test_a_refusal_is_passed_on() -> None:
    victim = linear_victim()
    with pytest.raises(Incompatible, match="not this one"):
        _run(Rogue("refuse"), victim, _batch(victim))


def test_a_batch_that_does_not_fit_in_memory_is_halved() -> None:
    victim = linear_victim()
    records = _run(Rogue("memory"), victim, _batch(victim, 9))
    assert set(records["status"]) == {"ok"}
    assert records["forwards"].tolist() == [1] * 9


def test_records_agree_with_the_closed_form_of_a_linear_victim() -> None:
    """Under linf the margin to class j falls by at most eps * |w_y - w_j|_1, as long as no pixel hits the box."""
    torch.manual_seed(0)
    layer = nn.Linear(36, 2)
    victim = Classifier(nn.Sequential(nn.Flatten(), layer), Category(2)).eval()
    x = 0.3 + 0.4 * torch.rand(32, 1, 6, 6)
    y = victim(x).argmax(1)
    batch = Batch(x, y, torch.arange(32))
    needed = margin(victim(x), y) / (layer.weight[0] - layer.weight[1]).abs().sum()
    records = evaluate(victim, Descent(1), batch, (Threat("linf", 0.05), Threat("linf", 0.1)), (0.05, 0.1)).records
    for eps, rows in records.groupby("eps"):
        assert rows["success"].tolist() == (needed < eps).tolist()


def test_one_run_of_a_minimal_attack_is_scored_at_every_eps() -> None:
    victim = linear_victim()
    grid = (0.1, 0.2, 0.4, 0.8, 1.6)
    records = evaluate(victim, Nearest(), _batch(victim), (Threat("l2"),), grid).records
    found = records.groupby("eps")["success"].sum()
    assert found.is_monotonic_increasing
    assert records["forwards"].max() == 61
    assert (records.loc[records["success"], "distance"] <= records.loc[records["success"], "eps"] * 1.00001).all()


@pytest.mark.parametrize("eps", [0.1, 1 / 255, 0.5 / 255, 1e-4])
def test_an_image_on_the_surface_of_a_small_ball_is_inside_it(eps: float) -> None:
    """x + eps is rounded to float32: the overshoot that makes is no violation, nor a failure of the attack."""
    victim = linear_victim()
    victim.network[1].weight.mul_(1e4)
    records = _run(Descent(1), victim, _batch(victim), eps=eps)
    assert set(records["status"]) == {"ok"}
    needed = margin(victim(_batch(victim).x), _batch(victim).y) < 1e4 * eps
    assert records["success"].sum() >= int(needed.sum())


def test_wrong_samples_are_not_attacked_and_the_others_are() -> None:
    victim = linear_victim()
    batch = _batch(victim)
    y = batch.y.clone()
    y[:3] = (y[:3] + 1) % 4
    records = _run(Descent(), victim, Batch(batch.x, y, batch.ids))
    assert records["status"].tolist() == ["not_attacked"] * 3 + ["ok"] * 5
    assert records["forwards"].tolist() == [0] * 3 + [5] * 5
    assert not records["success"][:3].any()


def test_a_batch_of_wrong_samples_alone_never_reaches_the_attack() -> None:
    victim = linear_victim()
    batch = _batch(victim)
    records = _run(Rogue("raise"), victim, Batch(batch.x, (batch.y + 1) % 4, batch.ids))
    assert set(records["status"]) == {"not_attacked"}


class _Broken(Classifier):
    def outputs(self, x):
        scores = super().outputs(x).scores
        return type(super().outputs(x))(torch.where(x.flatten(1).amax(1, keepdim=True) > 0.97, torch.nan, scores))


def test_scores_that_are_not_finite_are_never_a_success() -> None:
    plain = linear_victim()
    batch = _batch(plain)
    batch = Batch(batch.x * 0.9, plain(batch.x * 0.9).argmax(1), batch.ids)
    victim = _Broken(plain.network, plain.scheme).eval()
    records = _run(Descent(), victim, batch, eps=0.5)
    assert set(records["status"]) == {"undefined"}
    assert not records["success"].any()


@pytest.mark.parametrize("targets", ["random", "next", "least_likely", "all"])
def test_targeted_runs_record_both_leaving_the_class_and_reaching_the_target(targets: str) -> None:
    victim = linear_victim()
    batch = _batch(victim)
    records = evaluate(
        victim, Descent(), batch, (Threat("linf", 0.3, goal="targeted"),), (0.3,), targets=targets
    ).records
    assert len(records) == 8 * (3 if targets == "all" else 1)
    assert (records["target"] != records["label"]).all()
    assert records["reached_target"].any()
    assert (records["left_class"] | ~records["reached_target"].astype(bool)).all()
    assert (records["success"] == records["reached_target"]).all()
    scores = victim(batch.x)
    if targets == "least_likely":
        assert records["target"].tolist() == scores.argmin(1).tolist()
    if targets == "next":
        assert records["target"].tolist() == ((batch.y + 1) % 4).tolist()


def test_random_targets_belong_to_the_sample_and_not_to_the_batch() -> None:
    victim = linear_victim()
    batch = _batch(victim, 16)
    threat = (Threat("linf", 0.3, goal="targeted"),)
    records = evaluate(victim, Descent(), batch, threat, (0.3,)).records
    whole = records["target"].tolist()
    parts = [
        evaluate(victim, Descent(), batch[i], threat, (0.3,)).records["target"].tolist()
        for i in torch.arange(16).split(5)
    ]
    assert whole == [target for part in parts for target in part]
    assert set((records["target"] - records["label"]) % 4) == {1, 2, 3}


def test_a_detector_counts_as_broken_only_when_the_image_is_wrong_and_accepted() -> None:
    plain = linear_victim()
    victim = Suspicious(plain.network, plain.scheme).eval()
    x = _batch(plain, 32).x * 0.8
    batch = Batch(x, plain(x).argmax(1), torch.arange(32))
    records = _run(Descent(20), victim, batch, eps=0.2)
    assert records["success"].any()
    assert not (records["success"] & records["rejected"]).any()
    assert (records["margin"][records["success"]] < 0).all()


def test_folded_scores_have_the_joint_margin() -> None:
    """An attack's margin is max(margin of the scores, rejection margin), untargeted and targeted."""
    plain = linear_victim()
    victim = Suspicious(plain.network, plain.scheme).eval()
    batch = _batch(plain, 16)
    scores, rejection = victim.outputs(batch.x)
    for target in (None, (batch.y + 1) % 4):
        seen = Victim(victim, Batch(batch.x, batch.y, batch.ids, target))
        joint = torch.maximum(margin(scores, batch.y, target), rejection)
        assert torch.allclose(margin(seen(batch.x), batch.y, target), joint, atol=1e-5)


def test_passes_are_counted_for_the_sample_they_were_spent_on() -> None:
    plain = linear_victim()
    batch = _batch(plain)
    victim = Victim(plain, batch)
    x = batch.x.clone().requires_grad_()
    torch.autograd.grad(victim(x).sum(), x)
    victim(batch.x[2:4] + 0.01)
    victim(batch.x[[5]])
    assert victim.forwards.tolist() == [1, 1, 2, 2, 1, 2, 1, 1]
    assert victim.backwards.tolist() == [1] * 8


def test_a_float64_network_is_attacked_in_float32_images() -> None:
    victim = linear_victim().double()
    batch = _batch(linear_victim())
    records = _run(Descent(), victim, batch, eps=0.3)
    assert set(records["status"]) == {"ok"}
    assert records["success"].any()


def test_verdicts_are_in_float32_whatever_torch_takes_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen: set[bool] = set()

    class Watching(Classifier):
        def outputs(self, x: torch.Tensor) -> Outputs:
            seen.add(torch.backends.cudnn.allow_tf32)
            return super().outputs(x)

    linear = linear_victim()
    victim = Watching(linear.network, linear.scheme).eval()
    batch = _batch(linear)
    judge(victim, batch)
    assert seen == {False}
    assert torch.backends.cudnn.allow_tf32
