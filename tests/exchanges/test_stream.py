"""Live bars: each one after its close, none while it forms, none lost, whatever becomes of the stream."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from bench.proof.live_day import FIFTH, Life, lived
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.errors import ExchangeError, RecipeError
from coincast.exchanges.history import LONGEST_OBEYED
from coincast.exchanges.stream import OVERLAP, PAUSES, SETTLE, SILENCE, stream
from coincast.feed import Feed, Interval
from coincast.records import Records
from simulated import BINANCE, Pretend, bars, lasting, milliseconds, on, passing, run

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
FEED = Feed.parse("binance:BTC/USDT:1m")
START = datetime(2024, 3, 1, 12, 0, 30, tzinfo=UTC)
FIRST = START.replace(second=0)
MARKET = Pretend(FEED, bars(FEED, FIRST - 300 * MINUTE, 600), START)


def followed(exchange: Pretend, count: int, since: datetime = FIRST, feed: Feed = FEED, monitor=lambda *_: None):
    """What the first `count` bars from `since` on bring, and when each was told first."""
    step = feed.interval.delta

    async def listen() -> tuple[Records, dict[datetime, datetime]]:
        frames, told_at = [], {}
        async for accepted in stream(exchange, feed, since, since + count * step, monitor):
            frames.append(accepted.records.frame)
            for time in frames[-1]["time"]:
                told_at.setdefault(time, exchange.now)
        return Records.of(feed, pl.concat(frames)), told_at

    return run(listen())


def values(records: Records) -> list[tuple]:
    stamps = records.frame["time"].dt.epoch("ms")
    return list(zip(stamps, *(records.frame[name] for name in ("open", "high", "low", "close", "volume")), strict=True))


def source(exchange: Pretend, count: int, since: datetime = FIRST) -> list[tuple]:
    step = exchange.feed.interval.delta
    return [row for row in exchange.rows if milliseconds(since) <= row[0] < milliseconds(since + count * step)]


def delays(told_at: dict[datetime, datetime]) -> list[timedelta]:
    return [at - (time + MINUTE) for time, at in told_at.items()]


def test_each_bar_is_told_once_it_has_closed():
    exchange = on(MARKET)
    records, told_at = followed(exchange, 60)
    assert values(records) == source(MARKET, 60)
    assert all(timedelta(0) < delay < exchange.chatter * SECOND + SECOND for delay in delays(told_at))
    assert exchange.opened == 1
    assert len(exchange.asked) == 60, "one request a bar"


def test_a_stream_that_speaks_of_the_next_bar_spares_the_settling():
    _, told_at = followed(on(MARKET, chatter=0.1), 10)
    assert max(delays(told_at)) < 0.3 * SECOND < SETTLE


def test_a_stream_that_runs_ahead_cannot_open_a_bar_before_its_close():
    exchange = on(MARKET)

    async def tomorrow(_):
        await asyncio.sleep(0.5)
        return exchange.now + timedelta(days=1)

    exchange.news = tomorrow
    records, told_at = followed(exchange, 10)
    assert values(records) == source(MARKET, 10)
    assert all(delay > timedelta(0) for delay in delays(told_at))


def test_what_was_missed_comes_first():
    since = FIRST - 250 * MINUTE
    exchange = on(MARKET, venue=replace(BINANCE, page=100))
    records, _ = followed(exchange, 260, since)
    assert values(records) == source(MARKET, 260, since)
    assert len(exchange.asked) <= 3 + 10


def test_a_venue_without_a_stream_is_asked_at_each_close():
    exchange = on(MARKET, venue=replace(BINANCE, streams=False))
    records, told_at = followed(exchange, 20)
    assert values(records) == source(MARKET, 20)
    assert exchange.opened == 0
    assert all(SETTLE < delay < SETTLE + SECOND for delay in delays(told_at))


def test_joined_bars_are_live_too():
    feed, quarter = replace(FEED, interval=Interval("15m")), 15 * MINUTE
    exchange = on(MARKET, venue=replace(BINANCE, intervals=("1m", "5m", "1d")))
    told = {"5m": [], "1m": []}
    exchange.news, plain = (lambda f: (told[str(f.interval)].append(1), plain(f))[1]), exchange.news
    records, told_at = followed(exchange, 4, FIRST, feed)
    assert [*records.frame["time"]] == [FIRST + row * quarter for row in range(4)]
    assert all(at > time + quarter for time, at in told_at.items())
    assert told["5m"]
    assert not told["1m"]


# --- the stream fails -------------------------------------------------------------------------------------------------


def test_a_silent_stream_is_opened_anew_and_no_bar_is_lost_or_late():
    async def silence():
        await asyncio.sleep(1e9)

    exchange = on(MARKET, news_fault=silence)
    heard = []
    records, told_at = followed(exchange, 30, monitor=lambda *news: heard.append(news[2]))
    assert values(records) == source(MARKET, 30)
    assert max(delays(told_at)) < SETTLE + SECOND
    assert 30 * 60 / (SILENCE + 61) < exchange.opened <= 30
    assert any("silent for 60 s" in words for words in heard)


def test_a_stream_that_breaks_is_opened_anew_ever_more_slowly():
    async def broken():
        raise passing()

    exchange = on(MARKET, news_fault=broken)
    records, _ = followed(exchange, 60)
    assert values(records) == source(MARKET, 60)
    assert 60 <= exchange.opened < 300


@pytest.mark.parametrize("error", [lasting(), RecipeError("No such symbol.", "", "")])
def test_a_stream_that_is_refused_is_left_alone(error):
    async def refused():
        raise error

    exchange = on(MARKET, news_fault=refused)
    heard = []
    records, _ = followed(exchange, 20, monitor=lambda *news: heard.append(news[2]))
    assert values(records) == source(MARKET, 20)
    assert exchange.opened == 1
    assert any("Each close is asked for instead" in words for words in heard)


# --- REST fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0.5, 5.0, 25.0])
def test_a_bar_that_comes_late_is_waited_for(lag):
    exchange = on(MARKET, lag=lag)
    records, told_at = followed(exchange, 20)
    assert values(records) == source(MARKET, 20)
    assert all(lag * SECOND < delay < (2 * lag + 4) * SECOND for delay in delays(told_at))


def test_a_minute_without_a_trade_holds_nothing_up():
    rows = [row for row in MARKET.rows if row[0] not in {milliseconds(FIRST + n * MINUTE) for n in (3, 4, 9)}]
    exchange = on(MARKET, rows=rows)
    records, told_at = followed(exchange, 20)
    assert values(records) == source(exchange, 20)
    assert max(delays(told_at)) < 3 * SECOND
    assert len(exchange.asked) < 20 + 3 * (len(PAUSES) + 2)


def test_a_bar_that_only_comes_after_the_next_is_told_in_the_end():
    hidden = milliseconds(FIRST + 5 * MINUTE)
    exchange = on(MARKET)
    shown_from = FIRST + 7.5 * MINUTE

    def hide(rows):
        return [row for row in rows if row[0] != hidden or exchange.now > shown_from]

    exchange.page_fault = hide
    records, _ = followed(exchange, 12)
    assert values(records) == source(MARKET, 12)


def test_a_late_correction_becomes_a_revision():
    corrected, known_from = milliseconds(FIRST + 5 * MINUTE), FIRST + 7 * MINUTE
    exchange = on(MARKET)

    def first_wrong(rows):
        wrong = exchange.now < known_from
        return [[*row[:5], row[5] + 1] if row[0] == corrected and wrong else row for row in rows]

    exchange.page_fault = first_wrong
    records, _ = followed(exchange, 12)
    assert len(records) == 13
    latest = Records(FEED, records.latest.select(records.frame.columns))
    assert values(latest) == source(MARKET, 12)
    assert records.latest["revision"].to_list() == [0] * 5 + [1] + [0] * 6
    assert known_from - (FIRST + 6 * MINUTE) <= OVERLAP * MINUTE


def test_an_outage_of_hours_is_caught_up():
    exchange = on(MARKET)
    down = (FIRST + 10 * MINUTE, FIRST + 130 * MINUTE)

    def outage(rows):
        if down[0] < exchange.now < down[1]:
            raise passing()
        return rows

    exchange.page_fault = outage
    records, _ = followed(exchange, 150)
    assert values(records) == source(MARKET, 150)


@pytest.mark.parametrize("wished", [LONGEST_OBEYED, 3600.0, 1e9, float("inf")])
def test_an_exchange_that_bans_is_left_alone_for_a_quarter_of_an_hour_at_most(wished):
    exchange = on(MARKET)
    bans = [passing(retry_after=wished)]

    def banned(rows):
        if bans and exchange.now > FIRST + 5 * MINUTE:
            raise bans.pop()
        return rows

    exchange.page_fault = banned
    records, _ = followed(exchange, 90)
    assert values(records) == source(MARKET, 90)
    times = [at for *_, at in exchange.asked]
    assert 15 * MINUTE <= max(np.diff(times)) < 16 * MINUTE


@pytest.mark.parametrize("error", [lasting(), RecipeError("No such symbol.", "", "")])
def test_what_cannot_pass_ends_it(error):
    def fault(_):
        raise error

    exchange = on(MARKET, page_fault=fault)
    with pytest.raises(type(error)):
        followed(exchange, 3)


def test_a_listener_ends_with_its_stream():
    async def stop_early() -> set[asyncio.Task]:
        answers = stream(on(MARKET), FEED, FIRST)
        async for _ in answers:
            break
        await answers.aclose()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run(stop_early()) == set()


# --- all at once ------------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.4), lag=st.floats(0, 10))
def test_lost_doubled_and_shuffled_messages_end_in_the_same_records(seed, share, lag):
    rng = np.random.default_rng(seed)
    exchange = on(MARKET, lag=lag)

    def page_fault(rows):
        kind = rng.integers(5) if rng.random() < share else -1
        if kind == 0:
            raise passing()
        return [rows, [], rows[::-1], rows + rows, [None, "<html>", *rows]][kind] if kind > 0 else rows

    async def news_fault():
        kind = rng.integers(3) if rng.random() < share else -1
        if kind == 0:
            raise passing()
        await asyncio.sleep(200 if kind == 1 else 0)

    exchange.page_fault, exchange.news_fault = page_fault, news_fault
    records, told_at = followed(exchange, 25)
    assert values(records) == source(MARKET, 25)
    assert all(delay > timedelta(0) for delay in delays(told_at))


def test_an_exchange_that_refuses_at_the_start_says_so():
    async def clock():
        raise lasting()

    exchange = on(MARKET)
    exchange.clock = clock
    with pytest.raises(ExchangeError):
        followed(exchange, 3)


# --- through ccxt's own WebSocket client, against the replay ----------------------------------------------------------


@pytest.mark.proof
@pytest.mark.parametrize(
    "life", [Life("binance", 4), Life("kraken", 4), Life("binance", 4, FIFTH)], ids=["binance", "kraken", "faults"]
)
def test_a_sample_of_the_live_day(life, tmp_path):
    result = lived(life, tmp_path, speed=120.0)
    assert result.holds(life), result
