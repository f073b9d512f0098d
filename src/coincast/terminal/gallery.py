"""Mistakes beside the sound recipe: all of them in a table, or one with its code, its numbers and its audit."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..gallery.exhibit import Exhibit, Gallery
from ..gallery.tutorial import Errors, Score
from .marks import NOT_ADVICE, WIDE, bare

INDENT = 4


def gallery(shown: Gallery, width: int) -> RenderableType:
    """All that was asked for, on a screen `width` characters wide; a single mistake in full."""
    if len(shown.exhibits) == 1:
        parts = exhibit(shown.exhibits[0], width)
    else:
        more = Text("One of them in full: coincast gallery --fault NAME", style="dim")
        parts = [Text(shown.sentence), _table(shown, width), more]
    return Group(*(line for part in parts for line in (part, Text(""))), Text(NOT_ADVICE))


# --- all of them ------------------------------------------------------------------------------------------------------


def _table(shown: Gallery, width: int) -> Table:
    table = bare(
        f"MAPE without the mistake, as reported with it, and live; x: RMSE over that of no change; {_who(shown)}"
    )
    wide = width >= WIDE
    names = ["#", "mistake", "sound", "told", "live", *(["R2 told", "x told"] if wide else []), "x live", "caught as"]
    for name in names:
        table.add_column(name, justify="left" if name in ("mistake", "caught as") else "right", no_wrap=True)
    for one in shown.exhibits:
        cells = _cells(one)
        table.add_row(*(cells[name] for name in names))
    return table


def _who(shown: Gallery) -> str:
    return f"median of {shown.learners} {shown.learner}s" if shown.learners > 1 else f"one {shown.learner}"


def _cells(one: Exhibit) -> dict[str, str | Text]:
    found = one.caught[0].fault if one.caught else ""
    return {
        "#": str(one.mistake.number),
        "mistake": one.mistake.name,
        "sound": _percent(one.without.own.mape),
        "told": Text(_percent(one.told.own.mape), style="bold" if one.better else ""),
        "live": _percent(one.lived.own.mape),
        "R2 told": _r2(one.told.own),
        "x told": _times(one.told),
        "x live": _times(one.lived),
        "caught as": Text(found or "not caught", style="" if found else "red"),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _r2(errors: Errors) -> str:
    return "-" if errors.r2 is None else f"{errors.r2:.4f}"


def _times(score: Score) -> str:
    return "-" if score.ratio is None else f"{score.ratio:.2f}"


# --- one of them ------------------------------------------------------------------------------------------------------


def exhibit(one: Exhibit, width: int) -> list[RenderableType]:
    """One mistake in full."""
    mistake = one.mistake
    head = Text(f"{mistake.number}. {mistake.title}.", style="bold")
    said = Group(head, Text(mistake.says), Text(f"Met: {mistake.met}", style="dim"))
    numbers = Group(Text(one.sentence), *([Text(one.note)] if one.note else []))
    return [said, _code(one), numbers, _numbers(one, width), _audit(one), Text(f"Exercise. {mistake.exercise}")]


def _code(one: Exhibit) -> RenderableType:
    change = one.mistake.change
    parts = []
    for sign, style, code in (("-", "dim", change.before), ("+", "", change.after)):
        parts.append(Text("\n".join(f"{sign} {line}".rstrip() for line in code.splitlines()), style=style))
    return Padding(Group(parts[0], Text(""), parts[1]), (0, 0, 0, INDENT))


def _numbers(one: Exhibit, width: int) -> Table:
    """The three scores, each beside that of the last price over the same forecasts."""
    table = bare(f"{one.candles.feed}; beside each the error of 'no change' over the same forecasts")
    table.add_column("")
    names = ("n", "MAPE", "no change", "R2", "no change", *(("RMSE",) if width >= WIDE else ()), "x no change")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for words, score in (("the sound recipe", one.without), ("reported", one.told), ("live", one.lived)):
        beside = score.no_change
        cells = [
            f"{score.n:,}",
            _percent(score.own.mape),
            _percent(beside.mape) if beside else "-",
            _r2(score.own),
            _r2(beside) if beside else "-",
            *([f"{score.own.rmse:,.4g}"] if width >= WIDE else []),
            _times(score),
        ]
        table.add_row(words, *cells)
    return table


def _audit(one: Exhibit) -> RenderableType:
    """What the audit found of it, and the mend."""
    lines: list[RenderableType] = [Text(f"The audit: {one.audit.sentence}")]
    for found in one.caught:
        body = Group(Text(found.says), Text(found.kind.do, style="dim"))
        lines += [Text(f"✕ {found.fault}", style="bold red"), Padding(body, (0, 0, 0, INDENT), expand=False)]
    return Group(*lines)
