"""Where a pipeline is asked: a process of its own, so that it may crash, hang, print or meddle and harm nothing.

The function itself goes there by cloudpickle, so that one defined in a notebook can be asked too.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Literal, NamedTuple

import cloudpickle
import polars as pl

from ..candles import Candles
from ..threads import SETTINGS
from .messages import receive, send, to_bytes

Conduct = Literal["answered", "crashed", "hung"]


class Question(NamedTuple):
    """What a pipeline is asked.

    Args:
        candles: all that it is handed; the last bar may still be forming at `now`.
        test_from: the first origin.
        now: the clock.
        seed: for the generators of random, NumPy, PyTorch and TensorFlow, set before it is asked.
    """

    candles: Candles
    test_from: datetime
    now: datetime
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        conduct: whether it answered.
        frame: its forecasts as it wrote them; None if there is none that could be read as a frame.
        words: its error, or why its answer is no frame.
        printed: the first of what it printed.
        mutated: whether it changed the frame it was handed.
        wrote: files that it wrote.
        kept: files that it read and that had been written while an earlier question was worked on.
        found: files that it read, code aside, and that were there before the first question.
        seconds: how long it took.
    """

    conduct: Conduct
    frame: pl.DataFrame | None
    words: str = ""
    printed: str = ""
    mutated: bool = False
    wrote: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    seconds: float = 0.0


class Signature(NamedTuple):
    """What a pipeline wants to be handed.

    Args:
        form: of the candles.
        asks: which of `test_from` and `now` it takes.
    """

    form: Literal["pandas", "polars", "candles"]
    asks: frozenset[str]


class Sandbox:
    """A process that asks one pipeline, started anew when it has been ended.

    Args:
        target: the function, or "file.py:function".
        timeout: seconds for an answer, its imports included.

    What the pipeline reads from disk is told: as found if it was there before, as kept if written from here on.
    """

    def __init__(self, target: Callable[..., object] | str, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._since = time.time()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
        self.signature: Signature | None = None

    def open(self) -> Answer | None:
        """Start the process and have it find the function.

        Returns:
            None, or what went wrong: the file raised an error or did not come to an end.
        """
        if self._process is not None:
            return None
        self._process = _start()
        # A queue of its own: an old process may still be saying something.
        self._replies = queue.Queue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._replies), daemon=True).start()
        named = isinstance(self._target, str)
        try:
            body = str(self._target).encode() if named else cloudpickle.dumps(self._target)
        except Exception as error:  # what a notebook's function holds on to may be anything
            self.close()
            return Answer("crashed", None, f"{error}: it cannot be handed to another process")
        answer = self._exchange({"named": named, "since": self._since}, body)
        if isinstance(answer, Answer):
            return answer
        header, _ = answer
        if "error" in header:
            self.close()
            return Answer("crashed", None, header["error"])
        self.signature = Signature(header["form"], frozenset(header["asks"]))
        return None

    def ask(self, question: Question) -> Answer:
        """Ask, in no more than the time allowed."""
        failed = self.open()
        if failed:
            return failed
        candles = question.candles
        header = {
            "feed": str(candles.feed),
            "test_from": question.test_from.isoformat(),
            "now": question.now.isoformat(),
            "seed": question.seed,
        }
        began = time.perf_counter()
        answer = self._exchange(header, to_bytes(candles.frame))
        if isinstance(answer, Answer):
            return answer
        reply, body = answer
        return Answer(
            conduct="crashed" if "error" in reply else "answered",
            frame=pl.read_ipc(io.BytesIO(body)) if body else None,
            words=reply.get("error") or reply.get("nonsense", ""),
            printed=reply["printed"],
            mutated=reply["mutated"],
            wrote=tuple(reply["wrote"]),
            kept=tuple(reply["kept"]),
            found=tuple(reply["found"]),
            seconds=time.perf_counter() - began,
        )

    def _exchange(self, header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes] | Answer:
        process = self._process
        if process is None or process.stdin is None:
            return Answer("crashed", None, "its process could not be started")
        try:
            send(process.stdin, header, body)
            reply = self._reply(process)
        except queue.Empty:
            self.close()
            return Answer("hung", None, f"no answer within {self._timeout:g} s", seconds=self._timeout)
        except OSError:
            reply = None
        if reply is None:
            # It may have closed its pipe and live on: it is ended first.
            self.close()
            return Answer("crashed", None, f"its process ended (code {process.returncode})")
        return reply

    def _reply(self, process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], bytes] | None:
        """What it says next; None if it has ended, even if a process that it started holds its pipe open."""
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return self._replies.get(timeout=max(0.0, min(left, 1.0)))
            except queue.Empty:
                if process.poll() is not None:
                    return None
                if left <= 0:
                    raise

    def close(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        # Though it has ended, what it started may live on in its group.
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        # What it said is closed by who listens: a process that it started may hold that pipe open.
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()


def _start() -> subprocess.Popen[bytes]:
    """A fresh interpreter that serves; one thread of arithmetic, so that several do not stand in each other's way."""
    settings = {**SETTINGS, "PYTHONHASHSEED": "0", "TF_DETERMINISTIC_OPS": "1", "PYTHONIOENCODING": "utf-8"}
    # A function of a module is imported over there from wherever it was imported here.
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = "from coincast.sandbox.answering import serve; serve()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **settings},
        start_new_session=True,
    )


def _listen(stream: IO[bytes] | None, replies: queue.Queue[tuple[dict[str, Any], bytes] | None]) -> None:
    with contextlib.suppress(OSError, ValueError):
        while stream and (reply := receive(stream)) is not None:
            replies.put(reply)
    replies.put(None)
    if stream:
        stream.close()
