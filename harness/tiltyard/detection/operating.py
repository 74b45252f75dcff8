"""Thresholds of a detector at fixed shares of clean images rejected, fitted to held-out ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Batch, Classifier
from ..evaluator import judge
from ..results import Store, read_json, write_json
from ..spec import Victim
from ..victims import Victims

RATES = {"1": 0.01, "5": 0.05}
"""The shares of clean images that may be rejected, by their names in columns: per cent."""

_BATCH = 256


def threshold(margins: NDArray[np.float64], rate: float) -> float:
    """The least of ``margins`` that at most the share ``rate`` of them exceeds; not a number for none at all."""
    if not len(margins):
        return math.nan
    return float(np.sort(margins)[max(0, math.ceil(len(margins) * (1 - rate) - 1e-9) - 1)])


def keep_thresholds(victims: Victims, victim: Victim, classifier: Classifier) -> None:
    """Fit the thresholds of a detector and keep them in the store, once.

    They are fitted to the rejection margins of the held-out images that the classifier gets right. Nothing is kept
    for a classifier that never rejects, nor where the test images are all there is and none is held out.
    """
    path = _file(victims.store, victim.id)
    data = victims.data(victim.dataset)
    if path.exists() or data.train is data.test:
        return
    x, y = victims.trainer(victim).held_out
    if not len(x) or judge(classifier, _batch(x[:1], y[:1], 0, victim.seed)).rejection.isnan().all():
        return
    write_json(path, _fitted(classifier, x, y, victim.seed))


def thresholds(store: Store, victim_id: str) -> dict[str, Any]:
    """What was kept: ``held_out``, the number of images, and ``thresholds`` by the names of ``RATES``."""
    return read_json(_file(store, victim_id)) or {"held_out": None, "thresholds": {}}


def _file(store: Store, victim_id: str) -> Path:
    return store.victim(victim_id) / "detector.json"


def _fitted(classifier: Classifier, x: Tensor, y: Tensor, seed: int) -> dict[str, Any]:
    found = []
    for first in range(0, len(x), _BATCH):
        batch = _batch(x[first : first + _BATCH], y[first : first + _BATCH], first, seed)
        verdict = judge(classifier, batch)
        found.append(verdict.rejection[verdict.finite & (verdict.prediction == batch.y)])
    margins = torch.cat(found).double().cpu().numpy()
    fitted = {name: threshold(margins, rate) for name, rate in RATES.items()} if len(margins) else {}
    return {"held_out": len(margins), "thresholds": fitted}


def _batch(x: Tensor, y: Tensor, first: int, seed: int) -> Batch:
    return Batch(x, y, torch.arange(first, first + len(x), device=x.device), seed=seed, key="held out")
