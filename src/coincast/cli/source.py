"""Which candles the options ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataError, RecipeError
from .options import OUTSIDE_FOLDER, STORE, StoreFolder, day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..candles import Candles
    from ..clean import Cleaned
    from ..records import Records
    from ..rows import Rows
    from ..store import Snapshot

# Of a digest, in names.
DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Source:
    """Candles that ship inside, those of a file, or those `fetch` has stored."""

    feed: Annotated[
        str | None,
        typer.Option("--feed", help="Stored candles, such as binance:BTC/USDT:1h; @7 asks for the seventh snapshot."),
    ] = None
    store: StoreFolder = STORE
    sample: Annotated[str | None, typer.Option("--sample", help="Candles that ship inside: btc-1d or btc-1h.")] = None
    csv: Annotated[
        Path | None, typer.Option("--csv", help="A CSV or Parquet file of candles, labelled by bar open.")
    ] = None
    symbol: Annotated[str | None, typer.Option("--symbol", help="What the file holds, as BASE/QUOTE.")] = None
    interval: Annotated[
        str | None, typer.Option("--interval", help="The bars' length; read off the file if left out.")
    ] = None
    exchange: Annotated[str, typer.Option("--exchange", help="Where the file's candles were traded.")] = "file"
    tz: Annotated[str | None, typer.Option("--tz", help="Zone of times that carry none, such as Europe/Berlin.")] = None
    outside: Annotated[
        list[str] | None, typer.Option("--outside", help="Join an outside series: NAME as fetched, or NAME=FILE.")
    ] = None
    finer: Annotated[
        str | None,
        typer.Option("--finer", help="Shorter bars of the same coin, a stored feed or a file: realised variance."),
    ] = None
    label: Annotated[str | None, typer.Option("--label", help="Which end of a bar its time names: open or close.")] = (
        None
    )
    since: Annotated[str | None, typer.Option("--since", help="Use bars from this day on.")] = None
    until: Annotated[str | None, typer.Option("--until", help="Use bars up to this day, itself included.")] = None

    def load(self) -> tuple[Cleaned, str]:
        """The candles, cleaned and cut to the days asked for, and the words for where they are from.

        Raises:
            RecipeError: the options contradict one another.
            DataError: there are no such candles.
        """
        self.demand_one()
        if self.feed is not None:
            cleaned, words = self._stored(self.feed)
        elif self.csv is not None:
            cleaned, words = self._file(self.csv), self.csv.name
        else:
            words = self.sample or "btc-1d"
            cleaned = _sample(words)
        return self._joined(self._cut(cleaned)), words

    def others(self, names: Sequence[str], candles: Candles) -> tuple[Candles, ...]:
        """Candles of other coins, cut to the days asked for.

        Args:
            names: stored feeds, or SYMBOL=FILE.
            candles: what they stand beside.

        Raises:
            DataError: there are no such candles, one is named twice, or their bars are of another length.
        """
        from ..panel import Panel

        _, *others = Panel((candles, *(self._cut(self._other(n, candles.feed.symbol)).candles for n in names))).members
        return tuple(others)

    def _other(self, name: str, symbol: str) -> Cleaned:
        """A stored feed, SYMBOL=FILE, or a file of `symbol`."""
        said, given, file = name.partition("=")
        if given:
            return replace(self, symbol=said, interval=None)._file(Path(file))
        if Path(name).is_file():
            return replace(self, symbol=symbol, interval=None)._file(Path(name))
        return self._stored(name)[0]

    def demand_one(self) -> None:
        """Refuse two sources at once.

        Raises:
            RecipeError: two are given.
        """
        named = [f"--{name}" for name in ("feed", "sample", "csv") if getattr(self, name) is not None]
        if len(named) > 1:
            raise RecipeError(
                f"Both {' and '.join(named)} are given.", "Candles come from one source at a time.", "Give one."
            )

    def rows(self, path: Path) -> Rows:
        """The bars of a file as they stand in it.

        Raises:
            DataError: it cannot be read, or its bars are not of the interval stated.
        """
        from ..feed import Interval
        from ..files import read
        from ..rows import infer_interval

        rows = read(path, self.tz, self.label)
        if self.interval and (found := infer_interval(rows)) != Interval(self.interval):
            raise DataError(
                f"--interval says {self.interval}, the bars of {path} are {found} apart.",
                "A wrong interval would shift every horizon.",
                f"Leave --interval out or set it to {found}.",
            )
        return rows

    def _stored(self, name: str) -> tuple[Cleaned, str]:
        """The candles of a snapshot; its number is part of the words, so that they ask for the same bars again."""
        from ..clean import clean_records

        records, words = stored(name, self.store)
        return clean_records(records), words

    def _file(self, path: Path) -> Cleaned:
        """The candles of a file, unless its times cannot be trusted; what else is grave is said on stderr."""
        from ..feed import Feed
        from ..quality import examine
        from ..rows import infer_interval

        if self.symbol is None:
            raise RecipeError(
                "No --symbol is given.",
                "A file of candles does not say what was traded and in which currency prices are.",
                "Add --symbol BASE/QUOTE, such as --symbol BTC/USDT.",
            )
        rows = self.rows(path)
        feed = Feed(self.exchange, self.symbol, infer_interval(rows))
        quality = examine(rows, feed, now=datetime.now(UTC), source=path.name)
        for one in quality.worst_first:
            if one.harm == "invented":
                typer.echo(f"warning: {one.says} {one.do}", err=True)
        return quality.demand_candles()

    def _cut(self, cleaned: Cleaned) -> Cleaned:
        """The bars of the days asked for."""
        candles = cleaned.candles
        if self.since:
            candles = candles.since(day(self.since))
        if self.until:
            candles = candles.until(min(day(self.until, last=True), candles.end))
        return replace(cleaned, candles=candles)

    def _joined(self, cleaned: Cleaned) -> Cleaned:
        """The candles with the outside series and the realised variance asked for."""
        if self.finer:
            from ..realised import with_realised

            finer = self._other(self.finer, cleaned.candles.feed.symbol).candles
            cleaned = replace(cleaned, candles=with_realised(cleaned.candles, finer))
        if not self.outside:
            return cleaned
        from ..external import Archive, join, read

        coin = cleaned.candles.feed.base
        archive = Archive(self.store / OUTSIDE_FOLDER)
        series = [
            read(file, name, coin) if file else archive.read(name, coin)
            for name, _, file in (text.partition("=") for text in self.outside)
        ]
        return replace(cleaned, candles=join(cleaned.candles, *series))


def between(rows: Rows, since: str | None, until: str | None) -> Rows:
    """The rows of bars that open from the first day on and before the last has ended.

    Raises:
        DataError: there are none.
    """
    from ..rows import Rows

    frame = rows.frame
    if not (since or until):
        return rows
    if since:
        frame = frame.filter(frame["time"] >= day(since))
    if until:
        frame = frame.filter(frame["time"] < day(until, last=True))
    if frame.is_empty():
        days = rows.frame["time"].dt.strftime("%Y-%m-%d")
        raise DataError(
            f"No bar lies between {since or 'the beginning'} and {until or 'the end'}.",
            "There is nothing to look at.",
            f"Choose days between {days.sort()[0]} and {days.sort()[-1]}.",
        )
    return Rows(frame, rows.notes)


def stored(name: str, folder: Path) -> tuple[Records, str]:
    """What a store holds of a feed, or held once.

    Args:
        name: `binance:BTC/USDT:1h`; `...@7` for what was held after the seventh commit; `...@2024-01-31T12:00Z` for
            what had been seen by then. A digest may follow, `...@7#0123456789ab`: it must be that of what is read.
        folder: of the store.

    Returns:
        The records, and a name that asks for exactly them.

    Raises:
        RecipeError: the name is not of this form.
        DataError: the feed is not stored, had no such snapshot, or is not what the digest says.
    """
    from ..store import Store

    asked, _, digest = name.partition("#")
    feed_name, _, when = asked.partition("@")
    held = snapshot_of(feed_name, folder)
    if when.isdecimal() or not when:
        number = int(when or held.number)
        records, words = Store(folder).read(held.feed, snapshot=number), f"{held.feed}@{number}"
    else:
        seen_by = day(when)
        records, words = Store(folder).read(held.feed).seen_by(seen_by), f"{held.feed}@{seen_by:%Y-%m-%dT%H:%M:%SZ}"
    if digest and not records.digest.startswith(digest):
        raise DataError(
            f"{words} is {records.digest[:DIGITS]} here, not {digest}.",
            "It is not what was read before: the store was made anew, or is another.",
            "Ask for it without the digest, or bring the store back from a copy.",
        )
    return records, f"{words}#{records.digest[:DIGITS]}"


def snapshot_of(name: str, folder: Path) -> Snapshot:
    """What a store holds of a feed.

    Raises:
        RecipeError: the name is not a feed's.
        DataError: it holds nothing.
    """
    from ..feed import Feed
    from ..store import Store

    feed = Feed.parse(name)
    held = Store(folder).snapshot(feed)
    if not held.number:
        raise DataError(
            f"{feed} is not stored in {folder}.", "There is nothing to read.", f"Get it with: coincast fetch {feed}"
        )
    return held


def _sample(name: str) -> Cleaned:
    from ..sample import load

    return load(name)
