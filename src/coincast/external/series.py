"""What an outside series is: what it measures, whose it is, how long after the event it is public."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from .outside import TOLD

# What a path under the source's address answers to a query.
Ask = Callable[[str, Mapping[str, str | int]], bytes]
# Whatever the source tells of a coin from a day on, as `TOLD`; it may tell more. An answer that cannot be one, a page
# that brings nothing new among them, ends in a ValueError or whatever its shape leads to; `download` words it.
Download = Callable[[Ask, str, datetime], pl.DataFrame]


@dataclass(frozen=True)
class Series:
    """An outside series that can be fetched and read.

    Args:
        name: how features and the column in candles call it.
        says: what it measures and in which unit.
        source: who publishes it.
        licence: on which terms.
        url: the address that is asked.
        lag: how long after what a value speaks of it is taken for public; set no shorter than the source needs.
        columns: how files name its values.
        ended: from the day that a file's row is labelled with to when what it speaks of was over (UTC).
        download: asks the source.
        of_coin: each coin has its own.
        revised: the source restates values later, so that history fetched today is not what was known then.
    """

    name: str
    says: str
    source: str
    licence: str
    url: str
    lag: timedelta
    columns: tuple[str, ...]
    ended: Callable[[pl.Expr], pl.Expr]
    download: Download
    of_coin: bool = False
    revised: bool = False

    @property
    def delay(self) -> str:
        """The lag in words."""
        minutes = round(self.lag.total_seconds() / 60)
        return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"


def as_told(pairs: Iterable[tuple[datetime, float]]) -> pl.DataFrame:
    """(end of what it speaks of, value) as `TOLD`."""
    return pl.DataFrame(list(pairs), schema=TOLD, orient="row")


def at_once(day: pl.Expr) -> pl.Expr:
    """A value labelled with the day on which it is published, at 00:00 UTC."""
    return day.cast(TOLD["ended_at"])


def next_midnight(day: pl.Expr) -> pl.Expr:
    """A value of a whole UTC day."""
    return at_once(day) + timedelta(days=1)


def new_york(hour: int, minute: int) -> Callable[[pl.Expr], pl.Expr]:
    """A value of a session that closes at this time in New York. Shortened sessions close earlier, never later."""

    def ended(day: pl.Expr) -> pl.Expr:
        local = day.dt.combine(pl.time(hour, minute)).dt.replace_time_zone("America/New_York")
        return local.dt.convert_time_zone("UTC").cast(TOLD["ended_at"])

    return ended
