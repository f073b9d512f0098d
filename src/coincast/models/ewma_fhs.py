"""Filtered historical simulation on RiskMetrics' volatility: past shocks, as they were, times today's volatility.

G. Barone-Adesi, K. Giannopoulos and L. Vosper, "VaR without correlations for portfolios of derivative securities", J.
Futures Markets 19 (1999); J. Hull and A. White, "Incorporating volatility updating into the historical simulation
method for value-at-risk", J. Risk 1 (1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..windows import Windows
from .scaled import expected_move


@dataclass(frozen=True)
class EwmaFhs:
    """Quantiles of the last returns over each horizon, each divided by its own volatility, times the latest one.

    Args:
        volatility: the feature that returns are divided by, per bar.
        window: past origins whose returns are drawn on; the latest ones.
    """

    name: ClassVar[str] = "ewma-fhs"
    volatility: str = "volatility_94"
    window: int = 1500
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The volatility."""
        return (self.volatility,)

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """The quantiles of the standardised returns."""
        fold.demand_settled()
        recent = fold.newest(self.window)
        z = recent.y / expected_move(recent.rows[recent.last, 0], recent.horizons)
        return Fit({"z": np.nanquantile(z, LEVELS, axis=0, method="hazen").T})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Those quantiles times the volatility at the origin."""
        return expected_move(windows.rows[windows.last, 0], windows.horizons)[:, :, None] * state["z"]
