"""How a command answers: a table for people, or JSON and nothing else; and how long work is shown on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

INTERRUPTED = 130


def show(text: RenderableType, document: Any, as_json: bool) -> None:
    """Print one of two forms of the same answer."""
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        Console().print(text)


def stack(parts: Sequence[RenderableType]) -> Group:
    """One below the other, an empty line between."""
    return Group(*(line for number, part in enumerate(parts) for line in ([Text(""), part] if number else [part])))


def lines(said: Iterable[str]) -> Text:
    """Sentences, each from the start of a line."""
    return Text("\n".join(said))


def table(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str] = ()) -> Table:
    """Rows of equal keys under their keys; those of `numbers` to the right."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in rows[0] if rows else ():
        drawn.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    return drawn


@contextmanager
def progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr: how much is done, how long it will take, what is going on."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bars:
        row = bars.add_task(name, total=None, words="")
        yield lambda done, total, words: bars.update(row, completed=done, total=total or None, words=words)


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """Ctrl-C ends the block with a sentence and the exit code shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(words, err=True)
        raise typer.Exit(INTERRUPTED) from None
