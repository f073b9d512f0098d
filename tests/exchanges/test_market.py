"""What a simulated market has traded by any moment."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from played import bars_of, traded

from coincast.clean import resample
from coincast.exchanges.market import Bar, Market, decimal, length, opened
from coincast.feed import Interval
from coincast.records import Records, accept

MINUTE, HOUR = Interval("1m"), Interval("1h")


def slow(rows: list[Bar], since: int | None, until: int | None, limit: int) -> list[Bar]:
    """Which of the bars are told, one at a time."""
    told = [bar for bar in rows if (since is None or bar.time >= since) and (until is None or bar.time <= until)]
    return told[-limit:] if since is None else told[:limit]


@given(
    seed=st.integers(0, 99),
    now=st.integers(-200, 20_000),
    since=st.none() | st.integers(-200, 20_000),
    until=st.none() | st.integers(-200, 20_000),
    limit=st.integers(1, 40),
)
def test_told_are_the_closed_bars_and_the_forming_one(seed, now, since, until, limit):
    candles = traded(30, seed, "5m", missing=0.3)
    rows, market = bars_of(candles), Market.of("BTC/USDT", [candles])
    interval = candles.feed.interval
    now, since, until = (t if t is None else rows[0].time + 1000 * t for t in (now, since, until))
    forming = [bar for bar in [market.forming(interval, now)] if bar]
    assert [bar.time for bar in forming] == [bar.time for bar in rows if opened(interval, now) == bar.time]
    known = [*(bar for bar in rows if bar.time + length(interval) <= now), *forming]
    assert market.bars(interval, now, since, until, limit) == slow(known, since, until, limit)


def test_longer_bars_are_those_that_resampling_makes():
    candles = traded(3000, 5)
    market = Market.of("BTC/USDT", [candles])
    for name in ("3m", "5m", "15m", "1h", "4h", "12h"):
        interval = Interval(name)
        expected = bars_of(resample(candles, interval))
        told = market.bars(interval, 10**15, since=expected[0].time, limit=10**6)[: len(expected)]
        assert [bar[:5] for bar in told] == [bar[:5] for bar in expected]
        assert [bar.volume for bar in told] == pytest.approx([bar.volume for bar in expected], rel=1e-12)


def test_an_interval_that_was_given_is_not_joined_and_one_that_cannot_be_is_not_there():
    minutes, hours = traded(600, 1), traded(10, 2, "1h")
    market = Market.of("BTC/USDT", [minutes, hours])
    assert market.bars(HOUR, 10**15) == bars_of(hours)
    assert set(Market.of("BTC/USDT", [hours]).series) == {
        Interval(name) for name in ("1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
    }


def test_a_bar_that_is_known_from_within_forms_out_of_its_parts():
    candles = traded(600, 3)
    rows, market = bars_of(candles), Market.of("BTC/USDT", [candles])
    hour = opened(HOUR, rows[300].time)
    for minute in (0, 1, 17, 59):
        now = hour + 60_000 * minute
        parts = [bar for bar in rows if hour <= bar.time < now]
        forming = market.forming(HOUR, now)
        assert forming.time == hour
        assert forming.volume == pytest.approx(sum(bar.volume for bar in parts))
        if parts:
            assert forming.high == max(bar.high for bar in parts)
            assert forming.low == min(bar.low for bar in parts)


@given(seed=st.integers(0, 999), name=st.sampled_from(["1m", "5m", "1h"]))
def test_a_forming_bar_grows_towards_what_it_will_be(seed, name):
    interval = Interval(name)
    candles = traded(150, seed)
    market = Market.of("BTC/USDT", [candles])
    whole = market.bars(interval, 10**15)[1]
    step = length(interval)
    shares = np.sort(np.random.default_rng(seed).random(20))
    stages = [market.forming(interval, whole.time + int(share * step)) for share in shares]
    stages = [market.forming(interval, whole.time), *stages, market.forming(interval, whole.time + step - 1), whole]
    for earlier, later in pairwise(stages):
        assert (earlier.time, earlier.open) == (later.time, later.open)
        assert earlier.high <= later.high
        assert earlier.low >= later.low
        assert earlier.volume <= later.volume
    for bar in stages:
        assert 0 < bar.low <= min(bar.open, bar.close)
        assert max(bar.open, bar.close) <= bar.high
    assert stages[0].volume == 0
    assert (stages[-2].high, stages[-2].low) == (whole.high, whole.low)
    assert stages[-2].close == pytest.approx(whole.close, abs=0.01)


def test_where_nothing_is_traded_nothing_forms():
    candles = traded(50, 8, missing=0.5)
    market = Market.of("BTC/USDT", [candles])
    silent = candles.time[~candles.observed].astype("datetime64[ms]").astype(int)
    assert silent.size
    assert all(market.forming(MINUTE, int(time) + 1) is None for time in silent)
    assert market.forming(MINUTE, 10**15) is None


def test_records_are_played_as_they_were_last_told():
    candles = traded(3, 4)
    rows = [list(bar) for bar in bars_of(candles)]
    first = accept(candles.feed, rows, candles.end, "binance").records
    corrected = [rows[1][0], *rows[1][1:5], rows[1][5] + 1]
    later = accept(candles.feed, [corrected], candles.end + timedelta(hours=1), "binance").records
    market = Market.of("BTC/USDT", [first.and_also(later)])
    assert isinstance(first, Records)
    assert [bar.volume for bar in market.bars(MINUTE, 10**15)] == [rows[0][5], rows[1][5] + 1, rows[2][5]]


@given(st.floats(1e-8, 1e9), st.integers(1, 8))
def test_decimals_read_back_as_the_same_number(value, places):
    text = decimal(value, places)
    assert float(text) == value
    assert "e" not in text
    assert len(text.partition(".")[2]) >= places


def test_places_are_those_of_the_prices():
    assert Market.of("BTC/USDT", [traded(50, 1)]).places == 2
