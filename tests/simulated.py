"""An exchange that is a list of bars, on a clock that is nobody's: waiting for an hour takes no time."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from coincast.errors import ExchangeError
from coincast.exchanges.venues import Venue
from coincast.feed import INTERVALS, Feed, Interval

Result = TypeVar("Result")
BINANCE = Venue("binance", datetime(2017, 1, 1, tzinfo=UTC), 1000, INTERVALS[:12], streams=True)
HOUR = timedelta(hours=1)


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: what would be waited is added to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None):
        self.skipped += timeout or 0.0
        return super().select(0)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        # Work takes time too, if only a little: two events are never at one instant.
        self._jumping.skipped += 1e-6
        return self._jumping.skipped


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` in simulated time."""
    with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
        return runner.run(work)


Row = tuple[int, float, float, float, float, float]


def bars(feed: Feed, start: datetime, count: int, seed: int = 0, missing: Mapping[int, int] | None = None) -> list[Row]:
    """A random walk as ccxt would tell it; `missing` has runs of bars that are not there, by their first."""
    step = feed.interval.delta
    rng = np.random.default_rng(seed)
    close = np.round(30_000 * np.exp(np.cumsum(0.01 * rng.standard_normal(count))), 2)
    opened = np.concatenate([[30_000.0], close[:-1]])
    high = np.round(np.maximum(opened, close) * (1 + 0.001 * rng.random(count)), 2) + 0.01
    low = np.round(np.minimum(opened, close) * (1 - 0.001 * rng.random(count)), 2) - 0.01
    volume = np.round(rng.random(count) * 100, 3)
    gone = {row for first, length in (missing or {}).items() for row in range(first, first + length)}
    stamps = [milliseconds(start + row * step) for row in range(count)]
    rows = zip(stamps, *(column.tolist() for column in (opened, high, low, close, volume)), strict=True)
    return [row for number, row in enumerate(rows) if number not in gone]


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def joined(rows: list[Row], interval: Interval) -> list[Row]:
    """The obvious way: bars of a longer interval from what there is of shorter ones."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        opened = interval.floor(datetime.fromtimestamp(row[0] / 1000, UTC))
        groups.setdefault(milliseconds(opened), []).append(row)
    return [
        (time, part[0][1], max(r[2] for r in part), min(r[3] for r in part), part[-1][4], sum(r[5] for r in part))
        for time, part in groups.items()
    ]


@dataclass
class Pretend:
    """An exchange with one market.

    Args:
        feed: its bars.
        rows: them, as ccxt would tell them.
        start: where its clock stands at the beginning.
        venue: how it answers.
        windowed: whether an answer spans a page of time rather than a page of bars.
        latency: seconds a request takes.
        lag: seconds after its close at which a bar can be asked for.
        chatter: seconds between two messages of its stream.
        page_fault: what becomes of an answer; may raise.
        news_fault: called before each message; may raise, or wait.
        clock_fault: seconds by which the clock it tells is late.
    """

    feed: Feed
    rows: list[Row]
    start: datetime
    venue: Venue = BINANCE
    windowed: bool = False
    latency: float = 0.05
    lag: float = 0.0
    chatter: float = 2.0
    page_fault: Callable[[list[Any]], Any] = list
    news_fault: Callable[[], Awaitable[None]] | None = None
    speed: float = 1.0
    asked: list[tuple[Interval, datetime, datetime]] = field(default_factory=list)
    opened: int = 0
    listening: bool = False
    left: bool = False
    _began: float | None = None

    @property
    def now(self) -> datetime:
        time = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = time
        return self.start + timedelta(seconds=time - self._began)

    async def clock(self) -> datetime:
        return self.now

    def told(self, interval: Interval) -> list[Row]:
        """What can be asked for by now, the forming bar included."""
        now, lag = milliseconds(self.now), 1000 * self.lag
        step = self.feed.interval.delta // timedelta(milliseconds=1)
        # A bar that has just begun to form is there; one that has just closed comes a little late.
        known = [row for row in self.rows if row[0] <= now and not row[0] + step <= now < row[0] + step + lag]
        if known and known[-1][0] + step > now:
            known[-1] = (*known[-1][:5], known[-1][5] / 2)
        return known if interval == self.feed.interval else joined(known, interval)

    async def page(self, feed: Feed, since: datetime) -> object:
        self.asked.append((feed.interval, since, self.now))
        await asyncio.sleep(self.latency / 2)
        first, step = milliseconds(since), feed.interval.delta // timedelta(milliseconds=1)
        rows = [row for row in self.told(feed.interval) if row[0] >= first]
        if self.venue.depth:
            rows = rows[-self.venue.depth :]
        if self.windowed:
            rows = [row for row in rows if row[0] < first + self.venue.page * step]
        answer = [list(row) for row in rows[: self.venue.page]]
        await asyncio.sleep(self.latency / 2)
        return self.page_fault(answer)

    async def news(self, feed: Feed) -> datetime:
        if not self.listening:
            self.listening, self.opened = True, self.opened + 1
        await asyncio.sleep(self.chatter)
        if self.news_fault is not None:
            await self.news_fault()
        return feed.interval.floor(self.now)

    async def hang_up(self) -> None:
        self.listening = False

    async def close(self) -> None:
        self.left = True

    def asked_since(self) -> list[datetime]:
        return [since for interval, since, _ in self.asked if interval == self.feed.interval]


def passing(retry_after: float | None = None) -> ExchangeError:
    return ExchangeError("It failed.", "It does.", "Ask again.", passing=True, retry_after=retry_after)


def lasting() -> ExchangeError:
    return ExchangeError("It refuses.", "It does.", "Leave it.", passing=False)


def on(exchange: Pretend, **changes: Any) -> Pretend:
    """The same market afresh."""
    return replace(exchange, asked=[], opened=0, listening=False, left=False, _began=None, **changes)
