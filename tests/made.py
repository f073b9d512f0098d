"""Candles and forecasts made by hand, for tests that need to know every number in them."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from coincast.candles import SCHEMA, Candles
from coincast.feed import Feed
from coincast.forecast import Forecast, K

DAILY = Feed.parse("binance:BTC/USDT:1d")
HOURLY = Feed.parse("binance:BTC/USDT:1h")
START = datetime(2019, 1, 1, tzinfo=UTC)


def candles_of(closes: Sequence[float], missing: Sequence[int] = (), feed: Feed = DAILY) -> Candles:
    """Bars that trade at their close; the `missing` ones are rows that repeat the close before them."""
    close = np.array(closes, dtype=float)
    observed = ~np.isin(np.arange(len(close)), missing)
    for row in missing:
        close[row] = close[row - 1]
    times = [START + row * feed.interval.delta for row in range(len(close))]
    columns = {"open": close, "high": close, "low": close, "close": close, "volume": observed.astype(float)}
    return Candles(feed, pl.DataFrame({"time": times, **columns, "observed": observed}, schema=SCHEMA))


def forecast_of(candles: Candles, rows: Sequence[int], values, horizons=(1,), model="model") -> Forecast:
    """A forecast from the closes of `rows`; `values` are broadcast to (row, horizon, K)."""
    rows = np.asarray(rows)
    origin = candles.known_at[rows]
    full = np.broadcast_to(np.asarray(values, dtype=float), (len(rows), len(horizons), K))
    return Forecast(candles.feed, model, "", tuple(horizons), origin, origin, candles.close[rows], full.copy())


def walk(bars: int, seed: int, scale: float = 0.03) -> np.ndarray:
    """Closes of a random walk with Student-t steps."""
    steps = scale * np.random.default_rng(seed).standard_t(4, bars)
    return 10_000 * np.exp(np.cumsum(steps))
