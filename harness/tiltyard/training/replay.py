"""Training passes of a network recorded once as CUDA graphs: launching a small network takes longer than it runs."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

CLOSE = 1e-2
"""Largest difference of outputs and gradients, relative to the largest of them, that rounding explains."""


@contextlib.contextmanager
def replayed(network: nn.Module, x: Tensor, other: Tensor, amp: bool) -> Iterator[bool]:
    """Within it, training passes of ``network`` on batches shaped like ``x`` (N, C, H, W) are replays of a recording.

    ``other`` is a second batch of that shape. The recording is used only where it gives the outputs and gradients on it
    that the network gives, which networks that wait for the device or decide by values do not; off CUDA there is none.
    A loss may hold one pass only: the next one overwrites what the first has kept for its gradient. Weights, buffers
    and random states are as before. Yields whether there is a recording.
    """
    if x.device.type != "cuda" or x.shape != other.shape:
        yield False
        return
    kept, mode = copy.deepcopy(network.state_dict()), network.training
    network.train()
    with torch.random.fork_rng(devices=[x.device]):
        try:
            asked = _pass(network, other, amp)
            network.load_state_dict(kept)
            _record(network, x, amp)
            found = all(map(_close, asked, _pass(network, other, amp)))
        except (AssertionError, RuntimeError):  # what make_graphed_callables and the driver raise at such a network
            found = False
    network.load_state_dict(kept)
    network.zero_grad(set_to_none=True)
    network.train(mode)
    if not found:
        _forget(network)
    try:
        yield found
    finally:
        _forget(network)


def _record(network: nn.Module, x: Tensor, amp: bool) -> None:
    """Put a forward in the place of the network's own that replays where it can, and goes there where it cannot."""
    own = network.forward
    with torch.autocast("cuda", torch.bfloat16, enabled=amp, cache_enabled=False):
        torch.cuda.make_graphed_callables(network, (x.clone(),), allow_unused_input=True)
    replay = network.forward

    def forward(images: Tensor) -> Tensor:
        alike = images.shape == x.shape and images.dtype == x.dtype and not images.requires_grad
        output: Tensor = replay(images) if alike and network.training and torch.is_grad_enabled() else own(images)
        return output

    network.forward = forward


def _forget(network: nn.Module) -> None:
    """Give the network its own forward back."""
    network.__dict__.pop("forward", None)


def _pass(network: nn.Module, x: Tensor, amp: bool) -> tuple[Tensor, Tensor]:
    """Output and gradients of one pass, each flat, with draws that are the same each time."""
    torch.manual_seed(0)
    network.zero_grad(set_to_none=True)
    with torch.autocast("cuda", torch.bfloat16, enabled=amp):
        output = network(x).float()
    output.square().mean().backward()
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]
    return output.detach().flatten().clone(), torch.cat([gradient.flatten() for gradient in gradients])


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= CLOSE * float(one.abs().max())
