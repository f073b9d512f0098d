"""Volatilities of the last day, week and month by realised variance, and by ranges where there is none yet."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ..feed import Interval
from .feature import Feature, bars_of, register
from .volatility import STILL, range_variance


def _average(interval: Interval, days: float) -> pl.Expr:
    told = pl.coalesce(pl.col("realised_variance"), range_variance() + STILL)
    return told.rolling_mean(bars_of(interval, days), min_samples=1)


def _log_realised(days: float) -> Callable[[Interval], pl.Expr]:
    return lambda interval: _average(interval, days).log() / 2


for _feature in (
    Feature(
        "realised_volatility_30d",
        lambda i: _average(i, 30).sqrt(),
        30,
        "root of the realised variance, of ranges where there is none, average of the last 30 days, per bar",
    ),
    Feature("realised_day", _log_realised(1), 0, "logarithm of the same over the last day"),
    Feature("realised_week", _log_realised(7), 7, "logarithm of the same over the last week"),
    Feature("realised_month", _log_realised(30), 30, "logarithm of the same over the last 30 days"),
):
    register(_feature)
