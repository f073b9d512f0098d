"""An outside series from a file with a row a day."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from ..errors import DataError
from .catalogue import series_named
from .outside import Outside


def read(path: str | Path, name: str, coin: str = "BTC") -> Outside:
    """A series from a CSV file (gzipped or not) with a row a day: `time` or `date`, and the value.

    Args:
        path: the file; its days are labelled as the registered series' own are.
        name: of a registered series, which says how such files call the value.
        coin: whose, where each coin has its own.

    Raises:
        RecipeError: no series has this name, or it is refused.
        DataError: the file is not there, has no such column, or a row cannot be read.
    """
    series = series_named(name)
    table = _table(Path(path))
    label = _column(path, table, ("time", "date", "Date", "DATE"))
    value = _column(path, table, series.columns)
    rows = table.select(
        label=pl.col(label).str.strip_chars(),
        day=pl.col(label).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False),
        text=pl.col(value).str.strip_chars(),
        value=pl.col(value).str.strip_chars().cast(pl.Float64, strict=False),
    )
    empty = pl.col("text").is_null() | (pl.col("text") == "")
    midnight = pl.col("label").str.slice(10).str.contains(r"^([T ]00:00(:00(\.0+)?)?(Z|\+00:00)?)?$")
    bad = rows.filter(pl.col("day").is_null() | ~midnight | (pl.col("value").is_null() & ~empty))
    if not bad.is_empty():
        raise DataError(
            f"{path} has a row {bad['label'][0]!r}, {bad['text'][0]!r}.",
            "A row is a day in UTC, written 2020-01-31, and a number.",
            "Mend the row or leave it out.",
        )
    told = rows.select(ended_at=series.ended(pl.col("day")), value="value")
    return Outside.of(name, told, series.lag, coin if series.of_coin else None)


def _table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(io.BytesIO(path.read_bytes()), infer_schema=False)
    except OSError as error:
        raise DataError(
            f"{path} cannot be opened: {error.strerror}.", "There is nothing to read.", "Check the path."
        ) from None
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} is not a table ({error}).", "Its values cannot be read.", "Save it as CSV.") from None


def _column(path: str | Path, table: pl.DataFrame, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in table.columns), None)
    if found is None:
        raise DataError(
            f"{path} has the columns {', '.join(table.columns)}.",
            f"None of them is {' or '.join(names)}.",
            "Rename the column that is meant.",
        )
    return found
