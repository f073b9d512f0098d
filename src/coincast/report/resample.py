"""More marks than a chart needs, made fewer without changing what is seen."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from ..candles import Candles
from ..feed import Interval
from .words import stamps

_UNITS = {"hours": timedelta(hours=1), "days": timedelta(days=1), "weeks": timedelta(weeks=1)}
_LENGTHS = (
    *(timedelta(minutes=m) for m in (5, 15, 30)),
    *(timedelta(hours=h) for h in (1, 2, 4, 6, 8, 12)),
    *(timedelta(days=d) for d in (1, 2, 3)),
    *(timedelta(weeks=w) for w in (1, 2, 4, 8, 16, 32)),
)


@dataclass(frozen=True)
class Bars:
    """Candles as they are drawn.

    Args:
        frame: `time` (open), `known_at` (close), `open`, `high`, `low`, `close`, `missing`: how many of the bars in
            it the source did not have.
        length: what each stands for.
        joined: whether they are longer than the candles they are made of.
    """

    frame: pl.DataFrame
    length: timedelta
    joined: bool

    def x(self, interval: Interval) -> list[str]:
        """Where charts place them: at the opening of the last bar of `interval` in each, which is its name."""
        return stamps(self.frame["known_at"].dt.replace_time_zone(None).to_numpy(), interval)

    def tail(self, count: int) -> Bars:
        """The last `count` of them."""
        return replace(self, frame=self.frame.tail(count))


def bars(candles: Candles, most: int) -> Bars:
    """At most `most` bars: the candles themselves, or longer ones made of them.

    A longer bar has the first open, the highest high, the lowest low and the last close of its parts; the first and
    the last may hold fewer parts than the others. No bar crosses into the next on the calendar's grid.
    """
    step = candles.feed.interval.delta
    length = next((d for d in (step, *_LENGTHS) if not d % step and _count(candles, d) <= most), None)
    length = length or step * -(-len(candles) // (most - 1))
    start = pl.lit(candles.feed.interval.grid) + (
        (pl.col("time") - pl.lit(candles.feed.interval.grid)).dt.total_microseconds() // _us(length) * _us(length)
    ).cast(pl.Duration("us"))
    joined = candles.frame.group_by(start.alias("bar"), maintain_order=True).agg(
        pl.col("time").first(),
        (pl.col("time").last() + step).alias("known_at"),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        (~pl.col("observed")).sum().alias("missing"),
    )
    return Bars(joined.drop("bar"), length, length > step)


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _count(candles: Candles, length: timedelta) -> int:
    return (candles.end - candles.start) // length + 2 if length > candles.feed.interval.delta else len(candles)


def in_words(length: timedelta) -> str:
    """`2 days`, `36 hours`: the largest unit that divides it."""
    for unit, one in reversed(_UNITS.items()):
        if not length % one:
            count = length // one
            return f"{count} {unit}" if count > 1 else f"1 {unit[:-1]}"
    return f"{length // timedelta(minutes=1)} minutes"


def extremes(y: Float[np.ndarray, " point"], most: int) -> Int[np.ndarray, " kept"]:
    """Which points to draw: all, or the first lowest and highest of each of `most / 2` runs of neighbours.

    A line through them covers the same pixels as one through all, as long as a run is no wider than a pixel or two.
    """
    n = len(y)
    if n <= most:
        return np.arange(n)
    edges = np.linspace(0, n, most // 2 + 1).astype(int)
    kept = set()
    for start, end in itertools.pairwise(edges):
        kept |= {start + int(np.argmin(y[start:end])), start + int(np.argmax(y[start:end]))}
    return np.array(sorted(kept))
