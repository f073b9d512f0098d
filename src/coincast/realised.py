"""Realised variance: what finer bars say of how far the price moved within each bar.

T. G. Andersen, T. Bollerslev, F. X. Diebold and P. Labys, "Modeling and forecasting realized volatility", Econometrica
71 (2003). The sum is of Parkinson's range variances rather than of squared returns: ranges of the finer bars say more
(Christensen and Podolskij, "Realized range-based estimation of integrated variance", J. Econometrics 141, 2007).
"""

from __future__ import annotations

import polars as pl

from .candles import Candles
from .errors import DataError
from .features.volatility import STILL, range_variance

NAME = "realised_variance"
# Share of a bar's finer bars that must have been observed for their sum to speak for all of it.
ENOUGH = 0.8


def with_realised(candles: Candles, finer: Candles) -> Candles:
    """`candles` with the outside series `realised_variance`: of each bar, known when the bar is; NaN where too few of
    its finer bars were observed.

    Raises:
        DataError: `finer` are of another coin, or their bars do not divide those of `candles`.
    """
    step, fine = candles.feed.interval.delta, finer.feed.interval.delta
    if finer.feed.base != candles.feed.base or fine >= step or step % fine:
        raise DataError(
            f"{finer.feed} cannot tell what happened within a bar of {candles.feed}.",
            "Realised variance is a sum over shorter bars of the same coin.",
            f"Pass candles of {candles.feed.base} whose bars divide {candles.feed.interval}.",
        )
    variance = pl.when("observed").then(range_variance() + STILL)
    within = finer.frame.group_by(pl.col("time").dt.truncate(step)).agg(
        total=variance.sum(), seen=pl.col("observed").sum()
    )
    whole = step // fine
    told = within.filter(pl.col("seen") >= ENOUGH * whole).select(
        "time", (pl.col("total") * whole / pl.col("seen")).alias(NAME)
    )
    joined = candles.frame.join(told, on="time", how="left", maintain_order="left")
    return Candles(candles.feed, joined.with_columns(pl.col(NAME).fill_null(float("nan"))))
