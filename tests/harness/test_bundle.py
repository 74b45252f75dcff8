"""A bundle is verified on another machine, without attacking and without training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from bundles import check, pack_toys, retold, run_toys
from safetensors.torch import load_file, save_file
from toy import Linear
from toy_benchmark import TOY

from tiltyard import Category, Classifier
from tiltyard.bundle import pack, rounding, verify
from tiltyard.contracts import distance, project
from tiltyard.evaluator import search, verdict
from tiltyard.masking import escalation
from tiltyard.problems import UserError
from tiltyard.training import trainer

NEAREST = '[[attack]]\nuse = "toy.nearest"\n[[threat]]\nnorm = "l2"\neps = [1, 1.5]\n'
NOISY = """
import torch, tiltyard
from dataclasses import dataclass
class Noisy(tiltyard.Classifier):
    randomised = True
    def outputs(self, x):
        return super().outputs(x + 0.02 * torch.randn(x.shape))
@dataclass(frozen=True)
class Shaken:
    def __call__(self, train):
        plain = train()
        return Noisy(plain.network, plain.scheme)
@dataclass(frozen=True)
class Mine:
    norms = frozenset({"linf"})
    steps: int = 3
    reach: float = 1.0
    def __call__(self, victim, batch, threat):
        x = batch.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
        return (batch.x - self.reach * threat.eps * gradient.sign()).clamp(0, 1)
@tiltyard.hookimpl
def attacks():
    return {"attack": Mine}
@tiltyard.hookimpl
def defences():
    return {"shaken": Shaken}
"""


def test_a_bundle_is_verified_and_its_leaderboard_is_the_one_of_the_run(tmp_path: Path) -> None:
    results = run_toys(tmp_path, extra=NEAREST + '[[defence]]\nuse = "toy.bright"\n')
    report = check(pack_toys(results))
    assert report.verified, report.findings
    assert (report.cells, report.clean, report.borderline) == (4, 48, 0)
    assert report.images > 40
    board = pd.read_csv(results / "leaderboard.csv")
    assert report.board["robust_accuracy"].tolist() == pytest.approx(board["robust_accuracy"].tolist())


def test_every_image_is_judged_once_and_nothing_is_attacked_or_trained(tmp_path: Path, monkeypatch) -> None:
    path = pack_toys(run_toys(tmp_path, extra=NEAREST))
    seen: list[int] = []
    outputs = Classifier.outputs

    def counted(self: Classifier, x: torch.Tensor) -> Any:
        seen.append(len(x))
        return outputs(self, x)

    def never(*_args: object, **_more: object) -> None:
        raise AssertionError("called")

    monkeypatch.setattr(Classifier, "outputs", counted)
    monkeypatch.setattr(trainer, "fit", never)
    monkeypatch.setattr(search, "attempt", never)
    report = check(path)
    assert report.verified, report.findings
    assert sum(seen) == report.clean + report.images
    assert report.clean == 24
    assert min(seen) > 0


@pytest.mark.parametrize("targets", ["random", "next", "least_likely", "all"])
def test_targeted_records_are_verified(tmp_path: Path, targets: str) -> None:
    threat = f'[[threat]]\nnorm = "linf"\neps = 0.1\ngoal = "targeted"\ntargets = "{targets}"\n'
    report = check(pack_toys(run_toys(tmp_path, extra=threat)))
    assert report.verified, report.findings


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = run_toys(tmp_path)
    for uint8 in (False, True):
        assert pack_toys(results, uint8=uint8).read_bytes() == pack_toys(results, uint8=uint8).read_bytes()


def test_rounded_images_are_8_bit_and_verified(tmp_path: Path) -> None:
    results = run_toys(tmp_path, ('eps = ["16/255", "32/255"]', 'eps = [0.1, "32/255"]'), extra=NEAREST)
    path = pack_toys(results, uint8=True)
    report = check(path)
    assert report.verified, report.findings
    assert any("8 bits" in note for note in report.notes)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    kept = [load_file(file)["pixels"] for file in (tmp_path / "out").rglob("images-*")]
    assert kept
    assert all(pixels.dtype == torch.uint8 for pixels in kept)
    assert report.images == sum(map(len, kept))


def test_a_success_that_rounding_takes_away_is_counted_and_claimed_no_more(tmp_path: Path, monkeypatch) -> None:
    results = run_toys(tmp_path, extra=NEAREST)
    monkeypatch.setattr(rounding, "to_levels", lambda images, clean, *_: (clean * 255).round().to(torch.uint8))
    report = check(path := pack_toys(results, uint8=True))
    assert report.verified, report.findings
    with zipfile.ZipFile(path) as archive:
        rounded = json.loads(archive.read("manifest.json"))["uint8"]
        archive.extract("results.csv", tmp_path / "out")
    assert rounded["lost"] == rounded["images"] > 0
    table = pd.read_csv(tmp_path / "out" / "results.csv").query("status == 'done'")
    assert (table["robust_accuracy"] == table["clean_accuracy"]).all()
    assert table["median_distance"].isna().all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_rounding_stays_in_the_ball(norm: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 256, (64, 3, 8, 8), generator=generator) / 255
    delta = torch.randn(clean.shape, generator=generator) * 0.03
    eps = distance(delta, norm).mul(0.7).double()
    images = (clean + project(delta, norm, eps.float())).clamp(0, 1)
    levels = rounding.to_levels(images, clean, norm, eps)
    assert levels.dtype == torch.uint8
    assert (distance(levels / 255 - clean, norm) <= eps * (1 + 2e-5) + 1e-5).all()
    assert ((levels / 255 - images).abs() <= 1.01 / 255).all()


def test_an_attack_that_is_not_installed_here_is_not_needed(tmp_path: Path) -> None:
    (mine := tmp_path / "mine.py").write_text(NOISY)
    extra = '[[attack]]\nuse = "mine.attack"\n[[attack]]\nuse = "mine.attack"\nreach = 1\n'
    path = pack_toys(run_toys(tmp_path, extra=extra, plugins=[mine]), [mine])
    report = check(path)
    assert report.verified, report.findings
    assert report.cells == 3
    mine.write_text(NOISY + "\n")
    assert check(path, [mine]).verified


def test_a_randomised_victim_may_answer_otherwise_on_another_machine(tmp_path: Path, monkeypatch) -> None:
    (mine := tmp_path / "mine.py").write_text(NOISY)
    path = pack_toys(run_toys(tmp_path, extra='[[defence]]\nuse = "mine.shaken"\n', plugins=[mine]), [mine])
    assert check(path, [mine]).verified
    trials = verdict._trials
    monkeypatch.setattr(verdict, "_trials", lambda c, b, x, trial: trials(c, b, x, f"{trial} elsewhere"))
    report = check(path, [mine])
    assert report.verified, report.findings
    assert any("is randomised" in note and "happened again" in note for note in report.notes)


def test_other_code_is_told_and_the_images_are_judged_all_the_same(tmp_path: Path) -> None:
    path = pack_toys(run_toys(tmp_path))
    (folder := tmp_path / "other").mkdir()
    (folder / "toy.py").write_text(TOY.read_text() + "\n# changed\n")
    report = verify(path, plugins=[folder / "toy.py"])
    assert report.verified, report.findings
    assert any("toy.linear" in note and "file toy.py" in note for note in report.notes)


def test_given_weights_are_packed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Linear()((1, 8, 8), Category(4).head)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    given = ('use = "toy.linear"', 'use = "toy.linear"\nweights = "net.safetensors"')
    path = pack_toys(run_toys(tmp_path, given))
    (tmp_path / "net.safetensors").unlink()
    report = check(path)
    assert report.verified, report.findings


def test_what_can_not_be_verified_is_not_packed(tmp_path: Path) -> None:
    results = run_toys(tmp_path, ("batch_size = 8", "batch_size = 8\nkeep_images = false"))
    with pytest.raises(UserError, match="keep_images = true"):
        pack_toys(results)
    with pytest.raises(UserError, match=r"there is no results.parquet"):
        pack(tmp_path / "nowhere")


def test_part_of_a_plan_is_verified_with_the_transfers_of_that_part(tmp_path: Path) -> None:
    attacks = '[[attack]]\nuse = "native.transfer"\n[[attack]]\nuse = "toy.descent"\nsteps = 2\n'
    results = run_toys(
        tmp_path,
        ('use = "toy.descent"', 'use = "toy.descent"\nsteps = 4'),
        extra='[[defence]]\nuse = "toy.bright"\n' + attacks,
        only=["attack=*steps=4*", "attack=native.*"],
    )
    report = check(pack_toys(results))
    assert report.verified, report.findings
    assert report.cells == 4
    assert "2 more cells that the configuration makes are not in the bundle" in report.notes


def test_what_was_found_about_the_victims_is_packed_and_the_flags_follow_from_it(tmp_path: Path) -> None:
    results = run_toys(tmp_path, masking=True)
    report = check(path := pack_toys(results))
    assert report.verified, report.findings
    lie = retold(path, lambda folder: shutil.rmtree(folder / "victims"))
    assert any(finding.where == "masking.csv" for finding in check(lie).findings)


def test_the_cells_by_which_the_harness_answers_a_flag_are_verified(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(escalation, "ANSWERS", {name: ({"use": "native.fgsm"},) for name in escalation.ANSWERS})
    (mine := tmp_path / "mine.py").write_text(NOISY)
    shaken = ('use = "toy.none"', 'use = "mine.shaken"')
    answered = ("batch_size = 8", "batch_size = 8\nescalate = true")
    results = run_toys(tmp_path, shaken, answered, plugins=[mine], masking=True)
    report = check(pack_toys(results, [mine]), [mine])
    assert report.verified, report.findings
    assert report.cells == 2


def test_the_commands_tell_and_exit(tmp_path: Path) -> None:
    run_toys(tmp_path)

    def bench(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from tiltyard.cli import main; main()", *words, "--plugin", str(TOY)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    made = bench("bundle", "results", "--output", "b.zip", "--json")
    assert (made.returncode, json.loads(made.stdout or "{}").get("schema")) == (0, "tiltyard.bundle/1"), made.stderr
    good = bench("verify", "b.zip")
    assert (good.returncode, good.stderr) == (0, "")
    assert "b.zip: verified: 1 cells, 24 clean and" in good.stdout
    lie = retold(tmp_path / "b.zip", lambda folder: (folder / "leaderboard.csv").unlink())
    bad = bench("verify", str(lie), "--json")
    content = json.loads(bad.stdout)
    assert (bad.returncode, content["schema"], content["verified"]) == (1, "tiltyard.verify/1", False)
    assert content["findings"][0]["where"] == "leaderboard.csv"
    assert bench("verify", "toy.toml").returncode == 2
