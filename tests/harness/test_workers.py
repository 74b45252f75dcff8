"""Several processes come to the tables of one; a worker that dies or hangs costs its own task and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from tables import same
from toy_benchmark import TOY

from tiltyard.cli import bench
from tiltyard.events import BatchDone, CellFinished, Event
from tiltyard.problems import UserError
from tiltyard.provenance import plan_digest
from tiltyard.results import Results, Store, load
from tiltyard.runner import PlanAssignment, Recipe, Run, pick_device
from tiltyard.runner.index import Index
from tiltyard.victims import Victims
from tiltyard.workers import Processes, coordinator, environments

DEADLY = Path(__file__).with_name("deadly.py")
PLUGINS = (TOY, DEADLY)
FAST = ("benchmark.doctor=false", "benchmark.masking=false")
CPU = pick_device("cpu")

Watch = Callable[[Event, Processes], object]
Execute = Callable[..., tuple[bool, list[Event], Results]]


class Hired:
    """Brings up processes, and lets a test get at them."""

    def __init__(self, recipe: Recipe, folder: Path, jobs: int) -> None:
        self._assignment = PlanAssignment(recipe, plan_digest(recipe.plan()), folder, "cpu")
        self._jobs = jobs
        self.crew: Processes

    def __call__(self, index: Index) -> Processes:
        self.crew = Processes(self._assignment, environments(self._jobs, CPU), index.find)
        return self.crew


@pytest.fixture
def recipe(planned: Callable[..., object], tmp_path: Path) -> Callable[..., Recipe]:
    """The toy benchmark as the words of a command line."""

    def make(extra: str = "", overrides: tuple[str, ...] = FAST) -> Recipe:
        planned()
        path = tmp_path / "toy.toml"
        path.write_text(path.read_text() + extra)
        return Recipe(path, overrides=overrides, plugins=PLUGINS)

    return make


@pytest.fixture
def shared(tmp_path: Path) -> Execute:
    """Run a recipe with two processes; ``watch`` is told every event and the crew."""

    def execute(
        recipe: Recipe, watch: Callable[[Event, Processes], None] = lambda *_: None
    ) -> tuple[bool, list[Event], Results]:
        store = Store(tmp_path / "shared")
        hired, events = Hired(recipe, store.folder, 2), list[Event]()

        def report(event: Event) -> None:
            events.append(event)
            if not isinstance(event, CellFinished) or not event.before:
                watch(event, hired.crew)

        with store.locked():
            fine = Run(recipe.plan(), store, CPU, report, hired)()
        assert not (store.folder / ".token").exists()
        return fine, events, load(store.folder)

    return execute


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process has ended, in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            time.sleep(0.05)
            continue
        return True
    return False


EVERYTHING = """
[[defence]]
use = "toy.retrained"
[[attack]]
use = "native.transfer"
[[threat]]
norm = "linf"
eps = "32/255"
knowledge = "transfer"
"""


def test_two_processes_come_to_the_tables_of_one(recipe, shared, run, tmp_path: Path) -> None:
    made = recipe(EVERYTHING, ("benchmark.doctor=false", "benchmark.escalate=true"))
    fine, _, serial = run(made.plan(), tmp_path / "serial")
    assert fine
    fine, _, parallel = shared(made)
    assert fine
    same(serial, parallel)
    assert len(list((serial.folder / "fits").iterdir())) == len(list((parallel.folder / "fits").iterdir()))
    again = shared(made, lambda event, _: pytest.fail(f"{event} though all was done"))
    assert again[0]


def test_a_worker_killed_in_the_middle_is_survived(recipe, shared, run, tmp_path: Path) -> None:
    made = recipe('[[defence]]\nuse = "toy.bright"\n')
    killed: list[int] = []

    def strike(event: Event, crew: Processes) -> None:
        if isinstance(event, BatchDone) and not killed:
            killed.extend(crew.pids.values())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    fine, _, parallel = shared(made, strike)
    assert killed
    assert fine
    same(run(made.plan(), tmp_path / "serial")[2], parallel)


def test_a_cell_is_divided_where_there_are_more_workers_than_cells(recipe, shared, run, tmp_path: Path) -> None:
    made = recipe()
    pids: set[int] = set()
    fine, events, parallel = shared(made, lambda _, crew: pids.update(crew.pids.values()))
    assert fine
    assert len(pids) == 2
    assert sum(isinstance(event, CellFinished) for event in events) == 1
    assert sum(event.samples for event in events if isinstance(event, BatchDone)) == 24
    same(run(made.plan(), tmp_path / "serial")[2], parallel)


def test_what_kills_its_worker_is_tried_twice_and_recorded(recipe, shared, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(coordinator, "GRACE", 4.0)
    table = '[[attack]]\nuse = "deadly.attack"\nname = "{0}"\nway = "{0}"\nlog = "{1}"\nfrom_sample = 20\n'
    ways = {"exit": "ended itself with exit code 7", "SIGSEGV": "ended by SIGSEGV", "hang": "gave no sign of life"}
    logs = {way: tmp_path / way for way in ways}
    extra = "".join(table.format(way, log) for way, log in logs.items())
    fine, _, results = shared(recipe(extra, (*FAST, "benchmark.time_limit=1", "benchmark.seeds=[0]")))
    assert not fine
    rows = results.table.drop_duplicates("attack").set_index("attack")
    assert rows.loc["toy.descent", "status"] == "done"
    for way, words in ways.items():
        assert rows.loc[way, "status"] == "failed"
        assert words in rows.loc[way, "reason"]
        assert rows.loc[way, "reason"].endswith("2 times")
        assert len(logs[way].read_text().split()) == 2
        assert all(map(gone, map(int, logs[way].read_text().split())))


def test_a_training_that_kills_its_worker_fails_the_cells_of_its_victim_alone(recipe, shared) -> None:
    fine, _, results = shared(recipe('[[defence]]\nuse = "deadly.defence"\n'))
    assert not fine
    rows = results.table.drop_duplicates("defence").set_index("defence")
    assert rows.loc["toy.none", "status"] == "done"
    assert rows.loc["deadly.defence", "status"] == "failed"
    assert "SIGKILL, 2 times" in rows.loc["deadly.defence", "reason"]


def test_health_checks_that_kill_their_worker_are_a_fault_of_the_attack(recipe, shared, tmp_path: Path) -> None:
    extra = f'[[attack]]\nuse = "deadly.attack"\nway = "exit"\nlog = "{tmp_path / "log"}"\n'
    made = recipe(extra, ("benchmark.masking=false", "benchmark.samples=2"))
    made = Recipe(made.toml, overrides=made.overrides, only=("attack=deadly.*",), plugins=PLUGINS)
    _, _, results = shared(made)
    assert set(results.table["health"]) == {"fails: images"}
    (kept,) = (results.folder / "health").iterdir()
    assert "exit code 7" in json.loads(kept.read_text())["findings"][0]["evidence"]


def test_a_worker_that_comes_to_another_plan_does_no_work(recipe, shared, tmp_path: Path) -> None:
    made = recipe()
    hired = Hired(made, tmp_path / "shared", 1)
    made.toml.write_text(made.toml.read_text().replace("samples = 24", "samples = 23"))
    store = Store(tmp_path / "shared")
    with store.locked(), pytest.raises(UserError, match="comes to another plan"):
        Run(made.plan(), store, CPU, lambda _: None, hired)()
    assert all(gone(pid) for pid in hired.crew.pids.values())


def test_no_worker_outlives_its_coordinator(recipe, tmp_path: Path) -> None:
    made = recipe('[[attack]]\nuse = "deadly.attack"\nway = "{}"\nlog = "{}"\n'.format("hang", tmp_path / "log"))
    plugins = [word for path in PLUGINS for word in ("--plugin", str(path))]
    switches = [word for override in made.overrides for word in ("--set", override)]
    words = ["run", str(made.toml), "--jobs", "2", "--device", "cpu", "--results", str(tmp_path / "r"), *plugins]
    program = "from tiltyard.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", program, *words, *switches])
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "log").exists() and time.monotonic() < until:
            time.sleep(0.1)
        workers = list(_children(process.pid))
        assert len(workers) == 2
    finally:
        process.kill()
        process.wait()
    assert all(map(gone, workers))


def _children(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def test_two_workers_that_want_one_network_train_it_once(planned, tmp_path: Path) -> None:
    plan, epochs = planned(), list[Event]()
    pair = [Victims(plan, Store(tmp_path / "fits"), CPU, epochs.append) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda victims: victims.classifier(plan.victims[0]), pair)
    assert len(epochs) == 2
    for name, tensor in first.state_dict().items():
        assert tensor.equal(second.state_dict()[name])


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_a_number_of_jobs_that_cannot_be_is_refused(jobs: str) -> None:
    done = CliRunner().invoke(bench, ["run", "x.toml", "--jobs", jobs])
    assert done.exit_code == 2
    assert 'write a number from 1 on, or "auto"' in " ".join(done.output.replace("│", "").split())


def test_gpus_are_dealt_out_in_turn(monkeypatch) -> None:
    import torch

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    cuda = torch.device("cuda")
    assert environments(None, cuda) == [{"CUDA_VISIBLE_DEVICES": "GPU-a"}, {"CUDA_VISIBLE_DEVICES": "GPU-b"}]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments(3, cuda)] == ["GPU-a", "GPU-b", "GPU-a"]
    assert environments(1, torch.device("cuda:1")) == [{"CUDA_VISIBLE_DEVICES": "GPU-b"}]
