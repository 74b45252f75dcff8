"""``bench bundle`` and ``bench verify``: results in one file, and the check of a stranger's."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from .commands import bench
from .options import DATA, JSON, PATH, PLUGIN, print_json

if TYPE_CHECKING:
    from tiltyard.bundle import Report


@bench.command()
@click.argument("folder", metavar="RESULTS", type=PATH)
@click.option("--output", "-o", type=PATH, help="The file; NAME.tiltyard.zip if absent.")
@click.option("--uint8", is_flag=True, help="Round the images to what a picture file keeps, and judge them again.")
@DATA
@PLUGIN
@JSON
def bundle(
    folder: Path, output: Path | None, uint8: bool, data: Path | None, plugin: tuple[Path, ...], as_json: bool
) -> None:
    """Pack a results folder into one file that anyone can verify."""
    from tiltyard.bundle import pack

    path, manifest = pack(folder, output, uint8=uint8, data=data, plugins=plugin)
    lost = manifest.uint8
    if as_json:
        content = {"file": str(path), "bytes": path.stat().st_size, "members": len(manifest.members)}
        content |= {"uint8": lost.model_dump() if lost else None}
        print_json("bundle", content)
        return
    click.echo(f"{path}: {len(manifest.members)} members, {path.stat().st_size / 1e6:.1f} MB")
    if lost:
        click.echo(f"{lost.lost} of {lost.images} successes did not survive rounding to 8 bits")


@bench.command(
    epilog="Exit codes: 0 everything holds; 1 something does not; 2 the file can not be read or judged here."
)
@click.argument("file", type=PATH)
@DATA
@PLUGIN
@JSON
def verify(file: Path, data: Path | None, plugin: tuple[Path, ...], as_json: bool) -> int:
    """Check a bundle without attacking: hashes, norms, boxes, verdicts, statistics and tables."""
    from tiltyard.bundle import verify as check

    report = check(file, data, plugin)
    if as_json:
        print_json("verify", {"file": str(file)} | _summary(report))
    else:
        _tell(file, report)
    return 0 if report.verified else 1


def _summary(report: Report) -> dict[str, object]:
    rows = [] if report.board is None else json.loads(report.board.to_json(orient="records"))
    findings = [asdict(finding) for finding in report.findings]
    return (
        {"verified": report.verified, "findings": findings, "notes": report.notes} | report.counts() | {"board": rows}
    )


def _tell(file: Path, report: Report) -> None:
    from tiltyard.inert import terminal_text

    from .board import ball_tables
    from .show import console

    for note in report.notes:
        click.echo(terminal_text(f"note: {note}"))
    for finding in report.findings:
        click.echo(terminal_text(f"does not hold: {finding}"))
    counts = f"{report.cells} cells, {report.clean} clean and {report.images} adversarial images judged"
    close = f", {report.borderline} verdicts too close to call" if report.borderline else ""
    click.echo(f"{file}: {'verified' if report.verified else 'NOT verified'}: {counts}{close}")
    if report.board is not None:
        console().print(*ball_tables(report.board), sep="\n")
