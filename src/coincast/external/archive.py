"""Outside series on disk: whatever a source told, when it was seen, and every value it restated later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from ..errors import DataError, OutputError
from ..feed import utc
from ..output import make_folder, parquet, write
from .catalogue import series_named
from .outside import PUBLIC, Outside, check_coin

KEPT = pl.Schema(PUBLIC | {"seen_at": PUBLIC["available_at"]})


@dataclass(frozen=True)
class Archive:
    """`folder/fear_greed.parquet`, and of what each coin has its own `folder/funding-BTC.parquet`.

    Rows are only ever added. The first value told of a day is the one that counts: it is what a forecast made then
    could know. A value restated later is kept beside it, available from when it was seen.
    """

    folder: Path

    def read(self, name: str, coin: str = "BTC", seen_by: datetime | None = None) -> Outside:
        """The first value told of each event.

        Args:
            name: of a registered series.
            coin: whose, where each coin has its own.
            seen_by: leave out what was fetched later.

        Raises:
            RecipeError: no series has this name, or it is refused.
            DataError: it was never fetched, not by then, or the file is damaged.
        """
        kept = self.revisions(name, coin)
        if seen_by is not None:
            kept = kept.filter(pl.col("seen_at") <= utc(seen_by))
        first = kept.unique("ended_at", keep="first", maintain_order=True)
        if first.is_empty():
            raise DataError(
                f"{self._path(name, coin)} holds no value.",
                "There is nothing to join.",
                f"Get it with: coincast fetch {name}",
            )
        return Outside(name, first.select(PUBLIC.names()), coin if series_named(name).of_coin else None)

    def revisions(self, name: str, coin: str = "BTC") -> pl.DataFrame:
        """Everything told, in order of `ended_at` and then of `seen_at`; empty if nothing was fetched.

        Raises:
            RecipeError: no series has this name, or it is refused.
            DataError: the file is damaged.
        """
        path = self._path(name, coin)
        if not path.exists():
            return pl.DataFrame(schema=KEPT)
        try:
            return pl.read_parquet(path.read_bytes()).select(KEPT.names()).cast(KEPT)
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise DataError(
                f"{path} cannot be read ({error}).", "Its values are lost.", f"Remove it and fetch {name} again."
            ) from error

    def add(self, outside: Outside, seen_at: datetime) -> int:
        """Keep what is new in `outside`; the number of rows added.

        A value that was not public by `seen_at` is left out: it may still change.

        Raises:
            OutputError: the folder cannot be written, or someone else is writing the series.
            DataError: `seen_at` is naive, the series does not say whose it is, or the file on disk is damaged.
        """
        coin = outside.coin or ""
        path = self._path(outside.name, coin)
        make_folder(self.folder)
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                kept = self.revisions(outside.name, coin)
                new = _news(kept, outside.frame.with_columns(seen_at=pl.lit(utc(seen_at), KEPT["seen_at"])))
                if not new.is_empty():
                    write(path, parquet(pl.concat([kept, new]).sort("ended_at", "seen_at", maintain_order=True)))
                return new.height
        except Timeout as error:
            raise OutputError(
                f"Someone else is writing {path}.", "One of the two would be lost.", "Wait until that has ended."
            ) from error

    def _path(self, name: str, coin: str) -> Path:
        return self.folder / (f"{name}-{check_coin(coin)}.parquet" if series_named(name).of_coin else f"{name}.parquet")


def _news(kept: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """The rows of `told` whose event is new, or whose value is not the one told last."""
    last = kept.unique("ended_at", keep="last", maintain_order=True).select("ended_at", last="value")
    public = told.filter(pl.col("available_at") <= pl.col("seen_at"))
    beside = public.join(last, on="ended_at", how="left", maintain_order="left")
    news = beside.filter(pl.col("last").ne_missing(pl.col("value")))
    since = pl.when(pl.col("last").is_null()).then("available_at").otherwise("seen_at")
    return news.with_columns(available_at=since).select(KEPT.names())
