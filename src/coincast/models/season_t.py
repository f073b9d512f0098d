"""Some hours of the week are livelier than others: ranges with the week taken out, averaged, and the coming bar's
part of the week put back in, with Student-t errors.

After Andersen and Bollerslev 1997, "Intraday periodicity and volatility persistence in financial markets", J. Empirical
Finance 4. The profile is how wide each slot of the week was beside what the bars before it said, an exponential average
over past weeks; on days it knows the weekend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from ..candles import Times
from ..features.feature import bars_of
from ..features.week import profile
from ..feed import Interval
from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..space import Range, Space
from ..student_t import quantiles, regress
from ..windows import Windows

# 1970-01-01 was a Thursday: the week begins on the Monday before.
MONDAY = np.datetime64("1969-12-29", "us")


@dataclass(frozen=True)
class SeasonT:
    """Student-t with location 0 and scale proportional to the ranges' exponential average, the week taken out, and to
    the root of the sum of the squared profile over the bars ahead.

    Args:
        decay: of the average.
        window: past origins whose returns fit shape and scale; the latest ones.
        lookback: ranges averaged.
    """

    name: ClassVar[str] = "season-t"
    space: ClassVar[Space] = {
        "decay": Range(0.8, 0.99),
    }
    decay: float = 0.93
    window: int = 6000
    lookback: int = 96
    at_least: int = 24
    features: tuple[str, ...] = ("range_variance", "filled")
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """The profile, then shape and scale for each horizon."""
        fold.demand_settled()
        week = self._profile(fold)
        recent = fold.newest(self.window)
        expected = self._expected(recent, week)
        found = []
        for column in range(len(recent.horizons)):
            z = recent.y[:, column] / expected[:, column]
            z = z[np.isfinite(z)]
            found.append(regress(z, np.zeros((len(z), 0)), np.ones(len(z)), 0.0))
        relative = np.exp([one.intercept for one in found])
        return Fit({"profile": week, "relative": relative, "dof": np.array([one.dof for one in found])})

    def _profile(self, fold: Windows) -> Float[np.ndarray, " slot"]:
        """How wide each slot of the week was when it came last."""
        bars = bars_of(fold.feed.interval, 7)
        along = profile(_seen(fold.rows), bars)[-bars:]
        slots = slots_of(fold.known_at[-len(along) :] - fold.feed.interval.step, fold.feed.interval)
        found = np.ones(bars)
        found[slots] = along
        return found

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Quantiles of the scaled Student-t."""
        scale = self._expected(windows, state["profile"]) * state["relative"]
        return scale[:, :, None] * quantiles(state["dof"], LEVELS)

    def _expected(self, windows: Windows, week: Float[np.ndarray, " slot"]) -> Float[np.ndarray, "window horizon"]:
        """How far the price moves over each horizon if the volatility stays and the week goes on as it does."""
        average = np.concatenate([self._average(batch, week) for batch in windows.batches(4096)])
        slots = slots_of(windows.origin, windows.feed.interval)
        longest = max(windows.horizons)
        # As often round the week as the longest sum needs.
        ahead = np.tile(week**2, 1 + -(-longest // len(week)))
        sums = np.concatenate([[0.0], np.cumsum(ahead)])
        variance = sums[slots[:, None] + np.array(windows.horizons)] - sums[slots][:, None]
        return np.sqrt(average[:, None] * variance)

    def _average(self, windows: Windows, week: Float[np.ndarray, " slot"]) -> Float[np.ndarray, " window"]:
        """The exponential average of each window's ranges, the week taken out."""
        variance = _seen(windows.x)
        back = np.arange(1 - self.lookback, 1)
        last = slots_of(windows.origin - windows.feed.interval.step, windows.feed.interval)
        even = variance / week[(last[:, None] + back) % len(week)] ** 2
        weight = np.where(np.isnan(even), 0.0, self.decay**-back)
        return np.asarray((weight * np.nan_to_num(even)).sum(axis=1) / weight.sum(axis=1))


def _seen(rows: Float[np.ndarray, "... feature"]) -> Float[np.ndarray, "..."]:
    """Range variances; NaN where a bar was filled in, which says nothing of how wide it was."""
    return np.where(rows[..., 1] == 0, rows[..., 0], np.nan)


def slots_of(opens: Times, interval: Interval) -> Int[np.ndarray, " bar"]:
    """Which bar of the week each is, 0 for the one that opens on Monday at 00:00."""
    return np.asarray(((opens - MONDAY) // interval.step) % bars_of(interval, 7))
