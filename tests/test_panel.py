"""Several feeds side by side: nothing filled, nothing known too early."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.candles import Candles
from coincast.clean import clean, resample
from coincast.errors import DataError, RecipeError
from coincast.feed import Feed, Interval
from coincast.files import read
from coincast.panel import Panel
from made import START, candles_of, walk

DAY = timedelta(days=1)


def member(coin: str, first: int, bars: int, missing: tuple[int, ...] = ()) -> Candles:
    feed = Feed.parse(f"binance:{coin}/USDT:1d")
    flat = candles_of(walk(bars, first), missing, feed)
    return Candles(feed, flat.frame.with_columns(pl.col("time") + first * DAY))


MEMBERS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 20), st.sets(st.integers(1, 19), max_size=5)), min_size=1, max_size=4
)


def drawn(parts) -> Panel:
    """The last bar is one the venue has: `candles_of` marks missing ones after it."""
    return Panel(
        tuple(
            member(f"C{number}", first, bars, tuple(sorted(bar for bar in missing if bar < bars)))
            for number, (first, bars, missing) in enumerate(parts)
        )
    )


@given(MEMBERS, st.sampled_from(["open", "high", "low", "close", "volume"]))
def test_aligned_equals_pandas_outer_join(parts, column):
    panel = drawn(parts)
    series = [
        pd.Series(
            candles.frame.filter("observed")[column].to_list(),
            index=pd.DatetimeIndex(candles.frame.filter("observed")["time"].to_list()),
            name=str(candles.feed),
        )
        for candles in panel.members
    ]
    start, end = min(c.start for c in panel.members), max(c.end for c in panel.members)
    expected = pd.concat(series, axis=1, sort=True).reindex(pd.date_range(start, end - DAY, freq="D"))
    found = panel.aligned(column)
    assert found["time"].to_list() == expected.index.to_pydatetime().tolist()
    for name in expected:
        assert found[name].to_list() == [None if pd.isna(value) else value for value in expected[name]]


@given(MEMBERS)
def test_long_has_a_row_an_observed_bar_and_no_other(parts):
    panel = drawn(parts)
    found = panel.long()
    expected = [
        (str(candles.feed), *row)
        for candles in panel.members
        for row in candles.frame.filter("observed")
        .select(pl.col("time").dt.replace_time_zone(None), "close", "open", "high", "low", "volume")
        .iter_rows()
    ]
    assert found.columns == ["unique_id", "ds", "y", "open", "high", "low", "volume"]
    assert found.rows() == expected
    wide = panel.aligned().unpivot(index="time", variable_name="unique_id", value_name="y").drop_nulls()
    assert sorted(wide.select("unique_id", pl.col("time").dt.replace_time_zone(None), "y").rows()) == sorted(
        found.select("unique_id", "ds", "y").rows()
    )


@given(MEMBERS, st.integers(0, 45))
def test_what_was_known_then_is_all_that_stands_side_by_side(parts, days):
    panel, t = drawn(parts), START + days * DAY
    known = panel.aligned().filter(pl.col("time") + DAY <= t).drop("time")
    named = [name for name in known.columns if known[name].count()]
    if not named:
        with pytest.raises(DataError, match=r"None of the \d feeds has a bar known by"):
            panel.until(t)
        return
    then = panel.until(t).aligned()
    assert then.columns == ["time", *named]
    kept = panel.aligned().filter(pl.col("time").is_in(then["time"].implode()))
    assert then.equals(kept.select(then.columns))
    assert then["time"][-1] + DAY <= t


@given(MEMBERS, st.integers(0, 45))
def test_the_bars_from_a_day_on(parts, days):
    panel, t = drawn(parts), START + days * DAY
    after = panel.aligned().filter(pl.col("time") >= t).drop("time")
    named = [name for name in after.columns if after[name].count()]
    if not named:
        with pytest.raises(DataError, match=r"None of the \d feeds has a bar from"):
            panel.since(t)
        return
    assert [str(feed) for feed in panel.since(t).feeds] == named
    assert panel.since(t).aligned()["time"][0] >= t


def test_what_is_no_panel():
    with pytest.raises(DataError, match="holds no candles"):
        Panel(())
    with pytest.raises(DataError, match=r"holds binance:A/USDT:1d twice"):
        Panel((member("A", 0, 3), member("A", 1, 3)))
    with pytest.raises(DataError, match="mixes bars of 1d, 1w"):
        Panel((member("A", 0, 30), resample(member("B", 0, 30), Interval("1w"))))
    mooded = member("A", 0, 3)
    panel = Panel((Candles(mooded.feed, mooded.frame.with_columns(mood=pl.lit(1.0))),))
    with pytest.raises(RecipeError, match=r"has no column 'moon'.*close, volume, mood"):
        panel.aligned("moon")
    with pytest.raises(DataError, match="no time zone"):
        Panel((member("A", 0, 3),)).until(datetime(2019, 1, 2))


def test_an_outside_series_lies_side_by_side_too():
    pair = [member(coin, 0, 3) for coin in "AB"]
    joined = Panel(tuple(Candles(c.feed, c.frame.with_columns(mood=pl.lit(float(n)))) for n, c in enumerate(pair)))
    assert joined.aligned("mood").drop("time").rows() == [(0.0, 1.0)] * 3


COINS = ("ada", "avax", "bch", "bnb", "doge", "dot", "eth", "link", "ltc", "uni", "xlm", "xrp")


def test_twelve_coins_of_study_data(study_data):
    def of(coin: str) -> Candles:
        rows = read(study_data / f"panel/{coin}usd_yahoo_1d.csv.gz")
        return clean(rows, Feed.parse(f"yahoo:{coin.upper()}/USD:1d")).candles

    panel = Panel(tuple(of(coin) for coin in COINS))
    wide = panel.aligned()
    rows = {coin: read(study_data / f"panel/{coin}usd_yahoo_1d.csv.gz").frame for coin in COINS}
    assert wide.height == 4032
    assert all(after - before == DAY for before, after in pairwise(wide["time"]))
    for coin, frame in rows.items():
        column = wide.select("time", pl.col(f"yahoo:{coin.upper()}/USD:1d").alias("close")).drop_nulls()
        assert column.equals(frame.select("time", "close"))
    # AVAX lacks 69 days of the summer of 2020: they are empty, and so is all before its first.
    avax = wide["yahoo:AVAX/USD:1d"]
    assert avax.null_count() == 4032 - 1837
    assert panel.long().height == sum(frame.height for frame in rows.values())
    early = panel.until(datetime(2018, 1, 1, tzinfo=UTC))
    assert {feed.base for feed in panel.feeds} - {feed.base for feed in early.feeds} == {"AVAX", "DOT", "UNI"}
