"""Members' forecasts made by hand, and combiners with a leak planted in each."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from coincast.calibrate import Calibrated
from coincast.combine import Fusion
from coincast.combiner import Rounds, rounds
from coincast.forecast import LEVELS
from made import candles_of, forecast_of, walk

NORMAL = ndtri(LEVELS)


def members_of(closes, widths, horizons=(1, 3), missing=(), lean=0.0):
    """(candles, forecasts): normal distributions of these widths around no change, from every seen bar."""
    candles = candles_of(closes, missing)
    rows = np.flatnonzero(candles.observed)
    root = np.sqrt(horizons)[:, None]
    values = [width * root * NORMAL + lean * number for number, width in enumerate(widths)]
    return candles, [forecast_of(candles, rows, v, horizons, f"m{n}") for n, v in enumerate(values)]


def market_of(bars, widths, seed=0, **settings):
    return members_of(walk(bars, seed), widths, **settings)


class WeighsInHindsight(Fusion):
    """The weights of the last origin, at all of them."""

    def weights(self, forecasts, candles):
        found = super().weights(forecasts, candles)
        return np.broadcast_to(found[-1], found.shape)


class TakesRowsForTime(Fusion):
    """Every forecast before this one counts as settled, whatever its horizon."""

    def weights(self, forecasts, candles):
        import coincast.combine as module

        honest = module.rounds
        module.rounds = unsettled
        try:
            return super().weights(forecasts, candles)
        finally:
            module.rounds = honest


def unsettled(forecast, candles):
    origins = np.arange(len(forecast))
    return [Rounds(r.row, r.truth, np.searchsorted(r.row, origins)) for r in rounds(forecast, candles)]


class KnowsTheNextTruth(Fusion):
    """Settled one round too early."""

    def combine(self, forecasts, candles):
        values = super().combine(forecasts, candles)
        [first, *_] = rounds(forecasts[0], candles)
        moved = np.zeros(len(values))
        moved[first.row] = first.truth * 1e-6
        return values + moved[:, None, None]


@dataclass(frozen=True)
class StretchesByAllTruths(Calibrated):
    """One factor, learnt from the whole sequence."""

    name: ClassVar[str] = "stretches by all truths"

    def combine(self, forecasts, candles):
        [first, *_] = rounds(forecasts[0], candles)
        return forecasts[0].values * (1 + np.abs(first.truth).mean())


LEAKING = (WeighsInHindsight(), TakesRowsForTime(), KnowsTheNextTruth(), StretchesByAllTruths())
