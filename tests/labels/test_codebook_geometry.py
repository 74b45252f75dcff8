"""The geometry of codebooks: closed forms, a reference implementation, and what is known of the published arrays."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tiltyard import Files
from tiltyard.geometry import coherence, effective_rank, geometry, overlap, pair_distances, variance_shares
from tiltyard_labels import label_schemes

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DRAW = np.random.RandomState(0)

# Root-mean-square distance of two codes (min, mean, max over pairs) and share of the variance along the first
# direction, as measured on the arrays published for CIFAR-10.
PUBLISHED = [
    ("random", 31.81, 32.67, 33.31, 0.12),
    ("lowdim", 18.0, 32.5, 43.9, 0.33),
    ("uniform", 8.89, 32.59, 80.0, 1.00),
    ("composite", 20.93, 24.20, 27.58, 0.18),
]


def codes(name: str, **keys: object) -> np.ndarray:
    scheme = label_schemes()[name](**keys)(CIFAR10, Files((Path(),)))
    return scheme.codes.flatten(1).double().numpy()


@pytest.mark.parametrize(("name", "least", "mean", "most", "top"), PUBLISHED)
def test_distances_and_top_shares_are_those_of_the_published_arrays(
    name: str, least: float, mean: float, most: float, top: float
) -> None:
    """Every printed digit agrees."""
    distances = pair_distances(codes(name))
    digits = 1 if name == "lowdim" else 2
    found = [round(float(value), digits) for value in (distances.min(), distances.mean(), distances.max())]
    assert found == [least, mean, most]
    table = geometry(codes(name))
    assert (round(table.min_distance, digits), round(table.rms_distance, digits)) == (least, mean)
    assert round(table.top_share, 2) == top


def test_the_random_codebook_is_nearly_the_simplex_it_is_said_to_be() -> None:
    """Published: cosines of two centred codes between -.15 and -.07."""
    found = geometry(codes("random"))
    assert found.dimension == 4096
    assert round(found.coherence, 2) == 0.15
    assert 8.9 < found.effective_rank < 9


@pytest.mark.parametrize(("dimension", "least", "mean"), [(50, 0.98, 3.68), (4000, 1.01, 3.67)])
def test_the_normal_family_is_a_line_whatever_its_dimension(dimension: int, least: float, mean: float) -> None:
    """The distribution is the published one, the draws are not: the figures agree within what draws differ."""
    found = geometry(codes("normal", dimension=dimension))
    assert found.min_distance == pytest.approx(least, abs=0.03)
    assert found.rms_distance == pytest.approx(mean, abs=0.03)
    assert found.top_share == pytest.approx(0.999, abs=0.001)
    assert found.effective_rank < 1.02


@pytest.mark.parametrize(
    ("gap", "mean", "top"), [(0.0, 3.57, 0.22), (0.1, 3.57, 0.21), (1.0, 5.30, 0.64), (10.0, 37.1, 0.993)]
)
def test_the_gap_family_is_that_of_the_published_arrays_but_for_the_draw(gap: float, mean: float, top: float) -> None:
    found = geometry(codes("gap", gap=gap))
    assert found.rms_distance == pytest.approx(mean, rel=0.06)
    assert found.top_share == pytest.approx(top, abs=0.025)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_one_hot_codes_are_a_simplex(classes: int) -> None:
    """K - 1 directions of equal variance, cosines of -1 / (K - 1), all distances sqrt(2 / K)."""
    found = geometry(np.eye(classes))
    assert found.effective_rank == pytest.approx(classes - 1)
    assert found.top_share == pytest.approx(1 / (classes - 1))
    assert found.coherence == pytest.approx(1 / (classes - 1))
    assert (found.rms_distance, found.min_distance) == pytest.approx((np.sqrt(2 / classes),) * 2)
    assert found.overlap == pytest.approx(1)


def test_codes_on_a_line_have_rank_one_and_a_code_at_the_mean_has_no_direction() -> None:
    line = np.outer(np.arange(3), np.full(7, 1 / 3))
    assert effective_rank(variance_shares(line)) == pytest.approx(1)
    assert coherence(line) == pytest.approx(1)
    assert coherence(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])) == pytest.approx(1)


def test_geometry_is_that_of_the_codes_up_to_scale_shift_and_the_order_of_cells() -> None:
    drawn = DRAW.normal(size=(6, 40))
    moved = 3 * drawn[:, DRAW.permutation(40)] + 5
    one, other = geometry(drawn), geometry(moved)
    for name in ("effective_rank", "top_share", "coherence", "overlap"):
        assert getattr(other, name) == pytest.approx(getattr(one, name)), name
    assert other.rms_distance == pytest.approx(3 * one.rms_distance)
    assert other.min_distance == pytest.approx(3 * one.min_distance)


@pytest.mark.parametrize("ties", [False, True])
def test_overlap_is_one_less_the_kolmogorov_smirnov_statistic_of_scipy(ties: bool) -> None:
    drawn = DRAW.normal(np.arange(5)[:, None], 2, size=(5, 60))
    drawn = drawn.round() if ties else drawn
    expected = [1 - ks_2samp(one, other, method="asymp").statistic for one, other in combinations(drawn, 2)]
    assert overlap(drawn) == pytest.approx(np.mean(expected))


def test_overlap_is_the_common_share_of_two_shifted_uniform_ranges() -> None:
    """U(0, 9) and U(g, 9 + g) share 1 - g / 9 of their range; disjoint ranges share nothing."""
    unit = (np.arange(9000) + 0.5) / 1000
    for gap in (0.1, 1.0, 4.5):
        assert overlap(np.stack([unit, unit + gap])) == pytest.approx(1 - gap / 9, abs=2e-3)
    assert overlap(np.stack([unit, unit + 10])) == 0


def test_the_table_of_the_page_is_what_the_columns_say() -> None:
    """docs/labels.md, cell by cell, as printed."""
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text().partition("## Geometry")[2]
    rows = re.findall(r"^\| `(\w+)`(?:, (\w+) = ([\d.]+))? \| (\d+) \| (.*) \|$", page, re.M)
    assert len(rows) == 11
    for name, key, value, dimension, numbers in rows:
        keys = {key: int(value) if key == "dimension" else float(value)} if key else {}
        found = geometry(codes(name, **keys))
        assert found.dimension == int(dimension)
        columns = ("rms_distance", "min_distance", "effective_rank", "top_share", "coherence", "overlap")
        assert [f"{getattr(found, column):.2f}" for column in columns] == numbers.split(" | "), name


def test_shuffled_columns_change_distances_and_no_overlap() -> None:
    speech, shuffle = geometry(codes("speech")), geometry(codes("shuffle"))
    assert shuffle.overlap == pytest.approx(speech.overlap)
    assert shuffle.effective_rank > speech.effective_rank
