"""RiskMetrics' volatility with Student-t errors: the strongest reference that fits into a spreadsheet.

The scale is the root of the squared returns' exponential average, the shape and the correction of the scale are fitted
on past returns over each horizon, divided by that scale. J.P. Morgan/Reuters, "RiskMetrics - Technical Document",
4th ed. (1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy import stats

from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..windows import Windows


@dataclass(frozen=True)
class EwmaT:
    """Student-t with location 0 and scale proportional to volatility_94 and to the root of the horizon.

    Args:
        window: past origins whose returns fit the shape; the latest ones.
    """

    name: ClassVar[str] = "ewma-t"
    window: int = 1500
    features: tuple[str, ...] = ("volatility_94",)
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """Degrees of freedom and relative scale for each horizon, by maximum likelihood."""
        fold.demand_settled()
        recent = fold.newest(self.window)
        scale = _scale(recent)
        fits = []
        for column in range(len(recent.horizons)):
            z = recent.y[:, column] / scale[:, column]
            dof, _, relative = stats.t.fit(z[np.isfinite(z)], floc=0)
            fits.append((dof, relative))
        dof, relative = np.array(fits).T
        return Fit({"dof": dof, "relative": relative})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Quantiles of the scaled Student-t."""
        z = stats.t.ppf(LEVELS[None, :], state["dof"][:, None]) * state["relative"][:, None]
        return _scale(windows)[:, :, None] * z


def _scale(windows: Windows) -> Float[np.ndarray, "window horizon"]:
    volatility = windows.rows[windows.last, 0]
    return volatility[:, None] * np.sqrt(np.array(windows.horizons))
