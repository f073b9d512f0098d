"""Toy allocations: rules that turn a forecast into a share of capital. They show what a forecast is worth, no more.

A weight is decided at an origin from what was known there, 1 for all of the capital in the coin, -1 for as much sold
short. NaN leaves what is held as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Float

from ..candles import Candles
from ..direction import ROUNDING
from ..forecast import Forecast
from ..truth import rows_at

Weights = Float[np.ndarray, " origin"]

# What a volatility is aimed at is measured over this long before the first forecast.
MEASURED = timedelta(days=365)


class Allocation(Protocol):
    """How much of the capital to hold."""

    name: ClassVar[str]

    def weights(self, forecast: Forecast, candles: Candles) -> Weights:
        """The share wanted after each origin, from what was known there; NaN to leave things as they are."""
        ...


@dataclass(frozen=True)
class DoNothing:
    """No coin, no cost: what everything else must beat."""

    name: ClassVar[str] = "do-nothing"

    def weights(self, forecast: Forecast, candles: Candles) -> Weights:
        """Zero."""
        return np.zeros(len(forecast))


@dataclass(frozen=True)
class BuyAndHold:
    """All in the coin, bought once; where funding is paid, so much of it is sold as pays for it."""

    name: ClassVar[str] = "buy-and-hold"

    def weights(self, forecast: Forecast, candles: Candles) -> Weights:
        """One."""
        return np.ones(len(forecast))


@dataclass(frozen=True)
class Momentum:
    """All in the coin while its price is above that of `days` before, else out: the rule that needs no forecast.

    After Moskowitz, Ooi and Pedersen (2012), "Time series momentum", J. Financial Economics 104; long or out only.
    """

    name: ClassVar[str] = "momentum"
    days: int = 28

    def weights(self, forecast: Forecast, candles: Candles) -> Weights:
        """One or zero; zero before there is such a past."""
        back = max(1, candles.feed.interval.bars(timedelta(days=self.days)))
        rows = rows_at(forecast.origin, candles)
        risen = candles.close[rows] > candles.close[np.maximum(rows - back, 0)]
        return np.where((rows >= back) & risen, 1.0, 0.0)


@dataclass(frozen=True)
class VolatilityTarget:
    """Less of the coin while the forecast is wide: as much as keeps the spread at what holding had the year before.

    Moreira and Muir (2017), "Volatility-managed portfolios", J. Finance 72, without borrowing. It needs no direction.

    Args:
        band: a new share is ordered once it is further than this from the one ordered last, to save costs.
    """

    name: ClassVar[str] = "volatility-target"
    band: float = 0.1

    def weights(self, forecast: Forecast, candles: Candles) -> Weights:
        """Target over the forecast's standard deviation at the shortest horizon, at most 1; NaN inside the band."""
        target = _usual_spread(forecast, candles) * np.sqrt(forecast.horizons[0])
        spread = forecast.values[:, 0].std(axis=-1)
        wanted = np.where(spread > target, target / np.where(spread > 0, spread, 1.0), 1.0)
        return _ordered(wanted.tolist(), self.band)


def _usual_spread(forecast: Forecast, candles: Candles) -> float:
    """Standard deviation of the log-returns of the year before the first origin; infinite without two of them."""
    first = forecast.origin[0]
    known = candles.known_at
    year = (known <= first) & (known > first - np.timedelta64(MEASURED)) & candles.observed
    both = year[1:] & year[:-1]
    moves = np.diff(np.log(candles.close))[both]
    return float(moves.std()) if moves.size > 1 else float("inf")


def _ordered(wanted: Sequence[float], band: float) -> Weights:
    last, out = float("nan"), np.full(len(wanted), np.nan)
    for number, weight in enumerate(wanted):
        if not abs(weight - last) <= band:
            out[number] = last = weight
    return out


@dataclass(frozen=True)
class SignWithThreshold:
    """All in the coin where its median is to rise by more than `threshold`, sold short where it is to fall by more,
    else out.

    Args:
        threshold: a change of the price as a fraction; that of getting in and out again is the least that makes sense.
    """

    name: ClassVar[str] = "sign-with-threshold"
    threshold: float = 0.0

    def weights(self, forecast: Forecast, candles: Candles) -> Weights:
        """One, zero or minus one."""
        expected = np.expm1(forecast.median[:, 0])
        return np.where(np.abs(expected) > max(self.threshold, ROUNDING), np.sign(expected), 0.0)
