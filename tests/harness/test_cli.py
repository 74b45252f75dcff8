"""The command line: data on stdout, the rest on stderr, exit codes that mean something."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiltyard.cli.show import eps_text
from tiltyard.results import load

TOY = Path(__file__).with_name("toy.py")


def _bench(*words: str, cwd: Path, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tiltyard.cli import main; main()", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **more)


@pytest.fixture
def folder(planned, tmp_path: Path) -> Path:
    planned()
    return tmp_path


@pytest.mark.parametrize(
    ("eps", "text"),
    [(8 / 255, "8/255"), (0.2, "0.2"), (2.6 / 255, "2.6/255"), (0.5, "0.5"), (1.0, "1"), (1 / 7, "0.142857")],
)
def test_eps_is_shown_as_it_was_meant(eps: float, text: str) -> None:
    assert eps_text(eps) == text


WHOLE = ("run", "toy.toml", "--plugin", str(TOY), "--device", "cpu")
RUN = (*WHOLE, "--set", "benchmark.doctor=false", "--set", "benchmark.masking=false")


def test_a_run_is_quiet_in_a_pipe_and_its_tables_can_be_read(folder: Path) -> None:
    done = _bench(*WHOLE, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = load(folder / "results" / "toy").table
    table = _bench("table", "results/toy", cwd=folder)
    assert "toy.descent" in table.stdout
    assert f"{100 * rows['robust_accuracy'].min():.1f}" in table.stdout
    assert "\x1b[" not in table.stdout
    board = json.loads(_bench("board", "results/toy", "--json", cwd=folder).stdout)
    assert board["schema"] == "tiltyard.board/1"
    assert [row["rank"] for row in board["rows"]] == [1, 1]
    again = _bench(*WHOLE, "--json", cwd=folder)
    assert json.loads(again.stdout)["cells"] == {"done": 2}


def test_progress_lines_go_to_stderr(folder: Path) -> None:
    done = _bench(*RUN, "--verbose", cwd=folder)
    assert done.stdout == ""
    assert "epoch 2/2" in done.stderr
    assert "1/1 done" in done.stderr


def test_plan_trains_nothing(folder: Path) -> None:
    done = _bench("plan", "toy.toml", "--plugin", str(TOY), "--json", cwd=folder)
    made = json.loads(done.stdout)
    assert (len(made["cells"]), made["networks"], made["passes"]["forwards"]) == (1, 1, 240)
    assert not (folder / "results").exists()
    shown = _bench("plan", "toy.toml", "--plugin", str(TOY), cwd=folder).stdout
    assert "1 cells to run, 0 skipped; 1 victims, 1 networks to train" in shown


def test_list_tells_keys_and_provenance(folder: Path) -> None:
    done = _bench("list", "attacks", "--plugin", str(TOY), "--json", cwd=folder)
    rows = {row["name"]: row for row in json.loads(done.stdout)["components"]}
    assert rows["toy.descent"]["keys"] == {"steps": 5}
    assert rows["toy.descent"]["plugin"].startswith("file toy.py")
    assert rows["native.pgd"]["plugin"].startswith("tiltyard ")
    wrong = _bench("list", "attack", cwd=folder)
    assert wrong.returncode == 2
    assert 'did you mean "attacks"' in wrong.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "none.toml"], "none.toml: no such file"),
        (["run", "toy.toml", "--set", "training.epochs=0"], "greater than 0"),
        (["run", "toy.toml", "--data", "nowhere"], "--data nowhere: no such folder"),
        (["run", "toy.toml", "--device", "abacus"], 'choose "auto", "cpu" or "cuda"'),
        (["run", "toy.toml", "--results", "toy.toml"], "cannot be written to"),
        (["table", "nowhere"], "there is no results.parquet"),
        (["rnu"], "No such command"),
    ],
)
def test_wrong_input_exits_with_2_and_a_sentence(folder: Path, words: list[str], message: str) -> None:
    extra = ["--plugin", str(TOY)] if words[0] == "run" else []
    done = _bench(*words, *extra, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_failed_cell_exits_with_1(folder: Path) -> None:
    done = _bench(*RUN, "--set", "training.lr=1e30", cwd=folder)
    assert done.returncode == 1
    assert "lower training.lr" in done.stderr
    assert "Try them again with: bench run toy.toml" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_exits_with_130_and_tells_how_to_go_on(folder: Path, sent: signal.Signals) -> None:
    # A shell that puts the tests into the background has them ignore SIGINT; the command must not.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from tiltyard.cli import main; main()"
    command = [sys.executable, "-c", code, *RUN, "--set", "training.epochs=100000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stderr=pipe, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not list(folder.glob("results/toy/fits/*/unfinished-*.pt")) and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(sent)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Go on with: bench run toy.toml" in told


def test_a_full_disk_exits_with_2_and_the_run_goes_on_later(folder: Path) -> None:
    """A file-size limit stands in for the disk: the network does not fit, nothing half-written stays."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
    code = f"import torch, pandas; {limit} from tiltyard.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *RUN], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "nothing that was finished is lost" in done.stderr
    assert not [path for path in (folder / "results").rglob(".*") if path.name != ".lock"]
    assert _bench(*RUN, cwd=folder).returncode == 0
