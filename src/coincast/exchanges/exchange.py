"""One exchange: its clock, a page of its candles, and the call when a bar closes. ccxt speaks to more than a hundred.

What an exchange answers is untrusted; `records.accept` judges it. What it fails at is one of two things: a name that
it does not have (RecipeError, at once), or everything else (ExchangeError, which says whether asking again may help).
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import math
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from types import ModuleType
from typing import Any, Protocol

from ..errors import ExchangeError, RecipeError
from ..feed import INTERVALS, Feed, Interval
from .venues import VENUES, Venue

# Our clock and the exchange's drift apart by some milliseconds in this many seconds.
REFRESH = 300
_TIMEOUT = 10_000
_MOST_WORDS = 160
_LOOK_UPS = 2
# Where ccxt does not say how many bars an answer holds. If they are fewer, the next question begins where they end.
_USUAL_PAGE = 500
# How ccxt writes the status that Binance sends to where it may not serve; it takes it for an outage.
_FOR_LEGAL_REASONS = " 451 "
_FIRST_TRADE = datetime(2010, 1, 1, tzinfo=UTC)


Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class Exchange(Protocol):
    """Whom to ask for candles."""

    @property
    def venue(self) -> Venue:
        """How it tells its candles."""

    @property
    def speed(self) -> float:
        """How many seconds of its clock pass in one of ours: 1, but for an exchange that plays back."""

    async def clock(self) -> datetime:
        """Its own time: never later than it is there, and never earlier than what was said before.

        Raises:
            ExchangeError: it could not be asked.
        """

    async def page(self, feed: Feed, since: datetime) -> object:
        """What it answers when asked for the bars that open at `since` or later; nothing of it is proved.

        Raises:
            ExchangeError: there was no answer.
            RecipeError: it does not have the symbol.
        """

    async def news(self, feed: Feed) -> datetime:
        """Wait until its stream speaks of a bar; the open of that bar, which need not have closed.

        Raises:
            ExchangeError: the stream broke.
        """

    async def hang_up(self) -> None:
        """End the stream; the next `news` opens it again."""

    async def close(self) -> None:
        """Leave it for good."""


def pace(exchange: Exchange, seconds: float) -> float:
    """How many of our seconds it takes until so many have passed there."""
    return seconds / (exchange.speed or 1)


class CcxtExchange:
    """An exchange as ccxt speaks to it: its rate limiter on, no key, public market data only.

    Args:
        name: as ccxt writes it, `binance`.
        urls: other addresses, in the form of ccxt's own `urls`: how to reach an exchange that plays back.
        speed: how many seconds of its clock pass in one of ours.

    Raises:
        RecipeError: ccxt is not installed, does not know the name, or knows no candles of it.
    """

    def __init__(self, name: str, urls: Mapping[str, Any] | None = None, speed: float = 1.0) -> None:
        self._ccxt = _ccxt()
        if name not in self._ccxt.exchanges:
            raise _unknown(f"The exchange {name!r} is not known to ccxt.", name, self._ccxt.exchanges)
        self.speed = speed
        timeout = max(1000, _TIMEOUT / (speed or 1))
        self._client = getattr(self._ccxt, name)({"enableRateLimit": True, "timeout": timeout, "urls": urls or {}})
        if speed > 1:
            # Its limits count by its clock too.
            self._client.rateLimit /= speed
            self._client.tokenBucket = None
            self._client.init_rest_rate_limiter()
        self.venue = VENUES.get(name) or self._described(name)
        self._told = self._said = datetime.min.replace(tzinfo=UTC)
        self._told_at = -float("inf")
        self._guarded = False

    def _described(self, name: str) -> Venue:
        """What ccxt knows of a venue that is not in our table.

        Raises:
            RecipeError: it tells no candles.
        """
        listed = self._client.timeframes or {}
        fitting = (Interval(name) for name in INTERVALS if name in listed)
        intervals = tuple(str(interval) for interval in fitting if interval.delta <= timedelta(days=1))
        if not intervals or not self._client.has["fetchOHLCV"]:
            raise RecipeError(
                f"{name} tells no candles.",
                "ccxt knows of none that it could be asked for.",
                f"Choose another exchange, for example {' or '.join(VENUES)}.",
            )
        page = _page(self._client.features or {})
        return Venue(name, _FIRST_TRADE, page, intervals, streams=self._client.has["watchOHLCV"] is True)

    async def clock(self) -> datetime:
        """Its own time, measured every few minutes and carried on by our monotonic clock between.

        The time it tells was true before its answer came here, so what is said is never later than it is there, but
        for what the two clocks drift apart between measurements.
        """
        now = asyncio.get_running_loop().time
        if now() > self._told_at + REFRESH:
            self._told, self._told_at = await self._measure(), now()
        self._said = max(self._said, self._told + timedelta(seconds=(now() - self._told_at) * self.speed))
        return self._said

    async def page(self, feed: Feed, since: datetime) -> object:
        """Rows `[milliseconds of the open, open, high, low, close, volume]`, if all went well."""
        with self._translated(feed.symbol):
            await self._look_up(feed.symbol)
            milliseconds = int(since.timestamp() * 1000)
            return await self._client.fetch_ohlcv(feed.symbol, str(feed.interval), milliseconds, self.venue.page)

    async def news(self, feed: Feed) -> datetime:
        """The open of the bar the venue last spoke of."""
        if not self._guarded:
            loop, self._guarded = asyncio.get_running_loop(), True
            loop.set_exception_handler(partial(self._break, loop.get_exception_handler()))
        with self._translated(feed.symbol):
            await self._look_up(feed.symbol)
            rows = await self._client.watch_ohlcv(feed.symbol, str(feed.interval))
            return datetime.fromtimestamp(max((row[0] for row in rows), default=0) / 1000, UTC)

    async def hang_up(self) -> None:
        """End the stream; the next `news` opens it again."""
        with self._translated():
            await self._client.close_ws_clients()

    async def close(self) -> None:
        """Leave it for good."""
        await self._client.close()

    async def _look_up(self, symbol: str) -> None:
        """Load the list of markets, once more if the symbol is not in it: ccxt takes a torn list for a short one."""
        for _ in range(_LOOK_UPS):
            if symbol not in (self._client.markets or ()):
                await self._client.load_markets(reload=True)

    def _break(self, before: Handler | None, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A message that ccxt cannot read ends its listening without a word: whoever waits is told instead."""
        error = context.get("exception")
        frames = traceback.walk_tb(error.__traceback__) if error else ()
        unread = any(frame.f_globals.get("__name__", "").startswith("ccxt.") for frame, _ in frames)
        if unread:
            for line in self._client.clients.values():
                line.reject(self._ccxt.NetworkError(f"unreadable message: {error}"))
        if before is not None:
            before(loop, context)
        elif not unread:
            loop.default_exception_handler(context)

    async def _measure(self) -> datetime:
        """What the exchange says the time is. One that has no call for it writes it on its answers."""
        with self._translated():
            if self._client.has["fetchTime"]:
                return datetime.fromtimestamp(await self._client.fetch_time() / 1000, UTC)
            await self._client.fetch_markets()
            return parsedate_to_datetime(_header(self._client.last_response_headers, "Date")).astimezone(UTC)

    @contextmanager
    def _translated(self, symbol: str = "") -> Iterator[None]:
        """Errors of ccxt, and those its parsers make of a torn answer, in our words."""
        self._client.last_response_headers = None
        try:
            yield
        except Exception as error:
            raise self._ours(error, symbol) from error

    def _ours(self, error: Exception, symbol: str) -> RecipeError | ExchangeError:
        name, ccxt = self.venue.name, self._ccxt
        unlisted = isinstance(error, ccxt.BadSymbol)
        if unlisted and self._client.symbols:
            return _unknown(f"{name} has no market {symbol}.", symbol, self._client.symbols)
        lasting = (ccxt.NotSupported, ccxt.AuthenticationError, ccxt.RestrictedLocation, ccxt.BadRequest)
        # Where not one market is listed, the list was torn.
        if (isinstance(error, lasting) and not unlisted) or _FOR_LEGAL_REASONS in str(error):
            return ExchangeError(
                f"{name} refuses: {_words(error)}.",
                "To ask again would not help.",
                "Check the symbol and whether the exchange serves your country, or choose another exchange.",
                passing=False,
            )
        return ExchangeError(
            f"{name} gave no usable answer: {_words(error)}.",
            "Without it there are no new bars.",
            "Check the connection and call again later; what was told before is stored.",
            passing=True,
            retry_after=_retry_after(self._client.last_response_headers),
        )


def _ccxt() -> ModuleType:
    try:
        return importlib.import_module("ccxt.pro")
    except ImportError:
        raise RecipeError(
            "The package ccxt is not installed.",
            "It speaks to the exchanges.",
            "Install coincast[live], or read candles from a file.",
        ) from None


def _unknown(found: str, name: str, known: Iterable[str]) -> RecipeError:
    close = difflib.get_close_matches(name, known, n=5)
    meant = f"Did you mean {' or '.join(close)}?" if close else "Write it as ccxt does: binance, BTC/USDT."
    return RecipeError(found, "There is nobody to ask for its candles.", meant)


def _words(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__} {error}".split())
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."


def _header(headers: Mapping[str, str] | None, name: str) -> str:
    return next((value for key, value in (headers or {}).items() if key.lower() == name.lower()), "")


def _page(features: Mapping[str, Any]) -> int:
    """How many bars an answer holds, as ccxt writes it of spot markets, or of swaps where there are only those."""
    for markets in (features.get("spot"), (features.get("swap") or {}).get("linear")):
        limit = ((markets or {}).get("fetchOHLCV") or {}).get("limit")
        if limit:
            return int(limit)
    return _USUAL_PAGE


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    """The seconds for which a `Retry-After` header asks (RFC 9110 10.2.3); None if it does not say, or cannot be read.

    It holds seconds or a date, which counts from the date of the answer; one that has passed says nothing.
    """
    told = _header(headers, "Retry-After")
    try:
        seconds = float(told)
    except ValueError:
        until, now = _date(told), _date(_header(headers, "Date")) or datetime.now(UTC)
        return (until - now).total_seconds() if until and until > now else None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _date(header: str) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
