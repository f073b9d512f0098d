"""Markets for pipelines to be asked about: drawn from random laws, or stretches of real coins."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from coincast.candles import PRICES, Candles
from coincast.clean import clean, resample
from coincast.feed import Feed, Interval
from coincast.files import read
from coincast.rows import infer_interval
from coincast.worlds import Law, draw, hide

# What the volatility of a bar is in crypto markets, about.
VOLATILITY = {"15m": 0.004, "1h": 0.008, "4h": 0.015, "1d": 0.035}
SHORTEST, LONGEST = 900, 1500
# Volatility's season, in bars: a day of hours, a week of hours, a week of days, a year of days.
SEASONS = (24, 168, 7, 365)

REAL = (
    *("daily/btcusd_bitstamp_coinbase_1d", "daily/btcusdt_binance_1d", "daily/ethusdt_binance_1d"),
    *(f"panel/{coin}usd_yahoo_1d" for coin in ("ada", "bch", "bnb", "doge", "dot", "eth", "link", "ltc", "uni", "xlm")),
    *("hourly/btcusdt_binance_1h", "hourly/btcusdt_binance_perp_1h", "hourly/ethusdt_binance_perp_1h"),
    "minute/btcusdt_binance_1m_2024-12",
)
# Folders whose bars can be joined to bars of an interval.
FOLDERS = {"1d": ("daily", "panel"), "4h": ("hourly",), "1h": ("hourly",), "15m": ("minute",)}


def simulated(
    random: np.random.Generator, interval: str, *, gaps: bool, bars: int, rho: float | None = None
) -> Candles:
    """A market of a random law: with or without GARCH, seasons of volatility, a drift, a little autocorrelation.

    Args:
        random: chance.
        interval: of its bars.
        gaps: whether bars are missing, alone and in stretches.
        bars: how many.
        rho: the autocorrelation of its returns, if it is not left to chance.
    """
    alpha = random.choice([0.0, 0.05, 0.12])
    drawn = Law(
        volatility=VOLATILITY[interval] * random.uniform(0.5, 2),
        dof=random.choice([3.0, 5.0, 30.0]),
        autocorrelation=random.choice([0.0, 0.0, -0.05, 0.05]) if rho is None else rho,
        alpha=alpha,
        beta=0.85 if alpha else 0.0,
        swing=random.choice([0.0, 0.3]),
        period=int(random.choice(SEASONS)),
    )
    candles = draw(drawn, bars, int(random.integers(2**31)), f"simulated:COIN/USD:{interval}").candles
    price = 10 ** random.uniform(-2, 5) / candles.close[0]
    slope = drawn.volatility * random.normal() / 20
    candles = _rescaled(candles, price * np.exp(slope * np.arange(bars)))
    return hide(candles, _lost(random, bars)) if gaps else candles


def _rescaled(candles: Candles, factor: np.ndarray) -> Candles:
    columns = {name: pl.col(name) * pl.Series(factor) for name in PRICES}
    return Candles(candles.feed, candles.frame.with_columns(**columns))


def _lost(random: np.random.Generator, bars: int) -> list[int]:
    """Three bars in a hundred, a third of them in stretches of up to ten."""
    alone = random.choice(np.arange(2, bars), bars // 50, replace=False)
    starts = random.choice(np.arange(2, bars - 10), max(1, bars // 500), replace=False)
    stretches = [start + k for start in starts for k in range(int(random.integers(2, 11)))]
    return sorted({*alone.tolist(), *(int(bar) for bar in stretches)})


def real(random: np.random.Generator, interval: str, *, bars: int) -> Candles | None:
    """A random stretch of a random coin, of joined bars where its file holds shorter ones; None without study data."""
    names = [name for name in REAL if name.startswith(FOLDERS[interval])]
    whole = _whole(names[int(random.integers(len(names)))], interval)
    start = int(random.integers(2**31))
    if whole is None or len(whole) <= bars:
        return None
    return Candles(whole.feed, whole.frame.slice(start % (len(whole) - bars), bars))


@cache
def _whole(name: str, interval: str) -> Candles | None:
    path = folder() / f"{name}.csv.gz"
    if not path.is_file():
        return None
    rows = read(path)
    symbol = name.split("/")[1][:3].upper()
    candles = clean(rows, Feed.parse(f"study:{symbol}/USD:{infer_interval(rows)}")).candles
    wanted = Interval(interval)
    return candles if candles.feed.interval == wanted else resample(candles, wanted)


def folder() -> Path:
    """Where the study data lies, if it is there."""
    return Path(os.environ.get("COINCAST_DATA", Path(__file__).parents[2] / "../shared/data"))
