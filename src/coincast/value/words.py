"""What the books allow to be said, in plain words. None of it is advice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..verdict import ENOUGH_ORIGINS
from .allocations import VolatilityTarget
from .break_even import BreakEven
from .costs import Costs
from .outcomes import HOLDING, Outcome, trials

# Worst losses, and yearly growth, closer than this are called the same.
SAME_LOSS, SAME_GROWTH = 0.01, 0.05


def sentences(outcomes: Sequence[Outcome], break_evens: Sequence[BreakEven], costs: Costs, shown: str) -> list[str]:
    """Whether anything was worth doing; what holding less in wild weeks did; what a direction would have to be.

    Args:
        outcomes: of every allocation.
        break_evens: of every model.
        costs: what was paid.
        shown: the model whose volatility target is spoken of.
    """
    bars = len(outcomes[0].account)
    after = f"after costs of {percent(costs.one_way, 2)} a trade"
    if bars < ENOUGH_ORIGINS:
        return [f"{bars:,} bars are too few to tell whether a forecast is worth acting on {after}."]
    said = [
        *_suspects(outcomes),
        _answer(outcomes, after.capitalize()),
        _risk(outcomes, shown),
        _direction(break_evens),
    ]
    return [sentence for sentence in said if sentence]


def _suspects(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        f"What {one.words} earns is lost when it is filled a bar later: see that it does not know the bar it trades in."
        for one in outcomes
        if one.lag.flagged
    ]


def _answer(outcomes: Sequence[Outcome], after: str) -> str:
    earning = [one for one in outcomes if one.beats_nothing]
    best = max((one for one in earning if one.beats_holding), key=_ratio, default=None)
    if best is not None:
        return (
            f"{after}, {best.words} did better than doing nothing and, for the risk it took, than holding: beyond"
            f" chance even as the best of {trials(outcomes)} tries. Look for a leak before you believe it."
        )
    if len(earning) > 1:
        return (
            f"{after}, {len(earning)} of {trials(outcomes)} allocations earned more than doing nothing beyond chance,"
            " none more than holding for the risk it took."
        )
    if earning:
        also = "" if earning[0].allocation == HOLDING else ", and not more than holding for the risk it took"
        return f"{after}, only {earning[0].words} earned more than doing nothing beyond chance{also}."
    return f"{after}, no allocation earned more than doing nothing beyond chance."


def _risk(outcomes: Sequence[Outcome], shown: str) -> str | None:
    """What a volatility target changed; None if the model has no spread."""
    less, holding = one_of(outcomes, VolatilityTarget.name, shown), one_of(outcomes, HOLDING)
    if less is None or holding is None:
        return None
    lost, all_lost = (one.account.max_drawdown or 0.0 for one in (less, holding))
    rule = f"Holding less in wild weeks ({less.words})"
    if lost > all_lost - SAME_LOSS:
        return f"{rule} lost no less at worst than holding did: {percent(lost, 0)} against {percent(all_lost, 0)}."
    return (
        f"{rule} lost {percent(lost, 0)} at worst where holding lost {percent(all_lost, 0)},"
        f" {_at_what_return(less, holding)}: a choice of risk, not a prediction."
    )


def _at_what_return(less: Outcome, holding: Outcome) -> str:
    grown, all_grown = (earned(one) or 0.0 for one in (less, holding))
    if abs(grown - all_grown) <= SAME_GROWTH * (1 + all_grown):
        return "at about the same return"
    return f"at {percent(grown, 0)} {earned_over(less)} where holding made {percent(all_grown, 0)}"


def earned(one: Outcome) -> float | None:
    """What it earned in a year, or of less than a year in all; None without a bar."""
    account = one.account
    return account.gain if account.annual_return is None else account.annual_return


def earned_over(one: Outcome) -> str:
    """Which of the two that is."""
    return "in all" if one.account.annual_return is None else "a year"


def _direction(break_evens: Sequence[BreakEven]) -> str | None:
    """What a forecast of direction would need, beside the best there was."""
    needed = break_evens[0].needed
    if needed is None:
        return None
    if needed >= 1:
        return "Not even a forecast of direction that is always right would pay for its trades."
    must = f"To pay for its trades a forecast of direction must be right {percent(needed)} of the time"
    named = [(one.direction.share, one.model, one.direction) for one in break_evens if one.direction]
    if not named:
        return f"{must}; no model here names one."
    share, model, right = max(named, key=lambda found: found[:2])
    beside = f"always saying the same {percent(right.majority)}"
    return f"{must}; the best here, {model}, was right {percent(share)}, and {beside}."


def one_of(outcomes: Sequence[Outcome], allocation: str, model: str | None = None) -> Outcome | None:
    """The outcome of this allocation on this model; None if there is none."""
    return next((one for one in outcomes if (one.allocation, one.model) == (allocation, model)), None)


def _ratio(one: Outcome) -> float:
    return one.account.sharpe.ratio if one.account.sharpe else -math.inf


def percent(share: float, digits: int = 1) -> str:
    """A fraction as percent."""
    return f"{100 * share:,.{digits}f} %"
