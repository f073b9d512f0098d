"""Volatilities of the last day, week and month by realised variance, and by ranges where there is none yet."""

from __future__ import annotations

import polars as pl

from .feature import register
from .volatility import STILL, of_day_week_month, range_variance


def _variance() -> pl.Expr:
    return pl.coalesce(pl.col("realised_variance"), range_variance() + STILL)


for _feature in of_day_week_month("realised", _variance, "the realised variance, of ranges where there is none"):
    register(_feature)
