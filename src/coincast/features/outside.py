"""Features of outside series: mood, funding, the chain, other markets.

Each column steps when a value is published, so spans are days of the clock and not rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl

from ..feed import Interval
from .feature import Feature, bars_of, register


def _average(values: pl.Expr, interval: Interval, days: float) -> pl.Expr:
    """Exponential average whose weights halve in so many days."""
    return values.ewm_mean(half_life=timedelta(days=days) / interval.delta, adjust=True, ignore_nulls=True)


def _growth(series: str) -> Callable[[Interval], pl.Expr]:
    def expression(interval: Interval) -> pl.Expr:
        return (_average(pl.col(series), interval, 7) / _average(pl.col(series), interval, 30)).log()

    return expression


def _since_yesterday(series: str) -> Callable[[Interval], pl.Expr]:
    def expression(interval: Interval) -> pl.Expr:
        level = pl.col(series).log()
        return pl.when(level.is_not_null()).then(level.diff(bars_of(interval, 1)).fill_null(0.0))

    return expression


def _against_month(series: str) -> Callable[[Interval], pl.Expr]:
    return lambda interval: (pl.col(series) / _average(pl.col(series), interval, 30)).log()


def _funding(interval: Interval) -> pl.Expr:
    rate = pl.col("funding")
    # A millionth of a basis point: where all rates were 0, so is their ratio.
    return (rate / (_average(rate.abs(), interval, 30) + 1e-10)).clip(-5, 5)


for _feature in (
    Feature("fear_greed", lambda _: (pl.col("fear_greed") - 50) / 50, 0, "Fear & Greed index, scaled to -1 .. 1"),
    Feature(
        "fear_greed_mood",
        lambda i: (pl.col("fear_greed") - _average(pl.col("fear_greed"), i, 30)) / 50,
        0,
        "Fear & Greed index less its exponential average (half-life 30 days), in halves of its range",
    ),
    Feature("funding", _funding, 0, "funding rate / exponential average of its size (half-life 30 days), within 5"),
    Feature("mvrv", lambda _: pl.col("mvrv").log(), 0, "ln(market value / value when the coins last moved)"),
    *(
        Feature(f"{name}_growth", _growth(name), 0, f"ln(exponential average of {says}, half-life 7 days / 30 days)")
        for name, says in (
            ("hash_rate", "the hash rate"),
            ("active_addresses", "active addresses"),
            ("transactions", "transactions on the chain"),
        )
    ),
    *(
        Feature(f"{name}_return", _since_yesterday(name), 0, f"ln({says} / the same a day before); 0 in the first day")
        for name, says in (
            ("sp500", "S&P 500"),
            ("gold", "gold"),
            ("dollar", "US dollar index"),
            ("vix", "VIX"),
        )
    ),
    Feature("vix_level", _against_month("vix"), 0, "ln(VIX / its exponential average, half-life 30 days)"),
):
    register(_feature)
