"""Implementations side by side in one process: what each call took, what it asked of the network, what it found."""

from __future__ import annotations

import contextlib
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from contests import Contest
from pairs import Reference
from places import Loaded
from rivals import bare
from torch import Tensor, nn

from tiltyard import Attack, Batch, Category, Classifier, Norm, Threat, Victim, evaluate
from tiltyard.evaluator import evaluate as judged

BARE_STEPS = 20


@dataclass(frozen=True)
class Found:
    """What came of one implementation: robust accuracy and median distance, passes per image, seconds by round."""

    robust: float
    median: float
    forwards: float
    backwards: float
    seconds: Sequence[float]


class Counted(nn.Module):
    """The network, counting the images of every forward and of every backward to its input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.forwards = self.backwards = 0

    def forward(self, x: Tensor) -> Tensor:
        """What the network says."""
        self.forwards += len(x)
        if x.requires_grad and torch.is_grad_enabled():
            x = x.view_as(x)
            x.register_hook(self._backward)
        scores: Tensor = self.network(x)
        return scores

    def _backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@dataclass(frozen=True)
class Given:
    """Images of a peer as an attack of the harness, which then judges them like any."""

    images: Tensor = field(repr=False)
    minimal: bool
    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    targeted: ClassVar[bool] = False

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The images, after the one query that tells this from an attack that does nothing."""
        with torch.no_grad():
            victim(batch.x)
        return self.images[batch.ids]


def now(device: torch.device) -> float:
    """Seconds: of this process on a processor, of the clock once everything is done on an accelerator."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def rotated(names: Sequence[str], seconds: float, most: int) -> Iterator[list[str]]:
    """Orders of the names, each beginning one later, until ``seconds`` are spent; at least one, ``most`` at most."""
    begun = time.perf_counter()
    for turn in range(most):
        if turn and time.perf_counter() - begun > seconds:
            return
        yield [*names[turn % len(names) :], *names[: turn % len(names)]]


def side_by_side(
    contest: Contest, peers: Sequence[str], loaded: Loaded, eps: float, seconds: float
) -> Mapping[str, Found]:
    """Every implementation on the same images; ``bare`` has the steps of the first row and is scaled to this one's."""
    calls: dict[str, Callable[[], Timed]] = {
        name: _peer(contest.peers[name](eps), contest, loaded, eps) for name in peers
    }
    calls |= {name: _ours(make(eps), contest, loaded, eps) for name, make in contest.ours.items()}
    if contest.gradients:
        calls["bare"] = _peer(bare(eps, BARE_STEPS), contest, loaded, eps)
    spent: dict[str, list[float]] = {name: [] for name in calls}
    last: dict[str, Timed] = {}
    for order in rotated(list(calls), seconds, 5):
        for name in order:
            _seed()
            last[name] = calls[name]()
            spent[name].append(last[name].seconds)
    if "bare" in spent:
        spent["bare"] = [one * contest.gradients / BARE_STEPS for one in spent["bare"]]
    return {name: last[name].found(spent[name]) for name in calls}


@dataclass(frozen=True)
class Timed:
    """One call: its seconds, and how to judge it, which is done outside of them."""

    seconds: float
    judge: Callable[[], tuple[float, float, float, float]]

    def found(self, seconds: Sequence[float]) -> Found:
        """Judged, with the seconds of all rounds."""
        return Found(*self.judge(), seconds)


def _peer(call: Reference, contest: Contest, loaded: Loaded, eps: float) -> Callable[[], Timed]:
    """A peer on the plain network: neither guard nor verdict are on its account."""
    network, x, y = loaded

    def run() -> Timed:
        counted = Counted(network).eval()
        begun = now(x.device)
        with contextlib.redirect_stdout(sys.stderr):
            images = call(counted, x.clone(), y.clone())
        spent = now(x.device) - begun
        given = Given(images.detach(), contest.minimal)
        passes = (counted.forwards / len(x), counted.backwards / len(x))
        return Timed(spent, lambda: (*_judged(given, contest, loaded, eps), *passes))

    return run


def _ours(attack: Attack, contest: Contest, loaded: Loaded, eps: float) -> Callable[[], Timed]:
    """tiltyard through its public door: checks, guard, meters, verdicts, records and tables are on its account."""
    network, x, y = loaded
    threat = Threat(contest.norm, _reach(contest, x, eps))

    def run() -> Timed:
        begun = now(x.device)
        found = evaluate(network, x, y, [attack], threat, batch_size=len(x), doctor=False, masking=False)
        spent = now(x.device) - begun
        row = found.table.iloc[0]
        if row["status"] != "done":
            raise SystemExit(f"{attack}: {row['status']}: {row['reason']}")
        passes = (float(row["forwards"]), float(row["backwards"]))
        return Timed(spent, lambda: (*_figures(attack, found.samples, eps), *passes))

    return run


def _judged(attack: Given, contest: Contest, loaded: Loaded, eps: float) -> tuple[float, float]:
    """What the harness says of a peer's images: outside box or ball, or still right, is no success."""
    network, x, y = loaded
    batch = Batch(x, y, torch.arange(len(x), device=x.device))
    reach = _reach(contest, x, eps)
    with torch.no_grad():
        classifier = Classifier(network, Category(network(x[:1]).shape[1])).eval()
    threat = Threat(contest.norm, math.inf if contest.minimal else reach)
    return _figures(attack, judged(classifier, attack, batch, [threat], [reach]).records, eps)


def _reach(contest: Contest, x: Tensor, eps: float) -> float:
    """The ball's radius; for an attack that looks for the nearest image one that holds all images."""
    return math.sqrt(x[0].numel()) if contest.minimal else eps


def _figures(attack: Attack, records: pd.DataFrame, eps: float) -> tuple[float, float]:
    """Robust accuracy in percent at eps, and median distance; raises ``SystemExit`` where nothing was judged."""
    if records["status"].isin(["error", "oom", "timeout"]).any():
        raise SystemExit(f"{attack}: {set(records['reason'].dropna())}")
    distance = records["distance"].astype(float).fillna(math.inf).to_numpy()
    return 100 * float((distance > eps * (1 + 1e-5)).mean()), float(np.median(distance))


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def paired(one: Sequence[float], other: Sequence[float]) -> float:
    """The median over rounds of one's seconds by the other's."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
