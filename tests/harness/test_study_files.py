"""The studies' files in every setting: published is as published, sound is sound, small is small."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import jsonschema
import pytest

from tiltyard.plugins import Plugins
from tiltyard.spec import Plan, plan
from tiltyard.spec.json_schema import json_schema

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LABELS = ["robustness", "entropy", "overlap", "data_efficiency", "convergence", "cifar100", "mnist"]
DEFENCES = ["squeezing", "distillation", "animals10"]


@cache
def _plan(folder: str, name: str, *settings: str) -> Plan:
    return plan(BENCHMARKS / folder / f"{name}.toml", Plugins(), overrides=settings)


@pytest.mark.parametrize("size", ["full", "small"])
@pytest.mark.parametrize("protocol", ["published", "audited", "sound"])
@pytest.mark.parametrize("name", LABELS)
def test_every_label_study_can_be_planned(name: str, protocol: str, size: str) -> None:
    made = _plan("labels", name, f"protocol={protocol}", f"size={size}")
    assert made.runnable
    suffix = "".join(f"-{word}" for word in (protocol, size) if word not in ("sound", "full"))
    assert made.name == name + suffix
    units = {cell.threat.units for cell in made.runnable}
    assert units == {"pixels" if protocol == "sound" else "normalised"}
    trained = made.victims[0].training
    recipe = ("adamw", "cosine", 0.002) if protocol == "sound" else ("sgd", "multistep", 0.1)
    assert (trained.optimiser, trained.schedule, trained.lr) == recipe
    scales = {v.labels.identity["parameters"].get("scale") for v in made.victims if not v.labels.object.category}
    assert scales == {"unit" if protocol == "sound" else "published"}
    if size == "small":
        assert len(made.victims) <= 12
        assert made.benchmark.seeds == (0,)
    else:
        assert len(made.benchmark.seeds) == (3 if protocol == "sound" else 1)


@pytest.mark.parametrize("name", LABELS)
def test_published_networks_do_not_see_their_learning_rate_decay(name: str) -> None:
    trained = _plan("labels", name, "protocol=published", "size=full").victims[0].training
    assert trained.milestones == (299, 449)
    assert trained.epochs < min(trained.milestones)


def test_published_robustness_is_seven_networks_by_three_attacks_by_six_eps_and_targets() -> None:
    made = _plan("labels", "robustness", "protocol=published", "size=full")
    assert {cell.attack.use for cell in made.runnable} == {"studies.fgsm", "studies.iterative", "studies.clamped_pgd"}
    eps = {one for cell in made.runnable for one in cell.threat.eps}
    assert sorted(eps) == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    assert len(made.victims) == 2 * 7
    assert {cell.threat.goal for cell in made.runnable} == {"untargeted", "targeted"}
    assert made.benchmark.samples == 10000


@pytest.mark.parametrize("size", ["full", "small"])
@pytest.mark.parametrize("name", ["robustness", "entropy", "overlap", "mnist"])
def test_audited_networks_are_the_published_ones_in_the_same_balls(name: str, size: str) -> None:
    published, audited = (_plan("labels", name, f"protocol={one}", f"size={size}") for one in ("published", "audited"))
    assert {victim.fit_id for victim in published.victims} == {victim.fit_id for victim in audited.victims}
    theirs, ours = ({eps for cell in made.runnable for eps in cell.threat.eps} for made in (published, audited))
    assert theirs == ours


def test_the_sound_balls_contain_the_published_ones() -> None:
    published, sound = (_plan("labels", "robustness", f"protocol={one}", "size=full") for one in ("published", "sound"))
    widest = [max(victim.source.host.normalise.std) for victim in published.victims]  # type: ignore[union-attr]
    assert set(widest) == {0.2023}
    theirs, ours = (sorted({eps for cell in made.runnable for eps in cell.threat.eps}) for made in (published, sound))
    for mine, other in zip(ours, theirs, strict=True):
        assert 0 <= mine - other * 0.2023 < 0.2 / 255


def test_every_fraction_has_as_many_steps_in_the_sound_protocol() -> None:
    made = _plan("labels", "data_efficiency", "protocol=sound", "size=full")
    recipes = {victim.training for victim in made.victims}
    assert sorted(recipe.fraction for recipe in recipes) == [0.01, 0.02, 0.04, 0.08, 0.1, 0.2]
    assert {recipe.full_epochs for recipe in recipes} == {True}


@pytest.mark.parametrize("size", ["full", "small"])
@pytest.mark.parametrize("protocol", ["published", "sound"])
@pytest.mark.parametrize("name", DEFENCES)
def test_every_defence_study_can_be_planned(name: str, protocol: str, size: str) -> None:
    data = [] if name == "animals10" else ["data=mnist"]
    made = _plan("defences", name, f"protocol={protocol}", f"size={size}", *data)
    assert made.runnable
    if protocol == "sound":
        assert {cell.threat.knowledge for cell in made.runnable} == {"oblivious", "transfer", "adaptive"}


def test_distillation_has_the_published_temperatures() -> None:
    made = _plan("defences", "distillation")
    temperatures = {
        v.defence.object.temperature for v in made.victims if v.defence and v.defence.label != "native.none"
    }
    assert sorted(temperatures) == [1, 2, 5, 10, 20, 30, 40, 50, 100]


def test_word_vectors_are_one_setting() -> None:
    made = _plan("labels", "robustness", "protocol=published", "vectors=files")
    assert {v.labels.use for v in made.victims} >= {"labels.glove", "labels.bert"}
    assert len(made.victims) == 2 * 9


def test_editors_accept_every_benchmark_file() -> None:
    plugins = Plugins([BENCHMARKS / "published" / "networks.py"])
    checker = jsonschema.Draft202012Validator(json_schema(plugins))
    files = sorted(BENCHMARKS.glob("**/*.toml"))
    assert len(files) > 10
    mistakes = [
        f"{path.name}: {error.json_path}: {error.message}"
        for path in files
        for error in checker.iter_errors(tomllib.loads(path.read_text()))
    ]
    assert not mistakes
