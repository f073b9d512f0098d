"""How long work is shown on stderr while it runs."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def bars(*, quiet: bool = False) -> Progress:
    """Bars with what is done, how long it will take, and a field `words` for what is going on."""
    return Progress(
        TextColumn("{task.description:>16}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
