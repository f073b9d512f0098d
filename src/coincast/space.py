"""What of a model may be searched: for each setting, which values it can take.

A space stands beside its model, as the class variable `space`, a mapping from the names of fields to a `Choice` or a
`Range`. A model without one is not tuned. `tuning.py` does the searching.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

Setting: TypeAlias = int | float | str
# Of a number that was searched; more would be a claim that nobody can check.
DIGITS = 3


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Args:
        values: which; each costs a network its own compiled program where the form depends on it.
    """

    values: tuple[Setting, ...]

    def including(self, value: Setting) -> Choice:
        """The same, and this value too."""
        return self if value in self.values else replace(self, values=(*self.values, value))

    def rounded(self, value: Setting) -> Setting:
        """The value itself."""
        return value


@dataclass(frozen=True)
class Range:
    """Any number between two, to three significant digits.

    Args:
        low: the least.
        high: the greatest.
        log: whether a factor counts the same everywhere, as with rates and penalties.
    """

    low: float
    high: float
    log: bool = False

    def including(self, value: float) -> Range:
        """The same, wide enough for this value too."""
        return replace(self, low=min(self.low, value), high=max(self.high, value))

    def rounded(self, value: float) -> float:
        """The value as a model is given it."""
        return float(f"{value:.{DIGITS}g}")


Space: TypeAlias = Mapping[str, Choice | Range]
