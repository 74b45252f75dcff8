"""Accuracy against eps comes from distances, and says where fixed-budget attacks contradict it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tiltyard.leaderboard import CellRecords, curves
from tiltyard.results import SAMPLES, frame
from tiltyard.statistics import wilson


def _cell(attack: str, distance: np.ndarray, eps: list[float], minimal: bool, **more) -> CellRecords:
    """An attack whose image of each sample has this distance; infinite where it found none."""
    tables = [
        pd.DataFrame(
            {
                "sample": np.arange(len(distance)),
                "eps": radius,
                "label": 0,
                "clean_prediction": 0,
                "correct": True,
                "left_class": distance <= radius,
                "success": distance <= radius,
                "status": "ok",
                "distance": np.where(distance <= radius, distance, np.nan),
                "forwards": 1,
                "backwards": 1,
            }
        )
        for radius in eps
    ]
    identity = {
        "benchmark": "b",
        "dataset": "d",
        "norm": "l2",
        "units": "pixels",
        "model": "m",
        "labels": "l",
        "defence": "none",
        "attack": attack,
        "seed": 0,
        "goal": "untargeted",
        "knowledge": "adaptive",
    }
    return CellRecords(identity | more, frame(SAMPLES, pd.concat(tables)), minimal)


DISTANCES = np.concatenate([np.linspace(0.1, 1.0, 80), np.full(20, np.inf)])


def test_a_curve_is_the_share_of_distances_beyond_eps() -> None:
    table = curves([_cell("min", DISTANCES, [0.5, 1.2], minimal=True)])
    assert table["eps"].is_monotonic_increasing
    assert {0.0, 0.5, 1.2} <= set(table["eps"])
    for eps, accuracy, low, high in table[["eps", "accuracy", "low", "high"]].to_numpy():
        held = int((eps * (1 + 1e-5) < DISTANCES).sum())
        assert accuracy == pytest.approx(held / 100)
        assert (low, high) == pytest.approx(wilson(held, 100))


def test_a_curve_agrees_with_the_records_at_every_eps_of_the_plan() -> None:
    cell = _cell("min", DISTANCES, [0.25, 0.5, 0.75], minimal=True)
    table = curves([cell]).set_index("eps")
    for eps, rows in cell.records.groupby("eps"):
        assert table.loc[eps, "accuracy"] == pytest.approx(1 - rows["left_class"].mean())


def test_fixed_budget_attacks_that_break_more_show_that_the_curve_is_not_converged() -> None:
    weak = DISTANCES * 1.5
    table = curves([_cell("min", weak, [1.0], minimal=True), _cell("pgd", DISTANCES, [0.5, 1.0], minimal=False)])
    row = table.set_index("eps").loc[0.5]
    assert row["disagreement"] == "curve not converged"
    assert row["only_curve"] == 0
    assert row["only_fixed"] == (DISTANCES <= 0.5).sum() - (weak <= 0.5).sum()
    assert row["fixed_accuracy"] == pytest.approx((DISTANCES > 0.5).mean())
    assert table[~table["eps"].isin([0.5, 1.0])]["fixed_attacks"].isna().all()


def test_a_weaker_fixed_budget_attack_is_told_and_equal_ones_agree() -> None:
    strong = _cell("min", DISTANCES, [1.0], minimal=True)
    table = curves([strong, _cell("fgsm", DISTANCES * 2, [0.5], minimal=False)]).set_index("eps")
    assert table.loc[0.5, "disagreement"] == "fixed-budget attacks weaker"
    table = curves([strong, _cell("pgd", DISTANCES, [0.5], minimal=False)]).set_index("eps")
    assert pd.isna(table.loc[0.5, "disagreement"])
    assert table.loc[0.5, "p"] == 1


def test_fixed_budget_attacks_are_taken_together_sample_by_sample() -> None:
    halves = [np.where(np.arange(100) % 2 == side, DISTANCES, np.inf) for side in (0, 1)]
    cells = [_cell(f"half {n}", half, [0.5], minimal=False) for n, half in enumerate(halves)]
    row = curves([_cell("min", DISTANCES, [1.0], minimal=True), *cells]).set_index("eps").loc[0.5]
    assert (row["fixed_attacks"], row["only_curve"], row["only_fixed"]) == (2, 0, 0)


def test_another_victim_or_knowledge_checks_nothing() -> None:
    others = [
        _cell("pgd", DISTANCES, [0.5], minimal=False, seed=1),
        _cell("pgd", DISTANCES, [0.5], minimal=False, knowledge="oblivious"),
        _cell("pgd", DISTANCES, [0.5], minimal=False, goal="targeted", targets="random"),
    ]
    table = curves([_cell("min", DISTANCES, [1.0], minimal=True), *others])
    assert table["fixed_attacks"].isna().all()


def test_a_minimal_attack_without_a_verdict_on_every_sample_has_no_curve() -> None:
    cell = _cell("min", DISTANCES, [1.0], minimal=True)
    cell.records.loc[3, "status"] = "error"
    assert curves([cell]).empty


def test_an_attack_that_found_nothing_has_a_flat_curve() -> None:
    table = curves([_cell("min", np.full(10, np.inf), [0.5, 1.0], minimal=True)])
    assert table[["eps", "accuracy"]].to_numpy().tolist() == [[0, 1], [0.5, 1], [1.0, 1]]
