"""Attacks on a published network against the distances published for it."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from tiltyard import Batch, Category, Classifier, Threat, Victim, distance
from tiltyard_native.attacks import DDN, PGD


@pytest.fixture(scope="module")
def network(shared_data: Path) -> Classifier:
    """advertorch's LeNet-5 for MNIST, trained without defence."""
    path = shared_data / "checkpoints" / "architectures.py"
    spec = importlib.util.spec_from_file_location("architectures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Classifier(module.load("mnist_advertorch_std"), Category(10)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def batch(shared_data: Path, network: Classifier) -> Batch:
    """The first 64 test images, less those it gets wrong."""
    folder = shared_data / "mnist"
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    x = torch.tensor(pixels[: 64 * 784], dtype=torch.float32).view(64, 1, 28, 28) / 255
    y = torch.tensor(labels[:64], dtype=torch.int64)
    whole = Batch(x, y, torch.arange(64), key="published")
    return whole[network(x).argmax(1) == y]


def test_ddn_and_pgd_agree_with_published_distances(network: Classifier, batch: Batch) -> None:
    """advertorch reports a median l2 of 1.388 for DDN with 1,000 steps on all 10,000 images."""
    image = DDN()(Victim(network, batch), batch, Threat("l2"))
    assert bool((batch.margin(network(image)) < 0).all())
    length = distance(image - batch.x, "l2")
    assert float(length.median()) == pytest.approx(1.388, abs=0.15)  # the median of 64 varies by about 0.06
    image = PGD()(Victim(network, batch), batch, Threat("l2", 1.388))
    broken = float((batch.margin(network(image)) < 0).float().mean())
    assert broken == pytest.approx(float((length <= 1.388).float().mean()), abs=0.06)


@pytest.mark.parametrize(("norm", "median"), [("linf", 0.1120), ("l1", 7.61)])
def test_pgd_breaks_half_at_the_published_median_of_fab(
    network: Classifier, batch: Batch, norm: str, median: float
) -> None:
    """FAB's medians are over all 10,000 images; a stronger attack breaks more than half at them."""
    image = PGD()(Victim(network, batch), batch, Threat(norm, median))  # type: ignore[arg-type]
    assert float((batch.margin(network(image)) < 0).float().mean()) > 0.45
