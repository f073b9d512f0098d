"""What someone's forecasts are worth: the sentence, a table a horizon, what was taken for granted."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..appraisal import Appraisal, Standing
from ..verdict import Verdict
from .marks import COLOURS, NOT_ADVICE, SHAPES, SHORT, WIDE, bare

LEFT = ("model", "verdict")
# What a narrow screen does without, the least telling first.
SPARED = ("MAPE", "n", "direction", "RMSE", "x no change", "p")
# Between two columns.
_GAP = 2
# A frame may hold hundreds of horizons; these many have a table each.
TABLES = 3
# Bands shown, if a model states more; the widest alone where there is little room.
BANDS = 2


def appraisal(done: Appraisal, width: int) -> RenderableType:
    """All of an appraisal that fits on a screen `width` characters wide."""
    horizons = done.horizons
    shown = horizons if len(horizons) <= TABLES else [horizons[0], horizons[len(horizons) // 2], horizons[-1]]
    parts: list[RenderableType] = [Text(done.headline)]
    for horizon in shown:
        parts += [Text(""), standings(done, horizon, width)]
    notes = list(done.notes)
    if len(shown) < len(horizons):
        notes.append(f"{len(horizons)} horizons were judged, {len(shown)} are shown; --json has all.")
    if notes:
        parts += [Text(""), *(Text(note, style="dim") for note in notes)]
    return Group(*parts, Text(""), Text(NOT_ADVICE))


def standings(done: Appraisal, horizon: int, width: int) -> Table:
    """The models and references at one horizon, lowest loss first."""
    rows = sorted((s for s in done.standings if s.horizon == horizon), key=lambda s: (s.crps is None, s.crps))
    verdicts = {v.model: v for v in done.verdicts if v.horizon == horizon}
    bands = sorted({band for s in rows for band in s.coverage})[-(BANDS if width >= WIDE else 1) :]
    table = bare(f"{horizon} x {done.candles.feed.interval} ahead; loss and skill at the levels that were stated")
    cells = [_cells(s, verdicts.get(s.model), bands) for s in rows]
    names = _fitting(cells, width)
    for name in names:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for row in cells:
        table.add_row(*(row[name] for name in names))
    return table


def _cells(s: Standing, v: Verdict | None, bands: list[float]) -> dict[str, str | Text]:
    compared = v.comparison if v else None
    p = (compared.p_worse if v.word == "worse" else compared.p_better) if v and compared else None
    word = v.word if v and v.word else "-"
    return {
        "model": s.model,
        "n": f"{s.n:,}",
        "loss": "-" if s.crps is None else f"{s.crps:.5f}",
        "skill": "-" if v is None or v.skill is None else f"{100 * v.skill:+.{2 if abs(v.skill) < 0.1 else 1}f} %",
        "p": "-" if p is None else f"{p:.3f}",
        **{f"{band:.3g} %": _held(s, band) for band in bands},
        "RMSE": f"{s.rmse:,.4g}",
        "x no change": "-" if s.rmse_ratio is None else f"{s.rmse_ratio:.3f}",
        "MAPE": f"{100 * s.mape:.2f} %",
        "direction": "-" if s.direction is None else f"{100 * s.direction.share:.1f} %",
        "verdict": Text(f"{SHAPES.get(word, ' ')} {SHORT.get(word, word)}", style=COLOURS.get(word, "")),
    }


def _fitting(cells: list[dict[str, str | Text]], width: int) -> list[str]:
    """The columns that a screen has room for."""
    needs = {name: max(len(name), *(len(row[name]) for row in cells)) + _GAP for name in cells[0]}
    for name in SPARED:
        if sum(needs.values()) > width:
            del needs[name]
    return list(needs)


def _held(s: Standing, band: float) -> str:
    share = s.coverage[band].share if band in s.coverage else None
    return "-" if share is None else f"{100 * share:.1f}"
