"""Tests of coverage against the published tables, and loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from coincast.coverage import PIT_BINS, conditional_coverage, coverage, independence, kupiec, pit_uniformity, wilson

# Kupiec (1995), as Jorion prints it: for each rate of misses and each number of days, the open interval of misses
# that a 5 % test does not reject. The first cell says only N < 7, though no miss at all in 255 days is rejected too
# (twice 255 ln(1 / 0.99) is 5.13), which is what an interval open at 0 says.
KUPIEC_1995 = {
    0.010: {255: (0, 7), 510: (1, 11), 1000: (4, 17)},
    0.025: {255: (2, 12), 510: (6, 21), 1000: (15, 36)},
    0.050: {255: (6, 21), 510: (16, 36), 1000: (37, 65)},
    0.075: {255: (11, 28), 510: (27, 51), 1000: (59, 92)},
    0.100: {255: (16, 36), 510: (38, 65), 1000: (81, 120)},
}
CELLS = [(rate, days, low, high) for rate, row in KUPIEC_1995.items() for days, (low, high) in row.items()]


@pytest.mark.parametrize(("rate", "days", "low", "high"), CELLS)
def test_kupiecs_table(rate, days, low, high):
    kept = [misses for misses in range(days + 1) if kupiec(misses, days, rate).p >= 0.05]
    assert kept == list(range(low + 1, high))


def test_matlabs_example_of_christoffersens_tests():
    """1,043 days, 57 failures, transitions 932, 53, 53, 4: MathWorks' documentation of varbacktest.cc."""
    runs = [2] * 4 + [1] * 49
    misses = np.zeros(1043, dtype=bool)
    position = 1
    for run in runs:
        misses[position : position + run] = True
        position += run + 1
    assert misses.sum() == 57
    share, independent = kupiec(57, 1043, 0.05), independence(misses)
    both = conditional_coverage(share, independent)
    assert (share.statistic, share.p) == (pytest.approx(0.46147, abs=5e-6), pytest.approx(0.49694, abs=5e-6))
    assert independent.statistic == pytest.approx(0.25866, abs=5e-6)
    assert independent.p == pytest.approx(0.61104, abs=5e-6)
    assert (both.statistic, both.p) == (pytest.approx(0.72013, abs=5e-6), pytest.approx(0.69763, abs=5e-6))
    judged = coverage(~misses, 0.95, horizon=1)
    assert (judged.kupiec_p, judged.independence_p) == (pytest.approx(share.p), independent.p)
    assert judged.christoffersen_p == pytest.approx(both.p)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from([0.5, 0.8, 0.95]), st.integers(1, 7))
def test_coverage_is_a_loop(hits, level, horizon):
    judged = coverage(np.array(hits), level, horizon)
    assert judged.share == pytest.approx(sum(hits) / len(hits))
    apart = hits[::horizon]
    misses = sum(not hit for hit in apart)
    assert judged.kupiec_p == kupiec(misses, len(apart), 1 - level).p
    assert 0 <= judged.low <= judged.share + 1e-12
    assert judged.share <= judged.high + 1e-12
    followed = apart[:-1]
    assert (judged.christoffersen_p is None) == (all(followed) or not any(followed))


def test_nothing_but_hits_and_nothing_but_misses():
    assert kupiec(0, 100, 0.05).statistic == pytest.approx(-200 * math.log(0.95))
    assert kupiec(100, 100, 0.05).statistic == pytest.approx(-200 * math.log(0.05))
    for hits in (np.ones(100, dtype=bool), np.zeros(100, dtype=bool)):
        judged = coverage(hits, 0.95, horizon=1)
        assert judged.kupiec_p < 0.01
        assert (judged.independence_p, judged.christoffersen_p) == (None, None)
    empty = coverage(np.ones(0, dtype=bool), 0.95, horizon=1)
    assert (empty.n, empty.share, empty.kupiec_p) == (0, None, None)


def test_clustered_misses_are_found_and_scattered_ones_are_not():
    clustered = np.ones(1000, dtype=bool)
    clustered[400:450] = False
    assert coverage(clustered, 0.95, horizon=1).kupiec_p > 0.9
    assert coverage(clustered, 0.95, horizon=1).independence_p < 1e-10
    scattered = np.random.default_rng(0).random(1000) < 0.95
    assert coverage(scattered, 0.95, horizon=1).christoffersen_p > 0.05


def test_wilsons_interval_and_the_price_of_overlap():
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-7)
    assert wilson(80, 100, horizon=10) == pytest.approx(proportion_confint(8, 10, method="wilson"))


def test_overlapping_targets_do_not_make_a_good_band_look_bad():
    """Hits that come in runs of seven, as those of seven-day forecasts do: at most 5 % + 2 s.e. rejected."""
    rng = np.random.default_rng(1)
    worlds = 400
    rejected = sum(coverage(np.repeat(rng.random(150) < 0.8, 7), 0.8, horizon=7).kupiec_p < 0.05 for _ in range(worlds))
    assert rejected / worlds <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds)


def test_pit_of_a_perfect_and_of_an_overconfident_forecaster():
    perfect = pit_uniformity(np.random.default_rng(2).random(2000), horizon=1)
    assert perfect.p > 0.05
    assert (len(perfect.counts), sum(perfect.counts)) == (PIT_BINS, 2000)
    even = pit_uniformity((np.arange(1000) + 0.5) / 1000, horizon=1)
    assert even.counts == (50,) * PIT_BINS
    assert even.distance == pytest.approx(0.0005)
    assert pit_uniformity(np.tile([0.01, 0.99], 50), horizon=1).p < 1e-6
    assert (pit_uniformity(np.ones(0), 1).distance, pit_uniformity(np.ones(0), 1).p) == (None, None)
