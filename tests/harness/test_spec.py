"""From TOML to plan: the matrix, and all mistakes at once with file, line and a way out."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tiltyard.contracts import Files
from tiltyard.plugins import Plugins
from tiltyard.problems import ConfigError, UserError
from tiltyard.spec import plan
from tiltyard.spec.document import key_lines, read
from tiltyard.spec.json_schema import json_schema


def _labels(made, axis="attack"):
    return [getattr(cell, axis).label for cell in made.cells]


def test_cells_are_the_product_of_the_axes_and_the_seeds(planned) -> None:
    made = planned(
        ('name = "toy"', 'name = "toy"\nseeds = [0, 1]'),
        extra='[[defence]]\nuse = "toy.bright"\n[[attack]]\nuse = "toy.descent"\nsteps = 9\n',
    )
    assert len(made.cells) == 2 * 2 * 2
    assert len(made.victims) == 4
    assert set(_labels(made)) == {"toy.descent", "toy.descent[steps=9]"}


def test_eps_may_be_a_fraction_and_has_the_same_id_as_its_value(planned) -> None:
    text, number = planned(), planned(('["16/255", "32/255"]', f"[{16 / 255}, {32 / 255}]"))
    assert [c.id for c in text.cells] == [c.id for c in number.cells]
    assert text.cells[0].threat.eps == (16 / 255, 32 / 255)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("epochs = 2", "epochs = 3", False),
        ("samples = 24", "samples = 25", False),
        ("batch_size = 8", "batch_size = 4", True),
        ('name = "toy"', 'name = "other"', True),
        ('use = "toy.descent"', 'use = "toy.descent"\nsteps = 5', True),
        ('use = "toy.descent"', 'use = "toy.descent"\nsteps = 6', False),
        ('use = "toy.descent"', 'use = "toy.descent"\nname = "mine"', True),
    ],
)
def test_an_id_changes_exactly_when_the_records_would(planned, old: str, new: str, same: bool) -> None:
    assert (planned().cells[0].id == planned((old, new)).cells[0].id) == same


def test_all_mistakes_are_told_together_with_their_lines(planned, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(
            ("epochs = 2", 'epoch = 2\nlr = "much"'),
            ("lr = 0.05\n", ""),
            ('use = "toy.linear"', 'use = "toy.linaer"'),
            ('use = "toy.descent"', 'use = "toy.descent"\nsteps = 0'),
            ('["16/255", "32/255"]', '["16/255", "32/0"]\nepsilon = 3'),
            extra="[bencmark]\n",
        )
    told = {problem.line: problem.message for problem in caught.value.problems}
    text = (tmp_path / "toy.toml").read_text().splitlines()
    lines = {
        fragment: next(n for n, line in enumerate(text, 1) if fragment in line)
        for fragment in ("epoch = ", "lr = ", "linaer", "steps = 0", "32/0", "epsilon", "bencmark")
    }
    assert 'did you mean "epochs"' in told[lines["epoch = "]]
    assert "valid number" in told[lines["lr = "]]
    assert 'did you mean "toy.linear"' in told[lines["linaer"]]
    assert "greater than 0" in told[lines["steps = 0"]]
    assert '"32/0" is not a number' in told[lines["32/0"]]
    assert "choices: eps, goal" in told[lines["epsilon"]]
    assert 'did you mean "benchmark"' in told[lines["bencmark"]]
    assert len(told) == 7


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["16/255", "32/255"]', "[]", "is empty"),
        ('["16/255", "32/255"]', "[8]", "at most 1 (8/255, not 8)"),
        ('["16/255", "32/255"]', "[-0.1]", "greater than or equal to 0"),
        ('["16/255", "32/255"]', "[0.0]", "above 0"),
        ('["16/255", "32/255"]', "[0.1, 0.1]", "names a value twice"),
        ('norm = "linf"', 'norm = "l3"', "'linf', 'l2', 'l1' or 'l0'"),
        ('norm = "linf"', 'norm = "linf"\ntargets = "next"', 'targets are for goal = "targeted"'),
        ('[[attack]]\nuse = "toy.descent"', "", "the axis is missing"),
        ('use = "toy.descent"', 'use = "tot.descent"', 'did you mean "toy"'),
        ('use = "toy.descent"', 'use = "toy.descent"\n[[attack]]\nuse = "toy.descent"', "2 tables go by the name"),
        ('name = "toy"', 'name = "../toy"', "names the results folder"),
        ('use = "toy.linear"', 'use = "toy.linear"\nweights = "none.pt"', "none.pt: not found"),
        ('use = "toy.linear"', 'use = "toy.linear"\nfinetune = true', "for a model with weights"),
    ],
)
def test_a_mistake_gets_a_message_that_helps(planned, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        planned((old, new))
    assert message in str(caught.value)


def test_an_empty_axis_is_told(planned) -> None:
    with pytest.raises(ConfigError, match="the axis is empty"):
        planned(overrides=["attack=[]"])


def test_exclude_takes_cells_out_and_must_match_something(planned) -> None:
    more = '[[defence]]\nuse = "toy.bright"\n'
    made = planned(extra=more + '[[exclude]]\ndefence = "toy.b*"\nattack = ["toy.descent", "x"]\n')
    assert [cell.victim.defence.label for cell in made.cells] == ["toy.none"]
    with pytest.raises(ConfigError, match="matches no cell"):
        planned(extra=more + '[[exclude]]\ndefence = "native.*"\n')
    with pytest.raises(ConfigError, match='did you mean "defence"'):
        planned(extra=more + '[[exclude]]\ndefense = "toy.*"\n')


def test_include_adds_cells_of_its_own(planned) -> None:
    made = planned(
        extra='[[defence]]\nuse = "toy.bright"\n'
        '[[include]]\ndefence = "toy.bright"\nattack = { use = "toy.descent", steps = 50 }\n'
    )
    assert [(c.victim.defence.label, c.attack.label) for c in made.cells] == [
        ("toy.none", "toy.descent"),
        ("toy.bright", "toy.descent"),
        ("toy.bright", "toy.descent[steps=50]"),
    ]
    with pytest.raises(ConfigError, match="matches no"):
        planned(extra='[[include]]\ndefence = "toy.brihgt"\n')


def test_only_and_set_narrow_and_override(planned) -> None:
    made = planned(extra='[[attack]]\nuse = "toy.nearest"\n', only=["attack=toy.d*"], overrides=["training.epochs=7"])
    assert set(_labels(made)) == {"toy.descent"}
    assert made.cells[0].victim.training.epochs == 7
    assert planned(overrides=["attack.0.steps=3"]).cells[0].attack.object.steps == 3
    with pytest.raises(UserError, match="unknown axis"):
        planned(only=["attacks=toy.d*"])
    with pytest.raises(UserError, match=r"there is no attack\.4"):
        planned(overrides=["attack.4.steps=3"])
    with pytest.raises(ConfigError, match=r"--set training\.epochs=many"):
        planned(overrides=["training.epochs=many"])
    with pytest.raises(ConfigError, match="no cell is left"):
        planned(only=["attack=art.*"])


def test_extends_lays_a_file_over_another(planned, tmp_path: Path, toys: Plugins) -> None:
    planned()
    over = tmp_path / "over.toml"
    over.write_text('extends = "toy.toml"\n[training]\nepochs = 5\n[[attack]]\nuse = "toy.nearest"\n')
    made = plan(over, toys)
    training = made.cells[0].victim.training
    assert (training.epochs, training.lr) == (5, 0.05)
    assert set(_labels(made)) == {"toy.nearest"}
    assert made.name == "toy"
    over.write_text('extends = "toy.toml"\n[training]\nepochs = 0\n')
    with pytest.raises(ConfigError, match=r"over\.toml:3"):
        plan(over, toys)
    (tmp_path / "toy.toml").write_text('extends = "over.toml"')
    with pytest.raises(UserError, match="extends itself"):
        plan(over, toys)


def test_a_file_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[benchmark]\nname = \n")
    with pytest.raises(ConfigError, match=r"bad\.toml:2: not TOML"):
        read(bad)
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "none.toml")


def test_impossible_cells_are_skipped_with_a_sentence(planned) -> None:
    made = planned(
        ('use = "toy.onehot"', 'use = "toy.codes"'),
        ('use = "toy.none"', 'use = "toy.retrained"'),
        extra='[[attack]]\nuse = "toy.nearest"\n[[threat]]\nnorm = "l2"\neps = 1\ngoal = "targeted"\n',
    )
    reasons = {(cell.attack.label, cell.threat.norm): cell.skip for cell in made.cells}
    assert reasons["toy.descent", "linf"] == "toy.retrained: needs category labels"
    assert reasons["toy.nearest", "linf"] == "toy.nearest works under l2, not linf"
    assert reasons["toy.nearest", "l2"] == "toy.nearest has no targeted mode"
    assert not made.runnable


def test_the_cost_counts_eps_targets_and_surrogates(planned) -> None:
    (cell,) = planned().cells
    assert cell.passes() == (2 * 24 * 5, 2 * 24 * 5)
    (cell,) = planned(('norm = "linf"', 'norm = "linf"\ngoal = "targeted"\ntargets = "all"')).cells
    assert cell.passes() == (3 * 2 * 24 * 5, 3 * 2 * 24 * 5)
    made = planned(('norm = "linf"', 'norm = "linf"\nknowledge = "transfer"'))
    assert [v.defence is None for v in made.victims] == [False, True]
    assert made.victims[0].seed != made.victims[1].seed
    (oblivious,) = planned(('norm = "linf"', 'norm = "linf"\nknowledge = "oblivious"')).cells
    assert oblivious.surrogate.seed == oblivious.victim.seed


def test_lines_of_keys_survive_what_toml_allows() -> None:
    text = """# c
a = '''
b = 1
'''
[t]  # [x]
x = [
  1,
  2 ]
"q r" = 2
[[u.v]]
s.t = 3
[[u.v]]
s = "#["
y = 1
"""
    lines = key_lines(text)
    assert lines[("a",)] == 2
    assert ("b",) not in lines
    assert lines[("t", "x")] == 6
    assert lines[("t", "q r")] == 9
    assert lines[("u", "v", 0, "s", "t")] == 11
    assert lines[("u", "v", 1, "y")] == 14


def test_the_json_schema_accepts_a_good_file_and_refuses_a_misspelt_key(planned, toys: Plugins) -> None:
    schema = json.loads(json.dumps(json_schema(toys)))
    tables = json.loads(json.dumps(planned().config))
    jsonschema.validate(tables, schema)
    tables["attack"][0]["stepss"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tables, schema)


def test_files_are_found_in_the_data_folder_first(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.npz").write_text(name)
    assert Files((tmp_path / "a", tmp_path / "b")).find("x.npz").read_text() == "a"
    with pytest.raises(FileNotFoundError, match="TILTYARD_DATA"):
        Files((tmp_path / "a",)).find("y.npz")
