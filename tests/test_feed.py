"""Feeds, intervals and times."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.errors import DataError, RecipeError
from coincast.feed import INTERVALS, Feed, Interval, from_numpy, to_numpy, utc

COINS = st.from_regex(r"[A-Z0-9]{1,10}", fullmatch=True)
SETTLED = st.sampled_from(["", ":USDT", ":BTC", ":USD-250926"])
FEEDS = st.builds(
    lambda exchange, base, quote, settled, interval: Feed(exchange, f"{base}/{quote}{settled}", Interval(interval)),
    st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True),
    COINS,
    COINS,
    SETTLED,
    st.sampled_from(INTERVALS),
)
INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(FEEDS)
def test_a_feed_and_its_text_are_each_others_inverse(feed):
    assert Feed.parse(str(feed)) == feed
    assert str(Feed.parse(str(feed))) == str(feed)


def test_parts_of_a_feed():
    spot, perpetual = Feed.parse("binance:BTC/USDT:1d"), Feed.parse("binance:ETH/USD:ETH:1h")
    assert (spot.exchange, spot.symbol, spot.interval.name) == ("binance", "BTC/USDT", "1d")
    assert (spot.base, spot.quote) == ("BTC", "USDT")
    assert (perpetual.symbol, perpetual.base, perpetual.quote) == ("ETH/USD:ETH", "ETH", "USD")


@pytest.mark.parametrize(
    "text",
    ["", "binance", "binance:1d", "binance:BTCUSDT:1d", "Binance:BTC/USDT:1d", "binance:BTC/:1d", ":BTC/USDT:1d"],
)
def test_what_is_no_feed(text):
    with pytest.raises(RecipeError, match="binance:BTC/USDT:1d"):
        Feed.parse(text)


@pytest.mark.parametrize("name", ["", "1D", "d", "60m", "1 h", "5d", "2w"])
def test_what_is_no_interval(name):
    with pytest.raises(RecipeError, match="1m, 3m"):
        Interval(name)


@pytest.mark.parametrize("name", INTERVALS)
@given(instant=INSTANTS)
def test_the_floor_is_the_open_of_the_bar_that_holds_the_time(name, instant):
    interval = Interval(name)
    opened = interval.floor(instant)
    assert opened <= instant < opened + interval.delta
    assert interval.floor(opened) == opened
    assert interval.floor(opened + interval.delta - timedelta(microseconds=1)) == opened


@pytest.mark.parametrize("name", [name for name in INTERVALS if name != "3d"])
@given(instant=INSTANTS)
def test_the_floor_is_polars_truncation(name, instant):
    # Another program's calendar; for three days polars counts within the month of its own window, so it is no witness.
    floor = pl.Series([instant], dtype=pl.Datetime("us", "UTC")).dt.truncate(name)[0]
    assert Interval(name).floor(instant) == floor


@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_the_floor_does_not_depend_on_the_zone_a_time_is_written_in(instant, minutes):
    local = instant.astimezone(timezone(timedelta(minutes=minutes)))
    assert Interval("1d").floor(local) == Interval("1d").floor(instant)


@pytest.mark.parametrize("name", INTERVALS)
def test_length_in_every_unit(name):
    interval = Interval(name)
    assert interval.step == np.timedelta64(interval.delta)
    assert interval.bars(interval.delta * 5) == 5
    assert interval.bars(interval.delta * 5 - timedelta(microseconds=1)) == 4


@given(INSTANTS)
def test_times_go_to_numpy_and_back(instant):
    assert from_numpy(to_numpy(instant)) == instant
    assert to_numpy(instant) == np.datetime64(instant.replace(tzinfo=None), "us")


def test_a_time_without_a_zone_is_refused():
    naive = datetime(2020, 1, 1)
    for use in (utc, to_numpy, Interval("1d").floor):
        with pytest.raises(DataError, match="has no time zone"):
            use(naive)
