"""What the lower band is worth to somebody who holds: losses beyond it, how large they are, and stops placed there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..candles import Candles
from ..coverage import Coverage, coverage
from ..forecast import LEVELS, Forecast
from ..truth import rows_at, truth
from ..verdict import Comparison, diebold_mariano

Column = Float[np.ndarray, " origin"]

# Losses that one forecast in twenty, and one in a hundred, should exceed.
TAILS = (0.05, 0.01)
# Where the stop is placed.
STOP = 0.05


@dataclass(frozen=True)
class Tail:
    """One model's lower tail against what happened, at the shortest horizon.

    Args:
        model: its name.
        level: share of outcomes that should lie below the forecast quantile (the value at risk).
        held: how often they did not, with Kupiec's and Christoffersen's tests; its level is 1 - `level`.
        expected: mean of the expected shortfalls of the forecasts that were exceeded, as log-returns; None without one.
        realised: mean of the log-returns that came instead.
        fz0: mean of the joint loss of quantile and expected shortfall; None if any shortfall is not below zero.
        against: that loss against the reference's; None for the reference, without one, or without such a mean.
    """

    model: str
    level: float
    held: Coverage
    expected: float | None
    realised: float | None
    fz0: float | None
    against: Comparison | None


@dataclass(frozen=True)
class Stop:
    """A stop at the forecast quantile, under the price until the target.

    Args:
        model: its name.
        level: of the quantile.
        n: forecasts with every bar up to their target observed.
        touched: share of them in which a low reached the stop; None without any.
        in_vain: of those, the share that closed at the target above it; None if none was touched.
    """

    model: str
    level: float
    n: int
    touched: float | None
    in_vain: float | None


def tails(forecast: Forecast, candles: Candles, reference: Forecast | None) -> list[Tail]:
    """The tails of a model with a distribution.

    Args:
        forecast: judged at its shortest horizon.
        candles: those it was made from.
        reference: the forecast whose loss it is held against, from the same origins.
    """
    happened = truth(forecast, candles)[:, 0]
    return [_tail(forecast, happened, level, reference) for level in TAILS]


def _tail(forecast: Forecast, happened: Column, level: float, reference: Forecast | None) -> Tail:
    known = np.isfinite(happened)
    quantile, shortfall = _lower(forecast, level)
    beyond = known & (happened < quantile)
    loss = fz0_loss(happened, quantile, shortfall, level)
    other = None if reference is None else fz0_loss(happened, *_lower(reference, level), level)
    whole = bool(known.any() and np.isfinite(loss[known]).all())
    return Tail(
        model=forecast.model,
        level=level,
        held=coverage(~beyond[known], 1 - level, forecast.horizons[0]),
        expected=float(shortfall[beyond].mean()) if beyond.any() else None,
        realised=float(happened[beyond].mean()) if beyond.any() else None,
        fz0=float(loss[known].mean()) if whole else None,
        against=diebold_mariano(loss, other, forecast.horizons[0]) if whole and other is not None else None,
    )


def _lower(forecast: Forecast, level: float) -> tuple[Column, Column]:
    """Quantile at `level` and the mean of the values below it, at the shortest horizon."""
    values = forecast.values[:, 0]
    # The values are sorted, so Hazen's rule needs two of them and no further look at the rest.
    upper = int(np.searchsorted(LEVELS, level))
    step = (level - LEVELS[upper - 1]) / (LEVELS[upper] - LEVELS[upper - 1])
    quantile = values[:, upper - 1] + step * (values[:, upper] - values[:, upper - 1])
    return quantile, values[:, :upper].mean(axis=1)


def fz0_loss(happened: Column, quantile: Column, shortfall: Column, level: float) -> Column:
    """A loss that is lowest on average for the true quantile and expected shortfall together.

        -1 / (a e) 1{y <= v} (v - y) + v / e + ln(-e) - 1

    Patton, Ziegel and Chen (2019), "Dynamic semiparametric models for expected shortfall (and Value-at-Risk)",
    J. Econometrics 211. For the true v and e its mean is ln(-e).

    Args:
        happened: y, log-returns; NaN where unknown.
        quantile: v, the forecast of the quantile at `level`.
        shortfall: e, the forecast of the mean below it.
        level: a.

    Returns:
        NaN where `happened` is unknown or `shortfall` is not below zero.
    """
    e = np.where(shortfall < 0, shortfall, np.nan)
    beyond = np.maximum(quantile - happened, 0.0)
    return np.asarray(-beyond / (level * e) + quantile / e + np.log(-e) - 1)


def stop(forecast: Forecast, candles: Candles) -> Stop:
    """How a stop at the model's lower quantile would have fared, at its shortest horizon."""
    horizon = forecast.horizons[0]
    rows = rows_at(forecast.origin, candles)
    lows = _lowest(candles, rows, horizon)
    known = np.isfinite(lows)
    price = forecast.price * np.exp(_lower(forecast, STOP)[0])
    touched = known & (lows <= price)
    closed = np.take(candles.close, rows + horizon, mode="clip")
    return Stop(
        model=forecast.model,
        level=STOP,
        n=int(known.sum()),
        touched=float(touched[known].mean()) if known.any() else None,
        in_vain=float((closed > price)[touched].mean()) if touched.any() else None,
    )


def _lowest(candles: Candles, rows: Int[np.ndarray, " origin"], horizon: int) -> Column:
    """The lowest price on the way from each origin to its target; NaN where a bar of it is missing or not yet there."""
    low = np.where(candles.observed, candles.frame["low"].to_numpy(), np.nan)
    ahead = np.append(low, np.full(horizon, np.nan))
    windows = np.lib.stride_tricks.sliding_window_view(ahead[1:], horizon)
    return np.asarray(windows[rows].min(axis=1))
