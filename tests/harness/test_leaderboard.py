"""The leaderboard is the worst case per sample, never an average, and says what it lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tiltyard.cli import bench
from tiltyard.leaderboard import CellRecords, comparisons
from tiltyard.results import RESULTS, SAMPLES, Store, frame
from tiltyard.statistics import cell_metrics, over_seeds, wilson


def _records(
    broken: list[bool],
    eps: float = 0.1,
    correct: list[bool] | None = None,
    status: str = "ok",
    distance: float = 0.05,
) -> pd.DataFrame:
    right, left = np.array(correct or [True] * len(broken)), np.array(broken, dtype=bool)
    columns = {"sample": range(len(left)), "eps": eps, "label": 0, "clean_prediction": 0, "correct": right}
    columns |= {"left_class": left, "success": left, "distance": np.where(left, distance, np.nan)}
    columns |= {"status": np.where(right, status, "not_attacked"), "forwards": 1, "backwards": 1}
    return frame(SAMPLES, pd.DataFrame(columns))


def _cell(attack: str, records: pd.DataFrame | None, **more) -> CellRecords:
    identity = {
        "benchmark": "b",
        "dataset": "d",
        "norm": "linf",
        "units": "pixels",
        "model": "m",
        "labels": "l",
        "defence": "none",
        "attack": attack,
        "seed": 0,
    }
    return CellRecords(identity | more, records)


def _board(cells: list[CellRecords]) -> pd.DataFrame:
    return comparisons(cells)["leaderboard"]


def test_two_attacks_that_each_break_half_leave_nothing() -> None:
    board = _board([_cell("a", _records([True, True, False, False])), _cell("b", _records([False, False, True, True]))])
    assert board["robust_accuracy"].tolist() == [0.0]
    assert board["attacks"].tolist() == [2]


def test_an_image_in_a_smaller_ball_counts_in_the_larger_one() -> None:
    cell = _cell("a", pd.concat([_records([True, False], 0.1), _records([False, False], 0.2)]))
    assert _board([cell])["robust_accuracy"].tolist() == [0.5, 0.5]


def test_wrong_samples_count_as_not_robust() -> None:
    board = _board([_cell("a", _records([False, False, False, True], correct=[True, True, False, True]))])
    assert board["robust_accuracy"].tolist() == [0.5]
    assert board["clean_accuracy"].tolist() == [0.75]


def test_the_winning_attack_is_the_one_that_alone_leaves_least() -> None:
    board = _board([_cell("a", _records([True, False])), _cell("b", _records([True, True]))])
    assert board["winning_attack"].tolist() == ["b"]


def test_entries_are_ranked_and_ties_share_a_place() -> None:
    cells = [
        _cell("a", _records([False] * 4), defence="x"),
        _cell("a", _records([False] * 4), defence="y"),
        _cell("a", _records([True] * 4), defence="z"),
    ]
    assert _board(cells)[["defence", "rank"]].to_numpy().tolist() == [["x", 1], ["y", 1], ["z", 3]]


def test_seeds_are_averaged_and_the_worst_is_told() -> None:
    board = _board([_cell("a", _records([True, False]), seed=0), _cell("a", _records([False, False]), seed=1)])
    assert board[["robust_accuracy", "robust_worst_seed", "seeds"]].to_numpy().tolist() == [[0.75, 0.5, 2]]


def test_failed_cells_and_samples_without_a_verdict_are_counted() -> None:
    board = _board([_cell("a", _records([False])), _cell("b", None), _cell("c", _records([False], status="error"))])
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


def _random(seed: int, samples: int = 60, entries: int = 3, attacks: int = 4) -> list[CellRecords]:
    """Entries of different strength under several attacks, two seeds each."""
    rng = np.random.default_rng(seed)
    cells = []
    for entry in range(entries):
        for number in (0, 1):
            correct = rng.random(samples) < 0.9
            for attack in range(attacks):
                broken = correct & (rng.random(samples) < 0.1 + 0.25 * entry)
                records = _records(broken.tolist(), correct=correct.tolist(), distance=float(rng.random()))
                cells.append(_cell(f"a{attack}", records, defence=f"d{entry}", seed=number))
    return cells


def test_an_attack_more_never_raises_an_entry() -> None:
    cells = _random(0)
    for count in range(1, 4):
        fewer = _board([cell for cell in cells if int(cell.identity["attack"][1]) < count])
        more = _board([cell for cell in cells if int(cell.identity["attack"][1]) <= count])
        joined = fewer.merge(more, on="defence")
        assert (joined["robust_accuracy_y"] <= joined["robust_accuracy_x"]).all()


def test_the_order_of_samples_and_cells_changes_nothing() -> None:
    cells = _random(1)
    order = np.random.default_rng(2).permutation(60)
    shuffled = [replace(cell, records=cell.records.iloc[order]) for cell in reversed(cells)]
    for name, table in comparisons(cells).items():
        pd.testing.assert_frame_equal(table, comparisons(shuffled)[name])


def test_an_attack_counted_twice_has_no_unique_kills() -> None:
    cells = [_cell("a", _records([True, True, False])), _cell("b", _records([True, False, False]))]
    alone = comparisons(cells)["attacks"].set_index("attack")
    assert alone["unique_kills"].to_dict() == {"a": 1, "b": 0}
    twice = comparisons([*cells, _cell("copy of a", cells[0].records)])["attacks"]
    assert (twice["unique_kills"] == 0).all()
    assert twice["in_smallest_subset"].tolist() == [True, False, False]


def test_the_smallest_subset_stays_within_the_interval() -> None:
    one, other = np.arange(200) < 60, (np.arange(200) >= 60) & (np.arange(200) < 120)
    few = np.arange(200) >= 198
    cells = [_cell(name, _records(broken.tolist())) for name, broken in zip("abc", (one, other, few), strict=True)]
    ledger = comparisons(cells)["attacks"].set_index("attack")
    assert wilson(78, 200)[1] * 200 > 80, "two samples lie within the interval of the worst case"
    assert ledger["in_smallest_subset"].to_dict() == {"a": True, "b": True, "c": False}
    assert ledger["robust_accuracy"].to_dict() == {"a": 0.7, "b": 0.7, "c": 0.99}


def test_identical_entries_share_a_rank_and_may_have_any() -> None:
    records = _records([True, False] * 20)
    board = _board([_cell("a", records, defence=name) for name in "xyz"])
    assert board[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1, 3]] * 3


def test_a_sure_difference_parts_the_ranks_and_an_unsure_one_does_not() -> None:
    strong, close, weak = (np.arange(60) < count for count in (10, 12, 50))
    cells = [_cell("a", _records(b.tolist()), defence=d) for d, b in (("x", strong), ("y", close), ("z", weak))]
    board = _board(cells)
    assert board[["defence", "rank", "rank_low", "rank_high"]].to_numpy().tolist() == [
        ["x", 1, 1, 2],
        ["y", 2, 1, 2],
        ["z", 3, 3, 3],
    ]
    pairs = comparisons(cells)["pairs"].set_index(["a", "b"])
    row = pairs.loc[("m · l · x", "m · l · z")]
    assert (row["only_a"], row["only_b"], row["different"]) == (40, 0, True)
    assert row["p"] == pytest.approx(2 * 0.5**40)
    assert not pairs.loc[("m · l · x", "m · l · y"), "different"]


def test_the_interval_of_several_seeds_counts_images_once() -> None:
    broken = [True] * 10 + [False] * 30
    cells = [_cell("a", _records(broken), seed=seed) for seed in range(5)]
    (row,) = _board(cells).to_dict("records")
    assert (row["robust_low"], row["robust_high"]) == pytest.approx(wilson(30, 40))
    apart = [_cell("a", _records([True] * (5 * seed) + [False] * (40 - 5 * seed)), seed=seed) for seed in range(5)]
    (row,) = _board(apart).to_dict("records")
    assert (row["robust_low"], row["robust_high"]) == pytest.approx(over_seeds([1, 0.875, 0.75, 0.625, 0.5], 40))
    seeds = comparisons(apart)["seeds"]
    assert seeds["robust_accuracy"].tolist() == [1, 0.875, 0.75, 0.625, 0.5]


def test_the_gap_is_what_attackers_who_know_the_defence_take_away() -> None:
    cells = [
        _cell("a", _records([True, True, True, False]), knowledge="adaptive"),
        _cell("a", _records([True, False, False, False]), knowledge="oblivious"),
        _cell("a", _records([False, True, True, False]), knowledge="transfer"),
    ]
    (row,) = _board(cells).to_dict("records")
    names = ("oblivious_accuracy", "transfer_accuracy", "adaptive_accuracy", "gap")
    assert [row[name] for name in names] == [0.75, 0.5, 0.25, 0.25]
    assert (row["attacks"], row["winning_attack"]) == (3, "a")
    (row,) = _board(cells[:1]).to_dict("records")
    assert np.isnan([row["oblivious_accuracy"], row["transfer_accuracy"], row["gap"]]).all()


def test_an_entry_that_no_sound_attack_charged_is_not_listed() -> None:
    faulty = _cell("a", _records([False, False]), health="fails: follows the margin")
    assert _board([faulty]).empty
    assert comparisons([faulty])["attacks"]["health"].tolist() == ["fails: follows the margin"]
    assert len(_board([_cell("a", _records([False]), health="passed")])) == 1
    assert _board([_cell("a", _records([False, False], status="error"))]).empty


def test_verified_images_of_an_unhealthy_attack_count_all_the_same() -> None:
    faulty = _cell("a", _records([True, False, False, False]), health="fails: follows the margin")
    (row,) = _board([faulty, _cell("b", _records([False, True, False, False]), health="passed")]).to_dict("records")
    assert (row["robust_accuracy"], row["unhealthy"], row["attacks"]) == (0.5, 1, 2)


def test_an_entry_is_in_no_ball_that_no_attack_was_run_in() -> None:
    cells = [_cell("a", _records([False], 0.1), defence="x"), _cell("a", _records([True], 0.2), defence="y")]
    assert _board(cells)[["eps", "defence"]].to_numpy().tolist() == [[0.1, "x"], [0.2, "y"]]


def test_an_attack_without_a_verdict_on_every_sample_has_no_accuracy_but_keeps_its_kills() -> None:
    records = pd.concat([_records([True, False]), _records([False, False], status="timeout").iloc[[1]]])
    lacking = _cell("b", records.iloc[[0, 2]])
    ledger = comparisons([_cell("a", _records([False, False])), lacking])["attacks"].set_index("attack")
    assert np.isnan(ledger.loc["b", "robust_accuracy"])
    assert ledger.loc["b", "kills"] == 1


def test_the_worst_case_of_a_sample_names_the_attack_with_the_smallest_perturbation() -> None:
    cells = [
        _cell("a", _records([True, True, False, False], correct=[True, True, True, False], distance=0.09)),
        _cell("b", _records([True, False, False, False], correct=[True, True, True, False], distance=0.02)),
    ]
    worst = comparisons(cells)["worst"]
    assert worst["outcome"].tolist() == ["broken", "broken", "held", "wrong"]
    assert worst["winning_attack"].fillna("").tolist() == ["b", "a", "", ""]
    assert worst["distance"].tolist()[:2] == [0.02, 0.09]
    assert worst["broken_by"].tolist() == [2, 1, 0, 0]


def test_flags_of_the_cells_stand_at_the_entry() -> None:
    flags = {"a": "flat gradient", "b": None, "c": "flat gradient; few steps"}
    cells = [_cell(attack, _records([False]), flags=found) for attack, found in flags.items()]
    assert _board(cells)["flags"].tolist() == ["flat gradient; few steps"]


def test_an_empty_plan_has_empty_tables() -> None:
    assert all(table.empty for table in comparisons([]).values())


def _shown(folder: Path, cells: list[CellRecords], *words: str) -> str:
    known = {column.name for column in RESULTS}
    rows = [
        {key: value for key, value in cell.identity.items() if key in known}
        | {"eps": 0.1, "status": "failed" if cell.records is None else "done"}
        for cell in cells
    ]
    Store(folder).write_tables(comparisons(cells) | {"results": frame(RESULTS, rows)}, {})
    done = CliRunner().invoke(bench, [words[0], str(folder), *words[1:]], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.output


def test_the_board_draws_ties_marks_and_gaps_and_fits_a_terminal(tmp_path: Path) -> None:
    strong, weak = ([n < count for n in range(60)] for count in (10, 50))
    cells = [
        _cell("native.pgd", _records(strong), defence="squeezing", flags="flat gradient"),
        _cell("native.pgd", _records([False] * 60), defence="squeezing", knowledge="oblivious"),
        _cell("native.pgd", _records(strong), defence="distillation"),
        _cell("native.noise", _records(weak), defence="distillation", health="fails: follows the margin"),
        _cell("native.fgsm", _records(strong), defence="none"),
        _cell("native.bim", None, defence="none"),
        _cell("native.noise", _records(weak), defence="smoothing", health="fails: follows the margin"),
        _cell("native.pgd", None, defence="jpeg"),
    ]
    text = _shown(tmp_path, cells, "board")
    lines = [line.split() for line in text.splitlines()]
    names = ("squeezing", "none", "distillation")
    squeezing, none, distillation = (next(line for line in lines if name in line) for name in names)
    assert squeezing[0] == none[0] == "1–2"
    assert distillation[0] == "3"
    assert ("f" in squeezing, "i" in none, "u" in distillation) == (True, True, True)
    assert "+16.7" in squeezing, "oblivious 100 %, adaptive 83.3 %"
    assert all(f"{mark}  {word}" in text for mark, word in (("f", "flagged"), ("i", "incomplete"), ("u", "unhealthy")))
    unlisted = text.split("Not listed")[1]
    assert all(f"d · linf 0.1 · m · l · {defence}" in unlisted for defence in ("smoothing", "jpeg"))
    assert max(len(line.rstrip()) for line in text.splitlines()[:10]) <= 100


def test_every_table_can_be_shown_and_given_to_machines(tmp_path: Path) -> None:
    cells = _random(3, samples=20)
    for name, table in comparisons(cells).items():
        assert name in _shown(tmp_path, cells, "table", name)
        content = json.loads(_shown(tmp_path, cells, "table", name, "--json"))
        assert (content["schema"], len(content["rows"])) == ("tiltyard.table/1", len(table))
    assert "gap" in _shown(tmp_path, cells, "board", "--wide")
