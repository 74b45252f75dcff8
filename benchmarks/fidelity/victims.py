"""Published networks, and test images that they get right."""

from __future__ import annotations

import gzip
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


@cache
def network(data: Path, name: str) -> nn.Module:
    """A network of ``data/checkpoints`` on images in [0, 1], in eval mode and frozen; raises ``KeyError``."""
    path = data / "checkpoints" / "architectures.py"
    spec = importlib.util.spec_from_file_location("architectures", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path} is missing: name a folder with published networks by --data or $TILTYARD_DATA")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded: nn.Module = module.load(name)
    return loaded.eval().requires_grad_(False)


@torch.no_grad()
def samples(data: Path, name: str, count: int) -> tuple[Tensor, Tensor]:
    """``count`` test images (N, C, H, W) in [0, 1] that the network gets right, with their labels.

    They are spread evenly over the test set, whose halves are not equally hard for MNIST.
    """
    x, y = _mnist(data) if name.startswith("mnist") else _cifar10(data)
    right = torch.cat([network(data, name)(part).argmax(1) for part in x.split(500)]) == y
    x, y = x[right], y[right]
    chosen = torch.linspace(0, len(x) - 1, min(count, len(x))).round().long()
    return x[chosen], y[chosen]


@cache
def _mnist(data: Path) -> tuple[Tensor, Tensor]:
    pixels = gzip.decompress((data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return torch.tensor(x).float() / 255, torch.tensor(np.frombuffer(labels, np.uint8, offset=8)).long()


@cache
def _cifar10(data: Path) -> tuple[Tensor, Tensor]:
    with np.load(data / "cifar10" / "cifar10_lossless_subset.npz") as stored:
        x, y = stored["x_test"], stored["y_test"]
    return torch.tensor(x).permute(0, 3, 1, 2).float().contiguous() / 255, torch.tensor(y).long().flatten()
