"""Fetch, follow and repair: the store ends whole, however often it was interrupted, and no question is put twice."""

import asyncio
import os
import signal
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from bench.proof.kill_fetch import killed

import simulated
from coincast.candles import PRICES
from coincast.errors import DataError, ExchangeError, OutputError, RecipeError
from coincast.exchanges.stream import OVERLAP
from coincast.exchanges.venues import VENUES
from coincast.feed import Feed, Interval
from coincast.fetching import FLUSH, fetch, follow, repair
from coincast.records import RECORD, Records, accept
from coincast.store import Store
from simulated import BINANCE, HOUR, Pretend, bars, lasting, milliseconds, on, passing

FEED = Feed.parse("binance:BTC/USDT:1h")
START = datetime(2023, 12, 1, tzinfo=UTC)
COUNT = 1500
NOW = START + COUNT * HOUR
GAPS = {150: 3, 640: 250, 1200: 1}
MARKET = Pretend(FEED, bars(FEED, START, COUNT + 1, missing=GAPS), NOW, venue=replace(BINANCE, page=100))


@pytest.fixture(autouse=True)
def _simulated_time(monkeypatch):
    monkeypatch.setattr(asyncio, "run", simulated.run)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def whole() -> Records:
    """What an exchange that never fails would have told."""
    return accept(FEED, [list(row) for row in MARKET.rows], NOW, "binance").records


def test_all_of_it_is_stored(store, whole):
    exchange = on(MARKET)
    fetched = fetch(FEED, store, START, exchange=exchange)
    assert store.read(FEED).digest == whole.digest
    assert fetched.new == len(whole) == COUNT - sum(GAPS.values())
    assert fetched.missing == sum(GAPS.values())
    assert (fetched.refused, fetched.notes) == ({}, ())
    assert fetched.snapshot == store.snapshot(FEED)
    assert exchange.left


def test_a_second_call_asks_for_nothing_that_was_told_or_shown(store):
    fetch(FEED, store, START, exchange=on(MARKET))
    again = on(MARKET)
    fetched = fetch(FEED, store, START, exchange=again)
    assert (fetched.new, fetched.missing) == (0, sum(GAPS.values()))
    assert again.asked == []


def test_a_hole_wider_than_an_answer_is_asked_for_again_and_nothing_else(store):
    fetch(FEED, store, START, exchange=on(MARKET, windowed=True))
    again = on(MARKET, windowed=True)
    fetch(FEED, store, START, exchange=again)
    hole = (START + 639 * HOUR, START + 890 * HOUR)
    assert again.asked_since()
    assert all(hole[0] < since < hole[1] for since in again.asked_since())


def test_a_later_call_asks_for_the_rest_alone(store):
    fetch(FEED, store, START, START + 1000 * HOUR, exchange=on(MARKET))
    later = on(MARKET)
    fetch(FEED, store, exchange=later)
    assert min(later.asked_since()) == START + (1000 - OVERLAP) * HOUR, "the last ones may have been corrected"
    assert store.snapshot(FEED).last == NOW - HOUR


def test_a_correction_of_the_newest_bars_is_seen_by_the_next_call(store, whole):
    def wrong(rows):
        return [[*row[:5], row[5] + 1] if row[0] == milliseconds(START + 999 * HOUR) else row for row in rows]

    fetch(FEED, store, START, exchange=on(MARKET, start=START + 1000 * HOUR, page_fault=wrong))
    fetch(FEED, store, exchange=on(MARKET))
    records = store.read(FEED)
    assert len(records) == len(whole) + 1
    assert Records(FEED, records.latest.select(RECORD.names())).digest == whole.digest


def test_spans_in_any_order_end_in_the_same_store(store, whole):
    for since, until in ((1100, 1500), (0, 200), (180, 700), (600, 1200)):
        fetch(FEED, store, START + since * HOUR, START + until * HOUR, exchange=on(MARKET))
    assert store.read(FEED).digest == whole.digest


def test_a_hole_of_another_source_is_asked_for(store, whole):
    gapped = whole.frame.filter(~pl.col("time").is_between(START + 300 * HOUR, START + 310 * HOUR))
    with store.writer(FEED) as writer:
        writer.append(Records.of(FEED, gapped.with_columns(source=pl.lit("binance.csv"))))
    fetch(FEED, store, START, exchange=on(MARKET))
    assert store.read(FEED).digest == whole.digest


def test_holes_near_one_another_are_asked_for_at_once(store, whole):
    near = [START + hour * HOUR for hour in (300, 310, 320, 395)]
    gapped = whole.frame.filter(~pl.col("time").is_in(near)).with_columns(source=pl.lit("mine.csv"))
    with store.writer(FEED) as writer:
        writer.append(Records.of(FEED, gapped))
    exchange = on(MARKET)
    fetch(FEED, store, START + 290 * HOUR, START + 400 * HOUR, exchange=exchange)
    assert exchange.asked_since() == [near[0]]
    assert store.holes(FEED, START + 290 * HOUR, START + 400 * HOUR) == []


@pytest.mark.parametrize("pages", [1, 2, 7, 12])
def test_what_came_before_an_error_is_stored_and_the_rest_comes_next_time(pages, store, whole):
    left = [pages]

    def fault(rows):
        left[0] -= 1
        if left[0] < 0:
            raise lasting()
        return rows

    with pytest.raises(ExchangeError):
        fetch(FEED, store, START, exchange=on(MARKET, page_fault=fault))
    held = store.read(FEED)
    assert len(held) > 0
    assert held.frame.equals(whole.frame.head(len(held)).with_columns(held.frame["seen_at"]))
    fetch(FEED, store, START, exchange=on(MARKET))
    assert store.read(FEED).digest == whole.digest


def test_an_interruption_loses_nothing_that_came(store):
    def fault(rows):
        if rows and rows[0][0] >= milliseconds(START + 300 * HOUR):
            raise KeyboardInterrupt
        return rows

    with pytest.raises(KeyboardInterrupt):
        fetch(FEED, store, START, exchange=on(MARKET, page_fault=fault))
    assert len(store.read(FEED)) == 300


def test_a_kill_loses_no_more_than_seconds(store):
    at_hand = []

    def fault(rows):
        at_hand.append((exchange.now - NOW, store.snapshot(FEED).rows))
        return rows

    exchange = on(MARKET, page_fault=fault, latency=1.0)
    fetch(FEED, store, START, exchange=exchange)
    # One answer of 100 bars a second; after a flush and the next answer all older ones are on disk.
    for passed, stored in at_hand[:6]:
        assert stored >= 100 * (passed.total_seconds() - FLUSH - 2)
    assert at_hand[-1][1] > 0


def test_with_a_fifth_of_the_answers_failing_the_store_is_the_same(store, whole):
    count = iter(range(10_000))

    def fault(rows):
        kind = next(count) % 15
        if kind in (4, 9):
            raise passing(3.0 if kind == 9 else None)
        return [] if kind == 14 else rows

    fetch(FEED, store, START, exchange=on(MARKET, page_fault=fault))
    assert store.read(FEED).digest == whole.digest


def test_rows_that_cannot_be_are_counted(store):
    def fault(rows):
        return [[row[0], -1.0, *row[2:]] if row[0] == milliseconds(START + 5 * HOUR) else row for row in rows]

    fetched = fetch(FEED, store, START, exchange=on(MARKET, page_fault=fault))
    assert fetched.refused == {"impossible": 1}
    assert fetched.missing == sum(GAPS.values()), "the exchange has the bar, if not a right one"


def test_a_hole_beside_a_refused_row_is_asked_for_again_and_no_other(store, whole):
    ill = {milliseconds(START + hour * HOUR) for hour in (1010, 1030)}

    def fault(rows):
        return [[*row[:2], 0.0, *row[3:]] if row[0] in ill else row for row in rows]

    fetched = fetch(FEED, store, START, exchange=on(MARKET, page_fault=fault))
    assert (fetched.refused, fetched.missing) == ({"impossible": 2}, sum(GAPS.values()))
    again = on(MARKET, start=NOW + timedelta(minutes=5))
    fetched = fetch(FEED, store, START, exchange=again)
    assert again.asked_since() == [START + 1010 * HOUR]
    assert (fetched.new, fetched.refused, fetched.missing) == (2, {}, sum(GAPS.values()))
    assert store.read(FEED).digest == whole.digest
    healed = on(MARKET, start=NOW + timedelta(minutes=10))
    fetch(FEED, store, START, exchange=healed)
    assert healed.asked == []


def test_rows_refused_where_no_bar_came_are_counted(store):
    exchange = on(MARKET, page_fault=lambda rows: [[row[0], -1.0, *row[2:]] for row in rows])
    fetched = fetch(FEED, store, START, START + 50 * HOUR, exchange=exchange)
    assert (fetched.new, fetched.refused, fetched.missing) == (0, {"impossible": 100}, 0)


@pytest.mark.parametrize("error", [lasting(), RecipeError("No such symbol.", "", "")])
def test_where_nothing_came_no_folder_is_left(store, error):
    def fault(_):
        raise error

    with pytest.raises(type(error)):
        fetch(FEED, store, START, exchange=on(MARKET, page_fault=fault))
    assert list(store.root.iterdir()) == []


def test_the_folders_of_other_feeds_stay(store):
    other = replace(FEED, symbol="ETH/USDT")
    fetch(FEED, store, START, START + 50 * HOUR, exchange=on(MARKET))
    fetch(other, store, START, START + 50 * HOUR, exchange=on(MARKET, page_fault=lambda _: []))
    assert store.feeds() == [FEED]
    assert [folder.name for folder in (store.root / "binance").iterdir()] == ["BTC_USDT"]


def test_progress_runs_to_the_whole_over_all_spans(store):
    fetch(FEED, store, START + 400 * HOUR, START + 500 * HOUR, exchange=on(MARKET))
    heard = []
    fetch(FEED, store, START, exchange=on(MARKET), monitor=lambda *news: heard.append(news))
    done = [news[0] for news in heard]
    assert done == sorted(done)
    assert heard[-1][:2] == (COUNT - 100 + OVERLAP, COUNT - 100 + OVERLAP)


def test_a_second_writer_is_refused_before_anything_is_asked(store):
    exchange = on(MARKET)
    with store.writer(FEED), pytest.raises(OutputError, match="Another writer"):
        fetch(FEED, store, START, exchange=exchange)
    assert exchange.asked == []
    assert exchange.left


def test_a_shallow_venue_says_what_it_cannot_tell(store):
    exchange = on(MARKET, venue=replace(VENUES["kraken"], name="binance", depth=600))
    fetched = fetch(FEED, store, START, exchange=exchange)
    assert fetched.notes == (
        VENUES["kraken"].says,
        f"binance has no 1h bars from before {NOW - 599 * HOUR:%Y-%m-%d %H:%M} any more.",
    )
    assert store.snapshot(FEED).first == NOW - 599 * HOUR, "the forming bar is one of the 600"
    assert fetched.missing == GAPS[1200]


def test_a_shallow_venue_is_asked_for_whole_bars_alone(store):
    feed = replace(FEED, interval=Interval("4h"))
    shallow = replace(VENUES["kraken"], name="binance", intervals=("1h", "1d"), depth=600)
    fetched = fetch(feed, store, START, exchange=on(MARKET, venue=shallow))
    assert store.snapshot(feed).first == NOW - 596 * HOUR
    assert fetched.missing == GAPS[1200]


def test_joined_bars_say_so(store):
    feed = replace(FEED, interval=Interval("4h"))
    exchange = on(MARKET, venue=replace(MARKET.venue, intervals=("1h", "1d")))
    fetched = fetch(feed, store, START, exchange=exchange)
    assert fetched.notes == ("Bars of 4h were joined from bars of 1h.",)
    assert fetched.new > 200


def test_it_can_be_called_where_a_loop_runs_already(store, monkeypatch):
    monkeypatch.undo()

    async def notebook():
        return fetch(FEED, store, START, exchange=on(MARKET, latency=0.0))

    with asyncio.Runner() as runner:
        assert runner.run(notebook()).new == COUNT - sum(GAPS.values())


def test_an_interrupt_ends_it_where_a_loop_runs_already(store, monkeypatch):
    monkeypatch.undo()
    live = on(MARKET, start=NOW + HOUR / 2, latency=0.0)

    async def notebook():
        interrupt = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        follow(FEED, store, exchange=live)

    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(notebook())
    finally:
        loop.close()
    assert live.left
    with store.writer(FEED):
        pass


def test_its_own_error_leaves_the_thread(store, monkeypatch):
    monkeypatch.undo()

    def fault(_):
        raise lasting()

    async def notebook():
        return fetch(FEED, store, START, exchange=on(MARKET, latency=0.0, page_fault=fault))

    with asyncio.Runner() as runner, pytest.raises(ExchangeError, match="It refuses"):
        runner.run(notebook())


def test_an_exchange_nobody_knows(store):
    with pytest.raises(RecipeError, match="Did you mean binance"):
        fetch(Feed.parse("binanse:BTC/USDT:1h"), store)


def test_without_ccxt(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ccxt.pro", None)
    with pytest.raises(RecipeError, match=r"Install coincast\[live\]"):
        fetch(FEED, store)


# --- live -------------------------------------------------------------------------------------------------------------


def test_follow_stores_each_bar_once_after_its_close(store, whole):
    fetch(FEED, store, START, exchange=on(MARKET, start=START + 1300 * HOUR))
    live = on(MARKET, start=START + 1465.5 * HOUR, chatter=60.0)
    followed = follow(FEED, store, NOW, exchange=live)
    assert store.read(FEED).digest == whole.digest
    assert followed.new == COUNT - 1300
    frame = store.read(FEED).frame
    assert (frame["seen_at"] >= frame["time"] + HOUR).all()
    lateness = (frame["seen_at"] - frame["time"] - HOUR).tail(COUNT - 1466)
    assert lateness.max() < timedelta(seconds=3)


def test_follow_of_an_empty_store_begins_with_the_forming_bar(store):
    live = on(MARKET, start=START + 1465.5 * HOUR, chatter=60.0)
    follow(FEED, store, NOW, exchange=live)
    assert store.snapshot(FEED).first == START + 1465 * HOUR
    assert live.left


def test_follow_keeps_late_corrections(store):
    stamp = milliseconds(START + 1470 * HOUR)
    live = on(MARKET, start=START + 1465.5 * HOUR, chatter=60.0)

    def first_wrong(rows):
        wrong = live.now < START + 1472.5 * HOUR
        return [[*row[:5], row[5] / 2] if row[0] == stamp and wrong else row for row in rows]

    live.page_fault = first_wrong
    follow(FEED, store, START + 1475 * HOUR, exchange=live)
    told = store.read(FEED).frame.filter(pl.col("time") == START + 1470 * HOUR)
    assert told["volume"].to_list() == [told["volume"][1] / 2, told["volume"][1]]
    assert store.read(FEED).seen_by(START + 1472 * HOUR).latest["volume"][5] == told["volume"][0]


# --- lent bars --------------------------------------------------------------------------------------------------------

OTHER = Feed.parse("kraken:BTC/USD:1h")
MINE = Feed.parse("okx:BTC/USDT:1h")


@pytest.fixture
def both(store, whole) -> Store:
    fetch(FEED, store, START, exchange=on(MARKET))
    rows = [(t, *(1.001 * price for price in prices), v) for t, *prices, v in bars(FEED, START, COUNT)]
    with store.writer(OTHER) as writer:
        writer.append(accept(OTHER, rows, NOW, "kraken").records)
    return store


def test_holes_are_lent_and_marked(both, whole):
    assert repair(FEED, OTHER, both) == sum(GAPS.values())
    records = both.read(FEED)
    lent = records.frame.filter(pl.col("repaired_by").is_not_null())
    assert lent["repaired_by"].unique().to_list() == [str(OTHER)]
    assert lent["source"].unique().to_list() == ["kraken"]
    assert both.holes(FEED, START, NOW) == []
    theirs = both.read(OTHER).frame
    columns = RECORD.names()[:6]
    assert lent.select(columns).equals(theirs.join(lent, on="time", how="semi").select(columns))
    own = records.frame.filter(pl.col("repaired_by").is_null())
    assert Records(FEED, own).digest == whole.digest
    assert repair(FEED, OTHER, both) == 0


def test_what_was_lent_is_seen_from_the_repair_on(both):
    now = NOW + 5 * HOUR
    repair(FEED, OTHER, both, now)
    lent = both.read(FEED).frame.filter(pl.col("repaired_by").is_not_null())
    assert lent["seen_at"].unique().to_list() == [now]
    assert both.read(FEED).seen_by(now - HOUR).frame["repaired_by"].null_count() == COUNT - sum(GAPS.values())


def test_what_was_lent_is_missing_at_the_venue(both):
    repair(FEED, OTHER, both)
    assert both.holes(FEED, START, NOW) == []
    assert fetch(FEED, both, START, exchange=on(MARKET)).missing == sum(GAPS.values())


def test_what_was_lent_is_asked_for_until_the_venue_tells_it(both, whole):
    with both.writer(MINE) as writer:
        writer.append(Records(MINE, whole.frame.with_columns(source=pl.lit("mine.csv"))))
    repair(MINE, OTHER, both)
    late = on(MARKET, feed=MINE, rows=bars(FEED, START, COUNT + 1), venue=replace(MARKET.venue, name="okx"))
    fetched = fetch(MINE, both, START, exchange=late)
    assert (fetched.new, fetched.missing) == (sum(GAPS.values()), 0)
    latest = both.read(MINE).latest
    assert latest["repaired_by"].null_count() == len(latest) == COUNT


def test_a_bad_tick_is_not_lent(both):
    bad = START + 700 * HOUR
    tenfold = [pl.when(pl.col("time") == bad).then(10 * pl.col(name)).otherwise(name) for name in PRICES]
    frame = both.read(OTHER).frame.with_columns(
        *(price.alias(name) for price, name in zip(tenfold, PRICES, strict=True)), seen_at=pl.col("seen_at") + HOUR
    )
    with both.writer(OTHER) as writer:
        writer.append(Records(OTHER, frame))
    assert repair(FEED, OTHER, both) == sum(GAPS.values()) - 1
    assert both.holes(FEED, START, NOW) == [(bad, bad + HOUR)]


def test_what_was_lent_is_not_lent_on(both):
    third = Feed.parse("coinbase:BTC/USD:1h")
    told = both.read(OTHER).frame.with_columns(source=pl.lit("coinbase"))
    with both.writer(third) as writer:
        writer.append(Records(third, told.filter(~pl.col("time").is_between(START + 600 * HOUR, START + 899 * HOUR))))
    repair(third, OTHER, both)
    assert both.holes(third, START, NOW) == []
    assert repair(FEED, third, both) == sum(GAPS.values()) - GAPS[640]


def test_a_bar_in_which_the_lender_traded_nothing_is_not_lent(both, store):
    idle = START + 151 * HOUR
    frame = both.read(OTHER).frame.with_columns(
        volume=pl.when(pl.col("time") == idle).then(0.0).otherwise("volume"), seen_at=pl.col("seen_at") + HOUR
    )
    with both.writer(OTHER) as writer:
        writer.append(Records(OTHER, frame))
    assert repair(FEED, OTHER, both) == sum(GAPS.values()) - 1
    assert both.holes(FEED, START, NOW) == [(idle, idle + HOUR)]


def test_the_venues_own_word_stands_above_a_lent_bar(both):
    repair(FEED, OTHER, both)
    late = accept(FEED, bars(FEED, START, COUNT), NOW, "binance").records
    with both.writer(FEED) as writer:
        writer.append(late)
    latest = both.read(FEED).latest
    assert latest["repaired_by"].null_count() == len(latest) == COUNT


@pytest.mark.parametrize("other", ["binance:BTC/USDT:1h", "kraken:ETH/USD:1h", "kraken:BTC/USD:4h"])
def test_what_cannot_lend(other, both):
    with pytest.raises(RecipeError, match="cannot lend"):
        repair(FEED, Feed.parse(other), both)


def test_what_is_not_stored_or_prices_something_else_lends_nothing(both):
    with pytest.raises(DataError, match="not stored"):
        repair(FEED, Feed.parse("okx:BTC/USDT:1h"), both)
    dear = Feed.parse("okx:BTC/EUR:1h")
    rows = [(t, *(1.2 * price for price in prices), v) for t, *prices, v in bars(FEED, START, COUNT)]
    with both.writer(dear) as writer:
        writer.append(accept(dear, rows, NOW, "okx").records)
    with pytest.raises(DataError, match="bad tick"):
        repair(FEED, dear, both)
    later = Feed.parse("okx:BTC/USD:1h")
    rows = bars(FEED, NOW, 10)
    with both.writer(later) as writer:
        writer.append(accept(later, rows, NOW + 10 * HOUR, "okx").records)
    with pytest.raises(DataError, match="have no bar at the same time"):
        repair(FEED, later, both)


# --- killed, through ccxt and the replay ------------------------------------------------------------------------------


@pytest.mark.proof
def test_killed_at_a_random_moment(tmp_path, monkeypatch, seed):
    monkeypatch.undo()
    killed(tmp_path, seed, kills=1, bars=20_000)
