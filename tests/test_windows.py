"""Windows against loops: what a model sees ends at its origin, and no label later than t is settled at t."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coincast.candles import Candles
from coincast.errors import DataError, LookAheadError, RecipeError
from coincast.features import FEATURES as FEATURES_KNOWN
from coincast.features import Feature, compute
from coincast.feed import from_numpy
from coincast.windows import Scaler, Windows, cut, labels
from made import DAILY, START, candles_of, walk

DAY = timedelta(days=1)
FEATURES = ("log_return", "close")

CANDLES = st.builds(
    lambda bars, seed, missing: candles_of(walk(bars, seed), sorted(row for row in missing if row < bars)),
    st.integers(12, 60),
    st.integers(0, 100),
    st.sets(st.integers(1, 59), max_size=15),
)
LOOKBACKS = st.integers(1, 8)
HORIZONS = st.sets(st.integers(1, 10), min_size=1, max_size=3).map(sorted)


def slow_windows(candles: Candles, lookback: int, horizons: list[int]) -> list[tuple]:
    """(origin, price, x, y) by loops over bars; the first bar has no log-return, so windows start after it."""
    interval = candles.feed.interval.delta
    bars = candles.frame.rows(named=True)
    closes = {bar["time"] + interval: bar["close"] for bar in bars if bar["observed"]}
    found = []
    for last in range(lookback, len(bars)):
        if not bars[last]["observed"]:
            continue
        x = [
            [math.log(bars[row]["close"] / bars[row - 1]["close"]), bars[row]["close"]]
            for row in range(last - lookback + 1, last + 1)
        ]
        origin, price = bars[last]["time"] + interval, bars[last]["close"]
        targets = [closes.get(origin + h * interval) for h in horizons]
        found.append(
            (origin, price, x, [math.nan if target is None else math.log(target / price) for target in targets])
        )
    return found


@given(CANDLES, LOOKBACKS, HORIZONS)
def test_cutting_equals_a_loop(candles, lookback, horizons):
    expected = slow_windows(candles, lookback, horizons)
    assume(expected)
    windows = cut(candles, FEATURES, lookback, horizons)
    assert [from_numpy(origin) for origin in windows.origin] == [row[0] for row in expected]
    assert windows.price.tolist() == [row[1] for row in expected]
    np.testing.assert_allclose(windows.x, [row[2] for row in expected], rtol=0, atol=1e-12)
    np.testing.assert_allclose(windows.y, [row[3] for row in expected], rtol=0, atol=1e-12)


@given(CANDLES, LOOKBACKS, HORIZONS)
def test_a_missing_bar_is_never_an_origin_or_a_truth(candles, lookback, horizons):
    assume(candles.observed[lookback:].any())
    windows = cut(candles, FEATURES, lookback, horizons)
    missing = set(candles.known_at[~candles.observed].tolist())
    assert not missing & set(windows.origin.tolist())
    for column, h in enumerate(horizons):
        targets = windows.origin + h * DAILY.interval.step
        assert not missing & set(targets[np.isfinite(windows.y[:, column])].tolist())


@given(CANDLES, LOOKBACKS, HORIZONS, st.integers(-2, 62), st.integers(0, 23))
def test_what_is_settled_is_what_a_loop_over_time_finds(candles, lookback, horizons, days, hours):
    assume(candles.observed[lookback:].any())
    windows = cut(candles, FEATURES, lookback, horizons)
    by = START + days * DAY + timedelta(hours=hours)
    settled = windows.settled(by=by)
    expected = []
    for origin, price, x, y in slow_windows(candles, lookback, horizons):
        known = [value if origin + h * DAY <= by else math.nan for h, value in zip(horizons, y, strict=True)]
        if any(map(math.isfinite, known)):
            expected.append((origin, price, x, known))
    assert [from_numpy(origin) for origin in settled.origin] == [row[0] for row in expected]
    np.testing.assert_allclose(settled.y, np.reshape([row[3] for row in expected], settled.y.shape), atol=1e-12)
    assert (settled.known_at <= np.datetime64(by.replace(tzinfo=None))).all()
    assert len(settled.rows) == len(settled.known_at) == sum(candles.known_at <= np.datetime64(by.replace(tzinfo=None)))
    assert settled.demand_settled() == by


@given(CANDLES, LOOKBACKS, HORIZONS, st.integers(4, 60))
def test_what_is_settled_by_t_can_be_made_from_candles_closed_by_t(candles, lookback, horizons, days):
    """The sentence of the house, for training: cut the future off, or settle; it is the same, bit for bit."""
    by = START + days * DAY
    now = candles.until(by)
    assume(now.observed[lookback:].any())
    settled = cut(candles, FEATURES, lookback, horizons).settled(by=by)
    then = cut(now, FEATURES, lookback, horizons).settled(by=by)
    for name in ("rows", "known_at", "last", "price", "y"):
        np.testing.assert_array_equal(getattr(settled, name), getattr(then, name))


@given(CANDLES, LOOKBACKS, HORIZONS, st.integers(2, 62), st.integers(2, 62))
def test_settling_twice_is_settling_at_the_earlier_time(candles, lookback, horizons, one, other):
    assume(candles.observed[lookback:].any())
    windows = cut(candles, FEATURES, lookback, horizons)
    twice = windows.settled(by=START + one * DAY).settled(by=START + other * DAY)
    once = windows.settled(by=START + min(one, other) * DAY)
    assert twice.by == once.by
    for name in ("rows", "known_at", "last", "price", "y"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(once, name))


@given(CANDLES, LOOKBACKS, HORIZONS, st.floats(0.1, 0.6))
def test_held_out_windows_begin_where_everything_trained_on_was_known(candles, lookback, horizons, share):
    assume(candles.observed[lookback:].any())
    windows = cut(candles, FEATURES, lookback, horizons).settled(by=candles.end)
    assume(len(windows) * share >= 1)
    training, validation = windows.hold_out(share)
    first = validation.origin[0]
    assert len(validation) == len(windows) - round(len(windows) * (1 - share))
    assert validation.origin.tolist() == windows.origin[-len(validation) :].tolist()
    assert validation.by == windows.by
    assert training.by == from_numpy(first)
    assert (training.known_at <= first).all()
    for column, h in enumerate(horizons):
        labelled = np.isfinite(training.y[:, column])
        assert (training.origin[labelled] + h * DAILY.interval.step <= first).all()


def test_windows_that_may_hold_the_future_teach_nothing():
    windows = cut(candles_of(walk(40, 0)), FEATURES, 5, [1])
    for learn in (Windows.demand_settled, Scaler.standard, Scaler.min_max, lambda w: w.hold_out(0.2)):
        with pytest.raises(LookAheadError, match="may hold the future"):
            learn(windows)
    with pytest.raises(DataError, match="has no time zone"):
        windows.settled(by=datetime(2019, 1, 20))


@given(CANDLES, st.integers(2, 8), st.data())
def test_a_window_with_less_than_its_memory_is_padded_with_nan(candles, lookback, data):
    at_least = data.draw(st.integers(1, lookback))
    assume(candles.observed[at_least:].any())
    windows = cut(candles, FEATURES, lookback, [1], at_least)
    rows = compute(candles, FEATURES)
    for window, last in zip(windows.x, windows.last, strict=True):
        assert last >= at_least
        held = rows[max(0, last - lookback + 1) : last + 1]
        np.testing.assert_array_equal(window[lookback - len(held) :], held)
        assert np.isnan(window[: lookback - len(held)]).all()


@given(CANDLES, HORIZONS)
def test_labels_along_the_bars(candles, horizons):
    found = labels(candles, horizons)
    for row in range(len(candles)):
        for column, h in enumerate(horizons):
            there = row + h < len(candles) and candles.observed[row + h]
            truth = math.log(candles.close[row + h] / candles.close[row]) if there else math.nan
            assert found[row, column] == pytest.approx(truth, abs=1e-12, nan_ok=True)


def test_targets_lie_along_the_bars_and_are_blank_elsewhere():
    candles = candles_of(walk(20, 2), missing=[9, 10])
    windows = cut(candles, FEATURES, 3, [1, 2]).settled(by=START + 15 * DAY)
    laid = windows.targets
    assert laid.shape == (15, 2)
    np.testing.assert_array_equal(laid[windows.last], windows.y)
    others = np.setdiff1d(np.arange(15), windows.last)
    assert np.isnan(laid[others]).all()


def test_choosing_windows():
    windows = cut(candles_of(walk(30, 3)), FEATURES, 4, [1])
    start, end = START + 10 * DAY, START + 20 * DAY
    chosen = windows.between(start, end)
    assert [from_numpy(origin) for origin in chosen.origin] == [start + day * DAY for day in range(10)]
    np.testing.assert_array_equal(windows.newest(3).origin, windows.origin[-3:])
    assert len(windows.newest(1000)) == len(windows)
    batches = windows.batches(7)
    assert [len(batch) for batch in batches] == [7, 7, 7, 5]
    np.testing.assert_array_equal(np.concatenate([batch.x for batch in batches]), windows.x)
    np.testing.assert_array_equal(windows.column("close"), windows.rows[:, 1])
    asked = windows.unanswered()
    assert np.isnan(asked.y).all()
    np.testing.assert_array_equal(asked.x, windows.x)


def test_arrays_cannot_be_written_to_and_candles_are_not_changed():
    candles = candles_of(walk(30, 4))
    digest = candles.digest
    windows = cut(candles, FEATURES, 4, [1])
    for name in ("rows", "known_at", "last", "price", "y"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(windows, name)[0] = 0
    assert Candles(candles.feed, candles.frame).digest == digest


def test_too_few_bars_and_unknown_features_are_refused():
    with pytest.raises(DataError, match=r"5 bars of binance:BTC/USDT:1d are too few: a window needs 60 bars"):
        cut(candles_of(walk(5, 0)), FEATURES, 60, [1])
    with pytest.raises(DataError, match="too few"):
        cut(candles_of(walk(10, 0)), ["volatility_94"], 1, [1])
    with pytest.raises(RecipeError, match="'moon_phase'"):
        cut(candles_of(walk(30, 0)), ["moon_phase"], 2, [1])


def test_a_feature_with_a_hole_is_refused_by_name(monkeypatch):
    hole = Feature("hole", lambda _: pl.col("volume").log(), 0, "minus infinity where nothing was traded")
    monkeypatch.setitem(FEATURES_KNOWN, "hole", hole)
    with pytest.raises(DataError, match="'hole' has no finite value at the bar 2019-01-08"):
        cut(candles_of(walk(30, 0), missing=[7]), ["close", "hole"], 2, [1])


@pytest.mark.parametrize("days", [1, 4])
def test_too_few_windows_to_divide_are_refused(days):
    windows = cut(candles_of(walk(30, 0)), ["close"], 3, [1]).settled(by=START + days * DAY)
    assert len(windows) == (days == 4)
    with pytest.raises(DataError, match="too few to hold out 20%"):
        windows.hold_out(0.2)


@given(CANDLES, LOOKBACKS, st.integers(6, 60))
def test_scales_are_learnt_from_settled_rows_only(candles, lookback, days):
    by = START + days * DAY
    assume(candles.observed[lookback:].any())
    rows = compute(candles.until(by), FEATURES)
    known = [column[np.isfinite(column)] for column in rows.T]
    windows = cut(candles, FEATURES, lookback, [1]).settled(by=by)
    standard, min_max = Scaler.standard(windows), Scaler.min_max(windows)
    np.testing.assert_allclose(standard.offset, [np.mean(column) for column in known], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(standard.scale, [np.std(column) for column in known], rtol=1e-9)
    np.testing.assert_array_equal(min_max.offset, [min(column) for column in known])
    np.testing.assert_array_equal(min_max.scale, [max(column) - min(column) for column in known])
    np.testing.assert_allclose(standard.inverse(standard(rows)), rows, rtol=1e-12, atol=1e-15)


def test_a_constant_feature_is_only_shifted():
    windows = cut(candles_of([5.0] * 20), ["close"], 3, [1]).settled(by=datetime(2019, 1, 15, tzinfo=UTC))
    for scaler in (Scaler.standard(windows), Scaler.min_max(windows)):
        assert scaler.scale.tolist() == [1.0]
        assert (scaler(windows.rows) == 0).all()
