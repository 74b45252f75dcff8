"""A network with its input normalisation inside, fresh or from a local checkpoint."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Data, LabelScheme, pixels, refuse_bomb
from ..problems import UserError
from ..spec.plan import Source, Victim
from ..spec.tables import Statistics

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class CheckpointError(UserError):
    """A checkpoint that does not hold this network's weights."""


class Normalise(nn.Module):
    """Images in [0, 1] to zero mean and unit deviation per channel; part of the network, so eps means pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float().view(1, -1, 1, 1))
        self.register_buffer("std", std.float().view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images."""
        return (x - self.mean) / self.std


def build(victim: Victim, data: Data, scheme: LabelScheme) -> nn.Sequential:
    """The victim's network with weights as its seed draws them, or as its checkpoint gives them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(victim.seed)
        network = victim.model.object(data.shape, scheme.head)
    if victim.source.weights is not None:
        load_weights(network, victim.source)
    return nn.Sequential(normalisation(victim.source, data), network)


def normalisation(source: Source, data: Data) -> nn.Module:
    """The input normalisation of a model on a data set: ``Normalise``, or nothing."""
    kind = source.host.normalise
    channels = data.shape[0]
    if kind == "none":
        return nn.Identity()
    if kind == "data":
        return Normalise(*_statistics(data.train.images))
    mean, std = IMAGENET if kind == "imagenet" else (kind.mean, kind.std) if isinstance(kind, Statistics) else ((), ())
    if not len(mean) == len(std) == channels:
        raise UserError(f"[[model]] normalise: {len(mean)} means and {len(std)} deviations for {channels} channels")
    return Normalise(torch.tensor(mean), torch.tensor(std))


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of images in [0, 1]."""
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for chunk in images.split(4096):
        values = pixels(chunk).double()
        total += values.sum((0, 2, 3))
        squares += values.square().sum((0, 2, 3))
    count = images.numel() / images.shape[1]
    mean = total / count
    return mean, (squares / count - mean.square()).clamp_min(1e-12).sqrt()


def load_weights(network: nn.Module, source: Source) -> None:
    """Fill a network from ``source.weights``; raises ``CheckpointError`` on code, or names or shapes that differ."""
    path = source.weights
    assert path is not None
    state = {_renamed(name, source.host.rename): tensor for name, tensor in _tensors(path).items()}
    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in own]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    complaints = [
        f"{what}: {', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}"
        for what, names in (("missing", missing), ("unknown", unknown), ("other shape", shapes))
        if names
    ]
    if complaints:
        raise CheckpointError(
            f"{path}: does not fit the network ({'; '.join(complaints)}); "
            'rename = {"module." = ""} replaces prefixes of its keys'
        )
    network.load_state_dict(state, strict=False)


def _renamed(name: str, rename: Mapping[str, str]) -> str:
    for prefix, replacement in rename.items():
        if name.startswith(prefix):
            name = replacement + name.removeprefix(prefix)
    return name


def _tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file that cannot run code: safetensors, or torch's format with tensors only."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        refuse_bomb(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than tensors, and loading it could run code; save its state_dict() alone"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: is no checkpoint that can be read: {error}") from error
    except Exception as error:
        if type(error).__module__.startswith("safetensors"):
            raise CheckpointError(f"{path}: is no safetensors file: {error}") from error
        raise
    return _state_dict(path, content)


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, (list, tuple)) and content:
        content = content[0]
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: holds no state dict of tensors")
    return dict(content)
