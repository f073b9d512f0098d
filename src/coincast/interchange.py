"""Candles in the forms other tools read and write: freqtrade's feather files, ccxt's rows, Nixtla's long frames, plain
CSV and Parquet. Times are bar opens in all of them. A bar that is missing stays missing.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from .errors import DataError, RecipeError
from .feed import Feed, Interval
from .files import content_of, parse
from .output import parquet
from .rows import COLUMNS, Rows
from .tables import Place, rows_of, table_of

_FEATHER, _PARQUET = b"ARROW1", b"PAR1"
# Of a derivative freqtrade keeps several series; only the traded prices are candles.
_FREQTRADE = re.compile(r"([A-Za-z0-9]+)_([A-Za-z0-9]+)(?:_([A-Za-z0-9-]+))?-(\d+[a-z])(?:-futures)?\.feather")
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
_LONG = ("unique_id", "ds", "y")


def read(path: str | Path) -> Rows:
    """The candles in a feather file, a JSON list of ccxt's rows, a Nixtla long frame of one series (CSV or Parquet), or
    whatever `files.read` reads, told by its content.

    Raises:
        DataError: the file is not there, holds no candles or several series; the message names the place in it.
    """
    path = Path(path)
    content = content_of(path)
    if content.startswith(_FEATHER):
        return _feather(content, path.name)
    if content.lstrip().startswith(b"["):
        return from_ccxt(content, path.name)
    long = _long_frame(content, path.name)
    return parse(content, path.name) if long is None or long.is_empty() else _only_series(long, path.name)


def from_freqtrade(path: str | Path, exchange: str | None = None) -> tuple[Feed, Rows]:
    """The candles in freqtrade's `BTC_USDT-1h.feather`, and of which feed they are.

    Args:
        path: the file, as freqtrade named it.
        exchange: where they come from; if not given the folder says, which freqtrade names after it.

    Raises:
        RecipeError: the name is not one freqtrade gives to candles.
        DataError: the file holds no candles.
    """
    path = Path(path)
    match = _FREQTRADE.fullmatch(path.name)
    if match is None:
        raise RecipeError(
            f"{path.name} is not named as freqtrade names candles.",
            "Which coin and interval it holds stands in its name alone.",
            "Name it like BTC_USDT-1h.feather or BTC_USDT_USDT-1h-futures.feather, or say which feed it is.",
        )
    base, quote, settle, interval = match.groups()
    folder = path.absolute().parent
    exchange = exchange or (folder.parent if folder.name == "futures" else folder).name
    symbol = f"{base}/{quote}" + (f":{settle}" if settle else "")
    return Feed(exchange, symbol, Interval(interval)), read(path)


def freqtrade_path(feed: Feed) -> Path:
    """Where freqtrade looks for a feed, below `user_data/data`: `binance/BTC_USDT-1h.feather`."""
    name = f"{re.sub('[^A-Za-z0-9-]', '_', feed.symbol)}-{feed.interval}"
    future = ":" in feed.symbol
    return Path(feed.exchange, "futures" if future else "", f"{name}{'-futures' if future else ''}.feather")


def to_freqtrade(rows: Rows) -> bytes:
    """The content of a feather file as freqtrade keeps candles: `date` in milliseconds, then the numbers."""
    date = pl.col("time").cast(pl.Datetime("ms", "UTC")).alias("date")
    buffer = io.BytesIO()
    rows.frame.select(date, *COLUMNS[1:]).write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def from_ccxt(content: bytes, name: str = "the list") -> Rows:
    """The candles in a JSON list of rows `[milliseconds of the open, open, high, low, close, volume]`.

    Raises:
        DataError: it is not such a list; the message names the row.
    """
    try:
        listed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _no_list(f"{name} is not JSON ({error}).") from None
    if not isinstance(listed, list):
        raise _no_list(f"{name} holds {listed!r:.200}.")
    for number, row in enumerate(listed):
        if not isinstance(row, list) or len(row) < len(COLUMNS) or not all(map(_is_number, row[: len(COLUMNS)])):
            raise _no_list(f"Row {number} of {name} is {row!r:.200}.")
    bars = [[None if value is None else float(value) for value in row[: len(COLUMNS)]] for row in listed]
    table = pl.DataFrame(bars, schema=dict.fromkeys(COLUMNS, pl.Float64()), orient="row")
    return rows_of(table, lambda row: f"row {row} of {name}")


def to_ccxt(rows: Rows) -> bytes:
    """A JSON list of rows `[milliseconds of the open, open, high, low, close, volume]`, as ccxt gives them.

    A number that is missing or infinite becomes null.
    """
    finite = [pl.when(pl.col(name).is_finite()).then(name) for name in COLUMNS[1:]]
    table = rows.frame.select(pl.col("time").dt.epoch("ms"), *finite)
    return b"[" + b",\n".join(json.dumps(row).encode() for row in table.iter_rows()) + b"]\n"


def from_nixtla(frame: object) -> dict[str, Rows]:
    """The series in a long frame `unique_id, ds, y` whose further columns give the bars' range and volume.

    `y` is the close unless a column `close` is there too.

    Args:
        frame: a polars, pandas or Arrow table.

    Raises:
        DataError: a column is missing, the range among them; or a value is neither a number nor a time.
    """
    table = table_of(frame)
    absent = [name for name in _LONG if name not in table.columns]
    if absent:
        raise DataError(
            f"The frame has no column {', '.join(absent)}; it has {', '.join(map(repr, table.columns))}.",
            "A long frame names series, time and value so.",
            "Rename its columns.",
        )
    if "close" not in table.columns:
        table = table.rename({"y": "close"})
    parts = table.partition_by("unique_id", as_dict=True, include_key=False)
    return {str(key): rows_of(part, _place(str(key))) for (key,), part in parts.items()}


def to_nixtla(series: Mapping[str, Rows]) -> pl.DataFrame:
    """A long frame: `unique_id`, `ds` (bar open, UTC, without a zone), `y` (close), then `open`, `high`, `low`,
    `volume` as exogenous columns; sorted by both keys.

    Args:
        series: bars by the name their series shall have.
    """
    parts = [rows.frame.select(pl.lit(name).alias("unique_id"), pl.all()) for name, rows in series.items()]
    long = pl.concat(parts).sort("unique_id", "time", maintain_order=True).rename({"time": "ds", "close": "y"})
    return long.select("unique_id", pl.col("ds").dt.replace_time_zone(None), "y", "open", "high", "low", "volume")


def to_csv(rows: Rows) -> bytes:
    """`time,open,high,low,close,volume`, times to the second like `2024-01-31T13:00:00Z`, every digit of numbers."""
    return rows.frame.with_columns(pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv().encode()


def to_parquet(rows: Rows) -> bytes:
    """The same columns as Parquet; times are UTC in microseconds."""
    return parquet(rows.frame)


class Format(NamedTuple):
    """A form to export candles in."""

    suffix: str
    encode: Callable[[Feed, Rows], bytes]
    says: str


def _feather(content: bytes, name: str) -> Rows:
    try:
        table = pl.read_ipc(io.BytesIO(content))
    except _UNREADABLE as error:
        raise _torn(name, "feather file", error) from None
    return rows_of(table, lambda row: f"row {row} of {name}")


def _long_frame(content: bytes, name: str) -> pl.DataFrame | None:
    """The table of a Parquet or CSV file that names the columns of a long frame; None if it does not."""
    buffer, names = io.BytesIO(content), set[str]()
    parquet = content.startswith(_PARQUET)
    table = pl.scan_parquet(buffer) if parquet else pl.scan_csv(buffer, infer_schema=False)
    with suppress(*_UNREADABLE):
        names = set(table.collect_schema())
    if not names.issuperset(_LONG):
        return None
    try:
        return table.collect()
    except _UNREADABLE as error:
        raise _torn(name, "long frame", error) from None


def _only_series(long: pl.DataFrame, name: str) -> Rows:
    series = long["unique_id"].unique(maintain_order=True).to_list()
    if len(series) > 1:
        more = f" and {len(series) - 5:,} more" if len(series) > 5 else ""
        raise DataError(
            f"{name} holds {len(series):,} series: {', '.join(map(str, series[:5]))}{more}.",
            "Candles are of one feed at a time.",
            "Give each series a file of its own.",
        )
    return from_nixtla(long)[str(series[0])]


def _place(series: str) -> Place:
    return lambda row: f"row {row} of {series}"


def _is_number(value: object) -> bool:
    """Or nothing; and within what a float can hold."""
    if value is None or isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000


def _torn(name: str, form: str, error: BaseException) -> DataError:
    return DataError(
        f"{name} is not a whole {form}: {str(error).splitlines()[0]}.",
        "Its bars cannot be read.",
        "Fetch the file again.",
    )


def _no_list(found: str) -> DataError:
    return DataError(
        found,
        "ccxt's candles are a list of rows [milliseconds of the open, open, high, low, close, volume].",
        "Write them so, numbers without quotes.",
    )


FORMATS: Mapping[str, Format] = {
    "csv": Format(".csv", lambda _, rows: to_csv(rows), "time,open,high,low,close,volume"),
    "parquet": Format(".parquet", lambda _, rows: to_parquet(rows), "the same columns, times in UTC"),
    "freqtrade": Format(".feather", lambda _, rows: to_freqtrade(rows), "feather, for user_data/data"),
    "ccxt": Format(".json", lambda _, rows: to_ccxt(rows), "a list of [ms, open, high, low, close, volume]"),
    "nixtla": Format(
        ".parquet",
        lambda feed, rows: parquet(to_nixtla({str(feed): rows})),
        "a long frame unique_id, ds, y and the other columns",
    ),
}
