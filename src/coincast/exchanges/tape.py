"""What a simulated exchange tells of its markets by its own clock, faults included."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..feed import Interval
from .faults import Faults, Place
from .market import Bar, Market, length

# How late the clock that is told is where the fault `skew` befalls it.
_SKEW = 10_000
# A bar with the fault `correction` is told wrong for so many intervals after its close.
_WRONG_FOR = 1.5


class Topic(NamedTuple):
    """What a stream tells of: the bars of one market."""

    symbol: str
    interval: Interval


class Tape:
    """The bars of all markets, told as time goes by. Times are milliseconds since 1970.

    Args:
        markets: by symbol.
        start: where the clock stands now.
        speed: how much faster it runs than ours; 0 holds it.
        faults: what goes wrong.
    """

    def __init__(self, markets: Mapping[str, Market], start: int, speed: float, faults: Faults) -> None:
        self.markets = markets
        self.speed = speed
        self._start = start
        self._faults = faults
        self._began = time.monotonic()
        self._count: Counter[Place] = Counter()

    @property
    def now(self) -> int:
        """The exchange's clock."""
        return self._start + int((time.monotonic() - self._began) * 1000 * self.speed)

    def seconds(self, span: int) -> float:
        """How many of our seconds a span of the exchange's milliseconds takes; infinite if its clock is held."""
        return span / 1000 / self.speed if self.speed else np.inf

    def retry_after(self, span: int) -> str:
        """The same in whole seconds, as the header `Retry-After` counts; 0 if the clock is held."""
        return str(round(self.seconds(span)) if self.speed else 0)

    def strike(self, place: Place) -> str | None:
        """The fault that befalls the next thing at `place`, if one does."""
        self._count[place] += 1
        return self._faults.strike(place, self._count[place])

    def clock(self) -> int:
        """The time that is told."""
        return self.now - (_SKEW if self.strike("clock") == "skew" else 0)

    def page(self, topic: Topic, now: int, since: int | None, until: int | None, limit: int) -> list[Bar]:
        """The bars that open from `since` to `until` as they are told at `now`, the forming one included.

        At most `limit` of them: the first ones if `since` is given, else the last ones.
        """
        bars = [
            self._as_told(topic, bar, now)
            for bar in self.markets[topic.symbol].bars(topic.interval, now, since, until, limit)
        ]
        match self.strike("page"):
            case "empty":
                return []
            case "duplicates":
                return [bar for bar in bars for _ in range(2)]
            case "out-of-order":
                return bars[1::2] + bars[::2]
        return bars

    def closed(self, topic: Topic, after: int, by: int) -> list[Bar]:
        """The bars that closed after one moment and by another, as they are told at the latter."""
        step = length(topic.interval)
        bars = self.markets[topic.symbol].bars(topic.interval, by, after - step + 1, by - step, limit=by - after + 1)
        return [self._as_told(topic, bar, by) for bar in bars]

    def forming(self, topic: Topic, now: int) -> Bar | None:
        """The bar that holds `now`, as it stands; None if nothing is traded in it."""
        return self.markets[topic.symbol].forming(topic.interval, now)

    def _as_told(self, topic: Topic, bar: Bar, now: int) -> Bar:
        """A bar that closed lately may be told wrong: before its last trades, with another close."""
        age = now - bar.time - length(topic.interval)
        if not 0 <= age < _WRONG_FOR * length(topic.interval) or not self._wrong(topic, bar):
            return bar
        close = float(np.clip(round(bar.mean, self.markets[topic.symbol].places), bar.low, bar.high))
        return bar._replace(close=close, volume=round(bar.volume * 0.9, 8))

    def _wrong(self, topic: Topic, bar: Bar) -> bool:
        number = zlib.crc32(f"{topic.symbol} {topic.interval} {bar.time}".encode())
        return self._faults.strike("bar", number) == "correction"
