"""What one step of an attack costs beside the bare loop, and what the machine could do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from places import Loaded
from rivals import bare
from timing import now, rotated
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.utils.flop_counter import FlopCounterMode

from tiltyard import Attack, Threat, evaluate
from tiltyard_native.attacks import APGD, DDN, PGD

NAME = "one step"
STEPS = 50
NOWHERE = 1e-6
"""An eps at which no image falls, so that none leaves the batch."""
SIDE = 2048

NATIVE: Mapping[str, Callable[[int], Attack]] = {
    "tiltyard pgd": lambda steps: PGD(steps=steps, loss="ce"),
    "tiltyard apgd": lambda steps: APGD(steps=steps, loss="ce"),
    "tiltyard ddn": lambda steps: DDN(steps=steps),
}


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of a forward, and of a backward to the input, of one image."""

    forward: float
    backward: float

    @staticmethod
    def of(network: nn.Module, x: Tensor) -> Flops:
        """Counted on the first image."""
        image = x[:1].clone().requires_grad_()
        with FlopCounterMode(display=False) as ahead:
            scores = network(image)
        with FlopCounterMode(display=False) as back:
            torch.autograd.grad(scores.sum(), image)
        return Flops(ahead.get_total_flops(), back.get_total_flops())


def matmul(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of the best of ten products of two 2048 x 2048 matrices."""
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else "highest")  # as convolutions have it
    one, other = (torch.rand(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(10):
        begun = now(device)
        one @ other
        seconds.append(now(device) - begun)
    return float(2 * SIDE**3 / min(seconds))


def step_seconds(loaded: Loaded, spend: float) -> dict[str, list[float]]:
    """Seconds of one step on one image in each round, with nothing else that happens once per call.

    A native attack is run for one step and for 51, so that what is left of the difference is 50 steps: its own
    work, the harness's meters, and the network that it is shown.
    """
    network, x, y = loaded
    plain, folded = network, fuse(copy.deepcopy(network)).to(memory_format=torch.channels_last)
    tall = x.contiguous(memory_format=torch.channels_last)
    calls: dict[str, Callable[[], float]] = {
        "bare": lambda: _bare(plain, x, y),
        "bare, folded": lambda: _bare(folded, tall, y),
    }
    calls |= {name: _native(make, loaded) for name, make in NATIVE.items()}
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for order in rotated(list(calls), spend, 5):
        for name in order:
            spent[name].append(calls[name]())
    return spent


def _bare(network: nn.Module, x: Tensor, y: Tensor) -> float:
    begun = now(x.device)
    bare(NOWHERE, STEPS)(network, x, y)
    return (now(x.device) - begun) / STEPS / len(x)


def _native(make: Callable[[int], Attack], loaded: Loaded) -> Callable[[], float]:
    network, x, y = loaded

    def run(steps: int) -> tuple[float, float]:
        attack = make(steps)
        threat = Threat("l2" if "l2" in attack.norms and len(attack.norms) == 1 else "linf", NOWHERE)
        begun = now(x.device)
        found = evaluate(network, x, y, [attack], threat, batch_size=len(x), doctor=False, masking=False)
        return now(x.device) - begun, float(found.table.iloc[0]["backwards"])

    def difference() -> float:
        (short, few), (long, many) = run(1), run(1 + STEPS)
        return (long - short) / (many - few) / len(x)

    return difference
