"""Two results folders compared row by row, on the samples they have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems import UserError
from ..results import COMPARISON, CellFolder, Results, frame
from ..statistics import ALPHA, adjusted, difference, mcnemar
from .cells import Bools, CellRecords, Ints, Outcomes

if TYPE_CHECKING:
    import pandas as pd

THREAT = ("norm", "units", "eps", "goal", "targets", "knowledge")
KEYS = ("dataset", "model", "labels", "defence", "attack", *THREAT, "seed")
"""What makes rows of two folders the same row."""
VICTIM = ("dataset", "model", "labels", "defence", "seed")

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Versus:
    """The rows that two folders share (``results.COMPARISON``), and what those are that only one of them has."""

    rows: pd.DataFrame
    only_a: tuple[dict[str, Any], ...]
    only_b: tuple[dict[str, Any], ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each verdict."""
        found = self.rows["verdict"].tolist()
        return {word: found.count(word) for word in ("worse", "lost", "better", "gained", "same")}


def versus(a: Results, b: Results) -> Versus:
    """B against A: clean accuracy victim by victim, robust accuracy row by row, each by McNemar's exact test.

    P values are corrected for one another over all rows. Raises ``UserError`` where the folders share no row, hold
    other test images, or lack their records.
    """
    _check_data(a, b)
    rows_a, rows_b = _keyed(a.table), _keyed(b.table)
    shared = [key for key in rows_a if key in rows_b]
    if not shared:
        raise UserError(f"{a.folder} and {b.folder} share no row: {_apart(rows_a, rows_b)}")
    readers = _Reader(a), _Reader(b)
    found: list[dict[str, Any]] = []
    for key in shared:
        found += _robust(key, rows_a[key], rows_b[key], readers)
    found += _clean([(key, rows_a[key], rows_b[key]) for key in shared], readers)
    return Versus(
        frame(COMPARISON, _judged(found)),
        tuple(_named(key) for key in rows_a if key not in rows_b),
        tuple(_named(key) for key in rows_b if key not in rows_a),
    )


def _check_data(a: Results, b: Results) -> None:
    ours, theirs = (one.provenance.get("data_sha256", {}) for one in (a, b))
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            raise UserError(f'{a.folder} and {b.folder}: the test images of "{name}" are not the same')


def _keyed(table: pd.DataFrame) -> dict[Key, Mapping[str, Any]]:
    """The rows of ``results.csv`` by what they are; skipped ones are none."""
    rows: dict[Key, Mapping[str, Any]] = {}
    for row in table[table["status"] != "skipped"].to_dict("records"):
        # Fractions of 255 are read back from files that may round them.
        row["eps"] = float(f"{row['eps']:.9g}")
        row["targets"] = row["targets"] if isinstance(row["targets"], str) else ""
        rows.setdefault(tuple(row[key] for key in KEYS), {str(name): value for name, value in row.items()})
    return rows


def _apart(rows_a: Iterable[Key], rows_b: Iterable[Key]) -> str:
    """What keeps the rows of two folders apart."""
    values = [{name: {key[n] for key in rows} for n, name in enumerate(KEYS)} for rows in (rows_a, rows_b)]
    differ = [name for name in KEYS if not values[0][name] & values[1][name]]
    return f"they differ in {', '.join(differ)}" if differ else "no combination of the axes is in both"


def _named(key: Key) -> dict[str, Any]:
    named = dict(zip(KEYS, key, strict=True))
    return named | {"targets": named["targets"] or None}


@dataclass(frozen=True)
class _Reader:
    """The records of a folder's cells."""

    results: Results

    def __call__(self, cell: str) -> Outcomes:
        folder = CellFolder(self.results.folder / "cells" / cell)
        outcomes = CellRecords({}, folder.samples()).outcomes
        if outcomes is None or not len(outcomes.sample):
            raise UserError(f"{folder.folder}: there are no records; a comparison needs the whole results folder")
        return outcomes


def _robust(
    key: Key, row_a: Mapping[str, Any], row_b: Mapping[str, Any], readers: tuple[_Reader, _Reader]
) -> Iterator[dict[str, Any]]:
    known = [not math.isnan(row["robust_accuracy"]) for row in (row_a, row_b)]
    words = _named(key) | {"quantity": "robust accuracy"}
    if all(known):
        outcomes = readers[0](row_a["cell"]), readers[1](row_b["cell"])
        yield words | _compared(*(_held(one, row_a["eps"]) for one in outcomes))
    elif any(known):
        yield words | {
            "accuracy_a": row_a["robust_accuracy"],
            "accuracy_b": row_b["robust_accuracy"],
            "verdict": "lost" if known[0] else "gained",
        }


def _clean(
    shared: Iterable[tuple[Key, Mapping[str, Any], Mapping[str, Any]]], readers: tuple[_Reader, _Reader]
) -> Iterator[dict[str, Any]]:
    """One row per victim, from the first of its cells that both folders have finished."""
    seen = set()
    for key, row_a, row_b in shared:
        words = {name: value for name, value in zip(KEYS, key, strict=True) if name in VICTIM}
        if tuple(words.values()) in seen or not (row_a["status"] == row_b["status"] == "done"):
            continue
        seen.add(tuple(words.values()))
        right = (_right(readers[0](row_a["cell"])), _right(readers[1](row_b["cell"])))
        yield words | {"quantity": "clean accuracy"} | _compared(*right)


def _held(outcomes: Outcomes, eps: float) -> tuple[Ints, Bools]:
    """The samples tried at this eps, and which of them held: with several targets, against each."""
    here = np.abs(outcomes.eps - eps) <= 1e-6 * eps
    return _merged(outcomes.sample[here], (outcomes.correct & ~outcomes.left)[here])


def _right(outcomes: Outcomes) -> tuple[Ints, Bools]:
    return _merged(outcomes.sample, outcomes.correct)


def _merged(sample: Ints, fine: Bools) -> tuple[Ints, Bools]:
    samples = np.unique(sample)
    every = np.ones(len(samples), dtype=bool)
    every[np.searchsorted(samples, sample[~fine])] = False
    return samples, every


def _compared(a: tuple[Ints, Bools], b: tuple[Ints, Bools]) -> dict[str, Any]:
    """The columns of a comparison from the samples and what held in each folder."""
    common, in_a, in_b = np.intersect1d(a[0], b[0], return_indices=True)
    if not len(common):
        raise UserError("the two folders have no sample in common; give both the same [benchmark] sampling")
    ours, theirs = a[1][in_a], b[1][in_b]
    only_a, only_b = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    low, high = difference(int((ours & theirs).sum()), only_a, only_b, int((~ours & ~theirs).sum()))
    return {
        "samples": len(common),
        "accuracy_a": float(ours.mean()),
        "accuracy_b": float(theirs.mean()),
        "difference": (only_b - only_a) / len(common),
        "difference_low": low,
        "difference_high": high,
        "only_a": only_a,
        "only_b": only_b,
        "p": float(mcnemar(np.array(only_a), np.array(only_b))),
    }


def _judged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tested = [row for row in rows if "p" in row]
    for row, p in zip(tested, adjusted(np.array([row["p"] for row in tested])).tolist(), strict=True):
        verdict = "same" if p >= ALPHA else "worse" if row["difference"] < 0 else "better"
        row |= {"p_adjusted": p, "verdict": verdict}
    return rows
