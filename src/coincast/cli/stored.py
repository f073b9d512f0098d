"""The group `coincast store`: what is kept, whether it is whole, and its way in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import RecipeError
from .options import NO, STORE, Json, StoreFolder
from .printing import lines, show, table

if TYPE_CHECKING:
    from ..feed import Feed

store = typer.Typer(name="store", help="Look after stored candles.", no_args_is_help=True, rich_markup_mode=None)

Feeds = Annotated[list[str] | None, typer.Argument(metavar="[FEED]...", help="All of them if left out.")]
FeedName = Annotated[str, typer.Argument(metavar="FEED", help="Such as binance:BTC/USDT:1h.")]


@store.command()
def ls(folder: StoreFolder = STORE, json: Json = False) -> None:
    """Name what is stored."""
    from ..store import Store

    held = [Store(folder).snapshot(feed) for feed in Store(folder).feeds()]
    rows = [
        {
            "feed": str(one.feed),
            "rows": one.rows,
            "first": f"{one.first:%Y-%m-%d %H:%M}",
            "last": f"{one.last:%Y-%m-%d %H:%M}",
            "snapshot": one.number,
            "files": len(one.segments),
        }
        for one in held
        if one.rows
    ]
    show(
        table(rows, numbers=("rows", "snapshot", "files"), whole=("feed", "rows", "last"))
        if rows
        else f"{folder} holds no candles.",
        rows,
        json,
    )


@store.command()
def verify(feeds: Feeds = None, folder: StoreFolder = STORE, json: Json = False) -> None:
    """Read every byte again; exit code 1 if one is not as it was written."""
    from ..store import Store

    kept = Store(folder)
    found = {str(feed): kept.verify(feed) for feed in _named(feeds, folder)}
    said = [f"{name}: {'whole' if not wrong else ' '.join(wrong)}" for name, wrong in found.items()]
    said = said or [f"{folder} holds no candles."]
    show(lines(said), found, json)
    if any(found.values()):
        raise typer.Exit(NO)


@store.command()
def compact(feeds: Feeds = None, folder: StoreFolder = STORE) -> None:
    """Join the files of each year to one."""
    from ..store import Store

    for feed in _named(feeds, folder):
        with Store(folder).writer(feed) as writer:
            writer.compact()
        typer.echo(f"{feed}: {len(Store(folder).snapshot(feed).segments)} files")


@store.command()
def export(
    name: FeedName,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    form: Annotated[str, typer.Option("--format", help="csv, parquet, freqtrade, ccxt or nixtla.")] = "csv",
    since: Annotated[str | None, typer.Option("--since", help="First day.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day, itself included.")] = None,
    folder: StoreFolder = STORE,
) -> None:
    """Write a feed's own bars to a file for another tool; what is missing stays missing."""
    from ..interchange import FORMATS
    from ..output import write
    from .source import between, stored

    if form not in FORMATS:
        raise RecipeError(
            f"There is no format {form!r}.", "The file would be empty.", f"Choose among {', '.join(FORMATS)}."
        )
    records, words = stored(name, folder)
    rows = between(records.own.rows(), since, until)
    write(out, FORMATS[form].encode(records.feed, rows))
    lent = len(records.latest) - len(records.own.latest)
    typer.echo(f"{out}: {len(rows):,} bars of {words}" + (f"; {lent:,} lent ones are left out" if lent else ""))


@store.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, Parquet, feather (freqtrade) or a JSON list of ccxt's rows.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[FEED]", help="Which feed; freqtrade's file names tell it themselves.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the file's word over what is stored, as revisions.")
    ] = False,
    folder: StoreFolder = STORE,
) -> None:
    """Store the bars of a file, once cleaned; those that are stored already are left as they are."""
    from ..feed import Feed
    from ..importing import import_file
    from ..store import Store

    done = import_file(file, Store(folder), Feed.parse(name) if name else None, replace=replace)
    typer.echo(f"{file.name}: {done.new:,} of {done.bars:,} bars are new in {done.feed}")
    typer.echo(f"  {done.quality.sentence}")


@store.command()
def repair(
    name: FeedName,
    lender: Annotated[str, typer.Option("--from", help="Another venue's feed of the same coin and interval.")],
    folder: StoreFolder = STORE,
) -> None:
    """Let another venue lend the bars that a feed lacks; they are marked and never scored."""
    from .. import fetching
    from ..feed import Feed
    from ..store import Store

    lent = fetching.repair(Feed.parse(name), Feed.parse(lender), Store(folder))
    typer.echo(f"{name}: {lent:,} bars lent by {lender}")


def _named(names: list[str] | None, folder: Path) -> list[Feed]:
    """The feeds of these names, or all that are stored."""
    from ..store import Store
    from .source import snapshot_of

    return [snapshot_of(name, folder).feed for name in names] if names else Store(folder).feeds()
