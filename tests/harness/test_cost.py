"""The estimate of ``bench plan``: operations counted by hand, hours at a rate, and what cannot be known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tiltyard.cli import bench
from tiltyard.cost import Cost, cost
from tiltyard.plugins import Plugins
from tiltyard.spec import plan

BENCHMARK = """
[benchmark]
samples = 100
[training]
epochs = 7
[[dataset]]
use = "vision.digits"
[[model]]
use = "vision.small_cnn"
width = 4
[[attack]]
use = "native.pgd"
steps = 10
[[threat]]
norm = "linf"
eps = [0.1, 0.2]
"""
FORWARD = 2 * (64 * 4 * 9 + 16 * 8 * 4 * 9 + 4 * 8 * 8 * 9 + 32 * 128 + 128 * 10)
"""Twice the multiplications of three convolutions on 8x8, 4x4 and 2x2 pixels, and of two linear layers."""


@pytest.fixture
def benchmark(tmp_path: Path) -> Callable[..., Path]:
    def make(*replacements: tuple[str, str]) -> Path:
        text = BENCHMARK
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "x.toml"
        path.write_text(text)
        return path

    return make


def _cost(path: Path) -> Cost:
    return cost(plan(path, Plugins()))


def test_operations_are_those_counted_by_hand(benchmark: Callable[..., Path]) -> None:
    found = _cost(benchmark())
    assert found.training == pytest.approx(7 * FORWARD * (3 * 0.9 * 1438 + 0.1 * 1438))
    (cell, *_) = plan(benchmark(), Plugins()).cells
    passes = cell.passes()
    assert passes is not None
    assert found.attacking == sum(passes) * FORWARD
    assert not found.unknown


def test_full_epochs_cost_what_all_images_cost(benchmark: Callable[..., Path]) -> None:
    found = _cost(benchmark(("epochs = 7", "epochs = 7\nfull_epochs = true\nfraction = 0.1")))
    assert found.training == _cost(benchmark()).training


def test_each_network_is_trained_once_and_distillation_has_two_of_its_own(benchmark: Callable[..., Path]) -> None:
    alone = _cost(benchmark())
    two = '[[defence]]\nuse = "native.none"\n[[defence]]\nuse = "native.squeezing"\n[[attack]]'
    squeezing = _cost(benchmark(("[[attack]]", two)))
    assert squeezing.training == alone.training
    assert squeezing.attacking == (1 + 3) * alone.attacking, "the image and its two squeezed versions"
    distilled = _cost(benchmark(("[[attack]]", '[[defence]]\nuse = "native.distillation"\n[[attack]]')))
    assert distilled.training == 2 * alone.training


def test_hours_are_operations_at_a_rate() -> None:
    assert Cost(3.6e15, 7.2e15).hours(1.0) == (1.0, 2.0)
    assert Cost(3.6e15, 7.2e15).hours(4.0) == (0.25, 0.5)


def test_the_command_tells_hours_and_the_rate(benchmark: Callable[..., Path]) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(bench, ["plan", str(benchmark()), *words], standalone_mode=False)

    slow, fast = (json.loads(run("--json", "--tflops", rate).output)["estimate"] for rate in ("1", "2"))
    assert slow["training_hours"] == pytest.approx(2 * fast["training_hours"])
    assert slow["training_hours"] == pytest.approx(slow["training_flop"] / 3.6e15)
    assert "on one GPU that sustains 0.5 TFLOP/s" in run("--tflops", "0.5").output
    assert run("--tflops", "0").exception is not None


def test_what_cannot_be_known_is_told_and_fails_nothing(planned: Callable[..., Any], tmp_path: Path) -> None:
    found = cost(planned())
    assert (found.training, found.attacking) == (0, 0)
    assert "toy.blobs does not tell its size before it is read" in found.unknown
    folder = BENCHMARK.replace('use = "vision.digits"', 'use = "vision.image_folder"\nfolder = "nowhere"')
    (tmp_path / "folder.toml").write_text(folder.replace("width = 4", ""))
    ((reason, count),) = _cost(tmp_path / "folder.toml").unknown.items()
    assert "nowhere: not found" in reason
    assert count == 2
