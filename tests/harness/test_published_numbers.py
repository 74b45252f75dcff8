"""``bench compare FOLDER FILE.csv``: our numbers beside published ones, and the published ones that we ship."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tiltyard.cli import bench
from tiltyard.leaderboard import published, read_published
from tiltyard.problems import UserError
from tiltyard.results import Results
from tiltyard.statistics import over_seeds

SHIPPED = Path(__file__).parents[2] / "benchmarks" / "labels" / "published.csv"
HEADER = "quantity,network,labels,attack,goal,units,eps,fraction,epoch,value,source,fault\n"


@pytest.fixture
def results(planned: Callable[..., Any], run: Callable[..., Any]) -> Results:
    fine, _, found = run(planned(("samples = 24", "samples = 24\nseeds = [0, 1]")))
    assert fine
    return found


def _file(folder: Path, *rows: str) -> Path:
    path = folder / "published.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def _compare(*words: object) -> Result:
    return CliRunner().invoke(bench, ["compare", *map(str, words)], standalone_mode=False)


def test_rows_are_matched_by_what_they_are_and_seeds_are_taken_together(results: Results, tmp_path: Path) -> None:
    eps = 16 / 255
    path = _file(
        tmp_path,
        f"robust accuracy,linear,onehot,descent,untargeted,,{eps},1,,0.5,a,",
        f"robust accuracy,toy.linear,toy.onehot,toy.descent,untargeted,,{eps},1,,1,a,wrong model",
        "robust accuracy,linear,onehot,descent,untargeted,,0.9,1,,0.5,a,",
        f"robust accuracy,vgg19,onehot,descent,untargeted,,{eps},1,,0.5,a,",
        "clean accuracy,linear,onehot,,,,,1,,0.25,a,",
        "best validation accuracy,linear,onehot,,,,,1,,0.5,a,",
        "validation accuracy,linear,onehot,,,,,1,2,0.5,a,",
        "validation accuracy,linear,onehot,,,,,1,77,0.5,a,",
    )
    found = published(results, path)
    rows = found.rows
    assert (len(rows), found.only_published) == (5, 3)
    mine = results.table[(results.table["eps"] - eps).abs() < 1e-9]
    ours = mine["robust_accuracy"].tolist()
    assert rows["ours"].iloc[0] == pytest.approx(sum(ours) / 2)
    assert (rows["low"].iloc[0], rows["high"].iloc[0]) == pytest.approx(over_seeds(ours, 24))
    assert (rows["samples"].iloc[0], rows["seeds"].iloc[0]) == (24, 2)
    assert rows["difference"].iloc[0] == pytest.approx(sum(ours) / 2 - 0.5)
    assert rows["fault"].iloc[1] == "wrong model"
    assert rows["ours"].iloc[2] == pytest.approx(results.table.drop_duplicates("seed")["clean_accuracy"].mean())
    best = results.epochs.groupby("fit")["validation_accuracy"].max().mean()
    last = results.epochs[results.epochs["epoch"] == 2]["validation_accuracy"].mean()
    assert rows["ours"].tolist()[3:] == pytest.approx([best, last])
    assert (rows["inside"] == ((rows["low"] <= rows["published"]) & (rows["published"] <= rows["high"]))).all()
    # Ours are two eps, one clean accuracy, the best epoch and both of them.
    assert found.only_ours == 2


def test_a_stand_in_is_not_what_was_published(results: Results, tmp_path: Path) -> None:
    table = results.table.assign(labels="toy.onehot (synthesised)")
    stand_in = Results(results.folder)
    object.__setattr__(stand_in, "table", table)
    with pytest.raises(UserError, match="differ in labels"):
        published(stand_in, _file(tmp_path, "clean accuracy,linear,onehot,,,,,1,,0.25,a,"))


def test_the_command_shows_a_table_and_gates_nothing(results: Results, tmp_path: Path) -> None:
    robust = f"robust accuracy,linear,onehot,descent,untargeted,,{16 / 255},1,"
    path = _file(tmp_path, f"{robust},0.5,a,", f"{robust},0.7,a,of another network")
    done = _compare(results.folder, path)
    assert done.return_value == 0
    assert "1 published numbers that are known to be faulty are left out" in done.output
    assert "2 rows in both" in done.output
    assert "of another network" in _compare(results.folder, path, "--all").output
    content = json.loads(_compare(results.folder, path, "--json").output)
    assert content["schema"] == "tiltyard.published/1"
    assert [row["published"] for row in content["rows"]] == [0.5, 0.7]
    refused = _compare(results.folder, path, "--fail-if", "worse")
    assert isinstance(refused.exception, UserError)
    assert "a gate stands between two results folders" in str(refused.exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column quantity, network, labels, value"),
        ("", "cannot be read as a CSV file"),
        ("quantity,network,labels,value\nfame,a,b,0.5\n", "unknown quantity fame"),
        ("quantity,network,labels,value\nclean accuracy,a,b,88.0\n", "no share between 0 and 1"),
        ("quantity,network,labels,value\nclean accuracy,a,b,high\n", '"value" holds something else than numbers'),
        ("quantity,network,labels,value\nclean accuracy,vgg19,onehot,0.5\n", "differ in network"),
    ],
)
def test_what_is_no_file_of_published_numbers_is_refused(
    results: Results, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        published(results, path)


def test_the_shipped_numbers_are_whole() -> None:
    rows = pd.DataFrame(read_published(SHIPPED))
    counts = {"robust accuracy": 1176, "validation accuracy": 308, "best validation accuracy": 219}
    assert rows["quantity"].value_counts().to_dict() == counts | {"clean accuracy": 40}
    robust = rows[rows["quantity"] == "robust accuracy"]
    assert sorted(robust["eps"].unique()) == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    # 22 + 18 networks, six eps each, under two attacks with two goals, and all but four under the wrong one.
    assert robust["attack"].value_counts().to_dict() == {"fgsm": 480, "iterative": 480, "clamped_pgd": 216}
    assert not rows.drop(columns=["value", "fault"]).query("source == 'robust_labels'").duplicated().any()
    curve = rows[(rows["quantity"] == "best validation accuracy") & (rows["source"] == "robust_labels")]
    assert sorted(curve["fraction"].unique()) == [0.01, 0.02, 0.04, 0.08, 0.1, 0.2, 1]
    assert (curve["fraction"] < 1).sum() == 150
    assert set(rows["network"]) == {"resnet32", "resnet110", "vgg19"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (
            {"network": "resnet32", "labels": "category", "attack": "iterative", "goal": "untargeted", "eps": 0.05},
            0.0153,
        ),
        ({"network": "resnet32", "labels": "random", "attack": "iterative", "goal": "untargeted", "eps": 0.05}, 0.6146),
        ({"network": "vgg19", "labels": "composite", "attack": "fgsm", "goal": "targeted", "eps": 0.3}, 0.0604),
        ({"network": "vgg19", "labels": "normal_dim=4000", "attack": "clamped_pgd", "eps": 0.3}, 0.2541),
        ({"network": "resnet32", "labels": "lowdim", "quantity": "clean accuracy"}, 0.8529),
        ({"network": "vgg19", "labels": "random", "fraction": 0.01}, 0.4058),
        ({"network": "vgg19", "labels": "glove", "epoch": 50}, 0.864),
    ],
)
def test_some_shipped_numbers_by_hand(place: dict[str, Any], value: float) -> None:
    found = [row for row in read_published(SHIPPED) if all(row[key] == part for key, part in place.items())]
    assert [row["value"] for row in found] == pytest.approx([value], abs=6e-4)


def test_the_faulty_numbers_are_named() -> None:
    faulty = [row for row in read_published(SHIPPED) if row["fault"]]
    other = [row for row in faulty if row["attack"] != "clamped_pgd"]
    assert len(faulty) == 216 + 6
    assert {(row["network"], row["labels"], row["attack"], row["goal"]) for row in other} == {
        ("vgg19", "uniform_gap=1", "fgsm", "untargeted")
    }
