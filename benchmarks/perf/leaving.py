"""What it saves that samples leave a search once they are broken, and what a search in bfloat16 gets wrong.

python benchmarks/perf/leaving.py --data DIR    on MNIST, at an eps that leaves an eighth of the images whole
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from places import PLACES

from tiltyard import Threat, evaluate
from tiltyard_native.attacks import PGD, MultiTargeted

EPS = 0.15
SEARCHES = {
    "pgd, 5 x 10 steps": (PGD(steps=10, restarts=5), 50),
    "multi_targeted, 9 x 10": (MultiTargeted(steps=10), 90),
}
"""Attacks, and the gradients of an image that never leaves."""


def main() -> None:
    """Print a line for each search and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of real images and published networks")
    data = parser.parse_args().data
    torch.set_num_threads(1)
    place = PLACES[-1]
    network, x, y = place.load(data, Path(), torch.device("cpu"), place.count)
    for words, (attack, gradients) in SEARCHES.items():
        for precision in ("full", "search_bf16"):
            found = evaluate(
                network, x, y, [attack], Threat("linf", EPS), precision=precision, doctor=False, masking=False
            )
            row = found.table.iloc[0]
            print(
                f"{words}, {precision}: {row['robust_accuracy']:.1%} whole, {row['backwards'] / gradients:.3f} of the "
                f"gradients, {row['flip_rate']:.1%} flipped, {row['seconds']:.1f} s, {row['status']}"
            )


if __name__ == "__main__":
    main()
