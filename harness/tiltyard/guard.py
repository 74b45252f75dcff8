"""Around every call of an attack: what it may disturb is saved before and put back after."""

from __future__ import annotations

import contextlib
import math
import random
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn


class TamperedError(RuntimeError):
    """The attack changed the network's weights or buffers; they were restored."""


class Expired(BaseException):
    """The time of a call is over."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise ``Expired`` in the body once ``seconds`` have passed, and every second after that.

    It needs the main thread and POSIX signals, and interrupts Python between two instructions: a single call
    into compiled code is waited for. Elsewhere there is no limit.
    """
    possible = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not possible or seconds == math.inf:
        yield
        return
    before = signal.signal(signal.SIGALRM, _expire)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        _disarm(before)


def _disarm(before: object) -> None:
    """Stop the clock, which may well strike while it is being stopped."""
    while True:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)  # type: ignore[arg-type]
            return
        except Expired:
            continue


def _expire(number: int, frame: FrameType | None) -> None:
    raise Expired


@contextlib.contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Run foreign code on a network and leave no trace.

    Random states, train and eval flags of every module, ``requires_grad``, parameter gradients, grad mode,
    default dtype, current device, weights, buffers, submodules, hooks and attributes are as before; what is
    printed goes to stderr. Inside, the network is in eval mode with frozen parameters, so that only input
    gradients are computed, and gradients are on. Raises ``TamperedError`` if weights, modules or hooks had to be
    restored.
    """
    with (
        _random_states(),
        _flags(network),
        _weights(network),
        _structure(network),
        contextlib.redirect_stdout(sys.stderr),
    ):
        dtype = torch.get_default_dtype()
        device = torch.cuda.current_device() if torch.cuda.is_initialized() else None
        try:
            with torch.enable_grad():
                yield
        finally:
            torch.set_default_dtype(dtype)
            if device is not None:
                torch.cuda.set_device(device)


@contextlib.contextmanager
def _random_states() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextlib.contextmanager
def _flags(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    parameters = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    try:
        network.eval().requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, required, gradient in parameters:
            parameter.requires_grad_(required)
            parameter.grad = gradient


@contextlib.contextmanager
def _weights(network: nn.Module) -> Iterator[None]:
    tensors = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
    before = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        changed = [(now, old) for now, old in zip(tensors, before, strict=True) if not _same(now, old)]
        for now, old in changed:
            now.copy_(old)
    if changed:
        raise TamperedError("the attack changed the network's weights or buffers")


@contextlib.contextmanager
def _structure(network: nn.Module) -> Iterator[None]:
    """Parameters, submodules, hooks and attributes put in the place of others are taken out again."""
    before = [(module, vars(module).copy(), _tables(module)) for module in network.modules()]
    tampered = False
    try:
        yield
    finally:
        for module, attributes, tables in before:
            if not _identical(vars(module), attributes):
                tampered |= any(vars(module).get(name) is not attributes[name] for name in tables)
                vars(module).clear()
                vars(module).update(attributes)
            for name, table in tables.items():
                if not _identical(attributes[name], table):
                    tampered = True
                    attributes[name].clear()
                    attributes[name].update(table)
    if tampered:
        raise TamperedError("the attack changed the network's parameters, modules or hooks")


def _tables(module: nn.Module) -> dict[str, dict[Any, Any]]:
    """What torch keeps in dictionaries of a module: parameters, buffers, submodules, hooks."""
    return {name: value.copy() for name, value in vars(module).items() if name[0] == "_" and isinstance(value, dict)}


def _identical(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key] is value for key, value in other.items())


def _same(now: torch.Tensor, old: torch.Tensor) -> bool:
    return torch.equal(now, old) or (now.shape == old.shape and bool((now.isnan() & old.isnan() | (now == old)).all()))
