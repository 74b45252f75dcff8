"""Detectors in numbers: areas against closed forms, thresholds from held-out images, and what gets by."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from toy import Suspicious

import tiltyard
from tiltyard import Classifier
from tiltyard.cli.show_detection import detection_tables
from tiltyard.detection import area_interval, areas, detection, threshold
from tiltyard.leaderboard import CellRecords
from tiltyard.results import SAMPLES, Store, frame, read_json, write_json
from tiltyard.spec import Plan

NORMAL = NormalDist()


def scores(*values: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def test_areas_of_hand_made_scores() -> None:
    """Right pairs over all pairs, ties half; precision at each new hit, weighted by the recall it adds."""
    assert areas(scores(1, 2), scores(3, 4)) == (1.0, 1.0)
    assert areas(scores(3, 4), scores(1, 2))[0] == 0.0
    assert areas(scores(1, 1), scores(1, 1)) == (0.5, 0.5)
    area, precision = areas(scores(1, 2, 4), scores(3, 5))
    assert area == pytest.approx(5 / 6)
    assert precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert all(map(math.isnan, areas(scores(), scores(1))))
    assert all(map(math.isnan, areas(scores(1), scores())))


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    clean, adversarial = rng.integers(0, 6, 40).astype(float), rng.integers(2, 8, 30).astype(float)
    pairs = np.sign(adversarial[:, None] - clean[None, :])
    assert areas(clean, adversarial)[0] == pytest.approx(float(((pairs + 1) / 2).mean()))


def delong(clean: np.ndarray[Any, Any], adversarial: np.ndarray[Any, Any]) -> float:
    """Standard error by DeLong et al. 1988, Biometrics 44:837."""
    kernel = (np.sign(adversarial[:, None] - clean[None, :]) + 1) / 2
    return math.sqrt(kernel.mean(1).var(ddof=1) / len(adversarial) + kernel.mean(0).var(ddof=1) / len(clean))


def test_the_interval_is_as_wide_as_delongs_where_both_are_meant_to_hold() -> None:
    rng = np.random.default_rng(1)
    clean, adversarial = rng.normal(0, 1, 800), rng.normal(1, 1, 500)
    area = areas(clean, adversarial)[0]
    low, high = area_interval(area, 800, 500)
    assert low < NORMAL.cdf(1 / math.sqrt(2)) < high
    assert (high - low) / (2 * 1.96 * delong(clean, adversarial)) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("apart", [0.0, 1.0, 2.5])
def test_the_interval_holds_the_true_area_about_as_often_as_it_says(apart: float) -> None:
    """1,000 draws of 60 and 40 scores: 95 % have a standard error of 0.7 %."""
    rng = np.random.default_rng(2)
    true = NORMAL.cdf(apart / math.sqrt(2))
    clean, adversarial = rng.normal(0, 1, (1000, 60)), rng.normal(apart, 1, (1000, 40))
    kernel = (adversarial[:, :, None] > clean[:, None, :]).mean((1, 2))
    held = [low <= true <= high for low, high in (area_interval(float(area), 60, 40) for area in kernel)]
    assert 0.925 < float(np.mean(held)) < 0.985


def test_the_interval_is_no_point_at_the_ends_and_nothing_without_images() -> None:
    low, high = area_interval(1.0, 50, 20)
    assert high == 1
    assert 0.8 < low < 0.99
    assert area_interval(0.0, 50, 20) == pytest.approx((0, 1 - low))
    assert area_interval(1.0, 500, 200)[0] > low
    assert all(map(math.isnan, area_interval(math.nan, 0, 20)))


@pytest.mark.parametrize(("rate", "at"), [(0.01, 99), (0.05, 95), (0.5, 50), (0.001, 100)])
def test_a_threshold_is_exceeded_by_the_share_asked_for_at_most(rate: float, at: int) -> None:
    margins = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert threshold(margins, rate) == at
    assert float((margins > threshold(margins, rate)).mean()) <= rate
    assert threshold(np.ones(7), rate) == 1
    assert math.isnan(threshold(scores(), rate))


def record(
    sample: int, clean: float, rejection: float | None, prediction: int | None = 1, **more: Any
) -> dict[str, Any]:
    """A sample of class 0; accepted if its clean margin is not positive."""
    attacked = rejection is not None
    rejected = attacked and rejection > 0
    row = {
        "sample": sample,
        "eps": 0.1,
        "label": 0,
        "clean_prediction": 0,
        "clean_rejection": clean,
        "correct": clean <= 0,
        "prediction": prediction if attacked else None,
        "rejected": rejected if attacked else None,
        "rejection": rejection,
        "left_class": attacked and prediction != 0 and not rejected,
        "success": attacked and prediction != 0 and not rejected,
        "status": "ok" if attacked else "not_attacked",
        "forwards": 1,
        "backwards": 1,
    }
    return row | more


def table_of(rows: list[dict[str, Any]], store: Store, **more: Any) -> pd.DataFrame:
    identity = {"id": "c", "victim": "v", "dataset": "d", "model": "m", "labels": "l", "defence": "x", "attack": "a"}
    identity |= {"benchmark": "b", "norm": "linf", "goal": "untargeted", "knowledge": "adaptive", "seed": 0}
    identity |= {"units": "pixels"}
    return detection([CellRecords(identity, frame(SAMPLES, rows), **more)], store)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_row_of_a_detector_from_hand_made_records(store: Store) -> None:
    rows = [
        record(0, -3, -1),  # broken: wrong and accepted
        record(1, -4, 2),  # wrong and rejected
        record(2, -5, 1, prediction=0),  # rejected and not wrong
        record(3, -6, -6, prediction=0),  # held
        record(4, 0.5, None),  # rejected to begin with
        record(5, -9, None, clean_prediction=1, correct=False),  # wrong to begin with
        record(6, -8, -2, status="repaired"),  # broken
    ]
    write_json(store.victim("v") / "detector.json", {"held_out": 50, "thresholds": {"1": 1.0, "5": -3.5}})
    row = table_of(rows, store).iloc[0]
    assert (row["clean"], row["adversarial"], row["wrong"], row["samples"], row["held_out"]) == (6, 5, 3, 7, 50)
    # Clean -3 -4 -5 -6 0.5 -8 against wrong -1 2 -2: all pairs right but those of 0.5 with -1 and -2.
    assert row["auroc"] == pytest.approx(16 / 18)
    assert row["auroc_all"] == pytest.approx(areas(scores(-3, -4, -5, -6, 0.5, -8), scores(-1, 2, 1, -6, -2))[0])
    assert row["aupr"] == pytest.approx(1 / 3 * (1 + 2 / 3 + 3 / 4))
    assert (row["tpr_own"], row["fpr_own"]) == (pytest.approx(1 / 3), pytest.approx(1 / 6))
    assert (row["tpr_1"], row["fpr_1"]) == (pytest.approx(1 / 3), 0)
    assert (row["tpr_5"], row["fpr_5"]) == (1, pytest.approx(2 / 6))
    assert row["tpr_5_low"] == pytest.approx(3 / (3 + 1.959964**2))  # Wilson's lower end of 3 out of 3
    assert row["robust_accuracy"] == pytest.approx(3 / 7)


def test_a_missing_verdict_leaves_rates_and_takes_the_robust_accuracy(store: Store) -> None:
    rows = [record(0, -3, -1), record(1, -3, None, status="error"), record(2, -2, 1)]
    row = table_of(rows, store).iloc[0]
    assert row["wrong"] == 2
    assert row["tpr_own"] == 0.5
    assert math.isnan(row["robust_accuracy"])
    assert math.isnan(row["tpr_1"])


def test_without_a_wrong_image_there_is_no_area(store: Store) -> None:
    row = table_of([record(0, -3, -1, prediction=0), record(1, -2, 1, prediction=0)], store).iloc[0]
    assert math.isnan(row["auroc"])
    assert math.isnan(row["tpr_own"])
    assert row["auroc_all"] == 1
    assert row["robust_accuracy"] == 1


def test_a_minimal_norm_attack_has_one_row_without_a_ball(store: Store) -> None:
    """Its images are the same at every eps, and what is outside a ball is recorded as no success there."""
    rows = [record(0, -3, -1, eps=eps, left_class=eps > 0.1, success=eps > 0.1) for eps in (0.1, 0.2)]
    table = table_of(rows, store, minimal=True)
    assert table["eps"].tolist() == [math.inf]
    assert table["robust_accuracy"].tolist() == [0.0]
    assert len(table_of(rows, store)) == 2


def test_no_detector_no_row(store: Store) -> None:
    rows = [record(0, math.nan, None, correct=True, status="ok", prediction=1)]
    assert table_of(rows, store).empty
    assert detection([CellRecords({"victim": "v"}, None)], store).empty


def test_two_normal_distributions_have_their_closed_form(store: Store) -> None:
    """Margins N(0, 1) clean and N(2, 1) wrong: AUROC is Phi(sqrt 2), the power at rate a Phi(2 - z(1 - a))."""
    rng = np.random.default_rng(3)
    held_out = rng.normal(-2, 1, 20000)
    fitted = {name: threshold(held_out, rate) for name, rate in (("1", 0.01), ("5", 0.05))}
    write_json(store.victim("v") / "detector.json", {"held_out": 20000, "thresholds": fitted})
    rows = [
        record(n, clean, wrong)
        for n, (clean, wrong) in enumerate(zip(rng.normal(-2, 1, 4000), rng.normal(0, 1, 4000), strict=True))
    ]
    row = table_of(rows, store).iloc[0]
    assert row["auroc"] == pytest.approx(NORMAL.cdf(math.sqrt(2)), abs=0.01)
    for name, rate in (("1", 0.01), ("5", 0.05)):
        assert row[f"fpr_{name}_low"] < rate < row[f"fpr_{name}_high"]
        assert row[f"tpr_{name}"] == pytest.approx(NORMAL.cdf(2 - NORMAL.inv_cdf(1 - rate)), abs=0.03)


BRIGHT = ('use = "toy.none"', 'use = "toy.bright"')


def test_a_run_fits_thresholds_on_held_out_images_and_tabulates_its_detector(
    planned: Callable[..., Plan], run: Callable[..., Any]
) -> None:
    fine, _, results = run(planned(BRIGHT, extra='[[defence]]\nuse = "toy.none"\n'))
    assert fine
    table, rows = results.csv("detection"), results.table
    assert set(table["defence"]) == {"toy.bright"}
    assert len(table) == 2
    kept = read_json(Store(results.folder).victim(table["victim"].iloc[0]) / "detector.json")
    assert kept is not None
    assert 0 < kept["held_out"] <= 24
    assert list(results.folder.glob("victims/*/detector.json")) == [
        results.folder / "victims" / table["victim"].iloc[0] / "detector.json"
    ]
    own = rows[rows["defence"] == "toy.bright"].set_index("eps")["robust_accuracy"]
    assert table.set_index("eps")["robust_accuracy"].equals(own)
    samples = results.samples
    for row in table.to_dict("records"):
        here = samples[(samples["cell"] == row["cell"]) & (samples["eps"] == row["eps"])]
        wrong = here[here["prediction"].notna() & (here["prediction"] != here["label"])]
        assert row["wrong"] == len(wrong)
        assert row["tpr_own"] == pytest.approx(wrong["rejected"].astype(float).mean(), nan_ok=True)


def test_test_images_are_never_taken_for_held_out_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, 1, 8, 8, generator=generator)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    detector = Suspicious(network, tiltyard.Category(3)).eval()
    y = network(x).argmax(1)
    threat = {"norm": "linf", "eps": 0.1}
    results = tiltyard.evaluate(detector, x, y, ["native.pgd"], threat, batch_size=40)
    table = results.csv("detection")
    assert len(table) == 1
    assert table[["tpr_1", "tpr_5", "held_out"]].isna().all(axis=None)
    assert table["clean"].tolist() == [40]


def test_the_table_shows_detectors_and_nothing_where_there_is_none(store: Store) -> None:
    import io

    from rich.console import Console

    rows = table_of([record(0, -3, -1), record(1, -2, 1), record(2, -1, 2, prediction=0)], store)
    for wide in (False, True):
        console = Console(width=250, file=io.StringIO(), record=True)
        console.print(*detection_tables(rows, wide))
        text = console.export_text()
        assert "50.0" in text
        assert "66.7" in text
        assert ("(" in text.split("Detectors:")[0]) is wide
    assert list(detection_tables(rows[:0])) == []


def test_a_classifier_that_never_rejects_keeps_nothing(planned: Callable[..., Plan], run: Callable[..., Any]) -> None:
    _, _, results = run(planned())
    assert results.csv("detection").empty
    assert not list(results.folder.glob("victims/*/detector.json"))
    assert issubclass(Suspicious, Classifier)
