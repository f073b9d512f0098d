"""What makes records of tellings: order, repeats and portions do not matter, and nothing unsound gets in."""

import itertools
import math
from datetime import datetime, timedelta
from functools import reduce

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.errors import DataError
from coincast.feed import INTERVALS, Feed
from coincast.records import Records, accept
from made import candles_of
from told import FEED, HOUR, START, Told, news, records_of, tellings, told, told_in, without_returns

some = st.lists(tellings, max_size=20)


@given(some)
def test_records_are_the_news_of_their_tellings(heard):
    assert told_in(records_of(heard)) == news(heard)


@given(some, st.randoms(use_true_random=False), st.integers(0, 20))
def test_order_and_repeats_do_not_matter(heard, random, repeats):
    again = [*heard, *(random.choices(heard, k=repeats) if heard else [])]
    random.shuffle(again)
    one, other = records_of(heard), records_of(again)
    assert one.frame.equals(other.frame)
    assert one.digest == other.digest


def portions(heard: list, random) -> list[list]:
    cuts = sorted(random.choices(range(len(heard) + 1), k=random.randrange(5)))
    return [heard[a:b] for a, b in itertools.pairwise([0, *cuts, len(heard)])]


def piece_by_piece(parts: list[list[Told]]) -> Records:
    return reduce(Records.and_also, map(records_of, parts), Records.empty(FEED))


@given(some.map(without_returns), st.randoms(use_true_random=False))
def test_portions_in_any_order_do_not_matter(heard, random):
    again = [*heard, *heard[::2]]
    random.shuffle(again)
    pieces = piece_by_piece(portions(again, random))
    assert pieces.frame.equals(records_of(heard).frame)


@given(some, st.randoms(use_true_random=False))
def test_portions_as_they_were_seen_do_not_matter_though_a_bar_returns(heard, random):
    instants = [[t for t in heard if t.seen_at == seen_at] for seen_at in sorted({t.seen_at for t in heard})]
    parts = [list(itertools.chain(*part)) for part in portions(instants, random)]
    repeated = [part for i in range(len(parts)) for part in (*parts[i // 2 : i], parts[i])]
    assert piece_by_piece(repeated).frame.equals(records_of(heard).frame)


def test_a_correction_taken_back_is_a_third_revision():
    first, second, third = told(0, 99.0, after=0), told(0, 101.0, after=1), told(0, 99.0, after=2)
    records = piece_by_piece([[first], [second], [third]])
    assert told_in(records) == [first, second, third]
    assert records.latest.select("close", "revision").row(0) == (99.0, 2)


A, B, A_AGAIN = told(0, 99.0, after=0), told(0, 101.0, after=1), told(0, 99.0, after=2)


@pytest.mark.parametrize("order", list(itertools.permutations([A, B, A_AGAIN])))
def test_a_return_is_seen_unless_both_ends_of_it_were_told_before_what_lay_between(order):
    records = piece_by_piece([[one] for one in order])
    assert told_in(records) == ([A, B] if order[-1] == B else [A, B, A_AGAIN])


def test_the_venues_own_word_stands_above_a_lent_bar_whenever_it_comes():
    lent, own = told(0, 101.0, after=3, lender="kraken:BTC/USDT:1h"), told(0, 99.0, after=0)
    assert records_of([own, lent]).latest["close"].to_list() == [99.0]


@given(some)
def test_latest_is_the_last_telling_of_each_bar_and_counts_those_before(heard):
    latest = records_of(heard).latest
    bars = {t.time: [u for u in news(heard) if u.time == t.time] for t in news(heard)}
    assert [Told(*row[:-1]) for row in latest.iter_rows()] == [revisions[-1] for revisions in bars.values()]
    assert latest["revision"].to_list() == [len(revisions) - 1 for revisions in bars.values()]


@given(some, st.integers(-1, 12), st.integers(0, 59))
def test_what_was_seen_by_a_time_had_closed_and_been_told_by_then(heard, hours, minutes):
    t = START + hours * HOUR + timedelta(minutes=minutes)
    seen = records_of(heard).seen_by(t)
    assert told_in(seen) == [u for u in news(heard) if u.seen_at <= t]
    assert all(u.time + HOUR <= u.seen_at <= t for u in told_in(seen))


@given(some, some)
def test_the_digest_tells_contents_apart_and_nothing_else(one, other):
    same = [t[:6] for t in news(one)] == [t[:6] for t in news(other)]
    assert (records_of(one).digest == records_of(other).digest) == same


def test_the_digest_names_the_feed():
    other = Feed.parse("kraken:BTC/USDT:1h")
    assert Records.empty(FEED).digest != Records.empty(other).digest


def test_two_zeros_are_one_number():
    zero, minus = told(0, 99.0, volume=0.0), told(0, 99.0, volume=-0.0)
    assert records_of([minus]).digest == records_of([zero]).digest
    assert records_of([minus, zero]).digest == records_of([zero, minus]).digest


SOUND = told(0, 101.0)


@pytest.mark.parametrize(
    "unsound",
    [
        SOUND._replace(time=START + timedelta(minutes=1)),
        SOUND._replace(seen_at=START + HOUR - timedelta(microseconds=1)),
        SOUND._replace(low=0.0),
        SOUND._replace(low=-1.0),
        SOUND._replace(low=100.5),
        SOUND._replace(high=100.5),
        SOUND._replace(high=math.inf),
        SOUND._replace(close=math.nan),
        SOUND._replace(open=None),
        SOUND._replace(volume=-1.0),
        SOUND._replace(volume=None),
        SOUND._replace(volume=math.nan),
        SOUND._replace(time=None),
        SOUND._replace(seen_at=None),
        SOUND._replace(source=None),
    ],
)
def test_an_unsound_bar_is_refused(unsound):
    records_of([SOUND])
    with pytest.raises(DataError, match=r"cannot be stored \(1 such\)"):
        records_of([SOUND, unsound])


def test_another_schema_and_another_feed_are_refused():
    with pytest.raises(DataError, match="columns"):
        Records(FEED, pl.DataFrame({"time": [1]}))
    with pytest.raises(DataError, match="kraken"):
        records_of([SOUND]).and_also(Records.empty(Feed.parse("kraken:BTC/USDT:1h")))
    with pytest.raises(DataError, match="time zone"):
        records_of([SOUND]).seen_by(datetime(2024, 1, 1))


def test_rows_are_the_last_revisions():
    records = records_of([told(0, 99.0), told(0, 101.0, after=1), told(1, 100.0)])
    assert records.rows().frame["close"].to_list() == [101.0, 100.0]


LENDER = "kraken:BTC/USDT:1h"


@given(some)
def test_own_and_lent_are_all_there_is(heard):
    records = records_of(heard)
    assert told_in(records.own) == [t for t in news(heard) if t.repaired_by is None]
    assert told_in(records.lent) == [t for t in news(heard) if t.repaired_by is not None]
    assert records.own.and_also(records.lent).frame.equals(records.frame)


def test_a_lent_bar_never_passes_for_the_venues_own():
    both = records_of([told(0, 99.0), told(0, 101.0, after=3, lender=LENDER), told(1, 100.0, lender=LENDER)])
    for records in (both, both.own):
        assert records.rows().frame["time"].to_list() == [START]
        assert records.rows().frame["close"].to_list() == [99.0]
    with pytest.raises(DataError, match="not a single row"):
        both.lent.rows()


def test_records_are_compared_by_digest():
    one, same = records_of([SOUND]), records_of([SOUND])
    assert [same, one].index(one) == 1
    assert one.digest == same.digest
    accepted = accept(FEED, [GOOD], NOW, "binance")
    assert accepted in {accepted}
    assert accepted != accept(FEED, [GOOD], NOW, "binance")


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


NOW = START + 4 * HOUR
GOOD = [milliseconds(START), 100.0, 102.0, 99, 101.0, 5]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)


@st.composite
def spoilt(draw) -> object:
    """A good row of some bar with one value replaced, or taken away."""
    row = list(GOOD)
    row[0] += draw(st.integers(-2, 6)) * 3_600_000
    value = JSON | st.sampled_from([0, -1, 98, 103.5, 2**63, 10**400, math.inf, "101"])
    row[draw(st.integers(0, 5))] = draw(value)
    return row[: draw(st.sampled_from([6, 6, 6, 5, 1]))]


@given(JSON | st.lists(spoilt() | st.just(GOOD) | JSON, max_size=12))
def test_nothing_malformed_raises_and_nothing_unsound_is_accepted(answer):
    accepted = accept(FEED, answer, NOW, "binance")
    for t in told_in(accepted.records):
        assert t.time.minute == t.time.second == t.time.microsecond == 0
        assert t.time + HOUR <= NOW
        assert 0 < t.low <= min(t.open, t.close) <= max(t.open, t.close) <= t.high < math.inf
        assert 0 <= t.volume < math.inf
    listed = answer if isinstance(answer, list) else [answer]
    assert len(accepted.records) <= len(listed) - sum(accepted.refused.values())
    assert (GOOD not in listed) or START in accepted.records.frame["time"].to_list()


def test_why_a_row_is_refused():
    hour = 3_600_000
    rows = [
        (GOOD, None),
        ([GOOD[0] + hour, 100, 101, 99, 100, None], None),
        ([GOOD[0] + 3 * hour, *GOOD[1:]], None),
        ([GOOD[0] + 4 * hour, *GOOD[1:]], "unclosed"),
        ([GOOD[0] + 1, *GOOD[1:]], "off grid"),
        ([GOOD[0] + 0.5, *GOOD[1:]], "malformed"),
        ([GOOD[0] / 1000, *GOOD[1:]], "malformed"),
        ([GOOD[0], True, *GOOD[2:]], "malformed"),
        ([str(GOOD[0]), *GOOD[1:]], "malformed"),
        (GOOD[:5], "malformed"),
        ("row", "malformed"),
        ([GOOD[0], 100.0, 99.0, 98.0, 98.5, 5], "impossible"),
        ([GOOD[0], 100.0, 102.0, 0, 101.0, 5], "impossible"),
        ([GOOD[0], 100.0, 102.0, 99, 101.0, -5], "impossible"),
    ]
    for row, reason in rows:
        accepted = accept(FEED, [row], NOW, "binance")
        assert (len(accepted.records), accepted.refused) == ((1, {}) if reason is None else (0, {reason: 1})), row
    assert accept(FEED, [row for row, _ in rows], NOW, "binance").refused == {
        "unclosed": 1,
        "off grid": 1,
        "malformed": 6,
        "impossible": 3,
    }


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_bar_is_closed_from_its_end_on_in_every_interval(interval):
    feed = Feed.parse(f"binance:BTC/USDT:{interval}")
    time = feed.interval.floor(START)
    row = [milliseconds(time), *GOOD[1:]]
    end = time + feed.interval.delta
    assert len(accept(feed, [row], end, "binance").records) == 1
    assert accept(feed, [row], end - timedelta(microseconds=1), "binance").refused == {"unclosed": 1}


def test_candles_are_told_by_their_observed_bars_alone():
    candles = candles_of([100.0, 101.0, 101.0, 102.0], missing=[2])
    told = Records.of_candles(candles, candles.end, "file.csv")
    assert told.latest["time"].to_list() == candles.frame.filter("observed")["time"].to_list()
    assert set(told.frame["source"]) == {"file.csv"}
    with pytest.raises(DataError, match="cannot be stored"):
        Records.of_candles(candles, candles.end - timedelta(seconds=1), "file.csv")
