"""An attack must find what is planted, and the audit says so of those that do and those that do not."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from crooked import Detached, Digits, Quantised, Scaled
from torch import nn

import tiltyard
from tiltyard import Batch, Category, Classifier
from tiltyard.masking import audit
from tiltyard.masking.binarised import features
from tiltyard.plugins import Plugins
from tiltyard.spec.build import components

NAMES = {
    "guesses": {"use": "native.noise", "draws": 200},
    "strong": {"use": "native.pgd", "steps": 40, "restarts": 2},
    "one step": {"use": "native.fgsm", "loss": "ce"},
    "search": {"use": "native.square", "queries": 500},
}
ATTACKS = dict(zip(NAMES, (c.object for c in components("attack", list(NAMES.values()), Plugins())), strict=True))
RADII = {"linf": 0.1, "l2": 1.0, "l1": 4.0}


def audited(data: Digits, network: nn.Module, attack: str, norm: str = "linf", samples: int = 10):
    classifier = Classifier(network, Category(10)).eval().requires_grad_(False)
    batch = Batch(data.test_x[:samples], data.test_y[:samples], torch.arange(samples), key="audit")
    return audit(classifier, ATTACKS[attack], ATTACKS["guesses"], batch, norm, RADII[norm])


@pytest.mark.parametrize("norm", RADII)
def test_a_strong_attack_passes_on_an_honest_network(norm: str, data: Digits, honest: nn.Module) -> None:
    result = audited(data, honest, "strong", norm)
    assert result.passed
    assert result.tests >= 8
    assert result.guessed < result.solved


def test_one_step_misses_what_is_planted(data: Digits, honest: nn.Module) -> None:
    result = audited(data, honest, "one step")
    assert result.passed is False
    assert result.solved < result.tests / 2


@pytest.mark.parametrize("crooked", [Quantised, Detached])
def test_gradients_fail_where_there_are_none(crooked: type[nn.Module], data: Digits, honest: nn.Module) -> None:
    result = audited(data, crooked(honest), "strong", samples=6)
    assert result.passed is False
    assert result.solved <= 1
    assert (result.reason is not None) == (crooked is Detached)


def test_a_scale_of_the_old_last_layer_is_not_what_is_tested(data: Digits, honest: nn.Module) -> None:
    assert audited(data, Scaled(honest, 1e4), "strong", samples=4) == audited(data, honest, "strong", samples=4)


def test_a_test_that_guessing_solves_says_nothing(data: Digits, honest: nn.Module) -> None:
    classifier = Classifier(honest, Category(10)).eval()
    batch = Batch(data.test_x[:4], data.test_y[:4], torch.arange(4), key="audit")
    strong = ATTACKS["strong"]
    assert audit(classifier, strong, strong, batch, "linf", 0.1).passed is None
    assert audit(classifier, strong, strong, batch[torch.zeros(4, dtype=torch.bool)], "linf", 0.1).passed is None


def test_features_are_what_the_last_linear_layer_is_given(data: Digits, honest: nn.Module) -> None:
    classifier = Classifier(honest, Category(10)).eval()
    x = data.test_x[:3]
    assert torch.equal(features(classifier, x), honest[:-1](x))
    bare = Classifier(nn.Sequential(nn.Flatten()), tiltyard.LabelScheme(torch.eye(64)[:5])).eval()
    assert torch.equal(features(bare, x), bare(x))
    assert not any(module._forward_pre_hooks for module in classifier.modules())


def test_the_command_tells_which_attack_fails(tmp_path, data: Digits) -> None:
    from tiltyard.cli.commands import bench

    path = tmp_path / "audited.toml"
    path.write_text(
        '[training]\nepochs = 4\nlr = 0.01\noptimiser = "adamw"\n[[dataset]]\nuse = "vision.digits"\n'
        '[[model]]\nuse = "vision.small_cnn"\n[[attack]]\nuse = "native.pgd"\n[[attack]]\nuse = "native.fgsm"\n'
        '[[threat]]\nnorm = "linf"\neps = [0.05, 0.15]\n'
    )
    options = ["--results", str(tmp_path / "results"), "--device", "cpu", "--samples", "4", "--quiet"]
    answer = CliRunner().invoke(bench, ["audit", str(path), "--json", *options], standalone_mode=False)
    content = json.loads(answer.stdout)
    assert content["schema"] == "tiltyard.audit/1"
    found = {one["attack"]: one for one in content["audits"]}
    assert found["native.pgd"]["passed"]
    assert found["native.fgsm"]["passed"] is False
    assert {one["eps"] for one in found.values()} == {0.15}
    assert answer.return_value == 1
    only = CliRunner().invoke(bench, ["audit", str(path), "--attack", "native.pgd", *options], standalone_mode=False)
    assert only.return_value == 0
    assert "passed" in only.stdout
    assert "fgsm" not in only.stdout
