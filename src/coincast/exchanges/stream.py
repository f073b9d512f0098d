"""Closed bars as they close. The stream tells when, REST tells what.

The candles an exchange pushes do not say whether they are closed (ccxt#21885), and a stream that broke silently passes
a half-formed bar for a whole one. So a pushed candle is only a wake-up call: a bar is asked for once it has closed by
the exchange's clock, and with it the bars just before, in case they were corrected. Without a stream, or while it is
broken, the clock alone wakes us, a little later. Nobody gets to see a bar that is still forming.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType

from ..errors import CoincastError, ExchangeError, RecipeError
from ..feed import Feed, utc
from ..records import Accepted
from .exchange import REFRESH, Exchange, pace
from .history import LONGEST_OBEYED, Monitor, Tell, back_off, history, patiently, silent

# How long after its close a bar is asked for where the stream does not yet speak of the next one.
SETTLE = timedelta(seconds=2)
# How many bars are asked for again with each new one: late corrections become revisions.
OVERLAP = 3
# A stream that says nothing for so many seconds is opened anew.
SILENCE = 60.0
# An exchange that plays back fast speaks no faster than the machine does.
_LEAST_SILENCE = 5.0
# A bar that is not there yet is asked for again after these seconds; then nothing was traded in it.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0)


async def stream(
    exchange: Exchange, feed: Feed, since: datetime, until: datetime | None = None, monitor: Monitor = silent
) -> AsyncGenerator[Accepted]:
    """Every closed bar that opens at `since` or later: first those that were missed, then each one as it closes.

    Args:
        exchange: whom to ask.
        feed: which bars.
        since: the first open.
        until: the last close; None: for ever.
        monitor: told after each answer, and of each failure.

    Yields:
        What each answer brought: new bars, and up to `OVERLAP` told again; or at least rows that were refused.

    Raises:
        ExchangeError: it refused for good; what passes is waited for, for ever, and asked for at least every quarter
            of an hour.
        RecipeError: it does not have the symbol, or no bars from which the interval could be joined.
    """
    step = feed.interval.delta
    wanted = feed.interval.floor(utc(since) + step - since.resolution)
    last = wanted - step

    def tell(words: str) -> None:
        monitor(0, 0, words)

    async with _Listener(exchange, feed, tell) as listener:
        while until is None or wanted + step <= utc(until):
            try:
                await listener.closed(wanted + step)
                start = max(last - OVERLAP * step, utc(since))
                async for told in history(exchange, feed, start, until, monitor, pauses=PAUSES):
                    if len(told.records):
                        last = told.records.frame["time"][-1]
                    yield told
                wanted = max(wanted, last) + step
            except ExchangeError as error:
                if not error.passing:
                    raise
                tell(f"{error.found} Going on.")
                await asyncio.sleep(min(error.retry_after or 0, LONGEST_OBEYED))


class _Listener:
    """Hears from the stream how far the market has come. It opens the stream when there is something to wait for."""

    def __init__(self, exchange: Exchange, feed: Feed, tell: Tell) -> None:
        self._exchange = exchange
        self._feed = replace(feed, interval=exchange.venue.asked(feed.interval))
        self._tell = tell
        self._open = datetime.min.replace(tzinfo=UTC)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Listener:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def closed(self, close: datetime) -> None:
        """Return once by the exchange's clock a bar that ends at `close` has closed, and had time to settle.

        Raises:
            ExchangeError: the clock could not be asked for minutes on end.
        """
        while True:
            settled = close if self._open >= close else close + SETTLE
            left = settled - await patiently(self._exchange, self._exchange.clock, self._tell)
            if left <= timedelta(0):
                return
            if self._task is None and self._exchange.venue.streams:
                self._task = asyncio.create_task(self._listen())
            self._news.clear()
            # Never long at once: the clock is measured anew meanwhile, and a machine may have slept.
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pace(self._exchange, left.total_seconds()), REFRESH)):
                    await self._news.wait()

    async def _listen(self) -> None:
        """Keep the stream open, until it is refused for good."""
        failed = 0
        while True:
            try:
                async with asyncio.timeout(max(_LEAST_SILENCE, pace(self._exchange, SILENCE))):
                    opened = await self._exchange.news(self._feed)
            except TimeoutError:
                self._tell(f"The stream of {self._feed} was silent for {SILENCE:.0f} s and is opened anew.")
            except (ExchangeError, RecipeError) as error:
                if isinstance(error, RecipeError) or not error.passing:
                    self._tell(f"{error.found} Each close is asked for instead.")
                    return
                self._tell(f"{error.found} The stream is opened anew.")
            else:
                failed = 0
                if opened > self._open:
                    self._open = opened
                    self._news.set()
                continue
            failed += 1
            with suppress(CoincastError):
                await self._exchange.hang_up()
            await asyncio.sleep(back_off(self._exchange, failed))
