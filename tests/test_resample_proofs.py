"""Longer bars from shorter ones: as pandas makes them, as the exchange made them, and by whatever steps one goes."""

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.candles import PRICES, Candles
from coincast.clean import clean, resample
from coincast.feed import INTERVALS, Feed, Interval
from coincast.files import read
from coincast.worlds import Law, draw, hide

LENGTHS = {name: Interval(name).delta for name in INTERVALS}
PAIRS = [(a, b) for a in INTERVALS for b in INTERVALS if LENGTHS[a] < LENGTHS[b] and not LENGTHS[b] % LENGTHS[a]]
CHAINS = [(a, b, c) for a, b in PAIRS for b_, c in PAIRS if b == b_]


def test_every_interval_is_on_the_way_from_minutes_to_weeks():
    assert {name for pair in PAIRS for name in pair} == set(INTERVALS)
    assert ("1m", "1w") in PAIRS
    assert ("1h", "4h", "1d") in CHAINS
    assert ("3d", "1w") not in PAIRS


@cache
def drawn(interval: str, bars: int) -> Candles:
    return draw(Law(), bars, seed=0, feed=f"simulated:COIN/USD:{interval}").candles


def market(interval: str, bars: int, missing: list[int], offset: int) -> Candles:
    """Starts `offset` bars off the longer grids. Volumes are whole, so that no sum depends on its order."""
    shown = hide(drawn(interval, 2 * bars), missing).frame[offset : offset + bars]
    whole = shown.with_columns(pl.col("volume").mul(100).ceil(), mood=pl.int_range(pl.len()).cast(pl.Float64))
    first = int(whole["observed"].arg_max() or 0)
    return Candles(drawn(interval, 2 * bars).feed, whole[first:])


@pytest.mark.parametrize("chain", CHAINS, ids=" ".join)
@settings(max_examples=3)
@given(data=st.data())
def test_by_steps_or_at_once(chain, data):
    """a -> b -> c equals a -> c to the bit: prices, marks, outside series and (whole) volumes."""
    a, b, c = chain
    parts = LENGTHS[c] // LENGTHS[a]
    missing = data.draw(st.lists(st.integers(1, 4 * parts), max_size=2))
    candles = market(a, 4 * parts, missing, offset=data.draw(st.integers(0, parts)))
    at_once = resample(candles, Interval(c))
    by_steps = resample(resample(candles, Interval(b)), Interval(c))
    assert by_steps.feed == at_once.feed
    assert by_steps.frame.equals(at_once.frame)


PANDAS = {"1w": "W-MON", "3d": "3D", "1d": "1D"}


def by_pandas(candles: Candles, name: str) -> pd.DataFrame:
    """Longer bars that are whole, as pandas makes them."""
    naive = candles.frame.filter("observed").with_columns(pl.col("time").dt.replace_time_zone(None))
    frame = pd.DataFrame(naive.to_dict(as_series=False)).set_index("time")
    origin = {} if name == "1w" else {"origin": "epoch"}
    bins = frame.resample(PANDAS.get(name, name.replace("m", "min")), label="left", closed="left", **origin)
    long = bins.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    return long[bins["close"].count() == LENGTHS[name] // candles.feed.interval.delta]


def demand_as_pandas(candles: Candles, name: str) -> int:
    expected = by_pandas(candles, name)
    found = resample(candles, Interval(name)).frame.filter("observed")
    assert found["time"].dt.replace_time_zone(None).to_list() == expected.index.to_pydatetime().tolist()
    for column in PRICES:
        assert found[column].to_list() == expected[column].to_list()
    np.testing.assert_allclose(found["volume"].to_numpy(), expected["volume"].to_numpy(), rtol=1e-12)
    return found.height


@pytest.mark.parametrize("name", [name for name in INTERVALS if name != "1m"])
def test_made_up_minutes_as_pandas_makes_them(name):
    candles = market("1m", 3 * 10_080, missing=[500, 501, 15_000], offset=777)
    assert demand_as_pandas(candles, name)


def candles_from(path, feed: str) -> Candles:
    return clean(read(path), Feed.parse(feed)).candles


@pytest.mark.parametrize("name", [name for name in INTERVALS if name != "1m"])
def test_real_minutes_as_pandas_makes_them(name, study_data):
    minutes = candles_from(study_data / "minute/btcusdt_binance_1m_2024-12.csv.gz", "binance:BTC/USDT:1m")
    days = 28
    assert demand_as_pandas(minutes, name) >= (days * timedelta(days=1)) // LENGTHS[name] - 2


@pytest.mark.parametrize("name", [b for a, b in PAIRS if a == "1h"])
def test_real_hours_as_pandas_makes_them(name, study_data):
    hours = candles_from(study_data / "hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h")
    assert demand_as_pandas(hours, name)


def test_hours_make_the_exchange_s_own_days_but_where_the_data_s_readme_says_why_not(study_data):
    """A day without an outage: open, high, low, close to the last digit, the volume to rounding.

    Missing are the first day (trading began at 04:00), the last (its last hour is not in the file) and the days of an
    outage, which the exchange closed with fewer hours: nobody who was told hours knows their range.
    """
    hours = candles_from(study_data / "hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h")
    days = candles_from(study_data / "daily/btcusdt_binance_1d.csv.gz", "binance:BTC/USDT:1d").frame
    made = resample(hours, Interval("1d")).frame
    outages = set(hours.frame.filter(~pl.col("observed"))["time"].dt.truncate("1d"))
    known = days.filter(pl.col("time").is_between(made["time"][0], made["time"][-1]))
    assert known["time"][0] == days["time"][1] == datetime(2017, 8, 18, tzinfo=UTC)
    assert days["time"].to_list()[-2:] == [datetime(2025, 9, 29, tzinfo=UTC), datetime(2025, 9, 30, tzinfo=UTC)]
    assert known.height == made.height == days.height - 3
    assert set(made.filter(~pl.col("observed"))["time"]) == outages
    assert len(outages) == 29
    whole = made.filter("observed").join(known, on="time", suffix="_told")
    assert whole.height == 2935
    for name in PRICES:
        assert (whole[name] == whole[f"{name}_told"]).all()
    # One hour of a quiet evening, a flat bar, is in the hours and not in the exchange's own day: the surplus is its
    # volume to the last digit.
    apart = whole.filter((pl.col("volume") / pl.col("volume_told") - 1).abs() > 1e-9)
    assert apart["time"].to_list() == [datetime(2019, 6, 7, tzinfo=UTC)]
    hour = hours.frame.row(by_predicate=pl.col("time") == datetime(2019, 6, 7, 21, tzinfo=UTC), named=True)
    assert hour["high"] == hour["low"]
    assert (apart["volume"] - apart["volume_told"]).item() == pytest.approx(hour["volume"], rel=1e-9)
    # Of a day of outage the hours that are there still end at the exchange's close.
    last = hours.frame.filter("observed").group_by(pl.col("time").dt.truncate("1d")).agg(pl.col("close").last())
    broken = last.join(known, on="time", suffix="_told").filter(pl.col("time").is_in(list(outages)))
    assert (broken["close"] == broken["close_told"]).all()
