"""How a command answers: a table for people, or JSON and nothing else; and how long work is shown on the way."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..progress import bars

INTERRUPTED = 130
_SECONDS_A_LINE = 5.0


def show(text: RenderableType, document: Any, as_json: bool) -> None:
    """Print one of two forms of the same answer."""
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        Console().print(text)


def stack(parts: Sequence[RenderableType]) -> Group:
    """One below the other, an empty line between."""
    return Group(*(line for number, part in enumerate(parts) for line in ([Text(""), part] if number else [part])))


def lines(said: Iterable[str]) -> Text:
    """Sentences, each from the start of a line."""
    return Text("\n".join(said))


def table(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Rows of equal keys under their keys; those of `numbers` to the right, those of `whole` never broken."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in rows[0] if rows else ():
        drawn.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in whole)
    for row in rows:
        drawn.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    return drawn


@contextmanager
def progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """On stderr how much is done, how long it will take and what is going on; off a terminal a line now and then."""
    if quiet:
        yield lambda _done, _total, _words: None
    elif sys.stderr.isatty():
        with bars() as drawn:
            row = drawn.add_task(name, total=None, words="")
            yield lambda done, total, words: drawn.update(row, completed=done, total=total or None, words=words)
    else:
        yield _Log()


class _Log:
    """Says what is going on, a line for each thing that is new, and not more often than every few seconds."""

    def __init__(self) -> None:
        self._said, self._said_at = "", -_SECONDS_A_LINE

    def __call__(self, done: int, total: int, words: str) -> None:
        now = time.monotonic()
        if words != self._said and now - self._said_at >= _SECONDS_A_LINE:
            self._said, self._said_at = words, now
            typer.echo(f"{words}{f' ({done / total:.0%})' if total else ''}", err=True)


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """Ctrl-C ends the block with a sentence and the exit code shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(words, err=True)
        raise typer.Exit(INTERRUPTED) from None
