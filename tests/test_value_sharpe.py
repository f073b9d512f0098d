"""Sharpe ratios: the published figures of both papers, a library's, and errors that are as large as they say."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from coincast.feed import Interval
from coincast.value.sharpe import Sharpe, _influence, annual, expected_maximum, lead, spread_of_luck

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skfolio.measures import deflated_sharpe_ratio, expected_max_sharpe_ratio, probabilistic_sharpe_ratio

RETURNS = st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=60).map(np.array).filter(lambda r: r.std() > 1e-6)


def test_the_probabilistic_ratio_of_the_paper():
    """Bailey and Lopez de Prado (2012): 0.458 a month over two years; hedge-fund shape, then as if it were normal."""
    shaped = Sharpe(n=24, ratio=0.458, skew=-2.448, kurtosis=10.164)
    assert shaped.probabilistic() == pytest.approx(0.913, abs=5e-4)
    assert shaped.probabilistic() == pytest.approx(0.91336, abs=5e-6)
    assert Sharpe(24, 0.458, 0.0, 3.0).probabilistic() == pytest.approx(0.982, abs=5e-4)


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "deflated"), [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)]
)
def test_the_deflated_ratio_of_the_paper(trials, skew, kurtosis, deflated):
    """Bailey and Lopez de Prado (2014): 2.5 a year over 1,250 days of 250 a year, variance of the trials 1/2 a year."""
    hurdle = expected_maximum(math.sqrt(0.5 / 250), trials)
    if trials == 100:
        assert hurdle == pytest.approx(0.1132, abs=5e-5)
    ratio = Sharpe(1250, 2.5 / math.sqrt(250), skew, kurtosis)
    assert ratio.probabilistic(hurdle) == pytest.approx(deflated, abs=5e-5)


@given(RETURNS, st.floats(-0.5, 0.5))
def test_the_probabilistic_ratio_is_skfolios(returns, benchmark):
    found, theirs = Sharpe.of(returns), probabilistic_sharpe_ratio(returns, benchmark)
    if found is not None and math.isfinite(theirs) and found.error > 1e-6:
        assert found.probabilistic(benchmark) == pytest.approx(theirs, abs=1e-9)


@given(RETURNS, st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_the_deflated_ratio_is_skfolios(returns, ratios):
    found, theirs = Sharpe.of(returns), deflated_sharpe_ratio(returns, np.array(ratios))
    if found is not None and math.isfinite(theirs) and found.error > 1e-6:
        assert found.probabilistic(expected_maximum(np.std(ratios, ddof=1), len(ratios))) == pytest.approx(
            theirs, abs=1e-9
        )


@given(st.floats(0, 2), st.integers(2, 5000))
def test_the_expected_maximum_is_skfolios(spread, trials):
    assert expected_maximum(spread, trials) == pytest.approx(expected_max_sharpe_ratio(trials, spread))


def test_one_try_needs_no_deflation():
    assert expected_maximum(0.3, 1) == 0.0


def test_the_best_of_many_tries_without_skill_is_as_good_as_expected():
    random, bars, trials = np.random.default_rng(2), 300, 50
    best = [max(Sharpe.of(r).ratio for r in random.standard_t(5, (trials, bars))) for _ in range(200)]
    assert expected_maximum(spread_of_luck(bars), trials) == pytest.approx(np.mean(best), rel=0.03)
    assert spread_of_luck(0) == spread_of_luck(1) == 0.0


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.2], [0.0] * 9, [0.01] * 9])
def test_too_few_or_equal_returns_have_no_ratio(returns):
    assert Sharpe.of(np.array(returns, dtype=float)) is None


def test_mertens_error_is_the_spread_of_the_ratio_over_many_samples():
    random = np.random.default_rng(3)
    # A skewed law with heavy tails: minus a shifted gamma.
    samples = 0.15 - (random.gamma(2.0, size=(4000, 250)) - 2) / math.sqrt(2)
    found = [Sharpe.of(sample) for sample in samples]
    spread = np.std([one.ratio for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.05)


def test_a_year_of_365_days():
    assert annual(0.1, Interval("1d")) == pytest.approx(0.1 * math.sqrt(365))
    assert annual(0.1, Interval("1h")) == pytest.approx(0.1 * math.sqrt(8760))
    assert annual(0.1, Interval("1w")) == pytest.approx(0.1 * math.sqrt(365 / 7))


def pairs(count, n, ratios, correlation, seed):
    random = np.random.default_rng(seed)
    shocks = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=(count, n))
    return np.moveaxis(shocks, -1, 0) + np.array(ratios)[:, None, None]


def test_the_error_of_a_lead_is_memmels():
    """Memmel (2003), "Performance hypothesis testing with the Sharpe ratio", for independent normal returns."""
    correlation, (a, b), n = 0.6, (0.3, 0.1), 20_000
    own, others = pairs(1, n, (a, b), correlation, seed=4)
    variance = 2 - 2 * correlation + (a**2 + b**2 - 2 * a * b * correlation**2) / 2
    found = lead(own[0], others[0])
    assert found.error == pytest.approx(math.sqrt(variance / n), rel=0.05)
    assert found.difference == pytest.approx(a - b, abs=4 * found.error)


def test_equal_ratios_are_told_apart_in_a_twentieth_of_cases():
    worlds, n = 1000, 400
    own, others = pairs(worlds, n, (0.1, 0.1), 0.5, seed=5)
    rejected = np.mean([lead(a, b).p < 0.05 for a, b in zip(own, others, strict=True)])
    # Bartlett weights make a long-run variance a little too small.
    assert 0.03 < rejected < 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds) + 0.01


def test_a_true_lead_is_found():
    own, others = pairs(1, 2000, (0.2, 0.0), 0.5, seed=6)
    assert lead(own[0], others[0]).p < 0.001
    assert lead(others[0], own[0]).p > 0.999


def test_no_lead_over_oneself_or_over_nothing():
    returns = np.random.default_rng(0).normal(size=50)
    assert lead(returns, returns) is None
    assert lead(returns, np.zeros(50)) is None


@given(st.integers(0, 10_000))
def test_what_a_return_does_to_the_ratio_is_a_derivative(seed):
    returns = np.random.default_rng(seed).normal(0.1, 1, 40)
    share, put = 1e-6, 7

    def ratio(weights):
        mean = weights @ returns
        return mean / math.sqrt(weights @ (returns - mean) ** 2)

    even = np.full(40, 1 / 40)
    more = (1 - share) * even + share * np.eye(40)[put]
    assert _influence(returns)[put] == pytest.approx((ratio(more) - ratio(even)) / share, abs=1e-4)


def test_the_probability_is_that_of_the_normal_law():
    found = Sharpe(101, 0.1, 0.0, 3.0)
    assert found.probabilistic() == pytest.approx(norm.cdf(0.1 * 10 / math.sqrt(1 + 0.5 * 0.01)))
