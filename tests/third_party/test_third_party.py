"""A real plugin distribution, installed by pip into an environment of its own, found and run from a TOML."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tiltyard.results import load

HERE = Path(__file__).parent

TOML = """
[benchmark]
name = "third"
samples = 20
[training]
epochs = 1
[[dataset]]
use = "vision.digits"
[[model]]
use = "vision.small_cnn"
[[attack]]
use = "uniform.noise"
[[threat]]
norm = "linf"
eps = ["8/255", "64/255"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder holding the installed plugin, to be put beside the packages of this environment."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder), str(HERE / "tiltyard-uniform")], check=True)
    return folder


def _bench(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    import os

    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", "from tiltyard.cli import main; main()", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_an_installed_plugin_is_discovered_and_run_and_named_in_every_row(site: Path, tmp_path: Path) -> None:
    listed = json.loads(_bench(site, tmp_path, "list", "attacks", "--json").stdout)["components"]
    (row,) = [row for row in listed if row["name"] == "uniform.noise"]
    assert row["plugin"] == "tiltyard-uniform 0.3.1"
    (tmp_path / "third.toml").write_text(TOML)
    done = _bench(site, tmp_path, "run", "third.toml")
    assert done.returncode == 0, done.stderr
    table = load(tmp_path / "results" / "third").table
    assert table["attack_plugin"].tolist() == ["tiltyard-uniform 0.3.1"] * 2
    assert (table["ok"] > 0).all()
    assert (table["forwards"] == 0).all()
    assert (table["robust_accuracy"] <= table["clean_accuracy"]).all()


def test_the_plugin_passes_the_shipped_conformance_check(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiltyard.testing import check_attack

    monkeypatch.syspath_prepend(str(site))
    from tiltyard_uniform import UniformNoise

    check_attack(UniformNoise())
