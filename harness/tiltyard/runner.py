"""A plan to records: victims trained or loaded once, cells run batch by batch, finished work passed over."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from .contracts import Batch, Incompatible, pixels
from .detection import keep_thresholds
from .evaluator import evaluate
from .events import AttackExamined, BatchDone, CellFinished, CellStarted, Event
from .health import badge, examine
from .masking import Report, escalated, probe_plan
from .problems import UserError, refused_by_disk
from .provenance import device_name, plan_digest, provenance
from .results import TABLES, CellFolder, Images, Store, read_json
from .spec import Cell, Plan, Victim
from .statistics import unjudged
from .tabulate import identity, tables
from .victims import Victims


@dataclass
class Run:
    """One run of a plan into a store on a device."""

    plan: Plan
    store: Store
    device: torch.device
    report: Callable[[Event], None]

    def __call__(self) -> bool:
        """Run what is not finished and write the tables; whether every cell that could run did.

        Input is checked before anything is trained: data that cannot be read and checkpoints that do not fit
        raise ``UserError``.
        """
        waiting = self._waiting()
        self._victims.check(waiting)
        changed = bool(waiting)
        try:
            examined = [self._examine(cell) for cell in self.plan.runnable]
            changed |= any(examined)
            for cells in waiting.values():
                for cell in cells:
                    if not cell.sources:
                        self._run(cell)
            for cells in waiting.values():
                for cell in cells:
                    if cell.sources:  # now that the images they transfer are there
                        self._run(cell)
            changed |= self._look_for_masking()
        finally:
            if changed or not self._tables_current():
                self._write_tables()
        return all(self._outcome(cell)[0] != "failed" for cell in self.plan.runnable)

    @cached_property
    def _victims(self) -> Victims:
        return Victims(self.plan, self.store, self.device, self.report)

    def _look_for_masking(self) -> bool:
        """Probe the victims, and answer what is found where the benchmark asks for it; whether anything was done."""
        if not self.plan.benchmark.masking:
            return False
        changed = probe_plan(self.plan, self.store, self._victims)
        if self.plan.benchmark.escalate:
            judged = Report(self.plan, self.store).judged
            for cell in escalated(self.plan, judged, self._victims.classifier):
                if self._outcome(cell)[0] not in ("done", "skipped"):
                    self._run(cell)
                    changed = True
        return changed

    def _waiting(self) -> dict[Victim, list[Cell]]:
        """The cells that are not finished, by victim."""
        waiting: dict[Victim, list[Cell]] = {}
        for cell in self.plan.cells:
            status, reason = ("skipped", cell.skip) if cell.skip else self._outcome(cell)
            if status in ("done", "skipped"):
                self.report(CellFinished(cell, status, reason, before=not cell.skip))
            else:
                waiting.setdefault(cell.victim, []).append(cell)
        return waiting

    def _outcome(self, cell: Cell) -> tuple[str, str | None]:
        summary = self.store.cell(cell.id).summary
        return (summary["status"], summary["reason"]) if summary else ("unfinished", None)

    def _tables_current(self) -> bool:
        written = read_json(self.store.folder / "provenance.json")
        there = all((self.store.folder / f"{name}.csv").exists() for name in TABLES)
        return there and written is not None and written["plan"] == plan_digest(self.plan)

    def _run(self, cell: Cell) -> None:
        """One cell, to its end or to its failure, which stays its own."""
        folder = self.store.cell(cell.id)
        started = time.perf_counter()
        reason = lacking = None
        self._examine(cell)
        try:
            self._attack(cell, folder)
            status, lacking = "done", unjudged(folder.samples())
        except Incompatible as refusal:
            status, reason = "skipped", str(refusal)
        except UserError:
            raise
        except Exception as error:
            # Whatever goes wrong in a cell must not stop the others, but for a disk that takes nothing more.
            if refused_by_disk(error):
                raise
            status, reason = "failed", f"{type(error).__name__}: {error}"
            folder.folder.mkdir(parents=True, exist_ok=True)
            (folder.folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        spent = time.perf_counter() - started
        folder.finish({"status": status, "reason": reason, "seconds": spent, "cell": identity(self.plan, cell)})
        self.report(CellFinished(cell, status, reason or lacking))

    def _examine(self, cell: Cell) -> bool:
        """Put the attack of a cell to the health checks, if that was not done before; whether it was done now."""
        attack, norm = cell.attack, cell.threat.norm
        if not self.plan.benchmark.doctor or badge(self.store, attack, norm) is not None:
            return False
        self.report(AttackExamined(attack.label, norm, examine(self.store, attack, norm)))
        return True

    def _attack(self, cell: Cell, folder: CellFolder) -> None:
        victim = self._victims.classifier(cell.victim)
        keep_thresholds(self._victims, cell.victim, victim)
        seen = self._victims.classifier(cell.surrogate) if cell.surrogate else None
        test = self._victims.data(cell.victim.dataset).test
        chosen = chosen_samples(cell, len(test))
        finished = set(folder.samples()["sample"].tolist())
        left = torch.tensor([sample for sample in chosen.tolist() if sample not in finished], dtype=torch.int64)
        self.report(CellStarted(cell, len(chosen), len(finished)))
        for ids in left.split(self.plan.benchmark.batch_size) if len(left) else ():
            part = test[ids]
            x, y = pixels(part.images.to(self.device)), part.labels.to(self.device)
            batch = Batch(x, y, ids.to(self.device), seed=cell.victim.seed, key=cell.attack.use)
            done = evaluate(
                victim,
                cell.attack.object,
                replace(batch, found=self._found(cell, batch)),
                cell.threats,
                cell.threat.eps,
                seen=seen,
                targets=cell.threat.targets,
                seconds=self.plan.benchmark.time_limit,
            )
            folder.add_part(done.records, done.images if self.plan.benchmark.keep_images else None)
            self.report(BatchDone(cell, len(ids)))

    def _found(self, cell: Cell, batch: Batch) -> tuple[torch.Tensor, ...]:
        """The images (N, C, H, W) that broke other victims, for a cell that transfers them: one of each call."""
        found = []
        for source in cell.sources:
            kept = Images.joined(map(Images.read, self.store.cell(source.id).images()), batch.x.shape[1:])
            here = kept[torch.isin(kept.sample, batch.ids.cpu())]
            found += [here[here.eps == eps].on(batch.x, batch.ids) for eps in here.eps.unique()]
        return tuple(found)

    def _write_tables(self) -> None:
        made = tables(self.plan, self.store)
        self.store.write_tables(made, provenance(self.plan, device_name(self.device), self._victims.data_hashes()))


def chosen_samples(cell: Cell, count: int) -> torch.Tensor:
    """Positions in a test set of ``count`` images: the same for every cell of a data set, whatever its seed."""
    if cell.sampling == "first":
        return torch.arange(min(cell.samples, count))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[: cell.samples].sort().values


def pick_device(name: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` (``cuda:1``) as a device that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f'--device {name}: no such device; choose "auto", "cpu" or "cuda"') from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: torch sees no CUDA device here; --device auto takes what there is")
    return device
