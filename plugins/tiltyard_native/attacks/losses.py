"""What a gradient attack descends: margin, cross-entropy, difference of logits ratio, or the label loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Incompatible, Setting, Victim, margin

LossName = Literal["margin", "ce", "dlr", "label"]
TowardsName = Literal["margin", "ce", "dlr"]
AnyName = TypeVar("AnyName", LossName, TowardsName)
Loss = Callable[[Victim, Batch, Tensor], tuple[Tensor, Tensor]]


def margin_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """The margin itself, as Carlini & Wagner 2017, arXiv 1608.04644, descend it."""
    margin = batch.margin(victim(image, batch.ids))
    return margin, margin


def ce_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Less the cross-entropy of the label, or the cross-entropy of the target."""
    scores = victim(image, batch.ids)
    return _signed(F.cross_entropy(scores, _wanted(batch), reduction="none"), batch), batch.margin(scores)


def dlr_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Less the difference of logits ratio of Croce & Hein 2020, arXiv 2003.01690: a margin free of scale.

    The targeted form has the margin to the target on top, which is the paper's z_y - z_t wherever the label
    is the strongest of the other classes. Raises ``Incompatible`` where there are too few classes.
    """
    scores = victim(image, batch.ids)
    needed = _classes_of_dlr(batch.target is not None)
    if scores.shape[1] < needed:
        raise Incompatible(_too_few(scores.shape[1], needed))
    margin = batch.margin(scores)
    return margin / _spread(scores, batch.target is not None), margin


def label_loss(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Less the label scheme's training loss of the label, or that of the target. It sees no detector."""
    return _signed(victim.loss(image, _wanted(batch), batch.ids), batch), batch.margin(victim(image, batch.ids))


LOSSES: dict[LossName, Loss] = {"margin": margin_loss, "ce": ce_loss, "dlr": dlr_loss, "label": label_loss}


def towards_margin(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """The label's score less that of ``batch.target``; Gowal et al. 2019, arXiv 1910.09338.

    This and the two below lead to one class, and return the margin to all the others with it.
    """
    scores = victim(image, batch.ids)
    return _gap(scores, batch), margin(scores, batch.y)


def towards_ce(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """The cross-entropy of ``batch.target``."""
    scores = victim(image, batch.ids)
    return F.cross_entropy(scores, _wanted(batch), reduction="none"), margin(scores, batch.y)


def towards_dlr(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """The targeted difference of logits ratio, (z_y - z_t) over the spread of the best scores; arXiv 2003.01690."""
    scores = victim(image, batch.ids)
    return _gap(scores, batch) / _spread(scores, targeted=True), margin(scores, batch.y)


TOWARDS: dict[TowardsName, Loss] = {"margin": towards_margin, "ce": towards_ce, "dlr": towards_dlr}


def forwards(name: LossName) -> int:
    """Forwards of one evaluation of a loss."""
    return 2 if name == "label" else 1


def fitting(name: AnyName, classes: int, *, targeted: bool) -> AnyName:
    """The loss, or the margin in place of a "dlr" that has too few classes."""
    return "margin" if name == "dlr" and classes < _classes_of_dlr(targeted) else name


def refuse_loss(name: LossName, setting: Setting) -> str | None:
    """Why a loss can not be had in a setting, or None."""
    classes, needed = setting.dataset.classes, _classes_of_dlr(setting.goal == "targeted")
    return _too_few(classes, needed) if name == "dlr" and classes is not None and classes < needed else None


def _classes_of_dlr(targeted: bool) -> int:
    return 4 if targeted else 3


def _too_few(classes: int, needed: int) -> str:
    return f'loss = "dlr" needs at least {needed} classes here and there are {classes}; choose "margin" or "ce"'


def _gap(scores: Tensor, batch: Batch) -> Tensor:
    columns = torch.stack([batch.y, _wanted(batch)], 1)
    own, other = scores.gather(1, columns).unbind(1)
    return own - other


def _spread(scores: Tensor, targeted: bool) -> Tensor:
    """What the ratio divides by: the best score less the third, or less the mean of the third and fourth."""
    top = scores.topk(_classes_of_dlr(targeted), dim=1).values
    return top[:, 0] - top[:, 2:].mean(1) + 1e-12


def _wanted(batch: Batch) -> Tensor:
    return batch.y if batch.target is None else batch.target


def _signed(loss: Tensor, batch: Batch) -> Tensor:
    return -loss if batch.target is None else loss
