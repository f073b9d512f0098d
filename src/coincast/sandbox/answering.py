"""The other side of a `Sandbox`: find a pipeline, ask it as often as asked, and tell how it behaved."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl

from ..candles import Candles
from ..feed import Feed
from ..tables import table_of
from .files import Files
from .messages import receive, send, to_bytes
from .process import Signature

# Of what a pipeline printed or of its error, kept for the report.
KEPT = 400


def serve() -> None:
    """Answer until the pipe closes. What the pipeline prints, on whatever level, goes to a file."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with tempfile.TemporaryFile() as printed:
        silence = os.open(os.devnull, os.O_RDONLY)
        os.dup2(silence, 0)
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        opened = receive(inbox)
        if opened is None:
            return
        files = Files(opened[0]["since"])
        function = _opened(opened, outbox)
        while function and (asked := receive(inbox)) is not None:
            _answer(function, asked, printed, files, outbox)


def _end_with(parent: int) -> None:
    """A pipeline at work, and what it started, would go on unheard when the audit is killed."""
    while os.getppid() == parent:
        time.sleep(1)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _opened(opened: tuple[dict[str, Any], bytes], outbox: IO[bytes]) -> Callable[..., object] | None:
    header, body = opened
    try:
        function = _found(body.decode()) if header["named"] else cloudpickle.loads(body)
        signature = _signature_of(function)
    except BaseException as error:  # a file that calls sys.exit() must not end the audit
        send(outbox, {"error": _told(error)}, b"")
        return None
    send(outbox, {"form": signature.form, "asks": sorted(signature.asks)}, b"")
    return function


def _found(text: str) -> Callable[..., object]:
    """The function in a file, run as a module of its own, with its folder on the path as Python itself would."""
    path, _, name = text.rpartition(":")
    sys.path.insert(0, str(Path(path).parent))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    function: Callable[..., object] = getattr(module, name)
    return function


def _signature_of(function: Callable[..., object]) -> Signature:
    parameters = inspect.signature(function).parameters
    if not parameters:
        raise TypeError("it takes no candles")
    first, *others = parameters
    asks = frozenset(others) & {"test_from", "now"}
    with contextlib.suppress(Exception):  # a name that only a type checker imports is read as it is written
        parameters = inspect.signature(function, eval_str=True).parameters
    wanted = parameters[first].annotation
    if wanted is Candles or str(wanted).endswith("Candles"):
        return Signature("candles", asks)
    polars = wanted is pl.DataFrame or str(wanted).startswith(("pl.", "polars."))
    return Signature("polars" if polars else "pandas", asks)


def _answer(
    function: Callable[..., object],
    asked: tuple[dict[str, Any], bytes],
    printed: IO[bytes],
    files: Files,
    outbox: IO[bytes],
) -> None:
    header, body = asked
    signature = _signature_of(function)
    frame = pl.read_ipc(io.BytesIO(body))
    handed = _handed(frame, signature.form, header["feed"])
    times = {name: datetime.fromisoformat(header[name]) for name in sorted(signature.asks)}
    _seed(header["seed"])
    printed.seek(0)
    printed.truncate()
    reply: dict[str, Any] = {"mutated": False}
    answer = b""
    files.ask()
    try:
        returned = function(handed, **times)
        reply["mutated"] = not _same(handed, frame)
        answer, reply["nonsense"] = _framed(returned)
    except BaseException as error:  # whatever it raises is a finding
        reply["error"] = _told(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()
    printed.seek(0)
    reply["printed"] = printed.read(KEPT).decode(errors="replace").strip()
    reply |= {"wrote": files.written, "kept": files.kept, "found": files.found}
    send(outbox, reply, answer)


def _handed(frame: pl.DataFrame, form: str, feed: str) -> Any:
    if form == "pandas":
        return pd.DataFrame({name: frame[name].to_numpy().copy() for name in frame.columns}).assign(
            time=lambda table: table["time"].dt.tz_localize("UTC")
        )
    return Candles(Feed.parse(feed), frame.clone()) if form == "candles" else frame.clone()


def _same(handed: Any, frame: pl.DataFrame) -> bool:
    """Whether a pipeline left what it was handed as it was."""
    if isinstance(handed, Candles):
        handed = handed.frame
    if isinstance(handed, pl.DataFrame):
        return handed.equals(frame)
    if list(handed.columns) != frame.columns or not handed.index.equals(pd.RangeIndex(frame.height)):
        return False
    told = handed.assign(time=pd.to_datetime(handed["time"], utc=True).dt.tz_localize(None))
    return all(_equal(told[name].to_numpy(), frame[name].to_numpy()) for name in frame.columns)


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _framed(returned: object) -> tuple[bytes, str]:
    """What was returned, as bytes of a frame; or why it is none."""
    if hasattr(returned, "to_frame") and not hasattr(returned, "columns"):
        returned = returned.to_frame(name="prediction")  # a pandas Series over its times
    try:
        table = table_of(returned)
        return to_bytes(table), ""
    except Exception as error:  # a frame of objects, an array, None: all are one finding
        return b"", f"{type(returned).__name__} is no frame ({_told(error)})"


def _seed(seed: int) -> None:
    """Set the generators a pipeline may use, those of libraries it has loaded included."""
    random.seed(seed)
    np.random.seed(seed)
    for name, path in (("torch", "manual_seed"), ("tensorflow", "random.set_seed"), ("keras", "utils.set_random_seed")):
        found: Any = sys.modules.get(name)
        for part in path.split("."):
            found = getattr(found, part, None)
        if found:
            found(seed)


def _told(error: BaseException) -> str:
    """An error as one line: what, and in which line of the pipeline."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _of_a_library(Path(frame.filename))]
    place = f" in {Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""
    said = f"{type(error).__name__}: {error}{place}"[:KEPT]
    # A file name that is not text comes as halves of characters, which nothing can print.
    return said.encode(errors="backslashreplace").decode()


def _of_a_library(file: Path) -> bool:
    return "site-packages" in file.parts or Path(__file__).parent.parent in file.parents
