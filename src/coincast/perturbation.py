"""Other futures: the same bars up to one of them, and after it bars that never were.

Whatever may not know what comes after that bar must come out the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from jaxtyping import Bool

from .candles import PRICES, SCHEMA, Candles
from .worlds import Law, draw, hide

# How much dearer another market is.
DEARER = 1e4


def futures(candles: Candles, bar: int) -> Iterator[tuple[str, Candles]]:
    """The same bars up to and including `bar`, and other bars after it; with words for what was done to those."""
    past, future = candles.frame.head(bar + 1), candles.frame.tail(-(bar + 1))
    if future.is_empty():
        return
    outside = candles.outside
    square = past["close"][-1] ** 2
    noise = draw(Law(volatility=0.2), future.height, seed=bar, feed=str(candles.feed)).candles
    mirror = zip(PRICES, ("open", "low", "high", "close"), strict=True)
    others = {
        "cut off": future.head(0),
        "multiplied by 7": future.with_columns(pl.col(*PRICES, "volume", *outside) * 7),
        "reversed": future.reverse(),
        "mirrored at the last price": future.with_columns(
            *((square / pl.col(at)).alias(name) for name, at in mirror),
            _mirrored_volume(past),
            *((past[name][-1] ** 2 / pl.col(name)).alias(name) for name in outside),
        ),
        "replaced by noise": beside(noise, outside, seed=bar).frame,
    }
    if outside:
        others["told of outside a bar later"] = future.with_columns(candles.frame.select(outside)[bar:-1])
    for words, other in others.items():
        seen = other.with_columns(time=future["time"].head(other.height), observed=pl.lit(value=True))
        yield words, Candles(candles.feed, pl.concat([past, seen]))


def _mirrored_volume(past: pl.DataFrame) -> pl.Expr:
    """Volumes turned over about the usual one; none stays none."""
    usual = float(np.median(past["volume"].to_numpy())) or 1.0
    return pl.when(pl.col("volume") > 0).then(usual**2 / pl.col("volume")).otherwise(0.0).alias("volume")


def raised(candles: Candles, first: int, last: int | None = None) -> Candles:
    """The bars from `first` on, up to `last` if given, above everything the series has seen: no scale can miss it."""
    here = pl.int_range(pl.len()).is_between(first, len(candles) if last is None else last)
    lowest = candles.frame.filter(here)["low"].to_numpy().min()
    factor = 2 * candles.frame["high"].to_numpy().max() / lowest
    return _changed(candles, here, {name: pl.col(name) * factor for name in (*PRICES, "volume", *candles.outside)})


def reordered(candles: Candles, first: int) -> Candles:
    """The bars from `first` on in reverse order: what depends on their set alone, such as a scale, stays."""
    rows = np.arange(first, len(candles))[~_missing(candles)[first:]]
    turned = np.arange(len(candles))
    turned[rows] = rows[::-1]
    columns = {name: pl.lit(candles.frame[name].gather(turned)) for name in (*PRICES, "volume", *candles.outside)}
    return _changed(candles, pl.int_range(pl.len()) >= first, columns)


def forming(candles: Candles) -> Candles:
    """The same bars and one more, far above all that was seen: the newest, which has not closed yet."""
    newest = candles.frame.tail(1).with_columns(pl.col("time") + candles.feed.interval.delta)
    newest = newest.with_columns(volume=pl.col("volume").clip(1.0), observed=pl.lit(value=True))
    return raised(Candles(candles.feed, pl.concat([candles.frame, newest])), len(candles))


def another_market(candles: Candles, seed: int = 0) -> Candles:
    """A random walk of the log-price at the same times, with the same volatility: nothing in it can be forecast.

    Its prices are `DEARER` times as high, and so must be what is forecast of them.
    """
    returns = np.diff(np.log(candles.close))
    volatility = float(np.std(returns)) or 1e-4
    walk = draw(Law(volatility=volatility, dof=5), len(candles), seed, str(candles.feed)).candles.frame
    scale = DEARER * candles.close[0] / walk["close"][0]
    columns = {name: pl.lit(walk[name] * scale) for name in PRICES} | {"volume": pl.lit(walk["volume"])}
    return _changed(candles, pl.lit(value=True), columns)


def with_gaps_of(candles: Candles, other: Candles) -> Candles:
    """The other bars, missing and lent where these are: how many are seen, and when, stays as it was.

    A pipeline that leaves missing bars out and splits by a share of the rest would split elsewhere if it changed.
    """
    gapped = hide(other, np.flatnonzero(_missing(candles)).tolist()).frame
    return Candles(candles.feed, gapped.with_columns(candles.frame["observed"].head(len(other))))


def _missing(candles: Candles) -> Bool[np.ndarray, " bar"]:
    """Bars that neither the source had nor a second venue lent."""
    return ~candles.observed & (candles.frame["volume"].to_numpy() == 0)


def _changed(candles: Candles, here: pl.Expr, columns: Mapping[str, pl.Expr]) -> Candles:
    """The candles with other values in some columns of some bars."""
    values = (pl.when(here).then(values).otherwise(pl.col(name)).alias(name) for name, values in columns.items())
    frame = candles.frame.select(*SCHEMA, *candles.outside).with_columns(*values, observed=pl.lit(value=True))
    return with_gaps_of(candles, Candles(candles.feed, frame))


def beside(candles: Candles, outside: Sequence[str], seed: int) -> Candles:
    """The candles and outside series that speak every third bar, each for itself."""
    random = np.random.default_rng(seed)
    steps = random.normal(scale=0.2, size=(len(candles) // 3 + 1, len(outside))).repeat(3, axis=0)[: len(candles)]
    columns = {name: 50 * np.exp(steps[:, column]) for column, name in enumerate(outside)}
    return Candles(candles.feed, candles.frame.with_columns(**columns))
