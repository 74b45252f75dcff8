"""Attacks on a published network against the distances published for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tiltyard import Batch, Classifier, Threat, Victim, distance
from tiltyard_native.attacks import DDN, PGD


@pytest.fixture(scope="module")
def network(published: Callable[[slice, str], tuple[Classifier, Batch]]) -> Classifier:
    return published(slice(64), "published")[0]


@pytest.fixture(scope="module")
def batch(published: Callable[[slice, str], tuple[Classifier, Batch]]) -> Batch:
    """The first 64 test images, less those that the network gets wrong."""
    return published(slice(64), "published")[1]


def test_ddn_and_pgd_agree_with_published_distances(network: Classifier, batch: Batch) -> None:
    """advertorch reports a median l2 of 1.388 for DDN with 1,000 steps on all 10,000 images."""
    image = DDN()(Victim(network, batch), batch, Threat("l2"))
    assert bool((batch.margin(network(image)) < 0).all())
    length = distance(image - batch.x, "l2")
    assert float(length.median()) == pytest.approx(1.388, abs=0.15)  # the median of 64 varies by about 0.06
    image = PGD()(Victim(network, batch), batch, Threat("l2", 1.388))
    broken = float((batch.margin(network(image)) < 0).float().mean())
    assert broken == pytest.approx(float((length <= 1.388).float().mean()), abs=0.06)


@pytest.mark.parametrize(("norm", "median"), [("linf", 0.1120), ("l1", 7.61)])
def test_pgd_breaks_half_at_the_published_median_of_fab(
    network: Classifier, batch: Batch, norm: str, median: float
) -> None:
    """FAB's medians are over all 10,000 images; a stronger attack breaks more than half at them."""
    image = PGD()(Victim(network, batch), batch, Threat(norm, median))  # type: ignore[arg-type]
    assert float((batch.margin(network(image)) < 0).float().mean()) > 0.45
