"""What a run's forecasts are worth after costs: the sentence, every allocation, the lower tail."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..feed import from_numpy
from ..value import Worth
from ..value.bands import Stop, Tail
from ..value.outcomes import Outcome
from ..value.sharpe import annual
from ..value.words import earned, earned_over
from .marks import NOT_ADVICE, WIDE, bare

# Screens from this width on show the whole of the table.
WIDEST = 120
ALLOCATIONS: Mapping[str, int] = {
    "allocation": 0,
    "model": 0,
    "earned": 0,
    "worst": 0,
    "Sharpe": 0,
    "±": WIDE,
    "DSR": 0,
    "p": 0,
    "traded": WIDE,
    "timing": WIDE,
    "held": WIDEST,
    "costs up to": WIDEST,
}
TAILS: Mapping[str, int] = {
    "model": 0,
    "past 5 %": 0,
    "Kupiec": WIDE,
    "loss then": 0,
    "past 1 %": 0,
    "Kupiec ": WIDE,
    "loss then ": 0,
    "stop hit": 0,
    "in vain": 0,
}
# What a column shows that its name does not say.
LEGEND: Mapping[str, str] = {
    "allocation": "Every order is filled at the next open.",
    "earned": "Earned {over}.",
    "worst": "Worst: the largest fall from a peak.",
    "DSR": "DSR: chance that the Sharpe ratio is above zero, as the best of all tries.",
    "p": "p: of a lead over holding.",
    "traded": "Traded: times the capital, a year.",
    "timing": "Timing: chance that the same trades at other times had gone with the price as well.",
    "costs up to": "Costs up to: a trade's cost at which nothing is left.",
}
OF_TAILS = (
    "Losses past the lower 5 and 1 %; the mean loss then, as forecast / as it came. Stop hit: how often a low reached"
    " the 5 % quantile; in vain: of those, how often the price closed above it."
)


def worth(found: Worth, width: int) -> RenderableType:
    """All of it that fits on a screen `width` characters wide."""
    idle = [one.words for one in found.outcomes if one.model and not one.acted]
    parts: list[RenderableType] = [Text(found.sentence), Text(""), _allocations(found, width)]
    legend = " ".join(says for name, says in LEGEND.items() if ALLOCATIONS[name] <= width)
    parts.append(Text(legend.format(over=earned_over(found.outcomes[0])), style="dim"))
    if idle:
        parts.append(Text(f"Never found a reason to trade: {', '.join(idle)}.", style="dim"))
    if found.stops:
        parts += [Text(""), _tails(found, width), Text(OF_TAILS, style="dim")]
    return Group(*parts, Text(""), Text(NOT_ADVICE))


def _allocations(found: Worth, width: int) -> Table:
    time = found.outcomes[0].account.time
    span = f", {from_numpy(time[0]):%Y-%m-%d} to {from_numpy(time[-1]):%Y-%m-%d}" if len(time) else ""
    rows = [_outcome(one) for one in found.outcomes if one.acted or one.model is None]
    title = f"{len(time):,} bars{span}; {100 * found.costs.one_way:.2f} % a trade; {found.trials} tries"
    return _table(title, ALLOCATIONS, rows, width)


def _outcome(one: Outcome) -> list[str]:
    account, sharpe = one.account, one.account.sharpe
    return [
        one.allocation.replace("-", " "),
        one.model or "",
        _percent(earned(one)),
        _percent(account.max_drawdown),
        _number(annual(sharpe.ratio, account.interval) if sharpe else None, 2),
        _number(annual(sharpe.error, account.interval) if sharpe else None, 2),
        _number(one.deflated_sharpe, 2),
        _number(one.lead_p, 2),
        "-" if account.turnover is None else f"x {account.turnover:,.1f}",
        _number(one.timing_p, 2),
        _percent(account.exposure),
        _percent(account.break_even_cost, 2),
    ]


def _tails(found: Worth, width: int) -> Table:
    rows = [
        [stop.model, *(cell for tail in found.tails if tail.model == stop.model for cell in _tail(tail)), *_stop(stop)]
        for stop in found.stops
    ]
    return _table("The lower tail", TAILS, rows, width)


def _tail(one: Tail) -> list[str]:
    share = None if one.held.share is None else 1 - one.held.share
    losses = [_number(None if loss is None else -100 * loss, 1) for loss in (one.expected, one.realised)]
    return [_percent(share, 1), _number(one.held.kupiec_p, 3), "/".join(losses)]


def _stop(one: Stop) -> list[str]:
    return [_percent(one.touched), _percent(one.in_vain)]


def _table(title: str, columns: Mapping[str, int], rows: list[list[str]], width: int) -> Table:
    """The columns that a screen of this width has room for."""
    table = bare(title)
    shown = [name for name, needs in columns.items() if needs <= width]
    for name in shown:
        table.add_column(name, justify="left" if name in {"allocation", "model"} else "right", no_wrap=True)
    for row in rows:
        cells = dict(zip(columns, row, strict=True))
        table.add_row(*(cells[name] for name in shown))
    return table


def _percent(share: float | None, digits: int = 0) -> str:
    return "-" if share is None else f"{100 * share:,.{digits}f} %"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
