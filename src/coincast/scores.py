"""Scores of single forecasts, each by its own truth; nothing is averaged here but what is an average by its name.

Distributions are judged on the log-return, points on the price. A ratio is a fraction, and what is undefined is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
import scoringrules
from jaxtyping import Float

from .candles import Candles
from .forecast import LEVELS, Forecast, K, to_frame
from .truth import rows_at, truth

BANDS = (50, 80, 95)
PINBALL = (5, 25, 50, 75, 95)

# scoringrules makes several temporary arrays of its input's size; this many rows of K values stay in the cache.
_CHUNK = 256

Series = Float[np.ndarray, " forecast"]


def score(forecast: Forecast, candles: Candles) -> pl.DataFrame:
    """Judge every forecast by its own truth.

    CRPS is twice the mean pinball loss at the K mid-levels (the quantile decomposition: Laio and Tamea 2007,
    Hydrol. Earth Syst. Sci. 11), PIT the level at which the truth falls between the values (Hazen's rule, as for
    quantiles), and never beyond the outer levels.

    Returns:
        One row an origin and horizon: `model, origin, target_time, horizon, price`, on the log-return `truth, median,
        crps, pinball05 .. pinball95, pit, lo50, hi50 .. hi95` and whether each band held, `hit50, hit80, hit95`; in
        quote currency `actual, predicted`. Null: every score without a truth; bands, hits and PIT of a forecast that
        is one value repeated.

    Raises:
        DataError: the candles are not those the forecast was made from.
    """
    known = truth(forecast, candles)
    quantiles = np.quantile(forecast.values, [q / 100 for q in PINBALL], axis=-1, method="hazen")
    columns = {
        "truth": known,
        "median": forecast.median,
        "crps": crps(known, forecast.values),
        **{
            f"pinball{q:02d}": scoringrules.quantile_score(known, values, q / 100)
            for q, values in zip(PINBALL, quantiles, strict=True)
        },
        "pit": _pit(known, forecast.values),
        **_bands(forecast.values),
        "actual": _closes(forecast, candles, known),
        "predicted": forecast.price[:, None] * np.exp(forecast.median),
    }
    rows = to_frame(forecast).select("model", "origin", "target_time", "horizon", "price")
    judged = rows.with_columns(pl.Series(name, values.ravel()).fill_nan(None) for name, values in columns.items())
    return judged.with_columns(
        pl.col("truth").is_between(f"lo{band}", f"hi{band}").alias(f"hit{band}") for band in BANDS
    )


def _closes(
    forecast: Forecast, candles: Candles, known: Float[np.ndarray, "origin horizon"]
) -> Float[np.ndarray, "origin horizon"]:
    """The price each known truth leads to, as it was traded and not as exp and ln round it."""
    rows = rows_at(forecast.origin, candles)[:, None] + np.array(forecast.horizons)
    return np.where(np.isnan(known), np.nan, np.take(candles.close, rows, mode="clip"))


def crps(
    known: Float[np.ndarray, "origin horizon"], values: Float[np.ndarray, "origin horizon K"]
) -> Float[np.ndarray, "origin horizon"]:
    """Twice the mean pinball loss of sorted values at the K mid-levels; NaN without a truth."""
    out = np.empty_like(known)
    for start in range(0, len(known), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        out[chunk] = scoringrules.crps_ensemble(
            known[chunk], values[chunk], estimator="qd", sorted_ensemble=True, backend="numpy"
        )
    return out


def _pit(
    known: Float[np.ndarray, "origin horizon"], values: Float[np.ndarray, "origin horizon K"]
) -> Float[np.ndarray, "origin horizon"]:
    """The level of `known` among `values`; the middle of the levels of those that equal it."""
    below = (values < known[..., None]).sum(axis=-1)
    upto = (values <= known[..., None]).sum(axis=-1)
    before = np.clip(below - 1, 0, K - 2)[..., None]
    left, right = (np.take_along_axis(values, before + step, axis=-1)[..., 0] for step in (0, 1))
    gap = np.where(right > left, right - left, 1.0)
    between = LEVELS[before[..., 0]] + (known - left) / gap / K
    level = np.where(upto > below, (below + upto) / (2 * K), np.clip(between, LEVELS[0], LEVELS[-1]))
    return np.where(np.isnan(known) | _is_point(values), np.nan, level)


def _bands(values: Float[np.ndarray, "origin horizon K"]) -> Mapping[str, Float[np.ndarray, "origin horizon"]]:
    names = [f"{end}{band}" for band in BANDS for end in ("lo", "hi")]
    levels = [0.5 + side * band / 200 for band in BANDS for side in (-1, 1)]
    ends = np.quantile(values, levels, axis=-1, method="hazen")
    return dict(zip(names, np.where(_is_point(values), np.nan, ends), strict=True))


def _is_point(values: Float[np.ndarray, "origin horizon K"]) -> np.ndarray:
    return values[..., 0] == values[..., -1]


def rmse(actual: Series, predicted: Series) -> float:
    """Root of the mean squared error, in the unit of its arguments."""
    return float(np.sqrt(np.mean((actual - predicted) ** 2)))


def mae(actual: Series, predicted: Series) -> float:
    """Mean absolute error, in the unit of its arguments."""
    return float(np.mean(np.abs(actual - predicted)))


def mape(actual: Series, predicted: Series) -> float:
    """Mean absolute error as a fraction of the actual value."""
    return float(np.mean(np.abs((actual - predicted) / actual)))


def smape(actual: Series, predicted: Series) -> float:
    """Mean of 2 |error| / (|actual| + |predicted|): the M4 competition's sMAPE as a fraction, between 0 and 2."""
    return float(np.mean(2 * np.abs(actual - predicted) / (np.abs(actual) + np.abs(predicted))))


def mase(actual: Series, predicted: Series, scale: float | None) -> float | None:
    """MAE divided by `scale`, see `naive_scale`. Hyndman and Koehler (2006), Int. J. Forecasting 22."""
    return mae(actual, predicted) / scale if scale else None


def r2(actual: Series, predicted: Series) -> float | None:
    """1 - squared errors / squared deviations from the mean. Of a price level it is near 1 for any copy of the past,
    which is why no verdict looks at it; None for a constant.
    """
    spread = float(np.sum((actual - actual.mean()) ** 2))
    return 1 - float(np.sum((actual - predicted) ** 2)) / spread if spread > 0 else None


def naive_scale(candles: Candles, by: datetime) -> float | None:
    """What MASE is measured in: the mean absolute move from one observed close to the next, of the bars known at `by`.

    None if there is no such move.
    """
    past = candles.until(by)
    both = past.observed[1:] & past.observed[:-1]
    moves = np.abs(np.diff(past.close))[both]
    return float(moves.mean()) or None if moves.size else None
