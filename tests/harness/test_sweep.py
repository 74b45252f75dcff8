"""One table that stands for several: the same cells as all of them written out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tiltyard.plugins import Plugins
from tiltyard.problems import ConfigError
from tiltyard.spec import Plan, plan
from tiltyard.spec.json_schema import json_schema
from tiltyard.spec.sweep import swept

BASE = """
[[dataset]]
use = "vision.digits"
[[model]]
use = "vision.small_cnn"
"""
WRITTEN = """
[[attack]]
use = "native.pgd"
steps = 5
restarts = 1
[[attack]]
use = "native.pgd"
steps = 5
restarts = 2
[[threat]]
name = "seen adaptive"
norm = "linf"
eps = 0.1
[[threat]]
name = "seen oblivious"
norm = "linf"
eps = 0.1
knowledge = "oblivious"
"""
SWEPT = """
[[attack]]
use = "native.pgd"
steps = 5
sweep = { restarts = [1, 2] }
[[threat]]
name = "seen {knowledge}"
norm = "linf"
eps = 0.1
sweep = { knowledge = ["adaptive", "oblivious"] }
"""


@pytest.fixture
def planned_text(tmp_path: Path) -> Callable[[str], Plan]:
    def make(text: str) -> Plan:
        path = tmp_path / "x.toml"
        path.write_text(text)
        return plan(path, Plugins())

    return make


def test_a_sweep_is_its_tables_written_out(planned_text: Callable[[str], Plan]) -> None:
    written, short = planned_text(BASE + WRITTEN), planned_text(BASE + SWEPT)
    assert [cell.id for cell in short.cells] == [cell.id for cell in written.cells]
    assert [(c.attack.label, c.threat.name) for c in short.cells] == [
        (c.attack.label, c.threat.name) for c in written.cells
    ]


def test_several_keys_make_every_combination_and_names_tell_them() -> None:
    made = swept({"use": "a.b", "name": "{x} of {y}", "sweep": {"x": [1, 2], "y": ["p", "q"]}})
    assert [table["name"] for table in made] == ["1 of p", "1 of q", "2 of p", "2 of q"]
    assert made[2] == {"use": "a.b", "name": "2 of p", "x": 2, "y": "p"}


def test_a_table_without_a_sweep_stands_for_itself() -> None:
    assert swept({"use": "a.b", "name": "{x}"}) == [{"use": "a.b", "name": "{x}"}]


def test_components_can_be_swept(planned_text: Callable[[str], Plan]) -> None:
    text = BASE + '[[attack]]\nsweep = { use = ["native.fgsm", "native.pgd"] }\n[[threat]]\nnorm = "linf"\neps = 0.1\n'
    assert [cell.attack.label for cell in planned_text(text).cells] == ["native.fgsm", "native.pgd"]


def test_an_included_table_can_sweep(planned_text: Callable[[str], Plan]) -> None:
    extra = '[[include]]\nattack = { use = "native.bim", sweep = { steps = [3, 4] } }\nthreat = "seen adaptive"\n'
    labels = [cell.attack.label for cell in planned_text(BASE + SWEPT + extra).cells]
    assert labels[-2:] == ["native.bim[steps=3]", "native.bim[steps=4]"]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("{}", "must list values by key"),
        ("[1, 2]", "must list values by key"),
        ("{ steps = 5 }", "steps must be a list of values, not 5"),
        ("{ steps = [] }", "steps must be a list"),
        ("{ restarts = [1, 2] }", "restarts is a key of the table as well"),
        ("{ stepz = [1, 2] }", 'did you mean "steps"'),
    ],
)
def test_what_cannot_be_swept_is_told_with_its_line(
    planned_text: Callable[[str], Plan], sweep: str, message: str
) -> None:
    text = BASE + SWEPT.replace("steps = 5\nsweep = { restarts = [1, 2] }", f"restarts = 1\nsweep = {sweep}")
    with pytest.raises(ConfigError) as caught:
        planned_text(text)
    assert message in str(caught.value)
    assert "x.toml:" in str(caught.value)


def test_swept_tables_of_one_name_are_refused(planned_text: Callable[[str], Plan]) -> None:
    text = BASE + SWEPT.replace("steps = 5", 'name = "mine"\nsteps = 5')
    with pytest.raises(ConfigError, match='2 tables go by the name "mine"'):
        planned_text(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (SWEPT, True),
        ('[[attack]]\nsweep = { use = ["native.fgsm"] }\n', True),
        ('[[labels]]\nuse = "labels.normal"\nsweep = { dimension = [1, 2] }\n', True),
        ('[[attack]]\nuse = "native.pgd"\nsweep = { steps = 5 }\n', False),
        ("[[attack]]\nsweep = { steps = [5] }\n", False),
        ('[[threat]]\nnorm = "linf"\n', False),
    ],
)
def test_editors_know_sweeps(text: str, valid: bool) -> None:
    found = jsonschema.Draft202012Validator(json_schema(Plugins())).is_valid(tomllib.loads(text))
    assert found == valid
