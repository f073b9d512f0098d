"""What became of a forecast: the bars it started from and was about, found by time and never by position."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from .candles import Candles, Times
from .errors import DataError
from .feed import from_numpy
from .forecast import Forecast, Origins
from .windows import labels


def truth(forecast: Forecast, candles: Candles) -> Float[np.ndarray, "origin horizon"]:
    """ln(close at the target / price at the origin); NaN where the target is not known yet or was not observed.

    Raises:
        DataError: the candles are of another feed, do not hold an origin, or closed there at another price.
    """
    return labels(candles, forecast.horizons)[judged_rows(forecast, candles)]


def judged_rows(forecast: Origins, candles: Candles) -> Int[np.ndarray, " origin"]:
    """The bar that each forecast starts from.

    Raises:
        DataError: the candles are of another feed, do not hold an origin, or closed there at another price.
    """
    if forecast.feed != candles.feed:
        raise DataError(
            f"The forecast is of {forecast.feed}, the candles are of {candles.feed}.",
            "It would be judged by the truth of another market.",
            "Pass the candles it was made from.",
        )
    rows = rows_at(forecast.origin, candles)
    other = np.flatnonzero(candles.close[rows] != forecast.price)
    if other.size:
        first = other[0]
        raise DataError(
            f"At {from_numpy(forecast.origin[first]):%Y-%m-%d %H:%M} {forecast.model} started from"
            f" {forecast.price[first]}, where these candles closed at {candles.close[rows][first]}.",
            "Its returns would be measured from a price it never saw.",
            "Pass the candles it was made from.",
        )
    return rows


def rows_at(known_at: Times, candles: Candles) -> Int[np.ndarray, " origin"]:
    """The bars that became known at these times."""
    rows = np.searchsorted(candles.known_at, known_at)
    found = np.take(candles.known_at, rows, mode="clip") == known_at
    if not found.all():
        raise DataError(
            f"No bar of {candles.feed} closes at {from_numpy(known_at[~found][0]):%Y-%m-%d %H:%M}, where a forecast"
            f" starts; the candles span {candles.start:%Y-%m-%d %H:%M} to {candles.end:%Y-%m-%d %H:%M}.",
            "Without the price it started from, no forecast can be judged.",
            "Pass candles that hold every origin.",
        )
    return rows


def closes_at(known_at: Times, candles: Candles, *, observed: bool) -> Float[np.ndarray, " time"]:
    """The closes that became known at these times; NaN where no bar closes, or none `observed` if it must be."""
    rows = np.searchsorted(candles.known_at, known_at)
    found = np.take(candles.known_at, rows, mode="clip") == known_at
    if observed:
        found &= np.take(candles.observed, rows, mode="clip")
    return np.where(found, np.take(candles.close, rows, mode="clip"), np.nan)
