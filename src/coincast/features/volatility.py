"""How far a price moved: returns, ranges, their averages, and how today's differ from last week's.

A bar that was filled in moved nowhere because nobody saw it, not because the market stood still: averages pass it over,
and stay what they were until the next bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from ..feed import Interval
from .feature import Feature, bars_of, register

# Expected ln(high / low)^2 of a driftless Brownian motion is 4 ln 2 times its variance (Parkinson 1980,
# "The extreme value method for estimating the variance of the rate of return", J. Business 53).
PARKINSON = 1.0 / (4.0 * np.log(2.0))
# Added to variances: where nothing moves, they can be divided by and have a logarithm.
STILL = 1e-8


def _log_return() -> pl.Expr:
    return pl.col("close").log().diff()


def _filled() -> pl.Expr:
    return ~pl.col("observed") & (pl.col("volume") == 0)


def _square_return() -> pl.Expr:
    """Null where a bar was filled in."""
    return pl.when(~_filled()).then(_log_return().pow(2))


def exponential_average(values: pl.Expr, decay: float) -> pl.Expr:
    """An exponential average, normalised by its weights, so that its start needs no guess."""
    return values.ewm_mean(alpha=1 - decay, adjust=True, ignore_nulls=True).forward_fill()


def _variance(decay: float) -> pl.Expr:
    """RiskMetrics: v[t] = decay v[t-1] + (1 - decay) r[t]^2, started at the first squared return."""
    return _square_return().ewm_mean(alpha=1 - decay, adjust=False, ignore_nulls=True).forward_fill()


register(Feature("close", lambda _: pl.col("close"), 0, "closing price, quote currency"))
register(Feature("log_return", lambda _: _log_return(), 1, "ln(close / previous close)"))
register(
    Feature(
        "filled",
        lambda _: _filled().cast(pl.Float64),
        0,
        "1 where a bar is missing and nobody lent it: the price before it is carried on; else 0",
    )
)
register(
    Feature(
        "volatility_94",
        lambda _: _variance(0.94).sqrt(),
        20,
        "root of the squared log-returns' exponential average with decay 0.94 (RiskMetrics), per bar",
    )
)


def range_variance() -> pl.Expr:
    """Parkinson's estimate of a bar's variance; 0 where high and low are one, null where the bar was filled in."""
    return pl.when(~_filled()).then(PARKINSON * (pl.col("high") / pl.col("low")).log().pow(2))


def _range_volatility(decay: float) -> Feature:
    """A bar that did not move does not make it 0: it is an average."""

    def expression(_: Interval) -> pl.Expr:
        return (exponential_average(range_variance(), decay) + STILL).sqrt()

    name = f"range_volatility_{round(100 * decay)}"
    return Feature(name, expression, 20, f"root of Parkinson's range variance, exponential average, decay {decay}")


register(
    Feature(
        "range_variance",
        lambda _: range_variance().forward_fill() + STILL,
        0,
        "Parkinson's range variance of the bar; where it was filled in, of the last that was not",
    )
)
for _decay in (0.8, 0.85, 0.9, 0.95):
    register(_range_volatility(_decay))


# The inputs of lstm-t. After so many bars their averages can be trusted.
MIX_WARM_UP = 60


def _log_volatility(variance: pl.Expr, decay: float) -> pl.Expr:
    """Logarithm of the root of a variance's exponential average."""
    return (exponential_average(variance, decay) + STILL).log() / 2


def log_mix() -> pl.Expr:
    """Logarithm of `volatility_mix`: half from the ranges of the last days, half from the returns of the last weeks."""
    return (_log_volatility(range_variance(), 0.8) + _log_volatility(_square_return(), 0.97)) / 2


def _shock() -> pl.Expr:
    return (_log_return() / log_mix().shift(1).exp()).clip(-5, 5)


def _volume_surprise() -> pl.Expr:
    volume = pl.when(~_filled()).then(pl.col("volume").log1p())
    return (volume - exponential_average(volume, 0.9).shift(1)).clip(-2, 2).fill_null(0.0)


def _against_mix(name: str, variance: Callable[[], pl.Expr], decay: float, says: str) -> Feature:
    def expression(_: Interval) -> pl.Expr:
        return (_log_volatility(variance(), decay) - log_mix()).clip(-2.5, 2.5)

    return Feature(name, expression, MIX_WARM_UP, f"ln(volatility of {says} / volatility_mix), within 2.5")


for _feature in (
    Feature(
        "volatility_mix",
        lambda _: log_mix().exp(),
        MIX_WARM_UP,
        "geometric mean of Parkinson's range volatility (exponential average, decay 0.8) and of the returns' (0.97)",
    ),
    Feature("shock", lambda _: _shock(), MIX_WARM_UP, "log-return / volatility_mix of the bar before, within 5"),
    Feature("shock_size", lambda _: _shock().abs(), MIX_WARM_UP, "absolute value of shock"),
    _against_mix("returns_70", _square_return, 0.7, "returns, decay 0.7"),
    _against_mix("returns_94", _square_return, 0.94, "returns, decay 0.94"),
    _against_mix("returns_985", _square_return, 0.985, "returns, decay 0.985"),
    _against_mix("range_0", range_variance, 0.0, "this bar's range"),
    _against_mix("range_70", range_variance, 0.7, "ranges, decay 0.7"),
    _against_mix("range_90", range_variance, 0.9, "ranges, decay 0.9"),
    _against_mix("range_985", range_variance, 0.985, "ranges, decay 0.985"),
    Feature(
        "volume_surprise",
        lambda _: _volume_surprise(),
        MIX_WARM_UP,
        "ln(1 + volume) less its exponential average (decay 0.9) one bar before, within 2",
    ),
):
    register(_feature)


def of_day_week_month(name: str, variance: Callable[[], pl.Expr], says: str) -> Iterator[Feature]:
    """A variance's averages over the last day, week and month, whatever a bar's length: their roots' logarithms, and
    the root of the month's (Corsi 2009, in `models/har_t.py`).
    """

    def average(interval: Interval, days: float) -> pl.Expr:
        return variance().rolling_mean(bars_of(interval, days), min_samples=1).forward_fill()

    def logarithm(days: float) -> Callable[[Interval], pl.Expr]:
        return lambda interval: average(interval, days).log() / 2

    root = f"root of {says}, average of the last 30 days, per bar"
    yield Feature(f"{name}_volatility_30d", lambda interval: average(interval, 30).sqrt(), 30, root)
    yield Feature(f"{name}_day", logarithm(1), 0, "logarithm of the same over the last day")
    yield Feature(f"{name}_week", logarithm(7), 7, "logarithm of the same over the last week")
    yield Feature(f"{name}_month", logarithm(30), 30, "logarithm of the same over the last 30 days")


for _feature in of_day_week_month("range", lambda: range_variance() + STILL, "Parkinson's range variance"):
    register(_feature)
