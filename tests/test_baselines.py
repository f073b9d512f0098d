"""Models without a network: their parts against other libraries and by hand, and what they find in worlds that are
known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from coincast.backtest import backtest
from coincast.candles import Candles
from coincast.features import compute
from coincast.feed import Interval, from_numpy
from coincast.forecast import LEVELS
from coincast.forecaster import unwatched
from coincast.models import MODELS, model_named
from coincast.models.boosted import DOF, LEARNT, BoostedQ, _spread
from coincast.models.drift import Drift
from coincast.models.ewma_fhs import EwmaFhs
from coincast.models.har_t import HarT
from coincast.models.linear_t import LinearT
from coincast.models.range_t import RangeT
from coincast.models.season_t import SeasonT, slots_of
from coincast.recipe import Recipe
from coincast.scores import score
from coincast.student_t import regress
from coincast.windows import cut
from coincast.worlds import Law, draw
from made import candles_of, walk

HOURLY = "binance:BTC/USDT:1h"
NETWORKS = {"lstm", "gru", "tcn"}
# All that forecast a distribution from a volatility.
BASELINES = [name for name in MODELS if not (NETWORKS | {"naive", "drift"}) & set(name.split("-"))]


def learnt(model, candles, horizons=(1,), by=None):
    windows = cut(candles, model.features, model.lookback, horizons, model.at_least)
    return windows, model.fit(windows.settled(by=by or candles.end), [0], unwatched).state


# --- the scale of a Student-t -----------------------------------------------------------------------------------------


def test_without_inputs_a_regression_is_scipys_fit():
    y = 0.02 * stats.t.rvs(4, size=3000, random_state=1)
    found = regress(y, np.zeros((3000, 0)), np.ones(3000), 0.0)
    dof, _, scale = stats.t.fit(y, floc=0)
    assert found.dof == pytest.approx(dof, rel=1e-2)
    assert np.exp(found.intercept) == pytest.approx(scale, rel=1e-3)


def test_a_regression_is_where_scipys_density_is_greatest():
    """Against a search without gradients, from the same density as another library writes it."""
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=(400, 2)), rng.uniform(0.1, 1, 400)
    y = np.exp(-3 + x @ [0.4, -0.2]) * rng.standard_t(5, 400)

    def loss(theta):
        density = stats.t.logpdf(y, theta[1], scale=np.exp(theta[0] + x @ theta[2:]))
        return -(weights / weights.mean()) @ density + 3.0 / 2 * np.sum(np.square(theta[2:]))

    found = regress(y, x, weights, 3.0)
    other = optimize.minimize(loss, [-3, 5, 0, 0], method="Nelder-Mead", options={"xatol": 1e-8, "maxiter": 9000})
    assert loss([found.intercept, found.dof, *found.slopes]) <= other.fun + 1e-4
    np.testing.assert_allclose([found.intercept, *found.slopes], other.x[[0, 2, 3]], atol=2e-3)


@given(shift=st.floats(-3, 3), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_larger_moves_are_a_larger_scale_and_nothing_else(shift, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 1))
    y = 0.03 * np.exp(0.3 * x[:, 0]) * rng.standard_t(4, 300)
    here, there = (regress(moves, x, np.ones(300), 1.0) for moves in (y, np.exp(shift) * y))
    assert there.intercept == pytest.approx(here.intercept + shift, abs=5e-3)
    np.testing.assert_allclose(there.slopes, here.slopes, atol=5e-3)


# --- features of volatility -------------------------------------------------------------------------------------------


def test_the_ranges_of_a_random_walk_have_its_volatility():
    """Parkinson's variance of a path that is watched all the time; a world's bars are watched in steps, and so less."""
    rng = np.random.default_rng(0)
    steps = 0.03 / np.sqrt(500) * rng.standard_normal((4000, 500))
    paths = np.cumsum(steps, axis=1)
    span = np.maximum(paths.max(axis=1), 0) - np.minimum(paths.min(axis=1), 0)
    candles = candles_of(np.full(4000, 1000.0))
    wide = Candles(candles.feed, candles.frame.with_columns(high=1000 * np.exp(span)))
    values = compute(wide, ["range_volatility_30d", "range_variance"])
    assert np.sqrt(values[:, 1].mean()) == pytest.approx(0.03, rel=0.05)
    assert values[3000:, 0].mean() == pytest.approx(0.03, rel=0.1)


def test_averages_over_days_are_pandas_rolling_means():
    candles = draw(Law(), 900, seed=3, feed=HOURLY).candles
    frame = candles.frame.to_pandas()
    variance = np.log(frame["high"] / frame["low"]) ** 2 / (4 * np.log(2)) + 1e-8
    found = compute(candles, ["range_day", "range_week", "range_month"])
    for column, bars in enumerate((24, 168, 720)):
        expected = np.log(variance.rolling(bars, min_periods=1).mean()) / 2
        known = np.isfinite(found[:, column])
        np.testing.assert_allclose(found[known, column], expected[known], rtol=1e-9)


def test_a_weekday_is_that_of_the_bar_to_come():
    candles = candles_of(walk(40, seed=0))
    names = [from_numpy(time).strftime("%A") for time in candles.known_at]
    saturday, monday, weekend = compute(candles, ["saturday", "monday", "weekend"]).T
    assert saturday.tolist() == [name == "Saturday" for name in names]
    assert monday.tolist() == [name == "Monday" for name in names]
    assert weekend.tolist() == [name in ("Saturday", "Sunday") for name in names]


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_drift_continues_the_line_from_the_first_close_to_the_last():
    closes = walk(50, seed=1)
    candles = candles_of(closes)
    windows, state = learnt(Drift(), candles, (1, 7))
    expected = np.log(closes[-1] / closes[0]) / 49
    said = Drift().predict(state, windows)
    np.testing.assert_allclose(said[:, 0], expected)
    np.testing.assert_allclose(said[:, 1], 7 * expected)


def test_past_shocks_times_the_latest_volatility():
    candles = candles_of(walk(400, seed=2))
    model = EwmaFhs(window=100)
    windows, state = learnt(model, candles, (3,))
    returns = pd.Series(np.log(candles.close)).diff()
    variance = (returns**2).iloc[1:].ewm(alpha=0.06, adjust=False).mean().reindex(returns.index)
    moves = returns.rolling(3).sum().shift(-3) / np.sqrt(3 * variance)
    z = np.quantile(moves.dropna().iloc[-100:], LEVELS, method="hazen")
    np.testing.assert_allclose(model.predict(state, windows)[-1, 0], z * np.sqrt(3 * variance.iloc[-1]), rtol=1e-9)


@pytest.mark.parametrize(
    ("moment", "interval", "slot"),
    [
        ("2024-01-01T00:00", "1h", 0),
        ("2024-01-07T23:00", "1h", 167),
        ("2024-01-03T00:00", "1d", 2),
        ("1969-12-30T06:00", "6h", 5),
        ("2024-01-01T00:00", "1w", 0),
    ],
)
def test_the_slot_of_a_bar_in_its_week(moment, interval, slot):
    assert slots_of(np.array([moment], dtype="datetime64[us]"), Interval(interval)).tolist() == [slot]


def test_quantiles_of_the_law_between_which_lines_are_drawn_are_met_exactly():
    told = 0.1 + 2 * stats.t.ppf(LEARNT, DOF)[None]
    np.testing.assert_allclose(_spread(told)[0], 0.1 + 2 * stats.t.ppf(LEVELS, DOF), atol=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=len(LEARNT), max_size=len(LEARNT)))
def test_quantiles_between_those_learnt_ascend(told):
    assert (np.diff(_spread(np.sort(np.array([told]), axis=1))) >= -1e-12).all()


# --- worlds that are known --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hours():
    """Half a year of hours, three times as lively in the middle of the week as at its end."""
    return draw(Law(volatility=0.006, dof=5, swing=0.5, period=168), 24 * 182, seed=4, feed=HOURLY)


def test_the_profile_of_the_week_is_found(hours):
    _, state = learnt(SeasonT(), hours.candles)
    bars = np.arange(168)
    first = int(slots_of(hours.candles.time[:1], hours.candles.feed.interval)[0])
    planted = 1 + 0.5 * np.sin(2 * np.pi * ((bars - first) % 168) / 168)
    assert len(state["profile"]) == 168
    assert np.corrcoef(state["profile"], planted)[0, 1] > 0.9


def test_who_knows_the_week_forecasts_a_lively_week_better(hours):
    start = from_numpy(hours.candles.known_at[24 * 120])
    even, season = (
        score(backtest([Recipe(model, horizons=(1,))], hours.candles, start)[0].forecast, hours.candles)["crps"].mean()
        for model in (RangeT(), SeasonT())
    )
    truth = score(hours.forecast(start, (1,)), hours.candles)["crps"].mean()
    assert truth < season < even
    assert (season - truth) < 0.5 * (even - truth)


@pytest.mark.parametrize(
    "model", [HarT(), LinearT(), BoostedQ(trees=20), EwmaFhs(), RangeT(), SeasonT()], ids=lambda model: model.name
)
def test_no_model_without_a_network_beats_the_law_of_a_garch_world(model):
    world = draw(Law(alpha=0.1, beta=0.85, dof=5), 1500, seed=5)
    start = from_numpy(world.candles.known_at[1000])
    truth = score(world.forecast(start, (1,)), world.candles)["crps"].to_numpy()
    [walked] = backtest([Recipe(model, horizons=(1,), refit_every=250)], world.candles, start)
    own = score(walked.forecast, world.candles)["crps"].to_numpy()
    gap = own - truth
    gap = gap[np.isfinite(gap)]
    assert gap.mean() > -2 * gap.std() / np.sqrt(len(gap))
    assert gap.mean() < 0.1 * np.nanmean(truth)


# --- a long gap -------------------------------------------------------------------------------------------------------


def with_gap(candles, first, bars):
    """The same candles with a hole that is filled in."""
    hole = pl.int_range(len(candles)).is_between(first, first + bars - 1)
    level = float(candles.close[first - 1])
    prices = {name: pl.when(hole).then(level).otherwise(name) for name in ("open", "high", "low", "close")}
    volume = pl.when(hole).then(0.0).otherwise("volume")
    return Candles(candles.feed, candles.frame.with_columns(**prices, volume=volume, observed=~hole))


@pytest.mark.parametrize("name", BASELINES)
def test_two_months_without_a_bar_are_no_quiet_market(name):
    """They go on from where the market was; to take the hole for calm days would narrow what is said after it."""
    whole = draw(Law(dof=5.0), 700, seed=4).candles
    recipe = Recipe(model_named(name)(), horizons=(1,), refit_every=20)
    [walk] = backtest([recipe], with_gap(whole, 380, 60), from_numpy(whole.known_at[370]))
    assert walk.forecast.origin[10] == whole.known_at[440]
    assert [np.datetime64(one.cutoff.replace(tzinfo=None)) for one in walk.fitted[:2]] == [*whole.known_at[[370, 430]]]
    width = np.subtract(*walk.forecast.values[:, 0, [179, 19]].T)
    assert 2 / 3 < np.median(width[10:13]) / np.median(width[:10]) < 3 / 2
    assert 2 / 3 < np.median(width[50:]) / np.median(width[:10]) < 3 / 2
