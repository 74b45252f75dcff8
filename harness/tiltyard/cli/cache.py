"""``bench cache``: what lies in a results folder, whether it is what was written, and the removal of what is unused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .commands import bench
from .options import DATA, JSON, PATH, PLUGIN, print_json

if TYPE_CHECKING:
    from tiltyard.cache import Entry

FOLDER = click.argument("folder", metavar="RESULTS", type=PATH)


@bench.group()
def cache() -> None:
    """Look into a results folder, check it, and remove what no table uses."""


@cache.command()
@FOLDER
@DATA
@PLUGIN
@JSON
def ls(folder: Path, data: Path | None, plugin: tuple[Path, ...], as_json: bool) -> None:
    """List cells, networks and findings with their sizes, and which of them the latest tables use."""
    from tiltyard.cache import entries

    _show("cache_ls", folder, entries(folder, plugin, data), as_json)


@cache.command(epilog="Exit codes: 0 everything is what was written; 1 something is not; 2 wrong usage.")
@FOLDER
@JSON
def verify(folder: Path, as_json: bool) -> int:
    """Hold every record, image and network against its sha256; change nothing. `bench run` sets aside what is not."""
    from tiltyard.inert import terminal_text
    from tiltyard.problems import UserError
    from tiltyard.results import damages

    if not (folder / "schema.json").is_file():
        raise UserError(f"{folder}: is no results folder, it has no schema.json")
    found = list(damages(folder))
    if as_json:
        rows = [{"file": str(one.file.relative_to(folder)), "reason": one.reason} for one in found]
        print_json("cache_verify", {"results": str(folder), "damages": rows})
    else:
        for one in found:
            click.echo(terminal_text(f"{one.file}: {one.reason}"))
        click.echo(f"{folder}: {len(found) or 'no'} damaged files" + (", `bench run` replaces them" if found else ""))
    return 1 if found else 0


@cache.command()
@FOLDER
@click.option("--yes", is_flag=True, help="Remove it; without, only tell what would be removed.")
@DATA
@PLUGIN
@JSON
def gc(folder: Path, yes: bool, data: Path | None, plugin: tuple[Path, ...], as_json: bool) -> None:
    """Remove what the latest tables do not use and no run has written since, and what was set aside."""
    from tiltyard.cache import entries, remove
    from tiltyard.results import Store, load

    load(folder)  # before its lock is taken: a folder that is none is not made
    with Store(folder).locked() if yes else contextlib.nullcontext():
        gone = [entry for entry in entries(folder, plugin, data) if not entry.used]
        if yes:
            remove(gone)
    _show("cache_gc", folder, gone, as_json, removed=yes)
    if not as_json and gone and not yes:
        click.echo("Nothing was removed; --yes removes them.")


def _show(command: str, folder: Path, found: Sequence[Entry], as_json: bool, **more: Any) -> None:
    from .show import console, listing, plain_text

    if as_json:
        rows = [
            {
                "kind": one.kind,
                "path": str(one.path.relative_to(folder)),
                "words": one.words,
                "bytes": one.size,
                "used": one.used,
            }
            for one in found
        ]
        print_json(command, {"results": str(folder), "entries": rows} | more)
        return
    table = listing(str(folder), ("kind", "id", "kB", "used", "what it is"), ("kB",))
    for one in found:
        used = "yes" if one.used else "no"
        table.add_row(one.kind, one.path.name, f"{one.size / 1e3:.1f}", used, plain_text(one.words))
    console().print(table)
    total = sum(one.size for one in found)
    click.echo(f"{len(found)} entries, {total / 1e6:.1f} MB; {sum(not one.used for one in found)} unused")
