"""Names and what each is."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Table


def catalogue(listed: Mapping[str, str]) -> RenderableType:
    """Names and what each is."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, says in listed.items():
        table.add_row(name, says)
    return table


def first_sentence(thing: type) -> str:
    """What a class's docstring opens with."""
    return (thing.__doc__ or "").strip().split("\n\n", maxsplit=1)[0].replace("\n    ", " ")
