"""What acting on the forecasts came to: the answer, every allocation, and capital over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..runs import Run
from ..value import Worth
from ..value.account import Series
from ..value.allocations import Momentum, SignWithThreshold, VolatilityTarget
from ..value.outcomes import HOLDING, NOTHING, Outcome
from ..value.sharpe import annual
from ..value.words import earned, earned_over, one_of
from .ranking import hues
from .resample import extremes
from .style import MOST_MARKS, Axis, Chart, Label, line, p_value, percent, scaffold
from .words import listed, stamps

# A line that falls below this share of the capital leaves the chart, so that the others can be told apart.
FLOOR = 0.05


class _Line(NamedTuple):
    """A line of the chart."""

    equity: Series
    name: str
    hue: str
    label: str
    dash: str


@dataclass(frozen=True)
class AllocationRow:
    """An allocation's line, as text; `sharpe` has a smaller line under it."""

    allocation: str
    model: str | None
    hue: str
    earned: str
    worst: str
    sharpe: tuple[str, str]
    deflated: str
    lead_p: str
    timing_p: str
    traded: str
    held: str
    costs_up_to: str


@dataclass(frozen=True)
class Section:
    """The words and the table of the section.

    Args:
        heading: the answer.
        paragraph: what follows from it.
        over: what earnings are told over, a year or all of a shorter span.
        rows: allocations that need no model first, then the highest Sharpe ratio first.
        caption: what the columns are.
    """

    heading: str
    paragraph: str
    over: str
    rows: list[AllocationRow]
    caption: str


def section(run: Run, found: Worth) -> Section | None:
    """None if no bar has closed since the first forecast but one."""
    if len(found.outcomes[0].account) < 2:
        return None
    heading, *others = (said.replace(" %", "\N{NO-BREAK SPACE}%") for said in found.sentences)
    shown = [one for one in found.outcomes if one.acted or one.model is None]
    return Section(
        heading=heading.removesuffix("."),
        paragraph=" ".join(others),
        over=earned_over(found.outcomes[0]),
        rows=[_row(run, one) for one in shown],
        caption=_caption(found),
    )


def _row(run: Run, one: Outcome) -> AllocationRow:
    account, sharpe = one.account, one.account.sharpe
    ratio = annual(sharpe.ratio, account.interval) if sharpe else None
    error = annual(sharpe.error, account.interval) if sharpe else None
    return AllocationRow(
        allocation=one.allocation.replace("-", " "),
        model=one.model,
        hue=hues(run)[one.model] if one.model else "ink",
        earned=percent(earned(one), 0, sign=bool(earned(one))),
        worst=percent(account.max_drawdown, 0),
        sharpe=(_decimal(ratio), "" if error is None else f"± {error:.2f}"),
        deflated=_decimal(one.deflated_sharpe),
        lead_p=p_value(one.lead_p),
        timing_p=p_value(one.timing_p),
        traded="–" if not account.turnover else f"× {account.turnover:,.1f}",
        held=percent(account.exposure, 0),
        costs_up_to=percent(account.break_even_cost, 2),
    )


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _caption(found: Worth) -> str:
    idle = [one.words for one in found.outcomes if one.model and not one.acted]
    return (
        f"Decided at a close, filled at the next open; fee and slippage take {percent(found.costs.one_way, 2)} of what"
        " is traded. Sharpe ratios of a year, with their standard error. Deflated: the probability that the ratio is"
        f" above zero, as one of {found.trials} tried in this run. Over holding, p: the chance of such a lead in Sharpe"
        " ratio by luck, after Holm’s correction. Timing, p: the share of all times at which the same weights"
        " would have gone with the price as well. Traded: times the capital, a year. Pays up to: the cost of a trade at"
        " which nothing would be left." + (f" Never found a reason to trade: {listed(idle)}." if idle else "")
    )


def capital(run: Run, found: Worth) -> Chart | None:
    """Capital over time of what needs no model, and of what the best model was used for."""
    if len(found.outcomes[0].account) < 2:
        return None
    drawn = _lines(run, found)
    x = np.array(stamps(found.outcomes[0].account.time, run.candles.feed.interval))
    lowest = min(float(one.equity.min()) for one in drawn)
    axis = Axis.of_prices([v for one in drawn for v in np.maximum(one.equity, FLOOR)], "capital, 1 at the start")
    data, labels = [], []
    for equity, name, hue, text, dash in drawn:
        kept = extremes(equity, MOST_MARKS)
        data.append(line(x[kept].tolist(), equity[kept].tolist(), hue, name, dash=dash))
        labels.append(Label(name, max(float(equity[-1]), axis.low), text))
    layout = scaffold(300, axis, {"range": [x[0], x[-1]]}, labels=labels, room=108)
    caption = f"What a capital of 1 became after costs; with a model’s forecast, that of {found.shown}."
    if lowest < FLOOR:
        caption += f" What leaves the chart below has lost more than {percent(1 - FLOOR, 0)}."
    ends = ", ".join(f"{one.equity[-1]:.2f} by {one.name}" for one in drawn)
    return Chart("capital", data, layout, caption, f"A capital of 1 became {ends}.")


def _lines(run: Run, found: Worth) -> list[_Line]:
    """From the least to the most important: each is drawn over the one before."""
    hue = hues(run)[found.shown]
    wanted = (
        (NOTHING, None, "do nothing", "grey", "muted", "dash"),
        (Momentum.name, None, "momentum", "candle", "muted", "dot"),
        (SignWithThreshold.name, found.shown, "sign", hue, f"{hue}-text", "dot"),
        (VolatilityTarget.name, found.shown, "volatility target", hue, f"{hue}-text", "solid"),
        (HOLDING, None, "buy and hold", "ink", "ink", "solid"),
    )
    made = [(one_of(found.outcomes, allocation, model), drawn) for allocation, model, *drawn in wanted]
    return [
        _Line(one.account.equity, *drawn) for one, drawn in made if one and (one.acted or one.allocation == NOTHING)
    ]
