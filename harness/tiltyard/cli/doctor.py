"""``bench doctor``: what the machine has, and the health of every attack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .commands import bench
from .options import DATA, JSON, PLUGIN, RESULTS, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from tiltyard.contracts import Norm
    from tiltyard.health import Health
    from tiltyard.plugins import Plugins
    from tiltyard.spec import Component

SECONDS = 8.0
"""What the checks of one attack under one norm may take here, where all attacks are waiting."""
Checked = tuple[str, "Health"]


@bench.command(epilog="Exit codes: 0 fine; 1 an attack has a fault that it does not declare; 2 wrong usage or input.")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@PLUGIN
@DATA
@RESULTS
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=SECONDS, show_default=True,
              help="Time for one attack under one norm.")  # fmt: skip
@JSON
def doctor(
    patterns: tuple[str, ...],
    plugin: tuple[Path, ...],
    data: Path | None,
    results: Path,
    seconds: float,
    as_json: bool,
) -> int:
    """Look at the machine, and check that every attack does what an attack must do.

    PATTERN names attacks: native.pgd, 'native.*'. Without one, all that are installed are checked.
    """
    from tiltyard.health.machine import machine
    from tiltyard.plugins import Plugins

    from .show import console

    plugins = Plugins(plugin)
    chosen = _chosen(plugins, patterns)
    facts = machine(plugins, data or Path("data"), results)
    if not as_json:
        console().print(_machine_table(facts))
    checked = list(_checked(chosen, plugin, seconds))
    failed = any(_undeclared(health) for _, health in checked)
    if as_json:
        attacks = [{"attack": name, "undeclared": _undeclared(health)} | health.plain() for name, health in checked]
        content = {"machine": facts, "attacks": attacks, "failed": failed}
        print_json("doctor", content)
    else:
        console().print(*_health_tables(checked), sep="\n")
    return int(failed)


def _chosen(plugins: Plugins, patterns: Sequence[str]) -> list[Component]:
    """The attacks that match a pattern and whose library is there, with their default keys."""
    from fnmatch import fnmatchcase

    from tiltyard.plugins import Plugin
    from tiltyard.problems import UserError, suggest
    from tiltyard.spec.build import components

    there = [found for _, found in plugins.everything() if isinstance(found, Plugin)]
    names = [f"{found.name}.{short}" for found in there for short in found.factories["attacks"]]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(f'bench doctor: no attack matches "{pattern}"{suggest(pattern, names)}')
    wanted = [name for name in names if not patterns or any(fnmatchcase(name, one) for one in patterns)]
    made = components("attack", [{"use": name} for name in sorted(wanted)], plugins) if wanted else []
    return [attack for attack in made if not attack.unavailable]


def _checked(attacks: Sequence[Component], files: tuple[Path, ...], seconds: float) -> Iterator[Checked]:
    from rich.console import Console

    from tiltyard.health.many import check_many

    pairs: list[tuple[str, Norm]] = [(attack.use, norm) for attack in attacks for norm in sorted(attack.object.norms)]
    with Console(stderr=True).status(f"{len(pairs)} checks") as status:
        for number, (pair, health) in enumerate(zip(pairs, check_many(pairs, files, seconds), strict=True), 1):
            status.update(f"{number} of {len(pairs)} checked")
            yield pair[0], health


def _undeclared(health: Health) -> list[str]:
    """The faults that the attack does not declare."""
    return [found.property for found in health.faults if not found.known]


def _machine_table(facts: dict[str, Any]) -> Table:
    from .show import listing, plain_text

    table = listing("Machine", ("what", "found"))
    for name, version in facts["versions"].items():
        table.add_row(name, version)
    table.add_row("threads", str(facts["threads"]))
    for device in facts["devices"]:
        table.add_row("device", plain_text(device))
    disk, data = facts["disk"], facts["data"]
    table.add_row(f"disk of {disk['folder']}/", f"{disk['free_bytes'] / 2**30:.1f} GiB free")
    table.add_row("data folder", data["folder"] + ("" if data["exists"] else " (not there)"))
    for name, state in data["datasets"].items():
        table.add_row(f"data set {name}", plain_text(state))
    for found in facts["plugins"]:
        origin = f" ({found['from']})" if found["from"] else ""
        table.add_row(f"plugin {found['name']}", plain_text(found["state"] + origin))
    return table


def _health_tables(checked: Sequence[Checked]) -> Iterator[Table | str]:
    """A row for each attack and norm, and the evidence for every property that failed."""
    from .show import listing, plain_text

    table = listing("Attacks", ("attack", "norm", "health", "seconds"), ("seconds",))
    for name, health in checked:
        table.add_row(plain_text(name), health.norm, health.badge, f"{health.seconds:.1f}")
    yield table
    for name, health in checked:
        for found in health.failed:
            known = " (known)" if found.known else ""
            yield plain_text(f"{name} · {health.norm} · {found.property}{known}: {found.evidence}")
        if health.cut:
            cut = ", ".join(f"{key} = {value}" for key, value in health.cut.items())
            yield plain_text(f"{name} · {health.norm}: checked with {cut}, to end in time")
    total = sum(health.seconds for _, health in checked)
    sound = sum(health.badge.startswith("passed") for _, health in checked)
    yield f"{sound} of {len(checked)} passed, in {total:.0f} s. docs/doctor.md explains every property."
