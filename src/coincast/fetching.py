"""From an exchange into the store: the past, what closes from now on, and bars that a second venue lends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from .clean import clean_records
from .errors import DataError, RecipeError
from .exchanges.exchange import CcxtExchange, Exchange
from .exchanges.history import Monitor, history, patiently, silent
from .exchanges.stream import OVERLAP, stream
from .feed import Feed, utc
from .patience import result_of
from .records import RECORD, Accepted, Records
from .rows import COLUMNS
from .store import LOCK, Hole, Snapshot, Store, Writer

# What came is written after so many seconds: a kill loses no more, and the store is not cut into crumbs.
FLUSH = 5.0
# Two venues whose closes differ by more than this in the middle do not price the same thing.
_MOST_APART = 0.05

Result = TypeVar("Result")


@dataclass(frozen=True)
class Fetched:
    """What a fetch did.

    Args:
        feed: which bars.
        new: rows that were stored: bars, and revisions of bars.
        missing: bars between the first and the last asked for that the exchange does not have, lent ones among them.
            A refused row may be any of those that did not come: so many fewer are counted.
        refused: rows that were not taken, by reason (`malformed`, `impossible`, `off grid`).
        snapshot: what the store holds now.
        notes: what the user should know of the exchange, in plain sentences.
    """

    feed: Feed
    new: int
    missing: int
    refused: Mapping[str, int]
    snapshot: Snapshot
    notes: tuple[str, ...] = ()


def fetch(
    feed: Feed,
    store: Store,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    exchange: Exchange | None = None,
    monitor: Monitor = silent,
) -> Fetched:
    """Bring what the store lacks of a feed's past. Interrupted, it goes on where it stopped when called again.

    What is there is not asked for again, unless another venue lent it; nor is a hole that the exchange has shown in one
    answer, from one side to the other and without a row that was refused. What came is stored every few seconds, and
    before any error leaves.

    Args:
        feed: which bars.
        store: where to.
        since: the first open; None: the first bar stored, or, with none, the listing.
        until: the last close; None: now, by the exchange's clock.
        exchange: whom to ask, and to leave when done; None: the feed's own, by ccxt.
        monitor: told (bars done, bars in all, words) after each page and of each failure.

    Raises:
        RecipeError: the exchange or the symbol is not known, or ccxt is not installed.
        ExchangeError: the exchange failed for minutes on end, or refused.
        OutputError: the store cannot be written, or another writer has the feed.
        DataError: a time is naive, or the store is damaged.
    """
    return _run(_fetch(feed, store, since, until, exchange=exchange or CcxtExchange(feed.exchange), monitor=monitor))


def follow(
    feed: Feed,
    store: Store,
    until: datetime | None = None,
    *,
    exchange: Exchange | None = None,
    monitor: Monitor = silent,
) -> Fetched:
    """Store each bar once it has closed, from the last one stored on; what was missed comes first.

    Args:
        feed: which bars.
        store: where to.
        until: the last close; None: until interrupted.
        exchange: as in `fetch`.
        monitor: told of each answer and failure; the numbers mean something only while it catches up.

    Raises:
        RecipeError, OutputError, DataError: as `fetch`.
        ExchangeError: the exchange refused for good; what passes is waited for.
    """
    return _run(_follow(feed, store, until, exchange or CcxtExchange(feed.exchange), monitor))


def repair(feed: Feed, other: Feed, store: Store, now: datetime | None = None) -> int:
    """Lend bars that a feed lacks from the stored bars of another venue; how many rows were stored.

    A lent bar keeps its source, names its lender in `repaired_by`, counts as seen from the repair on, and stands below
    whatever the feed's own venue may still tell. Only what the lender's venue told itself is lent, as it told it: no
    bar that `clean` would mend, and none in which nothing was traded.

    Args:
        feed: which lacks bars.
        other: which lends them.
        store: where both are.
        now: when the repair is made; None: now, by our clock.

    Raises:
        RecipeError: the other feed has another coin or interval, or is the same.
        DataError: one of them is not stored, they share no bar, or their prices are not of the same thing; or `now` is
            naive.
        OutputError: as `fetch`.
    """
    if other == feed or (other.base, other.interval) != (feed.base, feed.interval):
        raise RecipeError(
            f"{other} cannot lend bars to {feed}.",
            "A lent bar is the same coin's, in the same interval, on another venue.",
            "Name another feed, for example with the same symbol on another exchange.",
        )
    own, theirs = store.read(feed), store.read(other)
    _demand_same_prices(own, theirs)
    seen_at = pl.max_horizontal("seen_at", pl.lit(utc(now or datetime.now(UTC)), RECORD["seen_at"]))
    inside = pl.col("time").is_between(own.frame["time"][0], own.frame["time"][-1])
    lent = _untouched(theirs).filter(inside & (pl.col("volume") > 0)).join(own.frame, on="time", how="anti")
    with store.writer(feed) as writer:
        return writer.append(Records.of(feed, lent.with_columns(seen_at=seen_at, repaired_by=pl.lit(str(other)))))


async def _fetch(
    feed: Feed, store: Store, since: datetime | None, until: datetime | None, *, exchange: Exchange, monitor: Monitor
) -> Fetched:
    async with _leaving(exchange):
        with _storing(store, feed) as arrivals:
            now = await patiently(exchange, exchange.clock, lambda words: monitor(0, 0, words))
            end = now if until is None else min(now, utc(until))
            wished = store.snapshot(feed).first or exchange.venue.since if since is None else utc(since)
            start = max(wished, _reached(feed, exchange, now))
            spans = _unasked(store, feed, start, end, exchange)
            sizes = [feed.interval.bars(span.end - span.start) for span in spans]
            for number, span in enumerate(spans):
                part = _part(monitor, sum(sizes[:number]), sum(sizes))
                await arrivals.take(history(exchange, feed, span.start, span.end, part), every=FLUSH)
    return _fetched(store, arrivals, start, end, _notes(feed, exchange, wished, start))


async def _follow(feed: Feed, store: Store, until: datetime | None, exchange: Exchange, monitor: Monitor) -> Fetched:
    async with _leaving(exchange):
        with _storing(store, feed) as arrivals:
            now = await patiently(exchange, exchange.clock, lambda words: monitor(0, 0, words))
            last = store.snapshot(feed).last
            start = feed.interval.floor(now) if last is None else last - OVERLAP * feed.interval.delta
            await arrivals.take(stream(exchange, feed, start, until, monitor), every=0)
    end = store.snapshot(feed).last or start
    return _fetched(store, arrivals, start, end, _notes(feed, exchange, start, start))


class _Arrivals:
    """What came from an exchange, on its way to the store."""

    def __init__(self, writer: Writer) -> None:
        self.feed = writer.feed
        self.new = 0
        self.refused: Counter[str] = Counter()
        self._writer = writer
        self._held: list[pl.DataFrame] = []

    async def take(self, answers: AsyncGenerator[Accepted], every: float) -> None:
        """Store what the answers bring, every so many seconds and at the end."""
        clock = asyncio.get_running_loop().time
        stored_at = clock()
        async with aclosing(answers):
            async for told in answers:
                self._held.append(told.records.frame)
                self.refused.update(told.refused)
                if clock() - stored_at >= every:
                    self.store()
                    stored_at = clock()
        self.store()

    def store(self) -> None:
        """Store what is held."""
        if self._held:
            frame, self._held = pl.concat(self._held), []
            self.new += self._writer.append(Records.of(self.feed, frame))


@contextmanager
def _storing(store: Store, feed: Feed) -> Iterator[_Arrivals]:
    """Arrivals, the last of which are stored before any error leaves. Where nothing came, no folder is left."""
    with store.writer(feed) as writer:
        arrivals = _Arrivals(writer)
        try:
            yield arrivals
        finally:
            arrivals.store()
            if not store.snapshot(feed).number:
                _remove_empty(store.folder(feed))


def _remove_empty(folder: Path) -> None:
    """Remove a feed's folder with nothing but its lock, and those of its symbol and exchange if nothing is left."""
    with suppress(OSError):
        (folder / LOCK).unlink()
        for empty in (folder, *folder.parents[:2]):
            empty.rmdir()


@asynccontextmanager
async def _leaving(exchange: Exchange) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await exchange.close()


def _unasked(store: Store, feed: Feed, start: datetime, end: datetime, exchange: Exchange) -> list[Hole]:
    """The spans to ask for: those without a bar of the venue's own, joined where one answer reaches to the next.

    Before bars that are newer than all stored come the last of those again: they may have been corrected.
    """
    joined: list[Hole] = []
    page = exchange.venue.bars(feed.interval) * feed.interval.delta
    for hole in _without_shown(store, feed, store.holes(feed, start, end, own=True), exchange.venue.name):
        if joined and hole.end - joined[-1].start <= page:
            joined[-1] = Hole(joined[-1].start, hole.end)
        else:
            joined.append(hole)
    last = store.snapshot(feed).last
    if joined and last is not None and joined[-1].end > last:
        newest = max(start, min(joined[-1].start, last - (OVERLAP - 1) * feed.interval.delta))
        joined[-1] = Hole(newest, joined[-1].end)
    return joined


def _without_shown(store: Store, feed: Feed, holes: list[Hole], name: str) -> list[Hole]:
    """The holes save those whose two sides came in one answer of the exchange: that answer showed the hole."""
    if len(holes) < 2:
        return holes
    step = feed.interval.delta
    around = store.read(feed, holes[0].start - step, holes[-1].end + step).frame
    own = pl.col("repaired_by").is_null() & pl.col("source").str.contains(f"^{name}($|, )")
    told = around.filter(own).select("time", "seen_at")
    sides = pl.DataFrame(holes, schema={"start": RECORD["time"], "end": RECORD["time"]}, orient="row")
    before = sides.with_columns(time=pl.col("start") - step).join(told, on="time")
    shown = before.drop("time").join(told, left_on=["end", "seen_at"], right_on=["time", "seen_at"], how="semi")
    return [Hole(*row) for row in sides.join(shown, on=["start", "end"], how="anti", maintain_order="left").rows()]


def _reached(feed: Feed, exchange: Exchange, now: datetime) -> datetime:
    """The first open that the venue's history can hold."""
    reach = exchange.venue.reach(feed.interval)
    if reach is None:
        return exchange.venue.since
    first = exchange.venue.asked(feed.interval).floor(now) - reach
    return feed.interval.floor(first + feed.interval.delta - first.resolution)


def _part(monitor: Monitor, before: int, total: int) -> Monitor:
    """A monitor of one span among several."""
    return lambda done, _, words: monitor(before + done, total, words)


def _notes(feed: Feed, exchange: Exchange, wished: datetime, start: datetime) -> tuple[str, ...]:
    venue = exchange.venue
    shorter = venue.asked(feed.interval)
    notes = [venue.says] if venue.says else []
    if start > wished:
        notes.append(f"{venue.name} has no {feed.interval} bars from before {start:%Y-%m-%d %H:%M} any more.")
    if shorter != feed.interval:
        notes.append(f"Bars of {feed.interval} were joined from bars of {shorter}.")
    return tuple(notes)


def _fetched(store: Store, arrivals: _Arrivals, start: datetime, end: datetime, notes: tuple[str, ...]) -> Fetched:
    feed, held = arrivals.feed, store.snapshot(arrivals.feed)
    # Before its first bar a market was not there: that is not missing.
    first = held.first or end
    holes = store.holes(feed, max(start, first), end, own=True)
    lacking = sum(feed.interval.bars(hole.end - hole.start) for hole in holes)
    if held.first is None:
        notes = (*notes, "The exchange told no bar at all.")
    refused = {reason: count for reason, count in arrivals.refused.items() if reason != "unclosed"}
    missing = max(0, lacking - sum(refused.values()))
    return Fetched(feed, arrivals.new, missing, refused, held, notes)


def _demand_same_prices(own: Records, theirs: Records) -> None:
    """Raise DataError unless two venues' own bars close at about the same prices."""
    for records in (own, theirs):
        if _told(records).is_empty():
            raise DataError(f"{records.feed} is not stored.", "There is nothing to repair.", "Fetch it first.")
    both = _told(own).join(_told(theirs), on="time", suffix="_lent")
    if both.is_empty():
        raise DataError(
            f"{own.feed} and {theirs.feed} have no bar at the same time.",
            "Whether they price the same thing cannot be told.",
            f"Fetch {theirs.feed} for a span in which {own.feed} has bars.",
        )
    if np.median(np.abs(np.log(both["close_lent"] / both["close"]))) > _MOST_APART:
        raise DataError(
            f"Of {both.height} bars that both have, most close more than {_MOST_APART:.0%} apart.",
            f"{theirs.feed} does not price what {own.feed} does: a lent bar would be a bad tick.",
            "Choose a venue with the same coin and quote.",
        )


def _told(records: Records) -> pl.DataFrame:
    """The last revisions of what the venue told itself."""
    return records.latest.select(RECORD.names()).filter(pl.col("repaired_by").is_null())


def _untouched(records: Records) -> pl.DataFrame:
    """Of these the ones in which cleaning finds nothing to mend."""
    sound = clean_records(records).candles.frame.filter("observed")
    return _told(records).join(sound, on=COLUMNS, how="semi", maintain_order="left")


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Do it to the end; where a loop runs already, as in a notebook, in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _in_a_thread(work)


def _in_a_thread(work: Coroutine[Any, Any, Result]) -> Result:
    """Do it to the end in a loop of another thread. Interrupted here, it is cancelled there."""
    begun: Future[asyncio.Task[Result]] = Future()

    async def begin() -> Result:
        task = asyncio.create_task(work)
        begun.set_result(task)
        return await task

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, begin())
        try:
            return result_of(done)
        except BaseException:
            task = begun.result()
            # Closed, if the error is its own.
            with suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)
            raise
