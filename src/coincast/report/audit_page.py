"""An audit as one page: the outcome, each fault with its mend, where it shows, what was tried, what it is worth."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from importlib import resources

import jinja2
from plotly.offline import get_plotlyjs

from ..audit import FAULTS, UNDECLARED, Audit, Declarations, Experiment, Finding
from ..audit.findings import Shown
from ..feed import Interval
from ..runs import versions
from ..verdict import NAIVE
from .leaks import near, reach
from .page import NOT_ADVICE, encode
from .standings import claim_rows, lag_rows, standing_tables
from .words import bar_of, candles_of, listed, moment

# A change of a price by more than this share is told as a multiple.
MANY = 10.0
# Of one fault, so many findings are told; the others are counted.
TOLD = 4
_WAYS: dict[Shown, str] = {
    "perturbation": "by changing bars it must not know",
    "scoring": "by scoring its forecasts",
    "declaration": "by what its maker declares",
    "conduct": "by how it behaved when it was asked",
}
_DECLARED = {
    "universe": "Assets that were looked at",
    "universe_as_of": "That list was drawn up on",
    "pretrained_until": "Its weights had seen data until",
    "tuned_until": "Settings were tried until",
    "trials": "Configurations tried",
    "seeds": "Networks averaged",
    "closed": "How it knows that the newest bar has closed",
}


def render_audit(audit: Audit) -> str:
    """The page: one HTML document that needs no network.

    Args:
        audit: what `coincast.audit.audit` found.

    Returns:
        The document; everything that came from the pipeline is escaped in it.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    drawn = (draw(audit, audit.candles, audit.predictions) for draw in (near, reach))
    charts = [chart for chart in drawn if chart]
    return environment.from_string(_resource("audit.html.jinja")).render(
        audit=audit,
        sentence=typeset(audit.sentence),
        headline=typeset(audit.appraisal.headline) if audit.appraisal else "",
        dateline=dateline(audit),
        faults=faults(audit),
        headings=headings(audit),
        charts=charts,
        experiments=[_experiment_row(one) for one in audit.experiments],
        control=control(audit),
        tables=standing_tables(audit.appraisal) if audit.appraisal else [],
        void=audit.saw_ahead,
        claims=claim_rows(audit.appraisal, audit.claims) if audit.appraisal else [],
        lags=lag_rows(audit.appraisal) if audit.appraisal else [],
        declared=declared_rows(audit.declared),
        undeclared=undeclared(audit),
        versions=versions(),
        not_advice=NOT_ADVICE,
        style=_resource("style.css"),
        script=_resource("page.js"),
        plotly=get_plotlyjs().replace("</script", "<\\/script") if charts else "",
        figures=encode({chart.name: {"data": chart.data, "layout": chart.layout} for chart in charts}),
    )


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def dateline(audit: Audit) -> str:
    """What was asked, and what it forecast."""
    candles = audit.candles
    interval = candles.feed.interval
    known = f"{moment(candles.start, interval)} to {bar_of(candles.end, interval)}"
    asked = (
        f"{audit.source} was handed {len(candles):,} {candles_of(interval)} of {candles.feed.symbol}, {known}, and"
        f" asked {audit.calls:,} time{'s' * (audit.calls != 1)}."
    )
    if audit.origins is None:
        return asked
    first, last = (bar_of(time, interval) for time in audit.origins)
    return f"{asked} It forecast from the closes of {first} to {last}. Times are UTC; a bar is named by its opening."


@dataclass(frozen=True)
class FaultEntry:
    """A fault and every finding of it, as text.

    Args:
        name: of the fault.
        fails: whether it is a fault; otherwise it is a remark.
        is_: what it is.
        told: what was found, with the place where it shows.
        more: findings that are not told.
        do: the mend.
        way: how it came to light.
    """

    name: str
    fails: bool
    is_: str
    told: tuple[tuple[str, str], ...]
    more: int
    do: str
    way: str


def faults(audit: Audit) -> list[FaultEntry]:
    """Every fault but what is not declared, the gravest first, each once."""
    grouped: dict[str, list[Finding]] = {}
    for one in audit.worst_first:
        grouped.setdefault(one.fault, []).append(one)
    grouped.pop(UNDECLARED, None)
    interval = audit.candles.feed.interval
    return [_entry(name, found, interval) for name, found in grouped.items()]


def _entry(name: str, found: Sequence[Finding], interval: Interval) -> FaultEntry:
    kind = FAULTS[name]
    return FaultEntry(
        name=name,
        fails=kind.fails,
        is_=typeset(f"{kind.is_[0].upper()}{kind.is_[1:]}."),
        told=tuple((typeset(one.says), _place(one, interval)) for one in found[:TOLD]),
        more=len(found[TOLD:]),
        do=typeset(kind.do),
        way=_WAYS[kind.shown],
    )


def typeset(words: str) -> str:
    """Words for a screen of letters as a page writes them: the name of the naive forecast in real quotation marks."""
    return re.sub("""(["'])no change\\1""", "“no change”", words)


def _place(one: Finding, interval: Interval) -> str:
    """Where it shows, in words."""
    places = []
    if one.origin:
        places.append(f"the forecast from the close of {bar_of(one.origin, interval)}")
    if one.bar:
        places.append(f"the bar of {moment(one.bar, interval)}")
    return f"See {listed(places)}." if places else ""


def headings(audit: Audit) -> dict[str, str]:
    """The statement over each section, from the audit's own numbers."""
    entries = faults(audit)
    grave = sum(one.fails for one in entries)
    remarks = len(entries) - grave
    parts = [f"{count} {word}{'s' * (count > 1)}" for count, word in ((grave, "fault"), (remarks, "remark")) if count]
    return {
        "findings": f"{listed(parts)}, with what to do about {'it' if len(entries) == 1 else 'each'}" if parts else "",
        "picture": _picture(audit.experiments),
        "tried": _tried(audit.experiments),
        "scores": _scores(audit),
        "declared": _declared(audit),
    }


def _scores(audit: Audit) -> str:
    if audit.appraisal is None:
        return ""
    if audit.saw_ahead:
        return "Its scores say nothing: its forecasts knew what came after them"
    own = {one.model for one in audit.appraisal.predictions}
    others = dict.fromkeys(one.model for one in audit.appraisal.standings if one.model not in own)
    named = ["“no change”" if name == NAIVE else name for name in others]
    return f"What its forecasts are worth{f' beside {listed(named)}' if named else ''}"


def _declared(audit: Audit) -> str:
    missing = len(undeclared(audit))
    if missing:
        return (
            f"{missing} thing{'s' * (missing > 1)} that no test can show {'are' if missing > 1 else 'is'} not declared"
        )
    return "All that no test can show is declared" if audit.predictions else "What its maker declares"


def _picture(experiments: Sequence[Experiment]) -> str:
    moved = any(one.changed for one in experiments)
    return f"{'Forecasts' if moved else 'No forecast'} moved with bars that came after {'them' if moved else 'it'}"


def _tried(experiments: Sequence[Experiment]) -> str:
    compared = [one for one in experiments if one.compared]
    moved = sum(one.changed > 0 for one in compared)
    if not compared:
        return "No other future could be tried"
    return f"{moved or 'None'} of {len(compared)} other futures changed a forecast"


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment as text."""

    words: str
    word: str
    shape: str
    compared: str
    changed: str
    largest: str
    first: str
    error: str


def _experiment_row(one: Experiment) -> ExperimentRow:
    word, shape = {True: ("stayed", "✓"), False: ("moved", "✕"), None: ("no answer", "·")}[one.passed]
    return ExperimentRow(
        words=one.words,
        word=word,
        shape=shape,
        compared=f"{one.compared:,}",
        changed=f"{one.changed:,}",
        largest=_share(one.largest) if one.changed else "–",
        first=f"{one.first:%Y-%m-%d %H:%M}" if one.first else "–",
        error=one.error,
    )


def _share(largest: float) -> str:
    """A change of a price, three digits."""
    if not math.isfinite(largest):
        return "–"
    return f"{100 * largest:.3g}\N{NO-BREAK SPACE}%" if largest < MANY else f"{1 + largest:,.3g}-fold"


def control(audit: Audit) -> str:
    """Whether the experiments find a leak that is planted in these very forecasts."""
    seen, of = audit.control
    planted = "a leak planted in these very forecasts, a hundredth of the next bar’s move,"
    if not of:
        return f"Whether {planted.removesuffix(',')} would be found could not be tried."
    if seen < of:
        return f"The instrument was tried first: {planted} shows in only {seen} of {of} experiments. A leak could hide."
    return f"The instrument was tried first: {planted} shows in {seen} of {of} experiments."


def undeclared(audit: Audit) -> list[tuple[str, str]]:
    """What is to be declared yet, by key."""
    said = [one.says.partition(": ") for one in audit.findings if one.fault == UNDECLARED]
    return [(key, what) for key, _, what in said]


def declared_rows(declared: Declarations) -> list[tuple[str, str]]:
    """What was declared, in words."""
    said = [(_DECLARED[field.name], getattr(declared, field.name)) for field in fields(declared)]
    return [(name, _said(value)) for name, value in said if value is not None]


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return listed(value) if value else "none"
    return f"{value.day} {value:%B %Y}" if isinstance(value, date) else str(value)
