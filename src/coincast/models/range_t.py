"""A high and a low say more of a bar than its close: the range volatility with Student-t errors.

M. Parkinson, "The extreme value method for estimating the variance of the rate of return", J. Business 53 (1980): five
times as much information on the variance as the squared return holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..space import Choice, Range, Space
from .linear_t import LinearT


@dataclass(frozen=True)
class RangeT(LinearT):
    """Student-t with location 0 and scale proportional to the ranges' average and the root of the horizon."""

    name: ClassVar[str] = "range-t"
    space: ClassVar[Space] = {
        "volatility": Choice(tuple(f"range_volatility_{decay}" for decay in (80, 85, 90, 95))),
        "half_life": Range(100.0, 10_000.0, log=True),
    }
    volatility: str = "range_volatility_85"
    inputs: tuple[str, ...] = ()
    half_life: float = 1500.0
