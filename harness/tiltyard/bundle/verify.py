"""A bundle checked from its bytes to its leaderboard, without attacking and without training."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..contracts import Classifier, Split, pixels
from ..problems import UserError
from ..results import CellFolder, Images, Store, load, read_json
from ..runner import chosen_samples
from ..spec import DATA, Cell, Plan, Victim
from ..tabulate import identity
from ..victims import Victims
from .archive import unpack
from .claims import check_coverage, check_luck, check_records, compared, where
from .judging import Judged, judge_clean, judge_images
from .manifest import Manifest
from .recomputed import check_geometry, check_tables
from .replan import BundledFiles, RecordedPlugins, of_bundle, other_code, replan, wanted, with_answers
from .report import Report

RECORD_BYTES = 1 << 12
"""Memory that one record may claim: more is no table of results."""
TABLE_BYTES = 1 << 24
"""Memory that any table may claim, however few its rows."""


def verify(path: Path, data: Path | None = None, plugins: Iterable[Path] = ()) -> Report:
    """Check the bundle at ``path`` on the CPU, with the data sets of ``data`` and the components installed here.

    Clean images are judged once for each victim, stored images once each. Raises ``UserError`` on a file that is no
    bundle, and where something that is needed to judge it is missing here.
    """
    report = Report()
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as temporary:
        folder = Path(temporary)
        manifest = unpack(path, folder, report)
        try:
            provenance = read_json(folder / "provenance.json") or {}
            plan = _planned(manifest, provenance, folder, data, plugins, report)
        except Exception as error:  # a stranger's files, without which there is nothing to judge
            told = "".join(f"\n{finding}" for finding in report.findings)
            raise UserError(f"{path}: can not be planned here: {error}{told}") from error
        Verifier(plan, Store(folder), provenance["data_sha256"], manifest.uint8 is not None, report)()
        check_tables(plan, Store(folder), report)
    return report


def _planned(
    manifest: Manifest,
    provenance: Mapping[str, Any],
    folder: Path,
    data: Path | None,
    plugins: Iterable[Path],
    report: Report,
) -> Plan:
    """The plan of the bundle, and notes on what in it is not what is here."""
    installed = RecordedPlugins(plugins, manifest.parts.get("attack", {}).values())
    files = BundledFiles((data or DATA, Path()), manifest.files, folder)
    results = load(folder)
    _refuse_oversize(folder / "results.parquet")
    cells = wanted(results.table, Store(folder))
    plan, others = replan(manifest.name, provenance["config"], cells, of_bundle(manifest), installed, files)
    for difference in other_code(manifest, installed):
        report.note(f"made with other code: {difference}")
    if manifest.tiltyard != __version__:
        report.note(f"its tables were computed by tiltyard {manifest.tiltyard}, and again by {__version__}")
    if others:
        report.note(f"{others} more cells that the configuration makes are not in the bundle")
    if missing := cells.keys() - {cell.id for cell in with_answers(plan, Store(folder))}:
        report.find(
            "provenance.json",
            f"its configuration, with the defaults of the components here, does not make {len(missing)} of "
            f"{len(cells)} cells: {', '.join(sorted(missing)[:3])}",
        )
    if manifest.uint8:
        report.note(
            f"images are those that 8 bits can hold; {manifest.uint8.lost} of {manifest.uint8.images} "
            "successes were lost by rounding and are counted as held"
        )
    return plan


@dataclass
class Verifier:
    """The victims of a plan, one after the other, and the cells of each."""

    plan: Plan
    store: Store
    digests: Mapping[str, str]
    """The recorded digest of each test set, by its label."""
    rounded: bool
    report: Report
    _words: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _idle: Counter[str] = field(default_factory=Counter)

    def __call__(self) -> None:
        """Judge every cell that is done."""
        victims = Victims(self.plan, self.store, torch.device("cpu"), lambda _: None, trains=False)
        cells = with_answers(self.plan, self.store)
        for cell in cells:  # several where two tables come to the same
            self._words.setdefault(cell.id, []).append(_plain(identity(self.plan, cell)))
        grouped: dict[Victim, list[Cell]] = {}
        for cell in cells:
            if self._done(cell, self.store.cell(cell.id)):
                grouped.setdefault(cell.victim, []).append(cell)
        for reason, count in self._idle.items():
            self.report.note(f"{count} cells were not run: {reason}")
        for victim, several in grouped.items():
            test = victims.data(victim.dataset).test
            if self._same_data(victim, test):
                self._victim(victims, victim, several, test)

    def _done(self, cell: Cell, folder: CellFolder) -> bool:
        """Whether there are records to judge; what the cell's summary says of itself must be what the plan says."""
        try:
            summary = None if cell.skip else folder.summary
        except UserError as error:
            self.report.find(where(cell), f"cell.json can not be read: {error.__cause__}")
            return False
        if summary is None:
            self._idle[cell.skip or "unfinished"] += 1
            return False
        told = {"status", "reason", "seconds", "cell"}
        if summary.keys() != told or summary["cell"] not in self._words[cell.id]:
            self.report.find(where(cell), "cell.json is not about this cell")
        if summary.get("status") != "done":
            self._idle[f"{summary.get('status')}: {summary.get('reason')}"] += 1
        return summary.get("status") == "done"

    def _same_data(self, victim: Victim, test: Split) -> bool:
        label = victim.dataset.label
        if self.digests.get(label) == test.sha256():
            return True
        self.report.find(f"data set {label}", "its test images and labels here are not those of the bundle")
        return False

    def _victim(self, victims: Victims, victim: Victim, cells: list[Cell], test: Split) -> None:
        for part in (victim.dataset, victim.model, victim.labels, victim.defence):
            if part and part.unavailable:
                raise UserError(f"{part.use} is needed to judge the bundle, and can not run here: {part.unavailable}")
        ids = chosen_samples(cells[0], len(test))
        try:
            classifier = victims.classifier(victim)
            clean = judge_clean(classifier, test, ids, victim.seed)
            check_geometry(victim, victims.scheme(victim), self.store, self.report)
        except Exception as error:  # noqa: BLE001 - a stranger's weights: what is wrong with them is a finding
            self.report.find(f"victim {victim.id} ({victim.words})", f"can not be rebuilt: {error}")
            return
        self.report.clean += len(ids)
        for n, cell in enumerate(cells):
            try:
                seen = victims.behind(victim, classifier) if cell.threat.units == "normalised" else classifier
                self._cell(cell, seen, test, ids, clean, first=not n)
            except Exception as error:  # noqa: BLE001 - a stranger's files: whatever is wrong in them is a finding
                self.report.find(where(cell), f"can not be checked: {type(error).__name__}: {error}")

    def _cell(
        self, cell: Cell, classifier: Classifier, test: Split, ids: torch.Tensor, clean: Judged, *, first: bool
    ) -> None:
        folder = self.store.cell(cell.id)
        _refuse_oversize(folder.folder / "samples.parquet")
        records = folder.samples()
        images = self._images(folder, test)
        judged = judge_images(classifier, test, images, cell.victim.seed, cell.threat.norm)
        self.report.cells += 1
        self.report.images += len(images)
        check_coverage(records, cell, ids, clean, self.report)
        table = compared(records, clean, judged, cell, test)
        check_records(table, cell, classifier.randomised, self.report)
        if classifier.randomised and first:
            check_luck(table, cell, self.report)
        if strays := len(judged.drop_duplicates(["sample", "call", "target"])) - int(_images_used(table)):
            self.report.find(where(cell), f"{strays} images belong to no record")

    def _images(self, folder: CellFolder, test: Split) -> Images:
        parts = [Images.read(path) for path in folder.images()]
        dtype = torch.uint8 if self.rounded else torch.float32
        if any(part.pixels.dtype != dtype for part in parts):
            raise ValueError(f"its images are not {dtype}, as the manifest says")
        return Images.joined((replace(part, pixels=pixels(part.pixels)) for part in parts), test.images.shape[1:])


def _images_used(table: Any) -> int:
    """Stored images that some record is about."""
    return len(table.loc[table["has"]].drop_duplicates(["sample", "call", "aim"]))


def _plain(words: Mapping[str, Any]) -> dict[str, Any]:
    import json

    plain: dict[str, Any] = json.loads(json.dumps(words))
    return plain


def _refuse_oversize(path: Path) -> None:
    """Refuse records that would unfold to more memory than their number explains."""
    from pyarrow.parquet import ParquetFile

    facts = ParquetFile(path).metadata
    claimed = sum(facts.row_group(n).total_byte_size for n in range(facts.num_row_groups))
    # A row of a real table takes a byte at least; a run-length code could claim any number of them.
    if claimed > max(TABLE_BYTES, RECORD_BYTES * facts.num_rows) or facts.num_rows > path.stat().st_size:
        raise ValueError(f"{path.name} would unfold to {claimed:,} bytes in {facts.num_rows:,} rows")
