"""The candles inside: the bytes are those of their packages, and each correction is proved from outside."""

import gzip
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import numpy as np
import polars as pl
import pytest

from coincast.candles import PRICES, Candles
from coincast.clean import clean, resample
from coincast.errors import RecipeError
from coincast.feed import Feed, Interval
from coincast.files import parse, read
from coincast.sample import SAMPLES, load


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bytes_are_as_found(name):
    sample = SAMPLES[name]
    content = gzip.decompress(sample.content())
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == sample.md5
    notice = (resources.files("coincast") / "samples" / "NOTICE").read_text()
    for stated in (sample.file, sample.md5, sample.source):
        assert stated in notice


def test_what_a_sample_holds():
    daily, hourly = load("btc-1d").candles, load("btc-1h").candles
    assert str(daily.feed) == "binance:BTC/USDT:1d"
    assert (daily.start, daily.end) == (datetime(2017, 8, 17, tzinfo=UTC), datetime(2021, 1, 14, tzinfo=UTC))
    assert (len(daily), daily.observed.sum()) == (1246, 1246)
    assert str(hourly.feed) == "bitfinex:BTC/USD:1h"
    assert (hourly.start, hourly.end) == (datetime(2017, 10, 1, tzinfo=UTC), datetime(2019, 10, 1, tzinfo=UTC))
    # 22 half-hours are missing from the file; seven hours lack both halves, eight one.
    assert (len(hourly), (~hourly.observed).sum()) == (17_520, 15)
    assert load("btc-1h").repairs.tally == {"gap": 22}


def test_a_sample_that_is_not_there():
    with pytest.raises(RecipeError, match="Choose among btc-1d, btc-1h"):
        load("eth-1d")


def correlations(one: Candles, other: Candles, lags: range) -> dict[int, float]:
    """How the returns of `one` go with the returns of `other` that stand `lag` bars later."""
    found = {}
    returns = [
        candles.frame.filter("observed").select("time", pl.col("close").log().diff()).drop_nulls()
        for candles in (one, other)
    ]
    for lag in lags:
        moved = returns[1].with_columns(pl.col("time") - lag * one.feed.interval.delta)
        both = returns[0].join(moved, on="time")
        assert both.height > 700
        found[lag] = float(np.corrcoef(both["close"], both["close_right"])[0, 1])
    return found


def peak(found: dict[int, float]) -> int:
    """The one lag at which two series go together; elsewhere they must not."""
    best = max(found, key=found.__getitem__)
    assert found[best] > 0.95
    assert all(abs(value) < 0.15 for lag, value in found.items() if lag != best)
    return best


def test_the_daily_labels_are_right_by_the_hourly_sample(monkeypatch):
    by_hours = resample(load("btc-1h").candles, Interval("1d"))
    assert peak(correlations(load("btc-1d").candles, by_hours, range(-3, 4))) == 0
    monkeypatch.setitem(SAMPLES, "btc-1d", replace(SAMPLES["btc-1d"], shift=timedelta(0)))
    assert peak(correlations(load("btc-1d").candles, by_hours, range(-3, 4))) == 1


def test_high_and_low_of_the_half_hours_are_where_they_are_named():
    # The file's columns stand in the order open, close, high, low: read by position, closes would be highs.
    found = parse(SAMPLES["btc-1h"].content(), "btc-30m.csv.gz", tz="UTC").frame
    first = gzip.decompress(SAMPLES["btc-1h"].content()).decode().splitlines()[1].split(",")
    assert [float(value) for value in first[1:]] == list(found.select("open", "close", "high", "low", "volume").row(0))
    body = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    assert found.filter((pl.col("high") < body[0]) | (pl.col("low") > body[1])).is_empty()


def binance(study_data, file: str, feed: str) -> Candles:
    return clean(read(study_data / file), Feed.parse(feed)).candles


def test_the_daily_sample_is_binance_to_the_cent(study_data):
    truth = binance(study_data, "daily/btcusdt_binance_1d.csv.gz", "binance:BTC/USDT:1d")
    both = load("btc-1d").candles.frame.join(truth.frame, on="time")
    assert both.height == 1246
    for name in PRICES:
        assert (both[name] - both[f"{name}_right"]).abs().max() < 0.005


def test_the_hourly_labels_are_right_by_binance(study_data):
    truth = binance(study_data, "hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h")
    assert peak(correlations(load("btc-1h").candles, truth, range(-5, 6))) == 0
