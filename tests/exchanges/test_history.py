"""The past is told whole, once, and only what has closed: whatever the venue's ways and whatever goes wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.clean import clean, resample
from coincast.errors import ExchangeError, RecipeError
from coincast.exchanges.history import LONGEST_OBEYED, LONGEST_PAUSE, TRIES, history
from coincast.exchanges.venues import VENUES, Venue
from coincast.feed import INTERVALS, Feed, Interval
from coincast.records import Accepted, Records, accept
from simulated import BINANCE, HOUR, Pretend, bars, lasting, milliseconds, on, passing, run

FEED = Feed.parse("binance:BTC/USDT:1h")
START = datetime(2024, 1, 1, tzinfo=UTC)
COUNT = 2500
NOW = START + COUNT * HOUR
PAGED = replace(BINANCE, page=100)
MARKET = Pretend(FEED, bars(FEED, START, COUNT + 1, missing={700: 3, 1000: 450, 1800: 1}), NOW, venue=PAGED)


def told(exchange: Pretend, feed: Feed = FEED, since: datetime = START, until: datetime | None = None, **settings):
    """All that history yields, as one."""

    async def all_of_it() -> Records:
        frames = [Records.empty(feed).frame]
        async for accepted in history(exchange, feed, since, until, **settings):
            frames.append(accepted.records.frame)
            assert len(frames[-1]), "an answer without a bar"
        # In this order already, each bar once.
        return Records(feed, pl.concat(frames))

    return run(all_of_it())


def values(records: Records) -> list[tuple]:
    stamps = records.frame["time"].dt.epoch("ms")
    return list(zip(stamps, *(records.frame[name] for name in ("open", "high", "low", "close", "volume")), strict=True))


def closed(market: Pretend, since: datetime = START, until: datetime | None = None) -> list[tuple]:
    step = market.feed.interval.delta
    end = min(until or market.start, market.start)
    return [r for r in market.rows if milliseconds(since) <= r[0] <= milliseconds(end - step)]


@pytest.mark.parametrize("windowed", [False, True])
def test_all_that_has_closed_is_told_once_and_nothing_else(windowed):
    exchange = on(MARKET, windowed=windowed)
    records = told(exchange)
    assert values(records) == closed(MARKET)
    # Closed by the clock as it stood when the question left, not when the answer came.
    assert records.frame["seen_at"].max() <= exchange.asked[-1][2]
    assert records.frame["source"].unique().to_list() == ["binance"]


def test_a_span_is_told_from_its_first_open_to_its_last_close():
    since, until = START + 90.5 * HOUR, START + 333.2 * HOUR
    records = told(on(MARKET), since=since, until=until)
    assert values(records) == closed(MARKET, since, until)
    assert records.frame["time"][0] == START + 91 * HOUR
    assert records.frame["time"][-1] == START + 332 * HOUR


def test_what_closes_while_pages_come_is_told_too():
    slow = on(MARKET, rows=bars(FEED, START, COUNT + 10), latency=400.0)
    records = told(slow)
    assert records.frame["time"][-1] > NOW
    frame = records.frame
    assert (frame["seen_at"] >= frame["time"] + HOUR).all()


def test_years_before_the_listing_cost_few_requests():
    exchange = on(MARKET, windowed=True)
    long_ago = datetime(2019, 1, 1, tzinfo=UTC)
    assert values(told(exchange, since=long_ago)) == closed(MARKET)
    assert len(exchange.asked) < (START - long_ago) / (100 * HOUR) / 2


def test_a_venue_without_depth_tells_what_it_has():
    kraken = replace(VENUES["kraken"], depth=720)
    records = told(on(MARKET, venue=kraken))
    assert values(records) == closed(MARKET)[-719:]


# --- what goes wrong --------------------------------------------------------------------------------------------------


def faulty(seed: int, share: float):
    """An answer that is late, lost, torn, shuffled, doubled, empty or garbled, by chance."""
    rng = np.random.default_rng(seed)

    def fault(rows):
        if rng.random() >= share:
            return rows
        kind = rng.integers(8)
        if kind == 0:
            raise passing()
        if kind == 1:
            raise passing(retry_after=7.0)
        garbled = [*rows[: len(rows) // 2], ["x"], None, [1, 2, 3], [float("inf")] * 6]
        return [[], rows[::-1], rows + rows, rng.permutation(rows).tolist(), garbled, "<html>"][kind - 2]

    return fault


@pytest.mark.parametrize("windowed", [False, True])
def test_a_fifth_of_the_answers_failing_changes_nothing(windowed):
    for seed in range(5):
        exchange = on(MARKET, windowed=windowed, page_fault=faulty(seed, 0.2))
        assert values(told(exchange)) == closed(MARKET)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.6), page=st.integers(20, 300))
def test_any_faults_end_in_the_same_records(seed, share, page):
    market = Pretend(FEED, bars(FEED, START, 401, seed, {40: 2, 200: 25}), START + 400 * HOUR)
    exchange = on(market, venue=replace(BINANCE, page=page), page_fault=faulty(seed, share))
    assert values(told(exchange)) == closed(market)


def test_a_row_that_is_garbled_once_is_not_lost():
    wrong = milliseconds(START + 5 * HOUR)
    garbled = [True, True]

    def fault(rows):
        right = not (garbled and garbled.pop())
        return [row if right or row[0] != wrong else [row[0], -row[1], *row[2:]] for row in rows]

    assert values(told(on(MARKET, page_fault=fault))) == closed(MARKET)


@pytest.mark.parametrize("empties", range(1, 8))
def test_an_empty_page_is_doubted_while_longer_bars_show_trades_in_it(empties):
    start = START + 200 * HOUR
    exchange = on(MARKET, windowed=True)
    left = [empties]

    def fault(rows):
        if exchange.asked[-1][:2] == (FEED.interval, start) and left[0]:
            left[0] -= 1
            return []
        return rows

    exchange.page_fault = fault
    assert values(told(exchange)) == closed(MARKET)


def test_an_exchange_that_asks_for_a_pause_gets_it():
    troubles = [passing(retry_after=42.0), passing(retry_after=0.5)]

    def fault(rows):
        if troubles:
            raise troubles.pop(0)
        return rows

    exchange = on(MARKET, page_fault=fault)
    assert values(told(exchange, until=START + 50 * HOUR)) == closed(MARKET, until=START + 50 * HOUR)
    first, second, third = (at for _, _, at in exchange.asked)
    assert (second - first).total_seconds() == pytest.approx(42.05, abs=0.1)
    assert (third - second).total_seconds() == pytest.approx(0.55, abs=0.1)


def test_trouble_that_lasts_is_said_after_minutes():
    def fault(_):
        raise passing()

    exchange = on(MARKET, page_fault=fault)
    with pytest.raises(ExchangeError, match="It failed"):
        told(exchange)
    assert len(exchange.asked) == TRIES
    pauses = np.diff([at.timestamp() for *_, at in exchange.asked]) - exchange.latency
    limits = [min(LONGEST_PAUSE, 2.0**failed) for failed in range(TRIES - 1)]
    assert all(0 <= pause <= limit + 0.1 for pause, limit in zip(pauses, limits, strict=True))
    assert np.mean(pauses / limits) < 0.97, "without jitter all clients would come back at once"


@pytest.mark.parametrize("error", [lasting(), passing(LONGEST_OBEYED + 1), RecipeError("No such symbol.", "", "")])
def test_what_cannot_pass_is_said_at_once(error):
    def fault(_):
        raise error

    exchange = on(MARKET, page_fault=fault)
    with pytest.raises(type(error)):
        told(exchange)
    assert len(exchange.asked) == 1


def test_what_was_told_before_the_trouble_is_right():
    pages = []

    def fault(rows):
        pages.append(rows)
        if len(pages) > 3:
            raise lasting()
        return rows

    rows = []

    async def until_it_fails() -> None:
        async for accepted in history(on(MARKET, page_fault=fault), FEED, START):
            rows.extend(values(accepted.records))

    with pytest.raises(ExchangeError):
        run(until_it_fails())
    assert rows == closed(MARKET)[:300]


def test_rows_that_cannot_be_are_refused_and_counted():
    def fault(rows):
        wrong = milliseconds(START + 5 * HOUR)
        return [[row[0], -row[1], *row[2:]] if row[0] == wrong else row for row in rows]

    async def first_answer() -> Accepted:
        return await anext(history(on(MARKET, page_fault=fault), FEED, START))

    accepted = run(first_answer())
    assert len(accepted.records) == 99
    assert accepted.refused == {"impossible": 1}


@pytest.mark.parametrize("answer", [{"code": -1, "msg": "x"}, "<html>", None, [["x"], [1, 2], None]])
def test_an_answer_that_nobody_can_read_is_asked_for_again_and_then_raised(answer):
    exchange = on(MARKET, page_fault=lambda _: answer)
    with pytest.raises(ExchangeError, match="told no bar of binance:BTC/USDT:1h that can be read") as caught:
        told(exchange)
    assert caught.value.passing
    assert len(exchange.asked) == TRIES


def test_rows_refused_in_an_answer_without_a_bar_are_yielded():
    async def answers() -> list[Accepted]:
        exchange = on(MARKET, page_fault=lambda rows: [[row[0], -1.0, *row[2:]] for row in rows])
        return [accepted async for accepted in history(exchange, FEED, START, START + 50 * HOUR)]

    (accepted,) = run(answers())
    assert (len(accepted.records), accepted.refused) == (0, {"impossible": 100})


def test_bars_told_beside_a_refused_row_do_not_share_an_instant():
    def fault(rows):
        wrong = milliseconds(START + 5 * HOUR)
        return [[row[0], -row[1], *row[2:]] if row[0] == wrong else row for row in rows]

    records = told(on(MARKET, page_fault=fault), until=START + 100 * HOUR)
    seen = records.frame["seen_at"]
    assert seen.n_unique() == len(records) == 99
    assert (seen >= records.frame["time"] + HOUR).all()
    assert seen.max() - seen.min() < timedelta(milliseconds=1)


def test_progress_is_told_and_ends_at_the_whole():
    heard = []
    told(on(MARKET), monitor=lambda *news: heard.append(news))
    done = [news[0] for news in heard]
    assert done == sorted(done)
    assert heard[-1][:2] == (COUNT, COUNT)
    assert heard[-1][2] == f"{FEED} until {NOW:%Y-%m-%d %H:%M}"


# --- intervals a venue lacks ------------------------------------------------------------------------------------------

LONG_AGO = datetime(2017, 1, 1, tzinfo=UTC)
NO_LONGER = Venue("short", LONG_AGO, 130, ("1m", "15m", "1h", "1d"), streams=True)


@pytest.mark.parametrize("name", ["2h", "4h", "6h", "8h", "12h"])
@pytest.mark.parametrize("windowed", [False, True])
def test_longer_bars_are_joined_as_resample_joins_them(name, windowed):
    feed = replace(FEED, interval=Interval(name))
    joined = told(on(MARKET, venue=NO_LONGER, windowed=windowed), feed)
    candles = clean(accept(FEED, closed(MARKET), NOW, "").records.rows(), FEED).candles
    expected = resample(candles, feed.interval).frame.filter("observed").drop("observed")
    frame = joined.frame.select(expected.columns)
    assert frame.drop("volume").equals(expected.drop("volume"))
    np.testing.assert_allclose(frame["volume"], expected["volume"], rtol=1e-12)
    assert joined.frame["source"].unique().to_list() == ["short, joined from 1h"]
    assert (joined.frame["seen_at"] >= joined.frame["time"] + feed.interval.delta).all()


def test_weeks_are_joined_from_days():
    days = Feed.parse("binance:BTC/USDT:1d")
    start = datetime(2023, 12, 29, tzinfo=UTC)
    market = Pretend(days, bars(days, start, 101), start + timedelta(days=100), venue=NO_LONGER)
    weeks = told(on(market), replace(days, interval=Interval("1w")), since=start)
    assert (weeks.frame["time"].dt.weekday() == 1).all()
    assert len(weeks) == 13
    assert weeks.frame["time"][0] == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("venue", VENUES.values(), ids=VENUES)
def test_each_interval_can_be_asked_of_each_venue(venue):
    for name in INTERVALS:
        asked = venue.asked(Interval(name))
        assert str(asked) in venue.intervals
        assert Interval(name).delta % asked.delta == timedelta(0)
        assert venue.bars(Interval(name)) >= 1
    assert venue.longest == Interval("1d")


def test_an_interval_shorter_than_all_is_refused():
    with pytest.raises(RecipeError, match="no bars from which 1m"):
        Venue("slow", LONG_AGO, 100, ("1h", "1d"), streams=False).asked(Interval("1m"))


def test_the_oldest_bars_of_a_shallow_venue_are_where_it_says():
    kraken = VENUES["kraken"]
    # One of the 720 is still forming.
    assert kraken.reach(Interval("1h")) == 719 * HOUR
    assert kraken.reach(Interval("2h")) == 719 * HOUR
    assert VENUES["binance"].reach(Interval("1h")) is None
