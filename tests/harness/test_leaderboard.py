"""The leaderboard is the worst case per sample, never an average, and says what it lacks."""

from __future__ import annotations

import pandas as pd
import pytest
from scipy.stats import binomtest

from tiltyard.leaderboard import CellRecords, leaderboard
from tiltyard.results import SAMPLES, frame
from tiltyard.statistics import cell_metrics, wilson


def _records(
    broken: list[bool], eps: float = 0.1, correct: list[bool] | None = None, status: str = "ok"
) -> pd.DataFrame:
    right = correct or [True] * len(broken)
    return frame(
        SAMPLES,
        [
            {
                "sample": n,
                "eps": eps,
                "label": 0,
                "clean_prediction": 0,
                "correct": c,
                "left_class": b,
                "success": b,
                "status": status if c else "not_attacked",
                "forwards": 1,
                "backwards": 1,
                "distance": 0.05 if b else None,
            }
            for n, (b, c) in enumerate(zip(broken, right, strict=True))
        ],
    )


def _cell(attack: str, records: pd.DataFrame | None, **more) -> CellRecords:
    identity = {
        "benchmark": "b",
        "dataset": "d",
        "norm": "linf",
        "model": "m",
        "labels": "l",
        "defence": "none",
        "attack": attack,
        "seed": 0,
    }
    return CellRecords(identity | more, records)


def test_two_attacks_that_each_break_half_leave_nothing() -> None:
    board = leaderboard(
        [_cell("a", _records([True, True, False, False])), _cell("b", _records([False, False, True, True]))]
    )
    assert board["robust_accuracy"].tolist() == [0.0]
    assert board["attacks"].tolist() == [2]


def test_an_image_in_a_smaller_ball_counts_in_the_larger_one() -> None:
    cell = _cell("a", pd.concat([_records([True, False], 0.1), _records([False, False], 0.2)]))
    assert leaderboard([cell])["robust_accuracy"].tolist() == [0.5, 0.5]


def test_wrong_samples_count_as_not_robust() -> None:
    board = leaderboard([_cell("a", _records([False, False, False, True], correct=[True, True, False, True]))])
    assert board["robust_accuracy"].tolist() == [0.5]
    assert board["clean_accuracy"].tolist() == [0.75]


def test_the_winning_attack_is_the_one_that_alone_leaves_least() -> None:
    board = leaderboard([_cell("a", _records([True, False])), _cell("b", _records([True, True]))])
    assert board["winning_attack"].tolist() == ["b"]


def test_entries_are_ranked_and_ties_share_a_place() -> None:
    cells = [
        _cell("a", _records([False] * 4), defence="x"),
        _cell("a", _records([False] * 4), defence="y"),
        _cell("a", _records([True] * 4), defence="z"),
    ]
    assert leaderboard(cells)[["defence", "rank"]].to_numpy().tolist() == [["x", 1], ["y", 1], ["z", 3]]


def test_seeds_are_averaged_and_the_worst_is_told() -> None:
    board = leaderboard([_cell("a", _records([True, False]), seed=0), _cell("a", _records([False, False]), seed=1)])
    assert board[["robust_accuracy", "robust_worst_seed", "seeds"]].to_numpy().tolist() == [[0.75, 0.5, 2]]


def test_failed_cells_and_samples_without_a_verdict_are_counted() -> None:
    board = leaderboard(
        [_cell("a", _records([False])), _cell("b", None), _cell("c", _records([False], status="error"))]
    )
    assert board["incomplete"].tolist() == [2]


def test_a_sample_without_a_verdict_makes_the_robust_accuracy_unknown() -> None:
    (row,) = cell_metrics(_records([False, True], status="violated"), targeted=False)
    assert "robust_accuracy" not in row
    assert row["violated"] == 2
    assert row["clean_accuracy"] == 1


def test_a_cell_tells_both_denominators() -> None:
    (row,) = cell_metrics(_records([True, False, False, False], correct=[True, True, False, False]), targeted=False)
    assert row["robust_accuracy"] == 0.25
    assert row["success_rate"] == 0.5
    assert row["median_distance"] == pytest.approx(0.05)
    assert row["not_attacked"] == 2


def test_intervals_are_wilsons() -> None:
    expected = binomtest(7, 20).proportion_ci(0.95, "wilson")
    assert wilson(7, 20) == (expected.low, expected.high)
    assert wilson(0, 0)[0] != wilson(0, 0)[0]
