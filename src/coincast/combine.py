"""Fusion: several models' distributions as one, each weighed by how its settled forecasts came out.

Distributions are averaged level by level (Vincentisation), which keeps them as sharp as their members, where an average
of densities would be wider than any of them. K. C. Lichtendahl, Y. Grushka-Cockayne and R. L. Winkler, "Is it better to
average probabilities or quantiles?", Management Science 59 (2013). Weights learnt online on CRPS: J. Berrisch and F.
Ziel, "CRPS learning", J. Econometrics 237 (2023). A stack: L. Breiman, "Stacked regressions", Machine Learning 24
(1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from .aggregation import Bernstein, anytime_rates, exponential_weights
from .candles import Candles
from .combiner import Rounds, rounds
from .errors import RecipeError
from .forecast import LEVELS, Forecast, K
from .scores import crps

Values = Float[np.ndarray, "origin K"]

# A stack is weighed for the first time after so many rounds, anew when they are so many times as many, by the newest.
STACK_FEWEST, STACK_GROWTH, STACK_NEWEST = 60, 1.2, 2000
_STACK_STEPS = 100
# For that every tenth level will do; they lie evenly about the median.
_STACK_LEVELS = slice(4, None, 10)
# Rows of every member held side by side at a time.
_CHUNK = 4096
# The pinball loss at a level has this slope at most.
_SLOPE = np.maximum(LEVELS, 1 - LEVELS)


@dataclass(frozen=True)
class Fusion:
    """Other models' distributions averaged level by level, each weighed by how its settled forecasts came out.

    The losses of a round, which is a forecast that has met its truth, are measured in the most by which two members'
    CRPS could have differed there, so that they lie in [0, 1] and a wild day counts no more than a calm one.

    Args:
        members: the models, by name.
        rule: `equal` weights; `ewa`, exponential weights on the members' CRPS, which ends near the best member; `boa`,
            Bernstein online aggregation on the gradient of the fusion's own CRPS, which ends near the best average of
            members; `stack`, the weights that would have been best over the newest settled forecasts. Each horizon has
            weights of its own. The bounds of `ewa` and `boa` (`aggregation.py`) hold one step ahead; a forecast further
            ahead waits for its truth, and so do its weights.
    """

    name: ClassVar[str] = "fusion"
    members: tuple[str, ...] = ("garch-t", "har-t", "lstm-t")
    rule: Literal["equal", "ewa", "boa", "stack"] = "boa"

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise RecipeError(
                f"The members of {self.name} are {', '.join(self.members) or 'none'}.",
                "It weighs different models against each other.",
                'Name each once, such as members = ["garch-t", "lstm-t"].',
            )

    def combine(self, forecasts: Sequence[Forecast], candles: Candles) -> Float[np.ndarray, "origin horizon K"]:
        """The weighted average of the members' sorted values."""
        weights = self.weights(forecasts, candles)
        out = np.zeros_like(forecasts[0].values)
        # One member after the other: sums of sorted values that are rounded alike stay sorted.
        for number, forecast in enumerate(forecasts):
            out += weights[:, :, number, None] * forecast.values
        return out

    def weights(self, forecasts: Sequence[Forecast], candles: Candles) -> Float[np.ndarray, "origin horizon member"]:
        """How much each member counts in the forecast from each origin: not negative, together 1."""
        if self.rule == "equal":
            return np.full((*forecasts[0].values.shape[:2], len(forecasts)), 1 / len(forecasts))
        learn = {"ewa": _ewa, "boa": _boa, "stack": _stack}[self.rule]
        found = [
            learn([forecast.values[:, column] for forecast in forecasts], settled)
            for column, settled in enumerate(rounds(forecasts[0], candles))
        ]
        return np.stack(found, axis=1)


def _ewa(members: Sequence[Values], settled: Rounds) -> Float[np.ndarray, "origin member"]:
    scores = [crps(settled.truth[:, None], values[settled.row, None])[:, 0] for values in members]
    losses = np.stack(scores, axis=1)
    losses = (losses - losses.min(axis=1, keepdims=True)) / _reach(members, settled.row)[:, None]
    return exponential_weights(losses, anytime_rates(*losses.shape))[settled.known]


def _boa(members: Sequence[Values], settled: Rounds) -> Float[np.ndarray, "origin member"]:
    reach = _reach(members, settled.row)
    weights = np.empty((len(settled.known), len(members)))
    state, done = Bernstein.start(len(members)), 0
    for origin, known in enumerate(settled.known):
        for number in range(done, known):
            row = settled.row[number]
            values = np.stack([own[row] for own in members])
            state = state.after(_regrets(values, weights[row], settled.truth[number]) / reach[number])
        done = known
        weights[origin] = state.weights
    return weights


def _regrets(
    values: Float[np.ndarray, "member K"], weights: Float[np.ndarray, " member"], truth: float
) -> Float[np.ndarray, " member"]:
    """By how much each member would have lowered the CRPS of the average, had the loss gone on along its gradient."""
    average = weights @ values
    gradient = (truth < average) - LEVELS
    return np.asarray(2 * ((average - values) @ gradient) / K)


def _stack(members: Sequence[Values], settled: Rounds) -> Float[np.ndarray, "origin member"]:
    weights = np.empty((len(settled.known), len(members)))
    best, solved = np.full(len(members), 1 / len(members)), 0
    for origin, known in enumerate(settled.known):
        if known >= max(STACK_FEWEST, STACK_GROWTH * solved):
            newest = slice(max(0, known - STACK_NEWEST), known)
            best = _best_average(np.stack([own[settled.row[newest]] for own in members]), settled.truth[newest])
            solved = known
        weights[origin] = best
    return weights


def _best_average(
    values: Float[np.ndarray, "member round K"], truth: Float[np.ndarray, " round"]
) -> Float[np.ndarray, " member"]:
    """The weights, not negative and together 1, of the average with the least mean CRPS.

    By mirror descent from equal weights (A. Beck and M. Teboulle, "Mirror descent and nonlinear projected subgradient
    methods for convex optimization", Operations Research Letters 31, 2003); the best of all that it passes.
    """
    values, levels = values[..., _STACK_LEVELS], LEVELS[_STACK_LEVELS]
    exponent = np.zeros(len(values))
    best, least = np.full(len(values), 1 / len(values)), np.inf
    for step in range(1, _STACK_STEPS + 1):
        weights = np.exp(exponent - exponent.max())
        weights /= weights.sum()
        average = np.tensordot(weights, values, 1)
        gradient = (truth[:, None] < average) - levels
        loss = float(np.vdot(gradient, average - truth[:, None])) / gradient.size
        # Losses that differ by rounding alone are equal.
        if loss < least * (1 - 1e-9):
            best, least = weights, loss
        slope = np.tensordot(values, gradient, 2) / gradient.size
        slope -= weights @ slope
        steepest = np.abs(slope).max()
        if steepest <= 1e-9 * least:
            break
        exponent -= slope / steepest / step
    return best


def _reach(members: Sequence[Values], row: Int[np.ndarray, " round"]) -> Float[np.ndarray, " round"]:
    """The most by which two members' CRPS can differ, whatever the truth; 1 where all say the same."""
    reach = np.empty(len(row))
    for start in range(0, len(row), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        reach[chunk] = 2 * (np.ptp([values[row[chunk]] for values in members], axis=0) * _SLOPE).mean(axis=-1)
    return np.where(reach > 0, reach, 1.0)
