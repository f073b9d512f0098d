"""Tomorrow = today, and how wrong that has been: the two references every other model must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from ..forecast import LEVELS, K
from ..forecaster import Fit, State, Watch
from ..windows import Windows


@dataclass(frozen=True)
class Naive:
    """The random walk's point forecast: the price stays where it is. It learns nothing and gives no interval."""

    name: ClassVar[str] = "naive"
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """Nothing to learn."""
        return Fit({})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Zero log-return, K times."""
        return np.zeros((len(windows), len(windows.horizons), K))


@dataclass(frozen=True)
class NaiveConformal:
    """The last price plus the errors that forecast has made: quantiles of the last `lookback` returns over the horizon.

    Each origin uses the returns known there, so the band moves with the market at the speed of a year; there is
    nothing to refit. With n past returns the quantile at level q is interpolated by Hazen's rule.

    Args:
        lookback: one-bar returns looked back on.
        at_least: one-bar returns without which no forecast is made.
    """

    name: ClassVar[str] = "naive-conformal"
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 365
    at_least: int = 60
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """Nothing to learn that is not in the window."""
        return Fit({})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Quantiles of the sums of h consecutive returns inside each window."""
        too_long = max(windows.horizons) * 2 > self.at_least
        if too_long:
            raise DataError(
                f"The horizon of {max(windows.horizons)} bars is too long for {self.at_least} bars of past.",
                "The empirical law of an h-bar return needs at least 2 h bars.",
                "Raise at_least of naive-conformal or shorten the horizon.",
            )
        out = np.empty((len(windows), len(windows.horizons), K))
        done = 0
        for batch in windows.batches(4096):
            path = np.nancumsum(batch.x[..., 0], axis=1)
            path[np.isnan(batch.x[..., 0])] = np.nan
            path = np.concatenate([path[:, :1] - batch.x[:, :1, 0], path], axis=1)
            for column, h in enumerate(windows.horizons):
                moves = path[:, h:] - path[:, :-h]
                out[done : done + len(batch), column] = _hazen(moves)
            done += len(batch)
        return out


def _hazen(samples: Float[np.ndarray, "window sample"]) -> Float[np.ndarray, "window K"]:
    if np.isfinite(samples).all():
        return np.quantile(samples, LEVELS, axis=1, method="hazen").T
    return np.nanquantile(samples, LEVELS, axis=1, method="hazen").T
