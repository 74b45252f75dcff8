"""A Ray cluster of three nodes comes to the tables of one process, also when one of them dies."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tables import same
from toy_benchmark import TOY

from tiltyard.events import BatchDone, CellFinished, Event
from tiltyard.problems import UserError
from tiltyard.results import Results, Store, load
from tiltyard.runner import Recipe, Run, hire, pick_device
from tiltyard.workers.cluster import connect

DEADLY = Path(__file__).with_name("deadly.py")
CPU = pick_device("cpu")
FAST = ("benchmark.doctor=false", "benchmark.masking=false")
NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False}

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Three nodes of one CPU each on this machine."""
    if find_spec("ray") is None:
        pytest.skip("the extra `ray` is not installed")
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "token")
    patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster  # which reads the environment as it is imported

    before = os.umask(0o077)
    made = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        for _ in range(2):
            made.add_node(**NODE)
        yield made
    finally:
        os.umask(before)
        made.shutdown()
        patch.undo()


@pytest.fixture
def distributed(cluster: Any, tmp_path: Path) -> Callable[..., tuple[bool, list[Event], Results]]:
    """Run a recipe on the cluster; ``watch`` is told every event."""

    def execute(recipe: Recipe, watch: Callable[[Event], object] = lambda _: None) -> tuple[bool, list[Event], Results]:
        store, plan = Store(tmp_path / "distributed"), recipe.plan()
        events: list[Event] = []

        def report(event: Event) -> None:
            events.append(event)
            watch(event)

        with store.locked():
            crew = hire(recipe, plan, store, CPU, engine=f"ray://{cluster.address}")
            fine = Run(plan, store, CPU, report, crew)()
        return fine, events, load(store.folder)

    return execute


MANY = """
[[defence]]
use = "toy.bright"
[[labels]]
use = "toy.codes"
[[attack]]
use = "native.transfer"
"""


def _recipe(plan: Any, extra: str = "") -> Recipe:
    plan.path.write_text(plan.path.read_text() + extra)
    return Recipe(plan.path, overrides=FAST, plugins=(TOY, DEADLY))


def test_a_node_dies_in_the_middle_and_the_tables_are_the_same(cluster, distributed, planned, run, tmp_path) -> None:
    recipe = _recipe(planned(extra=MANY))
    dead: list[Any] = []

    def strike(event: Event) -> None:
        if isinstance(event, BatchDone) and not dead:
            dead.append(cluster.list_all_nodes()[-1])
            cluster.remove_node(dead[0], allow_graceful=False)

    fine, events, results = distributed(recipe, strike)
    assert fine
    assert dead
    assert sum(isinstance(event, CellFinished) for event in events) == 8
    same(run(recipe.plan(), tmp_path / "serial")[2], results)


def test_a_worker_that_dies_is_recorded_and_a_node_that_joins_is_used(cluster, distributed, planned, tmp_path) -> None:
    cluster.add_node(**NODE)
    log = tmp_path / "log"
    fine, _, results = distributed(
        _recipe(planned(), f'[[attack]]\nuse = "deadly.attack"\nway = "exit"\nlog = "{log}"\n')
    )
    assert not fine
    reasons = results.table.drop_duplicates("attack").set_index("attack")["reason"]
    assert "ended itself with exit code 7, 2 times" in reasons.filter(like="deadly").iloc[0]
    assert len(log.read_text().split()) in (2, 4)  # twice, or twice in each half if there was a worker to spare


def test_an_actor_that_nobody_asks_ends_itself() -> None:
    program = (
        "import time; from tiltyard.workers import relay; relay.LEASE = 0.1\n"
        "kept = relay.Relay(None, {}); time.sleep(100)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=90).returncode == 1


def test_without_ray_the_install_line_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'tiltyard\[ray\]'"):
        connect("")


def test_a_cluster_is_not_asked_without_its_token(monkeypatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with pytest.raises(UserError, match="set RAY_AUTH_TOKEN"):
        connect("host:6379")


def test_an_unknown_engine_is_refused(planned, tmp_path: Path) -> None:
    plan = planned()
    with pytest.raises(UserError, match="choose local, ray"):
        hire(Recipe(plan.path), plan, Store(tmp_path), CPU, engine="dask")
