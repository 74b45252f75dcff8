"""Our attacks against reference implementations and published figures: the tables of docs/fidelity.md.

python benchmarks/fidelity/compare.py --data DIR --samples 500 --only 'ddn*' --write docs/fidelity.md
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from page import merged, page, shown
from pairs import Pair, Reference
from torch import Tensor
from victims import network, samples

from tiltyard import Attack, Batch, Norm, Threat, Victim, evaluate

HERE = Path(__file__).parent
CLOSE = 1.01
"""Relative excess of a distance, of a sample or of the median, that counts as equal."""
MODULES = {"adv-lib": "adv_lib.attacks", "foolbox": "foolbox", "pyautoattack": "pyautoattack"}
"""What each library is imported as."""
POINTS = 0.3
"""Excess of a robust accuracy, in percentage points, that counts as equal."""


@dataclass(frozen=True)
class Foreign:
    """A reference implementation as an attack of the harness, which then judges, counts and times it like any."""

    call: Reference = field(repr=False)
    minimal: bool
    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2", "l1", "l0"})
    targeted: ClassVar[bool] = False

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Its images, put back into the box where rounding left it."""
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.call(victim, batch.x, batch.y).detach()


@dataclass(frozen=True)
class Found:
    """What the harness found of an attack: successes and distances (inf without success), passes, seconds."""

    distance: Tensor
    forwards: float
    backwards: float
    seconds: float

    def figure(self, pair: Pair) -> float:
        """Median distance over all samples, or robust accuracy in percent."""
        if pair.eps is None:
            return float(self.distance.sort().values[(len(self.distance) - 1) // 2])
        return 100 * float(self.distance.isinf().double().mean())


@cache
def tried(attack: Attack, data: Path, victim: str, norm: Norm, eps: float | None, count: int) -> Found:
    """An attack under the harness's own verdicts: an image outside box or ball, or still right, is no success."""
    x, y = samples(data, victim, count)
    size = float(x[0].numel())
    reach = {"linf": 1.0, "l2": math.sqrt(size), "l1": size, "l0": size}[norm]
    threat = Threat(norm, reach if eps is None else eps)
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time  # no other process's time
    begun = clock()
    found = evaluate(network(data, victim), x, y, [attack], threat, batch_size=count, doctor=False, masking=False)
    seconds = clock() - begun
    row, records = found.table.iloc[0], found.samples.sort_values("sample")
    if row["status"] != "done":
        raise SystemExit(f"{attack}: {row['status']}: {row['reason']}")
    for reason in records["reason"].dropna().unique():
        print(f"  {attack}, {(records['reason'] == reason).sum()} samples: {reason}")
    if records["status"].isin(["error", "oom", "timeout"]).any():
        raise SystemExit(f"{attack}: an attack that does not run can not be compared")
    distance = torch.tensor(records["distance"].fillna(math.inf).to_numpy())
    return Found(distance, row["forwards"], row["backwards"], seconds)


def compare(pair: Pair, data: Path, count: int) -> dict[str, object]:
    """The pair's row of the table."""
    ours = tried(pair.ours, data, pair.victim, pair.norm, pair.eps, count)
    figure = ours.figure(pair)
    row: dict[str, object] = dict(zip(("pair", "library", "victim", "norm", "eps"), pair.key, strict=True))
    row |= {"n": len(ours.distance), "ours": figure, "forwards": ours.forwards, "backwards": ours.backwards}
    if isinstance(pair.reference, float):
        return row | {"theirs": pair.reference, "verdict": verdict(pair, figure, pair.reference)}
    importlib.import_module(MODULES[pair.library])  # so that its time is not the attack's
    foreign = Foreign(pair.reference, pair.eps is None)
    theirs = tried(foreign, data, pair.victim, pair.norm, pair.eps, count)
    return row | {
        "theirs": theirs.figure(pair),
        "as_good": 100 * float(as_good(pair, ours, theirs).double().mean()),
        "their_forwards": theirs.forwards,
        "their_backwards": theirs.backwards,
        "seconds_ratio": ours.seconds / theirs.seconds,
        "verdict": verdict(pair, figure, theirs.figure(pair)),
    }


def as_good(pair: Pair, ours: Found, theirs: Found) -> Tensor:
    """The samples (N,) on which ours does as well; a sample that neither breaks counts."""
    slack = CLOSE if pair.eps is None else math.inf
    return theirs.distance.isinf() | ours.distance.isfinite() & (ours.distance <= slack * theirs.distance)


def verdict(pair: Pair, ours: float, theirs: float) -> str:
    """Whether ours is at least as strong, up to what counts as equal, and does not break what is proven to hold."""
    if pair.certified:
        return "holds" if ours >= theirs else "broken"
    return "ok" if ours <= (theirs * CLOSE if pair.eps is None else theirs + POINTS) else "weaker"


def registered() -> list[Pair]:
    """The pairs of every ``*_pairs.py`` beside this file."""
    return [pair for path in sorted(HERE.glob("*_pairs.py")) for pair in importlib.import_module(path.stem).PAIRS]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print, and with ``--write`` merge the rows into fidelity.csv and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TILTYARD_DATA"), help="folder of real images")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument(
        "--only", default="*", help="pattern of a pair's name, or of library, victim, norm, eps: 'ddn*'"
    )
    parser.add_argument("--write", type=Path, help="page to write: docs/fidelity.md")
    chosen = parser.parse_args(arguments)
    if chosen.data is None:
        parser.error("name the folder of real images and published networks by --data or $TILTYARD_DATA")
    pairs = registered()
    rows: list[dict[str, object]] = []
    for pair in pairs:
        if fnmatch(" ".join(pair.key), chosen.only):
            rows.append(compare(pair, Path(chosen.data), chosen.samples))
            print(shown(rows[-1]), flush=True)
            if chosen.write:  # after each, so that what is done stays done
                chosen.write.write_text(page(merged(rows, [one.key for one in pairs])))


if __name__ == "__main__":
    main()
