"""Where a bar lies in the week, and how lively that part of the week is.

The season is after Andersen and Bollerslev 1997, "Intraday periodicity and volatility persistence in financial
markets", J. Empirical Finance 4: a week is as many slots as it has bars, and a slot's profile is how wide its bars were
beside the week before each, averaged over past weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import accumulate
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from ..feed import Interval
from .feature import Feature, bars_of, register
from .volatility import MIX_WARM_UP, STILL, exponential_average, log_mix, range_variance

WEEK = timedelta(weeks=1)
# Weeks in which a past bar loses half its weight in the profile of its slot.
HALF_LIFE = 26.0
# Weeks of an even profile that the one found is mixed with, so that a few bars do not shape it.
STRENGTH = 4.0


def _week(interval: Interval) -> pl.Expr:
    """How much of the week has passed when the next bar opens, 0 on Monday at 00:00."""
    opens = pl.col("time") + interval.delta
    return (opens - opens.dt.truncate("1w")).dt.total_seconds() / WEEK.total_seconds()


def _opens_on(weekday: int) -> Callable[[Interval], pl.Expr]:
    return lambda interval: (_week(interval) * 7).floor().eq(weekday).cast(pl.Float64)


def profile(variance: Float[np.ndarray, " bar"], bars: int) -> Float[np.ndarray, " bar"]:
    """How wide the slot of each bar is beside the average slot, the bar itself and those before it known.

    Args:
        variance: of each bar; NaN where it was not observed.
        bars: slots in a week.
    """
    seen = np.isfinite(variance)
    decay = 1 - 1 / (bars + 1)
    weight = _faded(seen.astype(float).tolist(), decay)[:-1]
    total = _faded(np.where(seen, variance, 0.0).tolist(), decay)[:-1]
    usual = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
    width = np.sqrt(variance[1:] / usual)
    known = np.isfinite(width)
    widths = _along_slots(np.where(known, width, 0.0), bars)
    found = (widths + STRENGTH) / (_along_slots(known.astype(float), bars) + STRENGTH)
    squares = np.cumsum(np.concatenate([np.ones(bars + 1), found**2]))
    return np.concatenate([[1.0], found / np.sqrt((squares[bars + 1 :] - squares[1:-bars]) / bars)])


def _along_slots(values: Float[np.ndarray, " bar"], bars: int) -> Float[np.ndarray, " bar"]:
    """Each value and those of its slot before it, each older week counting less."""
    weeks = np.pad(values, (0, -len(values) % bars)).reshape(-1, bars)
    return _faded(weeks, 0.5 ** (1 / HALF_LIFE)).ravel()[: len(values)]


def _faded(values: Iterable[Any], decay: float) -> Float[np.ndarray, "value ..."]:
    """Each value and all before it, `decay` times less for every step they lie back."""
    return np.array(list(accumulate(values, lambda past, value: value + decay * past)))


def _season(interval: Interval, skipped: int, counted: int) -> pl.Expr:
    """Root mean square of the profile over `counted` bars after the first `skipped` ones that follow; 1 in the first
    week. Each is that of the same slot a week before.
    """
    bars = bars_of(interval, 7)
    variance = pl.when("observed").then(range_variance() + STILL)
    known = variance.map_batches(lambda bar: pl.Series(profile(bar.to_numpy(), bars)), return_dtype=pl.Float64)
    mean_square = known.pow(2).rolling_mean(counted, min_samples=1)
    return mean_square.shift(bars - skipped - counted).fill_null(1.0).log() / 2


def _typical(decay: float) -> Feature:
    """One wide bar moves a mean of logarithms little, and a lively hour is no lively day."""

    def expression(interval: Interval) -> pl.Expr:
        logarithm = (range_variance() + STILL).log() / 2 - _season(interval, -1, 1)
        return (exponential_average(logarithm, decay) - log_mix()).clip(-2.5, 2.5)

    says = f"ln(geometric mean of ranges, the week taken out, decay {decay} / volatility_mix), within 2.5"
    return Feature(f"typical_{round(100 * decay)}", expression, MIX_WARM_UP, says)


for _feature in (
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
    Feature("saturday", _opens_on(5), 0, "1 if the next bar opens on a Saturday (UTC), 0 if not"),
    Feature("monday", _opens_on(0), 0, "1 if the next bar opens on a Monday (UTC), 0 if not"),
    Feature(
        "season_now",
        lambda i: _season(i, -1, 1),
        0,
        "ln(how wide bars at this time of the week are / the average bar), from the ranges of past weeks",
    ),
    Feature("season_next", lambda i: _season(i, 0, 1), 0, "the same of the next bar"),
    Feature("season_day", lambda i: _season(i, 0, bars_of(i, 1)), 0, "the same of the next day, its root mean square"),
    *map(_typical, (0.7, 0.9, 0.98)),
):
    register(_feature)
