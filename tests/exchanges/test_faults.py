"""What goes wrong on demand, and what it does to the bars that are told."""

from dataclasses import replace

import pytest
from played import asked, bars_of, held, klines, traded

from coincast.errors import RecipeError
from coincast.exchanges.binance import Binance
from coincast.exchanges.faults import FAULTS, Faults
from coincast.exchanges.tape import Topic
from coincast.feed import Interval


def test_the_same_seed_makes_the_same_faults_as_often_as_asked():
    faults = Faults({"429": 0.2, "5xx": 0.1, "empty": 0.5}, seed=4)
    struck = [faults.strike("request", number) for number in range(4000)]
    assert struck == [replace(faults).strike("request", number) for number in range(4000)]
    assert struck != [replace(faults, seed=5).strike("request", number) for number in range(4000)]
    assert struck.count("429") / 4000 == pytest.approx(0.2, abs=0.02)
    assert struck.count("5xx") / 4000 == pytest.approx(0.1, abs=0.02)
    assert struck.count("empty") == 0
    assert {faults.strike("message", number) for number in range(100)} == {None}


def test_faults_are_written_by_name_and_rate():
    assert Faults.parse(["429=0.1", "out-of-order=1"], seed=2) == Faults({"429": 0.1, "out-of-order": 1.0}, 2)
    for texts, found in (
        (["flood=0.1"], "flood"),
        (["429"], "NAME=RATE"),
        (["429=often"], "NAME=RATE"),
        (["429=1.5"], "1.5"),
        (["429=nan"], "nan"),
        (["429=0.6", "stall=0.6"], "more than 1"),
    ):
        with pytest.raises(RecipeError, match=found):
            Faults.parse(texts)
    assert all(fault.places and fault.says for fault in FAULTS.values())


def test_pages_are_empty_doubled_or_shuffled_and_never_lose_a_bar_otherwise():
    candles = traded(30, 2)
    opens = [bar.time for bar in bars_of(candles)]

    def times(**rates: float) -> list[int]:
        return [row[0] for row in klines(held(candles, **rates), startTime=opens[0])]

    assert times() == opens
    assert times(empty=1.0) == []
    doubled, shuffled = times(duplicates=1.0), times(**{"out-of-order": 1.0})
    assert sorted(doubled) == sorted([*opens, *opens])
    assert shuffled != opens
    assert sorted(shuffled) == opens


def test_a_corrected_bar_is_sound_at_first_and_right_two_bars_later():
    candles = traded(300, 2)
    tape = held(candles, correction=0.3)
    topic, step, wrong = Topic("BTC/USDT", Interval("1m")), 60_000, 0
    for row in bars_of(candles)[:-2]:
        close = row.time + step
        at_once, later, corrected = (
            tape.page(topic, close + age, row.time, row.time, 1)[0] for age in (0, step, 2 * step)
        )
        assert tape.closed(topic, close - 1, close) == [at_once]
        assert at_once == later
        assert corrected == row
        assert (at_once.time, at_once.open, at_once.high, at_once.low) == row[:4]
        assert row.low <= at_once.close <= row.high
        assert 0 < at_once.volume <= row.volume
        wrong += at_once != row
    assert 0.2 < wrong / 298 < 0.4


def test_the_clock_that_is_told_may_be_late_and_is_never_early():
    tape = held(traded(30, 2), skew=0.5)
    told = {asked(Binance(tape), "api.binance.com/api/v3/time")["serverTime"] for _ in range(40)}
    assert told == {tape.now, tape.now - 10_000}
