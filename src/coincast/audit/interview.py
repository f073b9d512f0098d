"""Many questions put to one pipeline, side by side."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..feed import Feed
from ..patience import as_they_end
from ..predictions import Predictions, predictions
from ..sandbox import Answer, Question, Sandbox, Signature
from .comparison import LARGEST
from .pipeline import Pipeline

# Told as answers come: (answers, questions so far, what is being asked).
Monitor = Callable[[int, int, str], None]


def silent(done: int, total: int, words: str) -> None:
    """A `Monitor` that tells nobody."""


@dataclass(frozen=True)
class Reply:
    """An answer, read.

    Args:
        answer: as it came.
        predictions: one for each model in it; none if it is no frame of forecasts.
        notes: what had to be assumed to read it.
        nonsense: why it could not be read.
    """

    answer: Answer
    predictions: tuple[Predictions, ...] = ()
    notes: tuple[str, ...] = ()
    nonsense: str = ""


class Interview:
    """Sandboxes for one pipeline, and what was asked of it so far. To be closed.

    A pipeline that writes files is asked one question at a time: two processes would write over each other's.

    Args:
        pipeline: whom to ask.
        timeout: seconds for one answer.
        processes: how many are asked at a time.
        monitor: told of progress.

    Attributes:
        monitor: told of progress.
        calls: answers so far.
        kept: files by which a pipeline handed something on from one question to a later one.
        found: files that it read and that were there before.
    """

    def __init__(self, pipeline: Pipeline, timeout: float, processes: int, monitor: Monitor = silent) -> None:
        self._free: queue.Queue[Sandbox] = queue.Queue()
        # One more than the first question needs, so that the next one finds a process which has heard nothing.
        self.sandboxes = max(2, processes)
        self._all = [Sandbox(pipeline.target, timeout) for _ in range(self.sandboxes)]
        for sandbox in self._all:
            self._free.put(sandbox)
        self._processes = processes
        self.monitor = monitor
        self._asked = 0
        self.calls = 0
        self.kept: dict[str, None] = {}
        self.found: dict[str, None] = {}

    def open(self) -> Signature | Answer:
        """What the pipeline wants to be handed, or why it cannot be asked."""
        sandbox = self._free.get()
        try:
            failed = sandbox.open()
        finally:
            self._free.put(sandbox)
        return failed or sandbox.signature or Answer("crashed", None, "it did not say what it takes")

    def ask(self, questions: Sequence[Question], words: str) -> list[Reply]:
        """The replies, in the order of the questions."""
        self._asked += len(questions)
        replies: list[Reply | None] = [None] * len(questions)
        self.monitor(self.calls, self._asked, words)
        with ThreadPoolExecutor(self._processes) as pool:
            numbers = {pool.submit(self._ask, question): number for number, question in enumerate(questions)}
            try:
                for future in as_they_end(numbers):
                    replies[numbers[future]] = future.result()
                    self.calls += 1
                    self.monitor(self.calls, self._asked, words)
            except BaseException:
                # Interrupted: no answer is waited for, and no question that still stands in line is asked.
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise
        answered = [reply for reply in replies if reply is not None]
        if any(reply.answer.wrote for reply in answered):
            self._processes = 1
        self.kept |= dict.fromkeys(path for reply in answered for path in reply.answer.kept)
        self.found |= dict.fromkeys(path for reply in answered for path in reply.answer.found)
        return answered

    def _ask(self, question: Question) -> Reply:
        sandbox = self._free.get()
        try:
            answer = sandbox.ask(question)
        finally:
            self._free.put(sandbox)
        return read(answer, question.candles.feed)

    def close(self) -> None:
        """End every process."""
        for sandbox in self._all:
            sandbox.close()


def read(answer: Answer, feed: Feed) -> Reply:
    """What an answer says."""
    if answer.frame is None:
        return Reply(answer, nonsense=answer.words if answer.conduct == "answered" else "")
    try:
        found, notes = predictions(answer.frame, feed)
    except DataError as error:
        return Reply(answer, nonsense=str(error))
    sizes = np.abs(np.concatenate([one.prices.ravel() for one in found]))
    # As good as zero is a price that a sound model may state of a market it has never seen the like of.
    if sizes.max() > LARGEST:
        return Reply(answer, nonsense=f"It states {sizes.max():.3g}, which no price can be.")
    return Reply(answer, tuple(found), tuple(notes))
