"""``bench doctor`` says what a machine has and which attacks are sound, and its exit code means it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from tiltyard.health.machine import machine
from tiltyard.plugins import Plugins

MINE = """
from dataclasses import dataclass
import tiltyard
from tiltyard import hookimpl

@dataclass(frozen=True)
class Lazy:
    norms = frozenset({"linf"})
    DEFECTS

    def __call__(self, victim, batch, threat):
        victim(batch.x)
        return batch.x.clone()

@dataclass(frozen=True)
class Local:
    classes = 2

    def __call__(self, files):
        return files.find("mine/images.npz")

@dataclass(frozen=True)
class Remote:
    classes = 2

    def __call__(self, files):
        (files.data / "begun").write_text("a download")

@dataclass(frozen=True)
class Keyed:
    file: str
    classes = 2

@hookimpl
def attacks():
    return {"lazy": Lazy}

@hookimpl
def datasets():
    return {"local": Local, "remote": Remote, "keyed": Keyed}
"""


def _doctor(folder: Path, *words: str, defects: str = "", threads: int = 1) -> subprocess.CompletedProcess[str]:
    (folder / "mine.py").write_text(MINE.replace("DEFECTS", defects))
    command = [sys.executable, "-c", "from tiltyard.cli import main; main()", "doctor", "--plugin", "mine.py", *words]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550, check=False
    )


def test_a_fault_has_its_name_its_evidence_and_an_exit_code(tmp_path: Path) -> None:
    done = _doctor(tmp_path, "mine.*")
    assert done.returncode == 1
    assert "fails: strength" in done.stdout
    assert "mine.lazy · linf · strength: breaks 0 of 8 samples at 2 times the distance that suffices" in done.stdout
    assert "0 of 1 passed" in done.stdout
    assert f"torch{' ' * 28}" in done.stdout
    assert done.stderr == ""


def test_a_declared_defect_is_shown_as_known_and_is_no_surprise(tmp_path: Path) -> None:
    done = _doctor(tmp_path, "mine.*", "native.fgsm", "--json", defects='defects = ("strength",)')
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["schema"] == "tiltyard.doctor/1"
    assert not told["failed"]
    found = {(one["attack"], one["norm"]): one for one in told["attacks"]}
    assert found["mine.lazy", "linf"]["badge"] == "fails: strength"
    assert found["mine.lazy", "linf"]["undeclared"] == []
    (strength,) = [one for one in found["mine.lazy", "linf"]["findings"] if one["result"] == "failed"]
    assert strength["known"]
    assert [found["native.fgsm", norm]["badge"] for norm in ("linf", "l2", "l1")] == ["passed"] * 3
    assert torch.__version__.startswith(told["machine"]["versions"]["torch"])


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    def told(threads: int) -> list[tuple[str, str, str]]:
        done = _doctor(tmp_path, "mine.*", "native.fgsm", "native.noise", "native.bim", "--json", threads=threads)
        assert done.stderr == ""
        return [(one["attack"], one["norm"], one["badge"]) for one in json.loads(done.stdout)["attacks"]]

    assert len(told(1)) == 10
    assert told(2) == told(1)


def test_a_check_that_takes_its_process_down_is_told_in_a_line(tmp_path: Path) -> None:
    crash = MINE.replace("victim(batch.x)", "__import__('os')._exit(3)").replace("DEFECTS", "")
    (tmp_path / "crash.py").write_text(crash)
    words = ("native.fgsm", "native.noise", "native.bim", "crash.lazy", "--plugin", "crash.py")
    done = _doctor(tmp_path, *words, threads=2)
    assert done.returncode == 2
    assert "a check took its process down" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pattern_that_matches_nothing_is_told_with_the_choices(tmp_path: Path) -> None:
    done = _doctor(tmp_path, "native.pdg")
    assert done.returncode == 2
    assert 'no attack matches "native.pdg"; did you mean "native.pgd"' in done.stderr


def test_the_machine_is_described_and_nothing_is_downloaded(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE.replace("DEFECTS", ""))
    (tmp_path / "broken.py").write_text("import nothing_like_it")
    plugins = Plugins([tmp_path / "mine.py", tmp_path / "broken.py"])
    facts = machine(plugins, tmp_path, tmp_path / "no" / "such")
    assert facts["data"]["datasets"]["mine.local"] == "not found"
    assert facts["data"]["datasets"]["mine.remote"] == "not found; a run would download it"
    assert "mine.keyed" not in facts["data"]["datasets"]
    assert not (tmp_path / "begun").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "images.npz").touch()
    found = machine(plugins, tmp_path, tmp_path)
    assert found["data"]["datasets"]["mine.local"] == f"found: {tmp_path / 'mine' / 'images.npz'}"
    states = {one["name"]: one["state"] for one in facts["plugins"]}
    assert states["native"] == "fine"
    assert states["broken"].startswith("broken: plugin broken (file broken.py")
    assert facts["disk"]["free_bytes"] > 0
    assert facts["threads"] == torch.get_num_threads()


def test_every_native_attack_is_sound(tmp_path: Path) -> None:
    done = _doctor(tmp_path, "native.*", "--seconds", "5", "--json")
    told = json.loads(done.stdout)
    faults = [(one["attack"], one["norm"], one["undeclared"]) for one in told["attacks"] if one["undeclared"]]
    assert not faults
    assert done.returncode == 0
