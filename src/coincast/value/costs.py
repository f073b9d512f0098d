"""What trading costs: a fee and slippage on every trade, funding on what is held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from ..errors import RecipeError
from ..feed import Interval


@dataclass(frozen=True)
class Costs:
    """Fractions, so 0.001 is 0.1 %.

    Args:
        fee: what the exchange takes of the value traded, one way.
        slippage: how much worse than the opening price a trade is filled, one way.
        funding: of the value held, a day; longs pay it, shorts receive it. 0 for spot.

    Raises:
        RecipeError: a cost is not a number, negative, or would take all that is traded.
    """

    fee: float = 0.001
    slippage: float = 0.0002
    funding: float = 0.0

    def __post_init__(self) -> None:
        sane = all(map(math.isfinite, (self.fee, self.slippage, self.funding)))
        if not sane or min(self.fee, self.slippage) < 0 or self.one_way >= 1:
            raise RecipeError(
                f"The costs are a fee of {self.fee}, slippage of {self.slippage} and funding of {self.funding}.",
                "Fee and slippage are fractions of what is traded: not negative, together below 1.",
                "Write 0.1 % as 0.001.",
            )

    @property
    def one_way(self) -> float:
        """Of the value traded: fee and slippage."""
        return self.fee + self.slippage

    def funding_over(self, interval: Interval) -> float:
        """Of the value held, over one bar."""
        return self.funding * (interval.delta / timedelta(days=1))


FREE = Costs(fee=0.0, slippage=0.0)
