"""Architectures: published sizes, shapes, initial values, and published networks that they load."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tiltyard_vision
from tiltyard import Files, pixels
from tiltyard.testing import check_model
from tiltyard_vision.datasets.cifar import Cifar10
from tiltyard_vision.datasets.packaged import Mnist5k
from tiltyard_vision.models.resnet import ResNet20

MODELS = {name: factory for name, factory in tiltyard_vision.models().items() if name != "torchvision"}
EXACT = "cifar10/cifar10_lossless_subset.npz"
RENAME = {"module.": "", "linear.": "head."}


def _head(features: int) -> nn.Module:
    return nn.Linear(features, 10)


@pytest.mark.parametrize(
    ("name", "keys", "parameters"),
    [
        ("resnet8", {}, 75_290),
        ("resnet20", {}, 269_722),
        ("resnet32", {}, 464_154),
        ("resnet44", {}, 658_586),
        ("resnet56", {}, 853_018),
        ("resnet110", {}, 1_727_962),
        ("resnet32", {"shortcut": "projection"}, 466_906),
        ("resnet110", {"shortcut": "projection"}, 1_730_714),
        ("resnet18", {}, 11_173_962),
        ("vgg19", {}, 20_040_522),
        ("wrn", {}, 36_479_194),
        ("wrn", {"depth": 34}, 46_160_474),
        ("wrn", {"depth": 40}, 55_841_754),
    ],
)
def test_published_parameter_counts(name: str, keys: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        network = MODELS[name](**keys)((3, 32, 32), _head)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_small_vgg_of_the_defence_study_has_its_layers_at_224_pixels() -> None:
    with torch.device("meta"):
        network = MODELS["small_vgg"]()((3, 224, 224), _head)
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 2]
    assert shapes == [(4096, 128 * 7 * 7), (4096, 4096), (10, 4096)]
    widths = [p.shape[0] for p in network.parameters() if p.ndim == 4]
    assert widths == [32, 32, 64, 64, 128, 128, 128, 128, 128, 128]


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_conforms(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_model(MODELS[name](**({"depth": 16, "width": 2} if name == "wrn" else {})))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48)])
@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_takes_small_images_and_ends_in_the_given_head(
    name: str, shape: tuple[int, int, int]
) -> None:
    keys = {"depth": 10, "width": 1} if name == "wrn" else {}
    made: list[nn.Module] = []

    def head(features: int) -> nn.Module:
        made.append(nn.Sequential(nn.Linear(features, 12), nn.Unflatten(1, (3, 4))))
        return made[-1]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MODELS[name](**keys)(shape, head)
    assert network.get_submodule("head") is made[0]
    assert list(network.state_dict())[-1].startswith("head.")
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, *shape)).shape == (2, 3, 4)


def test_convolutions_start_with_the_fan_out_variance_and_no_bias() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MODELS["vgg19"]()((3, 32, 32), _head)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 16
    for convolution in convolutions:
        assert convolution.bias is not None
        assert not convolution.bias.any()
        expected = (2 / (9 * convolution.out_channels)) ** 0.5
        assert float(convolution.weight.detach().std()) == pytest.approx(expected, rel=0.05)


def test_dropout_of_wide_networks_acts_in_training_only() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MODELS["wrn"](depth=10, width=1, dropout=0.5)((1, 8, 8), _head)
        x = torch.rand(4, 1, 8, 8)
        with torch.no_grad():
            assert not network(x).equal(network(x))
            assert network.eval()(x).equal(network(x))


def test_wide_networks_carry_the_names_of_published_checkpoints() -> None:
    with torch.device("meta"):
        names = set(MODELS["wrn"]()((3, 32, 32), _head).state_dict())
    assert {"conv1.weight", "block1.layer.0.convShortcut.weight", "block3.layer.3.bn2.running_var", "bn1.bias"} <= names


def test_pad_shortcut_subsamples_and_frames_with_zeros() -> None:
    with torch.random.fork_rng(devices=[]):
        network = ResNet20()((3, 32, 32), _head)
    x = torch.arange(16 * 5 * 5.0).view(1, 16, 5, 5)
    out = network.get_submodule("layer2.0.shortcut")(x)
    assert out.shape == (1, 32, 3, 3)
    assert out[:, 8:24].equal(x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_small_cnn_learns_digits_in_one_epoch() -> None:
    data = Mnist5k()(Files())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MODELS["small_cnn"]()(data.shape, _head)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for x, y in data.train.batches(50):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        right = network(pixels(data.test.images)).argmax(1) == data.test.labels
    assert float(right.float().mean()) > 0.9


def _entry(real: Callable[[str], Path], name: str) -> dict[str, Any]:
    manifest = json.loads(real("checkpoints/MANIFEST.json").read_text())
    return next(entry for entry in manifest["models"] if entry["name"] == name)


def _published(real: Callable[[str], Path], name: str) -> nn.Module:
    """A published network in our architecture, by replacing prefixes of its parameters' names and nothing else."""
    entry = _entry(real, name)
    stored = torch.load(real(f"checkpoints/{entry['file']}"), map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = stored["state_dict"]
    for prefix, replacement in RENAME.items():
        state = {replacement + k.removeprefix(prefix) if k.startswith(prefix) else k: v for k, v in state.items()}
    network = MODELS[name.removeprefix("cifar10_")](shortcut="pad")((3, 32, 32), _head)
    network.load_state_dict(state, strict=True)
    return network.eval()


def _normalised(real: Callable[[str], Path], name: str, x: Tensor) -> Tensor:
    entry = _entry(real, name)
    mean, std = (torch.tensor(entry[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (x - mean) / std


@pytest.mark.parametrize(("name", "accuracy"), [("cifar10_resnet20", 91.64), ("cifar10_resnet32", 92.82)])
def test_published_networks_reach_their_accuracy(
    real: Callable[[str], Path], real_files: Callable[[str], Files], name: str, accuracy: float
) -> None:
    """Clean accuracy on the 1,017 exact test images (published on all 10,000: 91.73 and 92.63)."""
    network, right, test = _published(real, name), 0, Cifar10(variant="lossless_subset")(real_files(EXACT)).test
    for x, y in test.batches(128):
        with torch.no_grad():
            right += int((network(_normalised(real, name, x)).argmax(1) == y).sum())
    assert round(100 * right / len(test), 2) == accuracy


@pytest.mark.parametrize("name", [f"cifar10_resnet{depth}" for depth in (20, 32, 44, 56)])
def test_published_networks_give_the_logits_of_an_independent_builder(
    real: Callable[[str], Path], real_files: Callable[[str], Files], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # nothing is written beside the real data
    spec = importlib.util.spec_from_file_location("published_architectures", real("checkpoints/architectures.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = pixels(Cifar10(variant="lossless_subset")(real_files(EXACT)).test.images[:16])
    with torch.no_grad():
        ours = _published(real, name)(_normalised(real, name, x))
        torch.testing.assert_close(ours, module.load(name)(x), atol=1e-4, rtol=1e-4)
