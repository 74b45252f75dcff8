"""Intervals, paired tests, ranks and subsets: against published values, scipy, brute force and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from tiltyard.statistics import (
    adjusted,
    compare,
    difference,
    mcnemar,
    over_seeds,
    ranks,
    smallest_subset,
    sure,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_values_of_newcombe_1998_table_1(successes: int, count: int, low: float, high: float) -> None:
    assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_scipys() -> None:
    for count in (1, 7, 40):
        for successes in range(count + 1):
            expected = binomtest(successes, count).proportion_ci(0.95, "wilson")
            assert wilson(successes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_samples_have_no_interval() -> None:
    assert np.isnan([*wilson(0, 0), *over_seeds([], 0)]).all()


def test_one_seed_has_wilsons_interval_and_several_a_wider_one() -> None:
    assert over_seeds([0.3], 200) == pytest.approx(wilson(60, 200))
    assert over_seeds([0.3, 0.3, 0.3], 200) == pytest.approx(wilson(60, 200)), "seeds are no further images"
    low, high = over_seeds([0.2, 0.3, 0.4], 200)
    # Student: t(0.975, 2) = 4.302653, s = 0.1: an arm of 0.248414, squared and added to Wilson's.
    inner = wilson(60, 200)
    assert high - 0.3 == pytest.approx(np.hypot(inner[1] - 0.3, 4.302653 * 0.1 / np.sqrt(3)), abs=1e-6)
    assert 0.3 - low == pytest.approx(np.hypot(0.3 - inner[0], 4.302653 * 0.1 / np.sqrt(3)), abs=1e-6)


def test_intervals_over_seeds_cover_where_pooling_does_not() -> None:
    """Images of unequal hardness, seeds of unequal luck: 95 % must contain the accuracy expected of a new seed."""
    rng = np.random.default_rng(0)
    images, seeds, rounds, covered, pooled = 100, 3, 1500, 0, 0
    for _ in range(rounds):
        hardness, luck = rng.normal(size=images), 0.3 * rng.normal(size=seeds)
        held = hardness + luck[:, None] + 0.5 * rng.normal(size=(seeds, images)) > 0
        low, high = over_seeds(held.mean(axis=1).tolist(), images)
        covered += low <= 0.5 <= high  # by symmetry the expected accuracy is a half
        low, high = wilson(int(held.sum()), held.size)
        pooled += low <= 0.5 <= high
    assert covered / rounds > 0.94
    assert pooled / rounds < 0.8


def test_mcnemar_is_the_exact_test_of_a_fair_coin() -> None:
    assert mcnemar(np.array(1), np.array(8)) == 20 / 512
    counts = np.arange(12)
    p = mcnemar(counts[:, None], counts)
    for a, b in itertools.product(counts, counts):
        assert p[a, b] == pytest.approx(binomtest(int(a), int(a + b)).pvalue if a + b else 1)


def test_p_values_are_corrected_as_benjamini_and_hochberg_do() -> None:
    assert adjusted(np.array([0.01, 0.02, 0.03, 0.04, 0.05])) == pytest.approx([0.05] * 5)
    assert adjusted(np.array([0.04, 0.001, 0.9])) == pytest.approx([0.06, 0.003, 0.9])
    assert len(adjusted(np.array([]))) == 0


def test_a_comparison_counts_discordant_samples_and_knows_no_order() -> None:
    rng = np.random.default_rng(1)
    held, known = rng.random((1, 5, 60)) < 0.5, rng.random((1, 5, 60)) < 0.9
    found = compare(held, known)
    for i, j in itertools.permutations(range(5), 2):
        both = known[0, i] & known[0, j]
        assert found.only[i, j] == (held[0, i] & ~held[0, j] & both).sum()
        assert found.samples[i, j] == both.sum()
        expected = binomtest(int(found.only[i, j]), int(found.only[i, j] + found.only[j, i])).pvalue
        assert found.p[i, j] == pytest.approx(expected)
    order = rng.permutation(60)
    shuffled = compare(held[:, :, order], known[:, :, order])
    assert (shuffled.p == found.p).all()
    assert (shuffled.only == found.only).all()


def test_a_difference_over_seeds_is_as_sure_as_the_least_sure_seed() -> None:
    better, worse = np.ones(40, dtype=bool), np.arange(40) >= 12
    slightly = np.arange(40) >= 6
    known = np.ones((2, 2, 40), dtype=bool)
    agreeing = compare(np.array([[better, worse], [better, slightly]]), known)
    assert agreeing.p[0, 1] == pytest.approx(binomtest(0, 6).pvalue)
    assert agreeing.only[0, 1] == 18
    contradicting = compare(np.array([[better, worse], [worse, better]]), known)
    assert contradicting.p[0, 1] == 1


def test_things_without_a_common_sample_are_not_compared() -> None:
    known = np.array([[[True, False], [False, True]]])
    found = compare(np.ones((1, 2, 2), dtype=bool), known)
    assert len(found.pairs()[0]) == 0
    assert not found.surely_better().any()


def test_ranks_are_as_wide_as_what_is_not_sure() -> None:
    better = np.zeros((4, 4), dtype=bool)
    assert [rank.tolist() for rank in ranks(better)] == [[1] * 4, [4] * 4]
    better[0, 2:] = True  # the first surely beats the last two, and nothing else is sure
    low, high = ranks(better)
    assert low.tolist() == [1, 1, 2, 2]
    assert high.tolist() == [2, 4, 4, 4]


def test_sure_differences_are_holms() -> None:
    assert sure(np.array([0.04, 0.001, 0.011])).tolist() == [True, True, True]
    assert sure(np.array([0.04, 0.001, 0.03])).tolist() == [False, True, False], "2 x 0.03 stops the descent"
    assert sure(np.array([])).tolist() == []


def test_rank_intervals_hold_together_in_95_boards_of_100() -> None:
    """Twenty entries in five groups of equals, on images of unequal hardness."""
    rng = np.random.default_rng(2)
    chance, known = np.repeat(np.linspace(0.2, 0.8, 5), 4), np.ones((1, 20, 500), dtype=bool)
    first = np.array([1 + (chance > own).sum() for own in chance])
    last = np.array([20 - (chance < own).sum() for own in chance])
    right, widths, loose = [], [], []
    for _ in range(200):
        hardness = 0.6 * rng.random(500) + 0.4 * rng.random((20, 500))
        found = compare((hardness < chance[:, None])[None], known)
        low, high = ranks(found.surely_better())
        right.append(((low <= first) & (high >= last)).all())
        widths.append((high - low).mean())
        i, j = found.pairs()
        loose.append(((adjusted(found.p[i, j]) < 0.05) & (chance[i] == chance[j])).any())
    assert np.mean(right) >= 0.95
    assert np.mean(loose) > 0.3, "which a bound on the share of false claims would not give"
    assert np.mean(widths) < 4, "and they are not bought by telling nothing apart: 3 is the least"


def test_the_paired_difference_has_the_published_interval() -> None:
    """Altman et al. 2000, Statistics with Confidence, p. 52: 14, 5, 0, 22 pairs give 0.011 to 0.226."""
    low, high = difference(14, 0, 5, 22)
    assert (low, high) == pytest.approx((0.011, 0.226), abs=5e-4)
    assert difference(14, 5, 0, 22) == pytest.approx((-high, -low))


def test_no_difference_is_not_known_to_be_exactly_none() -> None:
    low, high = difference(20, 0, 0, 20)
    assert low < 0 < high
    assert np.isnan(difference(0, 0, 0, 0)).all()


def test_the_smallest_subset_is_the_one_that_brute_force_finds() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        broken = rng.random((6, 40)) < rng.random((6, 1)) * 0.6
        every = int(broken.any(axis=0).sum())
        needed = every - 3
        found = smallest_subset(broken, needed)
        sizes = [
            (size, -int(broken[list(chosen)].any(axis=0).sum()))
            for size in range(7)
            for chosen in itertools.combinations(range(6), size)
            if broken[list(chosen)].any(axis=0).sum() >= needed
        ]
        assert (int(found.sum()), -int(broken[found].any(axis=0).sum())) == min(sizes)


def test_many_attacks_are_covered_greedily_and_completely() -> None:
    broken = np.random.default_rng(4).random((25, 200)) < 0.2
    every = int(broken.any(axis=0).sum())
    found = smallest_subset(broken, every)
    assert broken[found].any(axis=0).sum() == every
    assert found.sum() < 25


def test_nothing_needs_no_attack() -> None:
    assert not smallest_subset(np.zeros((3, 5), dtype=bool), 0).any()
    assert not smallest_subset(np.zeros((20, 5), dtype=bool), 4).any(), "more than all cannot be asked for"
