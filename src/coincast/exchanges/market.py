"""What one market has traded by any moment: the bars that have closed, and the one that is forming.

Times are whole milliseconds since 1970 in UTC, as exchanges write them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from ..candles import Candles
from ..feed import INTERVALS, Interval
from ..records import VALUES, Records

Moment = TypeVar("Moment", int, np.ndarray)

# Exchanges quote no finer than this.
_MOST_PLACES = 8
# A bar that nobody knows from within visits its extremes at these fractions of its time.
_FIRST_TURN, _SECOND_TURN = 1 / 3, 2 / 3


class Bar(NamedTuple):
    """A bar as it stands: open time in ms, prices in quote and volume in base currency."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def mean(self) -> float:
        """A price between low and high, standing in for the volume-weighted mean that candles do not tell."""
        return (self.open + self.high + self.low + self.close) / 4

    @property
    def trades(self) -> int:
        """A number that grows with the volume, standing in for the count of trades that candles do not tell."""
        return math.ceil(self.volume * 10)


class Series(NamedTuple):
    """Closed bars in order of time: opens in ms, and open, high, low, close, volume."""

    time: Int[np.ndarray, " bar"]
    values: Float[np.ndarray, "bar 5"]

    def bars(self, first: int, stop: int) -> list[Bar]:
        """The bars from the position `first` up to `stop`."""
        rows = zip(self.time[first:stop].tolist(), self.values[first:stop].tolist(), strict=True)
        return [Bar(time, *values) for time, values in rows]


def length(interval: Interval) -> int:
    """An interval in milliseconds."""
    return interval.delta // timedelta(milliseconds=1)


def opened(interval: Interval, time: Moment) -> Moment:
    """When the bar that holds `time` opened."""
    grid = int(interval.grid.timestamp()) * 1000
    return time - (time - grid) % length(interval)


def decimal(value: float, places: int) -> str:
    """`value` with `places` decimals, or as many more as it takes to read the same number back."""
    text = f"{value:.{places}f}"
    return text if float(text) == value else np.format_float_positional(value, trim="-")


@dataclass(frozen=True)
class Market:
    """All that will ever be traded of one symbol. What is told of it never reaches beyond the `now` it is asked with.

    Args:
        symbol: base and quote as ccxt writes them.
        series: the closed bars of every interval that was given or can be joined from a shorter one.
    """

    symbol: str
    series: Mapping[Interval, Series]

    @classmethod
    def of(cls, symbol: str, sources: Sequence[Candles | Records]) -> Market:
        """A market from candles of one or several intervals; bars that a source does not have were never traded."""
        given = {source.feed.interval: _series(source) for source in sources}
        series: dict[Interval, Series] = {}
        for interval in map(Interval, INTERVALS):
            shorter = _shorter(interval, series)
            if interval in given:
                series[interval] = given[interval]
            elif shorter:
                series[interval] = _joined(series[shorter[-1]], interval)
        return cls(symbol, series)

    @cached_property
    def places(self) -> int:
        """How many decimals the prices have."""
        prices = next(iter(self.series.values())).values[:, :4]
        return next((n for n in range(1, _MOST_PLACES) if (prices.round(n) == prices).all()), _MOST_PLACES)

    def bars(
        self, interval: Interval, now: int, since: int | None = None, until: int | None = None, limit: int = 1000
    ) -> list[Bar]:
        """The bars that open from `since` to `until` as they stand at `now`, the forming one included.

        At most `limit` of them: the first ones if `since` is given, else the last ones.
        """
        series = self.series[interval]
        last = now if until is None else min(until, now)
        first = 0 if since is None else int(np.searchsorted(series.time, since))
        closed = int(np.searchsorted(series.time, min(last, now - length(interval)), side="right"))
        forming = self.forming(interval, now)
        current = [forming] if forming and (since or 0) <= forming.time <= last else []
        if since is None:
            return [*series.bars(max(first, closed - limit + len(current)), closed), *current]
        return [*series.bars(first, min(closed, first + limit)), *current][:limit]

    def forming(self, interval: Interval, now: int) -> Bar | None:
        """The bar that holds `now`, as it stands; None if nothing is traded in it.

        It is made of shorter bars where they begin with it, else of a path from open over low and high to close.
        """
        time = opened(interval, now)
        shorter = _shorter(interval, self.series)
        parts = self.bars(shorter[-1], now, time, limit=now - time + 1) if shorter else []
        if parts and parts[0].time == time:
            return _join(parts)
        series = self.series[interval]
        row = int(np.searchsorted(series.time, time))
        if row == len(series.time) or series.time[row] != time:
            return None
        return self._path(series.bars(row, row + 1)[0], (now - time) / length(interval))

    def _path(self, whole: Bar, share: float) -> Bar:
        """A bar after a share of its time: up over its low, down over its high, its volume growing evenly."""
        turns = (whole.low, whole.high) if whole.close >= whole.open else (whole.high, whole.low)
        prices = [whole.open, *turns, whole.close]
        clock = (0.0, _FIRST_TURN, _SECOND_TURN, 1.0)
        price = float(np.clip(np.round(np.interp(share, clock, prices), self.places), whole.low, whole.high))
        seen = [price, *(p for p, turn in zip(prices, clock, strict=True) if turn <= share)]
        volume = round(whole.volume * share, _MOST_PLACES)
        return Bar(whole.time, whole.open, max(seen), min(seen), price, volume)


def _series(source: Candles | Records) -> Series:
    frame = source.frame.filter("observed") if isinstance(source, Candles) else source.latest
    return Series(frame["time"].dt.epoch("ms").to_numpy(), frame.select(pl.col(VALUES)).to_numpy())


def _shorter(interval: Interval, among: Mapping[Interval, Series]) -> list[Interval]:
    """The intervals whose bars make up a bar of `interval`, the longest last."""
    parts = [other for other in among if other.delta < interval.delta and not interval.delta % other.delta]
    return sorted(parts, key=lambda other: other.delta)


def _joined(series: Series, interval: Interval) -> Series:
    """The same trades in longer bars."""
    opens = opened(interval, series.time)
    edges = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    last = np.append(edges[1:], len(opens)) - 1
    values = series.values
    columns = (
        values[edges, 0],
        np.maximum.reduceat(values[:, 1], edges),
        np.minimum.reduceat(values[:, 2], edges),
        values[last, 3],
        np.add.reduceat(values[:, 4], edges).round(_MOST_PLACES),
    )
    return Series(opens[edges], np.column_stack(columns))


def _join(parts: Sequence[Bar]) -> Bar:
    return Bar(
        parts[0].time,
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        round(sum(bar.volume for bar in parts), _MOST_PLACES),
    )
