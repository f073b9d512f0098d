"""Cleaning: every repair by hand, real crashes kept, real bad ticks gone, and no bar ever judged by a later one."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from coincast.candles import PRICES, SCHEMA
from coincast.clean import FACTOR, KINDS, WITNESS, Cleaned, clean, impossible, resample
from coincast.errors import DataError, RecipeError
from coincast.feed import Feed, Interval
from coincast.files import read
from coincast.rows import COLUMNS, Note, Rows, infer_interval
from made import DAILY, HOURLY, START, candles_of, walk

RAW = {name: SCHEMA[name] for name in COLUMNS}
DAY = timedelta(days=1)


def rows_of(bars: list[tuple], start: datetime = START) -> Rows:
    """Rows from (day, open, high, low, close, volume)."""
    timed = [(start + day * DAY, *values) for day, *values in bars]
    return Rows(pl.DataFrame(timed, schema=RAW, orient="row"))


def flat(day: float, price: float = 100.0, volume: float = 1.0) -> tuple:
    return (day, price, price, price, price, volume)


def cleaned(*bars: tuple) -> Cleaned:
    return clean(rows_of(list(bars)), DAILY)


def values(found: Cleaned) -> list[tuple]:
    return found.candles.frame.drop("time").rows()


def repairs(found: Cleaned) -> list[tuple]:
    """(day, kind, column, found, put) of each repair."""
    return [((time - START) / DAY, *rest) for time, *rest in found.repairs.frame.iter_rows()]


def market(seed: int = 0, bars: int = 120, scale: float = 0.03) -> pl.DataFrame:
    """Rows of a random market: each bar opens at the last close and has wicks on both sides."""
    close = walk(bars, seed, scale)
    opened = np.concatenate([close[:1], close[:-1]])
    wick = 1 + np.abs(np.random.default_rng(seed + 1).normal(0, scale / 3, (2, bars)))
    high, low = np.maximum(opened, close) * wick[0], np.minimum(opened, close) / wick[1]
    times = [START + row * DAY for row in range(bars)]
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": np.full(bars, 5.0)}
    return pl.DataFrame({"time": times, **columns}, schema=RAW)


def put(frame: pl.DataFrame, row: int, column: str, value: float | None) -> pl.DataFrame:
    changed = frame[column].to_list()
    changed[row] = value
    return frame.with_columns(pl.Series(column, changed, RAW[column]))


def test_good_rows_are_left_alone():
    frame = market()
    found = clean(Rows(frame, (Note("a note"),)), DAILY)
    assert found.candles.frame.select(COLUMNS).equals(frame)
    assert found.candles.observed.all()
    assert found.repairs.tally == {}
    assert found.repairs.sentences == ["a note"]


def test_order_and_repeats():
    found = cleaned(flat(1, 11.0), flat(0, 10.0), flat(1, 11.0), flat(2, 12.0))
    assert found.candles.close.tolist() == [10.0, 11.0, 12.0]
    assert repairs(found) == [(0.0, "reordered", None, None, None), (1.0, "duplicate", None, None, None)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_rows_for_one_bar_the_one_that_saw_more_is_kept(order):
    half, whole = flat(1, 10.5, volume=3.0), flat(1, 11.0, volume=8.0)
    pair = [(half, whole)[i] for i in order]
    found = cleaned(flat(0, 10.0), *pair, flat(2, 12.0))
    assert found.candles.close.tolist() == [10.0, 11.0, 12.0]
    assert repairs(found) == [(1.0, "conflict", "close", 10.5, 11.0)]


def test_of_two_rows_with_equal_volume_the_last_is_kept_and_a_usable_close_goes_first():
    assert cleaned(flat(0, 10.0), flat(1, 10.0), flat(1, 11.0)).candles.close[1] == 11.0
    assert cleaned(flat(0, 10.0), flat(1, 10.0), flat(1, np.nan, 99.0)).candles.close[1] == 10.0


def test_off_grid_rows_are_dropped():
    found = cleaned(*(flat(day) for day in range(6)), flat(2.5, 999.0))
    assert found.candles.close.tolist() == [100.0] * 6
    assert repairs(found) == [(2.5, "off grid", "close", 999.0, None)]


def test_rows_that_lie_off_the_grid_together_are_refused():
    with pytest.raises(DataError, match="4 of 4 bars do not open on the 1d grid in UTC, the first at 2019-01-01 09:00"):
        cleaned(*(flat(day + 9 / 24) for day in range(4)))
    with pytest.raises(DataError, match="do not open on the 1d grid"):
        clean(rows_of([flat(hour / 24) for hour in range(48)]), DAILY)


def test_a_hole_is_filled_with_marked_bars_at_the_last_close():
    found = cleaned((0, 10.0, 12.0, 9.0, 11.0, 4.0), (3, 20.0, 22.0, 19.0, 21.0, 4.0))
    missing = (11.0, 11.0, 11.0, 11.0, 0.0, False)
    assert values(found) == [
        (10.0, 12.0, 9.0, 11.0, 4.0, True),
        missing,
        missing,
        (20.0, 22.0, 19.0, 21.0, 4.0, True),
    ]
    assert repairs(found) == [(day, "gap", None, None, 11.0) for day in (1.0, 2.0)]


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf, 0.0, -5.0])
def test_a_bar_without_a_close_is_missing(bad):
    found = cleaned(flat(0, 10.0), (1, 10.0, 12.0, 9.0, bad, 4.0), flat(2, 11.0), (3, 1.0, 1.0, 1.0, bad, 1.0))
    assert values(found)[1] == (10.0, 10.0, 10.0, 10.0, 0.0, False)
    assert values(found)[3] == (11.0, 11.0, 11.0, 11.0, 0.0, False)
    kept = None if bad is None or np.isnan(bad) else bad
    assert repairs(found) == [
        (1.0, "missing close", "close", kept, 10.0),
        (3.0, "missing close", "close", kept, 11.0),
    ]


def test_a_gap_is_told_of_though_rows_before_the_first_close_were_dropped():
    found = cleaned((0, None, None, None, None, 1.0), flat(8), (10, None, None, None, None, 1.0))
    assert [(day, kind) for day, kind, *_ in repairs(found)] == [
        (0.0, "leading"),
        (9.0, "gap"),
        (10.0, "missing close"),
    ]


def test_rows_before_the_first_close_are_dropped():
    found = cleaned(flat(0, np.nan), flat(1, 0.0), flat(2, 10.0))
    assert found.candles.start == START + 2 * DAY
    assert [kind for _, kind, *_ in repairs(found)] == ["leading", "leading"]


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, 0.0, -5.0])
def test_missing_open_high_and_low_are_mended_and_the_bar_stays_observed(bad):
    found = cleaned(flat(0, 10.0), (1, bad, bad, bad, 11.0, 4.0))
    assert values(found)[1] == (10.0, 11.0, 10.0, 11.0, 4.0, True)
    assert [(kind, column, put) for _, kind, column, _, put in repairs(found)] == [
        ("missing price", "open", 10.0),
        ("missing price", "high", 11.0),
        ("missing price", "low", 10.0),
    ]


def test_the_first_bar_has_no_close_before_it():
    assert values(cleaned((0, None, None, None, 11.0, 4.0), flat(1)))[0] == (11.0, 11.0, 11.0, 11.0, 4.0, True)


def test_high_and_low_inside_the_body_are_moved_to_its_edge():
    found = cleaned((0, 10.0, 10.5, 10.6, 11.0, 4.0))
    assert values(found) == [(10.0, 11.0, 10.0, 11.0, 4.0, True)]
    assert repairs(found) == [
        (0.0, "outside range", "high", 10.5, 11.0),
        (0.0, "outside range", "low", 10.6, 10.0),
    ]


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -1.0])
def test_volumes_that_cannot_be_become_0(bad):
    found = cleaned(flat(0, 10.0), flat(1, 11.0, bad))
    assert values(found)[1][4:] == (0.0, True)
    assert repairs(found)[0][1:3] == ("no volume", "volume")


def test_zero_volume_is_counted_and_kept():
    found = cleaned(flat(0, 10.0), flat(1, 10.0, 0.0), flat(2, 11.0, 0.0))
    assert found.candles.observed.all()
    assert found.repairs.tally == {"zero volume": 1, "stale": 1}


def test_a_bar_that_has_not_closed_is_dropped():
    bars = rows_of([flat(0), flat(1), flat(2)])
    assert len(clean(bars, DAILY, now=START + 3 * DAY).candles) == 3
    running = clean(bars, DAILY, now=START + 3 * DAY - timedelta(microseconds=1))
    assert len(running.candles) == 2
    assert running.repairs.tally == {"unclosed": 1}
    with pytest.raises(DataError, match="No row is a closed bar"):
        clean(bars, DAILY, now=START)
    with pytest.raises(DataError, match="has no time zone"):
        clean(bars, DAILY, now=datetime(2020, 1, 1))


def test_what_cannot_be_cleaned_is_refused():
    with pytest.raises(DataError, match="None of the 2 bars has a positive, finite close"):
        cleaned(flat(0, np.nan), flat(1, -1.0))
    with pytest.raises(DataError, match="Nearly all candles would be missing"):
        cleaned(flat(-15_000), *(flat(day) for day in range(100)))


def test_every_kind_has_its_sentence_and_its_place_in_the_tally():
    frame = pl.concat([market(1), market(1).tail(1)])
    for row, column, value in ((40, "close", 1e9), (50, "high", 1e9), (60, "open", 1e9), (70, "high", 0.01)):
        frame = put(frame, row, column, value)
    found = clean(Rows(frame.filter(pl.int_range(pl.len()) != 80)), DAILY)
    assert set(found.repairs.tally) == {"duplicate", "bad close", "gap", "bad open", "outside range", "bad wick"}
    assert list(found.repairs.tally) == [kind for kind in KINDS if kind in found.repairs.tally]
    assert found.repairs.sentences[0] == f"duplicate: 1. {KINDS['duplicate']}"
    assert sum(found.repairs.tally.values()) == found.repairs.frame.height


# Bad ticks. The hand-made twins of the study data's cases come first, the files themselves after.


@pytest.mark.parametrize("factor", [10.0, 0.1, 100.0, 0.01, 1e4])
@pytest.mark.parametrize("row", [1, 10, 60, 119])
@pytest.mark.parametrize("whole_bar", [False, True])
def test_a_slipped_decimal_point_in_the_close_makes_the_bar_missing(factor, row, whole_bar):
    frame = market()
    for column in PRICES if whole_bar else ("close",):
        frame = put(frame, row, column, frame[column][row] * factor)
    found = clean(Rows(frame), DAILY)
    assert np.flatnonzero(~found.candles.observed).tolist() == [row]
    assert found.repairs.tally == {"bad close": 1}
    untouched = np.arange(len(frame)) != row
    assert found.candles.frame.select(COLUMNS).filter(untouched).equals(frame.filter(untouched))


@pytest.mark.parametrize(("column", "factor"), [("low", 1 / 19_552), ("low", 0.1), ("high", 10.0), ("high", 100.0)])
def test_a_slipped_decimal_point_in_a_wick_is_mended_and_the_bar_stays(column, factor):
    frame = market()
    found = clean(Rows(put(frame, 60, column, frame[column][60] * factor)), DAILY)
    bar = found.candles.frame.row(60, named=True)
    edge = min(bar["open"], bar["close"]) if column == "low" else max(bar["open"], bar["close"])
    assert bar[column] == edge
    assert bar["observed"]
    assert found.repairs.tally == {"bad wick": 1}


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_a_slipped_decimal_point_in_the_open_is_mended(factor):
    frame = market()
    found = clean(Rows(put(frame, 60, "open", frame["open"][60] * factor)), DAILY)
    assert found.candles.frame["open"][60] == frame["close"][59]
    assert found.candles.observed.all()


def test_a_crash_and_a_rally_as_large_as_the_real_ones_survive():
    # BTC closed at 0.6 of the day before on 2020-03-12, DOGE at 4.56 times on 2021-01-28; the thin market of 2011
    # traded at 5 times its close.
    close = walk(200, 3, scale=0.01)
    close[100:] *= 0.6
    close[150:] *= 4.56
    frame = market(bars=200).with_columns(
        close=close, open=close, high=pl.Series(close) * 1.02, low=pl.Series(close) / 1.02
    )
    found = clean(Rows(put(frame, 120, "high", frame["high"][120] * 4.9)), DAILY)
    assert found.repairs.tally == {}


@pytest.mark.parametrize("factor", [1000.0, 0.001, 8.0])
def test_a_new_level_is_believed_from_the_second_bar_on(factor):
    close = walk(100, 4, scale=0.01)
    close[60:] *= factor
    assert np.flatnonzero(impossible(close)).tolist() == [60]


def test_two_different_impossible_closes_are_both_marked():
    close = walk(100, 5, scale=0.01)
    close[60] *= 10
    close[61] *= 100
    assert np.flatnonzero(impossible(close)).tolist() == [60, 61]


def test_a_market_used_to_such_moves_is_left_alone():
    calm = np.exp(np.cumsum(np.tile([2.5, -2.5], 30)))
    assert impossible(calm)[40:].sum() == 0


@pytest.mark.parametrize(("before", "after", "mended"), [(1.01, 2.0, 1), (2.0, 1.01, 0)])
def test_a_wick_is_held_against_the_bars_before_it_only(before, after, mended):
    close = walk(200, 6, scale=0.01)
    wicks = np.where(np.arange(200) < 100, before, after)
    wicks[100] = 12.0
    frame = market(bars=200).with_columns(open=close, close=close, high=close * wicks, low=close)
    assert clean(Rows(frame), DAILY).repairs.tally.get("bad wick", 0) == mended


def slow_impossible(close: np.ndarray) -> np.ndarray:
    """`impossible`, bar by bar, as its documentation tells it."""
    marked = [False] * len(close)
    believed = None
    for bar in range(len(close)):
        if believed is None:
            believed = close[bar]
            continue
        past = [abs(np.log(close[i] / close[i - 1])) if i else 0.0 for i in range(max(0, bar - 256), bar)]
        usual = 1.4826 * float(np.median(past)) if len(past) >= 20 else 0.0
        move = abs(np.log(close[bar] / believed))
        same = abs(np.log(close[bar] / close[bar - 1])) <= np.log(WITNESS)
        marked[bar] = move > max(np.log(FACTOR), 10 * usual) and not (marked[bar - 1] and same)
        if not marked[bar]:
            believed = close[bar]
    return np.array(marked)


SPIKES = st.lists(st.tuples(st.integers(0, 79), st.sampled_from([0.01, 0.1, 7.0, 10.0, 12.0, 1e3])), max_size=12)


# A wild market moves so much that its own past, and not the factor alone, sets the limit.
CALM_OR_WILD = st.sampled_from([0.03, 0.12, 0.2, 0.6])


@given(st.integers(0, 1000), SPIKES, CALM_OR_WILD)
def test_marking_at_speed_equals_marking_bar_by_bar(seed, spikes, scale):
    close = walk(80, seed, scale)
    for bar, factor in spikes:
        close[bar] *= factor
    assert impossible(close).tolist() == slow_impossible(close).tolist()


PRICE = st.sampled_from([None, np.nan, np.inf, -1.0, 0.0, 0.5, 9.0, 10.0, 11.0, 12.0, 90.0, 100.0, 1000.0])
BAR = st.tuples(st.integers(0, 30), PRICE, PRICE, PRICE, PRICE, PRICE)
SANE = st.integers(0, 30).map(lambda day: flat(day, 10.0 + day % 3))
BARS = st.lists(BAR | SANE | SANE, min_size=2, max_size=50)


def usable(bars: list[tuple]) -> bool:
    return any(bar[4] is not None and np.isfinite(bar[4]) and bar[4] > 0 for bar in bars)


@settings(max_examples=80)
@given(BARS, st.integers(1, 31))
def test_cleaning_what_was_known_equals_what_was_known_of_the_cleaned(bars, known):
    """The honesty of the repairs: bars that come later change nothing, neither prices nor marks nor the tally."""
    whole = rows_of(bars)
    cut = whole.frame.filter(pl.col("time") + DAY <= START + known * DAY)
    assume((cut["close"].is_finite() & (cut["close"] > 0)).any())
    then, now = clean(Rows(cut), DAILY), clean(whole, DAILY)
    assert then.candles.frame.equals(now.candles.until(then.candles.end).frame)
    seen = pl.col("time") < then.candles.end
    assert _known(then).equals(_known(now).filter(seen))


PLANTED = st.lists(
    st.tuples(st.integers(0, 79), st.sampled_from(PRICES), st.sampled_from([0.1, 7.0, 10.0, 30.0])), max_size=12
)


@settings(max_examples=50)
@given(st.integers(0, 1000), PLANTED, CALM_OR_WILD, st.integers(25, 79))
def test_limits_learnt_from_the_past_are_not_learnt_from_the_future(seed, planted, scale, known):
    frame = market(seed, 80, scale)
    for row, column, factor in planted:
        frame = put(frame, row, column, frame[column][row] * factor)
    then, now = clean(Rows(frame.head(known)), DAILY), clean(Rows(frame), DAILY)
    assert then.candles.frame.equals(now.candles.frame.head(known))
    assert then.repairs.frame.equals(now.repairs.frame.filter(pl.col("time") < then.candles.end))


def _known(found: Cleaned) -> pl.DataFrame:
    # Which rows stood out of order is a statement on the file, not on a bar.
    return found.repairs.frame.filter(pl.col("kind") != "reordered")


@settings(max_examples=60)
@given(BARS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(bars, random):
    distinct = list({bar[0]: bar for bar in bars}.values())
    assume(usable(distinct))
    shuffled = random.sample(distinct, len(distinct))
    assert cleaned(*shuffled).candles.frame.equals(cleaned(*distinct).candles.frame)


@settings(max_examples=60)
@given(BARS)
def test_cleaning_twice_is_cleaning_once_and_changes_no_input(bars):
    rows = rows_of(bars)
    before = rows.frame.clone()
    assume(usable(bars))
    once = clean(rows, DAILY)
    assert rows.frame.equals(before)
    # A marked close is the witness of the one after it; without it that one would be marked in turn.
    assume("bad close" not in once.repairs.tally)
    kept = Rows(once.candles.frame.filter("observed").select(COLUMNS))
    last = once.candles.frame.filter("observed")["time"][-1]
    assert clean(kept, DAILY).candles.frame.equals(once.candles.frame.filter(pl.col("time") <= last))


# Resampling.


def slow_resample(candles, interval: Interval) -> list[tuple]:
    """Longer bars by a loop over times: (open time, open, high, low, close, volume, observed)."""
    parts = interval.delta // candles.feed.interval.delta
    bars = {row[0]: row for row in candles.frame.iter_rows()}
    found = []
    opened = interval.floor(candles.start)
    while opened + interval.delta <= candles.end:
        inside = [bars.get(opened + part * candles.feed.interval.delta) for part in range(parts)]
        if all(bar is not None and bar[6] for bar in inside):
            high, low = max(bar[2] for bar in inside), min(bar[3] for bar in inside)
            volume = sum(bar[5] for bar in inside)
            found.append((opened, inside[0][1], high, low, inside[-1][4], volume, True))
        elif found:
            last = found[-1][4]
            found.append((opened, last, last, last, last, 0.0, False))
        opened += interval.delta
    return found


@given(
    st.integers(0, 100),
    st.integers(0, 50),
    st.sets(st.integers(1, 199), max_size=12),
    st.sampled_from(["1h", "2h", "4h", "8h", "12h", "1d"]),
)
def test_resampling_equals_a_loop(seed, skip, missing, name):
    candles = candles_of(np.round(walk(200, seed)), sorted(missing), HOURLY).since(START + skip * timedelta(hours=1))
    expected = slow_resample(candles, Interval(name))
    assume(expected)
    joined = resample(candles, Interval(name))
    assert joined.frame.rows() == expected
    assert joined.feed == Feed("binance", "BTC/USDT", Interval(name))


def test_weeks_open_on_monday():
    weeks = resample(candles_of(np.arange(1.0, 31.0)), Interval("1w"))
    assert weeks.start == datetime(2019, 1, 7, tzinfo=UTC)
    assert weeks.start.weekday() == 0
    assert weeks.close.tolist() == [13.0, 20.0, 27.0]


@given(st.integers(1, 199))
def test_resampling_what_was_known_equals_what_was_known_of_the_resampled(hours):
    candles = candles_of(walk(200, 0), (30, 31, 77), HOURLY)
    cut = candles.until(START + hours * timedelta(hours=1))
    assume(hours >= 4)
    then = resample(cut, Interval("4h"))
    assert then.frame.equals(resample(candles, Interval("4h")).until(then.end).frame)


def test_bars_that_cannot_be_joined():
    with pytest.raises(RecipeError, match="1d cannot be joined to bars of 1h"):
        resample(candles_of([1.0, 2.0]), Interval("1h"))
    on_grid = rows_of([flat(0)], start=Interval("3d").floor(START))
    threes = clean(on_grid, Feed.parse("binance:BTC/USDT:3d")).candles
    with pytest.raises(RecipeError, match="3d cannot be joined to bars of 1w"):
        resample(threes, Interval("1w"))
    with pytest.raises(DataError, match="no whole bar of 1w"):
        resample(candles_of([1.0, 2.0]), Interval("1w"))


# Real files.

TIDY = {
    "daily/btcusd_bitstamp_coinbase_1d": {"bad wick": 1, "stale": 33},
    "daily/btcusd_yahoo_1d": {},
    "daily/btcusdt_binance_1d": {},
    "daily/ethusdt_binance_1d": {},
    "hourly/btcusdt_binance_1h": {"gap": 128, "stale": 2},
    "hourly/btcusdt_binance_perp_1h": {},
    "hourly/ethusdt_binance_perp_1h": {},
    "minute/btcusdt_binance_1m_2024-12": {},
    "panel/avaxusd_yahoo_1d": {"gap": 69},
    **{
        f"panel/{coin}usd_yahoo_1d": {}
        for coin in ("ada", "bch", "bnb", "doge", "dot", "eth", "link", "ltc", "uni", "xlm", "xrp")
    },
}


@pytest.fixture(scope="module")
def tidy(study_data) -> dict[str, tuple[Rows, Cleaned]]:
    found = {}
    for name in TIDY:
        rows = read(study_data / f"{name}.csv.gz")
        found[name] = rows, clean(rows, Feed("venue", "COIN/USD", infer_interval(rows)))
    return found


def test_tidy_files_are_touched_only_where_they_are_wrong(tidy):
    assert {name: found.repairs.tally for name, (_, found) in tidy.items()} == TIDY


def test_the_crash_of_march_2020_survives_everywhere(tidy):
    covered = 0
    for rows, found in tidy.values():
        day = pl.col("time").is_between(datetime(2020, 3, 12, tzinfo=UTC), datetime(2020, 3, 13, 23, tzinfo=UTC))
        kept = found.candles.frame.filter(day & pl.col("observed")).select(COLUMNS)
        assert kept.equals(rows.frame.filter(day))
        covered += not kept.is_empty()
    assert covered == 15


def test_the_low_of_april_2017_does_not_survive(tidy):
    rows, found = tidy["daily/btcusd_bitstamp_coinbase_1d"]
    day = pl.col("time") == datetime(2017, 4, 15, tzinfo=UTC)
    assert rows.frame.filter(day)["low"].item() == 0.06
    bar = found.candles.frame.filter(day).row(0, named=True)
    assert bar["low"] == min(bar["open"], bar["close"]) == 1173.13
    assert bar["observed"]


def test_the_rally_of_doge_survives(tidy):
    frame = tidy["panel/dogeusd_yahoo_1d"][1].candles.frame
    day = frame.with_columns(pl.col("close").pct_change().alias("change")).filter(
        pl.col("time") == datetime(2021, 1, 28, tzinfo=UTC)
    )
    assert day["observed"].item()
    assert day["change"].item() == pytest.approx(3.56, abs=0.01)


@pytest.mark.parametrize("name", ["daily/btcusd_bitstamp_coinbase_1d", "panel/dogeusd_yahoo_1d"])
@pytest.mark.parametrize("factor", [10.0, 0.1, 100.0])
def test_a_slipped_decimal_point_planted_in_a_real_file_is_found(tidy, name, factor):
    rows, before = tidy[name]
    for row in range(300, len(rows), 517):
        planted = put(rows.frame, row, "close", rows.frame["close"][row] * factor)
        after = clean(Rows(planted), before.candles.feed).candles
        changed = np.flatnonzero(after.observed != before.candles.observed)
        assert changed.tolist() == [row]


def test_hours_of_the_exchange_joined_to_days_are_its_days(tidy):
    hours, days = tidy["hourly/btcusdt_binance_1h"][1].candles, tidy["daily/btcusdt_binance_1d"][1].candles
    joined = resample(hours, Interval("1d")).frame.filter("observed")
    both = joined.join(days.frame, on="time")
    assert both.height == joined.height == 2935
    for name in PRICES:
        assert (both[name] - both[f"{name}_right"]).abs().max() == 0.0
