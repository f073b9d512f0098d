"""Closed bars of the past, page by page, until by the exchange's own clock there can be no more.

A failure is asked again, later and later (exponential back-off with full jitter: Brooker 2015, "Exponential backoff and
jitter", AWS architecture blog), and an exchange that says how long to wait is obeyed. An empty answer is asked again
too: faults pass, and a hole in history stays.
"""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import numpy as np
import polars as pl

from ..errors import ExchangeError
from ..feed import Feed, utc
from ..records import RECORD, Accepted, Records, accept
from .exchange import Exchange, pace

# Told of (bars done, bars in all, words).
Monitor = Callable[[int, int, str], None]
Tell = Callable[[str], None]
Result = TypeVar("Result")

# How often a failure is asked again, and the longest pause before: three minutes in all, more or less.
TRIES, LONGEST_PAUSE = 12, 60.0
# An exchange that wants to be left alone for longer than this (in our seconds) is left alone for good.
LONGEST_OBEYED = 900.0
# The seconds before an answer without a bar is asked for again. After the last it is believed.
PAUSES = (0.0,) * 3
# How often an answer with rows that cannot be is asked for again: garbled once, it is told rightly the next time.
_GARBLED = 2

_chance = np.random.default_rng()


def silent(_done: int, _total: int, _words: str) -> None:
    """A monitor that tells nobody."""


async def history(
    exchange: Exchange,
    feed: Feed,
    since: datetime,
    until: datetime | None = None,
    monitor: Monitor = silent,
    *,
    pauses: Sequence[float] = PAUSES,
) -> AsyncGenerator[Accepted]:
    """Every closed bar that opens at `since` or later, in pages in order of time.

    Bars of an interval that the venue lacks are joined from shorter ones, whole bars only, as `clean.resample` does.

    Args:
        exchange: whom to ask.
        feed: which bars.
        since: the first open.
        until: the last close; None: whatever has closed by the exchange's clock when the last page comes.
        monitor: told after each page, and of each failure.
        pauses: the seconds before the newest bar is asked for again, if it is not there; then that is believed.

    Yields:
        What each answer brought: bars, or at least rows that were refused.

    Raises:
        ExchangeError: it failed for minutes on end, or refused for good. What was yielded before is right.
        RecipeError: it does not have the symbol, or no bars from which the interval could be joined.
    """
    way = _Way(exchange, feed, since, monitor)
    while way.cursor + feed.interval.delta <= (end := await way.end(until)):
        told = await way.go(end, pauses)
        if len(told.records) or _garbled(told):
            yield told
        way.report(end)


class _Way:
    """The way through a feed's past: `cursor` is the open from which on bars are asked for next."""

    def __init__(self, exchange: Exchange, feed: Feed, since: datetime, monitor: Monitor) -> None:
        self._exchange, self._feed, self._monitor = exchange, feed, monitor
        self.cursor = self._first = feed.interval.floor(utc(since) + feed.interval.delta - since.resolution)
        self._doubted: datetime | None = None
        self._done = self._total = 0

    async def end(self, until: datetime | None) -> datetime:
        """The last close that can be asked for."""
        now = await patiently(self._exchange, self._exchange.clock, self._tell)
        return now if until is None else min(now, utc(until))

    async def go(self, end: datetime, pauses: Sequence[float]) -> Accepted:
        """What the answer at the cursor brings that closed by `end`. The cursor goes on, or stays if it is doubted."""
        feed, step, asked = self._feed, self._feed.interval.delta, self.cursor
        newest = asked + 2 * step > end
        told = await _told(self._exchange, feed, asked, pauses if newest else PAUSES, self._tell)
        bars = told.records.frame.filter(pl.col("time").is_between(asked, end - step))
        if not bars.is_empty():
            self.cursor = bars["time"][-1] + step
            return replace(told, records=Records(feed, bars))
        doubt = asked != self._doubted and not newest
        self.cursor = await _beyond(self._exchange, feed, asked, end, self._tell, doubt=doubt)
        self._doubted = asked
        # What is asked for again is counted then.
        return Accepted(Records.empty(feed), {} if self.cursor == asked else told.refused)

    def report(self, end: datetime) -> None:
        """Tell how far it is."""
        self._total = self._feed.interval.bars(end - self._first)
        self._done = min(self._total, self._feed.interval.bars(self.cursor - self._first))
        self._tell(f"{self._feed} until {min(self.cursor, end):%Y-%m-%d %H:%M}")

    def _tell(self, words: str) -> None:
        self._monitor(self._done, self._total, words)


async def patiently(exchange: Exchange, ask: Callable[[], Awaitable[Result]], tell: Tell) -> Result:
    """What `ask` answers, asked again while it fails and may yet succeed.

    Raises:
        ExchangeError: it failed too often, cannot succeed, or the exchange wants to be left alone for long.
    """
    failed = 0
    while True:
        try:
            return await ask()
        except ExchangeError as error:
            failed += 1
            if not error.passing or failed == TRIES or (error.retry_after or 0) > LONGEST_OBEYED:
                raise
            pause = back_off(exchange, failed) if error.retry_after is None else error.retry_after
            tell(f"Asking again in {pause:.1f} s: {error.found}")
        await asyncio.sleep(pause)


def back_off(exchange: Exchange, failed: int) -> float:
    """How many of our seconds to wait after so many failures: anything up to twice as long each time."""
    return pace(exchange, _chance.uniform(0, min(LONGEST_PAUSE, 2.0 ** (failed - 1))))


async def _told(exchange: Exchange, feed: Feed, since: datetime, pauses: Sequence[float], tell: Tell) -> Accepted:
    """An answer with a bar, if one comes."""
    told = await _ungarbled(exchange, feed, since, tell)
    for pause in pauses:
        if len(told.records):
            break
        await asyncio.sleep(pace(exchange, pause))
        told = await _ungarbled(exchange, feed, since, tell)
    return told


async def _ungarbled(exchange: Exchange, feed: Feed, since: datetime, tell: Tell) -> Accepted:
    """What is told, asked again while rows of it cannot be."""
    told = await patiently(exchange, lambda: _ask(exchange, feed, since), tell)
    for _ in range(_GARBLED):
        if not _garbled(told):
            break
        again = await patiently(exchange, lambda: _ask(exchange, feed, since), tell)
        whole = not _garbled(again) and len(again.records) >= len(told.records)
        told = again if whole else Accepted(told.records.and_also(again.records), again.refused)
    return told


def _garbled(told: Accepted) -> bool:
    """Whether rows of an answer cannot be."""
    return bool(told.refused.keys() - {"unclosed"})


async def _ask(exchange: Exchange, feed: Feed, since: datetime) -> Accepted:
    """The sound bars in one answer. They are closed by the clock as it stood before the question.

    Raises:
        ExchangeError: there was no answer, or not one row of it can be read; it passes.
    """
    asked = replace(feed, interval=exchange.venue.asked(feed.interval))
    seen_at = await exchange.clock()
    answer = await exchange.page(asked, since)
    name = exchange.venue.name
    source = name if asked == feed else f"{name}, joined from {asked.interval}"
    told = accept(asked, answer, seen_at, source)
    if told.refused.keys() == {"malformed"} and not len(told.records):
        raise ExchangeError(
            f"{name} told no bar of {asked} that can be read: {reprlib.repr(answer)}.",
            "What it has is not known.",
            "Call again later; what was told before is stored.",
            passing=True,
        )
    if _garbled(told):
        told = replace(told, records=_one_by_one(told.records))
    return told if asked == feed else replace(told, records=join(told.records, feed))


def _one_by_one(records: Records) -> Records:
    """The same, each bar seen a microsecond before the next.

    Bars that were seen at one instant show that there is none between them; where rows were refused, they do not.
    """
    before = pl.duration(microseconds=pl.col("time").rank("dense", descending=True) - 1)
    return Records(records.feed, records.frame.with_columns(pl.col("seen_at") - before))


def join(records: Records, feed: Feed) -> Records:
    """Longer bars from shorter ones: those of which no part is missing.

    Args:
        records: of the same market; the last revisions count.
        feed: the longer bars; their interval is a multiple.
    """
    parts = feed.interval.delta // records.feed.interval.delta
    bars = records.latest
    opens = pl.Series([feed.interval.floor(time) for time in bars["time"]], dtype=RECORD["time"])
    joined = (
        bars.with_columns(time=opens)
        .group_by("time", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.col("seen_at").max(),
            pl.col("source", "repaired_by").first(),
            pl.len().alias("parts"),
        )
    )
    return Records.of(feed, joined.filter(pl.col("parts") == parts))


async def _beyond(
    exchange: Exchange, feed: Feed, cursor: datetime, end: datetime, tell: Tell, *, doubt: bool
) -> datetime:
    """Where to ask next when nothing was told at `cursor`: one page on, or where the venue's longest bars go on.

    With `doubt` it is `cursor` again, unless those show that nothing was traded in the page.
    """
    venue = exchange.venue
    after = cursor + venue.bars(feed.interval) * feed.interval.delta
    longest = replace(feed, interval=venue.longest)
    day = longest.interval.delta
    if after >= end or feed.interval.delta >= day:
        return cursor if doubt else after
    start = longest.interval.floor(cursor)
    told = await _told(exchange, longest, start, PAUSES, tell)
    opens = told.records.frame.filter(pl.col("volume") > 0)["time"]
    if doubt and opens.is_between(cursor, after - day).any():
        return cursor
    empty_until = opens[0] if len(opens) else min(start + venue.page * day, longest.interval.floor(end))
    return max(after, feed.interval.floor(empty_until))
