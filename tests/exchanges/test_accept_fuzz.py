"""Whatever an exchange answers: no crash, and no bar taken that must not be."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from bench.proof.fuzz import FORMS, NOW, damaged, fuzzed, rows, sound
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.feed import Feed
from coincast.records import accept

FEED = Feed.parse("binance:BTC/USDT:1m")


@pytest.mark.proof
@pytest.mark.parametrize("name", FORMS)
def test_damaged_answers_through_ccxt_s_parsers(name, seed):
    tally = asyncio.run(fuzzed(name, 300, seed))
    assert tally.holds, tally


def test_the_damage_is_of_every_kind():
    """The proof would say nothing if bodies came through whole, or never did."""
    chance, body = random.Random(0), FORMS["binance"].body(rows(6, random.Random(0)))
    bodies = [damaged(body, chance) for _ in range(400)]
    assert 300 < len(set(bodies)) < 400


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, True),
        ({"low": 101.0}, False),
        ({"high": 99.0}, False),
        ({"low": 0.0}, False),
        ({"volume": -1.0}, False),
        ({"close": float("nan")}, False),
        ({"open": 1}, False),
        ({"time": NOW.replace(second=1) - timedelta(minutes=9)}, False),
        ({"time": NOW.replace(second=0)}, False),
    ],
)
def test_the_judge_of_the_proof_is_strict(changes, right):
    bar = {"time": NOW.replace(second=0) - timedelta(minutes=9), "low": 99.0, "high": 101.0, "volume": 0.0}
    assert sound(bar | {"open": 100.0, "close": 100.0} | changes) is right


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=40,
)
stamps = st.integers(0, 20).map(lambda n: int((NOW.replace(second=0) - timedelta(minutes=n)).timestamp() * 1000))
prices = st.floats(0.5, 2.0)
nearly = st.lists(st.tuples(stamps | st.integers(), prices, prices, prices, prices, st.floats(-1, 5)), max_size=8)


@settings(max_examples=150)
@given(answer=anything | nearly)
def test_no_answer_breaks_accept(answer):
    told = accept(FEED, answer, NOW, "anyone")
    assert all(sound(row) for row in told.records.frame.iter_rows(named=True))
    assert set(told.refused) <= {"malformed", "impossible", "off grid", "unclosed"}


@given(minutes=st.integers(-5, 5), late=st.integers(0, 120))
def test_a_bar_is_taken_from_its_close_on(minutes, late):
    opened = datetime(2024, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=minutes)
    seen_at = opened + timedelta(seconds=late)
    told = accept(FEED, [[int(opened.timestamp() * 1000), 1, 1, 1, 1, 0]], seen_at, "anyone")
    assert len(told.records) == (late >= 60)
