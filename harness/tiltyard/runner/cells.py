"""One cell, batch by batch: what is on disk already is passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..behind import Behind
from ..contracts import Batch, Classifier, Split, pixels
from ..detection import keep_thresholds
from ..evaluator import evaluate
from ..events import BatchDone, CellStarted, Event
from ..results import Images, Store
from ..spec import Cell, Plan
from ..stand_in import StandIn
from ..victims import Victims


@dataclass(frozen=True)
class CellRunner:
    """Attacks victims and keeps the records."""

    plan: Plan
    store: Store
    victims: Victims
    report: Callable[[Event], None]

    def __call__(self, cell: Cell, part: tuple[int, int] | None = None) -> None:
        """Attack what is left of a cell, or of one part of it."""
        folder, device = self.store.cell(cell.id), self.victims.device
        victim, search = self._classifiers(cell)
        test = self.victims.data(cell.victim.dataset).test
        chosen = self._chosen(cell, len(test), part)
        finished = set(folder.samples()["sample"].tolist())
        left = torch.tensor([sample for sample in chosen.tolist() if sample not in finished], dtype=torch.int64)
        at_most = self.plan.benchmark.time_limit * calls(cell, victim.classes)
        self.report(CellStarted(cell, len(chosen), len(chosen) - len(left), at_most))
        for ids in left.split(self.plan.benchmark.batch_size) if len(left) else ():
            batch = self._batch(cell, test, ids, device)
            clean = self.victims.clean(cell.victim, batch)
            done = evaluate(
                victim,
                cell.attack.object,
                replace(batch, x=victim.normalised(batch.x)) if isinstance(victim, Behind) else batch,
                cell.threats,
                cell.threat.eps,
                search=search,
                clean=clean,
                targets=cell.threat.targets,
                seconds=self.plan.benchmark.time_limit,
            )
            folder.add_part(done.records, done.images if self.plan.benchmark.keep_images else None)
            self.report(BatchDone(cell, len(ids)))

    def _classifiers(self, cell: Cell) -> tuple[Classifier, tuple[StandIn, ...]]:
        """The victim and what its attacker searches on, as classifiers of images in the units of the cell."""
        victim = self.victims.classifier(cell.victim)
        keep_thresholds(self.victims, cell.victim, victim)
        search = self.victims.search(cell.surrogate or cell.victim, cell.precision)
        if cell.threat.units == "pixels":
            return victim, search
        behind = partial(self.victims.behind, cell.victim)
        return behind(victim), tuple(replace(one, classifier=behind(one.classifier)) for one in search)

    def _chosen(self, cell: Cell, count: int, part: tuple[int, int] | None) -> Tensor:
        chosen = chosen_samples(cell, count)
        if part is None:
            return chosen
        batches = chosen.split(self.plan.benchmark.batch_size)[part[0] :: part[1]]
        return torch.cat(batches) if batches else chosen[:0]

    def _batch(self, cell: Cell, test: Split, ids: Tensor, device: torch.device) -> Batch:
        images = test[ids]
        x, y = pixels(images.images.to(device)), images.labels.to(device)
        batch = Batch(x, y, ids.to(device), seed=cell.victim.seed, key=cell.attack.use)
        return replace(batch, found=tuple(self._found(cell, batch)))

    def _found(self, cell: Cell, batch: Batch) -> Iterator[Tensor]:
        """The images (N, C, H, W) that broke other victims, for a cell that transfers them: one of each call."""
        for source in cell.sources:
            kept = Images.joined(map(Images.read, self.store.cell(source.id).images()), batch.x.shape[1:])
            here = kept[torch.isin(kept.sample, batch.ids.cpu())]
            for eps in here.eps.unique():
                yield here[here.eps == eps].on(batch.x, batch.ids)


def calls(cell: Cell, classes: int) -> int:
    """How often the attack is called on a batch: once for each eps and target."""
    every = cell.threat.goal == "targeted" and cell.threat.targets == "all"
    return len(cell.threats) * (classes - 1 if every else 1)


def chosen_samples(cell: Cell, count: int) -> Tensor:
    """Positions in a test set of ``count`` images: the same for every cell of a data set, whatever its seed."""
    if cell.sampling == "first":
        return torch.arange(min(cell.samples, count))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[: cell.samples].sort().values
