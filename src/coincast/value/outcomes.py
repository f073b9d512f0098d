"""Every allocation that a set of forecasts allows, over the same bars, held against doing nothing and against holding.

All of them are tries, and the best of many tries looks good by luck: each is judged as one of as many as were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..candles import Candles
from ..forecast import Forecast
from ..verdict import ENOUGH_ORIGINS, SIGNIFICANCE, holm
from .account import Account, trade
from .allocations import Allocation, BuyAndHold, DoNothing, Momentum, SignWithThreshold, VolatilityTarget
from .costs import Costs
from .sharpe import Lead, expected_maximum, lead, spread_of_luck
from .timing import LagCheck, lag_check, timing_p

NOTHING, HOLDING = DoNothing.name, BuyAndHold.name


@dataclass(frozen=True)
class Outcome:
    """What an allocation came to. What is undefined is None.

    Args:
        allocation: its name.
        model: whose forecast it acted on; None if it needs none.
        account: its books.
        hurdle: the Sharpe ratio, per bar, to expect of the best of as many tries by luck alone.
        timing_p: chance that the same weights at other times would have gone with the price as well.
        lead: its Sharpe ratio against that of holding.
        lead_p: p of that lead after Holm's correction over all allocations.
        lag: what it earns if filled at other times.
    """

    allocation: str
    model: str | None
    account: Account
    hurdle: float
    timing_p: float | None
    lead: Lead | None
    lead_p: float | None
    lag: LagCheck

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        named = {NOTHING: "doing nothing", HOLDING: "holding", SignWithThreshold.name: "sign"}
        words = named.get(self.allocation, self.allocation.replace("-", " "))
        return f"{words} by {self.model}" if self.model else words

    @property
    def acted(self) -> bool:
        """Whether it ever traded."""
        return self.account.trades > 0

    @property
    def probabilistic_sharpe(self) -> float | None:
        """Probability that its true Sharpe ratio is above zero, taken alone."""
        return self.account.sharpe.probabilistic() if self.account.sharpe else None

    @property
    def deflated_sharpe(self) -> float | None:
        """The same as the one of all tries that it is."""
        return self.account.sharpe.probabilistic(self.hurdle) if self.account.sharpe else None

    @property
    def beats_nothing(self) -> bool:
        """More than doing nothing, beyond chance, on enough bars."""
        p = self.deflated_sharpe
        return len(self.account) >= ENOUGH_ORIGINS and p is not None and p > 1 - SIGNIFICANCE

    @property
    def beats_holding(self) -> bool:
        """More for its risk than holding, beyond chance, on enough bars."""
        return len(self.account) >= ENOUGH_ORIGINS and self.lead_p is not None and self.lead_p < SIGNIFICANCE


def outcomes(forecasts: Sequence[Forecast], candles: Candles, costs: Costs) -> list[Outcome]:
    """Run every allocation on every model, each acting on the shortest horizon.

    Args:
        forecasts: one a model, all from the same origins.
        candles: those they were made from.
        costs: what trading costs.

    Returns:
        Doing nothing, holding and momentum, then what the models were used for, the highest Sharpe ratio first.
    """
    made = [
        _outcome(allocation, model, forecast, candles, costs)
        for allocation, model, forecast in _tries(forecasts, costs)
    ]
    hurdle = expected_maximum(spread_of_luck(len(made[0].account)), trials(made))
    [held] = [one.account.returns for one in made if one.allocation == HOLDING]
    leads = [None if one.allocation in (NOTHING, HOLDING) else lead(one.account.returns, held) for one in made]
    adjusted = holm([found.p if found else None for found in leads])
    judged = [
        replace(one, hurdle=hurdle, lead=found, lead_p=p) for one, found, p in zip(made, leads, adjusted, strict=True)
    ]
    return sorted(judged, key=_rank)


def trials(made: Sequence[Outcome]) -> int:
    """How many tries these were: all but doing nothing, those included that never found a reason to trade."""
    return sum(one.allocation != NOTHING for one in made)


def _tries(forecasts: Sequence[Forecast], costs: Costs) -> list[tuple[Allocation, str | None, Forecast]]:
    """Without a model first; a point forecast has no spread to aim at."""
    there_and_back = SignWithThreshold(2 * costs.one_way)
    alone: list[Allocation] = [DoNothing(), BuyAndHold(), Momentum()]
    return [
        *((allocation, None, forecasts[0]) for allocation in alone),
        *((VolatilityTarget(), f.model, f) for f in forecasts if has_spread(f)),
        *((there_and_back, f.model, f) for f in forecasts),
    ]


def has_spread(forecast: Forecast) -> bool:
    """Whether it is more than a point at the shortest horizon."""
    return bool((forecast.values[:, 0, 0] < forecast.values[:, 0, -1]).any())


def _outcome(allocation: Allocation, model: str | None, forecast: Forecast, candles: Candles, costs: Costs) -> Outcome:
    weights = allocation.weights(forecast, candles)
    account = trade(weights, forecast.origin, candles, costs)
    lag = lag_check(weights, forecast.origin, candles)
    # Funding makes a share drift that was never chosen anew: there is no timing in it.
    chosen = np.unique(weights[~np.isnan(weights)])
    timing = timing_p(account) if chosen.size > 1 else None
    return Outcome(allocation.name, model, account, 0.0, timing, None, None, lag)


def _rank(one: Outcome) -> tuple[bool, float]:
    """Sorting is stable, so those without a model keep their order."""
    sharpe = one.account.sharpe
    return (one.model is not None, -sharpe.ratio if one.model and sharpe else 0.0 if one.model is None else np.inf)
