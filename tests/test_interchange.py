"""Candles that went to another tool and came back are the same; the other tools here are pandas and pyarrow."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.errors import DataError, RecipeError
from coincast.feed import Feed
from coincast.interchange import (
    FORMATS,
    freqtrade_path,
    from_ccxt,
    from_freqtrade,
    from_nixtla,
    read,
    to_ccxt,
    to_csv,
    to_freqtrade,
    to_nixtla,
    to_parquet,
)
from coincast.rows import COLUMNS, Rows

FEED = Feed.parse("binance:BTC/USDT:1h")
START = datetime(2024, 2, 28, 22, tzinfo=UTC)
NUMBERS = COLUMNS[1:]
SCHEMA = {"time": pl.Datetime("us", "UTC"), **dict.fromkeys(NUMBERS, pl.Float64)}


def rows_of(bars: list[tuple]) -> Rows:
    return Rows(pl.DataFrame(bars, schema=SCHEMA, orient="row"))


ROWS = rows_of([(START + timedelta(hours=h), 61_234.5, 61_300.1 + h, 0.1 + 0.2, 61_200.0, 1e-8 * h) for h in (0, 1, 3)])
prices = st.floats(1e-12, 1e12)
some_rows = st.lists(
    st.tuples(st.integers(0, 10**6), prices, prices, prices, prices, prices), min_size=1, max_size=9
).map(lambda bars: rows_of([(START + timedelta(minutes=minute), *values) for minute, *values in bars]))


@pytest.mark.parametrize("name", FORMATS)
@given(rows=some_rows)
def test_what_is_exported_reads_back_to_the_last_bit(name, rows, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / f"candles{FORMATS[name].suffix}"
    file.write_bytes(FORMATS[name].encode(FEED, rows))
    again = read(file)
    assert again.frame.equals(rows.frame.sort("time", maintain_order=True) if name == "nixtla" else rows.frame)
    zone = ["The times in 'ds' carry no zone; they were read as UTC."] if name == "nixtla" else []
    assert [note.says for note in again.notes] == zone


def pandas_of(rows: Rows, time: str) -> pd.DataFrame:
    """By plain numbers: no reader or writer of ours in between."""
    stamps = pd.to_datetime([t.timestamp() for t in rows.frame["time"]], unit="s", utc=True)
    return pd.DataFrame({time: stamps.as_unit("ms")} | {name: rows.frame[name].to_list() for name in NUMBERS})


def test_pandas_reads_what_freqtrade_would(tmp_path):
    file = tmp_path / "BTC_USDT-1h.feather"
    file.write_bytes(to_freqtrade(ROWS))
    pd.testing.assert_frame_equal(pd.read_feather(file), pandas_of(ROWS, "date"))
    assert pa.feather.read_table(file).schema.field("date").type == pa.timestamp("ms", tz="UTC")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_what_freqtrade_wrote_is_read(unit, tmp_path):
    file = tmp_path / "binance" / "BTC_USDT-1h.feather"
    file.parent.mkdir()
    frame = pandas_of(ROWS, "date")
    frame["date"] = frame["date"].dt.as_unit(unit)
    # As its feather handler does.
    frame.reset_index(drop=True).to_feather(file, compression_level=9, compression="lz4")
    feed, rows = from_freqtrade(file)
    assert feed == FEED
    assert rows.frame.equals(ROWS.frame)


@pytest.mark.parametrize(
    ("feed", "path"),
    [
        ("binance:BTC/USDT:1h", "binance/BTC_USDT-1h.feather"),
        ("kraken:XRP/EUR:5m", "kraken/XRP_EUR-5m.feather"),
        ("okx:XRP/USDT:USDT:1h", "okx/futures/XRP_USDT_USDT-1h-futures.feather"),
        ("gate:BTC/USD:BTC-240329:1d", "gate/futures/BTC_USD_BTC-240329-1d-futures.feather"),
    ],
)
def test_names_are_freqtrades(feed, path, tmp_path):
    assert freqtrade_path(Feed.parse(feed)).as_posix() == path
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(to_freqtrade(ROWS))
    assert from_freqtrade(tmp_path / path)[0] == Feed.parse(feed)
    assert from_freqtrade(tmp_path / path, "bybit")[0].exchange == "bybit"


@pytest.mark.parametrize(
    "name", ["BTCUSDT-1h.feather", "BTC_USDT-1h.csv", "BTC_USDT_USDT-1h-mark.feather", "BTC_USDT-trades.feather"]
)
def test_a_name_that_is_not_freqtrades_is_refused(name, tmp_path):
    (tmp_path / name).write_bytes(to_freqtrade(ROWS))
    with pytest.raises(RecipeError, match=r"BTC_USDT-1h\.feather"):
        from_freqtrade(tmp_path / name)
    with pytest.raises(RecipeError, match="interval"):
        from_freqtrade(tmp_path / "BTC_USDT-7h.feather")


def test_a_feather_file_that_is_cut_off_is_said(tmp_path):
    whole = to_freqtrade(ROWS)
    for length in (6, 20, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.feather").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.feather is not a whole feather file"):
            read(tmp_path / "cut.feather")


def test_ccxts_rows_are_plain_json():
    listed = json.loads(to_ccxt(ROWS))
    assert listed == [[int(t.timestamp() * 1000), *numbers] for t, *numbers in ROWS.frame.iter_rows()]
    assert all(isinstance(row[0], int) for row in listed)
    assert from_ccxt(b"[[1709157600000, 1, 2, 1, 2, null]]").frame.row(0) == (START, 1, 2, 1, 2, None)


def test_what_is_no_number_becomes_null_in_json():
    rows = rows_of([(START, 1.0, float("inf"), None, float("nan"), 0.0)])
    assert json.loads(to_ccxt(rows)) == [[1709157600000, 1.0, None, None, None, 0.0]]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"[", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff", "is not JSON"),
        (b'{"a": 1}', "holds {'a': 1}"),
        (b"7", "holds 7"),
        (b"[7]", "Row 0 of the list is 7"),
        (b"[[1709157600000, 1, 2, 1, 2, 5], [1]]", r"Row 1 of the list is \[1\]"),
        (b'[[1709157600000, "1", 2, 1, 2, 5]]', "Row 0"),
        (b"[[1709157600000, true, 2, 1, 2, 5]]", "Row 0"),
        (b"[[1709157600000, 1" + b"0" * 400 + b", 2, 1, 2, 5]]", "Row 0"),
        (b"[[null, 1, 2, 1, 2, 5]]", "row 0 of the list the time None"),
        (b"[[5, 1, 2, 1, 2, 5]]", "row 0 of the list the time 5"),
        (b"[]", "not a single row"),
    ],
)
def test_what_is_no_list_of_candles_is_said(content, found):
    with pytest.raises(DataError, match=found):
        from_ccxt(content)


def test_a_nixtla_frame_is_what_pandas_would_make(tmp_path):
    long = to_nixtla({"b": ROWS, "a": ROWS})
    bars = pandas_of(ROWS, "ds").rename(columns={"close": "y"})
    bars["ds"] = bars["ds"].dt.tz_localize(None).dt.as_unit("us")
    expected = pd.concat([bars.assign(unique_id="a"), bars.assign(unique_id="b")], ignore_index=True)
    found = long.to_pandas()
    columns = ["unique_id", "ds", "y", "open", "high", "low", "volume"]
    pd.testing.assert_frame_equal(found, expected[columns], check_dtype=False)
    assert found["ds"].dtype == np.dtype("datetime64[us]")
    for form in (long, found, pa.table(found), found[::-1].set_index("ds").reset_index()):
        again = from_nixtla(form)
        assert set(again) == {"a", "b"}
        for rows in again.values():
            assert rows.frame.sort("time").equals(ROWS.frame)


def test_a_nixtla_export_is_a_parquet_file_of_one_series(tmp_path):
    (tmp_path / "long.parquet").write_bytes(FORMATS["nixtla"].encode(FEED, ROWS))
    [(name, rows)] = from_nixtla(pd.read_parquet(tmp_path / "long.parquet")).items()
    assert name == "binance:BTC/USDT:1h"
    assert rows.frame.equals(ROWS.frame)


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_long_frame_of_one_series_is_read_as_pandas_writes_it(packed, tmp_path):
    long = to_nixtla({"BTC": ROWS}).to_pandas()
    (tmp_path / "long.csv").write_bytes(packed(long.to_csv(index=False).encode()))
    long.to_parquet(tmp_path / "long.parquet")
    for file in ("long.csv", "long.parquet"):
        assert read(tmp_path / file).frame.equals(ROWS.frame)


def test_a_long_frame_of_several_series_is_refused_with_their_names(tmp_path):
    to_nixtla({"BTC": ROWS, "ETH": ROWS}).write_csv(tmp_path / "long.csv")
    to_nixtla({f"coin {n}": ROWS for n in range(9)}).write_parquet(tmp_path / "long.parquet")
    with pytest.raises(DataError, match=r"long\.csv holds 2 series: BTC, ETH\."):
        read(tmp_path / "long.csv")
    with pytest.raises(DataError, match=r"holds 9 series: coin 0, .*, coin 4 and 4 more\."):
        read(tmp_path / "long.parquet")


def test_a_long_file_of_closes_alone_is_refused(tmp_path):
    to_nixtla({"BTC": ROWS}).select("unique_id", "ds", "y").write_csv(tmp_path / "long.csv")
    with pytest.raises(DataError, match="open, high, low"):
        read(tmp_path / "long.csv")


def test_a_long_frame_of_no_series_is_refused(tmp_path):
    (tmp_path / "long.csv").write_text("unique_id,ds,y,open,high,low,volume\n")
    with pytest.raises(DataError, match=r"long\.csv .* holds no bar"):
        read(tmp_path / "long.csv")


def test_a_torn_long_frame_is_said(tmp_path):
    whole = FORMATS["nixtla"].encode(FEED, ROWS)
    for length in (4, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.parquet").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.parquet is not a whole Parquet file"):
            read(tmp_path / "cut.parquet")
    (tmp_path / "cut.csv").write_text("unique_id,ds,y,open,high,low\na,2024-01-01,1,1,1,1,7,7\n")
    with pytest.raises(DataError, match=r"cut\.csv is not a whole long frame: "):
        read(tmp_path / "cut.csv")


def test_a_value_that_is_not_the_price_is_kept_out_of_the_close():
    long = to_nixtla({"a": ROWS}).with_columns(close=pl.col("y"), y=0.001)
    assert from_nixtla(long)["a"].frame.equals(ROWS.frame)


@pytest.mark.parametrize(
    ("drop", "found"),
    [(["open", "high", "low"], "open, high, low"), (["low"], "low"), (["y"], "no column y"), (["ds"], "no column ds")],
)
def test_a_nixtla_frame_without_the_range_is_refused(drop, found):
    with pytest.raises(DataError, match=found):
        from_nixtla(to_nixtla({"a": ROWS}).drop(drop))


def test_pyarrow_reads_csv_and_parquet(tmp_path):
    (tmp_path / "a.csv").write_bytes(to_csv(ROWS))
    (tmp_path / "a.parquet").write_bytes(to_parquet(ROWS))
    for table in (pa.csv.read_csv(tmp_path / "a.csv"), pa.parquet.read_table(tmp_path / "a.parquet")):
        found = table.to_pandas()
        found["time"] = pd.to_datetime(found["time"], utc=True).dt.as_unit("ms")
        pd.testing.assert_frame_equal(found, pandas_of(ROWS, "time"))
    assert to_csv(ROWS).splitlines()[1].startswith(b"2024-02-28T22:00:00Z,61234.5,61300.1,0.30000000000000004,")


def test_any_other_file_is_read_as_files_are(tmp_path):
    (tmp_path / "a.csv").write_text("Date;Open;High;Low;Close\n2024-02-28;1,0;2,0;0,5;1,5\n")
    assert read(tmp_path / "a.csv").frame["high"].to_list() == [2.0]
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path / "none.feather")
