"""A linear model of how far today's volatility will be wrong: what a network has to beat.

    y = s sqrt(h) exp(a + b x) z,   z ~ t(nu)

s is a causal volatility and x are the inputs of `lstm-t`, all of the origin's own bar: ratios of faster and slower
volatilities, the last shock, volume, the week. One regression a horizon, by penalised maximum likelihood. It remembers
what averages remember and bends nothing; what an LSTM gains beyond it, it gains by being an LSTM. That a linear map is
hard to beat: Zeng, Chen, Zhang and Xu 2023, "Are transformers effective for time series forecasting?", AAAI 37.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..student_t import quantiles, regress
from ..windows import Scaler, Windows

INPUTS = (
    "shock",
    "shock_size",
    "returns_70",
    "returns_94",
    "returns_985",
    "range_0",
    "range_70",
    "range_90",
    "range_985",
    "volume_surprise",
    "week_sine",
    "week_cosine",
    "weekend",
)


@dataclass(frozen=True)
class LinearT:
    """Student-t with location 0 whose log scale is linear in the inputs of the origin's bar.

    Args:
        volatility: the feature that returns are divided by, per bar.
        inputs: the features that correct it; none for the volatility alone.
        half_life: bars in which a past origin loses half its weight.
        ridge: penalty on the squared slopes, in origins.
    """

    name: ClassVar[str] = "linear-t"
    volatility: str = "volatility_mix"
    inputs: tuple[str, ...] = INPUTS
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
        rows, y, origin = (np.concatenate(parts) for parts in zip(*map(_learnt_from, fold.panel), strict=True))
        inputs = scaler(rows)[:, :-1]
        expected = expected_move(rows[:, -1], fold.horizons)
        weights = 0.5 ** ((origin.max() - origin) / fold.feed.interval.step / self.half_life)
        found = []
        for column, horizon in enumerate(fold.horizons):
            z = y[:, column] / expected[:, column]
            known = np.isfinite(z)
            # Overlapping returns over h bars hold 1 / h of the information.
            found.append(regress(z[known], inputs[known], weights[known], self.ridge * horizon))
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


def _learnt_from(windows: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and origins of the windows."""
    return windows.rows[windows.last], windows.y, windows.origin


def expected_move(volatility: Float[np.ndarray, " bar"], horizons: tuple[int, ...]) -> Float[np.ndarray, "bar horizon"]:
    """How far the price moves over each horizon if every bar's volatility is this one and bars do not depend."""
    return volatility[:, None] * np.sqrt(np.array(horizons))
