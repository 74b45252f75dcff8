"""Plans and components as tables for a person, and what all such tables share."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiltyard.inert import terminal_text
from tiltyard.parameters import keys, plain, words
from tiltyard.plugins import Plugin, Plugins
from tiltyard.spec.json_schema import first_sentence
from tiltyard.words import ball_text as ball_text  # noqa: PLC0414 - shown from here, as the next
from tiltyard.words import eps_text as eps_text  # noqa: PLC0414

if TYPE_CHECKING:
    from tiltyard.spec import Cell, Plan

MARKS = {
    "i": "incomplete: a cell failed or has samples without a verdict, so the worst case may be lower",
    "u": "unhealthy: an attack did not pass its health checks; its verified images count all the same",
    "f": "flagged: signs of a masked gradient or a weak attack; --wide, results.csv and leaderboard.csv name them",
}
"""What stands behind a number, as a letter."""

PIPE_WIDTH = 200
"""Columns of a table that goes into a pipe, where there is no window to fit."""


class InertConsole(Console):
    """A console on which no text of a table or line can do more than be read."""

    def render_str(self, text: str, **options: Any) -> Text:
        """The text, without what a terminal would obey."""
        return super().render_str(terminal_text(text), **options)


def console() -> Console:
    """The console of stdout; colours only on a terminal, and none under ``NO_COLOR``."""
    return InertConsole() if sys.stdout.isatty() else InertConsole(width=PIPE_WIDTH)


def listing(title: str, columns: Iterable[str], right: Iterable[str] = ()) -> Table:
    """An empty table; the columns named in ``right`` hold numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def percent(value: float) -> str:
    """A share as a percentage, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def missing(value: Any) -> bool:
    """Whether a table has nothing in this place: None, pandas' NA, or not a number."""
    import pandas as pd

    return bool(pd.isna(value))


def with_interval(value: float, low: float, high: float) -> str:
    """A share and its interval, as percentages."""
    return f"{percent(value)} ({percent(low)}–{percent(high)})"


def plain_text(words: object) -> str:
    """Words in which a bracket is a bracket and no markup."""
    return str(words).replace("[", r"\[")


def legend(marks: Iterable[str]) -> Iterator[str]:
    """What the marks that were used mean."""
    used = set(marks)
    yield from (f"{mark}  {meaning}" for mark, meaning in MARKS.items() if mark in used)


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    from tiltyard.cost import fits

    return {
        "name": plan.name,
        "cells": [_cell_json(cell) for cell in plan.cells],
        "victims": [{"id": victim.id, "words": victim.words} for victim in plan.victims],
        "networks": len(fits(plan)),
        "passes": _passes(plan),
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "id": cell.id,
        "victim": cell.victim.words,
        "attack": cell.attack.label,
        "threat": plain(cell.threat.model_dump()),
        "samples": cell.samples,
        "passes": cell.passes(),
        "skip": cell.skip or None,
    }


def _passes(plan: Plan) -> dict[str, Any]:
    known = [passes for cell in plan.runnable if (passes := cell.passes())]
    return {
        "forwards": sum(forwards for forwards, _ in known),
        "backwards": sum(backwards for _, backwards in known),
        "cells_unknown": len(plan.runnable) - len(known),
    }


def plan_tables(plan: Plan) -> Iterator[Table | str]:
    """Victims, attacks and skips of a plan, and what it will cost at most."""
    victims = listing("Victims", ("dataset", "model", "labels", "defence", "seed", "cells"), ("seed", "cells"))
    count = Counter(cell.victim for cell in plan.runnable)
    for victim in plan.victims:
        defence = victim.defence.label if victim.defence else "(undefended, seen by attackers)"
        parts = (plan.dataset_label(victim), victim.model.label, victim.labels.label, defence, str(victim.seed))
        victims.add_row(*parts, str(count[victim]))
    yield victims
    attacks = listing(
        "Attacks", ("attack", "threat", "cells", "forwards", "backwards"), ("cells", "forwards", "backwards")
    )
    grouped: dict[tuple[str, str], list[Cell]] = {}
    for cell in plan.runnable:
        eps = " ".join(map(eps_text, cell.threat.eps))
        threat = f"{cell.threat.metric} {eps} {cell.threat.goal} {cell.threat.knowledge}"
        grouped.setdefault((cell.attack.label, threat), []).append(cell)
    for (attack, threat), cells in grouped.items():
        passes = [cell.passes() for cell in cells]
        sums = [f"{sum(one[n] for one in passes if one):,}" if all(passes) else "unknown" for n in (0, 1)]
        attacks.add_row(attack, threat, str(len(cells)), *sums)
    yield attacks
    skipped = Counter(cell.skip for cell in plan.cells if cell.skip)
    if skipped:
        skips = listing("Skipped", ("cells", "reason"), ("cells",))
        for reason, number in skipped.most_common():
            skips.add_row(str(number), reason)
        yield skips
    yield _cost(plan)


def _cost(plan: Plan) -> str:
    from tiltyard.cost import fits

    total = _passes(plan)
    unknown = f", besides {total['cells_unknown']} cells of unknown cost" if total["cells_unknown"] else ""
    return (
        f"{len(plan.runnable)} cells to run, {len(plan.cells) - len(plan.runnable)} skipped; "
        f"{len(plan.victims)} victims, {len(fits(plan))} networks to train; "
        f"at most {total['forwards']:,} forwards and {total['backwards']:,} backwards of one image{unknown}."
    )


def component_rows(plugins: Plugins, kinds: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """A row per component, and what is wrong with plugins that cannot be loaded."""
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for _, plugin in plugins.everything():
        if not isinstance(plugin, Plugin):
            broken.append(str(plugin))
            continue
        for kind in kinds:
            for short, factory in plugin.factories[kind].items():
                fields = keys(factory).model_fields
                defaults = {name: "required" if f.is_required() else plain(f.default) for name, f in fields.items()}
                rows.append(
                    {
                        "kind": kind,
                        "name": f"{plugin.name}.{short}",
                        "keys": defaults,
                        "about": first_sentence(factory),
                        "plugin": plugin.provenance,
                        "unavailable": plugin.unavailable or None,
                    }
                )
    return sorted(rows, key=lambda row: (kinds.index(row["kind"]), row["name"])), broken


def component_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Components with their keys and defaults."""
    table = listing("Components", ("kind", "name", "keys", "about", "plugin"))
    for row in rows:
        about = f"{row['about']} [unavailable: {row['unavailable']}]" if row["unavailable"] else row["about"]
        table.add_row(row["kind"], row["name"], words(row["keys"]), about.replace("[", r"\["), row["plugin"])
    return table
