"""Figures are files made of a results folder: the same bytes every time, or a sentence on what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from toy_benchmark import TOY

from tiltyard.cli import bench
from tiltyard.figures import FIGURES, plot
from tiltyard.figures.canvas import grid
from tiltyard.figures.source import Nothing, Source
from tiltyard.problems import UserError
from tiltyard.results import load


def test_all_figures_are_made_and_files_are_the_same_every_time(study: Path, tmp_path: Path) -> None:
    one = plot(study, out=tmp_path / "one", plugins=[TOY])
    assert {drawing.name for drawing in one if drawing.path} == FIGURES.keys() - {"efficiency"}
    for form, names in (("png", ["curves", "examples"]), ("svg", ["robustness"]), ("pdf", ["labels"])):
        first = plot(study, names, out=tmp_path / "one", form=form, plugins=[TOY])
        again = plot(study, names, out=tmp_path / "two", form=form, plugins=[TOY])
        for left, right in zip(first, again, strict=True):
            assert left.path is None or left.path.read_bytes() == right.path.read_bytes(), left.path


def test_examples_want_the_images_that_were_attacked(study: Path, tmp_path: Path) -> None:
    told = json.loads((study / "provenance.json").read_text())
    told["data_sha256"] = dict.fromkeys(told["data_sha256"], "0" * 64)
    copy = tmp_path / "copy"
    for name in ("results.parquet", "leaderboard.csv"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes((study / name).read_bytes())
    (copy / "cells").symlink_to(study / "cells")
    (copy / "provenance.json").write_text(json.dumps({k: v for k, v in told.items() if k != "checksum"}))
    with pytest.raises(Nothing, match="not those that were attacked"):
        FIGURES["examples"](Source(load(copy), plugins=(TOY,)))


def test_without_label_schemes_to_compare_it_says_what_is_missing(planned, run, tmp_path: Path) -> None:
    _, _, results = run(planned(overrides=["benchmark.keep_images=false"]))
    told = {one.name: one.reason for one in plot(results.folder, plugins=[TOY]) if not one.path}
    assert told.keys() == {"efficiency", "entropy", "overlap", "geometry", "labels", "examples"}
    assert "[training] fraction" in told["efficiency"]
    assert "keep_images" in told["examples"]
    assert "category labels have none" in told["labels"]


def test_the_command_lists_files_and_reasons(study: Path, tmp_path: Path) -> None:
    def call(*words: str) -> Any:
        return CliRunner().invoke(bench, ["plot", str(study), *words], standalone_mode=False)

    done = call("robustness", "efficiency", "--out", str(tmp_path))
    assert done.return_value == 0
    assert str(tmp_path / "robustness.png") in done.output
    assert "efficiency: nothing to show: all networks" in done.output
    assert call("efficiency", "--out", str(tmp_path)).return_value == 1
    answer = json.loads(call("labels", "efficiency", "--format", "svg", "--out", str(tmp_path), "--json").output)
    assert answer["files"] == {"labels": str(tmp_path / "labels.svg")}
    assert answer["nothing"].keys() == {"efficiency"}
    assert (tmp_path / "labels.svg").read_text().count("<image") == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"names": ["robustnes"]}, 'no figure "robustnes"; did you mean "robustness"'),
        ({"form": "jpg"}, 'written as "jpg".*pdf, png, svg'),
        ({"folder": Path("nowhere")}, "no results.parquet"),
    ],
)
def test_what_cannot_be_drawn_is_refused(study: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plot(**{"folder": study} | words)


def test_without_matplotlib_it_says_how_to_get_it(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiltyard.figures.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tiltyard\[plot\]"):
        plot(study)


def test_the_package_is_imported_without_matplotlib() -> None:
    script = "import sys, tiltyard.figures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_page_and_the_help_tell_every_figure() -> None:
    page = (Path(__file__).parents[2] / "docs" / "figures.md").read_text()
    text = CliRunner().invoke(bench, ["plot", "--help"]).output
    for name in FIGURES:
        assert f"| `{name}` |" in page
        assert name in text


@pytest.mark.parametrize("panels", [1, 3, 4, 5])
def test_the_lowest_panel_of_each_column_has_numbers(panels: int) -> None:
    _, axes = grid("title", [str(n) for n in range(panels)], columns=3, sharex=True)
    labelled = [axis.xaxis.get_tick_params()["labelbottom"] for axis in axes]
    assert labelled == [n + 3 >= panels for n in range(panels)]
