"""Which training images are held out, and which share of the others is used."""

from __future__ import annotations

import torch
from torch import Tensor

from ..contracts import Split
from ..spec.tables import Training


def divide(train: Split, recipe: Training, seed: int) -> tuple[Split, Split]:
    """The images to fit and the held-out ones, both as the seed draws them.

    The held-out share is taken class by class, and does not change with ``fraction``: curves of data
    efficiency are selected on the same images.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(train), generator=generator)
    held = _share(order, train.labels, recipe.validation)
    rest = order[~torch.isin(order, held)]
    if recipe.fraction < 1:
        rest = _share(rest, train.labels, recipe.fraction) if recipe.stratified else _first(rest, recipe.fraction)
    return train[rest.sort().values], train[held.sort().values]


def _share(order: Tensor, labels: Tensor, share: float) -> Tensor:
    """The first ``share`` of each class in ``order``, at least one of each."""
    return torch.cat([_first(order[labels[order] == label], share) for label in labels[order].unique().tolist()])


def _first(order: Tensor, share: float) -> Tensor:
    return order[: max(1, round(share * len(order)))]
