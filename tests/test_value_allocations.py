"""Allocations: by hand, and with no knowledge of what comes after their origin."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.forecast import LEVELS
from coincast.perturbation import futures
from coincast.value.allocations import BuyAndHold, DoNothing, Momentum, SignWithThreshold, VolatilityTarget
from made import HOURLY, candles_of, forecast_of, walk

ALLOCATIONS = [DoNothing(), BuyAndHold(), Momentum(), Momentum(days=1), VolatilityTarget(), SignWithThreshold(0.0024)]


def normal(scale, centre=0.0, rows=1, horizons=1):
    """Values of which the standard deviation is `scale`."""
    values = LEVELS - 0.5
    return np.broadcast_to(centre + scale * values / values.std(), (rows, horizons, len(LEVELS)))


def test_nothing_and_all():
    candles = candles_of(walk(10, 0))
    forecast = forecast_of(candles, [3, 4, 7], normal(0.02))
    assert DoNothing().weights(forecast, candles).tolist() == [0, 0, 0]
    assert BuyAndHold().weights(forecast, candles).tolist() == [1, 1, 1]


def test_momentum_looks_back_four_weeks_of_time():
    """The first price is the one to beat on the 28th bar after it, and no other is."""
    closes = [102.0, *[100.0] * 27, 101.0, 99.0, 100.5]
    daily = candles_of(closes)
    rows = [27, 28, 29, 30]
    assert Momentum().weights(forecast_of(daily, rows, 0.0), daily).tolist() == [0, 0, 0, 1]
    hourly = candles_of([102.0, *[100.0] * (28 * 24 - 1), 101.0, 99.0, 100.5], feed=HOURLY)
    rows = [28 * 24 - 1, 28 * 24, 28 * 24 + 1, 28 * 24 + 2]
    assert Momentum().weights(forecast_of(hourly, rows, 0.0), hourly).tolist() == [0, 0, 0, 1]


def test_the_target_is_the_spread_of_the_year_before():
    """A year of moves of 1 and -3 %, alternating about -1 %, spread 2 %: forecasts of 1, 1.9, 4, 8, 7.9 and 2.2 %."""
    moves = np.tile([0.01, -0.03], 300)
    candles = candles_of(100 * np.exp(np.cumsum(moves)))
    rows = [500, 501, 502, 503, 504, 505]
    spreads = [0.01, 0.019, 0.04, 0.08, 0.079, 0.022]
    values = np.concatenate([normal(spread) for spread in spreads])
    found = VolatilityTarget().weights(forecast_of(candles, rows, values), candles)
    assert found == pytest.approx([1.0, math.nan, 0.5, 0.25, math.nan, 0.02 / 0.022], nan_ok=True, abs=1e-3)
    at_once = VolatilityTarget(band=0.0).weights(forecast_of(candles, rows, values), candles)
    assert at_once == pytest.approx([1.0, math.nan, 0.5, 0.25, 0.02 / 0.079, 0.02 / 0.022], nan_ok=True, abs=1e-3)


def test_a_longer_horizon_has_a_wider_target_and_only_a_year_counts():
    moves = np.concatenate([np.tile([0.3, -0.3], 50), np.tile([0.02, -0.02], 200)])
    candles = candles_of(100 * np.exp(np.cumsum(moves)))
    forecast = forecast_of(candles, [480], normal(0.08), horizons=(4,))
    assert VolatilityTarget().weights(forecast, candles) == pytest.approx([0.5], abs=1e-3)


def test_bars_that_were_not_observed_make_the_year_neither_calmer_nor_wilder():
    """Forty bars are missing, over which the price has doubled."""
    moves = np.tile([0.02, -0.02], 100)
    moves[90] += np.log(2)
    candles = candles_of(100 * np.exp(np.cumsum(moves)), missing=range(50, 90))
    forecast = forecast_of(candles, [150], normal(0.04))
    assert VolatilityTarget().weights(forecast, candles) == pytest.approx([0.5], rel=0.02)


@pytest.mark.parametrize(("closes", "spread"), [([100.0] * 50, 0.0), ([100.0] * 50, 0.1), ([100.0], 0.1)])
def test_without_a_usual_spread_or_a_spread_the_weight_is_a_number(closes, spread):
    candles = candles_of(closes)
    forecast = forecast_of(candles, [len(closes) - 1], normal(spread))
    [weight] = VolatilityTarget().weights(forecast, candles)
    assert 0 <= weight <= 1


def test_a_sign_is_acted_on_where_it_exceeds_the_threshold():
    candles = candles_of(walk(10, 0))
    centres = np.log1p([0.0025, 0.0023, 0.0, -0.0025, -0.0023])
    values = np.concatenate([normal(0.02, centre) for centre in centres])
    forecast = forecast_of(candles, range(3, 8), values)
    assert SignWithThreshold(0.0024).weights(forecast, candles).tolist() == [1, 0, 0, -1, 0]
    assert SignWithThreshold().weights(forecast, candles).tolist() == [1, 1, 0, -1, -1]


@given(st.lists(st.floats(0.001, 0.2), min_size=1, max_size=40), st.floats(0, 0.5))
def test_what_is_ordered_is_never_further_than_the_band_from_what_is_wanted(spreads, band):
    candles = candles_of(walk(100, 3))
    forecast = forecast_of(candles, range(50, 50 + len(spreads)), np.concatenate([normal(s) for s in spreads]))
    wanted = VolatilityTarget(band=-1.0).weights(forecast, candles)
    assert (wanted > 0).all()
    assert (wanted <= 1).all()
    last = math.nan
    for share, order in zip(wanted, VolatilityTarget(band).weights(forecast, candles), strict=True):
        last = last if math.isnan(order) else order
        assert abs(share - last) <= band + 1e-12


@pytest.mark.parametrize("allocation", ALLOCATIONS, ids=repr)
def test_no_allocation_knows_a_bar_after_its_origin(allocation):
    candles, bar = candles_of(walk(120, 4), missing=[30, 70]), 80
    rows = [row for row in range(40, bar + 1) if candles.observed[row]]
    spreads = 0.01 + 0.05 * np.random.default_rng(0).random(len(rows))
    values = np.concatenate([normal(spread, spread - 0.03) for spread in spreads])
    forecast = forecast_of(candles, rows, values)
    expected = allocation.weights(forecast, candles)
    others = list(futures(candles, bar))
    assert len(others) > 3
    for words, other in others:
        assert allocation.weights(forecast, other).tobytes() == expected.tobytes(), words
