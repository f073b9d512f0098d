"""Markets to play, and what a client reads of them."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from coincast.candles import SCHEMA, Candles
from coincast.exchanges.binance import Binance
from coincast.exchanges.faults import Faults
from coincast.exchanges.kraken import Kraken
from coincast.exchanges.market import Bar
from coincast.exchanges.replay import Replay
from coincast.exchanges.tape import Tape
from coincast.feed import Feed
from made import START

HELD = 0.0
# Not on the grid of any longer interval.
BEGIN = START + timedelta(minutes=37)


def traded(bars: int, seed: int, interval: str = "1m", missing: float = 0.0) -> Candles:
    """Bars as an exchange writes them: prices with two decimals, volumes with five; some never traded."""
    random = np.random.default_rng(seed)
    cents = 100_00 + random.integers(-50, 50, (bars, 4)).cumsum(axis=0)
    prices = np.sort(cents, axis=1) / 100
    ends = np.where(random.random(bars)[:, None] < 0.5, prices[:, [1, 2]], prices[:, [2, 1]])
    feed = Feed.parse(f"binance:BTC/USDT:{interval}")
    times = [feed.interval.floor(BEGIN) + row * feed.interval.delta for row in range(bars)]
    columns = {
        "time": times,
        "open": ends[:, 0],
        "high": prices[:, 3],
        "low": prices[:, 0],
        "close": ends[:, 1],
        "volume": random.integers(1, 1000_000, bars) / 1e5,
        "observed": np.append(random.random(bars - 1) >= missing, True),
    }
    return Candles(feed, pl.DataFrame(columns, schema=SCHEMA))


def bars_of(candles: Candles) -> list[Bar]:
    frame = candles.frame.filter("observed").with_columns(pl.col("time").dt.epoch("ms")).drop("observed")
    return [Bar(*row) for row in frame.iter_rows()]


def replace_feed(candles: Candles, symbol: str) -> Candles:
    return replace(candles, feed=replace(candles.feed, symbol=symbol))


def held(*sources, at: datetime | None = None, **rates: float) -> Tape:
    """A market whose clock stands where all bars of the first source have closed, unless told otherwise."""
    return Replay(sources, at or sources[0].end, HELD, Faults(rates)).tape()


def asked(dialect: Binance | Kraken, path: str, **query: object) -> object:
    answer = dialect.answer(path, {name: str(value) for name, value in query.items()})
    return json.loads(answer.text)


def klines(tape: Tape, **query: object) -> list[list[object]]:
    return asked(Binance(tape), "api.binance.com/api/v3/klines", **{"symbol": "BTCUSDT", "interval": "1m"} | query)


def ohlc(tape: Tape, **query: object) -> dict[str, object]:
    return asked(Kraken(tape), "api.kraken.com/0/public/OHLC", **{"pair": "XBTUSDT", "interval": 1} | query)


def shape(value: object) -> object:
    """A JSON value with its leaves replaced by their types; of a list of lists or objects, only the kinds of rows."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value)
