"""How often a forecast of direction must be right to pay for its trades, beside how often it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..direction import Direction, direction
from .costs import Costs


@dataclass(frozen=True)
class BreakEven:
    """A model's direction against what it would have to be.

    Args:
        model: its name.
        horizon: intervals ahead.
        mean_move: mean absolute change of the price over the horizon, as a fraction; None without one.
        needed: the share that must be right; above 1 not even always being right would pay, None where nothing moves.
        direction: the share that was; None for a model that names no direction.
    """

    model: str
    horizon: int
    mean_move: float | None
    needed: float | None
    direction: Direction | None

    @property
    def pays(self) -> bool:
        """Whether it was right often enough, beyond chance and beyond always saying the same."""
        right = self.direction
        return right is not None and self.needed is not None and right.beyond_chance and right.low > self.needed


def needed_accuracy(mean_move: float, one_way: float) -> float | None:
    """The share p at which (2 p - 1) E|r| = c.

    Always long or short and turned on half of the bars, each turn two trades, costs c a bar. None where nothing moves.

    Args:
        mean_move: E|r|, mean absolute change of the price between decisions.
        one_way: c, of the value traded.
    """
    return (1 + one_way / mean_move) / 2 if mean_move > 0 else None


def break_even(
    model: str,
    horizon: int,
    truth: Float[np.ndarray, " forecast"],
    median: Float[np.ndarray, " forecast"],
    costs: Costs,
) -> BreakEven:
    """Judge a model's medians.

    Args:
        model: its name.
        horizon: intervals ahead.
        truth: log-returns in time order; NaN where unknown.
        median: what was forecast.
        costs: what trading costs.
    """
    known = np.isfinite(truth)
    move = float(np.abs(np.expm1(truth[known])).mean()) if known.any() else None
    needed = needed_accuracy(move, costs.one_way) if move is not None else None
    return BreakEven(model, horizon, move, needed, direction(truth[known], median[known], horizon))
