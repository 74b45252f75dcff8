"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from tiltyard.spec import Plan

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
PLUGIN = click.option("--plugin", type=PATH, multiple=True, help="Load one Python file as a plugin.")
DATA = click.option("--data", type=PATH, envvar="TILTYARD_DATA", show_envvar=True, help="Data folder; data/ if absent.")
RESULTS = click.option("--results", type=PATH, default=Path("results"), help="Where results are.")
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
WIDE = click.option("--wide", is_flag=True, help="Show everything, however wide the terminal.")
JOBS = click.option(
    "--jobs",
    "-j",
    metavar="N|auto",
    callback=lambda _, __, value: _jobs(value),
    help="Share the work among N processes; auto: one per GPU, or per core.",
)
ENGINE = click.option("--engine", default="local", show_default=True, help="local, ray, ray://auto or ray://HOST:PORT.")
SHARD = click.option("--shard", metavar="I/N", help="Run the I-th of N parts, in a folder of its own: bench merge.")
_ONLY = click.option("--only", multiple=True, metavar="AXIS=PATTERN", help="Keep matching cells: 'attack=native.*'.")
_SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: training.epochs=2.")


def planned(command: CommandT) -> CommandT:
    """The options of the commands that read a benchmark file: those of ``read_plan``."""
    for option in (PLUGIN, _ONLY, _SET, DATA, click.argument("toml", type=PATH)):
        command = option(command)
    return command


def _jobs(value: str | None) -> int | str | None:
    """A number of processes, ``auto``, or None where none was asked for."""
    if value is None or value == "auto":
        return value
    if value.isdigit() and int(value):
        return int(value)
    raise click.BadParameter(f'{value}: write a number from 1 on, or "auto"')


def read_plan(
    toml: Path, data: Path | None, overrides: tuple[str, ...], only: tuple[str, ...], plugin: tuple[Path, ...]
) -> Plan:
    """The plan of a benchmark file; raises ``UserError``."""
    from tiltyard.plugins import Plugins
    from tiltyard.problems import UserError
    from tiltyard.spec import plan

    if data is not None and not data.is_dir():
        source = "--data" if "--data" in sys.argv or "TILTYARD_DATA" not in os.environ else "$TILTYARD_DATA"
        raise UserError(f"{source} {data}: no such folder")
    return plan(toml, Plugins(plugin), data, overrides, only)


def print_json(command: str, content: dict[str, Any]) -> None:
    """Print what a command found, under the name and number of its form."""
    click.echo(json.dumps({"schema": f"tiltyard.{command}/1"} | content, indent=2))
