"""What attacks search on in place of a victim: the same function in less time. Verdicts stay with the victim."""

from __future__ import annotations

import copy
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .contracts import Classifier, Outputs
from .victim import outputs

PROBES = 8
"""Images on which a rewritten network must say what the original says."""
CLOSE = 1e-3
"""Largest difference of a score, relative to the spread of the scores, that rounding explains."""
DOUBT = 100.0
"""A margin below so many times the difference found may be won on one network and lost on the other."""
CACHE = 2**26
"""Bytes of activations of one pass on the CPU: more take memory and save no time."""
PART_OF_GPU = 8
"""On a GPU a pass may fill one in so many bytes of its memory."""
LEAST = 16
"""Images of a pass at least, however large they are: fewer make products of matrices too small to be quick."""
MOST = defaultdict(lambda: 1024, cpu=128)
"""Images of a pass at most, by kind of device: beyond that nothing is gained."""


@dataclass(frozen=True)
class StandIn:
    """A classifier to search on, and how many images a pass of it should have.

    ``doubt`` is the margin up to which it and the victim may disagree: infinite if it can not tell.
    """

    classifier: Classifier
    chunk: int = sys.maxsize
    doubt: float = 0.0


def stand_in(classifier: Classifier, images: Tensor) -> StandIn:
    """``classifier`` with BatchNorm folded into convolutions and weights laid out channels last.

    ``images`` (N, C, H, W) are samples of what it will be asked. Where the rewritten network does not say what the
    victim says, the victim itself is searched on. The chunk is a function of network and device, never of the
    clock, so that two runs do the same arithmetic.
    """
    images = images[:PROBES]
    trace = _traced(classifier, images)
    plain = StandIn(classifier, _chunk(trace.bytes / max(len(images), 1), images.device))
    try:
        rewritten = copy.deepcopy(classifier)
        _fold(rewritten, _traced(rewritten, images).pairs)
        rewritten = rewritten.to(memory_format=torch.channels_last)
        difference, spread = _compared(classifier, rewritten, images)
    except Exception:  # noqa: BLE001 - foreign modules may refuse to be copied or rebuilt in any way they like
        return plain
    return replace(plain, classifier=rewritten, doubt=DOUBT * difference) if difference <= CLOSE * spread else plain


def in_bfloat16(exact: StandIn) -> StandIn:
    """The same in bfloat16: quick on hardware that knows it, and in doubt about every margin."""
    return replace(exact, classifier=copy.deepcopy(exact.classifier).to(torch.bfloat16), doubt=torch.inf)


@dataclass
class _Trace:
    """What one forward went through: pairs of a convolution and the BatchNorm that alone reads it, bytes made."""

    bytes: int = 0
    calls: Counter[nn.Module] = field(default_factory=Counter)
    made: list[tuple[Tensor, nn.Module]] = field(default_factory=list)
    fed: list[tuple[nn.Module, nn.Module]] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        """Convolutions and what normalises their output, each called once."""
        return [pair for pair in self.fed if all(self.calls[module] == 1 for module in pair)]

    def see(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """A forward hook of every module without children."""
        if not isinstance(output, Tensor):
            return
        self.calls[module] += 1
        self.bytes += output.numel() * output.element_size()
        if type(module) is nn.Conv2d:
            self.made.append((output, module))
        elif type(module) is nn.BatchNorm2d and not module.training and module.running_mean is not None:
            self.fed += [(conv, module) for made, conv in self.made if made is inputs[0]]


def _traced(classifier: Classifier, images: Tensor) -> _Trace:
    trace = _Trace()
    handles = [module.register_forward_hook(trace.see) for module in classifier.modules() if not any(module.children())]
    try:
        with torch.no_grad(), _one_seed(images):
            outputs(classifier, images)
    finally:
        for handle in handles:
            handle.remove()
    return trace


@contextmanager
def _one_seed(images: Tensor) -> Iterator[None]:
    """Randomised networks answer alike twice, and nobody else's draws are used up."""
    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        torch.manual_seed(0)
        yield


def _fold(classifier: Classifier, pairs: list[tuple[Any, Any]]) -> None:
    """Put the convolutions that do the work of both in the places of ``pairs``."""
    new: dict[nn.Module, nn.Module] = {}
    for conv, norm in pairs:
        new |= {conv: fuse_conv_bn_eval(conv, norm), norm: nn.Identity()}
    for parent in list(classifier.modules()):
        for name, child in parent.named_children():
            if child in new:
                setattr(parent, name, new[child])


def _compared(one: Classifier, other: Classifier, images: Tensor) -> tuple[float, float]:
    """Largest difference between what two classifiers say, infinite where they differ in kind; spread of scores."""
    with torch.no_grad():
        said: list[Outputs] = []
        for classifier in (one, other):
            with _one_seed(images):
                said.append(outputs(classifier, images))
    found = 0.0
    for left, right in zip(*said, strict=True):
        if (left is None) != (right is None):
            return torch.inf, 0.0
        if left is not None and right is not None:
            found = max(found, float((left - right).abs().max()))
    scores = said[0].scores
    return (torch.inf if math.isnan(found) else found), float((scores.amax(1) - scores.amin(1)).mean())


def _chunk(size: float, device: torch.device) -> int:
    """Images of a pass: the power of two whose activations of ``size`` bytes an image fit."""
    room = CACHE if device.type == "cpu" else torch.cuda.get_device_properties(device).total_memory // PART_OF_GPU
    fitting = max(int(room / max(size, 1.0)), LEAST)
    return int(min(2 ** (fitting.bit_length() - 1), MOST[device.type]))
