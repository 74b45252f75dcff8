"""The second opinion: clean images and stored images judged once each, as tables to compare records with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..behind import Behind
from ..contracts import Batch, Classifier, Norm, Split, distance, margin, pixels
from ..evaluator import Verdict, judge
from ..results import Images

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 256
"""Images judged at a time."""
ROUNDING = 1e-3
"""A margin below this share of an image's spread of scores may be of either sign on another machine."""
UNCHANGED = 2.0**-22
"""A pixel that differs by less has not been changed: machines divide by 255 differently."""


@dataclass(frozen=True)
class Judged:
    """A verdict per image, and the scores (N, K)."""

    table: pd.DataFrame
    scores: Tensor


def judge_clean(classifier: Classifier, test: Split, ids: Tensor, seed: int) -> Judged:
    """The verdicts on the clean images of the samples ``ids`` (N,): one row each."""
    found = [(part, judge(classifier, _batch(test, part, seed))) for part in ids.split(CHUNK)]
    rows = [
        _columns(verdict, test.labels[part])
        | {
            "sample": part,
            "own_label": test.labels[part],
            "own_correct": verdict.right(test.labels[part]),
            "own_finite": verdict.finite,
        }
        for part, verdict in found
    ]
    return Judged(_frame(rows), torch.cat([verdict.scores for _, verdict in found]))


def judge_images(classifier: Classifier, test: Split, images: Images, seed: int, norm: Norm) -> pd.DataFrame:
    """The verdicts on stored images: one row each, known by ``sample``, ``call`` (eps) and ``target``.

    A classifier ``Behind`` the normalisation is asked about normalised images, which lie in no box. Raises
    ``ValueError`` on what are no images of this test set.
    """
    _check(images, test)
    rows = []
    for part in torch.arange(len(images)).split(CHUNK):
        some = images[part]
        batch, adversarial = _batch(test, some.sample, seed), pixels(some.pixels)
        boxed = ((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(1)
        if isinstance(classifier, Behind):
            batch, boxed = replace(batch, x=classifier.normalised(batch.x)), adversarial.flatten(1).isfinite().all(1)
        verdict = judge(classifier, batch, adversarial, "adversarial")
        delta = (adversarial - batch.x).double()
        rows.append(
            _columns(verdict, batch.y)
            | {
                "sample": some.sample,
                "call": some.eps,
                "target": some.target,
                "boxed": boxed,
                "length": distance(delta.where(delta.abs() > UNCHANGED, 0.0), norm),
                "wrong": verdict.wrong(batch.y),
                "aimed": verdict.right(some.target),
            }
        )
    return _frame(rows)


def close_to_least(scores: Tensor, targets: Tensor) -> Tensor:
    """Whether each target (N,) has the lowest of its scores (N, K), within rounding."""
    return scores.gather(1, targets.unsqueeze(1)).squeeze(1) - scores.amin(1) <= ROUNDING * _spread(scores)


def _batch(test: Split, ids: Tensor, seed: int) -> Batch:
    part = test[ids]
    return Batch(pixels(part.images), part.labels, ids, seed=seed)


def _columns(verdict: Verdict, labels: Tensor) -> dict[str, Tensor]:
    """What both kinds of image have; ``close`` where the verdict may be another on another machine."""
    slack = ROUNDING * _spread(verdict.scores)
    best = verdict.scores.topk(2, dim=1).values
    gap = torch.minimum(best[:, 0] - best[:, 1], margin(verdict.scores, labels).abs())
    return {
        "own_prediction": verdict.prediction,
        "own_rejected": verdict.rejected,
        "own_rejection": verdict.rejection,
        "own_margin": verdict.margin,
        "slack": slack,
        "close": (gap <= slack) | (verdict.rejection.abs() <= slack),
    }


def _spread(scores: Tensor) -> Tensor:
    return scores.amax(1) - scores.amin(1)


def _check(images: Images, test: Split) -> None:
    count = len(images.sample)
    lengths = {len(column) for column in (images.sample, images.eps, images.target, images.pixels)}
    if lengths != {count} or images.pixels.shape[1:] != test.images.shape[1:]:
        raise ValueError(f"images of shape {tuple(images.pixels.shape)} for {count} samples")
    if images.sample.dtype != torch.int64 or images.target.dtype != torch.int64:
        raise ValueError("samples and targets of images must be int64")
    if images.pixels.dtype not in (torch.float32, torch.uint8):
        raise ValueError(f"images must be float32 or uint8, not {images.pixels.dtype}")
    if count and not 0 <= int(images.sample.min()) <= int(images.sample.max()) < len(test):
        raise ValueError("an image is of a sample that the test set has not")


def _frame(rows: list[dict[str, Tensor]]) -> pd.DataFrame:
    import pandas as pd

    parts = [pd.DataFrame({name: column.numpy() for name, column in row.items()}) for row in rows]
    return pd.concat(parts, ignore_index=True)
