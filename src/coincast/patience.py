"""Waiting for what others do, without going deaf to Ctrl-C.

polars sets a handler of its own for the signal, after which a lock that waits for ever goes on waiting: nobody who
waits in the main thread may wait for long at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

Result = TypeVar("Result")
# Seconds after which an interruption is heard at the latest.
PATIENCE = 0.5


def as_they_end(futures: Iterable[Future[Result]]) -> Iterator[Future[Result]]:
    """Each future once it is done, in the order in which they end."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, PATIENCE, FIRST_COMPLETED)
        yield from done


def result_of(future: Future[Result]) -> Result:
    """What it comes to, or the error it ended in."""
    [done] = as_they_end([future])
    return done.result()
