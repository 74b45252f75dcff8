"""``bench cache``: what lies in a results folder, whether it is what was written, and what may go."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_damage import flip
from test_survive import SMALL, run_in
from toy_benchmark import TOY

from tiltyard.cache import entries
from tiltyard.cli import main
from tiltyard.results import Store, load, write_json

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(planned, tmp_path: Path) -> Path:
    """Two runs in one folder: of the first one's cells and fits, the second uses none."""
    folder = tmp_path / "results"
    assert run_in(planned(*SMALL, ("lr = 0.05", "lr = 0.04")), folder)
    assert run_in(planned(*SMALL), folder)
    return folder


@pytest.fixture
def cache(monkeypatch, capsys) -> Command:
    """Run ``bench cache`` in this process: its exit code and what it printed."""

    def run(command: str, folder: Path, *words: str) -> tuple[int, str]:
        plugin = () if command == "verify" else ("--plugin", str(TOY))
        monkeypatch.setattr(sys, "argv", ["bench", "cache", command, str(folder), *plugin, *words])
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr()
        return int(stop.value.code or 0), told.out + told.err

    return run


def test_ls_tells_what_is_there_and_what_the_tables_use(folder: Path, cache: Command) -> None:
    code, text = cache("ls", folder, "--json")
    content = json.loads(text)
    assert code == 0
    assert content["schema"] == "tiltyard.cache_ls/1"
    rows = [(row["kind"], row["used"]) for row in content["entries"]]
    assert sorted(rows) == [(kind, used) for kind in ("cells", "fits", "victims") for used in (False, True)]
    for row in content["entries"]:
        assert row["bytes"] == sum(p.stat().st_size for p in (folder / row["path"]).rglob("*") if p.is_file())
    used = load(folder).table["cell"].unique().tolist()
    assert next(Path(row["path"]).name for row in content["entries"] if row["used"]) in used
    code, text = cache("ls", folder)
    assert code == 0
    assert "toy.descent" in text
    assert "6 entries" in text
    assert "3 unused" in text


def test_verify_finds_a_flipped_bit_and_changes_nothing(folder: Path, cache: Command) -> None:
    assert cache("verify", folder) == (0, f"{folder}: no damaged files\n")
    path = next(folder.rglob("images-*"))
    flip(path, 999)
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    code, text = cache("verify", folder)
    assert code == 1
    assert f"{path}: its sha256 is not the recorded one" in text
    code, text = cache("verify", folder, "--json")
    assert code == 1
    assert [row["file"] for row in json.loads(text)["damages"]] == [str(path.relative_to(folder))]
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_gc_removes_what_is_unused_only_when_told_to(planned, folder: Path, cache: Command) -> None:
    unused = [entry.path for entry in entries(folder, [TOY]) if not entry.used]
    code, text = cache("gc", folder)
    assert (code, "Nothing was removed" in text) == (0, True)
    assert all(path.exists() for path in unused)
    before = load(folder).samples
    code, text = cache("gc", folder, "--yes", "--json")
    assert [folder / row["path"] for row in json.loads(text)["entries"]] == unused
    assert not any(path.exists() for path in unused)
    assert load(folder).samples.equals(before)
    dates = {file: file.stat().st_mtime_ns for file in folder.rglob("*.*") if file.is_file()}
    assert run_in(planned(*SMALL), folder)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.*") if file.is_file()} == dates


def test_gc_keeps_what_a_killed_run_has_not_put_into_tables_yet(folder: Path, cache: Command) -> None:
    unfinished = folder / "cells" / ("f" * 16)
    shutil.copytree(next((folder / "cells").iterdir()), unfinished)
    write_json(unfinished / "cell.json", {"status": "failed", "reason": "killed", "seconds": 0.0, "cell": {}})
    cache("gc", folder, "--yes")
    assert unfinished.exists()


def test_gc_of_a_link_leaves_what_it_leads_to(folder: Path, cache: Command, tmp_path: Path) -> None:
    (unused,) = (entry.path for entry in entries(folder, [TOY]) if entry.kind == "cells" and not entry.used)
    unused.rename(elsewhere := tmp_path / "elsewhere")
    unused.symlink_to(elsewhere)
    assert cache("gc", folder, "--yes")[0] == 0
    assert not unused.is_symlink()
    assert (elsewhere / "cell.json").exists()


def test_gc_does_not_touch_what_a_run_holds(folder: Path, cache: Command) -> None:
    before = set(folder.rglob("*"))
    with Store(folder).locked():
        code, text = cache("gc", folder, "--yes")
    assert code == 2
    assert "another run is writing there" in text
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize("command", ["ls", "verify", "gc"])
def test_what_is_no_results_folder_is_refused_and_not_made(tmp_path: Path, cache: Command, command: str) -> None:
    code, text = cache(command, tmp_path / "none")
    assert code == 2
    assert "none: " in text
    assert not (tmp_path / "none").exists()
