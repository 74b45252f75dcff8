"""A plan to records: victims trained or loaded once, cells run batch by batch, finished work passed over."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from .contracts import Batch, Classifier, Data, Incompatible, MissingFile, pixels
from .evaluator import evaluate
from .events import BatchDone, CellFinished, CellStarted, EpochDone, Event
from .problems import UserError, refused_by_disk
from .provenance import device_name, plan_digest, provenance
from .results import CellFolder, Store, read_json
from .spec import Cell, Component, Plan, Victim
from .tabulate import identity, tables
from .training import FitTrainer, build

KEPT = 2
"""Classifiers kept in memory: the victim at hand and the one its attacker sees."""


@dataclass
class Run:
    """One run of a plan into a store on a device."""

    plan: Plan
    store: Store
    device: torch.device
    report: Callable[[Event], None]
    _classifiers: dict[Victim, Classifier] = field(default_factory=dict)
    _broken: dict[Victim, Exception] = field(default_factory=dict)

    def __call__(self) -> bool:
        """Run what is not finished and write the tables; whether every cell that could run did.

        Input is checked before anything is trained: data that cannot be read and checkpoints that do not fit
        raise ``UserError``.
        """
        waiting: dict[Victim, list[Cell]] = {}
        for cell in self.plan.cells:
            status, reason = ("skipped", cell.skip) if cell.skip else self._outcome(cell)
            if status in ("done", "skipped"):
                self.report(CellFinished(cell, status, reason, before=not cell.skip))
            else:
                waiting.setdefault(cell.victim, []).append(cell)
        self._check_input(waiting)
        try:
            for cells in waiting.values():
                for cell in cells:
                    self._run(cell)
        finally:
            if waiting or not self._tables_current():
                self._write_tables()
        return all(self._outcome(cell)[0] != "failed" for cell in self.plan.runnable)

    def _outcome(self, cell: Cell) -> tuple[str, str | None]:
        summary = self.store.cell(cell.id).summary
        return (summary["status"], summary["reason"]) if summary else ("unfinished", None)

    def _tables_current(self) -> bool:
        written = read_json(self.store.folder / "provenance.json")
        return written is not None and written["plan"] == plan_digest(self.plan)

    def _check_input(self, victims: Iterable[Victim]) -> None:
        """Read every data set and label file, and try every checkpoint, before the first epoch is spent."""
        for victim in victims:
            data, scheme = self._data[victim.dataset], self._scheme(victim)
            if victim.source.weights is not None:
                build(victim, data, scheme)

    def _run(self, cell: Cell) -> None:
        """One cell, to its end or to its failure, which stays its own."""
        folder = self.store.cell(cell.id)
        started = time.perf_counter()
        reason = None
        try:
            self._attack(cell, folder)
            status = "done"
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
        self.report(CellFinished(cell, status, reason))

    def _attack(self, cell: Cell, folder: CellFolder) -> None:
        victim = self._classifier(cell.victim)
        seen = self._classifier(cell.surrogate) if cell.surrogate else None
        chosen = self._samples(cell)
        finished = set(folder.samples()["sample"].tolist())
        left = torch.tensor([sample for sample in chosen.tolist() if sample not in finished], dtype=torch.int64)
        self.report(CellStarted(cell, len(chosen), len(finished)))
        test = self._data[cell.victim.dataset].test
        for ids in left.split(self.plan.benchmark.batch_size) if len(left) else ():
            part = test[ids]
            x, y = pixels(part.images.to(self.device)), part.labels.to(self.device)
            batch = Batch(x, y, ids.to(self.device), seed=cell.victim.seed, key=cell.attack.use)
            folder.add_part(
                evaluate(
                    victim,
                    cell.attack.object,
                    batch,
                    cell.threats,
                    cell.threat.eps,
                    seen=seen,
                    targets=cell.threat.targets,
                )
            )
            self.report(BatchDone(cell, len(ids)))

    def _samples(self, cell: Cell) -> torch.Tensor:
        """Positions in the test set: the same for every cell of a data set, whatever its seed."""
        count = len(self._data[cell.victim.dataset].test)
        if cell.sampling == "first":
            return torch.arange(min(cell.samples, count))
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
        return order[: cell.samples].sort().values

    def _classifier(self, victim: Victim) -> Classifier:
        if victim in self._broken:
            raise self._broken[victim]
        if victim not in self._classifiers:
            while len(self._classifiers) >= KEPT:
                self._classifiers.pop(next(iter(self._classifiers)))
            try:
                self._classifiers[victim] = self._defended(victim)
            except Exception as error:
                self._broken[victim] = error  # a training that failed is not repeated for every cell
                raise
        return self._classifiers[victim]

    def _defended(self, victim: Victim) -> Classifier:
        trainer = FitTrainer(
            victim,
            self._data[victim.dataset],
            self._scheme(victim),
            self.store,
            self.device,
            lambda words, epoch: self.report(EpochDone(words, epoch, victim.training.epochs)),
        )
        classifier = victim.defence.object(trainer) if victim.defence else trainer()
        return classifier.to(self.device).eval().requires_grad_(False)

    def _scheme(self, victim: Victim) -> Any:
        try:
            return victim.labels.object(self._data[victim.dataset].classes, self.plan.files)
        except (MissingFile, ValueError) as error:
            raise UserError(f"[[labels]] {victim.labels.label}: {error}") from error

    @cached_property
    def _data(self) -> Mapping[Component, Data]:
        return _LoadedData(self.plan)

    def _write_tables(self) -> None:
        results, board = tables(self.plan, self.store)
        hashes = {part.label: data.test.sha256() for part, data in self._data.items()}
        self.store.write_tables(results, board, provenance(self.plan, device_name(self.device), hashes))


class _LoadedData(dict[Component, Data]):
    """The plan's data sets, each read on first use."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, component: Component) -> Data:
        try:
            data: Data = component.object(self._plan.files)
        except (MissingFile, ValueError) as error:
            raise UserError(f"[[dataset]] {component.label}: {error}") from error
        self[component] = data
        return data


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
