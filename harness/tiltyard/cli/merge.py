"""``bench merge``: the shards of a benchmark in one folder."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from .commands import bench
from .options import DATA, JSON, PATH, PLUGIN, print_json


@bench.command()
@click.argument("out", type=PATH)
@click.argument("folders", metavar="DIR...", type=PATH, nargs=-1, required=True)
@DATA
@PLUGIN
@JSON
def merge(out: Path, folders: tuple[Path, ...], data: Path | None, plugin: tuple[Path, ...], as_json: bool) -> None:
    """Bring the results of `bench run --shard` together in the folder OUT and write its tables.

    What needs all parts is left: cells that transfer images between victims, probes of the victims. The plain
    `bench run`, with OUT as its results folder, finds the rest done and does these.
    """
    from tiltyard.runner.merging import merge as unite

    statuses = unite(out, folders, plugin, data)
    if as_json:
        print_json("merge", {"results": str(out), "cells": dict(statuses)})
        return
    click.echo(f"{out}: {', '.join(f'{number} cells {status}' for status, number in statuses.items())}")
    if statuses["unfinished"]:
        click.echo("`bench run` without --shard does what is unfinished, in that folder")
