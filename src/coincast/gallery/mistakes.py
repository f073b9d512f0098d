"""Sixteen mistakes, each in the place of one stage of `tutorial.py`.

They are written the way such code is met, and read as if nothing were wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from ..windows import Scaler
from .learners import Model, RowNumbers, Rows
from .tutorial import (
    Score,
    Settings,
    Table,
    Values,
    declare,
    length,
    min_max,
    split,
    tabulate,
    tell,
)

# Share of the rows that a shuffled split tests on.
TEST_SHARE = 0.2
# Rows of a tiny test.
TINY = 30
# Bars of a recursive path.
PATH = 30


def scale_everything(values: Values, _rows: Rows) -> Scaler:
    """The smallest value becomes 0, the largest 1."""
    return min_max(values)


def split_shuffled(table: Table, _test_from: datetime, settings: Settings) -> Rows:
    """A fifth of all rows, drawn at random, is the test."""
    rows = np.random.default_rng(0).permutation(table.usable(settings.lookback)[: -table.horizon])
    tested = round(len(rows) * TEST_SHARE)
    judged = tested + round((len(rows) - tested) * settings.validation)
    return Rows(rows[judged:], rows[tested:judged], np.sort(rows[:tested]))


def split_touching(table: Table, test_from: datetime, settings: Settings) -> Rows:
    """All rows before the first one of the test are there to learn from."""
    usable, test = table.usable(settings.lookback), split(table, test_from, settings).test
    before = usable[usable < test[0]]
    first = round(len(before) * (1 - settings.validation))
    return Rows(before[:first], before[first:], test)


def features_of_the_day(table: Table) -> Values:
    """Yesterday's close, and of the day itself the high, the low and the mean of its week."""
    week = pl.col("close").rolling_mean(7, min_samples=1).alias("week")
    day = table.rows.select(pl.col("close").shift(table.horizon), "high", "low", week)
    return day.select(pl.all().forward_fill()).to_numpy()


def clean_and_denoise(candles: pl.DataFrame, now: datetime, horizon: int) -> Table:
    """The bars that have closed by now, each close smoothed with the two on either side of it."""
    closed = candles.filter(pl.col("time") + length(candles["time"]) <= now)
    smooth = pl.col("close").rolling_mean(5, center=True, min_samples=1)
    return tabulate(closed.with_columns(smooth), horizon)


def split_not_at_all(table: Table, _test_from: datetime, settings: Settings) -> Rows:
    """Learn from the rows there are, forecast the rows there are."""
    rows = table.usable(settings.lookback)[: -table.horizon]
    first = round(len(rows) * (1 - settings.validation))
    return Rows(rows[:first], rows[first:], rows)


def claim_the_level(score: Score) -> Mapping[str, float]:
    """How much of the price's variance is explained, and how small the error is."""
    return {"r2": score.own.r2 or 0.0, "mape": score.own.mape}


def report_scaled(
    table: Table, rows: RowNumbers, said: Float[np.ndarray, "window step"], scaled: Values, _scaler: Scaler
) -> pl.DataFrame:
    """Forecasts and truths."""
    return tell(table, rows, said, scaled[:, -1])


def split_stopped_by_the_test(table: Table, test_from: datetime, settings: Settings) -> Rows:
    """Learn from every row before the test, with the test as validation data."""
    train, validation, test = split(table, test_from, settings)
    return Rows(np.concatenate([train, validation]), test, test)


def split_a_month(table: Table, _test_from: datetime, settings: Settings) -> Rows:
    """The last month is the test."""
    rows = table.usable(settings.lookback)[: -table.horizon]
    before = rows[:-TINY]
    first = round(len(before) * (1 - settings.validation))
    return Rows(before[:first], before[first:], rows[-TINY:])


def predict_a_month(model: Model, x: Float[np.ndarray, "window lookback feature"]) -> Float[np.ndarray, "window step"]:
    """From the first window on, each forecast is read as if it had come true."""
    x, path = x[:1], []
    for _ in range(PATH):
        path.append(model(x))
        x = np.concatenate([x[:, 1:], path[-1][:, None, None]], axis=1)
    return np.stack(path, axis=1)


def clean_as_it_comes(candles: pl.DataFrame, _now: datetime, horizon: int) -> Table:
    """The bars as the exchange tells them."""
    return tabulate(candles, horizon)


def features_of_another_source(table: Table) -> Values:
    """Yesterday's close by a source whose days end at midnight in New York, joined by date."""
    local = table.candles.with_columns(pl.col("time").dt.convert_time_zone("America/New_York"))
    days = local.group_by_dynamic("time", every="1d").agg(pl.last("close"))
    dated = days.select("close", date=pl.col("time").dt.date())
    wanted = table.rows.select(date=(pl.col("closes") - table.step).dt.date())
    joined = wanted.join(dated, on="date", how="left", maintain_order="left")
    return joined.select(pl.col("close").shift(table.horizon)).to_numpy()


def target_shifted(table: Table) -> Float[np.ndarray, " row"]:
    """The close one bar on."""
    return table.rows["close"].shift(1).to_numpy()


def declare_the_living(symbol: str, test_from: date, today: date) -> Mapping[str, Any]:
    """The coins that are worth looking at today."""
    coins = tuple(dict.fromkeys([symbol, "BTC/USDT", "ETH/USDT", "BNB/USDT", "SOL/USDT", "XRP/USDT"]))
    return {**declare(symbol, test_from, today), "universe": coins, "universe_as_of": today}


def train_elsewhere(scaled: Values, rows: Rows, settings: Settings) -> Model:
    """What someone does who publishes weights: learn from every row there is."""
    every = np.concatenate(rows)
    first = round(len(every) * (1 - settings.validation))
    everything = Rows(every[:first], every[first:], rows.test)
    return settings.learner.fit(scaled[:, :-1], scaled[:, -1], everything, settings.lookback)


def fit_nothing(_scaled: Values, _rows: Rows, _settings: Settings, *, weights: Model) -> Model:
    """Take the weights that someone has published."""
    return weights
