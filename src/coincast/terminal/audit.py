"""What an audit found: the outcome, each fault with its mend, what other futures did, scores, what is undeclared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..audit import FAULTS, UNDECLARED, Audit, Experiment, Finding
from .marks import NOT_ADVICE
from .score import standings

FAULT, REMARK, INDENT = "✕", "○", 4


def audit(found: Audit, width: int) -> RenderableType:
    """All of it, on a screen `width` characters wide."""
    parts = [_sentence(found), *_faults(found), *_futures(found), *_scores(found, width), *_undeclared(found)]
    return Group(*(line for part in parts for line in (part, Text(""))), Text(NOT_ADVICE))


def _sentence(found: Audit) -> Text:
    return Text(found.sentence, style="" if found.outcome == "passed" else "bold")


def _faults(found: Audit) -> Iterator[RenderableType]:
    """Each fault once, with every finding of it."""
    names = dict.fromkeys(one.fault for one in found.worst_first if one.fault != UNDECLARED)
    for name in names:
        yield _fault(name, [one for one in found.findings if one.fault == name])


def _fault(name: str, findings: Sequence[Finding]) -> RenderableType:
    kind = FAULTS[name]
    head = Text(f"{FAULT} {name}", style="bold red") if kind.fails else Text(f"{REMARK} {name}", style="bold")
    body = [Text(one.says + _place(one)) for one in findings]
    return Group(
        head, *(Padding(text, (0, 0, 0, INDENT), expand=False) for text in (*body, Text(kind.do, style="dim")))
    )


def _place(one: Finding) -> str:
    shown = [f"{what} {time:%Y-%m-%d %H:%M}" for what, time in (("origin", one.origin), ("bar", one.bar)) if time]
    return f" ({', '.join(shown)})" if shown else ""


def _futures(found: Audit) -> Iterator[RenderableType]:
    """How many other futures mattered, and those that did."""
    compared = [one for one in found.experiments if one.compared]
    moved = [one for one in compared if one.changed]
    if not compared:
        return
    seen, of = found.control
    head = Text(
        f"{len(moved) or 'None'} of {len(compared)} other futures changed a forecast; a leak planted in these forecasts"
        f" shows in {seen} of {of}."
    )
    yield Group(head, _experiments(moved)) if moved else head


def _experiments(moved: Sequence[Experiment]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("handed instead", overflow="fold")
    for name in ("changed", "largest"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in moved:
        largest = f"{100 * one.largest:.3g} %" if one.largest < 10 else f"{1 + one.largest:,.3g}-fold"
        table.add_row(Text(one.words), f"{one.changed:,} of {one.compared:,}", largest)
    return table


def _scores(found: Audit, width: int) -> Iterator[RenderableType]:
    """The sentence, and the table of the shortest horizon."""
    done = found.appraisal
    if done is None:
        return
    void = Text("Its scores say nothing, for its forecasts knew what came after them.", style="bold")
    yield Group(*([void] if found.saw_ahead else []), Text(done.headline))
    yield standings(done, done.horizons[0], width)


def _undeclared(found: Audit) -> Iterator[RenderableType]:
    missing = [one for one in found.findings if one.fault == UNDECLARED]
    if missing:
        head = Text(f"{REMARK} not declared", style="bold")
        body = [*(Text(one.says) for one in missing), Text(FAULTS[UNDECLARED].do, style="dim")]
        yield Group(head, *(Padding(text, (0, 0, 0, INDENT), expand=False) for text in body))
