"""Which candles: an exchange, a symbol and an interval, written `binance:BTC/USDT:1d`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from .errors import DataError, RecipeError

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Exchanges open weekly bars on Monday; the epoch was a Thursday.
_FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Interval:
    """The length of a bar, in the names every exchange uses: `15m`, `1h`, `1d`, `1w`.

    Raises:
        RecipeError: the name is not one of `INTERVALS`.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in INTERVALS:
            raise RecipeError(
                f"The interval {self.name!r} is not known.",
                "Bars must lie on a grid that exchanges share.",
                f"Use one of {', '.join(INTERVALS)}.",
            )

    @cached_property
    def delta(self) -> timedelta:
        """The bar's length."""
        return int(self.name[:-1]) * _UNITS[self.name[-1]]

    @cached_property
    def step(self) -> np.timedelta64:
        """The bar's length as NumPy counts it, in microseconds."""
        return np.timedelta64(self.delta // timedelta(microseconds=1), "us")

    @cached_property
    def grid(self) -> datetime:
        """A time at which some bar opens: every other open is a whole number of intervals away."""
        return _FIRST_MONDAY if self.name.endswith("w") else _EPOCH

    def floor(self, time: datetime) -> datetime:
        """The open of the bar that contains `time` (aware)."""
        since = utc(time) - self.grid
        return self.grid + since // self.delta * self.delta

    def bars(self, span: timedelta) -> int:
        """How many whole bars fit into `span`."""
        return span // self.delta

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Feed:
    """Which candles. `str(feed)` and `Feed.parse` are each other's inverse.

    Args:
        exchange: lower-case name as ccxt writes it, `binance`.
        symbol: base and quote as ccxt writes them, `BTC/USDT`; the quote is the unit of prices, the base of volume.
        interval: the bar's length.
    """

    exchange: str
    symbol: str
    interval: Interval

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]+", self.exchange):
            self._refuse(f"The exchange name {self.exchange!r} has characters outside a-z, 0-9 and _.")
        if not re.fullmatch(r"[A-Za-z0-9.]+/[A-Za-z0-9.]+(:[A-Za-z0-9.\-]+)?", self.symbol):
            self._refuse(f"The symbol {self.symbol!r} is not of the form BASE/QUOTE.")

    @staticmethod
    def _refuse(found: str) -> None:
        raise RecipeError(
            found,
            "The feed's name keys the store, the ledger and every table.",
            "Write it as exchange:BASE/QUOTE:interval, for example binance:BTC/USDT:1d.",
        )

    @classmethod
    def parse(cls, text: str) -> Feed:
        """`binance:BTC/USDT:1d` as a feed. A derivative keeps its settlement: `binance:BTC/USDT:USDT:1h`."""
        exchange, _, rest = text.partition(":")
        symbol, _, interval = rest.rpartition(":")
        if not symbol:
            cls._refuse(f"The feed {text!r} has not three parts.")
        return cls(exchange, symbol, Interval(interval))

    @property
    def base(self) -> str:
        """What is traded, the unit of volume: `BTC`."""
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        """What is paid with, the unit of prices: `USDT`."""
        return self.symbol.split("/")[1].split(":")[0]

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}:{self.interval}"


def utc(time: datetime) -> datetime:
    """`time` in UTC.

    Raises:
        DataError: `time` is naive, so nobody can know which instant it means.
    """
    if time.tzinfo is None:
        raise DataError(
            f"The time {time.isoformat()} has no time zone.",
            "Bars of different venues would silently slip against one another.",
            "Pass an aware datetime, for example datetime(2020, 1, 1, tzinfo=UTC).",
        )
    return time.astimezone(UTC)


def to_numpy(time: datetime) -> np.datetime64:
    """An aware time as the arrays hold it: UTC, microseconds."""
    return np.datetime64(utc(time).replace(tzinfo=None), "us")


def from_numpy(time: np.datetime64) -> datetime:
    """An array's time as an aware datetime."""
    return time.astype("datetime64[us]").item().replace(tzinfo=UTC)
