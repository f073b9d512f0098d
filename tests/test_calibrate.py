"""Calibrated bands hold as often as promised on every sequence, and cost nothing where they did already."""

from dataclasses import replace

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.calibrate import LOWER, MISSED, UPPER, Calibrated
from coincast.combiner import combined
from coincast.errors import RecipeError
from coincast.forecast import K
from made import candles_of, forecast_of
from made_combined import NORMAL, market_of

MEDIAN = K // 2
RETURNS = st.lists(st.floats(-0.3, 0.3), min_size=20, max_size=60)


def calibrated(forecast, candles, rate=0.01):
    return combined(Calibrated(forecast.model, rate), [forecast], candles)


def path(returns):
    return 100 * np.exp(np.cumsum([0.0, *returns]))


def truths_of(candles, horizon):
    return np.log(candles.close[horizon:] / candles.close[:-horizon])


def misses(issued, candles, column, horizon):
    """Which truths were not strictly inside each band that was issued."""
    truth = truths_of(candles, horizon)[:, None]
    values = issued.values[: len(truth), column]
    return ~((values[:, LOWER] < truth) & (truth < values[:, UPPER]))


def farthest(member, candles, column, horizon):
    """How far a truth lay from the median at most, in half-widths of each band; at least 1."""
    truth = truths_of(candles, horizon)[:, None]
    values = member.values[: len(truth), column]
    away = truth - values[:, [MEDIAN]]
    half = np.where(away < 0, values[:, [MEDIAN]] - values[:, LOWER], values[:, UPPER] - values[:, [MEDIAN]])
    return np.maximum(1.0, (np.abs(away) / half).max(axis=0))


def bound(member, candles, column, horizon, rate):
    number = np.arange(1, len(LOWER) + 1)
    rounds = len(candles) - horizon
    reached = np.cumsum(farthest(member, candles, column, horizon))
    return horizon * (1 + reached + 2 * number * rate) / (rate * rounds)


def demand_bound(member, candles, rate):
    issued = calibrated(member, candles, rate)
    for column, horizon in enumerate(member.horizons):
        off = np.abs(misses(issued, candles, column, horizon).mean(axis=0) - MISSED)
        assert (off <= bound(member, candles, column, horizon, rate) + 1e-9).all()


@settings(max_examples=150)
@given(RETURNS, st.data())
def test_the_share_missed_keeps_its_bound_on_every_sequence(returns, data):
    """Widths change from origin to origin, sides differ, truths are settled late."""
    candles = candles_of(path(returns))
    n = len(candles)
    widths = data.draw(st.lists(st.floats(0.03, 0.4), min_size=n, max_size=n))
    lean = data.draw(st.floats(0.3, 3))
    shape = np.where(NORMAL < 0, NORMAL, lean * NORMAL) ** data.draw(st.sampled_from([1, 3]))
    values = np.array(widths)[:, None, None] * np.array([1, 1.5])[:, None] * shape
    member = forecast_of(candles, np.arange(n), values, (1, 3), "member")
    demand_bound(member, candles, data.draw(st.sampled_from([0.05, 0.3, 1.0])))


@pytest.mark.parametrize("band", [0, 1, 2])
def test_who_sees_the_bands_and_always_steps_outside_one_cannot_break_the_bound(band):
    """Up to twelve half-widths away, where a forecast that does not learn would be missed every time."""
    rate, closes = 1.0, [100.0]
    for _ in range(110):
        candles = candles_of([*closes, closes[-1]])
        member = forecast_of(candles, np.arange(len(closes)), 0.02 * NORMAL, (1,), "member")
        end = calibrated(member, candles, rate).values[-1, 0, UPPER[band]]
        closes.append(closes[-1] * np.exp(min(1.001 * end, 12 * 0.02 * NORMAL[UPPER[band]])))
    candles = candles_of(closes)
    member = forecast_of(candles, np.arange(len(closes)), 0.02 * NORMAL, (1,), "member")
    demand_bound(member, candles, rate)
    unlearnt = np.abs(misses(member, candles, 0, 1).mean(axis=0) - MISSED)
    assert unlearnt[band] > bound(member, candles, 0, 1, rate)[band]


def twin(forecast, candles, rate):
    """Origin by origin from the start, each band and each value by itself."""
    out = forecast.values.copy()
    for column, h in enumerate(forecast.horizons):
        factors = []
        for origin in range(len(forecast)):
            state = np.ones(3)
            for n in range(origin):
                target = np.flatnonzero(candles.known_at == forecast.origin[n] + h * candles.feed.interval.step)
                if not target.size or not candles.observed[target[0]]:
                    continue
                if candles.known_at[target[0]] > forecast.origin[origin]:
                    continue
                if np.ptp(forecast.values[n, column]) == 0:
                    continue
                truth = np.log(candles.close[target[0]] / forecast.price[n])
                ends = out[n, column, LOWER], out[n, column, UPPER]
                for k in range(3):
                    state[k] += rate / h * (float(not ends[0][k] < truth < ends[1][k]) - MISSED[k])
            factors.append(np.maximum(state, 0))
            out[origin, column] = stretched(forecast.values[origin, column], factors[-1])
    return out


def stretched(values, factors):
    middle = values[MEDIAN]
    moved = []
    for value in values:
        ends = middle - values[LOWER] if value < middle else values[UPPER] - middle
        put = [max(f * e for f, e in zip(factors[: k + 1], ends[: k + 1], strict=True)) for k in range(3)]
        away = abs(value - middle)
        new = np.interp(away, [0, *ends], [0, *put]) if away <= ends[-1] else away * put[-1] / ends[-1]
        moved.append(middle + np.sign(value - middle) * new)
    return np.array(moved)


@pytest.mark.parametrize("rate", [0.02, 0.9])
def test_values_are_those_of_a_twin_that_starts_anew_at_every_origin(rate):
    """Some bars are missing, some forecasts are one value repeated: neither is learnt from."""
    candles, [whole] = market_of(50, (0.025,), missing=(12, 13, 40))
    banded = np.arange(len(whole)) % 7 != 3
    forecast = replace(whole, values=whole.values * banded[:, None, None])
    np.testing.assert_allclose(calibrated(forecast, candles, rate).values, twin(forecast, candles, rate), atol=1e-12)


@pytest.mark.parametrize(("width", "said"), [(0.6, "narrow"), (1.6, "wide")])
def test_bands_that_are_too_narrow_or_too_wide_are_mended(width, said):
    returns = 0.03 * np.random.default_rng(3).normal(size=3000)
    candles = candles_of(path(returns))
    member = forecast_of(candles, np.arange(len(candles)), width * 0.03 * NORMAL, (1,), "member")
    learnt = calibrated(member, candles)
    before, after = (misses(f, candles, 0, 1)[1500:].mean(axis=0) for f in (member, learnt))
    assert (np.abs(before - MISSED) > 0.04).all(), said
    assert (np.abs(after - MISSED) < 0.02).all(), said
    assert crps(learnt, candles) < crps(member, candles)


def test_a_right_law_is_left_as_good_as_it_was():
    returns = 0.03 * np.random.default_rng(4).normal(size=4000)
    candles = candles_of(path(returns))
    member = forecast_of(candles, np.arange(len(candles)), 0.03 * NORMAL, (1,), "member")
    assert crps(calibrated(member, candles), candles) < 1.001 * crps(member, candles)


def crps(forecast, candles):
    return scoringrules.crps_ensemble(truths_of(candles, 1), forecast.values[:-1, 0], estimator="qd").mean()


def test_one_value_repeated_is_left_alone():
    candles, [point] = market_of(60, (0.0,))
    assert np.array_equal(calibrated(point, candles, 1.0).values, point.values)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5])
def test_a_rate_that_would_not_learn_or_overshoots_is_refused(rate):
    with pytest.raises(RecipeError, match="The rate of calibrated"):
        Calibrated("lstm-t", rate)
