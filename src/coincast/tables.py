"""A table of candles in any sane spelling -> `Rows`: which column is which, what is a number, which instant a time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import polars as pl

from .candles import PRICES
from .errors import DataError, RecipeError
from .rows import COLUMNS, Note, Rows, opens_from_closes

# Spellings with everything but letters and digits removed, the most telling first. `index` and a nameless column are
# what pandas leaves of a time index.
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("time", "opentime", "timeopen", "timestamp", "opentimestamp", "unix", "unixtime", "unixtimestamp", "epoch"),
        *("starttime", "start", "datetime", "opendatetime", "date", "opendate", "timeutc", "dateutc", "datetimeutc"),
        *("timestampms", "timems", "timestamputc", "ds", "t", "index", "indexlevel0", ""),
    ),
    "open": ("open", "o", "openprice", "priceopen"),
    "high": ("high", "h", "highprice", "pricehigh"),
    "low": ("low", "l", "lowprice", "pricelow"),
    "close": ("close", "c", "closeprice", "priceclose"),
    "volume": ("basevolume", "volumebase", "volume", "vol", "v"),
}
_CLOSE_LABELS = ("closetime", "closedatetime", "closedate", "closetimestamp", "timeclose", "endtime")
LABELS = ("open", "close")
_SERIES_NAMES = ("symbol", "ticker", "pair", "instrument", "uniqueid", "itemid", "coin", "asset")
_QUOTES = ("quote", "usd", "usdt", "usdc", "busd", "tusd", "fdusd", "eur", "gbp", "jpy", "krw", "try", "inr", "brl")
# What a table calls its only price; a currency may follow.
_ONE_PRICE = ("price", "rate", "value", "last", "y")
_MISSING = ("", "nan", "null", "none", "na", "n/a", "-", "<na>")

_ZONE = r"(:\d{2}(?:\.\d+)?)\s*([Zz]|UTC|utc|GMT|[+-]\d{2}(?::?\d{2})?)$"
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")
# Patterns of fixed length come first: polars reads those five times as fast as one with an open number of decimals.
_SECONDS = ("%S", "%S.%3f", "%S.%6f", "%S.%9f", "%S%.f")
_CLOCKS = (*(f"{t}%H:%M:{seconds}" for seconds in _SECONDS for t in "T "), "T%H:%M", " %H:%M", " %I:%M-%p")
_YEAR_LAST = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})"

# How a message names row 0, 1, 2 ... of a table: a file counts lines, a frame rows.
Place = Callable[[int], str]


def as_rows(frame: object, tz: str | None = None, label: str | None = None) -> Rows:
    """A table of candles in any sane spelling as `Rows`.

    Args:
        frame: a polars, pandas or Arrow table, or anything else that polars makes a frame of. pandas may hold the
            times in its index.
        tz: the zone of times that carry none, as the IANA database names it; UTC if not given.
        label: `open` or `close`: which end of a bar its time names; if not given, as the column's name says.

    Raises:
        DataError: a column is missing or ambiguous, or a value is neither a number nor a time.
        RecipeError: `tz` is not the name of a zone, or `label` neither `open` nor `close`.
    """
    return rows_of(table_of(frame), lambda row: f"row {row}", tz, label)


def table_of(frame: object) -> pl.DataFrame:
    """A polars, pandas or Arrow table, or anything else that polars makes a frame of, as a polars frame."""
    if hasattr(frame, "reset_index"):
        # By plain lists: polars' own way from pandas needs pyarrow.
        indexed = frame.reset_index()
        frame = {str(name): indexed[name].to_list() for name in indexed.columns}
    return frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(cast("pl._typing.FrameInitTypes", frame))


def rows_of(
    table: pl.DataFrame, place: Place, tz: str | None = None, label: str | None = None, *, close_only: bool = False
) -> Rows:
    """`as_rows` for a polars frame whose rows have names of their own in messages.

    Args:
        table: the candles.
        place: names a row in messages.
        tz: as for `as_rows`.
        label: as for `as_rows`.
        close_only: take a table with one price a row too, and leave open, high and low empty: to examine, not to use.
    """
    if label not in (None, *LABELS):
        raise RecipeError(
            f"The label {label!r} is not known.", "A time names one end of a bar.", "Write open or close."
        )
    picked = _with_close_label(pick(table.columns), table.columns, label)
    notes: list[Note] = []
    if close_only and not {"open", "high", "low"} & set(picked):
        picked |= _only_price(picked, table.columns, notes)
    else:
        _demand(picked, table.columns)
    _demand_one_series(table)
    blank = table.select(pl.all_horizontal(pl.col(name).is_null() for name in picked.values())).to_series()
    times = times_of(table[picked["time"]], blank, tz, place, notes)
    numbers = {name: _numbers(table[picked[name]], place).alias(name) for name in COLUMNS[1:] if name in picked}
    absent = [pl.lit(None, pl.Float64()).alias(name) for name in COLUMNS[1:] if name not in picked]
    if "volume" not in picked:
        notes.append(Note("The table has no volume; it is taken as 0.", "no volume"))
    elif plain(picked["volume"]).removeprefix("volume") in _QUOTES:
        notes.append(Note(f"The only volume is {picked['volume']!r}; it is kept in that unit.", "quote volume"))
    frame = pl.DataFrame({"time": times} | numbers).with_columns(absent).select(COLUMNS)
    rows = Rows(frame.filter(~blank), tuple(notes))
    by_close = label == "close" or plain(picked["time"]) in _CLOSE_LABELS
    return opens_from_closes(rows) if by_close else rows


def _with_close_label(picked: dict[str, str], names: Sequence[str], label: str | None) -> dict[str, str]:
    """A column that says when a bar closed is its time where there is no other."""
    closing = next((name for name in names if plain(name) in _CLOSE_LABELS), None)
    if "time" in picked or closing is None or label == "open":
        return picked
    return {"time": closing, **picked}


def _only_price(picked: Mapping[str, str], names: Sequence[str], notes: list[Note]) -> dict[str, str]:
    """The column of the only price, where bars have no range; none if there is no such column."""
    spelled = [*_ONE_PRICE, *(f"{price}{quote}" for price in _ONE_PRICE for quote in _QUOTES)]
    found = picked.get("close") or next((name for name in names if plain(name) in spelled), None)
    if found is None or "time" not in picked:
        _demand(picked, names)
    notes.append(Note(f"{found!r} is the only price: there is no open, high or low.", "close only"))
    return {"close": str(found)}


def plain(name: str) -> str:
    """A column's name with case, spaces and signs taken away: `Open time` and `open_time` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def pick(names: Sequence[str]) -> dict[str, str]:
    """Which of these columns holds what: `time`, `open`, ... to the name as it stands. What is not there is left out.

    A shared prefix (`BTC.open`, `BTC.close`) is no matter. An adjusted close is never taken for the close. Of several
    volumes the one in base currency is taken.

    Raises:
        DataError: two columns spell the same thing in the same way, or prices come under several prefixes.
    """
    bare = _without_prefix(names)
    found = {}
    for wanted, spellings in _SPELLINGS.items():
        for spelling in (*_base_volumes(bare), *spellings, *_quote_volumes(bare)) if wanted == "volume" else spellings:
            same = [name for name, stripped in bare.items() if stripped == spelling]
            if len(same) > 1:
                raise DataError(
                    f"The columns {' and '.join(map(repr, same))} both name the {wanted}.",
                    "One of them would be dropped unseen.",
                    f"Keep the one that holds the bar's {wanted}.",
                )
            if same:
                found[wanted] = same[0]
                break
    return found


def _without_prefix(names: Sequence[str]) -> dict[str, str]:
    bare = {name: plain(name) for name in names}
    if set(PRICES) <= set(bare.values()):
        return bare
    split = {name: re.fullmatch(r"(.*[^A-Za-z0-9])(open|high|low|close|volume)", name, re.I) for name in names}
    prefixes: dict[str, set[str]] = {}
    for match in filter(None, split.values()):
        prefixes.setdefault(match[1], set()).add(match[2].lower())
    whole = [prefix for prefix, found in prefixes.items() if found >= set(PRICES)]
    if len(whole) > 1:
        raise DataError(
            f"The table holds several series: {', '.join(whole)}.",
            "Candles are of one feed.",
            "Keep the columns of one of them.",
            defect="several series",
        )
    stripped = {name: match[2].lower() for name, match in split.items() if match and match[1] in whole}
    return bare | stripped


def _base_volumes(bare: Mapping[str, str]) -> list[str]:
    named = [name.removeprefix("volume") for name in bare.values() if name.startswith("volume")]
    return [f"volume{coin}" for coin in named if coin and coin not in _QUOTES][:1]


def _quote_volumes(bare: Mapping[str, str]) -> list[str]:
    return [name for name in bare.values() if name.removeprefix("volume") in _QUOTES and name.startswith("volume")][:1]


def _demand(picked: Mapping[str, str], names: Sequence[str]) -> None:
    missing = [name for name in ("time", *PRICES) if name not in picked]
    if not missing:
        return
    found = f"No column for {', '.join(missing)} among {', '.join(map(repr, names))}."
    label = next((name for name in names if plain(name) in _CLOSE_LABELS), None)
    if missing == ["time"] and label:
        why = f"{label!r} says when a bar closed; read as its open, every bar would be known one interval too late."
        do = "Add a column 'time' with each bar's open."
    elif all(re.fullmatch(r"[\d.eE+-]+|", name) for name in names):
        why = "The first line looks like a bar, and the order of columns differs from source to source."
        do = "Write a first line that names the columns, for example time,open,high,low,close,volume."
    elif {"time", "close"} <= set(picked) or any(plain(name).startswith(_ONE_PRICE[:-1]) for name in names):
        raise DataError(
            found,
            "A bar is its open time, open, high, low and close; without the range there is no telling how it moved.",
            "Fetch candles instead of prices.",
            defect="close only",
        )
    else:
        why = "A bar is its open time, open, high, low and close; without the range there is no telling how it moved."
        close = {name: difflib.get_close_matches(name, names, n=1, cutoff=0.6) for name in missing}
        hints = [f"{guess[0]!r} for {name}?" for name, guess in close.items() if guess]
        do = " ".join(["Name the columns time, open, high, low, close, volume.", *(f"Is it {hint}" for hint in hints)])
    raise DataError(found, why, do)


def _demand_one_series(table: pl.DataFrame) -> None:
    for name in table.columns:
        if plain(name) in _SERIES_NAMES and table[name].n_unique() > 1:
            several = table[name].unique(maintain_order=True).head(3).to_list()
            raise DataError(
                f"The column {name!r} names several series: {', '.join(map(str, several))} ...",
                "Candles are of one feed; bars of two would be taken for repeats of one another.",
                "Keep the rows of one of them.",
                defect="several series",
            )


def _numbers(column: pl.Series, place: Place) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float64)
    if column.dtype != pl.String:
        raise DataError(
            f"The column {column.name!r} holds {column.dtype}.", "A price is a number.", "Write it as a number."
        )
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() == column.null_count():
        return numbers
    text = column.str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & column.is_not_null() & ~text.str.to_lowercase().is_in(_MISSING)).arg_true()
    if len(bad):
        raise DataError(
            f"In {place(bad[0])} the column {column.name!r} holds {column[bad[0]]!r}"
            f"{f' ({len(bad)} such values)' if len(bad) > 1 else ''}.",
            "That is not a number.",
            "Write it with digits and a decimal point, or leave it empty if the value is missing.",
        )
    return numbers


def times_of(column: pl.Series, blank: pl.Series, tz: str | None, place: Place, notes: list[Note]) -> pl.Series:
    """A column of times, of dates, of text or of seconds since 1970 as UTC times; null only where the row is `blank`.

    What was taken for granted is added to `notes`.

    Raises:
        DataError: a value is no time; the message names its place.
        RecipeError: `tz` is not the name of a zone.
    """
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        times, naive = column.dt.convert_time_zone("UTC"), False
    elif column.dtype in (pl.Datetime, pl.Date):
        times, naive = column.cast(pl.Datetime("us")), True
    elif column.dtype == pl.String:
        times, naive = _texts(column.str.strip_chars(), place, notes)
    else:
        times, naive = _epochs(column.cast(pl.Float64) if column.dtype.is_float() else column), False
    if naive:
        times = _localise(times, tz)
        notes.append(Note(f"The times in {column.name!r} carry no zone; they were read as {tz or 'UTC'}."))
    elif tz:
        notes.append(Note(f"The times in {column.name!r} say which instant they mean; {tz} was not needed."))
    bad = (times.is_null() & ~blank).arg_true()
    if len(bad):
        raise _no_time(column, bad[0], place)
    return times.cast(pl.Datetime("us", "UTC")).alias("time")


def _no_time(column: pl.Series, row: int, place: Place) -> DataError:
    return DataError(
        f"In {place(row)} the time {column[row]!r} in {column.name!r} could not be read.",
        "A bar without a sure time cannot be laid beside others.",
        "Write times like 2020-01-31T13:00:00Z, all in one way, or as seconds or milliseconds since 1970.",
    )


def _localise(times: pl.Series, tz: str | None) -> pl.Series:
    try:
        local = times.dt.replace_time_zone(tz or "UTC", ambiguous="null", non_existent="null")
    except pl.exceptions.ComputeError:
        raise RecipeError(
            f"The time zone {tz!r} is not known.",
            "The times in the file could be any instant.",
            "Name it as the IANA database does, for example Europe/Berlin or UTC.",
        ) from None
    return local.dt.convert_time_zone("UTC")


def _epochs(numbers: pl.Series) -> pl.Series:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size, value by value (some archives
    change their unit along the way); or whole numbers that read as dates, 20200131.
    """
    if numbers.is_between(1970_01_01, 2100_12_31).all():
        return numbers.cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d", strict=False).cast(pl.Datetime("us", "UTC"))
    n = pl.col("n")
    scaled = (
        pl.when(n < 1e8)
        .then(None)
        .when(n < 1e11)
        .then(n * 1_000_000)
        .when(n < 1e14)
        .then(n * 1_000)
        .when(n < 1e17)
        .then(n)
        .otherwise(n / 1_000)
    )
    return numbers.to_frame("n").select(scaled.cast(pl.Int64, strict=False)).to_series().cast(pl.Datetime("us", "UTC"))


def _texts(text: pl.Series, place: Place, notes: list[Note]) -> tuple[pl.Series, bool]:
    """Times from text, and whether they are naive."""
    given = text.drop_nulls()
    if given.is_empty():
        return text.cast(pl.Null).cast(pl.Datetime("us")), True
    if given.cast(pl.Float64, strict=False).null_count() == 0:
        whole = text.cast(pl.Int64, strict=False)
        return _epochs(whole if whole.null_count() == text.null_count() else text.cast(pl.Float64)), False
    offsets = _offsets(text, place, notes)
    bare = text if offsets is None else text.str.replace(_ZONE, "${1}")
    if given[0].endswith(("AM", "PM")):
        bare = bare.str.replace(r" (\d+)-([AP]M)$", " $1:00-$2")
    bare = _year_first(bare, place, notes)
    times = _parse(bare, given=bare.drop_nulls()[0])
    if offsets is None:
        return times, True
    return (times - (offsets * 60_000_000).cast(pl.Duration("us"))).dt.replace_time_zone("UTC"), False


def _offsets(text: pl.Series, place: Place, notes: list[Note]) -> pl.Series | None:
    """Minutes east of UTC that each time carries; None if they carry no zone."""
    zones = text.str.extract(_ZONE, 2)
    if zones.null_count() == len(zones):
        return None
    naive = (zones.is_null() & text.is_not_null()).arg_true()
    if len(naive):
        zoned = zones.is_not_null().arg_true()[0]
        raise DataError(
            f"Some times carry a zone and some do not: {text[zoned]!r} in {place(zoned)}, {text[naive[0]]!r} in"
            f" {place(naive[0])}.",
            "Nobody can say which instants the others mean.",
            "Write all times in UTC.",
        )
    spelled = zones.drop_nulls().value_counts(sort=True)
    minutes = {zone: _minutes(zone) for zone in spelled[zones.name]}
    offsets = zones.replace_strict(minutes, return_dtype=pl.Int64)
    counted = dict(offsets.drop_nulls().value_counts(sort=True).iter_rows())
    if set(counted) != {0}:
        notes.append(Note(f"The times in {text.name!r} are not in UTC; they were brought there.", "local time"))
    if len(counted) > 1:
        says = ", ".join(f"{_spell(offset)} on {count:,} rows" for offset, count in counted.items())
        notes.append(Note(f"Their offset changes, {says}; each names its own instant.", "clock change"))
    return offsets


def _minutes(zone: str) -> int:
    digits = re.sub(r"\D", "", zone).ljust(4, "0")
    return (-1 if zone.startswith("-") else 1) * (int(digits[:2]) * 60 + int(digits[2:]))


def _spell(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _year_first(text: pl.Series, place: Place, notes: list[Note]) -> pl.Series:
    """`31-01-2020` and `01/31/2020` as `2020-01-31`: which number is the day, the file must show."""
    if not text.str.contains(_YEAR_LAST).all():
        return text
    first, second = (text.str.extract(_YEAR_LAST, part).cast(pl.Int64) for part in (1, 2))
    day_first, month_first = first.gt(12).any(), second.gt(12).any()
    if day_first and month_first:
        return text
    if not day_first and not month_first:
        row = text.is_not_null().arg_true()[0]
        raise DataError(
            f"In {place(row)} the time {text[row]!r} in {text.name!r} could be in one month or another: no day of the"
            " file is beyond the 12th.",
            "Read the wrong way round, bars would be months away from where they belong.",
            "Write times like 2020-01-31.",
            defect="day first",
        )
    order, defect = ("day, month, year", "day first") if day_first else ("month, day, year", "month first")
    notes.append(Note(f"The dates in {text.name!r} are written {order}; some days are beyond the 12th.", defect))
    return text.str.replace(_YEAR_LAST, "${3}-${2}-${1}" if day_first else "${3}-${1}-${2}")


def _parse(text: pl.Series, given: str) -> pl.Series:
    """Naive times, all written like `given`; null where one is not."""
    sample = pl.Series([given])
    for date in _DATES:
        if sample.str.to_date(date, strict=False).null_count() == 0:
            return text.str.to_date(date, strict=False).cast(pl.Datetime("us"))
        for clock in _CLOCKS:
            if sample.str.to_datetime(date + clock, strict=False).null_count() == 0:
                return _instants(text, date + clock)
    return pl.Series(text.name, [None], pl.Datetime("us")).new_from_index(0, len(text))


def _instants(text: pl.Series, pattern: str) -> pl.Series:
    """Times in one pattern; where some have other decimals than the first, all with any number of them."""
    times = text.str.to_datetime(pattern, time_unit="us", strict=False, cache=False)
    loose = re.sub(r"%S.*$", "%S%.f", pattern)
    if times.null_count() == text.null_count() or loose == pattern:
        return times
    return text.str.to_datetime(loose, time_unit="us", strict=False, cache=False)
