"""The random walk with drift: a straight line from the first close to the last, continued.

R. Hyndman and G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed. (2021), section 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..forecast import K
from ..forecaster import Fit, State, Watch
from ..windows import Windows


@dataclass(frozen=True)
class Drift:
    """The average log-return of all bars known at the refit, once for each bar ahead; a point forecast."""

    name: ClassVar[str] = "drift"
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """The average log-return."""
        fold.demand_settled()
        return Fit({"drift": np.nanmean(fold.column("log_return"))[None]})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """The drift over each horizon, K times."""
        moves = state["drift"] * np.array(windows.horizons)
        return np.broadcast_to(moves[:, None], (len(windows), len(windows.horizons), K)).copy()
