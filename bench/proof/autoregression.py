"""A user's own model, which can find what is planted: r[t+1] on r[t] by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from coincast.forecast import LEVELS
from coincast.forecaster import Fit, State, Watch
from coincast.windows import Windows


@dataclass(frozen=True)
class Autoregression:
    """The next return from this one, and the quantiles of what is left, made symmetric."""

    name: ClassVar[str] = "autoregression"
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        fold.demand_settled()
        y, now = fold.y[:, 0], fold.rows[fold.last, 0]
        known = np.isfinite(y)
        slope = (y[known] @ now[known]) / (now[known] @ now[known])
        rest = np.quantile((y - slope * now)[known], LEVELS, method="hazen")
        return Fit({"slope": np.array(slope), "rest": (rest - rest[::-1]) / 2})

    def predict(self, state: State, windows: Windows) -> np.ndarray:
        return (state["slope"] * windows.rows[windows.last, 0])[:, None, None] + state["rest"]
