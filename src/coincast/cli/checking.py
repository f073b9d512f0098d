"""The command `check`: what is wrong with candles, how bad it is, and a copy without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import NO, Json, expand
from .printing import show, stack
from .source import Source, stored

if TYPE_CHECKING:
    from ..candles import Candles
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
    from .. import terminal
    from ..interchange import to_csv
    from ..output import write
    from ..quality import mend
    from ..report import render_quality

    second = _second(against, source.store) if against else None
    quality = _examined(source, second)
    copy = mend(_rows(source), quality) if fix else None
    parts = [terminal.quality(quality)]
    if fix and copy:
        write(fix, to_csv(copy.rows))
        parts.append(terminal.mended(copy, fix))
    if html:
        write(html, render_quality(quality, copy).encode())
    show(stack(parts), terminal.quality_document(quality), json)
    if quality.grade == "F":
        raise typer.Exit(NO)


def _examined(source: Source, second: Candles | None) -> Quality:
    """What is wrong with the candles that the options name."""
    from ..feed import Feed, Interval
    from ..quality import examine, examine_file

    source.demand_one()
    if source.csv is not None:
        if source.interval:
            source.rows(source.csv)
        # The interval is read off the rows.
        feed = Feed(source.exchange, source.symbol, Interval("1d")) if source.symbol else None
        return examine_file(source.csv, feed, tz=source.tz, label=source.label, second=second)
    cleaned, words = source.load()
    return examine(_rows(source), cleaned.candles.feed, second=second, source=words)


def _rows(source: Source) -> Rows:
    """The bars as their source gave them."""
    from ..rows import COLUMNS, Rows

    if source.csv is not None:
        return source.rows(source.csv)
    cleaned, _ = source.load()
    return Rows(cleaned.candles.frame.filter("observed").select(COLUMNS))


def _second(name: str, store: Path) -> Candles:
    """The second series: a file, a sample, or a stored feed."""
    from ..clean import clean, clean_records
    from ..feed import Feed
    from ..files import read
    from ..rows import infer_interval
    from ..sample import SAMPLES, load

    if name in SAMPLES:
        return load(name).candles
    if ":" in name and not Path(name).exists():
        return clean_records(stored(name, store)[0]).candles
    rows = read(name)
    return clean(rows, Feed("second", "BASE/QUOTE", infer_interval(rows))).candles
