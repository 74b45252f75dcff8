"""A run trains once, passes over what is finished, survives an interruption, and fails cell by cell."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tiltyard.events import BatchDone, CellFinished, EpochDone
from tiltyard.problems import UserError
from tiltyard.results import RESULTS, SAMPLES, CellFolder, Store, load
from tiltyard.runner import Run, pick_device

WITHOUT_TIME = [column.name for column in RESULTS if column.name != "seconds"]


def test_the_tables_have_the_documented_columns_and_types(planned, run) -> None:
    fine, _, results = run(planned(extra='[[attack]]\nuse = "toy.nearest"\n'))
    assert fine
    assert list(results.table.columns) == [column.name for column in RESULTS]
    assert {str(t) for t in results.table.dtypes} == {"string", "float64", "int64", "Int64"}
    assert list(results.samples.columns) == ["cell", *(column.name for column in SAMPLES)]
    assert len(results.epochs) == 2
    done = results.table[results.table["status"] == "done"]
    assert len(done) == 2
    assert (done["clean_accuracy"] == 1).all()
    assert (done["robust_accuracy"] + done["success_rate"]).tolist() == [1, 1]
    assert (done["robust_low"] <= done["robust_accuracy"]).all()
    assert results.provenance["components"]["attack"]["toy.descent"]["parameters"] == {"steps": 5}
    csv = pd.read_csv(results.folder / "results.csv")
    assert csv["robust_accuracy"].tolist() == pytest.approx(results.table["robust_accuracy"].tolist(), nan_ok=True)


def test_a_second_run_does_nothing(planned, run) -> None:
    _, _, first = run(planned())
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    _, events, second = run(planned())
    assert all(isinstance(event, CellFinished) and event.before for event in events)
    assert {path: path.stat().st_mtime_ns for path in second.folder.rglob("*")} == before


def test_networks_are_shared_between_defences_that_ask_for_the_same(planned, run) -> None:
    _, events, _ = run(planned(extra='[[defence]]\nuse = "toy.bright"\n'))
    assert sum(isinstance(event, EpochDone) for event in events) == 2


def test_an_interrupted_run_goes_on_and_gives_the_same_tables(planned, run, tmp_path: Path) -> None:
    made = planned(extra='[[defence]]\nuse = "toy.bright"\n')
    _, _, whole = run(made, tmp_path / "whole")
    store = Store(tmp_path / "parts")
    batches: list[BatchDone] = []

    def stop(event):
        if isinstance(event, BatchDone):
            batches.append(event)
            if len(batches) == 2:
                raise KeyboardInterrupt

    with store.locked(), pytest.raises(KeyboardInterrupt):
        Run(made, store, pick_device("cpu"), stop)()
    assert set(load(store.folder).table["status"]) == {"unfinished"}
    _, events, parts = run(made, tmp_path / "parts")
    assert sum(isinstance(event, BatchDone) for event in events) == 4
    pd.testing.assert_frame_equal(parts.table[WITHOUT_TIME], whole.table[WITHOUT_TIME])
    pd.testing.assert_frame_equal(parts.leaderboard, whole.leaderboard)


def test_results_do_not_depend_on_the_batch_size(planned, run, tmp_path: Path) -> None:
    _, _, one = run(planned(), tmp_path / "a")
    _, _, two = run(planned(("batch_size = 8", "batch_size = 5")), tmp_path / "b")
    pd.testing.assert_frame_equal(one.samples, two.samples, atol=1e-4)


def test_a_failing_cell_is_recorded_and_the_others_run(planned, run) -> None:
    fine, _, results = run(
        planned(
            extra='[[attack]]\nuse = "toy.rogue"\ncrime = "raise"\n[[attack]]\nuse = "toy.rogue"\ncrime = "refuse"\n'
        )
    )
    assert fine  # an attack that raises is a status of its samples; nothing in the harness failed
    rows = results.table.drop_duplicates("attack").set_index("attack")
    assert rows.loc["toy.rogue[crime=raise]", "error"] == 24
    assert pd.isna(rows.loc["toy.rogue[crime=raise]", "robust_accuracy"])
    assert rows.loc["toy.rogue[crime=refuse]", "status"] == "skipped"
    assert rows.loc["toy.descent", "status"] == "done"
    assert (results.leaderboard["incomplete"] == 1).all()


def test_a_training_that_fails_is_not_repeated_for_every_cell(planned, run, monkeypatch) -> None:
    calls = []

    def fail(self, train):
        calls.append(train)
        raise ZeroDivisionError("a bug in the defence")

    made = planned(extra='[[attack]]\nuse = "toy.descent"\nsteps = 2\n')
    monkeypatch.setattr(type(made.cells[0].victim.defence.object), "__call__", fail)
    fine, _, results = run(made)
    assert not fine
    assert len(calls) == 1
    assert set(results.table["reason"]) == {"ZeroDivisionError: a bug in the defence"}


def test_a_failed_cell_is_tried_again(planned, run) -> None:
    made = planned(("lr = 0.05", "lr = 1e30"))
    fine, _, results = run(made)
    assert not fine
    assert set(results.table["status"]) == {"failed"}
    assert (results.folder / "cells" / made.cells[0].id / "error.txt").exists()
    _, events, _ = run(made)
    assert [event.before for event in events if isinstance(event, CellFinished)] == [False]


def test_a_cell_that_failed_half_way_keeps_its_first_half(planned, run, monkeypatch) -> None:
    from tiltyard.runner import cells as runner

    evaluate, calls = runner.evaluate, []

    def fail_once(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise ValueError("a bug")
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(runner, "evaluate", fail_once)
    fine, _, first = run(planned())
    assert not fine
    assert first.table["reason"].iloc[0] == "ValueError: a bug"
    fine, _, second = run(planned())
    assert fine
    assert len(calls) == 4
    assert second.samples["sample"].nunique() == 24


def test_oblivious_and_transfer_attackers_see_another_network(planned, run) -> None:
    made = planned(
        ('use = "toy.none"', 'use = "toy.retrained"'),
        extra='[[threat]]\nnorm = "linf"\neps = "32/255"\nknowledge = "oblivious"\n'
        '[[threat]]\nnorm = "linf"\neps = "32/255"\nknowledge = "transfer"\n',
    )
    _, events, results = run(made)
    trained = {event.network for event in events if isinstance(event, EpochDone)}
    assert len(trained) == 3
    rows = results.table[results.table["eps"] > 0.1].set_index("knowledge")
    assert rows.loc["adaptive", "robust_accuracy"] <= rows.loc["oblivious", "robust_accuracy"]


def test_samples_are_the_same_for_every_seed(planned, run) -> None:
    _, _, results = run(planned(('name = "toy"', 'name = "toy"\nseeds = [0, 1]')))
    chosen = results.samples.groupby("cell")["sample"].apply(lambda s: tuple(sorted(set(s))))
    assert len(set(chosen)) == 1
    assert chosen.iloc[0] != tuple(range(24))
    assert (results.leaderboard["seeds"] == 2).all()


def test_two_runs_may_not_write_one_folder(tmp_path: Path) -> None:
    refused = pytest.raises(UserError, match="another run is writing there")
    with Store(tmp_path).locked(), refused, Store(tmp_path).locked():
        pass
    with Store(tmp_path).locked():
        pass


def test_a_read_only_folder_is_refused_with_the_way_out(monkeypatch, tmp_path: Path) -> None:
    def refuse(*_args, **_kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused = pytest.raises(UserError, match=r"cannot be written to \(Read-only file system\); choose another")
    with refused, Store(tmp_path / "x").locked():
        pass


def test_a_newer_folder_is_refused_and_left_alone(planned, run) -> None:
    _, _, results = run(planned())
    schema = results.folder / "schema.json"
    schema.write_text(json.dumps({"schema": 99}))
    with pytest.raises(UserError, match="written by a newer tiltyard"):
        run(planned())
    with pytest.raises(UserError, match="newer"):
        load(results.folder)
    assert json.loads(schema.read_text()) == {"schema": 99}


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(planned, run, monkeypatch, tmp_path: Path) -> None:
    _, _, results = run(planned())
    folder = CellFolder(next((results.folder / "cells").iterdir()))
    before = folder.samples()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(OSError, match="No space"):
        folder.add_part(before)
    pd.testing.assert_frame_equal(folder.samples(), before)
    assert not list(folder.folder.glob(".*"))


def test_missing_data_is_told_before_anything_is_trained(planned, run) -> None:
    made = planned(('use = "toy.blobs"', 'use = "vision.npz"\nfile = "none.npz"'))
    with pytest.raises(UserError, match=r"\[\[dataset\]\] vision.npz.*none.npz"):
        run(made)
