"""Closed bars with where they came from and since when they were known: the only thing a store takes in.

A bar may be told twice. The same values again say nothing new; other values are a later revision, and both are kept.
Which revision is the last is decided by `seen_at` and never by the order of arrival: the same messages, in whatever
order, however often and in whatever portions they came, make the same records.

There is one exception, because what only repeats the telling before it is not kept. Say that a bar was A at 1, B at 2
and A again at 3. Told B before the second of the two A, all three are kept and A stands. Told of both A first, the
later one leaves no trace, and B, told after them, stands, although A had been seen since. Portions that come in the
order in which they were seen, as from an exchange, are never so; files and copies of stores brought in later can be.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from .candles import PRICES, SCHEMA, Candles
from .errors import DataError
from .feed import Feed, Interval, utc
from .rows import COLUMNS, Rows, opens

VALUES = (*PRICES, "volume")
RECORD = pl.Schema(
    {
        **{name: SCHEMA[name] for name in COLUMNS},
        "seen_at": pl.Datetime("us", "UTC"),
        "source": pl.String(),
        "repaired_by": pl.String(),
    }
)
# A venue's own word stands above a lent bar, a later one above an earlier one. Of two told at the same instant the one
# with more volume has seen more of the bar; the rest only keeps chance out.
_RANK = ("seen_at", *reversed(VALUES), "source", "repaired_by")
_IDENTITY = (*COLUMNS, "repaired_by")
_FIRST_TRADE, _FAR_FUTURE = datetime(2009, 1, 3, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Records:
    """Closed bars of one feed, and every revision of them. Equal values in two objects: compare their `digest`.

    Args:
        feed: which bars.
        frame: `time` (bar open, UTC), `open`, `high`, `low`, `close`, `volume`; `seen_at` (UTC, by the source's own
            clock: when it told the bar), `source` (who told it, such as `binance` or a file's name), `repaired_by`
            (the feed of another venue that lent the bar; null where it is the feed's own). As `Records.of` orders it;
            may be empty.

    Raises:
        DataError: a bar is off the feed's grid, was seen before it closed, or has prices that cannot be.
    """

    feed: Feed
    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if self.frame.schema != RECORD:
            raise DataError(
                f"The records have the columns {dict(self.frame.schema)}.",
                "What is stored must stay readable.",
                f"Bring them to {dict(RECORD)}.",
            )
        bad = self.frame.filter(~_sound(self.feed.interval).fill_null(value=False))
        if not bad.is_empty():
            raise DataError(
                f"The bar {bad.row(0, named=True)} of {self.feed} cannot be stored ({bad.height} such).",
                "A stored bar lies on the grid, was seen after its close, and has 0 < low <= open, close <= high.",
                "Let coincast.clean mend it, or leave it out.",
            )

    @classmethod
    def of(cls, feed: Feed, frame: pl.DataFrame) -> Records:
        """Records from a frame in any order and with repeats: sorted by time and rank, of equal neighbours the first.

        Raises:
            DataError: as the constructor.
        """
        # 0.0 and -0.0 are one number and two digests.
        volume = pl.when(pl.col("volume") == 0).then(0.0).otherwise("volume")
        frame = frame.select(RECORD.names()).with_columns(volume=volume)
        if not frame["time"].is_sorted() or frame["time"].is_duplicated().any():
            same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in _IDENTITY)
            own = pl.col("repaired_by").is_null()
            ranked = frame.sort("time", own, *_RANK)
            frame = ranked.filter(~same | (pl.int_range(pl.len()) == 0))
        return cls(feed, frame)

    @classmethod
    def of_candles(cls, candles: Candles, seen_at: datetime, source: str) -> Records:
        """The observed bars of candles, told by `source` at `seen_at`.

        Raises:
            DataError: `seen_at` is naive or lies before the last close.
        """
        told = {"seen_at": pl.lit(utc(seen_at), RECORD["seen_at"]), "source": pl.lit(source)}
        bars = candles.frame.filter("observed").select(COLUMNS)
        return cls.of(candles.feed, bars.with_columns(**told, repaired_by=pl.lit(None, pl.String())))

    @classmethod
    def empty(cls, feed: Feed) -> Records:
        """No bar yet."""
        return cls(feed, pl.DataFrame(schema=RECORD))

    def __len__(self) -> int:
        return self.frame.height

    def and_also(self, others: Records) -> Records:
        """These and others of the same feed: what both tell, once.

        Raises:
            DataError: the others are of another feed.
        """
        if others.feed != self.feed:
            raise DataError(
                f"Records of {others.feed} were given for {self.feed}.",
                "Bars of two feeds would be taken for revisions of one another.",
                "Keep each feed's records by themselves.",
            )
        return Records.of(self.feed, pl.concat([self.frame, others.frame]))

    def seen_by(self, t: datetime) -> Records:
        """What was in hand at `t`: later bars and later revisions are left out.

        Raises:
            DataError: `t` is naive.
        """
        return Records(self.feed, self.frame.filter(pl.col("seen_at") <= utc(t)))

    @property
    def own(self) -> Records:
        """What the feed's own venue told."""
        return Records(self.feed, self.frame.filter(pl.col("repaired_by").is_null()))

    @property
    def lent(self) -> Records:
        """What other venues lent, bars that the own venue told later among them."""
        return Records(self.feed, self.frame.filter(pl.col("repaired_by").is_not_null()))

    @cached_property
    def latest(self) -> pl.DataFrame:
        """The last revision of each bar in order of time, with its number `revision`; 0 is the first that was told."""
        row, time = pl.int_range(pl.len(), dtype=pl.Int32), pl.col("time")
        first = pl.when(time.ne_missing(time.shift(1))).then(row).forward_fill()
        return self.frame.with_columns(revision=row - first).filter(time.ne_missing(time.shift(-1)))

    def rows(self) -> Rows:
        """The last revisions of the venue's own bars, as rows to clean or to export.

        Rows do not say who told them, so that a lent bar among them would pass for the venue's own: it is left out.

        Raises:
            DataError: the venue told none.
        """
        return Rows(self.own.latest.select(COLUMNS))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the feed and all values of all revisions: what was told, whenever and by whomever."""
        sha = hashlib.sha256(str(self.feed).encode())
        for name in COLUMNS:
            sha.update(np.ascontiguousarray(self.frame[name].to_physical().to_numpy()).tobytes())
        return sha.hexdigest()


def _sound(interval: Interval) -> pl.Expr:
    low, high = pl.col("low"), pl.col("high")
    return (
        (pl.col("time") == opens(interval))
        & (pl.col("seen_at") >= pl.col("time") + interval.delta)
        & pl.all_horizontal(pl.col(name).is_finite() for name in VALUES)
        & (low > 0)
        & (low <= pl.min_horizontal("open", "close"))
        & (high >= pl.max_horizontal("open", "close"))
        & (pl.col("volume") >= 0)
        & pl.col("source").is_not_null()
    )


@dataclass(frozen=True, eq=False)
class Accepted:
    """What could be taken from an answer.

    Args:
        records: the bars that are closed and sound.
        refused: how many were not, by reason: `malformed`, `impossible`, `off grid`, `unclosed`.
    """

    records: Records
    refused: Mapping[str, int]


def accept(feed: Feed, answer: object, seen_at: datetime, source: str) -> Accepted:
    """The closed, sound bars in an exchange's answer. Nothing in it is trusted, nothing in it raises.

    Args:
        feed: which bars were asked for.
        answer: should be rows `[milliseconds of the open, open, high, low, close, volume]`, as ccxt gives them.
        seen_at: the exchange's own clock when it answered: a bar that ends later is not closed.
        source: what the records shall name as their source.
    """
    listed = answer if isinstance(answer, Sequence) and not isinstance(answer, str | bytes) else [answer]
    judged = [_judge(feed.interval, row, seen_at) for row in listed]
    sound = [row for row in judged if not isinstance(row, str)]
    columns = dict(zip(COLUMNS, zip(*sound, strict=True), strict=True)) if sound else {}
    frame = pl.DataFrame(columns, schema={name: RECORD[name] for name in COLUMNS}).with_columns(
        seen_at=pl.lit(seen_at, RECORD["seen_at"]), source=pl.lit(source), repaired_by=pl.lit(None, pl.String())
    )
    return Accepted(Records.of(feed, frame), Counter(row for row in judged if isinstance(row, str)))


Bar = tuple[datetime, float, float, float, float, float]


def _judge(interval: Interval, row: object, seen_at: datetime) -> Bar | str:
    """The bar in a row, or why there is none."""
    if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) < len(COLUMNS):
        return "malformed"
    numbers = [_number(value) for value in row[: len(COLUMNS)]]
    stamp, opened, high, low, close, volume = numbers
    # Some venues leave the volume of a bar without trades empty.
    volume = 0.0 if row[5] is None else volume
    whole = all(math.isfinite(number) for number in (stamp, opened, high, low, close, volume)) and stamp % 1 == 0
    if not whole or not _FIRST_TRADE.timestamp() <= stamp / 1000 < _FAR_FUTURE.timestamp():
        return "malformed"
    if not (0 < low <= min(opened, close) and max(opened, close) <= high and volume >= 0):
        return "impossible"
    time = datetime.fromtimestamp(stamp // 1000, UTC) + timedelta(milliseconds=stamp % 1000)
    if interval.floor(time) != time:
        return "off grid"
    if time + interval.delta > seen_at:
        return "unclosed"
    return time, opened, high, low, close, volume


def _number(value: object) -> float:
    """NaN for what is no number: a bool, a text, nothing, an integer beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
