"""What a venue might tell of a few bars, and slow obvious twins of what is made of it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl
from hypothesis import strategies as st

from coincast.feed import Feed
from coincast.records import RECORD, Records

FEED = Feed.parse("binance:BTC/USDT:1h")
HOUR = timedelta(hours=1)
# Two bars of one year, four of the next.
START = datetime(2023, 12, 31, 22, tzinfo=UTC)


class Told(NamedTuple):
    """Somebody says what a bar was."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    seen_at: datetime
    source: str = "binance"
    repaired_by: str | None = None

    @property
    def says(self) -> tuple:
        return (*self[:6], self.repaired_by)


def told(bar: int, close: float, after: int = 0, volume: float = 1.0, lender: str | None = None) -> Told:
    """The bar number `bar`, told `after` hours after it closed."""
    time = START + bar * HOUR
    seen_at = time + (1 + after) * HOUR
    return Told(time, 100.0, max(100.0, close), min(100.0, close), close, volume, seen_at, "binance", lender)


tellings = st.builds(
    told,
    st.integers(0, 5),
    st.sampled_from([99.0, 100.0, 101.0]),
    st.integers(0, 4),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([None, None, "kraken:BTC/USDT:1h"]),
)


def records_of(tellings: Iterable[Told]) -> Records:
    return Records.of(FEED, pl.DataFrame(list(tellings), schema=RECORD, orient="row"))


def told_in(records: Records) -> list[Told]:
    return [Told(*row) for row in records.frame.iter_rows()]


def rank(t: Told) -> tuple:
    """Lent before own, then by when it was seen; the rest decides ties."""
    own = t.repaired_by is None
    return (t.time, own, t.seen_at, t.volume, t.close, t.low, t.high, t.open, t.source, t.repaired_by or "")


def news(tellings: Iterable[Told]) -> list[Told]:
    """The twin of `Records.of`: in order, without what only repeats the telling before it."""
    kept: list[Told] = []
    for t in sorted(set(tellings), key=rank):
        if not kept or kept[-1].says != t.says:
            kept.append(t)
    return kept


def without_returns(tellings: Iterable[Told]) -> list[Told]:
    """Only tellings in which no bar comes back to what it was before it became something else."""
    kept: list[Told] = []
    for t in sorted(set(tellings), key=rank):
        before = [other.says for other in kept if other.time == t.time and (other.repaired_by is None) == rank(t)[1]]
        if t.says not in before or before[-1] == t.says:
            kept.append(t)
    return kept
