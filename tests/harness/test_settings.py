"""One key of a benchmark file chooses between overlays, and every mistake about it is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from toy_benchmark import TOML

from tiltyard.plugins import Plugins
from tiltyard.problems import ConfigError, UserError
from tiltyard.provenance import provenance
from tiltyard.spec import plan
from tiltyard.spec.json_schema import json_schema

OVERLAYS = """
[when.protocol.published.training]
epochs = 7
[[when.protocol.published.attack]]
use = "toy.nearest"
[[when.protocol.published.threat]]
norm = "l2"
eps = [1]
[when.protocol.published.benchmark]
samples = 20
[when.protocol.sound]
[when.size.small.benchmark]
samples = 8
[when.size.full]
"""
TEXT = 'protocol = "sound"\nsize = "full"\n' + TOML + OVERLAYS


@pytest.fixture
def read(tmp_path: Path, toys: Plugins):
    def make(*overrides: str, text: str = TEXT, name: str = "toy.toml"):
        path = tmp_path / name
        path.write_text(text)
        return plan(path, toys, overrides=overrides)

    return make


def _told(read, text: str, *overrides: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigError) as caught:
        read(*overrides, text=text)
    return [(problem.line, str(problem)) for problem in caught.value.problems]


def _line(text: str, fragment: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if fragment in line)


def test_the_files_own_choices_are_the_file_without_settings(read) -> None:
    assert [cell.id for cell in read().cells] == [cell.id for cell in read(text=TOML).cells]
    assert read().name == "toy"
    assert read().settings == {"protocol": "sound", "size": "full"}


def test_a_choice_lays_its_tables_over_the_file(read) -> None:
    made = read("protocol=published")
    assert [(cell.attack.label, cell.threat.norm, cell.threat.eps) for cell in made.cells] == [
        ("toy.nearest", "l2", (1.0,))
    ]
    training = made.cells[0].victim.training
    assert (training.epochs, training.lr) == (7, 0.05)
    assert (made.name, made.benchmark.samples, made.benchmark.batch_size) == ("toy-published", 20, 8)
    assert provenance(made, "cpu", {})["settings"] == {"protocol": "published", "size": "full"}
    assert not {"when", "protocol", "size"} & set(made.config)


def test_a_later_setting_has_the_last_word_whatever_the_order_of_the_overrides(read) -> None:
    for words in (("protocol=published", "size=small"), ("size=small", "protocol=published")):
        made = read(*words)
        assert (made.benchmark.samples, made.name) == (8, "toy-published-small")
    swapped = TEXT.replace('protocol = "sound"\nsize = "full"', 'size = "full"\nprotocol = "sound"')
    made = read("protocol=published", "size=small", text=swapped)
    assert (made.benchmark.samples, made.name) == (20, "toy-small-published")


def test_other_overrides_come_after_the_overlays(read) -> None:
    made = read("training.epochs=3", "protocol=published", "threat.0.eps=2")
    assert made.cells[0].victim.training.epochs == 3
    assert made.cells[0].threat.eps == (2.0,)
    with pytest.raises(UserError, match="set the key itself, without when"):
        read("when.protocol.published.training.epochs=3")


def test_an_extending_file_chooses_and_changes_what_it_extends(read, tmp_path: Path, toys: Plugins) -> None:
    read()
    over = tmp_path / "over.toml"
    over.write_text(
        'extends = "toy.toml"\nprotocol = "published"\n[when.protocol.published.training]\nepochs = 9\n'
        '[[when.protocol.published.attack]]\nuse = "toy.nearest"\nname = "other"\n[[when.protocol.published.attack]]\n'
        'use = "toy.nearets"\n'
    )
    with pytest.raises(ConfigError, match=r'over\.toml:9: \[\[attack\]\] toy\.nearets use: .*"toy\.nearest"'):
        plan(over, toys)
    over.write_text(over.read_text().replace("nearets", "nearest"))
    made = plan(over, toys)
    assert {cell.attack.label for cell in made.cells} == {"other", "toy.nearest"}
    assert made.cells[0].victim.training.epochs == 9
    assert made.name == "toy"
    assert plan(over, toys, overrides=["protocol=sound"]).name == "toy-sound"


def test_a_mistake_in_an_overlay_is_told_at_its_own_line(read) -> None:
    text = TEXT.replace("epochs = 7", "epoch = 7").replace("samples = 8", "samples = 0")
    told = _told(read, text, "protocol=published", "size=small")
    assert [line for line, _ in told] == [_line(text, "epoch = 7"), _line(text, "samples = 0")]
    assert 'did you mean "epochs"' in told[0][1]
    assert read(text=text).name == "toy"


def test_all_mistakes_about_settings_are_told_with_all_others(read) -> None:
    text = (
        'protcol = "sound"\nsize = "fulll"\n'
        + TOML.replace("lr = 0.05", "lr = -1")
        + OVERLAYS
        + '[when.speed]\n[when.size.tiny.trainig]\nepochs = 1\n[when."training".x]\n[when.size."a/b"]\n'
    )
    told = dict(_told(read, text))
    assert len(told) == 8
    assert 'protcol: unknown setting "protcol"' in told[1]
    assert "'fulll' has no table; did you mean \"full\"?" in told[2]
    assert "write [when.size.fulll]" in told[2]
    assert "greater than 0" in told[_line(text, "lr = -1")]
    assert '[when] protocol: has no default; did you mean "protcol"' in told[_line(text, "[when.protocol.pub")]
    assert "holds no choices: write [when.speed.CHOICE]" in told[_line(text, "[when.speed]")]
    assert 'unknown table "trainig"; did you mean "training"' in told[_line(text, "trainig")]
    assert "give the setting another name" in told[_line(text, '"training".x')]
    assert "use letters, digits" in told[_line(text, "a/b")]


def test_a_choice_or_setting_that_is_not_there_is_told_with_the_override(read) -> None:
    (told,) = _told(read, TEXT, "protocol=publishd")
    assert told[1].startswith("--set protocol=publishd: protocol: 'publishd' has no table; did you mean \"published\"?")
    (told,) = _told(read, TEXT, "protcol=published")
    assert told[1].startswith('--set protcol=published: protcol: unknown setting "protcol"; did you mean "protocol"?')
    (told,) = _told(read, TEXT, "size=3")
    assert "3 has no table (choices: full, small)" in told[1]


def test_the_json_schema_knows_settings(read, tmp_path: Path, toys: Plugins) -> None:
    import tomllib

    schema = json.loads(json.dumps(json_schema(toys)))
    tables = tomllib.loads(TEXT)
    jsonschema.validate(tables, schema)
    tables["when"]["protocol"]["published"]["training"]["epoch"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tables, schema)
