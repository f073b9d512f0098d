"""fetch, check, replay and store as a person meets them, against a real exchange on loopback."""

import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.made import HOURLY, candles_of, walk
from tests.test_cli import coincast

from coincast.candles import Candles
from coincast.clean import clean
from coincast.cli.options import day
from coincast.exchanges.faults import Faults
from coincast.exchanges.replay import Replay, serve
from coincast.feed import Feed
from coincast.files import read
from coincast.records import Records
from coincast.store import Store
from coincast.worlds import Law, draw

FEED = "binance:BTC/USDT:1h"
BARS = 400
DRAWN = draw(Law(volatility=0.01), BARS, 3, FEED).candles.frame
CANDLES = Candles(HOURLY, DRAWN.with_columns(candles_of(walk(BARS, seed=3), feed=HOURLY).frame["time"]))


@pytest.fixture(scope="module")
def port():
    # The clock stands still at the end: whoever asks twice hears the same.
    with serve(Replay([CANDLES], start=CANDLES.end, speed=0)) as port:
        yield port


@pytest.fixture
def kept(port, tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "kept"
    assert coincast(monkeypatch, "fetch", FEED, "--replay", str(port), "--store", str(folder)) == 0
    return folder


def test_what_was_fetched_is_what_the_exchange_has(kept):
    records = Store(kept).read(Feed.parse(FEED))
    assert records.rows().frame.equals(CANDLES.frame.select(records.rows().frame.columns))


def test_fetching_again_brings_nothing_and_says_so(port, kept, monkeypatch, capsys):
    capsys.readouterr()
    assert coincast(monkeypatch, "fetch", FEED, "--replay", str(port), "--store", str(kept), "--json") == 0
    [told] = json.loads(capsys.readouterr().out)
    assert (told["feed"], told["new"], told["missing"], told["rows"]) == (FEED, 0, 0, BARS)


def test_the_store_is_listed_and_found_whole(kept, monkeypatch, capsys):
    capsys.readouterr()
    assert coincast(monkeypatch, "store", "ls", "--store", str(kept), "--json") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["feed"], row["rows"]) == (FEED, BARS)
    assert coincast(monkeypatch, "store", "verify", "--store", str(kept)) == 0
    assert "whole" in capsys.readouterr().out


def test_a_changed_byte_is_found_and_the_answer_is_no(kept, monkeypatch, capsys):
    [segment] = kept.rglob("*.parquet")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    capsys.readouterr()
    assert coincast(monkeypatch, "store", "verify", "--store", str(kept), "--json") == 1
    [sentence] = json.loads(capsys.readouterr().out)[FEED]
    assert segment.name in sentence


@pytest.mark.parametrize("form", ["csv", "parquet", "freqtrade", "ccxt"])
def test_out_to_a_file_and_in_again_is_the_same(form, kept, tmp_path, monkeypatch):
    file, other = tmp_path / "bars", tmp_path / "other"
    assert coincast(monkeypatch, "store", "export", FEED, str(file), "--format", form, "--store", str(kept)) == 0
    assert coincast(monkeypatch, "store", "import", str(file), FEED, "--store", str(other)) == 0
    ours, theirs = (Store(folder).read(Feed.parse(FEED)) for folder in (kept, other))
    assert ours.digest == theirs.digest


def test_a_run_can_be_run_again_on_the_bars_it_saw(port, kept, tmp_path, monkeypatch):
    command = ["backtest", "--models", "naive", "--processes", "1", "--store", str(kept)]
    assert coincast(monkeypatch, *command, "--feed", FEED, "--out", str(tmp_path / "first")) == 0
    first = json.loads((tmp_path / "first" / "report.json").read_text())
    assert re.fullmatch(re.escape(FEED) + "@1#[0-9a-f]{12}", first["source"])
    corrected = tmp_path / "corrected.csv"
    frame = CANDLES.frame.tail(50).with_columns(pl.col("open", "high", "low", "close") * 1.01)
    frame.drop("observed").with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(corrected)
    correct = ["store", "import", str(corrected), FEED, "--store", str(kept)]
    assert coincast(monkeypatch, *correct, "--replace") == 0
    for asked, same in ((FEED, False), (first["source"], True)):
        out = tmp_path / asked.replace("/", "")
        assert coincast(monkeypatch, *command, "--feed", asked, "--out", str(out)) == 0
        assert (json.loads((out / "report.json").read_text())["digest"] == first["digest"]) is same


def test_an_import_leaves_what_is_stored_alone_unless_told_otherwise(kept, tmp_path, monkeypatch):
    other = tmp_path / "other.csv"
    frame = CANDLES.frame.tail(50).with_columns(pl.col("open", "high", "low", "close") * 1.01)
    frame.drop("observed").with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(other)
    before = Store(kept).read(Feed.parse(FEED)).digest
    assert coincast(monkeypatch, "store", "import", str(other), FEED, "--store", str(kept)) == 0
    assert Store(kept).read(Feed.parse(FEED)).digest == before
    assert coincast(monkeypatch, "store", "import", str(other), FEED, "--replace", "--store", str(kept)) == 0
    assert Store(kept).read(Feed.parse(FEED)).latest["revision"].sum() == 50


def test_what_was_in_hand_then_is_not_what_is_known_now(kept, monkeypatch, capsys):
    [seen_at] = Store(kept).read(Feed.parse(FEED)).frame["seen_at"].unique()
    early = f"{seen_at - timedelta(minutes=1):%Y-%m-%dT%H:%MZ}"
    late = f"{seen_at + timedelta(minutes=1):%Y-%m-%dT%H:%MZ}"
    capsys.readouterr()
    assert coincast(monkeypatch, "check", "--feed", f"{FEED}@{late}", "--store", str(kept), "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == BARS
    assert coincast(monkeypatch, "check", "--feed", f"{FEED}@{early}", "--store", str(kept)) == 2
    assert coincast(monkeypatch, "check", "--feed", f"{FEED}@1#000000000000", "--store", str(kept)) == 2
    assert "made anew" in capsys.readouterr().err


@pytest.mark.parametrize("when", ["x", "²", "2"])
def test_a_snapshot_that_is_none(when, kept, monkeypatch, capsys):
    assert coincast(monkeypatch, "run", "--feed", f"{FEED}@{when}", "--store", str(kept)) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_of_another_interval_is_not_imported(kept, tmp_path, monkeypatch, capsys):
    file = tmp_path / "daily.csv"
    candles_of(walk(400, seed=5)).frame.drop("observed").with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(
        file
    )
    assert coincast(monkeypatch, "store", "import", str(file), FEED, "--store", str(kept)) == 2
    assert "1d apart" in capsys.readouterr().err


def test_a_bar_that_has_not_closed_is_not_used(tmp_path, monkeypatch, capsys):
    """A file written today holds today's bar, and today is not over."""
    frame = candles_of(walk(400, seed=5)).frame.drop("observed")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    times = [today - (len(frame) - 1 - row) * timedelta(days=1) for row in range(len(frame))]
    file = tmp_path / "today.csv"
    frame.with_columns(time=pl.Series([f"{time:%Y-%m-%d}" for time in times])).write_csv(file)
    assert coincast(monkeypatch, "check", "--csv", str(file), "--json") in {0, 1}
    assert "unclosed" in {one["defect"] for one in json.loads(capsys.readouterr().out)["findings"]}
    out = tmp_path / "out"
    run = ["backtest", "--models", "naive", "--processes", "1", "--symbol", "A/B", "--out", str(out)]
    assert coincast(monkeypatch, *run, "--csv", str(file)) == 0
    assert json.loads((out / "report.json").read_text())["span"]["end"] == today.isoformat()


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("2017", datetime(2017, 1, 1, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC)),
        ("2017-12", datetime(2017, 12, 1, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC)),
        ("2017-02", datetime(2017, 2, 1, tzinfo=UTC), datetime(2017, 3, 1, tzinfo=UTC)),
        ("2017-01-31", datetime(2017, 1, 31, tzinfo=UTC), datetime(2017, 2, 1, tzinfo=UTC)),
        ("2017-01-31T12:00", datetime(2017, 1, 31, 12, tzinfo=UTC), datetime(2017, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_year_a_month_and_a_day_end_where_they_end(text, first, end):
    assert (day(text), day(text, last=True)) == (first, end)


def test_the_candles_of_a_run_say_who_told_them_and_when(kept, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = ["backtest", "--models", "naive", "--processes", "1", "--store", str(kept), "--feed", FEED]
    assert coincast(monkeypatch, *command, "--out", str(out)) == 0
    frame = pl.read_parquet(out / "candles.parquet")
    assert frame["source"].unique().to_list() == ["binance"]
    assert (frame["seen_at"] >= frame["time"] + HOURLY.interval.delta).all()


def test_a_second_venue_lends_what_is_missing(port, tmp_path, monkeypatch, capsys):
    holed = tmp_path / "holed.csv"
    frame = CANDLES.frame.drop("observed").with_columns(pl.col("time").dt.strftime("%FT%TZ"))
    frame.filter(~pl.int_range(pl.len()).is_between(100, 104)).write_csv(holed)
    store = ["--store", str(tmp_path / "kept")]
    assert coincast(monkeypatch, "store", "import", str(holed), FEED, *store) == 0
    assert coincast(monkeypatch, "fetch", "kraken:BTC/USDT:1h", "--replay", str(port), *store) == 0
    assert coincast(monkeypatch, "store", "repair", FEED, "--from", "kraken:BTC/USDT:1h", *store) == 0
    assert "5 bars lent" in capsys.readouterr().out.splitlines()[-1]
    assert coincast(monkeypatch, "store", "export", FEED, str(tmp_path / "own.csv"), *store) == 0
    assert "5 lent ones are left out" in capsys.readouterr().out
    assert len(read(tmp_path / "own.csv")) == BARS - 5
    assert coincast(monkeypatch, "check", "--feed", FEED, *store, "--json") == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["bars"] for one in findings if one["defect"] == "gap"] == [5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch"], "--list"),
        (["fetch", "binance:NO/SUCH:1h", "--replay", "PORT"], "NO/SUCH"),
        (["fetch", "bitstamp:BTC/USD:1h", "--replay", "PORT"], "bitstamp"),
        (["fetch", "binance:BTC/USDT:7h", "--replay", "PORT"], "7h"),
        (["fetch", "google_trends"], "leaks"),
        (["fetch", "fear_gred"], "fear_greed"),
        (["run", "--feed", FEED], "coincast fetch"),
        (["fetch", FEED, "--replay", "1"], "No replay listens"),
        (["fetch", FEED, "--replay", "PORT", "--speed", "nan"], "--speed"),
        (["fetch", FEED, "--since", "2019-03-05", "--until", "2019-03-01"], "not before"),
        (["check", "--sample", "btc-1d", "--since", "2099"], "No bar lies"),
        (["store", "verify", FEED], "coincast fetch"),
        (["check", "--outside", "vix"], "--outside"),
        (["run", "--feed", FEED, "--sample", "btc-1d"], "Both"),
        (["store", "export", FEED, "x", "--format", "xls"], "freqtrade"),
        (["store", "import", "missing.csv", FEED], "missing.csv"),
        (["replay", "--fault", "fire=0.1"], "fire"),
        (["replay", "--port", "PORT"], "--port"),
    ],
)
def test_what_cannot_be_done_is_said_in_three_sentences(arguments, words, port, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COINCAST_STORE", str(tmp_path / "kept"))
    assert coincast(monkeypatch, *(str(port) if a == "PORT" else a for a in arguments)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 3


def test_what_can_be_fetched_is_listed_with_lag_and_licence(monkeypatch, capsys):
    assert coincast(monkeypatch, "fetch", "--list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {"binance", "kraken", "coinbase", "bybit", "okx", "bitstamp"} <= {
        one["exchange"] for one in told["exchanges"]
    }
    assert all(one["lag_hours"] >= 0 and one["licence"] for one in told["outside"])
    assert "google_trends" in told["refused"]


def test_following_is_stopped_by_ctrl_c_and_has_stored_each_bar(tmp_path):
    replay = Replay([CANDLES], start=CANDLES.start + 100 * HOURLY.interval.delta, speed=36_000, faults=Faults())
    with serve(replay) as port:
        command = [
            sys.executable,
            "-c",
            "from coincast.cli import main; main()",
            "fetch",
            FEED,
            "--follow",
            "--replay",
            str(port),
        ]
        command += ["--speed", "36000", "--store", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            store, feed = Store(tmp_path), Feed.parse(FEED)
            deadline = time.monotonic() + 60
            while store.snapshot(feed).number < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "goes on from there" in said
    held = store.read(feed).latest
    assert held.height > 100
    assert np.array_equal(held["close"], CANDLES.close[: held.height])


def bars_on_a_line(rows: int = 300) -> pl.DataFrame:
    """An outage that somebody filled with a ruler."""
    rng = np.random.default_rng(1)
    frame = (
        candles_of(walk(rows, seed=2))
        .frame.drop("observed")
        .with_columns(
            pl.col("close").shift(1).fill_null(pl.col("close")).alias("open"),
            volume=pl.Series(rng.lognormal(5, 1, rows)),
        )
    )
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    frame = frame.with_columns(high=top * 1.01, low=bottom * 0.99)
    lost = pl.int_range(pl.len()).is_between(120, 131)
    return frame.with_columns(pl.when(~lost).then(pl.exclude("time")).name.keep()).interpolate()


def test_invented_bars_are_named_warned_of_and_left_out_of_the_copy(tmp_path, monkeypatch, capsys):
    file, better, page = tmp_path / "line.csv", tmp_path / "better.csv", tmp_path / "check.html"
    bars_on_a_line().with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(file)
    arguments = ["check", "--csv", str(file), "--fix", str(better), "--html", str(page), "--json"]
    assert coincast(monkeypatch, *arguments) == 0
    told = json.loads(capsys.readouterr().out)
    [line] = [one for one in told["findings"] if one["defect"] == "straight line"]
    assert (line["bars"], told["grade"]) == (12, "D")
    assert "straight line" in page.read_text()
    assert clean(read(better), Feed.parse("x:A/B:1d")).repairs.tally["gap"] == 12
    backtest = ["backtest", "--models", "naive", "--processes", "1", "--symbol", "A/B", "--out", str(tmp_path / "out")]
    assert coincast(monkeypatch, *backtest, "--csv", str(file)) == 0
    assert "straight line" in capsys.readouterr().err


def test_a_second_series_shows_a_label_one_bar_late(tmp_path, monkeypatch, capsys):
    late, better = tmp_path / "late.csv", tmp_path / "better.csv"
    frame = bars_on_a_line().with_columns(pl.col("time").dt.offset_by("1d"))
    frame.with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(late)
    right = tmp_path / "right.csv"
    bars_on_a_line().with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(right)
    assert (
        coincast(monkeypatch, "check", "--csv", str(late), "--against", str(right), "--fix", str(better), "--json") == 1
    )
    assert "label late" in {one["defect"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert read(better).frame["time"][0] == read(right).frame["time"][0]


def test_a_corrected_copy_never_replaces_its_original(tmp_path, monkeypatch, capsys):
    file = tmp_path / "line.csv"
    bars_on_a_line().with_columns(pl.col("time").dt.strftime("%FT%TZ")).write_csv(file)
    before = file.read_bytes()
    assert coincast(monkeypatch, "check", "--csv", str(file), "--fix", str(file)) == 2
    assert file.read_bytes() == before


def test_a_bad_tick_in_the_store_is_named(tmp_path, monkeypatch, capsys):
    wick = CANDLES.frame.with_columns(
        high=pl.when(pl.int_range(pl.len()) == 200).then(pl.col("high") * 50).otherwise("high")
    )
    store, feed = Store(tmp_path), Feed.parse(FEED)
    with store.writer(feed) as writer:
        writer.append(Records.of_candles(Candles(feed, wick), CANDLES.end, "binance"))
    assert coincast(monkeypatch, "check", "--feed", FEED, "--store", str(tmp_path), "--json") == 0
    assert "bad tick" in {one["defect"] for one in json.loads(capsys.readouterr().out)["findings"]}


def test_a_file_that_is_no_table_is_graded_and_one_that_is_not_there_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "prices.csv").write_text("time,close\n2020-01-01,1\n2020-01-02,2\n")
    assert coincast(monkeypatch, "check", "--csv", str(tmp_path / "prices.csv")) == 1
    assert "close only" in capsys.readouterr().out
    assert coincast(monkeypatch, "check", "--csv", str(tmp_path / "missing.csv")) == 2
