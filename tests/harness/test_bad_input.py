"""Whatever an attack or a network does is a status on its own samples and a line for the reader, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from toy_benchmark import TOML, TOY

from tiltyard.events import CellFinished, Event
from tiltyard.plugins import Plugins
from tiltyard.results import Results, Store, load
from tiltyard.runner import Run, pick_device
from tiltyard.spec import plan as make_plan

QUIET = ["benchmark.doctor=false", "benchmark.masking=false"]
CRIMES = {
    "raise": ("error", "RuntimeError: something broke"),
    "exit": ("error", "SystemExit: an attack may not end the run"),
    "nan": ("violated", "not finite, or outside the ball or the box"),
    "outside the ball": ("violated", "outside the ball"),
    "outside the box": ("violated", "the box"),
    "mutate input": ("violated", "outside the ball"),
    "shape": ("error", "shape (8, 1, 4, 8) for images (8, 1, 8, 8)"),
    "integers": ("error", "torch.uint8, not a float tensor of images"),
    "nothing": ("error", "NoneType, not a float tensor of images"),
    "mutate weights": ("error", "changed the network's weights"),
    "replace weights": ("error", "changed the network's parameters"),
    "hook": ("error", "hooks"),
}
DECENT = ("toy.descent", "toy.descent[steps=2]")


def _rogue(crime: str) -> str:
    return f'[[attack]]\nuse = "toy.rogue"\ncrime = "{crime}"\n'


def _run(folder: Path, text: str, *overrides: str) -> tuple[bool, list[Event], Results]:
    folder.mkdir(exist_ok=True)
    (folder / "toy.toml").write_text(text)
    plan = make_plan(folder / "toy.toml", Plugins([TOY]), overrides=[*QUIET, *overrides])
    events: list[Event] = []
    with (store := Store(folder / "results")).locked():
        fine = Run(plan, store, pick_device("cpu"), events.append)()
    return fine, events, load(store.folder)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The decent attacks by themselves."""
    return _run(tmp_path_factory.mktemp("alone"), TOML + LAST)[2]


LAST = '[[attack]]\nuse = "toy.descent"\nsteps = 2\n'


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[bool, list[Event], Results]:
    """The decent attacks with every crime between them."""
    return _run(tmp_path_factory.mktemp("crowd"), TOML + "".join(map(_rogue, CRIMES)) + LAST)


def _records(results: Results, attack: str) -> pd.DataFrame:
    (cell,) = results.table.loc[results.table["attack"] == attack, "cell"].unique()
    samples = results.samples
    return samples[samples["cell"] == cell].drop(columns="cell").reset_index(drop=True)


def _same_as_alone(results: Results, alone: Results) -> None:
    for attack in DECENT:
        pd.testing.assert_frame_equal(_records(results, attack), _records(alone, attack))


@pytest.mark.parametrize("crime", CRIMES)
def test_a_crime_is_a_status_and_a_reason_on_every_sample_of_its_cell(crowd, crime: str) -> None:
    _, events, results = crowd
    status, words = CRIMES[crime]
    name = f"toy.rogue[crime={crime}]"
    records = _records(results, name)
    assert set(records["status"]) == {status}
    assert not records["left_class"].any()
    assert records["distance"].isna().all()
    rows = results.table[results.table["attack"] == name]
    assert (rows["status"] == "done").all()
    assert (rows[status] == 24).all()
    assert rows["robust_accuracy"].isna().all()
    (told,) = [e.reason for e in events if isinstance(e, CellFinished) and e.cell.attack.label == name]
    assert told.startswith(f"24 samples {status}: ")
    assert words in told
    assert (rows["reason"] == told).all()


def test_the_cells_beside_a_crime_are_as_if_it_had_not_been(crowd, alone: Results) -> None:
    fine, events, results = crowd
    assert fine
    _same_as_alone(results, alone)
    reasons = {e.cell.attack.label: e.reason for e in events if isinstance(e, CellFinished)}
    assert [reasons[attack] for attack in DECENT] == [None, None]


def test_an_attack_that_raises_on_one_batch_keeps_its_others(tmp_path: Path, alone: Results) -> None:
    _, events, results = _run(tmp_path, TOML + _rogue("raise on the first batch") + LAST)
    records = _records(results, "toy.rogue")
    broken = records["status"] == "error"
    assert 0 < broken.sum() < len(records)
    assert set(records.loc[~broken, "status"]) == {"ok"}
    samples = records.loc[broken, "sample"].nunique()
    assert samples % 8 == 0
    (told,) = [e.reason for e in events if isinstance(e, CellFinished) and e.reason]
    assert told == f"{samples} samples error: RuntimeError: something broke in the middle"
    _same_as_alone(results, alone)


def test_an_attack_that_raises_at_one_eps_keeps_the_other(tmp_path: Path) -> None:
    _, _, results = _run(tmp_path, TOML + _rogue("raise at the larger eps"))
    rows = results.table[results.table["attack"] == "toy.rogue"].set_index("eps").sort_index()
    assert rows["error"].tolist() == [0, 24]
    assert rows["robust_accuracy"].notna().tolist() == [True, False]
    assert rows["reason"].notna().tolist() == [False, True]


@pytest.mark.parametrize("crime", ["hang", "hang and swallow every exception"])
def test_a_hang_is_a_timeout_and_the_run_goes_on(tmp_path: Path, alone: Results, crime: str) -> None:
    text = TOML.replace("batch_size = 8", "batch_size = 24\ntime_limit = 2").replace(', "32/255"', "")
    _, _, results = _run(tmp_path, text.replace('use = "toy.descent"', f'use = "toy.rogue"\ncrime = "{crime}"') + LAST)
    records = _records(results, "toy.rogue")
    assert set(records["status"]) == {"timeout"}
    assert set(records["reason"]) == {"the attack was not done after 2 s"}
    expected = _records(alone, "toy.descent[steps=2]").query("eps < 0.1").reset_index(drop=True)
    pd.testing.assert_frame_equal(_records(results, "toy.descent"), expected, atol=1e-4)


@pytest.mark.parametrize(("limit", "word", "clean", "least"), [(0.71, "adversarial", 1, 1), (0.0, "clean", 0, 24)])
def test_a_network_that_gives_no_numbers_has_no_robust_accuracy(
    tmp_path: Path, alone: Results, limit: float, word: str, clean: int, least: int
) -> None:
    text = TOML.replace('use = "toy.none"', f'use = "toy.undefined"\nlimit = {limit}\n[[defence]]\nuse = "toy.none"')
    _, _, results = _run(tmp_path, text)
    rows = results.table[results.table["defence"] == "toy.undefined"]
    assert rows["robust_accuracy"].isna().all()
    assert rows["success_rate"].isna().all()
    assert (rows["clean_accuracy"] == clean).all()
    assert (rows["undefined"] >= least).all()
    assert rows["reason"].str.contains(f"scores of the {word} image are not finite").all()
    other = results.table[results.table["defence"] == "toy.none"]
    columns = ["eps", "robust_accuracy", "success_rate", "mean_distance", "undefined"]
    expected = alone.table[alone.table["attack"] == "toy.descent"]
    pd.testing.assert_frame_equal(other[columns].reset_index(drop=True), expected[columns].reset_index(drop=True))


def test_the_reader_is_told_by_the_run_and_by_the_table(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOML + _rogue("raise"))
    bench: Callable[..., subprocess.CompletedProcess[str]] = lambda *words: subprocess.run(  # noqa: E731
        [sys.executable, "-c", "from tiltyard.cli import main; main()", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    quiet = [word for override in QUIET for word in ("--set", override)]
    done = bench("run", "toy.toml", "--plugin", str(TOY), "--device", "cpu", *quiet)
    assert (done.returncode, done.stdout) == (0, "")
    (line,) = done.stderr.splitlines()
    assert "toy.rogue" in line
    assert line.endswith("24 samples error: RuntimeError: something broke")
    assert "24 samples error: RuntimeError: something broke" in bench("table", "results/toy").stdout
