"""Paths: marginals are the forecast's, the past is past, and what is asked of them is what the law of a walk says."""

from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from coincast.candles import Candles
from coincast.errors import DataError
from coincast.feed import from_numpy
from coincast.fitted import fit, predict
from coincast.forecast import LEVELS, Forecast, K
from coincast.paths import Paths, reorder, shuffle, trajectories
from coincast.recipe import recipes
from coincast.sample import load
from coincast.worlds import Law, draw
from made import DAILY, candles_of, forecast_of, walk

BARS = 5
SIGMA = 0.02


def normal(bars: int, sigma: float = SIGMA) -> np.ndarray:
    """Values of a random walk of the log-price, horizon by horizon."""
    return sigma * np.sqrt(np.arange(1, bars + 1))[:, None] * norm.ppf(LEVELS)


def fan(candles: Candles, rows, bars: int = BARS) -> Forecast:
    return forecast_of(candles, rows, normal(bars), tuple(range(1, bars + 1)))


def paths_of(values: np.ndarray, price: float = 100.0) -> Paths:
    """Paths from one origin."""
    return Paths(DAILY, "made", np.array(["2020-01-01"], "datetime64[us]"), np.array([price]), values[None])


def coin(bars: int) -> np.ndarray:
    """Every path of a walk that goes up or down by one step of 0.01, each once."""
    return 0.01 * np.cumsum(list(product((-1, 1), repeat=bars)), axis=1)


def test_each_horizon_keeps_its_values_and_takes_the_order_of_the_past():
    candles = candles_of(walk(1400, 1))
    forecast = fan(candles, [1250, 1300, 1399])
    paths = shuffle(forecast, candles)
    assert paths.values.shape == (3, K, BARS)
    assert np.array_equal(np.sort(paths.values, axis=1), forecast.values.transpose(0, 2, 1))
    volatile = trajectories(candles, BARS, np.ones(len(candles)))
    for row, own in zip((1250, 1300, 1399), paths.values, strict=True):
        # Neighbouring horizons share all bars but one, in the past and so in the paths.
        correlation = np.corrcoef(own[:, -1], own[:, -2])[0, 1]
        assert correlation == pytest.approx(np.sqrt((BARS - 1) / BARS), abs=0.06)
        assert np.isnan(volatile[row - BARS + 1 :][-BARS:]).any()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 12), st.booleans())
def test_reordered_values_have_the_ranks_of_the_past(seed, bars, paths, tied):
    rng = np.random.default_rng(seed)
    values = np.sort(rng.normal(size=(bars, paths)), axis=1)
    past = rng.integers(0, 3, (paths, bars)).astype(float) if tied else rng.normal(size=(paths, bars))
    made = reorder(values, past)
    for h in range(bars):
        # The slow way: go through the past from its lowest to its highest, the first of equals first.
        order = sorted(range(paths), key=lambda k: (past[k, h], k))
        assert [made[k, h] for k in order] == values[h].tolist()


def test_a_trajectory_is_in_units_of_the_volatility_known_at_its_start_and_has_no_hole():
    closes = [100.0, 110.0, 121.0, 100.0, 100.0, 50.0]
    moves = trajectories(candles_of(closes, missing=[4]), 2, np.array([0.5, 0.1, 1.0, 1.0, 1.0, 1.0]))
    assert moves[0] == pytest.approx([2 * np.log(1.1), 2 * np.log(1.21)])
    assert moves[1] == pytest.approx([10 * np.log(1.1), 10 * np.log(100 / 110)])
    assert np.isnan(moves[2:]).all()


@pytest.mark.parametrize("hidden", [(), (900, 901, 1100)])
def test_paths_do_not_see_the_future(hidden):
    candles = candles_of(walk(1400, 2), hidden)
    forecast = fan(candles, range(1200, 1220, 3))
    paths = shuffle(forecast, candles)
    end = from_numpy(forecast.origin[-1])
    assert np.array_equal(shuffle(forecast, candles.until(end)).values, paths.values)
    after = pl.col("time") >= end
    changed = [
        pl.when(after).then(pl.col(name) * 3).otherwise(pl.col(name)) for name in ("open", "high", "low", "close")
    ]
    other = Candles(candles.feed, candles.frame.with_columns(changed))
    assert np.array_equal(shuffle(forecast, other).values, paths.values)
    for n in range(len(forecast)):
        one = forecast.take(np.arange(len(forecast)) == n)
        known = candles.until(from_numpy(one.origin[0]))
        assert np.array_equal(shuffle(one, known).values[0], paths.values[n])


def test_the_past_that_orders_paths_is_used_up_to_the_origin():
    candles = candles_of(walk(1400, 3))
    last = 1300
    changed = [
        pl.when(pl.int_range(pl.len()) == last - 1).then(pl.col(n) * 1.5).otherwise(pl.col(n))
        for n in candles.frame.columns[1:5]
    ]
    other = Candles(candles.feed, candles.frame.with_columns(changed))
    forecast = fan(candles, [last])
    assert not np.array_equal(shuffle(forecast, candles).values, shuffle(forecast, other).values)


def test_too_short_a_past_and_a_left_out_horizon_are_refused():
    candles = candles_of(walk(270, 4))
    enough = K + 60 + BARS - 1
    assert len(shuffle(fan(candles, [enough]), candles)) == 1
    with pytest.raises(DataError, match="198 unbroken") as error:
        shuffle(fan(candles, [enough - 1]), candles)
    assert "longer history" in error.value.do
    with pytest.raises(DataError, match="1, 7 bars") as error:
        shuffle(forecast_of(candles, [260], np.sort(np.zeros(K)), (1, 7)), candles)
    assert "1-7" in error.value.do


def test_paths_that_are_none_are_refused():
    good = paths_of(coin(3))
    for values in (good.values[0], good.values[:, :, :0], np.full_like(good.values, np.nan), good.values[[0, 0]]):
        with pytest.raises(DataError):
            replace(good, values=values.copy())


@pytest.mark.parametrize("bars", [1, 4, 9])
def test_a_walk_s_highest_close_is_what_the_reflection_principle_says(bars):
    paths = paths_of(coin(bars))
    ends = np.rint(paths.values[0, :, -1] / 0.01)
    for steps in range(1, bars + 1):
        expected = (ends >= steps).mean() + (ends > steps).mean()
        # Half a step nearer than the lattice, so that rounding decides nothing.
        level = 100 * np.exp(0.01 * (steps - 0.5))
        assert paths.touch(level, bars) == pytest.approx(expected)
        assert paths.touch(100**2 / level, bars) == pytest.approx(expected)
        assert (paths.maximum(bars) > 0.01 * (steps - 0.5)).mean() == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_drawdowns_and_touches_are_what_looking_at_every_pair_of_closes_finds(seed, within):
    paths = paths_of(np.random.default_rng(seed).normal(0, 0.1, (7, 6)))
    deepest, highest, lowest = [], [], []
    for path in paths.values[0]:
        prices = [100.0, *(100 * np.exp(path[:within]))]
        deepest.append(max(1 - later / sooner for n, sooner in enumerate(prices) for later in prices[n:]))
        highest.append(max(prices))
        lowest.append(min(prices[1:]))
    assert paths.maximum_drawdown(within)[0] == pytest.approx(deepest, abs=1e-12)
    assert 100 * np.exp(paths.maximum(within)[0]) == pytest.approx(highest)
    assert paths.drawdown(0.1, within)[0] == pytest.approx(np.mean(np.array(deepest) >= 0.1))
    assert paths.touch(110.0, within)[0] == pytest.approx(np.mean(np.array(highest) >= 110))
    assert paths.touch(95.0, within)[0] == pytest.approx(np.mean(np.array(lowest) <= 95))


def test_between_closes_a_brownian_price_is_touched_as_the_reflection_principle_says():
    rng = np.random.default_rng(0)
    half = np.cumsum(SIGMA * rng.normal(size=(20_000, 6)), axis=1)
    paths = paths_of(np.concatenate([half, -half]))
    for within, level in product((1, 3, 6), (0.01, 0.03, 0.06)):
        expected = 2 * norm.sf(level / SIGMA / np.sqrt(within))
        for side in (1, -1):
            said = paths.touch(100 * np.exp(side * level), within, anywhere=True)
            assert said == pytest.approx(expected, abs=0.008)
            assert said > paths.touch(100 * np.exp(side * level), within)


def test_a_price_already_there_is_touched_and_more_time_never_makes_it_less_likely():
    paths = paths_of(np.cumsum(np.random.default_rng(5).normal(0, 0.03, (K, 8)), axis=1))
    assert paths.touch(100.0, 1) == 1
    assert paths.touch(100.0, 1, anywhere=True) == 1
    for anywhere in (False, True):
        said = [paths.touch(108.0, h, anywhere=anywhere)[0] for h in range(1, 9)]
        assert said == sorted(said)
    still = paths_of(np.zeros((K, 8)))
    assert still.touch(101.0, 8, anywhere=True) == 0


def test_shuffled_paths_of_a_random_walk_touch_as_the_walk_does():
    bars, origins = 7, 30
    world = draw(Law(volatility=SIGMA, dof=1e6), 1500 + 250 * origins, seed=6).candles
    paths = shuffle(fan(world, 1500 + 250 * np.arange(origins), bars), world)
    rng = np.random.default_rng(1)
    true = paths_of(np.cumsum(SIGMA * rng.normal(size=(100_000, bars)), axis=1))
    for level in (1.02, 1.05, 0.95):
        said = paths.touch(level * paths.price, bars)
        error = said.std(ddof=1) / np.sqrt(origins)
        assert said.mean() == pytest.approx(true.touch(100 * level, bars)[0], abs=3 * error + 0.005)
    said = paths.maximum_drawdown(bars).mean(axis=1)
    assert said.mean() == pytest.approx(true.maximum_drawdown(bars).mean(), rel=0.02)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda paths: paths.touch(0.0, 1), "level 0"),
        (lambda paths: paths.touch(np.inf, 1), "level inf"),
        (lambda paths: paths.touch(100.0, 4), "reaches 4"),
        (lambda paths: paths.maximum(0), "reaches 0"),
        (lambda paths: paths.drawdown(1.0, 1), "drawdown of 1"),
    ],
)
def test_questions_without_sense_are_refused(ask, said):
    with pytest.raises(DataError, match=said):
        ask(paths_of(coin(3)))


@pytest.mark.parametrize("name", ["har-t", "garch-t", "season-t"])
def test_a_fan_over_every_day_of_two_weeks_widens(name):
    candles = load("btc-1d").candles
    [recipe] = recipes([name], {"horizons": range(1, 15)})
    newest = predict(fit(recipe, candles), candles)
    width = newest.quantile(0.9) - newest.quantile(0.1)
    assert (np.diff(width[0]) > -0.02 * width[0, 1:]).all()
    assert 2.5 < width[0, -1] / width[0, 0] < 5.5
