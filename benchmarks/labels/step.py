"""What a training step of ResNet-32 takes, what its layout and recording save, and what the head of a scheme adds.

    OMP_NUM_THREADS=1 python benchmarks/labels/step.py [--device cuda]

A step is forward, loss, backward and SGD with momentum on random images of 32x32: with the network as it was made,
laid out as a run lays it out, and on a GPU with its gradient recorded as well. The steps take turns, so that a busy
machine slows all of them; the time is that of the processor, or on a GPU that of the clock. The last column is the step
as a run makes it, beside that of categories: the median of the ratios of the turns, with its quartiles.
docs/labels.md and docs/design.md have the figures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tiltyard import Classifier, Files, LabelScheme
from tiltyard.training.layout import lay_out
from tiltyard.training.replay import recorded
from tiltyard_labels import label_schemes
from tiltyard_vision import models

SCHEMES = {
    "category": ("category", {}),
    "category, neck": ("category", {"neck": True}),
    "projected": ("projected", {}),
    "random": ("random", {}),
    "lowdim": ("lowdim", {}),
}
CLASSES = tuple("abcdefghij")
WARM_UP = 2
"""Turns that are not counted: the first ones also find memory and pick kernels."""


def step(scheme: LabelScheme, images: int, device: str, way: str) -> Callable[[], None]:
    """A training step on ``images`` images, to be called again and again."""
    torch.manual_seed(0)
    network = models()["resnet32"](shortcut="projection")((3, 32, 32), scheme.head)
    classifier = Classifier(network, scheme).to(device)
    x, y = torch.rand(images, 3, 32, 32, device=device), torch.arange(images, device=device) % len(CLASSES)
    if way != "as made":
        lay_out(classifier.network, x[:8])
    classifier.train()
    optimiser = torch.optim.SGD(classifier.parameters(), lr=0.01, momentum=0.9)

    def gradient(x: Tensor, y: Tensor) -> Tensor:
        classifier.zero_grad(set_to_none=True)
        loss = classifier.loss(x, y).mean()
        loss.backward()
        return loss.detach()

    known = recorded(classifier, gradient, x, y, torch.rand_like(x)) if way == "recorded" else gradient

    def one() -> None:
        known(x, y)
        optimiser.step()

    return one


def timed(one: Callable[[], None], device: str) -> float:
    """Seconds of one call."""
    if device == "cpu":
        started = time.process_time()
        one()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    one()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Print a table of medians."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=64, help="images of a step")
    options.add_argument("--rounds", type=int, default=15, help="timed steps of each kind")
    options.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    given = options.parse_args()
    torch.set_num_threads(1)
    ways = ["as made", "laid out", *(["recorded"] if given.device == "cuda" else [])]
    steps = {
        (words, way): step(label_schemes()[name](**keys)(CLASSES, Files((Path(),))), given.images, given.device, way)
        for words, (name, keys) in SCHEMES.items()
        for way in ways
    }
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for turn in range(given.rounds + WARM_UP):
        for key, one in steps.items():
            taken = timed(one, given.device)
            if turn >= WARM_UP:
                seconds[key].append(taken)
    print(f"Steps of {given.images} images on {given.device}, in ms.\n")
    print(f"| labels | {' | '.join(ways)} | {ways[-1]} by as made | beside category (quartiles) |")
    print("|---" * (len(ways) + 3) + "|")
    for words in SCHEMES:
        medians = [1000 * statistics.median(seconds[words, way]) for way in ways]
        saved = statistics.median(map(_by, seconds[words, ways[-1]], seconds[words, ways[0]]))
        ratios = [
            100 * (_by(*pair) - 1) for pair in zip(seconds[words, ways[-1]], seconds["category", ways[-1]], strict=True)
        ]
        low, middle, high = statistics.quantiles(ratios, n=4)
        times = " | ".join(f"{median:.1f}" for median in medians)
        print(f"| {words} | {times} | {saved:.2f} | {middle:+z.1f} % ({low:+z.1f} … {high:+z.1f}) |")


def _by(one: float, other: float) -> float:
    return one / other


if __name__ == "__main__":
    main()
