"""Named features. Each value of a bar is a function of that bar and bars before it, never of one after.

A feature is a polars expression over a candle frame. Register your own and it can be named in any recipe; the shipped
contract `coincast.testing.check_feature` proves that it sees no future.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float

from .candles import Candles
from .errors import RecipeError
from .feed import Interval

# Expected ln(high / low)^2 of a driftless Brownian motion is 4 ln 2 times its variance (Parkinson 1980,
# "The extreme value method for estimating the variance of the rate of return", J. Business 53).
PARKINSON = 1.0 / (4.0 * np.log(2.0))


@dataclass(frozen=True)
class Feature:
    """A causal quantity of each bar.

    Args:
        name: how recipes call it.
        expression: made from the bar's interval, over the columns of a candle frame.
        warm_up: how many first bars have no value to trust; they become NaN.
        says: what it measures and in which unit, for the table of features.
    """

    name: str
    expression: Callable[[Interval], pl.Expr]
    warm_up: int
    says: str


FEATURES: dict[str, Feature] = {}


def register(feature: Feature) -> Feature:
    """Make a feature known by its name.

    Raises:
        RecipeError: another feature has that name.
    """
    if feature.name in FEATURES and FEATURES[feature.name] != feature:
        raise RecipeError(
            f"A feature named {feature.name!r} is registered already.",
            "A recipe would not say which one it means.",
            "Choose another name.",
        )
    FEATURES[feature.name] = feature
    return feature


def compute(candles: Candles, names: Sequence[str]) -> Float[np.ndarray, "bar feature"]:
    """The named features of every bar; NaN while a feature warms up.

    Raises:
        RecipeError: a name is not registered.
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise RecipeError(
            f"The feature {unknown[0]!r} is not registered.",
            "A recipe names its inputs so that it can be run again.",
            f"Choose among {', '.join(sorted(FEATURES))}, or register it.",
        )
    chosen = [FEATURES[name] for name in names]
    interval = candles.feed.interval
    frame = candles.frame.select(f.expression(interval).cast(pl.Float64).alias(f.name) for f in chosen)
    rows = frame.fill_null(np.nan).to_numpy().copy()
    for column, feature in enumerate(chosen):
        rows[: feature.warm_up, column] = np.nan
    return rows


def _log_return() -> pl.Expr:
    return pl.col("close").log().diff()


def _variance(decay: float) -> pl.Expr:
    """RiskMetrics: v[t] = decay v[t-1] + (1 - decay) r[t]^2, started at the first squared return."""
    return _log_return().pow(2).ewm_mean(alpha=1 - decay, adjust=False, ignore_nulls=True)


register(Feature("close", lambda _: pl.col("close"), 0, "closing price, quote currency"))
register(Feature("log_return", lambda _: _log_return(), 1, "ln(close / previous close)"))
register(
    Feature(
        "volatility_94",
        lambda _: _variance(0.94).sqrt(),
        20,
        "root of the squared log-returns' exponential average with decay 0.94 (RiskMetrics), per bar",
    )
)
