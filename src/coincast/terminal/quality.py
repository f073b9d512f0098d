"""What a series of candles is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..quality import Mended, Quality

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
