"""What one call of an attack leaves behind when nothing is put back after it."""

from __future__ import annotations

import contextlib
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contracts import Attack, Batch, Threat
from ..guard import Expired, deadline, untouched
from ..victim import Victim
from .arena import Arena

State = dict[str, Any]


class TimeIsUp(Exception):  # noqa: N818 - it is no error of anybody's
    """The time of a check is over."""


def _set_environment(values: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "cudnn.benchmark": (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
    "cudnn.deterministic": (
        lambda: torch.backends.cudnn.deterministic,
        lambda value: setattr(torch.backends.cudnn, "deterministic", value),
    ),
    "numpy's error handling": (np.geterr, lambda value: np.seterr(**value)),
    "the current folder": (Path.cwd, os.chdir),
    "environment variables": (lambda: dict(os.environ), _set_environment),
}
"""What the guard around an attack does not put back: how to read it, and how to set it."""


def traces(attack: Attack, place: Arena, threat: Threat, seconds: float) -> dict[str, str | None]:
    """What one call changed, in words, by what it happened to: random, modes, gradients, input, settings, prints.

    The attack is called without the guard, on a network whose parameters ask for gradients; if it cannot stand
    that, which it need not, on a frozen one. Everything is put back afterwards. Raises ``TimeIsUp``.
    """
    try:
        return _traces(attack, place, threat, seconds, frozen=False)
    except Expired:
        raise TimeIsUp from None
    except Exception:  # noqa: BLE001 - foreign code
        return _traces(attack, place, threat, seconds, frozen=True)


def _traces(attack: Attack, place: Arena, threat: Threat, seconds: float, *, frozen: bool) -> dict[str, str | None]:
    network = place.rescored().classifier.requires_grad_(not frozen)
    batch, said = place.batch.copied(), io.StringIO()
    with untouched(nn.Module()), settings_kept():
        batch.seed_globals()
        before = _state(network, batch)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), deadline(seconds):
            attack(Victim(network, batch), batch, threat)
        after = _state(network, batch)
    printed = said.getvalue().strip()
    changed = {name: _changed(before[name], after[name]) for name in before}
    return changed | {"prints": f"prints {printed[:60]!r}" if printed else None}


def _changed(before: State, after: State) -> str | None:
    names = [name for name in before if not _same(before[name], after[name])]
    return f"changes {', '.join(names)}" if names else None


def _state(network: nn.Module, batch: Batch) -> dict[str, State]:
    return {
        "random": {
            "torch's random state": torch.get_rng_state(),
            "numpy's": str(np.random.get_state()),
            "Python's": random.getstate(),
        },
        "modes": {
            "train and eval flags": [module.training for module in network.modules()],
            "requires_grad of parameters": [p.requires_grad for p in network.parameters()],
            "grad mode": torch.is_grad_enabled(),
            "the default dtype": torch.get_default_dtype(),
        },
        "gradients": {"gradients of parameters": [_copy(p.grad) for p in network.parameters()]},
        "input": {
            "the images": batch.x.detach().clone(),
            "the labels": batch.y.clone(),
            "requires_grad of the images": batch.x.requires_grad,
            "their gradient": _copy(batch.x.grad) if batch.x.is_leaf else None,
        },
        "settings": {name: read() for name, (read, _) in SETTINGS.items()},
    }


@contextlib.contextmanager
def settings_kept() -> Iterator[None]:
    """Put back what the guard around an attack does not."""
    before = {name: read() for name, (read, _) in SETTINGS.items()}
    try:
        yield
    finally:
        for name, (read, write) in SETTINGS.items():
            if read() != before[name]:
                write(before[name])


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(type(one) is type(other) and one == other)
