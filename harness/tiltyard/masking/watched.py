"""A classifier that remembers what it was asked."""

from __future__ import annotations

import torch
from torch import Tensor

from ..contracts import Batch, Classifier, Outputs, Threat, distance, margin
from ..evaluator import EPS_SLACK


class Watched(Classifier):
    """A classifier that counts its queries, and those that it answered with scores that are not finite.

    With ``batch`` and ``threat`` it remembers in ``met`` (N,) for which samples a query inside box and ball was
    wrong and accepted. A query belongs to its own row, or, among another number of images, to the nearest one.
    """

    def __init__(self, classifier: Classifier, batch: Batch | None = None, threat: Threat | None = None) -> None:
        super().__init__(classifier.network, classifier.scheme)
        self.classifier = classifier
        self.randomised = classifier.randomised
        self.asked = 0
        self.undefined = 0
        self.met = torch.zeros(0 if batch is None else len(batch), dtype=torch.bool)
        self._batch = batch
        self._threat = threat

    def outputs(self, x: Tensor) -> Outputs:
        """The classifier's own answer."""
        scores, rejection = self.classifier.outputs(x)
        self.asked += len(x)
        self.undefined += int((~scores.detach().isfinite().all(1)).sum())
        if self._batch is not None and self._threat is not None:
            self._remember(x.detach(), scores.detach(), rejection, self._batch, self._threat)
        return Outputs(scores, rejection)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The classifier's own loss."""
        return self.classifier.loss(x, y)

    def raw(self, x: Tensor) -> Tensor:
        """The outputs of the classifier's network."""
        return self.classifier.raw(x)

    def _remember(self, x: Tensor, scores: Tensor, rejection: Tensor | None, batch: Batch, threat: Threat) -> None:
        x = x.to(batch.x)
        clean = batch.x.flatten(1)
        rows = torch.cdist(x.flatten(1), clean).argmin(1) if len(x) != len(batch) else torch.arange(len(x)).to(x.device)
        won = margin(scores, batch.y[rows]) < 0
        won &= distance(x - batch.x[rows], threat.norm) <= threat.eps * (1 + EPS_SLACK)
        won &= (x == x.clamp(0, 1)).flatten(1).all(1)
        won &= rejection.detach() <= 0 if rejection is not None else True
        self.met[rows[won].cpu()] = True
