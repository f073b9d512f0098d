"""What a person reads in the terminal: the sentence, a small table, the next forecast, where the report lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .backtest import blocks, silent
from .candles import Candles
from .feed import from_numpy
from .forecast import Forecast
from .forecaster import Watch
from .progress import bars
from .quality import Mended, Quality
from .recipe import Recipe
from .runs import Run
from .scores import Summary
from .verdict import Verdict
from .workers import Monitor

NOT_ADVICE = "An aid to decisions, not advice."
SHAPES = {"better": "▲", "no better": "=", "worse": "▼", "too short to tell": "·"}
COLUMNS = ("model", "CRPS", "skill", "p", "80 %", "95 %", "RMSE", "MAPE", "direction", "verdict")
ONLY_WIDE = {"80 %", "direction"}
WIDE = 96
# In the table; the sentence above it has the whole of it.
SHORT = {"too short to tell": "too short"}
COLOURS = {"better": "blue", "worse": "red"}


@contextmanager
def progress(recipes: Sequence[Recipe], candles: Candles, start: datetime, *, quiet: bool) -> Iterator[Monitor]:
    """A bar a model on stderr: blocks done, time left, how the training stands."""
    if quiet:
        yield silent
        return
    todo = [block.recipe.model.name for block in blocks(recipes, candles, start)]
    with bars() as drawn:
        rows = {name: drawn.add_task(name, total=todo.count(name), words="") for name in dict.fromkeys(todo)}
        share = dict.fromkeys(range(len(todo)), 0.0)

        def monitor(number: int, done: int, total: int, words: str) -> None:
            share[number] = done / total
            name = todo[number]
            of_model = [part for n, part in share.items() if todo[n] == name]
            drawn.update(rows[name], completed=sum(of_model), words=words)

        yield monitor


@contextmanager
def one_bar(name: str) -> Iterator[Watch]:
    """A single bar on stderr."""
    with bars() as drawn:
        row = drawn.add_task(name, total=None, words="")
        yield lambda done, total, words: drawn.update(row, completed=done, total=total, words=words)


def result(run: Run, page: Path | None, width: int) -> RenderableType:
    """All of a run that fits on a screen `width` characters wide."""
    parts: list[RenderableType] = [*(Text(line) for line in run.preface), Text("")] if run.preface else []
    parts += [Text(run.headline)]
    for horizon in run.walks[0].forecast.horizons:
        parts += [Text(""), _table(run, horizon, width)]
    parts += [Text(""), outlook(run.outlook), Text("")]
    if page:
        parts.append(Text(f"Report: {page}"))
    return Group(*parts, Text(NOT_ADVICE))


def _table(run: Run, horizon: int, width: int) -> Table:
    rows = sorted((s for s in run.summaries if s.horizon == horizon), key=lambda s: s.crps)
    origins = f"{rows[0].n:,} origins" if rows else "no truth yet"
    table = _bare(f"{horizon} x {run.candles.feed.interval} ahead, {origins}; skill in CRPS over garch-t")
    shown = [name for name in COLUMNS if width >= WIDE or name not in ONLY_WIDE]
    for name in shown:
        table.add_column(name, justify="left" if name in {"model", "verdict"} else "right", no_wrap=True)
    verdicts = {v.model: v for v in run.verdicts if v.horizon == horizon}
    for s in rows:
        cells = dict(zip(COLUMNS, _cells(s, verdicts[s.model]), strict=True))
        table.add_row(*(cells[name] for name in shown))
    return table


def _bare(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1))


def _cells(s: Summary, v: Verdict) -> list[str | Text]:
    skill = s.crps_skill.get("garch-t")
    right = s.direction
    p = v.comparison.p_better if v.comparison else None
    word = v.word or "-"
    return [
        s.model,
        f"{s.crps:.5f}",
        "-" if skill is None else f"{100 * skill:+.{2 if abs(skill) < 0.1 else 1}f} %",
        "-" if p is None else f"{p:.3f}",
        *(f"{100 * share:.1f}" if (share := _share(s, band)) is not None else "-" for band in (80, 95)),
        f"{s.rmse:,.4g}",
        f"{100 * s.mape:.2f} %",
        "-" if right is None else f"{100 * right.share:.1f} %",
        Text(f"{SHAPES.get(word, ' ')} {SHORT.get(word, word)}", style=COLOURS.get(word, "")),
    ]


def _share(s: Summary, band: int) -> float | None:
    return s.coverage[band].share if band in s.coverage else None


def outlook(forecast: Forecast) -> RenderableType:
    """The newest forecast in prices."""
    feed, origin = forecast.feed, from_numpy(forecast.origin[-1])
    table = _bare(
        f"{forecast.model} from {origin:%Y-%m-%d %H:%M} UTC, when {feed.base} closed at"
        f" {forecast.price[-1]:,.6g} {feed.quote}"
    )
    for name in ("by (UTC)", "median", "50 % lie in", "80 % lie in", "95 % lie in"):
        table.add_column(name, justify="left" if name.startswith("by") else "right", no_wrap=True)
    for column in range(len(forecast.horizons)):
        ends = [[forecast.prices(0.5 + side * share / 2)[-1, column] for side in (-1, 1)] for share in (0.5, 0.8, 0.95)]
        target = from_numpy(forecast.target_time[-1, column])
        table.add_row(
            f"{target:%m-%d %H:%M}",
            _price(forecast.prices()[-1, column]),
            *(f"{_price(low)}-{_price(high)}" for low, high in ends),
        )
    return table


def _price(value: float) -> str:
    return f"{value:,.5g}"


ALONE = "Labels a bar late or early, and the unit of volume, show only beside a second series: --against."


def quality(found: Quality, *, alone: bool) -> RenderableType:
    """The grade in a sentence, then what was found, the gravest first, each with what to do about it.

    Args:
        found: what was found.
        alone: it was not compared with a second series.
    """
    head = [Text(found.sentence), *([Text(ALONE, style="dim")] if alone and found.cleaned else [])]
    if not found.findings:
        return Group(*head)
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    for name, style in (("grade", "bold"), ("defect", ""), ("bars", ""), ("says", "")):
        table.add_column(name, justify="right" if name == "bars" else "left", style=style, no_wrap=name != "says")
    for one in found.worst_first:
        table.add_row(one.grade, one.defect, f"{one.count:,}" if one.count else "", Text(one.says))
        table.add_row("", "", "", Text(one.do, style="dim"))
    return Group(*head, Text(""), table)


def quality_document(found: Quality) -> dict[str, Any]:
    """The same as JSON, with every stretch of bars."""
    candles = found.cleaned.candles if found.cleaned else None
    return {
        "source": found.source,
        "grade": found.grade,
        "rows": found.rows,
        "interval": found.interval.name if found.interval else None,
        "bars": len(candles) if candles else None,
        "start": candles.start.isoformat() if candles else None,
        "end": candles.end.isoformat() if candles else None,
        "findings": [
            {
                "defect": one.defect,
                "grade": one.grade,
                "bars": one.count,
                "says": one.says,
                "do": one.do,
                "spans": [
                    {"first": span.first.isoformat(), "last": span.last.isoformat(), "bars": span.bars}
                    for span in one.spans
                ],
            }
            for one in found.worst_first
        ],
    }


def mended(copy: Mended, path: Path) -> RenderableType:
    """What was done for a corrected copy, and where it lies."""
    lines = [f"  {line}" for line in copy.did] or ["  Nothing had to be done."]
    return Group(*map(Text, lines), Text(f"Corrected copy, {len(copy.rows):,} rows: {path}"))


def catalogue(listed: Mapping[str, str]) -> RenderableType:
    """Names and what each is."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, says in listed.items():
        table.add_row(name, says)
    return table


def first_sentence(thing: type) -> str:
    """What a class's docstring opens with."""
    return (thing.__doc__ or "").strip().split("\n\n", maxsplit=1)[0].replace("\n    ", " ")
