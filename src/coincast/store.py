"""Candles on disk: every bar of a feed and every revision of it, whole after any crash.

    STORE/binance/BTC_USDT/1h/snapshot.json         names the segments; whatever it does not name does not exist
                              2024-000007.parquet   the bars of 2024 that the 7th commit added

A commit writes its segments and then replaces `snapshot.json`: that one rename makes it so. Segments are never written
to again, so readers need no lock. Each row keeps the number of the commit that brought it: what the store held after
any earlier commit can still be read, bit for bit, after segments were joined too.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl
from filelock import FileLock, Timeout

from .errors import CoincastError, DataError, OutputError
from .feed import Feed, Interval, from_numpy, to_numpy, utc
from .output import make_folder, refusal, write
from .records import RECORD, Records

MANIFEST, LOCK = "snapshot.json", ".lock"
SEGMENT = pl.Schema({**RECORD, "snapshot": pl.Int32()})
# A year in more segments than this is joined to one as part of the next append.
MOST_SEGMENTS = 32
_ROWS_A_GROUP = 1 << 16
_FILE = re.compile(r"\d{4}-\d{6,}\.parquet")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Segment:
    """A file that is never written to again: rows of one calendar year (UTC), in order of time.

    Args:
        file: its name in the feed's folder.
        rows: how many.
        first: the first row's bar open.
        last: the last row's bar open.
        sha256: of the file's bytes, in hexadecimal.
    """

    file: str
    rows: int
    first: datetime
    last: datetime
    sha256: str

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file):
            raise ValueError(f"{self.file!r} is no segment's name")


@dataclass(frozen=True)
class Snapshot:
    """What a store holds of a feed after a commit.

    Args:
        feed: which candles.
        number: counts the commits; 0 before the first.
        segments: where the rows are.
    """

    feed: Feed
    number: int = 0
    segments: tuple[Segment, ...] = ()

    @property
    def rows(self) -> int:
        """How many are on disk, revisions included."""
        return sum(segment.rows for segment in self.segments)

    @property
    def first(self) -> datetime | None:
        """The open of the first bar; None if there is none."""
        return min((segment.first for segment in self.segments), default=None)

    @property
    def last(self) -> datetime | None:
        """The open of the last bar; None if there is none."""
        return max((segment.last for segment in self.segments), default=None)

    def encode(self) -> bytes:
        """As JSON."""
        segments = [vars(s) | {"first": s.first.isoformat(), "last": s.last.isoformat()} for s in self.segments]
        document = {"feed": str(self.feed), "number": self.number, "segments": segments}
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> Snapshot:
        """The inverse of `encode`.

        Raises:
            ValueError: it is not what `encode` wrote.
        """
        try:
            document = json.loads(content)
            segments = tuple(map(_segment, document["segments"]))
            return cls(Feed.parse(document["feed"]), int(document["number"]), segments)
        except (TypeError, AttributeError, LookupError, OverflowError, RecursionError, CoincastError) as error:
            raise ValueError(repr(error)) from error


class Hole(NamedTuple):
    """Bars that are not there: those that open at `start` or later and before `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Store:
    """A folder of candles. Any number of processes may read while one writes.

    Args:
        root: the folder; it need not exist before something is written.
    """

    root: Path

    def folder(self, feed: Feed) -> Path:
        """Where a feed's files lie. No symbol leads outside: one name a folder, and `feeds` can read it back."""
        return self.root / feed.exchange / re.sub("[/:]", "_", feed.symbol) / str(feed.interval)

    def feeds(self) -> list[Feed]:
        """What is stored, by name."""
        return sorted(filter(None, map(_feed_of, self.root.glob(f"*/*/*/{MANIFEST}"))), key=str)

    def snapshot(self, feed: Feed) -> Snapshot:
        """What is held now; number 0 if nothing is.

        Raises:
            DataError: the manifest cannot be read or is another feed's.
        """
        file = self.folder(feed) / MANIFEST
        try:
            held = Snapshot.decode(file.read_bytes())
        except FileNotFoundError:
            return Snapshot(feed)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{file} cannot be read ({error}).",
                "It names the files that hold the candles.",
                "Bring it back from a copy, or move the folder away and fetch again.",
            ) from None
        if held.feed != feed:
            raise DataError(
                f"{file} is of {held.feed}, not of {feed}.",
                "Bars of two feeds would be taken for revisions of one another.",
                "Keep the feeds in two stores.",
            )
        return held

    def read(
        self, feed: Feed, since: datetime | None = None, until: datetime | None = None, snapshot: int | None = None
    ) -> Records:
        """Bars and all their revisions.

        Args:
            feed: which.
            since: only bars that open then or later.
            until: only bars closed by then.
            snapshot: the number of a commit: exactly what was held after it. None: what is held now.

        Raises:
            DataError: there was no such commit yet, a file is damaged, or a time is naive.
        """

        def collect(held: Snapshot) -> Records:
            _demand_made(held, snapshot)
            rows = self._scan(held, since, until)
            if snapshot is not None:
                rows = rows.filter(pl.col("snapshot") <= snapshot)
            return Records.of(feed, rows.collect())

        return self._from_one_snapshot(feed, collect)

    def holes(self, feed: Feed, since: datetime, until: datetime, *, own: bool = False) -> list[Hole]:
        """Which bars that open at `since` or later and closed by `until` are not there, in order of time.

        Args:
            feed: which.
            since: the first open.
            until: the last close.
            own: whether a bar that another venue lent is not there either.

        Raises:
            DataError: as `read`.
        """
        interval = feed.interval
        first = to_numpy(interval.floor(utc(since) + interval.delta - timedelta.resolution))
        end = to_numpy(interval.floor(until))

        def times(held: Snapshot) -> pl.Series:
            rows = self._scan(held, since, until).filter(pl.col("repaired_by").is_null() | (not own))
            return rows.select("time").unique().sort("time").collect()["time"]

        held = self._from_one_snapshot(feed, times).dt.replace_time_zone(None).to_numpy()
        around = np.concatenate([[first - interval.step], held, [max(first, end)]])
        after = np.flatnonzero(np.diff(around) > interval.step)
        return [Hole(from_numpy(around[i] + interval.step), from_numpy(around[i + 1])) for i in after]

    def verify(self, feed: Feed) -> list[str]:
        """What is wrong with the files of a feed, a sentence each; empty if every byte is as it was written."""
        while True:
            try:
                held = self.snapshot(feed)
            except DataError as error:
                return [str(error)]
            found = [words for segment in held.segments for words in self._faults(held, segment)]
            if not found or self.snapshot(feed) == held:
                return found

    @contextmanager
    def writer(self, feed: Feed) -> Iterator[Writer]:
        """The right to add to a feed, until the block ends. What a killed writer left half done is removed.

        Raises:
            OutputError: somebody else has it, or the folder cannot be written.
            DataError: the manifest cannot be read or is another feed's.
        """
        lock = FileLock(make_folder(self.folder(feed)) / LOCK, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise OutputError(
                f"Another writer has {feed} in {self.root}.",
                "Two would lose one another's bars.",
                "Wait until it is done, or stop it.",
            ) from None
        except OSError as error:
            raise refusal(self.folder(feed) / LOCK, error) from error
        try:
            writer = Writer(self, feed)
            writer.sweep()
            yield writer
        finally:
            lock.release()

    def rows(self, feed: Feed, segment: Segment) -> pl.LazyFrame:
        """All rows of a segment, once its bytes were found to be the ones that were written.

        Hashing them costs little beside what a damaged Parquet file can do to its reader.

        Raises:
            DataError: it is gone or damaged.
        """
        file = self.folder(feed) / segment.file
        try:
            content = file.read_bytes()
        except OSError as error:
            raise _lost(f"{file} cannot be read ({error.strerror}).") from None
        if hashlib.sha256(content).hexdigest() != segment.sha256:
            raise _lost(f"{file} is not as it was written.")
        return pl.scan_parquet(io.BytesIO(content))

    def _scan(self, held: Snapshot, since: datetime | None, until: datetime | None) -> pl.LazyFrame:
        """The rows of bars that open at `since` or later and closed by `until`."""
        first, last = since and utc(since), until and utc(until) - held.feed.interval.delta
        parts = [
            self.rows(held.feed, segment)
            for segment in held.segments
            if (first is None or segment.last >= first) and (last is None or segment.first <= last)
        ]
        rows = pl.concat([pl.LazyFrame(schema=SEGMENT), *parts])
        if first is not None:
            rows = rows.filter(pl.col("time") >= first)
        return rows if last is None else rows.filter(pl.col("time") <= last)

    def _from_one_snapshot(self, feed: Feed, answer: Callable[[Snapshot], Result]) -> Result:
        """An answer from files of one commit: if a writer joined them meanwhile, from those of the next.

        Raises:
            DataError: a file is damaged, or missing although the manifest names it.
        """
        while True:
            held = self.snapshot(feed)
            try:
                return answer(held)
            except DataError:
                if self.snapshot(feed) == held:
                    raise

    def _faults(self, held: Snapshot, segment: Segment) -> Iterator[str]:
        try:
            rows = self.rows(held.feed, segment).collect()
            Records(held.feed, rows.select(RECORD.names()))
        except CoincastError as error:
            yield str(error)
            return
        told = (segment.rows, segment.first, segment.last)
        if (rows.height, rows["time"].min(), rows["time"].max()) != told or not rows["time"].is_sorted():
            yield f"{segment.file} does not hold the rows the manifest says."
        if not rows["snapshot"].is_between(1, held.number).all():
            yield f"{segment.file} has rows of commits that were never made."


@dataclass(frozen=True)
class Writer:
    """Adds to one feed. `Store.writer` gives it to one at a time."""

    store: Store
    feed: Feed

    def append(self, records: Records) -> int:
        """Store what the records tell that is not told yet; how many rows that was.

        It is there for good when this returns: after a crash at any moment the store holds all of it or nothing.

        Raises:
            OutputError: the place is full or cannot be written, and the store is as it was before; or the manifest is
                written and its folder could not be brought to the disk: the store holds all of it, and after a power
                cut perhaps nothing.
            DataError: the records are another feed's, or a file is damaged.
        """
        held = Records.empty(self.feed)
        if len(records):
            first, last = records.frame["time"][0], records.frame["time"][-1]
            held = self.store.read(self.feed, first, last + self.feed.interval.delta)
        new = held.and_also(records).frame
        if len(held):
            new = new.join(held.frame, on=RECORD.names(), how="anti", nulls_equal=True, maintain_order="left")
        self._commit(new, MOST_SEGMENTS)
        return new.height

    def compact(self) -> None:
        """Join the segments of each year to one. What any snapshot holds stays the same.

        Raises:
            OutputError: as `append`.
            DataError: a file is damaged; nothing was changed.
        """
        self._commit(pl.DataFrame(schema=RECORD), 1)

    def sweep(self, spared: tuple[Segment, ...] = ()) -> None:
        """Remove what the manifest does not name: the leavings of a killed writer, and segments that were joined.

        Args:
            spared: stay whatever the manifest says.

        Raises:
            OutputError: the folder cannot be looked through.
            DataError: the manifest cannot be read or is another feed's.
        """
        folder = self.store.folder(self.feed)
        named = {segment.file for segment in (*self.store.snapshot(self.feed).segments, *spared)}
        try:
            files = list(folder.iterdir())
        except OSError as error:
            raise refusal(folder, error) from error
        for file in files:
            left = _FILE.fullmatch(file.name) and file.name not in named
            if left or (file.name.startswith(".") and file.suffix == ".part"):
                with suppress(OSError):
                    file.unlink()

    def _commit(self, new: pl.DataFrame, most: int) -> None:
        """Add rows, and join what would be more than `most` segments of a year."""
        held = self.store.snapshot(self.feed)
        number = held.number + 1
        added = new.with_columns(snapshot=pl.lit(number, pl.Int32))
        segments: list[Segment] = []
        # Until the new manifest is on the disk for good, a power cut may bring back the old one.
        spared = held.segments
        try:
            for year in sorted({s.first.year for s in held.segments} | {*new["time"].dt.year()}):
                old = [segment for segment in held.segments if segment.first.year == year]
                segments += self._year(old, added.filter(pl.col("time").dt.year() == year), number, most)
            if tuple(segments) != held.segments:
                snapshot = Snapshot(self.feed, number, tuple(segments))
                write(self.store.folder(self.feed) / MANIFEST, snapshot.encode())
            spared = ()
        finally:
            # What it cannot remove the next writer will; and it must not hide why the commit failed.
            with suppress(CoincastError):
                self.sweep(spared)

    def _year(self, old: list[Segment], rows: pl.DataFrame, number: int, most: int) -> list[Segment]:
        """A year's segments with rows added: one more, or a single one."""
        if len(old) + (rows.height > 0) > most:
            joined = pl.concat([*(self.store.rows(self.feed, segment).collect() for segment in old), rows])
            old, rows = [], joined.sort("time", "snapshot", maintain_order=True)
        return [*old, self._write(rows, number)] if rows.height else old

    def _write(self, rows: pl.DataFrame, number: int) -> Segment:
        first, last = rows["time"][0], rows["time"][-1]
        name = f"{first.year:04}-{number:06}.parquet"
        buffer = io.BytesIO()
        rows.write_parquet(buffer, row_group_size=_ROWS_A_GROUP)
        content = buffer.getvalue()
        write(self.store.folder(self.feed) / name, content)
        return Segment(name, rows.height, first, last, hashlib.sha256(content).hexdigest())


def _segment(told: dict[str, Any]) -> Segment:
    first, last = (utc(datetime.fromisoformat(told[name])) for name in ("first", "last"))
    return Segment(told["file"], int(told["rows"]), first, last, str(told["sha256"]))


def _feed_of(manifest: Path) -> Feed | None:
    """The feed whose folder this is; None if it is no feed's."""
    exchange, symbol, interval = manifest.parent.parts[-3:]
    base_quote_settle = symbol.replace("_", "/", 1).replace("_", ":", 1)
    try:
        return Feed(exchange, base_quote_settle, Interval(interval))
    except CoincastError:
        return None


def _demand_made(held: Snapshot, number: int | None) -> None:
    if number is not None and not 0 <= number <= held.number:
        raise DataError(
            f"{held.feed} has no snapshot {number}; the last is {held.number}.",
            "What was not stored yet cannot be read back.",
            "Name a number between 0 and that.",
        )


def _lost(found: str) -> DataError:
    return DataError(
        found,
        "Its bars cannot be had.",
        "Bring the file back from a copy, or move the folder away and fetch again.",
    )
