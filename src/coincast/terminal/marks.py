"""What every screen shares: tables without boxes, prices, the shapes of verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

NOT_ADVICE = "An aid to decisions, not advice."
SHAPES: Mapping[str, str] = {"better": "▲", "no better": "=", "worse": "▼", "too short to tell": "·"}
# In a table; the sentence above it has the whole of it.
SHORT: Mapping[str, str] = {"too short to tell": "too short"}
COLOURS: Mapping[str, str] = {"better": "blue", "worse": "red"}
# Screens from this width on show every column.
WIDE = 96


def bare(title: str) -> Table:
    """A table without lines, under a bold title."""
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1))


def price(value: float) -> str:
    """Five significant digits."""
    return f"{value:,.5g}"
