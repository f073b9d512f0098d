"""How sure a mean is whose terms hang together: forecasts overlap, and volatility lasts.

W. Newey and K. West, "A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent covariance
matrix", Econometrica 55 (1987).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Float

Series = Float[np.ndarray, " forecast"]


def hac_error(series: Series, lags: int) -> float | None:
    """Standard error of the mean of an autocorrelated series: Newey and West (1987), Bartlett weights.

    None for fewer than two values.
    """
    n = len(series)
    if n < 2:
        return None
    centred = series - series.mean()
    variance = float(centred @ centred)
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return float(np.sqrt(max(variance, 0.0))) / n


def overlap(rows: pl.DataFrame) -> int:
    """How many forecasts, of one model at one horizon in time order, wait for their truth at once.

    That is the horizon where every bar is an origin, and 1 where each forecast is settled before the next is made.
    """
    origin, target_time = rows["origin"].to_physical().to_numpy(), rows["target_time"].to_physical().to_numpy()
    return int((np.searchsorted(origin, target_time) - np.arange(len(origin))).max(initial=1))


def hac_lags(n: int, horizon: int) -> int:
    """max(h - 1, ceil(n^(1/3))): overlapping targets correlate for h - 1 steps, volatility for longer."""
    return int(max(horizon - 1, np.ceil(n ** (1 / 3))))
