"""Bars of a second venue: they fill what was missing, inform, and are never scored."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made import DAILY, candles_of, walk

from coincast.candles import PRICES, PROVENANCE
from coincast.clean import Cleaned, clean, clean_records, lend, resample
from coincast.errors import DataError
from coincast.feed import Interval
from coincast.records import Records
from coincast.rows import COLUMNS, Rows
from coincast.windows import labels

BARS = 40


def market(missing) -> Cleaned:
    whole = candles_of(walk(BARS, seed=1))
    return clean(Rows(whole.frame.select(COLUMNS).filter(~pl.int_range(pl.len()).is_in(list(missing)))), DAILY)


def other_venue(only=range(BARS)) -> pl.DataFrame:
    """The same market half a per cent dearer, with a range and a volume."""
    close = pl.col("close") * 1.005
    frame = candles_of(walk(BARS, seed=1)).frame
    dearer = frame.with_columns(open=close, high=close * 1.01, low=close * 0.99, close=close, volume=pl.lit(7.0))
    return dearer.filter(pl.int_range(pl.len()).is_in(list(only))).select(COLUMNS)


def test_a_missing_bar_takes_the_lender_s_values_and_stays_unobserved():
    lent = lend(market({10, 11}), other_venue())
    theirs = other_venue().row(10, named=True)
    ours = lent.candles.frame.row(10, named=True)
    assert {name: ours[name] for name in (*PRICES, "volume")} == {name: theirs[name] for name in (*PRICES, "volume")}
    assert not ours["observed"]
    assert lent.repairs.tally == {"gap": 2, "lent": 2}


def test_what_the_venue_has_itself_is_never_replaced():
    lent = lend(market({10}), other_venue())
    before = candles_of(walk(BARS, seed=1)).frame
    others = [row for row in range(BARS) if row != 10]
    assert lent.candles.frame[others].select(COLUMNS).equals(before[others].select(COLUMNS))


def test_after_a_lent_bar_the_missing_ones_repeat_its_close():
    lent = lend(market({10, 11, 12}), other_venue(only=[10])).candles
    assert np.array_equal(lent.close[10:13], np.full(3, other_venue()["close"][10]))
    assert lent.frame["volume"][11] == 0


def test_a_bar_without_trades_is_not_lent():
    idle = other_venue().with_columns(volume=pl.lit(0.0))
    cleaned = market({10})
    assert lend(cleaned, idle) is cleaned


def test_a_lent_bar_is_neither_an_origin_nor_a_truth():
    lent = lend(market({10}), other_venue()).candles
    y = labels(lent, (1,))[:, 0]
    assert np.isnan(y[9])
    assert not lent.observed[10]


@given(st.sets(st.integers(1, BARS - 2), max_size=20), st.integers(2, BARS - 1))
def test_lending_is_causal(missing, bar):
    cleaned = market(missing)
    early = Cleaned(cleaned.candles.until(cleaned.candles.start + bar * DAILY.interval.delta), cleaned.repairs)
    whole = lend(cleaned, other_venue()).candles.frame.head(bar)
    assert lend(early, other_venue()).candles.frame.equals(whole)


@pytest.mark.parametrize("missing", [{5}, {5, 6, 30}])
def test_lending_twice_is_lending_once(missing):
    once = lend(market(missing), other_venue())
    assert lend(once, other_venue()).candles.frame.equals(once.candles.frame)


def stored(own_missing, lender="kraken:BTC/USDT:1d") -> Records:
    """Bars told by the venue itself, and those it lacks lent by another."""
    own = market(own_missing).candles.frame.filter("observed").select(COLUMNS)
    later = pl.col("time") + 2 * DAILY.interval.delta
    told = [own.with_columns(seen_at=later, source=pl.lit("binance"), repaired_by=pl.lit(None, pl.String()))]
    told += [other_venue(own_missing).with_columns(seen_at=later, source=pl.lit("kraken"), repaired_by=pl.lit(lender))]
    return Records.of(DAILY, pl.concat(told))


def test_stored_candles_know_who_told_each_bar_and_when():
    frame = clean_records(stored({10, 11})).candles.frame
    assert frame["source"].to_list() == ["binance"] * 10 + ["kraken:BTC/USDT:1d"] * 2 + ["binance"] * (BARS - 12)
    assert (frame["seen_at"] - frame["time"]).unique().to_list() == [2 * DAILY.interval.delta]
    assert frame["observed"].arg_true().to_list() == [bar for bar in range(BARS) if bar not in {10, 11}]


def test_candles_without_a_lender_are_those_of_the_rows():
    records = stored(set())
    assert clean_records(records).candles.digest == market(set()).candles.digest


def test_records_without_a_bar_of_their_own_are_refused():
    lent = Records.of(DAILY, stored({10}).frame.filter(pl.col("repaired_by").is_not_null()))
    with pytest.raises(DataError, match="no bar"):
        clean_records(lent)


def test_a_longer_bar_with_a_lent_part_is_lent():
    joined = resample(clean_records(stored({10})).candles, Interval("1w")).frame
    inside = joined.filter(~pl.col("observed"))
    assert inside.height == 1
    week = clean_records(stored({10})).candles.frame.filter(
        pl.col("time").is_between(inside["time"][0], inside["time"][0] + 6 * DAILY.interval.delta)
    )
    assert inside["high"][0] == week["high"].max()
    assert inside["volume"][0] == week["volume"].sum()
    assert set(PROVENANCE) <= set(joined.columns)
