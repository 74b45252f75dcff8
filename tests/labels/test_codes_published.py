"""The recipes reproduce what is known of the published codebooks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tiltyard import Files
from tiltyard_labels import label_schemes

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = tuple(f"class {i}" for i in range(100))

# Name, min, max, mean, sd, mean-square distance of two codes (root; min, mean, max), share of the variance along
# one and three directions, smooth-L1 distance to the median: measured on the arrays published for CIFAR-10.
STATISTICS = [
    ("random", "0.00 80.00 40.06 23.12 31.81 32.67 33.31 .12 .35 17.74"),
    ("lowdim", "0.06 79.34 36.82 22.80 18.0 32.5 43.9 .33 .73 18.33"),
    ("uniform", "0.0 80.0 40.0 25.53 8.89 32.59 80.0 1.00 1.00 21.72"),
    ("composite", ".0006 80.00 28.42 18.31 20.93 24.20 27.58 .18 .51 12.50"),
]

# Induced matrix norms (vector norms for lowdim) of the differences of two codes, all scaled to [0, 1]: mean and
# sd of the 1-norm and of the 2-norm, as an executed notebook of the robust_labels project prints them.
NORMS = [
    ("random", [25.82, 0.94, 6.35, 0.16]),
    ("lowdim", [3.41, 0.77, 1.30, 0.25]),
    ("uniform", [26.07, 15.72, 26.07, 15.72]),
    ("composite", [24.06, 3.36, 14.12, 1.72]),
]


def codes(name: str, classes: tuple[str, ...] = CIFAR10, **keys: object) -> NDArray[np.float32]:
    array: NDArray[np.float32] = label_schemes()[name](**keys)(classes, Files((Path(),))).codes.numpy()
    return array


def differences(array: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [a - b for i, a in enumerate(array) for b in array[:i]]


def statistics(array: NDArray[np.float64]) -> list[float]:
    distances = [np.sqrt((d**2).mean()) for d in differences(array)]
    flat = array.reshape(len(array), -1)
    power = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
    shares = power.cumsum() / power.sum()
    gap = np.abs(array - np.median(array, axis=0))
    ignorance = np.where(gap < 1, gap**2 / 2, gap - 0.5).mean()
    spread = [min(distances), float(np.mean(distances)), max(distances)]
    return [array.min(), array.max(), array.mean(), array.std(), *spread, shares[0], shares[2], ignorance]


@pytest.mark.parametrize(("name", "expected"), STATISTICS)
def test_statistics_are_those_of_the_published_arrays(name: str, expected: str) -> None:
    """Every printed digit agrees."""
    found = statistics(codes(name).astype(np.float64))
    decimals = [len(number.partition(".")[2]) for number in expected.split()]
    rounded = [round(float(value), places) for value, places in zip(found, decimals, strict=True)]
    assert rounded == [float(number) for number in expected.split()]


@pytest.mark.parametrize(("name", "expected"), NORMS)
def test_norms_are_those_of_the_published_notebook(name: str, expected: list[float]) -> None:
    array = codes(name).astype(np.float64)
    pairs = differences((array - array.min()) / (array.max() - array.min()))
    found = [[np.linalg.norm(pair, order) for pair in pairs] for order in (1, 2)]
    assert [round(float(f(norms)), 2) for norms in found for f in (np.mean, np.std)] == expected


def test_random_and_lowdim_are_the_published_stream() -> None:
    """One legacy stream with seed 48; lowdim is its first hundred numbers, CIFAR-10 the first tenth of CIFAR-100."""
    stream = np.random.RandomState(48).random_sample(100 * 64 * 64) * 80
    assert np.array_equal(codes("random", CIFAR100).ravel(), stream.astype(np.float32))
    assert np.array_equal(codes("random").ravel(), stream[:40960].astype(np.float32))
    assert np.array_equal(codes("lowdim").ravel(), stream[:100].astype(np.float32))
    digest = hashlib.sha256(codes("random").tobytes()).hexdigest()
    assert digest.startswith("dfa41820699fc951")


def test_uniform_codes_are_multiples_of_80_over_9() -> None:
    array = codes("uniform")
    assert (array == array[:, :1, :1]).all()
    steps = np.array([80 * i / 9 for i in range(10)]).astype(np.float32)
    assert np.array_equal(array[:, 0, 0], steps)


def test_composite_for_ten_classes_begins_the_one_for_a_hundred() -> None:
    assert np.array_equal(codes("composite", CIFAR100)[:10], codes("composite"))


def test_composite_codes_are_smooth() -> None:
    """Neighbouring cells of sums of wide Gaussians are close, unlike those of random codes."""
    array = codes("composite")
    assert np.abs(np.diff(array, axis=2)).mean() < 2 < np.abs(np.diff(codes("random"), axis=2)).mean()


def test_normal_codes_follow_their_distribution() -> None:
    """Class i is N(i, 0.1) in every cell: the codebook is of rank one but for the noise."""
    array = codes("normal", dimension=4000)
    assert array.shape == (10, 4000)
    assert np.abs(array.mean(1) - np.arange(10)).max() < 5 * 0.1 / np.sqrt(4000)
    assert np.abs(array.std(1) - 0.1).max() < 0.006
    distances = [np.sqrt((d**2).mean()) for d in differences(array)]
    published = [1.01, 3.67, 9.00]
    assert np.allclose([min(distances), np.mean(distances), max(distances)], published, atol=0.02)


@pytest.mark.parametrize(("gap", "mean_distance", "share"), [(0.0, 3.57, 0.22), (1.0, 5.30, 0.64), (10.0, 37.1, 0.993)])
def test_gap_codes_follow_their_distribution(gap: float, mean_distance: float, share: float) -> None:
    """Ranges are [i gap, 9 + i gap]; distances and rank are near those of the published draw of another seed."""
    array = codes("gap", gap=gap).astype(np.float64)
    assert array.shape == (10, 50)
    low = gap * np.arange(10)[:, None]
    assert ((array >= low) & (array <= low + 9)).all()
    found = statistics(array)
    assert found[5] == pytest.approx(mean_distance, rel=0.06)
    assert found[7] == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("name", ["random", "lowdim", "normal", "gap", "shuffle"])
def test_another_seed_gives_other_codes(name: str) -> None:
    assert np.array_equal(codes(name, seed=3), codes(name, seed=3))
    assert not np.array_equal(codes(name, seed=3), codes(name, seed=4))
