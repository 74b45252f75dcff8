"""The records of a cell held against the second opinion: every row, nothing else needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from ..contracts import Batch, Split, Threat, declared, pixels
from ..evaluator import aims, reach
from ..results import STATUSES
from ..spec import Cell, ThreatTable
from .judging import Judged, close_to_least
from .report import Report

if TYPE_CHECKING:
    import pandas as pd

Rule = tuple[str, "pd.Series[bool]"]
"""What is the matter, and with which rows."""
FLOAT = 1e-6
"""Relative rounding of a float32 length."""


def compared(records: pd.DataFrame, clean: Judged, images: pd.DataFrame, cell: Cell, test: Split) -> pd.DataFrame:
    """The records with the verdicts made here beside them, and ``own_left``, ``own_reached``: what they should say."""
    minimal = bool(declared(cell.attack.object, "minimal"))
    keyed = records.assign(
        call=math.inf if minimal else records["eps"], aim=records["target"].fillna(-1).astype("int64")
    )
    stored = images.rename(columns={"target": "aim"}).drop_duplicates(["sample", "call", "aim"])
    table = keyed.merge(stored, on=["sample", "call", "aim"], how="left", indicator="found")
    table = table.merge(clean.table, on="sample", how="left", suffixes=("", "_clean"))
    has = table["found"] == "both"
    inside = has & (table["length"] <= table["eps"].map(_limits(cell.threat, test)))
    fit = inside & table["boxed"].eq(True)
    return table.assign(
        has=has,
        inside=inside,
        own_left=fit & table["wrong"].eq(True),
        own_reached=fit & table["aimed"].eq(True),
        close=has & table["close"].eq(True),
        close_clean=table["close_clean"].eq(True),
    )


def _limits(threat: ThreatTable, test: Split) -> dict[float, float]:
    """The length that still counts as inside the ball, for each eps."""
    like = pixels(test.images[:1])
    return {eps: reach(Threat(threat.norm, eps, units=threat.units), like) * (1 + FLOAT) for eps in threat.eps}


def check_coverage(records: pd.DataFrame, cell: Cell, ids: torch.Tensor, clean: Judged, report: Report) -> None:
    """Every sample at every eps and target has one row: nobody leaves out what went badly."""
    import pandas as pd

    targets, rows = _expected(cell, ids, clean), []
    for target in targets:
        frame = pd.DataFrame({"sample": ids.numpy(), "aim": -1 if target is None else target.numpy()})
        rows += [frame.assign(eps=eps) for eps in cell.threat.eps]
    expected = pd.concat(rows, ignore_index=True)
    there = records.assign(aim=records["target"].fillna(-1).astype("int64"))[["sample", "aim", "eps"]]
    if cell.threat.goal == "targeted" and cell.threat.targets == "least_likely":
        there = _least_likely(there, ids, clean, expected)
    both = expected.merge(there, on=["sample", "aim", "eps"], how="outer", indicator="found")
    for word, message in (("left_only", "no record"), ("right_only", "records that the plan does not have")):
        _tell(report, cell, message, both.loc[both["found"] == word, "sample"])
    _tell(report, cell, "records are there twice", there.loc[there.duplicated(), "sample"])


def _expected(cell: Cell, ids: torch.Tensor, clean: Judged) -> tuple[torch.Tensor | None, ...]:
    table = clean.table
    batch = Batch(torch.empty(len(ids), 0), torch.tensor(table["own_label"].to_numpy()), ids, seed=cell.victim.seed)
    return tuple(aims(batch, clean.scores, cell.threats[0], cell.threat.targets))


def _least_likely(there: pd.DataFrame, ids: torch.Tensor, clean: Judged, expected: pd.DataFrame) -> pd.DataFrame:
    """The rows with their targets replaced by the expected ones where the two are equally unlikely."""
    place = {sample: row for row, sample in enumerate(ids.tolist())}
    known = there["sample"].isin(list(place)) & there["aim"].between(0, clean.scores.shape[1] - 1)
    rows = torch.tensor([place[sample] for sample in there.loc[known, "sample"]], dtype=torch.int64)
    close = close_to_least(clean.scores[rows], torch.tensor(there.loc[known, "aim"].to_numpy()))
    wanted = expected.drop_duplicates("sample").set_index("sample")["aim"]
    as_good = known.to_numpy(bool).copy()
    as_good[as_good] = close.numpy()
    return there.assign(aim=there["aim"].mask(as_good, there["sample"].map(wanted)))


def check_records(table: pd.DataFrame, cell: Cell, randomised: bool, report: Report) -> None:
    """Every rule that the rows of a cell (``compared``) must keep, a line for each that is broken."""
    for message, broken in _rules(table, cell):
        _tell(report, cell, message, table.loc[broken, "sample"])
    for message, broken, close in _verdicts(table):
        if randomised:
            continue  # asked again, it may well answer otherwise
        report.borderline += table.loc[broken & close, "sample"].nunique()
        _tell(report, cell, message, table.loc[broken & ~close, "sample"])
    believed = table["status"].isin(["repaired", "violated"]) & table["claimed"].notna()
    if believed.any():
        report.note(
            f"{where(cell)}: images outside ball or box are not in the bundle, so {int(believed.sum())} of the claims "
            "behind its claimed_accuracy are taken as recorded"
        )
    if randomised:
        _again(table, cell, report)


def _rules(table: pd.DataFrame, cell: Cell) -> Iterator[Rule]:
    """What holds on any machine."""
    left, reached = table["left_class"], table["reached_target"].fillna(False).astype(bool)
    targeted = cell.threat.goal == "targeted"
    claimed = left | reached
    status = table["status"]
    yield "the label is not the data set's", table["label"] != table["own_label"]
    yield "unknown status", ~status.isin(list(STATUSES))
    idle = status.isin(["not_attacked", "undefined"])
    yield "right, and recorded as not attacked", table["correct"] & (status == "not_attacked")
    yield "wrong to begin with, and recorded as attacked", ~table["correct"] & ~idle
    yield "success is not what left_class and reached_target say", table["success"] != (reached if targeted else left)
    yield "recorded as broken without a verdict", claimed & ~(table["correct"] & status.isin(["ok", "repaired"]))
    yield "recorded as broken, and there is no image", claimed & ~table["has"]
    yield "the image is outside [0, 1] or not finite", table["has"] & ~table["boxed"].eq(True)
    yield "recorded as broken, and the image is outside the ball", claimed & table["has"] & ~table["inside"]
    apart = (table["distance"] - table["length"]).abs() > 1e-4 * table["eps"] + table["length"] * FLOAT
    measured = table["has"] & table["success"]
    yield "the distance is not that of the image", measured & (apart | table["distance"].isna())
    other = table["prediction"].ne(table["label"]).fillna(False) & ~table["rejected"].fillna(True).astype(bool)
    said = table["claimed"].astype("boolean")
    came = said.notna() & (status == "ok")
    yield "the claim is not what the class of the image says", came & (said.fillna(False) == other)
    unclaimed = said.fillna(True) & (status == "not_attacked")
    yield "wrong to begin with, and claimed to hold", unclaimed
    judged = status.isin(["ok", "repaired"]) & (table["call"] == table["eps"])
    yield "the class is recorded as another, and the sample not as broken", judged & other & ~left


def _verdicts(table: pd.DataFrame) -> Iterator[tuple[str, pd.Series[bool], pd.Series[bool]]]:
    """What the victim says, and where its word is too close to call."""
    close, near = table["close_clean"], table["close"]
    changed = (table["correct"] != table["own_correct"]) | (table["clean_prediction"] != table["own_prediction_clean"])
    yield "the clean image is not classified as recorded", changed, close
    reached = table["reached_target"].fillna(False).astype(bool)
    fooled = (table["left_class"] != table["own_left"]) | (reached != table["own_reached"])
    yield "the image does not do what is recorded", table["inside"] & fooled, near
    other = table["has"] & (table["prediction"] != table["own_prediction"]).fillna(True)
    yield "the image is not classified as recorded", other & table["prediction"].notna(), near
    apart = (table["margin"] - table["own_margin"]).abs() > table["slack"]
    yield "the margin is not that of the image", table["has"] & apart, near


def _again(table: pd.DataFrame, cell: Cell, report: Report) -> None:
    """A randomised victim, asked again with random numbers that may be others on this machine."""
    claimed = table["success"] & table["inside"]
    held = claimed & (table["own_reached"] if cell.threat.goal == "targeted" else table["own_left"])
    again = f"{int(held.sum())} of {int(claimed.sum())} successes happened again"
    report.note(f"{where(cell)}: {cell.victim.words} is randomised; {again}")


def check_luck(table: pd.DataFrame, cell: Cell, report: Report) -> None:
    """Whether a randomised victim is right on clean images as often as recorded: the exact sign test (McNemar 1947)."""
    from scipy.stats import binomtest

    first = table.drop_duplicates("sample")
    lost = int((first["correct"] & ~first["own_correct"].astype(bool)).sum())
    won = int((~first["correct"] & first["own_correct"].astype(bool)).sum())
    if lost + won and binomtest(lost, lost + won).pvalue < 1e-3:
        report.find(where(cell), f"{lost} clean images are right in the records and wrong here, {won} the other way")


def where(cell: Cell) -> str:
    """A cell in a finding."""
    return f"cell {cell.id} ({cell.attack.label})"


def _tell(report: Report, cell: Cell, message: str, samples: pd.Series[int]) -> None:
    if len(samples):
        some = sorted({int(sample) for sample in samples})
        report.find(where(cell), f"{message}: {len(some)} samples", some)
