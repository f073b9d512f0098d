"""Where a model errs: its largest misses, what its errors remember, whether it repeats the past, and when it won."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float
from statsmodels.tsa.stattools import acf

from .candles import Candles
from .scores import BANDS
from .summaries import Group, groups, with_reference
from .truth import rows_at


def largest_misses(scores: pl.DataFrame, count: int = 10) -> pl.DataFrame:
    """The `count` forecasts of each model and horizon with the largest CRPS, worst first.

    Returns:
        `model, horizon, origin, target_time, truth, median, lo50 .. hi95, pit, crps`, as `score` gives them.
    """
    bands = [f"{end}{band}" for band in BANDS for end in ("lo", "hi")]
    return (
        scores.drop_nulls("crps")
        .sort("crps", descending=True, maintain_order=True)
        .group_by("model", "horizon", maintain_order=True)
        .head(count)
        .select("model", "horizon", "origin", "target_time", "truth", "median", *bands, "pit", "crps")
    )


def residual_autocorrelation(scores: pl.DataFrame, lags: int = 10) -> pl.DataFrame:
    """What a model's errors (truth - median, log-returns) remember of their past.

    At horizons over 1 neighbouring errors share bars, so the first h - 1 lags are large for the best of models.

    Returns:
        `model, horizon, lag, autocorrelation, band`: outside +- band an autocorrelation is significant at 5 % if none
        beyond its lag exists (Bartlett's formula). No rows for errors that are too few or all equal.
    """
    parts = [_autocorrelation(group, lags) for group in groups(scores)]
    return pl.concat([_AUTOCORRELATION.to_frame(), *parts])


_AUTOCORRELATION = pl.Schema(
    {
        "model": pl.String(),
        "horizon": pl.Int32(),
        "lag": pl.Int32(),
        "autocorrelation": pl.Float64(),
        "band": pl.Float64(),
    }
)


def _autocorrelation(group: Group, lags: int) -> pl.DataFrame:
    residuals = (group.rows["truth"] - group.rows["median"]).to_numpy()
    if len(residuals) <= lags or np.ptp(residuals) == 0:
        return _AUTOCORRELATION.to_frame()
    memory = acf(residuals, nlags=lags, alpha=0.05, bartlett_confint=True, result_object=True)
    return pl.DataFrame(
        {
            "model": [group.model] * lags,
            "horizon": [group.horizon] * lags,
            "lag": np.arange(1, lags + 1),
            "autocorrelation": memory.acf[1:],
            "band": (memory.confint[:, 1] - memory.acf)[1:],
        },
        schema=_AUTOCORRELATION,
    )


@dataclass(frozen=True)
class LagIllusion:
    """Whether a price forecast is a forecast or an echo. A correlation with a constant is None.

    Args:
        model: the forecaster's name.
        horizon: intervals ahead.
        with_target: correlation of the forecast price with the price it was made for: what the famous plots show.
        with_origin: its correlation with the price it was made from: larger, for an echo.
        shifts: correlation with the price s intervals before the target, by s from 0.
        best_shift: the s of the largest: the horizon itself, for an echo.
        of_change: correlation of the forecast log-return with the true one: what a forecast of the price needs.
    """

    model: str
    horizon: int
    with_target: float | None
    with_origin: float | None
    shifts: Mapping[int, float | None]
    best_shift: int | None
    of_change: float | None


def lag_illusion(scores: pl.DataFrame, candles: Candles) -> list[LagIllusion]:
    """Compare each model's price forecasts with the price at their target and at the bars before it.

    Raises:
        DataError: the candles do not hold every origin.
    """
    return [_illusion(group, candles) for group in groups(scores)]


def _illusion(group: Group, candles: Candles) -> LagIllusion:
    horizon = group.horizon
    predicted = group.rows["predicted"].to_numpy()
    target = rows_at(group.rows["origin"].dt.replace_time_zone(None).to_numpy(), candles) + horizon
    furthest = min(horizon + 3, int(target.min()))
    shifts = {s: _correlation(predicted, candles.close[target - s]) for s in range(furthest + 1)}
    known = {s: value for s, value in shifts.items() if value is not None}
    return LagIllusion(
        model=group.model,
        horizon=horizon,
        with_target=shifts[0],
        with_origin=shifts[horizon],
        shifts=shifts,
        best_shift=max(known, key=known.__getitem__) if known else None,
        of_change=_correlation(group.rows["median"].to_numpy(), group.rows["truth"].to_numpy()),
    )


def _correlation(a: Float[np.ndarray, " forecast"], b: Float[np.ndarray, " forecast"]) -> float | None:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def cumulative_difference(scores: pl.DataFrame, reference: str) -> pl.DataFrame:
    """How the lead over the reference grew: `model, horizon, target_time, difference`.

    The difference is the sum so far of CRPS - the reference's over the origins both have; it falls where the model
    wins. Goyal and Welch (2008), "A comprehensive look at the empirical performance of equity premium prediction",
    Review of Financial Studies 21, draw it so.
    """
    group = ["model", "horizon"]
    difference = pl.col("crps") - pl.col("reference_crps")
    return (
        with_reference(scores, reference)
        .filter(pl.col("model") != reference)
        .drop_nulls("reference_crps")
        .sort("origin", maintain_order=True)
        .select(*group, "target_time", difference.cum_sum().over(group).alias("difference"))
    )


def rolling_coverage(scores: pl.DataFrame, window: int) -> pl.DataFrame:
    """Share of the last `window` forecasts whose band held: `model, horizon, target_time, coverage50 .. coverage95`.

    Starts with the `window`-th forecast of each model and horizon; models without bands have no rows.
    """
    group = ["model", "horizon"]
    held = [
        pl.col(f"hit{band}").cast(pl.Float64).rolling_mean(window).over(group).alias(f"coverage{band}")
        for band in BANDS
    ]
    rolled = scores.drop_nulls("pit").sort("origin", maintain_order=True).select(*group, "target_time", *held)
    return rolled.drop_nulls(f"coverage{BANDS[0]}")
