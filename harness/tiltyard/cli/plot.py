"""``bench plot``: the figures of a results folder."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from .commands import bench
from .options import DATA, JSON, PATH, PLUGIN, print_json


@bench.command(epilog="Exit codes: 0 fine; 1 there was nothing to show; 2 wrong usage or input.")
@click.argument("folder", metavar="RESULTS", type=PATH)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--out", type=PATH, help="Where the files go; RESULTS/figures if absent.")
@click.option("--format", "form", default="png", show_default=True, help="png, svg or pdf.")
@DATA
@PLUGIN
@JSON
def plot(
    folder: Path,
    names: tuple[str, ...],
    out: Path | None,
    form: str,
    data: Path | None,
    plugin: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Draw figures of a results folder: all that there is something for, or those named.

    NAME is convergence, efficiency, robustness, curves, entropy, overlap, geometry, labels or examples.
    """
    from tiltyard.figures import plot as draw
    from tiltyard.inert import terminal_text

    drawn = draw(folder, names, out=out, form=form, data=data, plugins=plugin)
    if as_json:
        files = {one.name: str(one.path) for one in drawn if one.path}
        print_json("plot", {"files": files, "nothing": {one.name: one.reason for one in drawn if not one.path}})
    for one in drawn if not as_json else ():
        click.echo(one.path if one.path else terminal_text(f"{one.name}: nothing to show: {one.reason}"))
    return 0 if any(one.path for one in drawn) else 1
