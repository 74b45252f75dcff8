"""The table of detectors: a row per cell and eps of every victim that rejects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..leaderboard import CellRecords
from ..results import DETECTION, VERDICTS, Store, frame
from ..statistics import wilson
from .area import area_interval, areas
from .operating import RATES, thresholds

if TYPE_CHECKING:
    import pandas as pd

JUDGED = ["ok", "repaired"]


def detection(cells: Iterable[CellRecords], store: Store) -> pd.DataFrame:
    """``results.DETECTION``: how well each detector tells what each attack made of it from clean images.

    Images of a minimal-norm attack are judged wherever they lie: its one row has an eps of infinity.
    """
    rows: list[dict[str, Any]] = []
    for cell in cells:
        if cell.records is None or cell.records["clean_rejection"].isna().all():
            continue
        fitted = thresholds(store, cell.identity["victim"])
        words = cell.identity | {"cell": cell.identity["id"]}
        rows += [words | {"eps": eps} | _metrics(records, fitted) for eps, records in _balls(cell)]
    return frame(DETECTION, rows)


def _balls(cell: CellRecords) -> Iterator[tuple[float, pd.DataFrame]]:
    assert cell.records is not None
    if cell.minimal:
        yield math.inf, cell.records[cell.records["eps"] == cell.records["eps"].max()]
    else:
        yield from ((float(str(eps)), records) for eps, records in cell.records.groupby("eps", sort=True))


def _metrics(records: pd.DataFrame, fitted: dict[str, Any]) -> dict[str, Any]:
    samples = records.drop_duplicates("sample")
    clean = _margins(samples, samples["clean_prediction"] == samples["label"], "clean_rejection")
    judged = records["status"].isin(JUDGED)
    changed = judged & (records["prediction"] != records["label"]).fillna(False)
    adversarial, wrong = _margins(records, judged, "rejection"), _margins(records, changed, "rejection")
    auroc, aupr = areas(clean, wrong)
    low, high = area_interval(auroc, len(clean), len(wrong))
    metrics: dict[str, Any] = {"clean": len(clean), "adversarial": len(adversarial), "wrong": len(wrong)}
    metrics |= {"auroc": auroc, "auroc_low": low, "auroc_high": high, "aupr": aupr}
    metrics |= dict(zip(("auroc_all", "aupr_all"), areas(clean, adversarial), strict=True))
    for name, limit in {"own": 0.0, **{name: fitted["thresholds"].get(name) for name in RATES}}.items():
        if limit is not None:
            metrics |= _rate(f"tpr_{name}", wrong > limit) | _rate(f"fpr_{name}", clean > limit)
    passed = changed & ~records["rejected"].fillna(True)
    return metrics | {"held_out": fitted["held_out"], "samples": len(samples)} | _robust(records, samples, passed)


def _margins(records: pd.DataFrame, chosen: pd.Series[bool], column: str) -> NDArray[np.float64]:
    """The finite rejection margins of the chosen records."""
    values: NDArray[np.float64] = records.loc[chosen, column].to_numpy(dtype=np.float64)
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def _rate(name: str, flags: NDArray[np.bool_]) -> dict[str, float]:
    low, high = wilson(int(flags.sum()), len(flags))
    return {name: float(flags.mean()) if len(flags) else math.nan, f"{name}_low": low, f"{name}_high": high}


def _robust(records: pd.DataFrame, samples: pd.DataFrame, passed: pd.Series[bool]) -> dict[str, float]:
    """The share of all samples that stay right and accepted; none where a sample lacks a verdict."""
    if not records["status"].isin(list(VERDICTS)).all():
        return {}
    broken = set(records.loc[passed, "sample"])
    held = int((samples["correct"] & ~samples["sample"].isin(broken)).sum())
    low, high = wilson(held, len(samples))
    return {"robust_accuracy": held / len(samples), "robust_low": low, "robust_high": high}
