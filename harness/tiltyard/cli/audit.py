"""``bench audit``: whether the attacks of a benchmark find adversarial images that are known to be there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .commands import bench
from .options import DEVICE, JSON, QUIET, RESULTS, planned, print_json, read_plan

if TYPE_CHECKING:
    from rich.table import Table

    from tiltyard.masking import Audit

WORDS = {True: "passed", False: "failed", None: "no verdict"}
"""What the outcome of a test is called."""


@bench.command(epilog="Exit codes: 0 fine; 1 an attack missed what was planted; 2 wrong usage or input.")
@planned
@click.option("--attack", metavar="PATTERN", help="Test these attacks alone: short for --only attack=PATTERN.")
@click.option("--samples", type=click.IntRange(min=1), default=32, show_default=True, help="Planted images a victim.")
@RESULTS
@DEVICE
@JSON
@QUIET
def audit(
    toml: Path,
    data: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    plugin: tuple[Path, ...],
    attack: str | None,
    samples: int,
    results: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Plant adversarial images that the attacks of a benchmark must find; an attack that misses them proves nothing.

    The last layer of each victim is replaced by one that calls a known image of the ball another class (Zimmermann
    et al. 2022). Networks that are not in the results folder yet are trained.
    """
    from tiltyard.masking import audits
    from tiltyard.results import Store
    from tiltyard.runner import pick_device
    from tiltyard.victims import Victims

    from .progress import reporter
    from .show import console

    plan = read_plan(toml, data, overrides, (*only, *([f"attack={attack}"] if attack else [])), plugin)
    store = Store(results / plan.name)
    with store.locked(), reporter(plan, quiet=quiet, verbose=False) as report:
        found = list(audits(plan, Victims(plan, store, pick_device(device), report), samples))
    if as_json:
        print_json("audit", {"audits": [_json(one) for one in found]})
    else:
        console().print(_table(found))
    return 1 if any(one.result.passed is False for one in found) else 0


def _json(one: Audit) -> dict[str, Any]:
    result, cell = one.result, one.cell
    return {
        "victim": cell.victim.words,
        "attack": cell.attack.label,
        "norm": cell.threat.norm,
        "eps": one.eps,
        "tests": result.tests,
        "unbuilt": result.unbuilt,
        "solved": result.solved,
        "guessed": result.guessed,
        "passed": result.passed,
        "reason": result.reason,
    }


def _table(found: Sequence[Audit]) -> Table:
    from .show import eps_text, listing, plain_text

    numbers = ("planted", "found", "by chance")
    table = listing("Binarisation tests", ("victim", "attack", "ball", *numbers, "outcome"), numbers)
    for one in found:
        result, threat = one.result, one.cell.threat
        words = WORDS[result.passed] + (f": {result.reason}" if result.reason else "")
        counts = (str(result.tests), str(result.solved), str(result.guessed))
        parts = (one.cell.victim.words, one.cell.attack.label, f"{threat.norm} {eps_text(one.eps)}", *counts, words)
        table.add_row(*map(plain_text, parts))
    return table
