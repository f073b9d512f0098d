"""Forecasts as others write them: prices at the levels they chose to state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from .candles import Times
from .feed import Feed

MEDIAN = 0.5


@dataclass(frozen=True)
class Predictions:
    """What one model said of one feed: a row a forecast, in any order of origins and horizons.

    Nothing is made up between the levels that were stated, and nothing is judged there.

    Args:
        feed: which candles.
        model: its name.
        levels: what the columns of `prices` are quantiles of, ascending; a point forecast is the median alone.
        origin: the last close each forecast knew, datetime64[us].
        target_time: when the price it is about becomes known, datetime64[us].
        prices: in quote currency, as they were stated.
    """

    feed: Feed
    model: str
    levels: tuple[float, ...]
    origin: Times
    target_time: Times
    prices: Float[np.ndarray, "forecast level"]

    def __len__(self) -> int:
        return len(self.origin)

    @cached_property
    def horizon(self) -> Int[np.ndarray, " forecast"]:
        """Whole intervals from origin to target; below 1 where the target was known already."""
        return np.asarray((self.target_time - self.origin) // self.feed.interval.step).astype(np.int64)

    @property
    def point(self) -> Float[np.ndarray, " forecast"]:
        """The stated median."""
        return self.prices[:, self.levels.index(MEDIAN)]
