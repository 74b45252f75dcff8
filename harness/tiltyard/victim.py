"""What an attack sees of a classifier: folded scores, and a meter on every pass."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .contracts import Batch, Classifier, Outputs, margin


class Victim(nn.Module):
    """A classifier under one call of an attack on one batch.

    ``victim(x)`` gives scores (N, K) in the dtype of ``x``. A detector's rejection is folded into them, so
    that their margin is max(margin, rejection): every attack, wrapped ones included, then has the joint goal
    "wrong and accepted". Forwards and backwards are counted per sample in ``forwards`` and ``backwards`` (N,).

    A forward without gradients goes through the network ``chunk`` images at a time; an attack that takes gradients
    in ``parts`` of that size needs memory for one of them, however large its batch is.
    """

    def __init__(self, classifier: Classifier, batch: Batch, chunk: int = sys.maxsize) -> None:
        super().__init__()
        self.classifier = classifier
        self.chunk = chunk
        self._batch = batch
        self._order = batch.ids.argsort()
        self.forwards = torch.zeros(len(batch), dtype=torch.int64, device=batch.x.device)
        self.backwards = torch.zeros_like(self.forwards)

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return self.classifier.classes

    @property
    def codes(self) -> Tensor:
        """The codebook (K, *shape) of the label scheme; one-hot for categories."""
        return self.classifier.scheme.codes

    @property
    def randomised(self) -> bool:
        """Whether two calls on the same images may differ."""
        return self.classifier.randomised

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        """Folded scores (N, K). ``ids`` (N,) are those of the samples that the images belong to.

        Without them an image is taken for one of the sample in its row, or, in a batch of another size, of the
        sample that it is nearest to.
        """
        rows = self._rows(x, ids)
        if torch.is_grad_enabled() and x.requires_grad:
            return self._scores(x, rows)
        return torch.cat([self._scores(x[part], rows[part]) for part in self.parts(len(x))])

    def loss(self, x: Tensor, y: Tensor, ids: Tensor | None = None) -> Tensor:
        """The label scheme's own training loss (N,)."""
        metered = self._metered(x, self._rows(x, ids))
        return self.classifier.loss(metered.to(_dtype(self.classifier, x)), y).to(x.dtype)

    def raw(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        """Outputs (N, *shape) of the network itself: what it was trained to bring near the label's code."""
        metered = self._metered(x, self._rows(x, ids))
        return self.classifier.raw(metered.to(_dtype(self.classifier, x))).to(x.dtype)

    def parts(self, count: int) -> list[slice]:
        """``count`` rows in as few parts of at most ``chunk`` as can be, all about as large: a small one is slow."""
        number = -(-count // self.chunk) or 1
        return [slice(count * n // number, count * (n + 1) // number) for n in range(number)]

    def one_by_one(self, batch: Batch, attack: Callable[[Victim, Batch], Tensor]) -> Tensor:
        """Images (N, C, H, W) from one call of ``attack`` per sample, for code that mixes up the samples of a batch."""
        images = []
        for row in range(len(batch)):
            single = batch[torch.tensor([row], device=batch.x.device)]
            alone = Victim(self.classifier, single, self.chunk)
            images.append(attack(alone, single))
            self.forwards[row] += alone.forwards[0]
            self.backwards[row] += alone.backwards[0]
        return torch.cat(images)

    def _scores(self, x: Tensor, rows: Tensor) -> Tensor:
        scores, rejection = outputs(self.classifier, self._metered(x, rows))
        return scores if rejection is None else self._folded(scores, rejection, rows)

    def _metered(self, x: Tensor, rows: Tensor) -> Tensor:
        """``x``, counted now and whenever a gradient comes back through it."""
        count = torch.bincount(rows, minlength=len(self._batch))
        self.forwards += count
        if x.requires_grad and torch.is_grad_enabled():
            x = x.view_as(x)
            x.register_hook(lambda _: self._count_backward(count))
        return x

    def _count_backward(self, count: Tensor) -> None:
        self.backwards += count

    def _rows(self, x: Tensor, ids: Tensor | None) -> Tensor:
        """Which sample of the batch each query belongs to."""
        if ids is not None:
            return self._order[torch.searchsorted(self._batch.ids, ids, sorter=self._order)]
        if len(x) == len(self._batch):
            return torch.arange(len(x), device=self.forwards.device)
        with torch.no_grad():
            clean = self._batch.x.flatten(1)
            return torch.cdist(x.detach().to(clean).flatten(1), clean).argmin(1)

    def _folded(self, scores: Tensor, rejection: Tensor, rows: Tensor) -> Tensor:
        """Scores whose margin is max(margin, rejection): the score of the label (or target) is moved."""
        y = self._batch.y[rows]
        target = None if self._batch.target is None else self._batch.target[rows]
        plain = margin(scores, y, target)
        push = torch.maximum(plain, rejection) - plain
        wanted, sign = (y, 1) if target is None else (target, -1)
        return scores.scatter_add(1, wanted.unsqueeze(1), sign * push.unsqueeze(1))


def outputs(classifier: Classifier, x: Tensor) -> Outputs:
    """Scores and rejection margin of ``x``, computed in the network's dtype and returned in that of ``x``."""
    scores, rejection = classifier.outputs(x.to(_dtype(classifier, x)))
    return Outputs(scores.to(x.dtype), None if rejection is None else rejection.to(x.dtype))


def _dtype(classifier: Classifier, x: Tensor) -> torch.dtype:
    return next((p.dtype for p in classifier.parameters()), x.dtype)
