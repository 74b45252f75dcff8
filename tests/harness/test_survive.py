"""Whatever the disk does and whenever the process dies, nothing finished is lost and nothing is made up.

P1 and P2 of docs/reliability.md: a fault at the first, second, third ... thing that the writer asks of the disk, until
a run gets through; after each, the folder is whole, and the same command ends at the tables of a run without fault.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from faults import Disk, broken, full, kill
from toy_benchmark import TOY

from tiltyard.cli import main
from tiltyard.events import BatchDone, Event
from tiltyard.problems import refused_by_disk
from tiltyard.results import QUARANTINE, TABLES, Results, Store, damages, load
from tiltyard.runner import Run, pick_device
from tiltyard.spec import Plan

KILLS = 30
TIMES = ["seconds"]
SMALL = (("samples = 24", "samples = 16"), ("epochs = 2", "epochs = 1"))
"""Two batches of one cell, one epoch: every kind of file the store has, and no more of them than that."""


def same_tables(one: Results, other: Results) -> None:
    """Every table, apart from times, and every record."""
    for name in TABLES:
        left, right = (results.csv(name).drop(columns=TIMES, errors="ignore") for results in (one, other))
        pd.testing.assert_frame_equal(left, right)
    pd.testing.assert_frame_equal(one.samples, other.samples)


def whole(folder: Path) -> None:
    """Nothing is damaged, nothing was set aside, and every record that is there can be read."""
    assert not list(damages(folder))
    assert not (folder / QUARANTINE).exists()
    for cell in folder.glob("cells/*"):
        Store(folder).cell(cell.name).samples()


def run_in(plan: Plan, folder: Path, report: Callable[[Event], None] = lambda _: None) -> bool:
    store = Store(folder)
    with store.locked():
        return Run(plan, store, pick_device("cpu"), report)()


def forked(work: Callable[[], object]) -> Any:
    """A process that does ``work`` and exits with 0: forked, so that no library is imported again."""

    def child() -> None:
        work()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def _killed(plan: Plan, folder: Path, at: int) -> bool:
    """Run in a process whose disk kills it; whether it did, before all was written. No batch told of may be lost."""
    ears, mouth = os.pipe()

    def told(event: Event) -> None:
        if isinstance(event, BatchDone):
            os.write(mouth, bytes([event.samples]))

    def work() -> None:
        with Disk(at, kill)():
            run_in(plan, folder, told)

    process = forked(work)
    process.join(120)
    os.close(mouth)
    with os.fdopen(ears, "rb") as pipe:
        heard = sum(pipe.read())
    whole(folder)
    kept = {len(set(Store(folder).cell(cell.id).samples()["sample"])) for cell in plan.cells}
    assert sum(kept) >= heard
    assert process.exitcode in (0, -signal.SIGKILL)
    return bool(process.exitcode)


@pytest.fixture
def uninterrupted(planned, tmp_path: Path) -> Results:
    folder = tmp_path / "uninterrupted"
    with Disk(10**9, full)() as disk:
        assert run_in(planned(*SMALL), folder)
    assert {"write", "fsync", "replace"} == set(disk.calls)
    return load(folder)


def _failure(plan: Plan, folder: Path) -> OSError | None:
    try:
        assert run_in(plan, folder)
    except OSError as error:
        return error
    return None


def points() -> Iterator[int]:
    """1, 2, 3 ... for as long as networks, records and images are written; then, for the tables, every fourth."""
    yield from itertools.chain(range(1, 49), itertools.count(49, 4))


def test_a_kill_at_each_thing_asked_of_the_disk(planned, uninterrupted: Results, tmp_path: Path) -> None:
    """Killed at the n-th write, sync or rename, from nothing each time; then once more without a kill."""
    plan = planned(*SMALL)
    for n in points():
        folder = tmp_path / f"killed-{n}"
        if not _killed(plan, folder, n):
            break
        kept = len(set(Store(folder).cell(plan.cells[0].id).samples()["sample"]))
        again: list[Event] = []
        assert run_in(plan, folder, again.append)
        assert sum(event.samples for event in again if isinstance(event, BatchDone)) == 16 - kept
        same_tables(load(folder), uninterrupted)
        assert {path.name for path in folder.rglob("*.*")} == {path.name for path in uninterrupted.folder.rglob("*.*")}
    assert n > 60


def test_one_folder_killed_again_and_again_goes_forward(planned, uninterrupted: Results, tmp_path: Path) -> None:
    """A run that dies after every few calls still comes to its end, since each keeps what it finished."""
    plan, folder, kills = planned(*SMALL), tmp_path / "again", 0
    while _killed(plan, folder, 52):
        kills += 1
        assert kills < 10
    assert kills
    same_tables(load(folder), uninterrupted)


def test_a_disk_that_fails_at_each_thing_asked(planned, uninterrupted: Results, tmp_path: Path) -> None:
    """Full or broken, once or from then on: by turns, so that each kind of call meets each kind of failure."""
    plan, turns = planned(*SMALL), list(itertools.product((full, broken), (True, False)))
    for n in points():
        folder = tmp_path / f"failed-{n}"
        fault, once = turns[(n + n // len(turns)) % len(turns)]
        with Disk(n, fault, once=once)():
            failure = _failure(plan, folder)
        if failure is None:
            break
        assert refused_by_disk(failure)  # what the command line tells in one line, with the command to go on with
        assert str(folder) in str(failure.filename)
        whole(folder)
        assert not list(folder.rglob(".*.tmp"))
        assert run_in(plan, folder)
        same_tables(load(folder), uninterrupted)
    assert n > 60


def test_the_command_killed_at_random_times(planned, uninterrupted: Results, tmp_path: Path, monkeypatch) -> None:
    """``bench run`` killed again and again at times drawn with a seed, and begun again until it comes to its end."""
    planned(*SMALL)
    quiet = ["--set", "benchmark.doctor=false", "--set", "benchmark.masking=false"]
    command = ["bench", "run", str(tmp_path / "toy.toml"), "--plugin", str(TOY), "--device", "cpu", *quiet]
    draw, kills, compared = random.Random(0), 0, 0
    longest = 0.0
    while kills < KILLS or not compared:
        results = tmp_path / f"random-{compared}"
        monkeypatch.setattr(sys, "argv", [*command, "--results", str(results)])
        started = time.monotonic()
        process = forked(main)
        if longest:  # the first one is left alone, to learn how long a run takes
            process.join(draw.uniform(0, longest))
            process.kill()
        process.join(120)
        if process.exitcode == 0:
            longest = max(longest, time.monotonic() - started)
            same_tables(load(results / "toy"), uninterrupted)
            compared += 1
        else:
            assert process.exitcode == -signal.SIGKILL
            kills += 1
            if (results / "toy").exists():
                whole(results / "toy")
    print(f"{kills} kills survived, {compared} runs compared")  # noqa: T201 - the figures of docs/reliability.md


def test_the_clock_decides_nothing(planned, uninterrupted: Results, tmp_path: Path, monkeypatch) -> None:
    """The clock jumps back and forth by up to ten years, and so do the dates of all files, while a run goes on."""
    plan, folder, draw, real = planned(*SMALL), tmp_path / "clock", random.Random(1), time.time

    def jump() -> float:
        return real() + draw.uniform(-3e8, 3e8)

    def stop(event: Event) -> None:
        if isinstance(event, BatchDone):
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "time", jump)
    with pytest.raises(KeyboardInterrupt):
        run_in(plan, folder, stop)
    for path in folder.rglob("*"):
        os.utime(path, (jump(), jump()))
    assert run_in(plan, folder)
    same_tables(load(folder), uninterrupted)
