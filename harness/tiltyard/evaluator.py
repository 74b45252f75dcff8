"""Attack a batch, believe nobody, and return one record per sample, eps and target."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .contracts import Attack, Batch, Classifier, Incompatible, Threat, distance, margin, project
from .guard import untouched
from .results import SAMPLES, frame
from .victim import Victim, outputs

if TYPE_CHECKING:
    import pandas as pd

EPS_SLACK = 1e-5
"""Relative overshoot of eps that float32 arithmetic explains."""
ROUNDING = 2.0**-24
"""How far float32 may put a pixel of a sum in [0, 1]: what tells at an eps below one grey level."""
BOX_SLACK = 1e-6
"""Overshoot of [0, 1] that float32 arithmetic explains."""
REPAIRABLE = 0.01
"""Overshoot, of eps relatively and of the box absolutely, up to which an image is put back and judged."""


@dataclass(frozen=True)
class Verdict:
    """The defended victim's word on images (N, C, H, W), from a forward that no attack has touched."""

    scores: Tensor
    prediction: Tensor
    rejected: Tensor
    margin: Tensor
    finite: Tensor

    def right(self, y: Tensor) -> Tensor:
        """Classified as ``y`` and accepted."""
        return self.finite & (self.prediction == y) & ~self.rejected

    def wrong(self, y: Tensor) -> Tensor:
        """Classified as another class than ``y`` and accepted."""
        return self.finite & (self.prediction != y) & ~self.rejected


@torch.no_grad()
def judge(classifier: Classifier, x: Tensor, y: Tensor) -> Verdict:
    """Predictions, rejections and margins of images; scores that are not finite decide nothing."""
    scores, rejection = outputs(classifier, x)
    finite = scores.isfinite().all(1)
    score_margin = margin(scores, y)
    if rejection is None:
        return Verdict(scores, scores.argmax(1), torch.zeros_like(finite), score_margin, finite)
    joint = torch.maximum(score_margin, rejection)
    return Verdict(scores, scores.argmax(1), rejection > 0, joint, finite & rejection.isfinite())


@dataclass(frozen=True)
class Attempt:
    """What one call of an attack came to: images fit to be judged, a status each, and what it cost."""

    images: Tensor
    status: list[str]
    forwards: Tensor
    backwards: Tensor
    reason: str | None = None


def evaluate(
    classifier: Classifier,
    attack: Attack,
    batch: Batch,
    threats: Sequence[Threat],
    eps: Sequence[float],
    *,
    seen: Classifier | None = None,
    targets: str = "random",
) -> pd.DataFrame:
    """The records of a batch: one row per sample, eps and target (``results.SAMPLES``).

    The attack is called once for each of ``threats``: one per eps, or a single one without budget whose images
    are scored at every eps. ``seen`` is the classifier that the attacker sees, if it is not the victim itself.
    """
    clean = judge(classifier, batch.x, batch.y)
    correct = clean.right(batch.y)
    rows: list[dict[str, Any]] = []
    for target in _targets(batch, clean.scores, threats[0], targets):
        aimed = replace(batch, target=target)
        for threat, radii in _budgets(threats, eps):
            attacked = aimed[correct]
            attempt = _attempt(seen or classifier, attack, attacked, threat) if len(attacked) else None
            for radius in radii:
                rows += _records(classifier, aimed, clean, correct, attempt, replace(threat, eps=radius))
    return frame(SAMPLES, rows)


def _budgets(threats: Sequence[Threat], eps: Sequence[float]) -> Iterator[tuple[Threat, Sequence[float]]]:
    """Each call of the attack and the radii it is scored at."""
    if len(threats) == 1 and threats[0].eps == float("inf"):
        yield threats[0], eps
    else:
        yield from ((threat, (threat.eps,)) for threat in threats)


def _targets(batch: Batch, scores: Tensor, threat: Threat, targets: str) -> Iterable[Tensor | None]:
    """The target vectors (N,) to run, none of which holds a sample's own label."""
    if threat.goal == "untargeted":
        return (None,)
    classes = scores.shape[1]
    if targets == "random":
        # Drawn under a key of their own, so that every attack of a seed gets the same targets.
        unit = replace(batch, key="targets").uniform(values=1).squeeze(1)
        return ((batch.y + 1 + (unit * (classes - 1)).long()) % classes,)
    if targets == "next":
        return ((batch.y + 1) % classes,)
    if targets == "least_likely":
        return (scores.scatter(1, batch.y.unsqueeze(1), torch.inf).argmin(1),)
    return tuple((batch.y + step) % classes for step in range(1, classes))


def _attempt(seen: Classifier, attack: Attack, batch: Batch, threat: Threat) -> Attempt:
    """Call the attack under guard and verify what it returns; whatever goes wrong is a status."""
    victim = Victim(seen, batch)
    own = Batch(batch.x.clone(), batch.y.clone(), batch.ids.clone(), _cloned(batch.target), batch.seed, batch.key)
    try:
        with untouched(seen):
            images = attack(victim, own, threat)
        images = _checked(images, batch, victim)
    except Incompatible:
        raise
    except Exception as error:  # noqa: BLE001 - foreign code: an attack that raises is a status, not a crash
        if _out_of_memory(error):
            return _halved(seen, attack, batch, threat)
        return _failed(batch, victim, "error", f"{type(error).__name__}: {error}")
    images, status = _verified(images, batch.x, threat)
    return Attempt(images, status, victim.forwards, victim.backwards)


def _cloned(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


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


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _halved(seen: Classifier, attack: Attack, batch: Batch, threat: Threat) -> Attempt:
    """The attempt on the two halves of a batch that did not fit in memory."""
    if len(batch) == 1:
        return _failed(batch, Victim(seen, batch), "oom", "out of memory on a single image")
    order = torch.arange(len(batch))
    halves = [_attempt(seen, attack, batch[part.to(batch.x.device)], threat) for part in order.chunk(2)]
    return Attempt(
        torch.cat([half.images for half in halves]),
        [word for half in halves for word in half.status],
        torch.cat([half.forwards for half in halves]),
        torch.cat([half.backwards for half in halves]),
        next((half.reason for half in halves if half.reason), None),
    )


def _failed(batch: Batch, victim: Victim, status: str, reason: str) -> Attempt:
    return Attempt(batch.x, [status] * len(batch), victim.forwards, victim.backwards, reason)


def _verified(images: Tensor, clean: Tensor, threat: Threat) -> tuple[Tensor, list[str]]:
    """Images inside box and ball, and what had to be done to each to get them there."""
    finite = images.flatten(1).isfinite().all(1)
    images = torch.where(finite.view(-1, 1, 1, 1), images, clean)
    outside = (images - images.clamp(0, 1)).flatten(1).abs().amax(1)
    length = distance(images - clean, threat.norm)
    exact = finite & (outside <= BOX_SLACK) & (length <= _reach(threat, clean))
    near = finite & ~exact & (outside <= REPAIRABLE) & (length <= threat.eps * (1 + REPAIRABLE))
    if bool(near.any()):
        back = clean[near] + project(images[near] - clean[near], threat.norm, threat.eps)
        images = images.index_put((near.nonzero().squeeze(1),), back)
    kept = (exact | near).view(-1, 1, 1, 1)
    words = ["ok" if e else "repaired" if n else "violated" for e, n in zip(exact.tolist(), near.tolist(), strict=True)]
    return torch.where(kept, images.clamp(0, 1), clean), words


def _reach(threat: Threat, clean: Tensor) -> float:
    """The length up to which a perturbation of these images counts as inside the ball."""
    values = clean[0].numel()
    rounding = {"linf": 1.0, "l2": math.sqrt(values), "l1": float(values), "l0": 0.0}[threat.norm] * ROUNDING
    return threat.eps * (1 + EPS_SLACK) + rounding


def _records(
    classifier: Classifier,
    batch: Batch,
    clean: Verdict,
    correct: Tensor,
    attempt: Attempt | None,
    threat: Threat,
) -> list[dict[str, Any]]:
    """One row per sample at one eps and target; samples that were not attacked included."""
    common = {
        "sample": batch.ids.tolist(),
        "eps": [threat.eps] * len(batch),
        "target": [None] * len(batch) if batch.target is None else batch.target.tolist(),
        "label": batch.y.tolist(),
        "clean_prediction": clean.prediction.tolist(),
        "correct": correct.tolist(),
    }
    found = iter(_outcomes(classifier, batch[correct], attempt, threat) if attempt else ())
    finite = clean.finite.tolist()
    rows = []
    for n, values in enumerate(zip(*common.values(), strict=True)):
        row = dict(zip(common, values, strict=True))
        rows.append(row | (next(found) if row["correct"] else _not_attacked(finite[n], batch.target is not None)))
    return rows


def _not_attacked(finite: bool, targeted: bool) -> dict[str, Any]:
    outcome = {"left_class": False, "success": False, "forwards": 0, "backwards": 0}
    outcome |= {"reached_target": False} if targeted else {}
    if finite:
        return outcome | {"status": "not_attacked"}
    return outcome | {
        "status": "undefined",
        "reason": "the victim's scores of the clean image are not finite",
    }


def _outcomes(classifier: Classifier, batch: Batch, attempt: Attempt, threat: Threat) -> Iterator[dict[str, Any]]:
    """The verdict on each attacked sample."""
    verdict = judge(classifier, attempt.images, batch.y)
    length = distance(attempt.images - batch.x, threat.norm)
    inside = length <= _reach(threat, batch.x)
    left = verdict.wrong(batch.y) & inside
    reached = verdict.right(batch.target) & inside if batch.target is not None else None
    success = left if reached is None else reached
    for n, word in enumerate(attempt.status):
        judged = word in ("ok", "repaired")
        status = "undefined" if judged and not verdict.finite[n] else word
        known = judged and status != "undefined"
        won = known and bool(success[n])
        yield {
            "prediction": int(verdict.prediction[n]) if known else None,
            "rejected": bool(verdict.rejected[n]) if known else None,
            "left_class": known and bool(left[n]),
            "reached_target": None if reached is None else known and bool(reached[n]),
            "success": won,
            "status": status,
            "distance": float(length[n]) if won else None,
            "margin": float(verdict.margin[n]) if known else None,
            "forwards": int(attempt.forwards[n]),
            "backwards": int(attempt.backwards[n]),
            "reason": _reason(status, attempt.reason),
        }


def _reason(status: str, reason: str | None) -> str | None:
    if status == "violated":
        return "the image is not finite, or outside the ball or the box by more than 1 %"
    return "the victim's scores of the adversarial image are not finite" if status == "undefined" else reason
