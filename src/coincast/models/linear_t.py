"""A linear model of how far today's volatility will be wrong: what a network has to beat.

    y = s sqrt(h) exp(a + b x) z,   z ~ t(nu)

s is a causal volatility and x are the inputs of `lstm-t`, all of the origin's own bar: ratios of faster and slower
volatilities, the last shock, volume, the week; and three averages more that an LSTM can keep by itself. One regression
a horizon, by penalised maximum likelihood. It remembers what averages remember and bends nothing; what an LSTM gains
beyond it, it gains by being an LSTM. That a linear map is hard to beat: Zeng, Chen, Zhang and Xu 2023, "Are
transformers effective for time series forecasting?", AAAI 37.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..space import Range, Space
from ..student_t import quantiles, regress
from ..windows import Scaler, Windows
from .scaled import INPUTS, REMEMBERED, expected_move, lessons


@dataclass(frozen=True)
class LinearT:
    """Student-t with location 0 whose log scale is linear in the inputs of the origin's bar.

    Args:
        volatility: the feature that returns are divided by, per bar.
        inputs: the features that correct it; none for the volatility alone.
        half_life: days in which a past origin loses half its weight.
        ridge: penalty on the squared slopes, in origins.
    """

    name: ClassVar[str] = "linear-t"
    space: ClassVar[Space] = {
        "half_life": Range(100.0, 10_000.0, log=True),
        "ridge": Range(0.1, 1000.0, log=True),
    }
    volatility: str = "volatility_mix"
    inputs: tuple[str, ...] = (*INPUTS, *REMEMBERED)
    half_life: float = 1000.0
    ridge: float = 10.0
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """What corrects, and the volatility last."""
        return (*self.inputs, self.volatility)

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """A regression for each horizon."""
        fold.demand_settled()
        scaler = Scaler.standard(fold)
        rows, z, weights = lessons(fold, self.half_life)
        inputs = scaler(rows)[:, :-1]
        found = []
        for column, horizon in enumerate(fold.horizons):
            known = np.isfinite(z[:, column])
            # Overlapping returns over h bars hold 1 / h of the information.
            found.append(regress(z[known, column], inputs[known], weights[known], self.ridge * horizon))
            watch(column + 1, len(fold.horizons), f"{horizon} ahead")
        return Fit(
            {
                "intercept": np.array([one.intercept for one in found]),
                "slopes": np.array([one.slopes for one in found]),
                "dof": np.array([one.dof for one in found]),
                "offset": scaler.offset,
                "scale": scaler.scale,
            }
        )

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Quantiles of the Student-t."""
        rows = windows.rows[windows.last]
        inputs = Scaler(state["offset"], state["scale"])(rows)[:, :-1]
        # One origin after the other: a product of matrices of another size may differ in the last bit.
        log_scale = state["intercept"] + np.stack([state["slopes"] @ one for one in inputs])
        scale = expected_move(rows[:, -1], windows.horizons) * np.exp(log_scale)
        return scale[:, :, None] * quantiles(state["dof"], LEVELS)
