"""What a gradient attack descends: margin, cross-entropy, difference of logits ratio, or the label loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Incompatible, Setting, Victim

LossName = Literal["margin", "ce", "dlr", "label"]
Loss = Callable[[Victim, Batch, Tensor], tuple[Tensor, Tensor]]


def margin_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """The margin itself, as Carlini & Wagner 2017, arXiv 1608.04644, descend it."""
    margin = batch.margin(victim(image))
    return margin, margin


def ce_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Less the cross-entropy of the label, or the cross-entropy of the target."""
    scores = victim(image)
    return _signed(F.cross_entropy(scores, _wanted(batch), reduction="none"), batch), batch.margin(scores)


def dlr_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Less the difference of logits ratio of Croce & Hein 2020, arXiv 2003.01690: a margin free of scale.

    The targeted form has the margin to the target on top, which is the paper's z_y - z_t wherever the label
    is the strongest of the other classes. Raises ``Incompatible`` where there are too few classes.
    """
    scores = victim(image)
    needed = _classes_of_dlr(batch.target is not None)
    if scores.shape[1] < needed:
        raise Incompatible(_too_few(scores.shape[1], needed))
    margin = batch.margin(scores)
    top = scores.topk(needed, dim=1).values
    spread = top[:, 0] - (top[:, 2] if batch.target is None else (top[:, 2] + top[:, 3]) / 2)
    return margin / (spread + 1e-12), margin


def label_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Less the label scheme's training loss of the label, or that of the target. It sees no detector."""
    return _signed(victim.loss(image, _wanted(batch)), batch), batch.margin(victim(image))


LOSSES: dict[LossName, Loss] = {"margin": margin_loss, "ce": ce_loss, "dlr": dlr_loss, "label": label_loss}


def forwards(name: LossName) -> int:
    """Forwards of one evaluation of a loss."""
    return 2 if name == "label" else 1


def refuse_loss(name: LossName, setting: Setting) -> str | None:
    """Why a loss can not be had in a setting, or None."""
    classes, needed = setting.dataset.classes, _classes_of_dlr(setting.goal == "targeted")
    return _too_few(classes, needed) if name == "dlr" and classes is not None and classes < needed else None


def _classes_of_dlr(targeted: bool) -> int:
    return 4 if targeted else 3


def _too_few(classes: int, needed: int) -> str:
    return f'loss = "dlr" needs at least {needed} classes here and there are {classes}; choose "margin" or "ce"'


def _wanted(batch: Batch) -> Tensor:
    return batch.y if batch.target is None else batch.target


def _signed(loss: Tensor, batch: Batch) -> Tensor:
    return -loss if batch.target is None else loss
