"""Toy plugin, toy benchmark, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crooked import Digits, digits, fitted
from torch import nn
from toy_benchmark import STUDY, TOML, TOY

from tiltyard.events import Event
from tiltyard.plugins import Plugins
from tiltyard.results import Results, Store, load
from tiltyard.runner import Run, pick_device
from tiltyard.spec import Plan
from tiltyard.spec import plan as make_plan


@pytest.fixture(scope="session")
def data() -> Digits:
    """Small real images for networks that must be honest, or crooked in one way."""
    pytest.importorskip("sklearn")
    return digits()


@pytest.fixture(scope="session")
def honest(data: Digits) -> nn.Module:
    """A network trained on them without any defence."""
    return fitted(data, 0).network


@pytest.fixture(scope="session")
def toys() -> Plugins:
    """The toy plugin beside the installed ones."""
    return Plugins([TOY])


@pytest.fixture
def planned(tmp_path: Path, toys: Plugins) -> Callable[..., Plan]:
    """Write the toy benchmark, with replacements, and plan it; without the checks of attacks and victims unless asked.

    They take longer than the benchmark does.
    """

    def make(*replacements: tuple[str, str], extra: str = "", checked: bool = False, **options: Any) -> Plan:
        text = TOML
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "toy.toml"
        path.write_text(text + extra)
        switches = [] if checked else ["benchmark.doctor=false", "benchmark.masking=false"]
        return make_plan(path, toys, overrides=[*switches, *options.pop("overrides", ())], **options)

    return make


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[bool, list[Event], Results]]:
    """Run a plan on the CPU and load what it wrote."""

    def execute(plan: Plan, folder: Path | None = None) -> tuple[bool, list[Event], Results]:
        store = Store(folder or tmp_path / "results")
        events: list[Event] = []
        with store.locked():
            fine = Run(plan, store, pick_device("cpu"), events.append)()
        return fine, events, load(store.folder)

    return execute


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a toy study: six label schemes, two seeds, two attacks, two norms."""
    folder = tmp_path_factory.mktemp("study")
    text = TOML.replace('name = "toy"', 'name = "toy"\nseeds = [0, 1]').replace("samples = 24", "samples = 12")
    more = '[[attack]]\nuse = "toy.nearest"\n[[threat]]\nnorm = "l2"\neps = [0.4, 0.8]\n'
    (folder / "toy.toml").write_text(text + STUDY + more)
    quick = ["benchmark.doctor=false", "benchmark.masking=false"]
    made = make_plan(folder / "toy.toml", Plugins([TOY]), overrides=quick)
    with (store := Store(folder / "results")).locked():
        assert Run(made, store, pick_device("cpu"), lambda _: None)()
    return store.folder
