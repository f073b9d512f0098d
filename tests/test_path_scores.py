"""Scores of paths: what happened is read off the candles, and nothing is judged before its whole path has closed."""

import numpy as np
import polars as pl
import pytest

from coincast.candles import Candles
from coincast.errors import DataError
from coincast.path_scores import Drawdown, Touch, realised, reliability, score_extremes, score_question, settled
from coincast.paths import Paths, shuffle
from coincast.worlds import Law, draw
from made import candles_of, walk
from test_paths import fan

BARS = 5
QUESTIONS = (Touch(0.03, 3), Touch(-0.03, BARS), Touch(0.03, BARS, anywhere=True), Drawdown(0.04, BARS))


def market() -> tuple[Candles, Paths]:
    """A series with a hole, highs and lows 2 % from the body, and paths from some of its bars."""
    candles = candles_of(walk(1400, 1, 0.01), missing=[1333])
    seen = pl.col("observed")
    wicks = (
        pl.when(seen).then(pl.col("high") * 1.02).otherwise("high"),
        pl.when(seen).then(pl.col("low") * 0.98).otherwise("low"),
    )
    candles = Candles(candles.feed, candles.frame.with_columns(wicks))
    rows = [row for row in range(1300, 1400) if row != 1333]
    return candles, shuffle(fan(candles, rows), candles)


def test_only_whole_observed_paths_are_judged():
    candles, paths = market()
    kept = set(settled(paths, candles).origin)
    for origin in paths.origin:
        row = int(np.searchsorted(candles.known_at, origin))
        whole = row + BARS < len(candles) and candles.observed[row + 1 : row + BARS + 1].all()
        assert (origin in kept) == whole
    assert len(kept) == 99 - BARS - BARS


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.words)
def test_a_probability_is_held_to_what_the_candles_did(question):
    candles, paths = market()
    rows = score_question(paths, candles, question)
    assert rows.columns == ["model", "origin", "probability", "happened", "brier"]
    assert 0 < rows["happened"].mean() < 1
    for said in rows.iter_rows(named=True):
        after = candles.frame.filter(pl.col("time") >= said["origin"]).head(question.within)
        start = candles.frame.filter(pl.col("time") < said["origin"])["close"][-1]
        if isinstance(question, Drawdown):
            closes = [start, *after["close"]]
            happened = any(b <= (1 - question.depth) * a for n, a in enumerate(closes) for b in closes[n:])
        elif question.move > 0:
            happened = after["high" if question.anywhere else "close"].max() >= start * (1 + question.move)
        else:
            happened = after["close"].min() <= start * (1 + question.move)
        assert said["happened"] == happened
        assert said["brier"] == pytest.approx((said["probability"] - happened) ** 2)


def test_the_extremes_crps_is_twice_the_pinball_loss_at_the_mid_levels():
    candles, paths = market()
    rows = score_extremes(paths, candles, BARS)
    known = settled(paths, candles)
    levels = (np.arange(known.values.shape[1]) + 0.5) / known.values.shape[1]
    for name, values in (("drawdown", known.maximum_drawdown(BARS)), ("maximum", known.maximum(BARS))):
        off = rows[name].to_numpy()[:, None] - np.sort(values, axis=1)
        expected = 2 * np.maximum(levels * off, (levels - 1) * off).mean(axis=1)
        assert rows[f"{name}_crps"].to_numpy() == pytest.approx(expected)


def test_the_shuffle_is_calibrated_and_better_than_no_order_where_the_law_is_known():
    world = draw(Law(volatility=0.02, dof=1e6), 3500, seed=3).candles
    forecast = fan(world, range(1500, 3500, 2))
    paths = shuffle(forecast, world)
    values = np.random.default_rng(0).permuted(forecast.values, axis=2).transpose(0, 2, 1).copy()
    unordered = Paths(paths.feed, "unordered", paths.origin, paths.price, values)
    for question in QUESTIONS[:2] + QUESTIONS[3:]:
        ours, theirs = (score_question(p, world, question) for p in (paths, unordered))
        # Five origins of every ten wait for the same bars.
        error = ours["happened"].std() / np.sqrt(len(ours) / 3)
        assert ours["probability"].mean() == pytest.approx(ours["happened"].mean(), abs=3 * error)
        assert ours["brier"].mean() < theirs["brier"].mean()
    ours, theirs = (score_extremes(p, world, BARS) for p in (paths, unordered))
    assert ours["drawdown_crps"].mean() < 0.9 * theirs["drawdown_crps"].mean()


def test_reliability_puts_each_probability_into_its_tenth():
    said = [0.0, 0.05, 0.1, 0.55, 0.59, 1.0]
    rows = pl.DataFrame({"probability": said, "happened": [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]})
    table = reliability(rows)
    assert table["low"].to_list() == pytest.approx([0.0, 0.1, 0.5, 0.9])
    assert table["n"].to_list() == [2, 1, 2, 1]
    assert table["probability"].to_list() == pytest.approx([0.025, 0.1, 0.57, 1.0])
    assert table["happened"].to_list() == [0.5, 0.0, 0.5, 1.0]


def test_candles_of_another_price_judge_nothing():
    candles, paths = market()
    other = Candles(candles.feed, candles.frame.with_columns(pl.col("open", "high", "low", "close") * 2))
    with pytest.raises(DataError, match="started from"):
        score_question(paths, other, QUESTIONS[0])


def test_a_path_without_any_settled_origin_is_scored_as_an_empty_table():
    candles, paths = market()
    last = paths.take(paths.origin == paths.origin[-1])
    assert score_question(last, candles, QUESTIONS[0]).height == 0
    assert realised(settled(paths, candles), candles).values.shape == (89, 1, BARS)
