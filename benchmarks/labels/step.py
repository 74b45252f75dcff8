"""What the head of a label scheme adds to a training step of ResNet-32 on the CPU.

    OMP_NUM_THREADS=1 python benchmarks/labels/step.py

A step is forward, loss, backward and SGD with momentum on random images of 32x32. The schemes take turns, so that a
busy machine slows all of them; the time is that of the processor, the ratio the median of those of the turns, with
its quartiles. docs/labels.md has the figures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tiltyard import Classifier, Files, LabelScheme
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


def step(scheme: LabelScheme, images: int) -> Callable[[], None]:
    """A training step on ``images`` images, to be called again and again."""
    torch.manual_seed(0)
    network = models()["resnet32"](shortcut="projection")((3, 32, 32), scheme.head)
    classifier = Classifier(network, scheme).train()
    optimiser = torch.optim.SGD(classifier.parameters(), lr=0.01, momentum=0.9)
    x, y = torch.rand(images, 3, 32, 32), torch.arange(images) % len(CLASSES)

    def one() -> None:
        optimiser.zero_grad(set_to_none=True)
        classifier.loss(x, y).mean().backward()
        optimiser.step()

    return one


def main() -> None:
    """Print a table of medians."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=64, help="images of a step")
    options.add_argument("--rounds", type=int, default=15, help="timed steps of each scheme")
    given = options.parse_args()
    torch.set_num_threads(1)
    steps = {
        words: step(label_schemes()[name](**keys)(CLASSES, Files((Path(),))), given.images)
        for words, (name, keys) in SCHEMES.items()
    }
    seconds: dict[str, list[float]] = {words: [] for words in steps}
    for turn in range(given.rounds + 2):
        for words, one in steps.items():
            started = time.process_time()
            one()
            if turn >= 2:  # the first ones also find memory and pick kernels
                seconds[words].append(time.process_time() - started)
    print(f"| labels | step of {given.images} images (ms) | beside category | quartiles |\n|---|---|---|---|")
    for words, taken in seconds.items():
        ratios = [one / other - 1 for one, other in zip(taken, seconds["category"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        median = 1000 * statistics.median(taken)
        print(f"| {words} | {median:.0f} | {100 * middle:+.1f} % | {100 * low:+.1f} … {100 * high:+.1f} % |")


if __name__ == "__main__":
    main()
