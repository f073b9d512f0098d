"""What a source tells now, and keeping it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import polars as pl

from ..errors import DataError
from .archive import Archive
from .catalogue import series_named
from .outside import Outside
from .series import Series
from .web import get

# Before the oldest price of any coin.
_BEGINNING = datetime(2010, 1, 1, tzinfo=UTC)
# How far back a later fetch asks again, to see what was restated.
OVERLAP = timedelta(days=30)


@dataclass(frozen=True, eq=False)
class Fetched:
    """What a fetch brought.

    Args:
        outside: all that is stored of the series now.
        added: how many rows are new, restated values among them.
        notes: what to know before they are used, a sentence each.
    """

    outside: Outside
    added: int
    notes: tuple[str, ...] = ()


def fetch(name: str, archive: Archive, coin: str = "BTC", url: str | None = None) -> Fetched:
    """Ask a series' source for what the archive does not have yet, and keep it.

    Args:
        name: of a registered series.
        archive: where it is kept.
        coin: whose, where each coin has its own.
        url: another address than the source's own.

    Raises:
        RecipeError: no series has this name, or it is refused.
        ExchangeError: the source could not be reached.
        DataError: it answered otherwise than it used to.
        OutputError: the archive cannot be written.
    """
    before = archive.revisions(name, coin)
    last = before["ended_at"].max()
    since = last - OVERLAP if isinstance(last, datetime) else _BEGINNING
    outside, seen_at = download(name, coin, since, url)
    added = archive.add(outside, seen_at)
    kept = archive.read(name, coin)
    late = kept.frame.filter(pl.col("ended_at") < seen_at - OVERLAP).join(before, on="ended_at", how="anti")
    return Fetched(kept, added, _notes(series_named(name), late.height, seen_at - OVERLAP))


def _notes(series: Series, late: int, until: datetime) -> tuple[str, ...]:
    if not series.revised or not late:
        return ()
    return (
        f"{series.source} restates {series.name}: {late:,} values from before {until:%Y-%m-%d} were first fetched now."
        " They stand as public when they were due, but may differ from what was public then.",
    )


def download(
    name: str, coin: str = "BTC", since: datetime = _BEGINNING, url: str | None = None
) -> tuple[Outside, datetime]:
    """What a source tells now, and when that was by its own clock.

    Raises:
        RecipeError: no series has this name, or it is refused.
        ExchangeError: the source could not be reached.
        DataError: it answered otherwise than it used to, or has nothing since then.
    """
    series = series_named(name)
    clocks: list[datetime] = []

    def ask(path: str, query: Mapping[str, str | int]) -> bytes:
        answer = get(f"{(url or series.url).rstrip('/')}{path}{'?' if query else ''}{urlencode(query)}")
        clocks.append(answer.at)
        return answer.body

    try:
        told = series.download(ask, coin, since)
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        OverflowError,
        pl.exceptions.PolarsError,
    ) as error:
        raise DataError(
            f"{series.source} answered otherwise than it used to ({type(error).__name__}: {error}).",
            f"What it says of {name} cannot be told apart from an error.",
            "Look at its address in a browser; a file can be read instead.",
        ) from error
    return Outside.of(name, told, series.lag, coin if series.of_coin else None), min(clocks)
