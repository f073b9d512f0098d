"""What a run said: the sentence, a table a horizon, the next forecast, where the report lies."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..feed import from_numpy
from ..forecast import Forecast
from ..inference import Membership
from ..runs import Run
from ..summaries import Summary
from ..verdict import Verdict
from .marks import COLOURS, NOT_ADVICE, SHAPES, SHORT, WIDE, bare, price

COLUMNS = ("model", "CRPS", "skill", "p", "80 %", "95 %", "RMSE", "MAPE", "direction", "set", "verdict")
# How wide the screen must be for what is left out first.
ROOM = {"80 %": WIDE, "direction": WIDE, "set": WIDE + 6}


def result(run: Run, page: Path | None, width: int) -> RenderableType:
    """All of a run that fits on a screen `width` characters wide."""
    parts: list[RenderableType] = [*(Text(line) for line in run.preface), Text("")] if run.preface else []
    parts += [Text(run.headline)]
    for horizon in run.walks[0].forecast.horizons:
        parts += [Text(""), _table(run, horizon, width)]
    if run.confidence_set and width >= ROOM["set"]:
        parts += [Text(""), Text("set: ● may be the best, ○ shown to be worse (90 % model confidence set)")]
    parts += [Text(""), outlook(run.outlook), Text("")]
    if page:
        parts.append(Text(f"Report: {page}"))
    return Group(*parts, Text(NOT_ADVICE))


def _table(run: Run, horizon: int, width: int) -> Table:
    rows = sorted((s for s in run.summaries if s.horizon == horizon), key=lambda s: s.crps)
    origins = f"{rows[0].n:,} origins" if rows else "no truth yet"
    table = bare(f"{horizon} x {run.candles.feed.interval} ahead, {origins}; skill in CRPS over garch-t")
    shown = [name for name in COLUMNS if width >= ROOM.get(name, 0)]
    for name in shown:
        table.add_column(name, justify="left" if name in {"model", "verdict"} else "right", no_wrap=True)
    verdicts = {v.model: v for v in run.verdicts if v.horizon == horizon}
    for s in rows:
        member = run.confidence_set.get((s.model, horizon))
        cells = dict(zip(COLUMNS, _cells(s, verdicts[s.model], member), strict=True))
        table.add_row(*(cells[name] for name in shown))
    return table


def _cells(s: Summary, v: Verdict, member: Membership | None) -> list[str | Text]:
    skill = s.crps_skill.get("garch-t")
    right = s.direction
    p = v.p
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
        "-" if member is None else "●" if member.held else "○",
        Text(f"{SHAPES.get(word, ' ')} {SHORT.get(word, word)}", style=COLOURS.get(word, "")),
    ]


def _share(s: Summary, band: int) -> float | None:
    return s.coverage[band].share if band in s.coverage else None


def outlook(forecast: Forecast) -> RenderableType:
    """The newest forecast in prices."""
    feed, origin = forecast.feed, from_numpy(forecast.origin[-1])
    table = bare(
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
            price(forecast.prices()[-1, column]),
            *(f"{price(low)}-{price(high)}" for low, high in ends),
        )
    return table
