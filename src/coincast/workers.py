"""A map over processes, one core each.

One process with one thread is nearly as fast as one with two on the small networks trained here, so the cores are used
side by side. Results come back in the order of the tasks and do not depend on how many workers there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, Protocol, TypeVar

from .errors import OutputError
from .forecaster import Watch
from .patience import as_they_end
from .recipe import load_plugin
from .threads import single_threaded

Task = TypeVar("Task")
Result = TypeVar("Result")
# Told of each task's progress: (task's number, steps done, steps in all, words).
Monitor = Callable[[int, int, int, str], None]


class Map(Protocol):
    """How tasks are done: here, in processes, or on a cluster."""

    def __call__(
        self, work: Callable[[Task, Watch], Result], tasks: Sequence[Task], monitor: Monitor
    ) -> Generator[tuple[int, Result]]:
        """Do every task; yield (its number, its result) as each is done, in any order. Closing it ends all work."""
        ...


def serial(
    work: Callable[[Task, Watch], Result], tasks: Sequence[Task], monitor: Monitor
) -> Generator[tuple[int, Result]]:
    """One task after the other, in this process."""
    for number, task in enumerate(tasks):
        yield number, work(task, _watch_of(number, monitor))


@dataclass(frozen=True)
class Processes:
    """Tasks side by side in processes of their own.

    Args:
        count: how many; one a core is best.
        plugins: files that register features and models, run in each process first.
    """

    count: int
    plugins: tuple[Path, ...] = ()

    def __call__(
        self, work: Callable[[Task, Watch], Result], tasks: Sequence[Task], monitor: Monitor
    ) -> Generator[tuple[int, Result]]:
        """Do every task; an interruption ends the processes at once."""
        # The processes inherit the environment, and read it when they import NumPy, polars and JAX.
        single_threaded()
        context = multiprocessing.get_context("spawn")
        news: SimpleQueue[Any] = context.SimpleQueue()
        count = max(1, min(self.count, len(tasks)))
        pool = ProcessPoolExecutor(count, context, initializer=_start, initargs=(news, self.plugins))
        with _listening(news, monitor), _ended_on_error(pool):
            numbers = {pool.submit(_work, work, number, task): number for number, task in enumerate(tasks)}
            yield from _as_done(numbers)


def _as_done(numbers: dict[Future[Result], int]) -> Iterator[tuple[int, Result]]:
    try:
        for future in as_they_end(numbers):
            yield numbers[future], future.result()
    except BrokenProcessPool as error:
        raise OutputError(
            "A worker process was ended from outside.",
            "Most often the machine ran out of memory.",
            "Run again: finished parts are kept. Use --processes 1 if it happens twice.",
        ) from error


@contextmanager
def _ended_on_error(pool: ProcessPoolExecutor) -> Iterator[None]:
    others = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    pool.shutdown()


@contextmanager
def _listening(news: SimpleQueue[Any], monitor: Monitor) -> Iterator[None]:
    def listen() -> None:
        while (message := news.get()) is not None:
            monitor(*message)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    # After an error no farewell is sent: a worker that was ended while it spoke has left the queue locked.
    yield
    news.put(None)
    thread.join()


# A worker process has one way to speak to its parent; the pool hands it over once, at the start.
_news: list[SimpleQueue[Any]] = []


def _start(news: SimpleQueue[Any], plugins: Sequence[Path]) -> None:
    _news.append(news)
    # The parent decides when to stop; a worker that also heard Ctrl-C would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for plugin in plugins:
        load_plugin(plugin)


def _end_with_parent() -> None:
    """A worker whose parent was killed would go on, unheard."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(work: Callable[[Task, Watch], Result], number: int, task: Task) -> Result:
    def tell(number: int, done: int, total: int, words: str) -> None:
        _news[0].put((number, done, total, words))

    return work(task, _watch_of(number, tell))


def _watch_of(number: int, monitor: Monitor) -> Watch:
    def watch(done: int, total: int, words: str) -> None:
        monitor(number, done, total, words)

    return watch
