"""``bench compare``: rows paired by what they are, samples by what they show, and a gate that shuts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tiltyard.cli import bench
from tiltyard.leaderboard import versus
from tiltyard.problems import UserError
from tiltyard.results import RESULTS, SAMPLES, CellFolder, Results, Store, frame, load
from tiltyard.statistics import cell_metrics, difference

EPS = 8 / 255


def _records(held: np.ndarray, correct: np.ndarray | None = None, status: str = "ok") -> pd.DataFrame:
    right = np.ones(len(held), dtype=bool) if correct is None else correct
    left = right & ~held
    columns = {"sample": np.arange(len(held)), "eps": EPS, "label": 0, "clean_prediction": 0, "correct": right}
    columns |= {"left_class": left, "success": left, "status": np.where(right, status, "not_attacked")}
    return frame(SAMPLES, pd.DataFrame(columns | {"forwards": 1, "backwards": 1}))


def _folder(path: Path, cells: Mapping[str, pd.DataFrame | None], data: str = "x", **identity: Any) -> Results:
    """A results folder with a cell for each attack; None is a cell that failed."""
    known = {"benchmark": path.name, "dataset": "d", "model": "m", "labels": "l", "defence": "none", "norm": "linf"}
    known |= {"units": "pixels", "goal": "untargeted", "knowledge": "adaptive", "seed": 0, "seconds": 1.0} | identity
    rows = []
    for attack, records in cells.items():
        words = known | {"attack": attack, "cell": f"cell-{attack}", "eps": EPS}
        if records is None:
            rows.append(words | {"status": "failed", "reason": "it broke"})
            continue
        rows += [words | {"status": "done"} | row for row in cell_metrics(records, targeted=False)]
        folder = CellFolder(path / "cells" / f"cell-{attack}")
        folder.add_part(records)
        folder.finish({"status": "done"})
    Store(path).write_tables({"results": frame(RESULTS, rows)}, {"data_sha256": {"d": data}})
    return load(path)


def _compare(*words: object) -> Result:
    return CliRunner().invoke(bench, ["compare", *map(str, words)], standalone_mode=False)


STRONG, WEAK = np.arange(100) < 70, np.arange(100) < 50


def test_a_folder_is_the_same_as_itself(tmp_path: Path) -> None:
    ours = _folder(tmp_path / "a", {"pgd": _records(STRONG), "fgsm": _records(WEAK)})
    found = versus(ours, ours)
    assert found.counts == {"worse": 0, "lost": 0, "better": 0, "gained": 0, "same": 3}
    assert (found.rows["difference"] == 0).all()
    assert found.rows["quantity"].tolist() == ["robust accuracy", "robust accuracy", "clean accuracy"]


def test_a_drop_is_worse_a_rise_is_better_and_both_have_intervals(tmp_path: Path) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG), "fgsm": _records(WEAK)})
    b = _folder(tmp_path / "b", {"pgd": _records(WEAK), "fgsm": _records(STRONG)})
    rows = versus(a, b).rows[:2].set_index("attack")
    assert rows["verdict"].to_dict() == {"pgd": "worse", "fgsm": "better"}
    assert rows["difference"].to_dict() == pytest.approx({"pgd": -0.2, "fgsm": 0.2})
    row = rows.loc["pgd"]
    assert (row["only_a"], row["only_b"], row["samples"]) == (20, 0, 100)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(difference(50, 20, 0, 30))
    assert row["p"] == pytest.approx(2 * 0.5**20)


def test_a_few_samples_make_no_difference(tmp_path: Path) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG)})
    b = _folder(tmp_path / "b", {"pgd": _records(np.arange(100) < 66)})
    assert versus(a, b).counts["worse"] == 0, "four against none is a p of 0.125"


def test_only_samples_in_common_are_compared(tmp_path: Path) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG)})
    b = _folder(tmp_path / "b", {"pgd": _records(STRONG).iloc[60:].reset_index(drop=True)})
    row = versus(a, b).rows.iloc[0]
    assert (row["samples"], row["accuracy_a"], row["accuracy_b"], row["verdict"]) == (40, 0.25, 0.25, "same")


def test_the_gate_shuts_for_what_it_is_asked(tmp_path: Path) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG)}).folder
    b = _folder(tmp_path / "b", {"pgd": _records(WEAK)}).folder
    assert _compare(a, b).return_value == 0
    assert _compare(a, b, "--fail-if", "worse").return_value == 1
    assert _compare(b, a, "--fail-if", "worse").return_value == 0
    assert _compare(b, a, "--fail-if", "different").return_value == 1
    assert _compare(a, a, "--fail-if", "different").return_value == 0


def test_a_lower_clean_accuracy_shuts_the_gate_too(tmp_path: Path) -> None:
    none = np.zeros(100, dtype=bool)
    a = _folder(tmp_path / "a", {"pgd": _records(none)}).folder
    b = _folder(tmp_path / "b", {"pgd": _records(none, correct=STRONG)}).folder
    done = _compare(a, b, "--fail-if", "worse")
    assert done.return_value == 1
    assert "clean accuracy" in done.output


@pytest.mark.parametrize("lost", [None, _records(STRONG, status="error")], ids=["failed", "no verdicts"])
def test_a_number_that_is_gone_shuts_the_gate(tmp_path: Path, lost: pd.DataFrame | None) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG), "fgsm": _records(WEAK)}).folder
    b = _folder(tmp_path / "b", {"pgd": lost, "fgsm": _records(WEAK)}).folder
    assert _compare(a, b, "--fail-if", "worse").return_value == 1
    assert "lost" in _compare(a, b).output
    assert _compare(b, a, "--fail-if", "worse").return_value == 0


def test_rows_of_one_folder_alone_are_told(tmp_path: Path) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG)}).folder
    b = _folder(tmp_path / "b", {"pgd": _records(STRONG), "fgsm": _records(WEAK)}).folder
    shown = _compare(a, b)
    assert "1 rows are only in B" in shown.output
    assert "d · m · l · none · fgsm · linf 8/255 · seed 0" in shown.output
    content = json.loads(_compare(a, b, "--json").output)
    assert content["schema"] == "tiltyard.compare/1"
    assert [row["attack"] for row in content["only_b"]] == ["fgsm"]
    assert content["only_a"] == []
    assert content["counts"]["same"] == len(content["rows"]) == 2


def test_differences_found_by_chance_are_corrected_for(tmp_path: Path) -> None:
    """A p of 0.03 is a finding alone, and none among twenty rows without one."""
    slightly = np.arange(100) < 64
    a = {"pgd": _records(STRONG)} | {f"other {n}": _records(STRONG) for n in range(19)}
    b = a | {"pgd": _records(slightly)}
    alone = versus(_folder(tmp_path / "a", {"pgd": a["pgd"]}), _folder(tmp_path / "b", {"pgd": b["pgd"]}))
    assert alone.rows["p"].iloc[0] == pytest.approx(2 * 0.5**6)
    many = versus(_folder(tmp_path / "c", a), _folder(tmp_path / "d", b))
    assert many.counts["worse"] == 0
    assert many.rows["p_adjusted"].min() > many.rows["p"].min()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"seed": 1}, "share no row: they differ in seed"), ({"data": "y"}, 'the test images of "d" are not the same')],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG)})
    b = _folder(tmp_path / "b", {"pgd": _records(STRONG)}, **change)
    with pytest.raises(UserError, match=message):
        versus(a, b)


def test_tables_without_their_records_are_refused(tmp_path: Path) -> None:
    a = _folder(tmp_path / "a", {"pgd": _records(STRONG)})
    shutil.rmtree(a.folder / "cells")
    with pytest.raises(UserError, match="a comparison needs the whole results folder"):
        versus(a, a)
