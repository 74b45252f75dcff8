"""What each subcommand does with its words; everything heavy is imported when a command needs it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import rich_click as click

import tiltyard

from .options import (
    DEVICE,
    ENGINE,
    JOBS,
    JSON,
    PATH,
    PLUGIN,
    QUIET,
    RESULTS,
    SHARD,
    WIDE,
    planned,
    print_json,
    read_plan,
)

EPILOG = (
    "Exit codes: 0 fine; 1 some cell failed; 2 wrong usage, configuration or input; "
    "130 interrupted after a clean checkpoint."
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Train image classifiers, attack them, verify every adversarial image, and tabulate what held."""


@bench.command()
@planned
@RESULTS
@DEVICE
@JOBS
@ENGINE
@SHARD
@JSON
@QUIET
@click.option("--verbose", "-v", is_flag=True, help="One line per event, also where stderr is no terminal.")
def run(
    toml: Path,
    data: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    plugin: tuple[Path, ...],
    results: Path,
    device: str,
    jobs: int | str | None,
    engine: str,
    shard: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run a benchmark; finished work is passed over, so the same command goes on after an interruption."""
    from tiltyard.results import Store, load
    from tiltyard.runner import Recipe, Run, Share, hire, pick_device

    from .board import board_tables
    from .progress import reporter
    from .show import console

    plan = read_plan(toml, data, overrides, only, plugin)
    share = Share.read(shard) if shard else None
    store = Store(results / (share.folder(plan.name) if share else plan.name))
    place, crew = pick_device(device), None
    if jobs or engine != "local":
        recipe = Recipe(toml, data, overrides, only, plugin)
        crew = hire(recipe, plan, store, place, jobs if isinstance(jobs, int) else None, engine)
    with store.locked(), reporter(plan, quiet=quiet, verbose=verbose) as report:
        fine = Run(plan, store, place, report, crew, share)()
    if as_json:
        table = load(store.folder).table
        print_json("run", {"results": str(store.folder), "cells": table["status"].value_counts().to_dict()})
    elif sys.stdout.isatty():
        console().print(*board_tables(load(store.folder)), sep="\n")
        console().print(f"Tables and records: {store.folder}")
    if not fine:
        click.echo(f"bench: some cells failed; `bench table` tells why. Try them again with: {again()}", err=True)
    return 0 if fine else 1


@bench.command()
@planned
@click.option("--tflops", type=click.FloatRange(min=0, min_open=True), help="Sustained TFLOP/s to reckon hours with.")
@JSON
def plan(
    toml: Path,
    data: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    plugin: tuple[Path, ...],
    tflops: float | None,
    as_json: bool,
) -> None:
    """Show cells, skips with their reasons, victims to be trained, passes to be spent, and hours; train nothing."""
    from tiltyard.cost import TFLOPS, cost

    from .estimate import estimate_json, estimate_lines
    from .show import console, plan_json, plan_tables

    made = read_plan(toml, data, overrides, only, plugin)
    spent = cost(made)
    if as_json:
        print_json("plan", plan_json(made) | {"estimate": estimate_json(spent, tflops or TFLOPS)})
    else:
        console().print(*plan_tables(made), *estimate_lines(spent, tflops or TFLOPS), sep="\n")


@bench.command("list")
@click.argument("kind", required=False)
@PLUGIN
@JSON
def list_components(kind: str | None, plugin: tuple[Path, ...], as_json: bool) -> None:
    """List installed components: datasets, models, label_schemes, defences or attacks."""
    from tiltyard.plugins import KINDS, Plugins
    from tiltyard.problems import UserError, suggest

    from .show import component_rows, component_table, console

    if kind is not None and kind not in KINDS:
        raise UserError(f'bench list: unknown kind "{kind}"{suggest(kind, KINDS)}')
    rows, broken = component_rows(Plugins(plugin), (kind,) if kind else KINDS)
    for message in broken:
        click.echo(f"bench: {message}", err=True)
    if as_json:
        print_json("list", {"components": rows, "broken": broken})
    else:
        console().print(component_table(rows))


@bench.command()
@click.argument("folder", type=PATH)
@click.argument("name", required=False)
@WIDE
@JSON
def table(folder: Path, name: str | None, wide: bool, as_json: bool) -> None:
    """Show clean and robust accuracy by label scheme, defence and attack, or the table NAME of the folder.

    NAME is that of a CSV file: results, leaderboard, seeds, attacks, pairs, curves, worst, masking, detection.
    Without one, * marks the best of a column.
    """
    from tiltyard.results import load

    from .show import console
    from .show_detection import detection_tables
    from .tables import accuracy_tables, whole_table

    results = load(folder)
    rows = results.csv(name) if name else results.table
    if as_json:
        print_json("table", {"rows": json.loads(rows.to_json(orient="records"))})
    else:
        console().print(*(whole_table(name, rows, wide) if name else accuracy_tables(rows, wide)), sep="\n")
        if not name and (folder / "detection.csv").exists():
            for part in detection_tables(results.csv("detection"), wide):
                console().print(part)


@bench.command()
@click.argument("folder", type=PATH)
@WIDE
@JSON
def board(folder: Path, wide: bool, as_json: bool) -> None:
    """Show the leaderboard: every entry by its worst case over attacks, sample by sample."""
    from tiltyard.results import load

    from .board import board_tables, not_listed
    from .show import console

    results = load(folder)
    if as_json:
        rows = json.loads(results.leaderboard.to_json(orient="records"))
        print_json("board", {"rows": rows, "not_listed": not_listed(results)})
    else:
        console().print(*board_tables(results, wide), sep="\n")


@bench.command()
@PLUGIN
def schema(plugin: tuple[Path, ...]) -> None:
    """Print a JSON Schema of benchmark files with the keys of all installed components."""
    from tiltyard.plugins import Plugins
    from tiltyard.spec.json_schema import json_schema

    click.echo(json.dumps(json_schema(Plugins(plugin)), indent=2))


@bench.command()
def version() -> None:
    """Print the version."""
    click.echo(tiltyard.__version__)


def again() -> str:
    """The command that was given, for the shell."""
    return shlex.join(["bench", *sys.argv[1:]])
