"""Any file of candles -> `Rows`: CSV in its dialects, gzipped or not, and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import NamedTuple

import polars as pl

from .errors import DataError
from .rows import Rows
from .tables import pick, rows_of

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
# Lines before the one that names the columns: banners, the ticker line of yfinance.
_BANNER_LINES = 10


def read(path: str | Path, tz: str | None = None) -> Rows:
    """The candles in a CSV (comma, semicolon, tab or bar between fields; `.gz` too) or Parquet file.

    The times are taken for each bar's open. What a file is, is told by its content and not by its name.

    Args:
        path: the file.
        tz: the zone of times that carry none, as the IANA database names it; UTC if not given.

    Raises:
        DataError: the file is not there or not readable as candles; the message names the place in it.
        RecipeError: `tz` is not the name of a zone.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path} is a folder.", "Candles are read from one file.", "Name the file in it.") from None
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.", "There is nothing to read.", "Check the path.") from None
    except OSError as error:
        raise DataError(
            f"{path} could not be opened: {error.strerror}.", "There is nothing to read.", "Check who may read it."
        ) from None
    return parse(content, path.name, tz)


def parse(content: bytes, name: str, tz: str | None = None) -> Rows:
    """`read` for a file's bytes; `name` is what messages call them.

    Raises:
        DataError: the bytes are not candles.
        RecipeError: `tz` is not the name of a zone.
    """
    if content.startswith(_GZIP):
        content = _gunzip(content, name)
    if not content.strip():
        raise DataError(f"{name} is empty.", "There is nothing to read.", "Pass a file with candles.")
    if content.startswith(_PARQUET):
        return rows_of(_parquet(content, name), tz, lambda row: f"row {row} of {name}")
    header = _header(_text(content, name))
    table = _csv(content, header, name)
    return rows_of(table, tz, lambda row: f"line {header.lines + row + 1} of {name}")


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


def _header(text: str) -> _Header:
    """The first line that names all columns of a bar; failing that, the longest of the first lines."""
    lines = text.splitlines()[:_BANNER_LINES]
    headers = [_Header(_fields(line, _separator(line)), _separator(line), i + 1) for i, line in enumerate(lines)]
    if len(headers) > 2 and headers[0].names[0] == "Price" and headers[2].names[0] in ("Date", "Datetime"):
        return _Header([headers[2].names[0], *headers[0].names[1:]], headers[0].separator, 3)
    for header in headers:
        if len(set(header.names)) == len(header.names) and {"time", "close"} <= set(pick(header.names)):
            return header
    return max(headers, key=lambda header: len(header.names))


def _separator(line: str) -> str:
    return max(",;\t|", key=line.count)


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=separator), [""])]


def _csv(content: bytes, header: _Header, name: str) -> pl.DataFrame:
    """Everything as text, so that what is not a number or a time can be named where it stands."""
    _demand_distinct(header.names, name)
    try:
        table = pl.read_csv(
            content,
            has_header=False,
            skip_lines=header.lines,
            separator=header.separator,
            schema={field: pl.String() for field in header.names},
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{name} is not a table: {str(error).splitlines()[0]}.",
            f"Its first line names {len(header.names)} columns, and every line must keep to them.",
            "Mend the lines that do not.",
        ) from None
    if header.separator == ";":
        table = table.with_columns(pl.exclude(header.names[0]).str.replace(",", ".", literal=True))
    return _demand_bars(table, name)


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
