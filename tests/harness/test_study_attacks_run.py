"""Attacks of studies in a benchmark: believed they claim much, verified they do not, and contradictions are flagged."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from toy_benchmark import TOML, TOY

from tiltyard.plugins import Plugins
from tiltyard.results import Results, Store, load
from tiltyard.runner import Run, pick_device
from tiltyard.spec import plan as make_plan

STUDY = (
    TOML.replace("samples = 24", "samples = 60\ndoctor = false")
    .replace('use = "toy.onehot"', 'use = "toy.codes"')
    .replace('use = "toy.descent"', 'use = "studies.iterative"\n[[attack]]\nuse = "studies.clamped_pgd"')
    .replace('eps = ["16/255", "32/255"]', 'units = "normalised"\neps = [0.5, 1.0]')
    + '[[threat]]\nnorm = "linf"\nunits = "normalised"\neps = [0.5, 1.0]\ngoal = "targeted"\n'
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("study")
    (folder / "toy.toml").write_text(STUDY)
    plan = make_plan(folder / "toy.toml", Plugins([TOY]))
    with (store := Store(folder / "results")).locked():
        assert Run(plan, store, pick_device("cpu"), lambda _: None)()
    return load(store.folder)


def _rows(results: Results, attack: str, goal: str = "untargeted"):
    table = results.table[(results.table["attack"] == attack) & (results.table["goal"] == goal)]
    return table[table["status"] == "done"].sort_values("eps").to_dict("records")


def test_images_that_a_clamp_tore_out_of_the_ball_count_as_claims_and_as_nothing_else(results: Results) -> None:
    for row in _rows(results, "studies.clamped_pgd"):
        assert row["violated"] == row["samples"] * row["clean_accuracy"]
        assert math.isnan(row["robust_accuracy"])
        assert 0 < row["claimed_accuracy"] < row["clean_accuracy"]
    assert "claimed_accuracy" not in results.leaderboard
    assert set(results.leaderboard["winning_attack"]) == {"studies.iterative, random targets"}


def test_of_images_inside_the_ball_the_claim_is_the_robust_accuracy(results: Results) -> None:
    for goal in ("untargeted", "targeted"):
        for row in _rows(results, "studies.iterative", goal):
            assert row["claimed_accuracy"] == row["robust_accuracy"]


def test_targeted_attacks_that_move_more_out_of_their_class_are_flagged(results: Results) -> None:
    """On codes the study's own loss has next to no gradient at the label, and a strong one towards another class."""
    untargeted, targeted = (_rows(results, "studies.iterative", goal) for goal in ("untargeted", "targeted"))
    assert all(two["robust_accuracy"] < one["robust_accuracy"] for one, two in zip(untargeted, targeted, strict=True))
    masking = results.csv("masking").set_index("indicator")
    flag = masking.loc["targeted beats untargeted"]
    assert flag["raised"]
    assert "studies.iterative (random targets) broke" in flag["evidence"]
    assert (flag["norm"], flag["units"]) == ("linf", "normalised")
    assert masking.loc["zero gradient", "evidence"] == "not checked"
    assert set(results.table["flags"]) == {"targeted beats untargeted"}


def test_flags_of_one_unit_do_not_reach_rows_of_another(tmp_path: Path) -> None:
    text = STUDY + '[[threat]]\nnorm = "linf"\neps = [0.5]\n[[attack]]\nuse = "toy.descent"\n'
    (tmp_path / "toy.toml").write_text(text)
    plan = make_plan(tmp_path / "toy.toml", Plugins([TOY]))
    with (store := Store(tmp_path / "results")).locked():
        assert Run(plan, store, pick_device("cpu"), lambda _: None)()
    found = load(store.folder)
    flagged = found.table["flags"].fillna("").str.contains("targeted beats untargeted")
    assert flagged.tolist() == (found.table["units"] == "normalised").tolist()
    masking = found.csv("masking")
    assert masking.groupby("units")["indicator"].count().nunique() == 1
    assert masking.loc[masking["units"] == "pixels", "raised"].notna().sum() > 8


def test_what_was_flagged_behind_the_normalisation_is_not_answered_in_pixels(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(STUDY.replace("[training]", "escalate = true\n[training]"))
    plan = make_plan(tmp_path / "toy.toml", Plugins([TOY]))
    with (store := Store(tmp_path / "results")).locked():
        assert Run(plan, store, pick_device("cpu"), lambda _: None)()
    assert not load(store.folder).table["attack"].str.startswith("escalated").any()
