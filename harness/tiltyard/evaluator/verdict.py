"""The defended victim's word on images, from a forward that no attack has touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contracts import Batch, Classifier, Outputs, margin
from ..stand_in import MOST
from ..victim import outputs


@dataclass(frozen=True)
class Verdict:
    """Scores (N, K), predictions, rejections and margins (N,) of images (N, C, H, W).

    ``rejection`` is the rejection margin (N,), not a number where the victim never rejects.
    """

    scores: Tensor
    rejection: Tensor
    prediction: Tensor
    rejected: Tensor
    margin: Tensor
    finite: Tensor

    def right(self, y: Tensor) -> Tensor:
        """Classified as ``y`` and accepted."""
        return self.finite & (self.prediction == y) & ~self.rejected

    def wrong(self, y: Tensor) -> Tensor:
        """Classified as another class than ``y`` and accepted."""
        return self.finite & (self.prediction != y) & ~self.rejected

    def goal(self, batch: Batch) -> Tensor:
        """Margin (N,) to the adversary's goal, targeted or not, which rejection keeps from it; nan if undefined."""
        margin = torch.fmax(batch.margin(self.scores), self.rejection)
        return torch.where(self.finite, margin, torch.nan)


@torch.no_grad()
def judge(classifier: Classifier, batch: Batch, images: Tensor | None = None, trial: str = "clean") -> Verdict:
    """The verdict on ``images`` (the batch's own if None) of the samples of ``batch``.

    Scores that are not finite decide nothing. A randomised victim is asked once for each sample, with random
    numbers that belong to seed, trial and sample: the answer it would have given in use, and the same in any batch.
    """
    x = batch.x if images is None else images
    with _float32():
        scores, rejection = _trials(classifier, batch, x, trial) if classifier.randomised else _said(classifier, x)
    finite = scores.isfinite().all(1)
    score_margin = margin(scores, batch.y)
    if rejection is None:
        none = torch.full_like(score_margin, torch.nan)
        return Verdict(scores, none, scores.argmax(1), torch.zeros_like(finite), score_margin, finite)
    joint = torch.maximum(score_margin, rejection)
    return Verdict(scores, rejection, scores.argmax(1), rejection > 0, joint, finite & rejection.isfinite())


@contextmanager
def _float32() -> Iterator[None]:
    """Products in float32: on a GPU torch takes convolutions in TensorFloat-32, with a mantissa of ten bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _said(classifier: Classifier, x: Tensor) -> Outputs:
    """Scores and rejections, a pass at a time: a large batch takes no more memory than a small one."""
    return _joined([outputs(classifier, part) for part in x.split(MOST[x.device.type])])


def _trials(classifier: Classifier, batch: Batch, x: Tensor, trial: str) -> Outputs:
    """Scores and rejections of a randomised victim, sample by sample."""
    found = []
    devices = [x.device] if x.is_cuda else []
    for row in range(len(x)):
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(batch[torch.tensor([row], device=x.device)].keyed(f"verdict on {trial}").call_seed)
            found.append(outputs(classifier, x[row : row + 1]))
    return _joined(found)


def _joined(found: list[Outputs]) -> Outputs:
    scores = torch.cat([one.scores for one in found])
    rejections = [one.rejection for one in found if one.rejection is not None]
    return Outputs(scores, torch.cat(rejections) if rejections else None)
