"""torchvision's classifiers with a new last layer."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn

from tiltyard import Incompatible, MissingFile
from tiltyard_vision.models.zoo import TorchvisionModel


def _head(features: int) -> nn.Module:
    return nn.Linear(features, 7)


@pytest.fixture(autouse=True)
def _own_random_numbers() -> object:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("architecture", "last"),
    [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3"), ("densenet121", "classifier")],
)
def test_the_last_linear_layer_is_the_head(architecture: str, last: str) -> None:
    network = TorchvisionModel(architecture)((3, 64, 64), _head)
    layer = network.get_submodule(last)
    assert isinstance(layer, nn.Linear)
    assert layer.out_features == 7
    assert network.training
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_auxiliary_outputs_are_gone_in_training() -> None:
    network = TorchvisionModel("googlenet")((3, 64, 64), _head)
    assert isinstance(network.train()(torch.zeros(2, 3, 64, 64)), torch.Tensor)


def test_an_unknown_architecture_is_answered_with_near_ones() -> None:
    with pytest.raises(ValueError, match=r'"resnet19" is no classifier of torchvision; did you mean .*resnet18'):
        TorchvisionModel("resnet19")((3, 64, 64), _head)


def test_segmentation_networks_are_no_classifiers() -> None:
    with pytest.raises(ValueError, match="is no classifier"):
        TorchvisionModel("fcn_resnet50")((3, 64, 64), _head)


@pytest.mark.parametrize(
    ("architecture", "shape", "reason"),
    [
        ("resnet18", (1, 28, 28), "channels"),
        ("vit_b_32", (3, 32, 32), "image height"),
        ("squeezenet1_1", (3, 64, 64), "no linear layer"),
    ],
)
def test_images_it_cannot_take_are_a_reason_to_skip(
    architecture: str, shape: tuple[int, int, int], reason: str
) -> None:
    with pytest.raises(Incompatible, match=reason):
        TorchvisionModel(architecture)(shape, _head)


def test_weights_that_cannot_be_downloaded_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(MissingFile, match=r"weights of resnet18 .*no network.*resnet18-\w+\.pth.*pretrained = false"):
        TorchvisionModel("resnet18", pretrained=True)((3, 64, 64), _head)


def test_weights_at_hand_are_loaded_but_for_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    source = models.resnet18()
    file = tmp_path / "hub" / "checkpoints" / Path(models.ResNet18_Weights.DEFAULT.url).name
    file.parent.mkdir(parents=True)
    torch.save(source.state_dict(), file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = TorchvisionModel("resnet18", pretrained=True)((3, 64, 64), _head)
    assert network.get_parameter("conv1.weight").equal(source.conv1.weight)
    assert network.get_parameter("fc.weight").shape == (7, 512)
