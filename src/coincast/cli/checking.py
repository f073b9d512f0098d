"""The command `check`: what is wrong with candles, how bad it is, and a copy without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..errors import DataError, RecipeError
from .options import NO, Json, expand
from .printing import show, stack
from .source import Source, between, stored

if TYPE_CHECKING:
    from ..candles import Candles
    from ..feed import Feed
    from ..quality import Quality
    from ..rows import Rows


@expand
def check(
    source: Source,
    against: Annotated[
        str | None, typer.Option("--against", help="A second series of the same market: a file or a stored feed.")
    ] = None,
    fix: Annotated[Path | None, typer.Option("--fix", help="Write a corrected copy here, as CSV.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report here, as a page.")] = None,
    json: Json = False,
) -> None:
    """Say what is wrong with candles and how bad it is; exit code 1 for grade F."""
    from rich.text import Text

    from .. import terminal
    from ..interchange import to_csv
    from ..output import write
    from ..quality import mend
    from ..report import render_quality

    _demand_sense(source, fix)
    now = datetime.now(UTC)
    quality = _examined(source, _second(against, source.store) if against else None, now)
    copy, parts = None, [terminal.quality(quality, alone=against is None)]
    if fix:
        try:
            copy = mend(_told(source).rows, quality, now)
        except DataError as error:
            parts.append(Text(f"No corrected copy was written. {error}"))
        else:
            write(fix, to_csv(copy.rows))
            parts.append(terminal.mended(copy, fix))
    if html:
        write(html, render_quality(quality, copy).encode())
    show(stack(parts), terminal.quality_document(quality), json)
    if quality.grade == "F":
        raise typer.Exit(NO)


class _Told(NamedTuple):
    rows: Rows
    feed: Feed | None
    words: str


def _demand_sense(source: Source, fix: Path | None) -> None:
    source.demand_one()
    if source.outside:
        raise RecipeError("--outside is given.", "Only candles are checked.", "Leave it out.")
    if fix and source.csv and fix.resolve() == source.csv.resolve():
        raise RecipeError(
            f"--fix names {fix}, the file that is checked.", "The original would be lost.", "Name another file."
        )


def _examined(source: Source, second: Candles | None, now: datetime) -> Quality:
    """What is wrong with the candles that the options name; a file that cannot be read is graded too."""
    from ..quality import examine, examine_file

    if source.csv is not None and not (source.since or source.until or source.interval):
        return examine_file(source.csv, _feed(source), tz=source.tz, label=source.label, second=second, now=now)
    told = _told(source)
    return examine(told.rows, told.feed, second=second, now=now, source=told.words)


def _told(source: Source) -> _Told:
    """The bars that the options name, as their source gave them."""
    from ..sample import rows, sample_named

    if source.csv is not None:
        told = _Told(source.rows(source.csv), _feed(source), source.csv.name)
    elif source.feed is not None:
        records, words = stored(source.feed, source.store)
        told = _Told(records.own.rows(), records.feed, words)
    else:
        sample = sample_named(source.sample or "btc-1d")
        told = _Told(rows(sample), replace(sample.feed, interval=sample.interval), sample.name)
    return told._replace(rows=between(told.rows, source.since, source.until))


def _feed(source: Source) -> Feed | None:
    """Which candles a file holds, if the options say so; the interval is read off its rows."""
    from ..feed import Feed, Interval

    return Feed(source.exchange, source.symbol, Interval("1d")) if source.symbol else None


def _second(name: str, store: Path) -> Candles:
    """The second series: a file, a sample, or a stored feed."""
    from ..clean import clean, clean_records
    from ..feed import Feed
    from ..interchange import read
    from ..rows import infer_interval
    from ..sample import SAMPLES, load

    if name in SAMPLES:
        return load(name).candles
    if ":" in name and not Path(name).exists():
        return clean_records(stored(name, store)[0].own).candles
    rows = read(name)
    return clean(rows, Feed("second", "BASE/QUOTE", infer_interval(rows)), datetime.now(UTC)).candles
