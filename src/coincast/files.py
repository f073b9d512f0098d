"""Any file of candles -> `Rows`: CSV in its dialects, gzipped or not, and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from .errors import DataError
from .rows import COLUMNS, Note, Rows
from .tables import pick, rows_of

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
# Lines before the one that names the columns: banners, the ticker line of yfinance.
_BANNER_LINES = 10


def read(path: str | Path, tz: str | None = None, label: str | None = None, *, close_only: bool = False) -> Rows:
    """The candles in a CSV (comma, semicolon, tab or bar between fields; `.gz` too) or Parquet file.

    What a file is, is told by its content and not by its name.

    Args:
        path: the file.
        tz: the zone of times that carry none, as the IANA database names it; UTC if not given.
        label: `open` or `close`: which end of a bar its time names. If not given, as the column's name says, and the
            open where it says nothing. Rows are labelled by the open either way.
        close_only: take a file with one price a row too, and leave open, high and low empty: to examine, not to use.

    Raises:
        DataError: the file is not there or not readable as candles; the message names the place in it.
        RecipeError: `tz` is not the name of a zone, or `label` neither `open` nor `close`.
    """
    path = Path(path)
    return parse(content_of(path), path.name, tz, label, close_only=close_only)


def content_of(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        DataError: it is not there or cannot be opened.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path} is a folder.", "Candles are read from one file.", "Name the file in it.") from None
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.", "There is nothing to read.", "Check the path.") from None
    except OSError as error:
        raise DataError(
            f"{path} could not be opened: {error.strerror}.", "There is nothing to read.", "Check who may read it."
        ) from None


def parse(
    content: bytes, name: str, tz: str | None = None, label: str | None = None, *, close_only: bool = False
) -> Rows:
    """`read` for a file's bytes; `name` is what messages call them.

    Raises:
        DataError: the bytes are not candles.
        RecipeError: `tz` is not the name of a zone, or `label` neither `open` nor `close`.
    """
    if content.startswith(_GZIP):
        content = _gunzip(content, name)
    if not content or content.isspace():
        raise DataError(f"{name} is empty.", "There is nothing to read.", "Pass a file with candles.")
    if content.startswith(_PARQUET):
        table = _parquet(content, name)
        return rows_of(table, lambda row: f"row {row} of {name}", tz, label, close_only=close_only)
    header = _header(_text(content, name))
    table = _csv(content, header, name)
    rows = rows_of(table, lambda row: f"line {header.lines + row + 1} of {name}", tz, label, close_only=close_only)
    return replace(rows, notes=(*header.notes, *rows.notes))


def _gunzip(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name} is damaged: {error}.", "Bars would be missing from its end.", "Fetch the file again."
        ) from None


def _parquet(content: bytes, name: str) -> pl.DataFrame:
    try:
        table = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{name} is not a whole Parquet file: {error}.", "Its bars cannot be read.", "Fetch the file again."
        ) from None
    return _demand_bars(table, name)


def _text(content: bytes, name: str) -> str:
    """The first lines, once all of it has been found to be text."""
    try:
        if not content.isascii():
            content.decode("utf-8")
        readable = b"\0" not in content
    except UnicodeDecodeError:
        readable = False
    if not readable:
        raise DataError(
            f"{name} is neither UTF-8 text nor Parquet.",
            "Its bars cannot be read.",
            "Save it as CSV in UTF-8, plain or gzipped, or as Parquet.",
        )
    return content[:65536].decode("utf-8-sig", errors="ignore")


class _Header(NamedTuple):
    names: list[str]
    separator: str
    # What stands above the first bar, the names included.
    lines: int
    notes: tuple[Note, ...] = ()


def _header(text: str) -> _Header:
    """The first line that names all columns of a bar; failing that, the longest of the first lines."""
    lines = text.splitlines()[:_BANNER_LINES]
    headers = [_Header(_fields(line, _separator(line)), _separator(line), i + 1) for i, line in enumerate(lines)]
    if len(headers) > 2 and headers[0].names[0] == "Price" and headers[2].names[0] in ("Date", "Datetime"):
        note = Note("Three lines name the columns, as yfinance writes them.", "header rows")
        return _Header([headers[2].names[0], *headers[0].names[1:]], headers[0].separator, 3, (note,))
    for header in headers:
        if len(set(header.names)) == len(header.names) and {"time", "close"} <= set(pick(header.names)):
            above = [line for line in lines[: header.lines - 1] if line.strip()]
            banner = Note(f"Above the names of the columns stands {above[0].strip()!r}.", "banner") if above else None
            return header._replace(notes=(banner,) if banner else ())
    return max(headers, key=lambda header: len(header.names))


def _separator(line: str) -> str:
    return max(",;\t|", key=line.count)


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=separator)) or [""]]


def _csv(content: bytes, header: _Header, name: str) -> pl.DataFrame:
    """The table as text, so that what is not a number or a time can be named where it stands; the columns of prices
    and volume as numbers at once if they all are.
    """
    _demand_distinct(header.names, name)
    picked = pick(header.names)
    numbers = (
        {} if header.separator == ";" else {picked[wanted]: pl.Float64() for wanted in COLUMNS[1:] if wanted in picked}
    )
    try:
        table = _columns(content, header, numbers)
    except pl.exceptions.PolarsError:
        table = _text_columns(content, header, name)
    if header.separator == ";":
        table = table.with_columns(pl.exclude(header.names[0]).str.replace(",", ".", literal=True))
    return _demand_bars(table, name)


def _text_columns(content: bytes, header: _Header, name: str) -> pl.DataFrame:
    try:
        return _columns(content, header, {})
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{name} is not a table: {str(error).splitlines()[0]}.",
            f"Its first line names {len(header.names)} columns, and every line must keep to them.",
            "Mend the lines that do not.",
        ) from None


def _columns(content: bytes, header: _Header, numbers: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.read_csv(
        content,
        has_header=False,
        skip_lines=header.lines,
        separator=header.separator,
        schema={field: numbers.get(field, pl.String()) for field in header.names},
        raise_if_empty=False,
    )


def _demand_distinct(names: list[str], name: str) -> None:
    twice = next((field for field in names if names.count(field) > 1), None)
    if twice is not None:
        raise DataError(
            f"{name} has two columns named {twice!r}.", "Nobody can say which one is meant.", "Rename one of them."
        )


def _demand_bars(table: pl.DataFrame, name: str) -> pl.DataFrame:
    if table.is_empty():
        raise DataError(
            f"{name} names the columns {', '.join(table.columns)} and holds no bar.",
            "There is nothing to learn from.",
            "Pass a file with candles.",
        )
    return table
