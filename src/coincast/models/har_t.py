"""The heterogeneous autoregression: yesterday, last week and last month, each with a weight of its own.

F. Corsi, "A simple approximate long-memory model of realized volatility", J. Financial Econometrics 7 (2009), in
logarithms, with the days on which markets elsewhere are shut; the scale of a Student-t rather than a forecast of the
realised variance itself, so that it is fitted to what it is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .linear_t import LinearT

CALENDAR = ("weekend", "saturday", "monday")


@dataclass(frozen=True)
class HarT(LinearT):
    """Student-t with location 0 whose log scale is linear in the log volatilities of the last day, week and month,
    by ranges, and in the weekday.
    """

    name: ClassVar[str] = "har-t"
    volatility: str = "range_volatility_30d"
    inputs: tuple[str, ...] = ("range_day", "range_week", "range_month", *CALENDAR)
    ridge: float = 5.0
