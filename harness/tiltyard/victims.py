"""The data, label schemes and classifiers of a plan, each made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

from .behind import Behind
from .contracts import Batch, Classifier, Data, LabelScheme, MissingFile
from .evaluator import Verdict, judge
from .events import EpochDone, Event
from .problems import UserError
from .results import Store
from .spec import Component, Plan, Precision, Victim
from .stand_in import PROBES, StandIn, in_bfloat16, stand_in
from .training import FitTrainer, Normalise, build, normalisation

KEPT = 2
"""Classifiers kept in memory: the victim at hand and the one its attacker sees."""


@dataclass
class Victims:
    """What a plan needs to be run, on a device; ``store`` keeps the fits."""

    plan: Plan
    store: Store
    device: torch.device
    report: Callable[[Event], None]
    trains: bool = True
    """Whether a fit that is not in the store is made; otherwise it is a mistake."""
    _data: dict[Component, Data] = field(default_factory=dict)
    _classifiers: dict[Victim, Classifier] = field(default_factory=dict)
    _search: dict[tuple[Victim, Precision], tuple[StandIn, ...]] = field(default_factory=dict)
    _clean: dict[tuple[Victim, bytes], Verdict] = field(default_factory=dict)
    _normalise: dict[tuple[Component, str], Normalise] = field(default_factory=dict)
    _broken: dict[Victim, Exception] = field(default_factory=dict)

    def check(self, victims: Iterable[Victim]) -> None:
        """Read every data set and label file, and try every checkpoint, before the first epoch is spent.

        Raises ``UserError``.
        """
        for victim in victims:
            data, scheme = self.data(victim.dataset), self.scheme(victim)
            if victim.source.weights is not None:
                build(victim, data, scheme)

    def data(self, dataset: Component) -> Data:
        """A data set, read on first use; raises ``UserError``."""
        if dataset not in self._data:
            try:
                self._data[dataset] = dataset.object(self.plan.files)
            except (MissingFile, ValueError) as error:
                raise UserError(f"[[dataset]] {dataset.label}: {error}") from error
        return self._data[dataset]

    def data_hashes(self) -> dict[str, str]:
        """The digest of each test set read so far, by its name."""
        return {part.label: data.test.sha256() for part, data in self._data.items()}

    def classifier(self, victim: Victim) -> Classifier:
        """The defended classifier of a victim, trained or loaded; a failure is raised again and not tried again."""
        if victim in self._broken:
            raise self._broken[victim]
        if victim not in self._classifiers:
            while len(self._classifiers) >= KEPT:
                self._forget(next(iter(self._classifiers)))
            try:
                self._classifiers[victim] = self._defended(victim)
            except Exception as error:
                self._broken[victim] = error  # a training that failed is not repeated for every cell
                raise
        return self._classifiers[victim]

    def search(self, victim: Victim, precision: Precision) -> tuple[StandIn, ...]:
        """What attacks on a victim search on, the victim itself last (``evaluate``)."""
        if (victim, precision) not in self._search:
            classifier, test = self.classifier(victim), self.data(victim.dataset).test
            exact = stand_in(classifier, test[torch.arange(min(PROBES, len(test)))].floats(self.device))
            low = [in_bfloat16(exact)] if precision == "search_bf16" else []
            self._search[victim, precision] = (*low, exact, StandIn(classifier, exact.chunk))
        return self._search[victim, precision]

    def behind(self, victim: Victim, classifier: Classifier) -> Behind:
        """A classifier of the victim as one of images that are normalised as its network does it."""
        key = victim.dataset, repr(victim.source.host.normalise)
        if key not in self._normalise:
            layer = normalisation(victim.source, self.data(victim.dataset))
            assert isinstance(layer, Normalise), "cells of models that do not normalise are skipped"
            self._normalise[key] = layer.to(self.device)
        layer = self._normalise[key]
        return Behind(classifier, layer.mean, layer.std).eval()

    def clean(self, victim: Victim, batch: Batch) -> Verdict:
        """The victim's word on the images of a batch, asked for once, whatever attacks come after."""
        key = victim, batch.ids.cpu().numpy().tobytes()
        if key not in self._clean:
            self._clean[key] = judge(self.classifier(victim), batch)
        return self._clean[key]

    def _forget(self, victim: Victim) -> None:
        self._classifiers.pop(victim)
        self._search = {key: found for key, found in self._search.items() if key[0] != victim}
        self._clean = {key: found for key, found in self._clean.items() if key[0] != victim}

    def trainer(self, victim: Victim) -> FitTrainer:
        """What fits a victim's networks."""
        return FitTrainer(
            victim,
            self.data(victim.dataset),
            self.scheme(victim),
            self.store,
            self.device,
            lambda words, epoch: self.report(EpochDone(words, epoch, victim.training.epochs)),
            trains=self.trains,
        )

    def _defended(self, victim: Victim) -> Classifier:
        trainer = self.trainer(victim)
        classifier = victim.defence.object(trainer) if victim.defence else trainer()
        made: Classifier = classifier.to(self.device).eval().requires_grad_(False)
        return made

    def scheme(self, victim: Victim) -> LabelScheme:
        """The label scheme of a victim; raises ``UserError``."""
        try:
            scheme: LabelScheme = victim.labels.object(self.data(victim.dataset).classes, self.plan.files)
        except (MissingFile, ValueError) as error:
            raise UserError(f"[[labels]] {victim.labels.label}: {error}") from error
        return scheme
