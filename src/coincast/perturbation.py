"""Other futures: the same bars up to one of them, and after it bars that never were.

Whatever may not know what comes after that bar must come out the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from .candles import PRICES, Candles
from .worlds import Law, draw


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
            *((past[name][-1] ** 2 / pl.col(name)).alias(name) for name in outside),
        ),
        "replaced by noise": beside(noise, outside, seed=bar).frame,
    }
    if outside:
        others["told of outside a bar later"] = future.with_columns(candles.frame.select(outside)[bar:-1])
    for words, other in others.items():
        seen = other.with_columns(time=future["time"].head(other.height), observed=pl.lit(value=True))
        yield words, Candles(candles.feed, pl.concat([past, seen]))


def beside(candles: Candles, outside: Sequence[str], seed: int) -> Candles:
    """The candles and outside series that speak every third bar, each for itself."""
    random = np.random.default_rng(seed)
    steps = random.normal(scale=0.2, size=(len(candles) // 3 + 1, len(outside))).repeat(3, axis=0)[: len(candles)]
    columns = {name: 50 * np.exp(steps[:, column]) for column, name in enumerate(outside)}
    return Candles(candles.feed, candles.frame.with_columns(**columns))
