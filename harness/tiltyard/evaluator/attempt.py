"""One call of an attack under guard: whatever comes back is verified, whatever goes wrong is a status."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contracts import Attack, Batch, Classifier, Incompatible, Threat, distance, project
from ..guard import Expired, deadline, untouched
from ..victim import Victim

EPS_SLACK = 1e-5
"""Relative overshoot of eps that float32 arithmetic explains."""
ROUNDING = {"pixels": 2.0**-24, "normalised": 2.0**-21}
"""How far float32 may put a value of a sum in [0, 1], or of one below 16: what tells at a very small eps."""
BOX_SLACK = 1e-6
"""Overshoot of [0, 1] that float32 arithmetic explains."""
REPAIRABLE = 0.01
"""Overshoot, of eps relatively and of the box absolutely, up to which an image is put back and judged."""


@dataclass(frozen=True)
class Attempt:
    """What one call of an attack came to: images fit to be judged, a status each, and what it cost.

    ``returned`` are the images as the attack gave them, wherever they lie.
    """

    images: Tensor
    returned: Tensor
    status: list[str]
    forwards: Tensor
    backwards: Tensor
    reason: str | None = None

    def mended(self, rows: Tensor, other: Attempt) -> Attempt:
        """This one with ``other`` in the place of some rows, and the passes of both."""
        status = list(self.status)
        for row, word in zip(rows.tolist(), other.status, strict=True):
            status[row] = word
        return Attempt(
            self.images.index_copy(0, rows, other.images),
            self.returned.index_copy(0, rows, other.returned),
            status,
            self.forwards.index_add(0, rows, other.forwards),
            self.backwards.index_add(0, rows, other.backwards),
            other.reason or self.reason,
        )


def attempt(
    seen: Classifier,
    attack: Attack,
    batch: Batch,
    threat: Threat,
    seconds: float = math.inf,
    chunk: int = sys.maxsize,
) -> Attempt:
    """Call the attack under guard and verify what it returns.

    ``seen`` is the classifier the attacker sees, ``chunk`` images in a pass. A call that is not done after
    ``seconds`` is broken off. Raises ``Incompatible`` where the attack does, and nothing else.
    """
    victim = Victim(seen, batch, chunk)
    own = batch.copied()
    try:
        with untouched(seen), deadline(seconds):
            own.seed_globals()  # for foreign code and for randomised victims: the same draws in every run
            images = attack(victim, own, threat)
        returned = _checked(images, batch, victim)
    except Incompatible:
        raise
    except Expired:
        return _failed(batch, victim, "timeout", f"the attack was not done after {seconds:g} s")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code: an attack that raises is a status
        if _out_of_memory(error):
            return _halved(seen, attack, batch, threat, seconds, chunk)
        return _failed(batch, victim, "error", f"{type(error).__name__}: {error}")
    images, status = verified(returned, batch.x, threat)
    return Attempt(images, returned, status, victim.forwards, victim.backwards)


def _checked(images: object, batch: Batch, victim: Victim) -> Tensor:
    """The attack's images as float32, detached; raises on anything that is not a batch of images."""
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = str(images.dtype) if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"the attack returned {kind}, not a float tensor of images")
    if images.shape != batch.x.shape:
        raise ValueError(f"the attack returned shape {tuple(images.shape)} for images {tuple(batch.x.shape)}")
    images = images.detach().to(batch.x)
    if not int(victim.forwards.sum()) and torch.equal(images, batch.x):
        raise RuntimeError("the attack returned the clean images without a single query")
    return images


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _halved(seen: Classifier, attack: Attack, batch: Batch, threat: Threat, seconds: float, chunk: int) -> Attempt:
    """The attempt on the two halves of a batch that did not fit in memory."""
    if len(batch) == 1:
        return _failed(batch, Victim(seen, batch), "oom", "out of memory on a single image")
    parts = torch.arange(len(batch), device=batch.x.device).chunk(2)
    return _joined([attempt(seen, attack, batch[part], threat, seconds, chunk) for part in parts])


def _joined(parts: Sequence[Attempt]) -> Attempt:
    return Attempt(
        torch.cat([part.images for part in parts]),
        torch.cat([part.returned for part in parts]),
        [word for part in parts for word in part.status],
        torch.cat([part.forwards for part in parts]),
        torch.cat([part.backwards for part in parts]),
        next((part.reason for part in parts if part.reason), None),
    )


def _failed(batch: Batch, victim: Victim, status: str, reason: str) -> Attempt:
    return Attempt(batch.x, batch.x, [status] * len(batch), victim.forwards, victim.backwards, reason)


def verified(images: Tensor, clean: Tensor, threat: Threat) -> tuple[Tensor, list[str]]:
    """Images (N, C, H, W) inside box and ball, and what had to be done to each: ok, repaired or violated.

    A violated image is replaced by the clean one. Normalised images lie in no box.
    """
    low, high = threat.box
    finite = images.flatten(1).isfinite().all(1)
    images = torch.where(finite.view(-1, 1, 1, 1), images, clean)
    outside = (images - images.clamp(low, high)).flatten(1).abs().amax(1)
    length = distance(images - clean, threat.norm)
    exact = finite & (outside <= BOX_SLACK) & (length <= reach(threat, clean))
    near = finite & ~exact & (outside <= REPAIRABLE) & (length <= threat.eps * (1 + REPAIRABLE))
    if bool(near.any()):
        back = clean[near] + project(images[near] - clean[near], threat.norm, threat.eps)
        images = images.index_put((near.nonzero().squeeze(1),), back)
    kept = (exact | near).view(-1, 1, 1, 1)
    words = ["ok" if e else "repaired" if n else "violated" for e, n in zip(exact.tolist(), near.tolist(), strict=True)]
    return torch.where(kept, images.clamp(low, high), clean), words


def reach(threat: Threat, clean: Tensor) -> float:
    """The length up to which a perturbation of images like ``clean`` counts as inside the ball."""
    values = clean[0].numel()
    rounding = {"linf": 1.0, "l2": math.sqrt(values), "l1": float(values), "l0": 0.0}[threat.norm]
    return threat.eps * (1 + EPS_SLACK) + rounding * ROUNDING[threat.units]
