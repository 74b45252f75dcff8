"""With ``escalate = true`` the harness answers a flag by itself, and what it finds is in the tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tiltyard.events import CellFinished
from tiltyard.masking.answers import QUERIES
from tiltyard.plugins import Plugins
from tiltyard.results import Results, Store
from tiltyard.runner import Run, pick_device
from tiltyard.spec import plan as make_plan

CROOKED = Path(__file__).with_name("crooked_defences.py")

TOML = """
[benchmark]
name = "crooked"
samples = 60
escalate = true
[training]
epochs = 10
batch_size = 32
optimiser = "adamw"
lr = 0.01
schedule = "one_cycle"
[[dataset]]
use = "vision.digits"
[[model]]
use = "crooked_defences.cnn"
[[defence]]
use = "native.none"
[[attack]]
use = "native.pgd"
steps = 10
loss = "ce"
[[threat]]
norm = "linf"
eps = 0.15
"""


@pytest.fixture(autouse=True)
def _fewer_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUERIES, "queries", 500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all: the honest network is trained once."""
    pytest.importorskip("sklearn")
    return tmp_path_factory.mktemp("escalation")


def against(folder: Path, defence: str, *, escalate: bool = True) -> tuple[Results, list[CellFinished]]:
    """The tables of the honest network and one crooked defence, and the cells that were run for them."""
    from tiltyard.results import load

    path = folder / "crooked.toml"
    extra = f'[[defence]]\nuse = "crooked_defences.{defence}"\n'
    path.write_text(TOML.replace("escalate = true", f"escalate = {str(escalate).lower()}") + extra)
    store = Store(folder / "results")
    events: list[CellFinished] = []
    with store.locked():
        plan = make_plan(path, Plugins([CROOKED]))
        Run(plan, store, pick_device("cpu"), lambda e: events.append(e) if isinstance(e, CellFinished) else None)()
    return load(store.folder), [event for event in events if not event.before]


def known(results: Results, defence: str) -> float:
    """The best known robust accuracy of a defence."""
    board = results.leaderboard
    return float(board.loc[board["defence"] == defence, "robust_accuracy"].item())


@pytest.mark.parametrize(
    ("defence", "answer"),
    [
        ("quantised", "gradient of"),
        ("detached", "gradient of"),
        ("loud", "native.pgd[steps=100"),
        ("probabilities", "native.pgd[steps=100"),
        ("noisy", "eot=20"),
    ],
)
def test_what_hides_its_gradient_comes_down_to_the_honest_network(folder: Path, defence: str, answer: str) -> None:
    name = f"crooked_defences.{defence}"
    results, _ = against(folder, defence)
    rows = results.table[results.table["defence"] == name]
    own = rows[~rows["attack"].str.startswith("escalated: ")]
    answers = rows[rows["attack"].str.startswith("escalated: ")]
    assert own["flags"].notna().all()
    assert answers["attack"].str.contains(answer, regex=False).any()
    assert (answers["status"] == "done").all()
    assert known(results, name) <= known(results, "native.none") + 0.1
    assert known(results, name) == pytest.approx(float(rows["robust_accuracy"].min()), abs=0.05)
    winner = results.leaderboard.set_index("defence").loc[name, "winning_attack"]
    assert own["robust_accuracy"].isna().all() or answers["robust_accuracy"].min() <= own["robust_accuracy"].min()
    assert isinstance(winner, str)


def test_an_honest_network_is_not_escalated(folder: Path) -> None:
    results, _ = against(folder, "quantised")
    honest = results.table[results.table["defence"] == "native.none"]
    assert len(honest) == 1
    assert honest["flags"].isna().all()


def test_a_second_run_escalates_nothing_again(folder: Path) -> None:
    first, _ = against(folder, "quantised")
    second, ran = against(folder, "quantised")
    assert not ran
    pd.testing.assert_frame_equal(first.table, second.table)


def test_without_it_a_flag_stays_a_flag(folder: Path) -> None:
    results, _ = against(folder, "quantised", escalate=False)
    assert not results.table["attack"].str.startswith("escalated: ").any()
    assert known(results, "crooked_defences.quantised") > known(results, "native.none") + 0.2
    rows = results.csv("masking")
    answers = rows.loc[rows["raised"].fillna(False), "answers"]
    assert answers.notna().all()
    assert "native.square" in " ".join(answers)
