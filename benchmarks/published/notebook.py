"""The same from Python: a network, images and labels in; tidy tables out.

``python benchmarks/published/notebook.py DIR`` where DIR holds mnist/*.gz and checkpoints/*.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from networks import LeNet5
from torch import nn

import tiltyard
from tiltyard import Files


def main(data: Path) -> None:
    """Attack the published adversarially trained MNIST network on 200 test images and print the table."""
    from tiltyard_vision import datasets

    network = LeNet5(1, 28, lambda features: nn.Linear(features, 10))
    path = data / "checkpoints" / "mnist_advertorch_lenet5_advtrained.pt"
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name.replace("linear2.", "head."): tensor for name, tensor in weights.items()})
    test = datasets()["mnist"]()(Files((data,))).test
    results = tiltyard.evaluate(
        network,
        test.images[:200],
        test.labels[:200],
        attacks=["native.fgsm", {"use": "native.pgd", "steps": 40}],
        threat={"norm": "linf", "eps": [0.1, 0.3]},
    )
    print(results.table[["attack", "eps", "clean_accuracy", "robust_accuracy", "robust_low", "robust_high"]])
    print(results.leaderboard[["eps", "robust_accuracy", "winning_attack"]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
