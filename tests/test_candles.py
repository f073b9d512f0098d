"""Candles keep their own rules, and `until` bounds all knowledge."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.candles import PRICES, SCHEMA, Candles
from coincast.errors import DataError
from made import DAILY, HOURLY, START, candles_of, walk

DAY = timedelta(days=1)
GOOD = candles_of([10.0, 11.0, 12.0, 13.0, 14.0], missing=[2])


def changed(row: int, **values: object) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == row
    columns = [
        pl.when(at).then(pl.lit(value, SCHEMA[name])).otherwise(name).alias(name) for name, value in values.items()
    ]
    return GOOD.frame.with_columns(columns)


def test_what_candles_hold():
    assert len(GOOD) == 5
    assert (GOOD.start, GOOD.end) == (START, START + 5 * DAY)
    assert GOOD.close.tolist() == [10.0, 11.0, 11.0, 13.0, 14.0]
    assert GOOD.observed.tolist() == [True, True, False, True, True]
    assert GOOD.time[0] == np.datetime64("2019-01-01")
    assert (GOOD.known_at - GOOD.time == np.timedelta64(1, "D")).all()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (GOOD.frame.drop("observed"), "has the columns"),
        (GOOD.frame.select(reversed(SCHEMA)), "has the columns"),
        (GOOD.frame.with_columns(pl.col("close").cast(pl.Float32)), "has the columns"),
        (GOOD.frame.with_columns(pl.col("time").dt.replace_time_zone(None)), "has the columns"),
        (GOOD.frame.with_columns(pl.col("time").dt.convert_time_zone("Asia/Tokyo")), "has the columns"),
        (GOOD.frame.clear(), "is empty"),
        (changed(1, close=None), "nulls in close"),
        (changed(1, observed=None), "nulls in observed"),
        (GOOD.frame.with_columns(pl.col("time") + timedelta(hours=1)), "does not open on the 1d grid"),
        (GOOD.frame.filter(pl.col("close") != 13.0), "does not open one 1d later"),
        (GOOD.frame[[0, 1, 1, 2, 3]], "does not open one 1d later"),
        (GOOD.frame.reverse(), "does not open one 1d later"),
        *((changed(1, **{name: bad}), "impossible") for name in PRICES for bad in (0.0, -1.0, np.nan, np.inf)),
        (changed(1, high=10.9), "impossible"),
        (changed(1, low=11.1), "impossible"),
        (changed(1, open=11.1), "impossible"),
        *((changed(1, volume=bad), "impossible") for bad in (-1.0, np.nan, np.inf)),
        (changed(2, high=12.0), "impossible"),
        (changed(2, open=12.0, high=12.0, low=12.0, close=12.0), "impossible"),
    ],
)
def test_a_frame_that_breaks_a_rule_is_refused(frame, words):
    with pytest.raises(DataError, match=words):
        Candles(DAILY, frame)


def test_a_frame_of_another_interval_is_refused():
    with pytest.raises(DataError, match="does not open one 1h later"):
        Candles(HOURLY, GOOD.frame)


LONG = candles_of(walk(60, 1), missing=[7, 8, 30])


@given(st.integers(-3 * 24 * 60, 65 * 24 * 60))
def test_until_keeps_what_had_closed(minutes):
    now = START + timedelta(minutes=minutes)
    closed = [row for row in LONG.frame.iter_rows(named=True) if row["time"] + DAY <= now]
    if closed:
        assert LONG.until(now).frame.to_dicts() == closed
        assert LONG.until(now).end <= now
    else:
        with pytest.raises(DataError, match="no bar known by"):
            LONG.until(now)


@given(st.integers(-3 * 24 * 60, 65 * 24 * 60))
def test_since_keeps_what_opens_then_or_later(minutes):
    start = START + timedelta(minutes=minutes)
    later = [row for row in LONG.frame.iter_rows(named=True) if row["time"] >= start]
    if later:
        assert LONG.since(start).frame.to_dicts() == later
    else:
        with pytest.raises(DataError, match="no bar from"):
            LONG.since(start)


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_earlier_bound_holds_whichever_comes_first(one, other):
    both = LONG.until(START + one * DAY).until(START + max(one, other) * DAY)
    assert both.frame.equals(LONG.until(START + one * DAY).frame)


def test_bounds_without_a_zone_are_refused():
    for bound in (LONG.until, LONG.since):
        with pytest.raises(DataError, match="has no time zone"):
            bound(datetime(2019, 1, 5))


@pytest.mark.parametrize("name", [name for name in SCHEMA if name not in ("time", "observed")])
def test_the_digest_sees_the_last_bit_of_every_value(name):
    value = GOOD.frame[name][4]
    least = np.nextafter(value, np.inf if name in ("high", "volume") else 0)
    outward = {"high": least} if name == "high" else {"low": least, name: least}
    moved = Candles(DAILY, changed(4, **outward)) if name != "volume" else Candles(DAILY, changed(4, volume=least))
    assert moved.digest != GOOD.digest


def test_the_digest_sees_feed_times_and_marks_and_nothing_else():
    same = Candles(DAILY, GOOD.frame.clone().rechunk())
    assert same.digest == GOOD.digest == Candles(DAILY, pl.concat([GOOD.frame[:2], GOOD.frame[2:]])).digest
    other_feed = Candles(DAILY.parse("kraken:BTC/USD:1d"), GOOD.frame)
    other_time = Candles(DAILY, GOOD.frame.with_columns(pl.col("time") + DAY))
    other_mark = Candles(DAILY, changed(2, observed=True))
    assert (
        len({GOOD.digest, other_feed.digest, other_time.digest, other_mark.digest, GOOD.since(START + DAY).digest}) == 5
    )
