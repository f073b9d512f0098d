"""From a file into the store: cleaned first, marked as the file's word, below that of who is stored already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from .clean import Repairs
from .errors import DataError
from .feed import Feed
from .interchange import from_freqtrade, read
from .quality import Quality, examine
from .records import Records
from .rows import infer_interval
from .store import Store


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Args:
        feed: of which bars.
        bars: how many the file has.
        new: rows that were stored.
        quality: what was wrong with the file, and its repairs.
    """

    feed: Feed
    bars: int
    new: int
    quality: Quality


def import_file(
    path: Path, store: Store, feed: Feed | None = None, *, replace: bool = False, now: datetime | None = None
) -> Imported:
    """Store the bars of a file. `source` is its name, with a mark where a value was mended; missing bars stay missing.

    Args:
        path: CSV, Parquet, feather or a JSON list of ccxt's rows.
        store: where to.
        feed: which bars; None: as freqtrade's file name says.
        replace: take the file's word over what is stored, as revisions; without it bars that are there are left alone.
        now: when the file was read; None: by this machine's clock. Bars that close later are dropped.

    Raises:
        DataError: the file holds no candles, its times cannot be trusted, or the store is damaged.
        RecipeError: no feed is given and the file's name tells none.
        OutputError: the store cannot be written, or somebody else writes the feed.
    """
    feed, rows = (feed, read(path)) if feed else from_freqtrade(path)
    now = now or datetime.now(UTC)
    if (found := infer_interval(rows)) != feed.interval:
        raise DataError(
            f"The bars of {path} are {found} apart, those of {feed} {feed.interval}.",
            "Nearly every bar would be missing, or off the grid.",
            f"Import it as bars of {found}.",
        )
    quality = examine(rows, feed, now=now, source=path.name)
    cleaned = quality.demand_candles()
    told = _marked(Records.of_candles(cleaned.candles, now, path.name), cleaned.repairs)
    with store.writer(feed) as writer:
        if replace:
            new = writer.append(told)
        else:
            held = store.read(feed).frame.select("time")
            new = writer.append(Records(feed, told.frame.join(held, on="time", how="anti", maintain_order="left")))
    return Imported(feed, len(told), new, quality)


def _marked(told: Records, repairs: Repairs) -> Records:
    mended = repairs.frame.filter(pl.col("put").is_not_null())["time"].unique()
    source = pl.when(pl.col("time").is_in(mended.implode())).then(pl.col("source") + ", mended").otherwise("source")
    return Records(told.feed, told.frame.with_columns(source=source))
