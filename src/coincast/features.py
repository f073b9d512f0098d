"""Named features. Each value of a bar is a function of that bar and bars before it, never of one after.

A feature is a polars expression over a candle frame. Register your own and it can be named in any recipe; the shipped
contract `coincast.testing.check_feature` proves that it sees no future. One that reads an outside series needs candles
to which `external.join` has joined it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Float

from .candles import SCHEMA, Candles
from .errors import RecipeError
from .feed import Interval

# Expected ln(high / low)^2 of a driftless Brownian motion is 4 ln 2 times its variance (Parkinson 1980,
# "The extreme value method for estimating the variance of the rate of return", J. Business 53).
PARKINSON = 1.0 / (4.0 * np.log(2.0))
# Added to variances: where nothing moves, they can be divided by and have a logarithm.
_STILL = 1e-8


@dataclass(frozen=True)
class Feature:
    """A causal quantity of each bar.

    Args:
        name: how recipes call it.
        expression: made from the bar's interval, over the columns of a candle frame. A value of an outside series is
            null until it is known.
        warm_up: how many first bars have no value to trust; they become NaN.
        says: what it measures and in which unit, for the table of features.
    """

    name: str
    expression: Callable[[Interval], pl.Expr]
    warm_up: int
    says: str

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The outside series it reads: its columns that are none of the candles' own."""
        return tuple(sorted(set(self.expression(Interval("1d")).meta.root_names()) - set(SCHEMA)))


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


def needs(names: Sequence[str]) -> tuple[str, ...]:
    """The outside series that these features read together.

    Raises:
        RecipeError: a name is not registered.
    """
    return tuple(sorted({series for feature in _named(names) for series in feature.needs}))


def compute(candles: Candles, names: Sequence[str]) -> Float[np.ndarray, "bar feature"]:
    """The named features of every bar; NaN while a feature warms up, and before its outside series starts.

    Raises:
        RecipeError: a name is not registered, or a feature reads an outside series that the candles do not have.
    """
    chosen = _named(names)
    _demand_outside(candles, chosen)
    interval = candles.feed.interval
    # An average would carry a NaN on for ever; a null it leaves out.
    known = candles.frame.with_columns(pl.col(candles.outside).fill_nan(None))
    frame = known.select(f.expression(interval).cast(pl.Float64).alias(f.name) for f in chosen)
    rows = frame.fill_null(np.nan).to_numpy().copy()
    for column, feature in enumerate(chosen):
        rows[: feature.warm_up, column] = np.nan
    return rows


def _named(names: Sequence[str]) -> list[Feature]:
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise RecipeError(
            f"The feature {unknown[0]!r} is not registered.",
            "A recipe names its inputs so that it can be run again.",
            f"Choose among {', '.join(sorted(FEATURES))}, or register it.",
        )
    return [FEATURES[name] for name in names]


def _demand_outside(candles: Candles, chosen: Sequence[Feature]) -> None:
    for feature in chosen:
        missing = [series for series in feature.needs if series not in candles.outside]
        if missing:
            raise RecipeError(
                f"The feature {feature.name!r} reads the outside series {missing[0]!r}, which these candles of"
                f" {candles.feed} do not have.",
                "It would have no value at any bar.",
                f"Get it with `coincast fetch {missing[0]}` and add --outside {missing[0]}.",
            )


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


def _range_variance() -> pl.Expr:
    return PARKINSON * (pl.col("high") / pl.col("low")).log().pow(2)


def _range_volatility(decay: float) -> Feature:
    """A bar that did not move does not make it 0: it is an average."""

    def expression(_: Interval) -> pl.Expr:
        return (_range_variance().ewm_mean(alpha=1 - decay, adjust=True, ignore_nulls=True) + _STILL).sqrt()

    name = f"range_volatility_{round(100 * decay)}"
    return Feature(name, expression, 20, f"root of Parkinson's range variance, exponential average, decay {decay}")


register(Feature("range_variance", lambda _: _range_variance() + _STILL, 0, "Parkinson's range variance of the bar"))
for _decay in (0.8, 0.85, 0.9, 0.95):
    register(_range_volatility(_decay))


# The inputs of lstm-t. Averages are normalised by their weights, so that the start needs no guess; after MIX_WARM_UP
# bars they can be trusted.
MIX_WARM_UP = 60


def _log_volatility(variance: pl.Expr, decay: float) -> pl.Expr:
    """Logarithm of the root of a variance's exponential average."""
    return (variance.ewm_mean(alpha=1 - decay, adjust=True, ignore_nulls=True) + _STILL).log() / 2


def _log_mix() -> pl.Expr:
    """Half from the ranges of the last days, half from the returns of the last weeks."""
    return (_log_volatility(_range_variance(), 0.8) + _log_volatility(_log_return().pow(2), 0.97)) / 2


def _shock() -> pl.Expr:
    return (_log_return() / _log_mix().shift(1).exp()).clip(-5, 5)


def _volume_surprise() -> pl.Expr:
    volume = pl.col("volume").log1p()
    return (volume - volume.ewm_mean(alpha=0.1, adjust=True).shift(1)).clip(-2, 2)


def _bars(interval: Interval, days: float) -> int:
    return max(1, interval.bars(timedelta(days=days)))


def _week(interval: Interval) -> pl.Expr:
    """How much of the week has passed when the next bar opens, 0 on Monday at 00:00."""
    opens = pl.col("time") + interval.delta
    return (opens - opens.dt.truncate("1w")).dt.total_seconds() / timedelta(weeks=1).total_seconds()


def _against_mix(name: str, variance: Callable[[], pl.Expr], decay: float, says: str) -> Feature:
    def expression(_: Interval) -> pl.Expr:
        return (_log_volatility(variance(), decay) - _log_mix()).clip(-2.5, 2.5)

    return Feature(name, expression, MIX_WARM_UP, f"ln(volatility of {says} / volatility_mix), within 2.5")


def _square_return() -> pl.Expr:
    return _log_return().pow(2)


for _feature in (
    Feature(
        "volatility_mix",
        lambda _: _log_mix().exp(),
        MIX_WARM_UP,
        "geometric mean of Parkinson's range volatility (exponential average, decay 0.8) and of the returns' (0.97)",
    ),
    Feature("shock", lambda _: _shock(), MIX_WARM_UP, "log-return / volatility_mix of the bar before, within 5"),
    Feature("shock_size", lambda _: _shock().abs(), MIX_WARM_UP, "absolute value of shock"),
    _against_mix("returns_70", _square_return, 0.7, "returns, decay 0.7"),
    _against_mix("returns_94", _square_return, 0.94, "returns, decay 0.94"),
    _against_mix("returns_985", _square_return, 0.985, "returns, decay 0.985"),
    _against_mix("range_0", _range_variance, 0.0, "this bar's range"),
    _against_mix("range_70", _range_variance, 0.7, "ranges, decay 0.7"),
    _against_mix("range_90", _range_variance, 0.9, "ranges, decay 0.9"),
    _against_mix("range_985", _range_variance, 0.985, "ranges, decay 0.985"),
    Feature(
        "volume_surprise",
        lambda _: _volume_surprise(),
        MIX_WARM_UP,
        "ln(1 + volume) less its exponential average (decay 0.9) one bar before, within 2",
    ),
    Feature(
        "week_sine",
        lambda i: (_week(i) * 2 * np.pi).sin(),
        0,
        "sine of the part of the week gone by as the next bar opens",
    ),
    Feature("week_cosine", lambda i: (_week(i) * 2 * np.pi).cos(), 0, "cosine of the same"),
    Feature(
        "weekend",
        lambda i: (_week(i) >= 5 / 7).cast(pl.Float64),
        0,
        "1 if the next bar opens on a Saturday or Sunday (UTC), 0 if not",
    ),
):
    register(_feature)


# Of the last day, week and month, whatever a bar's length (Corsi 2009, in `models/har_t.py`).


def _range_average(interval: Interval, days: float) -> pl.Expr:
    return (_range_variance() + _STILL).rolling_mean(_bars(interval, days), min_samples=1)


def _log_range(days: float) -> Callable[[Interval], pl.Expr]:
    return lambda interval: _range_average(interval, days).log() / 2


def _opens_on(weekday: int) -> Callable[[Interval], pl.Expr]:
    return lambda interval: (_week(interval) * 7).floor().eq(weekday).cast(pl.Float64)


for _feature in (
    Feature(
        "range_volatility_30d",
        lambda i: _range_average(i, 30).sqrt(),
        30,
        "root of Parkinson's range variance, average of the last 30 days, per bar",
    ),
    Feature("range_day", _log_range(1), 0, "logarithm of the same over the last day"),
    Feature("range_week", _log_range(7), 7, "logarithm of the same over the last week"),
    Feature("range_month", _log_range(30), 30, "logarithm of the same over the last 30 days"),
    Feature("saturday", _opens_on(5), 0, "1 if the next bar opens on a Saturday (UTC), 0 if not"),
    Feature("monday", _opens_on(0), 0, "1 if the next bar opens on a Monday (UTC), 0 if not"),
):
    register(_feature)


# From outside series. Each column steps when a value is published, so spans are days of the clock and not rows.


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
        return pl.when(level.is_not_null()).then(level.diff(_bars(interval, 1)).fill_null(0.0))

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
