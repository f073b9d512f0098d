"""What models share that forecast returns in units of a causal volatility: units, inputs, what is learnt from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..feed import Interval
from ..windows import Windows

DAY = np.timedelta64(1, "D")
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
    "saturday",
    "monday",
    "season_now",
    "season_next",
    "season_day",
    "range_day",
    "range_week",
    "range_month",
)
# What a network averages by itself, for models that see one bar.
REMEMBERED = ("typical_70", "typical_90", "typical_98")


class Lessons(NamedTuple):
    """What a model without memory learns from: origins of a fold and of the coins beside it, one below the other.

    Args:
        rows: features of each origin's own bar, the volatility last.
        z: labels in units of the expected move; NaN where there is none.
        weights: how much each origin counts.
    """

    rows: Float[np.ndarray, "origin feature"]
    z: Float[np.ndarray, "origin horizon"]
    weights: Float[np.ndarray, " origin"]


def lessons(fold: Windows, half_life: float) -> Lessons:
    """All origins of a settled fold; one older than the newest by `half_life` days counts half."""
    rows = np.concatenate([windows.rows[windows.last] for windows in fold.panel])
    y = np.concatenate([windows.y for windows in fold.panel])
    origin = np.concatenate([windows.origin for windows in fold.panel])
    weights = 0.5 ** ((origin.max() - origin) / DAY / half_life)
    return Lessons(rows, y / expected_move(rows[:, -1], fold.horizons), weights)


def bars_in(days: float, interval: Interval) -> float:
    """How many bars last so many days."""
    return float(days * DAY / interval.step)


def expected_move(volatility: Float[np.ndarray, " bar"], horizons: tuple[int, ...]) -> Float[np.ndarray, "bar horizon"]:
    """How far the price moves over each horizon if every bar's volatility is this one and bars do not depend."""
    return volatility[:, None] * np.sqrt(np.array(horizons))
