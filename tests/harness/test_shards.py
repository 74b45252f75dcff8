"""Shards that know nothing of each other come together to the tables of one run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save
from tables import same
from toy_benchmark import TOY

from tiltyard.cli import bench
from tiltyard.problems import UserError
from tiltyard.results import Store, load, read_json, sha256, write, write_json
from tiltyard.runner import Run, Share, pick_device
from tiltyard.runner.merging import merge
from tiltyard.spec import Plan

MANY = """
[[defence]]
use = "toy.bright"
[[labels]]
use = "toy.codes"
[[attack]]
use = "toy.nearest"
[[threat]]
norm = "l2"
eps = 0.5
"""
TRANSFER = '[[attack]]\nuse = "native.transfer"\n'


@pytest.fixture
def sharded(tmp_path: Path) -> Callable[..., list[Path]]:
    """Run a plan in shards."""

    def execute(plan: Plan, count: int = 3) -> list[Path]:
        folders = []
        for number in range(1, count + 1):
            share = Share(number, count)
            store = Store(tmp_path / share.folder(plan.name))
            with store.locked():
                assert Run(plan, store, pick_device("cpu"), lambda _: None, share=share)()
            folders.append(store.folder)
        return folders

    return execute


def _fits(folder: Path) -> list[str]:
    return [path.name for path in (folder / "fits").iterdir()] if (folder / "fits").exists() else []


def test_merged_shards_are_one_run_and_train_each_network_once(planned, run, sharded, tmp_path: Path) -> None:
    plan = planned(('name = "toy"', 'name = "toy"\nseeds = [0, 1]'), extra=MANY)
    folders = sharded(plan)
    fits = [fit for folder in folders for fit in _fits(folder)]
    assert len(fits) == len(set(fits)) == 4
    statuses = merge(tmp_path / "merged", folders, [TOY])
    assert set(statuses) == {"done", "skipped"}
    same(run(plan, tmp_path / "whole")[2], load(tmp_path / "merged"))


def test_what_needs_all_parts_is_done_after_the_merge(planned, run, sharded, tmp_path: Path) -> None:
    plan = planned(extra=MANY + TRANSFER)
    statuses = merge(tmp_path / "merged", sharded(plan, 2), [TOY])
    assert statuses["unfinished"] == 8
    fine, events, merged = run(plan, tmp_path / "merged")
    assert fine
    assert sum(getattr(event, "before", None) is False and event.status == "done" for event in events) == 8
    same(run(plan, tmp_path / "whole")[2], merged)


def test_the_commands_run_and_merge_shards(planned, monkeypatch, tmp_path: Path) -> None:
    plan = planned(extra=MANY)
    monkeypatch.chdir(tmp_path)
    words = ["run", str(plan.path), "--plugin", str(TOY), "--set", "benchmark.doctor=false", "--device", "cpu"]
    for number in (1, 2):
        done = CliRunner().invoke(bench, [*words, "--shard", f"{number}/2"], standalone_mode=False)
        assert done.return_value == 0
    folders = [f"results/toy.shards/{number}-of-2" for number in (1, 2)]
    done = CliRunner().invoke(bench, ["merge", "results/toy", *folders, "--plugin", str(TOY)], standalone_mode=False)
    assert done.exception is None
    assert "8 cells done" in done.stdout
    assert "unfinished" not in done.stdout
    assert load("results/toy").provenance["merged"] == folders


def test_shards_of_different_plans_are_not_merged(planned, sharded, tmp_path: Path) -> None:
    (one,) = sharded(planned(), 1)
    one = one.rename(tmp_path / "one")
    (other,) = sharded(planned(("samples = 24", "samples = 16")), 1)
    with pytest.raises(UserError, match="belongs to another plan"):
        merge(tmp_path / "merged", [one, other], [TOY])
    assert not (tmp_path / "merged").exists()


def test_one_network_trained_twice_and_different_is_refused(planned, sharded, tmp_path: Path) -> None:
    plan = planned()
    (one,) = sharded(plan, 1)
    one = one.rename(tmp_path / "one")
    (other,) = sharded(plan, 1)
    record = next((other / "fits").glob("*/fit.json"))
    weights = record.with_name("model.safetensors")
    write(weights, save({name: tensor + 1 for name, tensor in load_file(weights).items()}))
    write_json(record, {**(read_json(record) or {}), "sha256": sha256(weights)})
    with pytest.raises(UserError, match="trained twice"):
        merge(tmp_path / "merged", [one, other], [TOY])


def test_a_shard_that_is_still_written_is_not_merged(planned, sharded, tmp_path: Path) -> None:
    (one,) = sharded(planned(), 1)
    with Store(one).locked(), pytest.raises(UserError, match="another run is writing there"):
        merge(tmp_path / "merged", [one], [TOY])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="write I/N"):
        Share.read(text)


def test_every_cell_is_in_one_share(planned) -> None:
    plan = planned(('name = "toy"', 'name = "toy"\nseeds = [0, 1, 2]'), extra=MANY + TRANSFER)
    shares = [Share(number, 4).cells(plan) for number in (1, 2, 3, 4)]
    cells = [cell for share in shares for cell in share]
    assert len(cells) == len(set(cells))
    assert set(cells) == {cell for cell in plan.runnable if not cell.sources}
    assert max(map(len, shares)) <= 2 * min(map(len, shares))
