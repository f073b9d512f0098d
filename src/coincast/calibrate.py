"""Calibration while time goes on: bands stretched or drawn in until they hold as often as they promise.

Quantile tracking: after a band has missed it is made a little wider, after it has held a little narrower, in steps
whose balance is the share that was promised. I. Gibbs and E. Candès, "Adaptive conformal inference under distribution
shift", NeurIPS (2021); A. Angelopoulos, E. Candès and R. Tibshirani, "Conformal PID control for time series
prediction", NeurIPS (2023). Several bands at once are kept from crossing, and a miss is counted by the band that was
issued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from .candles import Candles
from .combiner import Rounds, rounds
from .errors import RecipeError
from .forecast import LEVELS, Forecast, K

# The values that bound the bands nearest to 50, 80 and 95 %, the narrowest first, and how often they should miss.
LOWER = np.array([49, 19, 4])
UPPER = K - 1 - LOWER
MISSED = 2 * LEVELS[LOWER]

_MIDDLE = K // 2


@dataclass(frozen=True)
class Calibrated:
    """Another model's distributions, their bands stretched until 50, 80 and 95 % of the settled truths lie inside.

    Each band has a factor, 1 at first, by which its ends are moved away from the median: plus the rate times (missed -
    promised) after every settled truth, where missed is 1 for a truth not strictly inside, else 0. Values between two
    bands are moved in proportion, those outside as the widest. On every sequence of truths, after T of them h intervals
    ahead, the share that band k of the three missed differs from what it promised by at most

        h (1 + B_1 + .. + B_k + 2 k rate) / (rate T),

    B_j being at least 1 and the farthest that a truth lay from the median in half-widths of band j as it was forecast.
    Forecasts that are one value repeated are left alone.

    Args:
        member: the model, by name.
        rate: of learning one step ahead. At longer horizons it is divided by the horizon: that many forecasts overlap
            and tell much the same.
    """

    name: ClassVar[str] = "calibrated"
    member: str = "lstm-t"
    rate: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise RecipeError(
                f"The rate of {self.name} is {self.rate}.",
                "A band is moved by a share of its half-width after every truth.",
                "Set it between 0 and 1, such as 0.01.",
            )

    @property
    def members(self) -> tuple[str, ...]:
        """The one model."""
        return (self.member,)

    def combine(self, forecasts: Sequence[Forecast], candles: Candles) -> Float[np.ndarray, "origin horizon K"]:
        """The member's values, moved away from their median or towards it."""
        [forecast] = forecasts
        out = np.empty_like(forecast.values)
        for column, settled in enumerate(rounds(forecast, candles)):
            values = forecast.values[:, column]
            factors = _factors(values, settled, self.rate / forecast.horizons[column])
            out[:, column] = _stretched(values, factors)
        return out


class _Bands(NamedTuple):
    """How far the ends of each band lie from the median."""

    below: Float[np.ndarray, "*origin band"]
    above: Float[np.ndarray, "*origin band"]

    def stretched(self, factors: Float[np.ndarray, "*origin band"]) -> _Bands:
        """Each band by its factor; where that would put one inside a narrower one, it is as wide as that."""
        return _Bands(*(np.maximum.accumulate(factors * side, axis=-1) for side in self))


def _bands(values: Float[np.ndarray, "*origin K"]) -> _Bands:
    median = values[..., [_MIDDLE]]
    return _Bands(median - values[..., LOWER], values[..., UPPER] - median)


def _factors(values: Float[np.ndarray, "origin K"], settled: Rounds, rate: float) -> Float[np.ndarray, "origin band"]:
    """Each band's factor at each origin, from what was settled by then."""
    bands = _bands(values)
    factors = np.empty((len(values), len(LOWER)))
    state, done = np.ones(len(LOWER)), 0
    for origin, known in enumerate(settled.known):
        for number in range(done, known):
            row = settled.row[number]
            own = _Bands(bands.below[row], bands.above[row])
            if own.below[0] > 0 and own.above[0] > 0:
                state = state + rate * (
                    _missed(own, factors[row], values[row, _MIDDLE], settled.truth[number]) - MISSED
                )
        done = known
        factors[origin] = np.maximum(state, 0.0)
    return factors


def _missed(
    bands: _Bands, factors: Float[np.ndarray, " band"], median: float, truth: float
) -> Float[np.ndarray, " band"]:
    issued = bands.stretched(factors)
    return 1.0 - ((median - issued.below < truth) & (truth < median + issued.above))


def _stretched(
    values: Float[np.ndarray, "origin K"], factors: Float[np.ndarray, "origin band"]
) -> Float[np.ndarray, "origin K"]:
    bands = _bands(values)
    issued = bands.stretched(factors)
    median = values[:, [_MIDDLE]]
    below = _moved(median - values[:, :_MIDDLE][:, ::-1], bands.below, issued.below)[:, ::-1]
    above = _moved(values[:, _MIDDLE + 1 :] - median, bands.above, issued.above)
    return np.concatenate([median - below, median, median + above], axis=1)


def _moved(
    distance: Float[np.ndarray, "origin value"],
    before: Float[np.ndarray, "origin band"],
    after: Float[np.ndarray, "origin band"],
) -> Float[np.ndarray, "origin value"]:
    """Distances from the median, ascending: bands' ends to where they were put, others in proportion between them."""
    out = np.zeros_like(distance)
    start, put = np.zeros((len(distance), 1)), np.zeros((len(distance), 1))
    for band in range(before.shape[1]):
        end, ends = before[:, [band]], after[:, [band]]
        share = np.clip((distance - start) / np.where(end > start, end - start, 1.0), 0.0, 1.0)
        out = np.where(distance > start, np.clip(put * (1 - share) + ends * share, put, ends), out)
        start, put = end, ends
    ratio = np.divide(put, start, out=np.ones_like(put), where=start > 0)
    out = np.where(distance > start, np.maximum(distance * ratio, put), out)
    return np.asarray(np.maximum.accumulate(out, axis=1))
