"""How far long work has come, on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from ..backtest import blocks, silent
from ..candles import Candles
from ..forecaster import Watch
from ..progress import bars
from ..recipe import Recipe
from ..workers import Monitor


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
