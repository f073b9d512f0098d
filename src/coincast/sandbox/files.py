"""Files that a pipeline writes and reads back: what it learnt from one question would reach the next through them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

# A file's clock lags behind: what was written so shortly before a question may have been written by it.
COARSE = 0.05
_WRITES = os.O_WRONLY | os.O_RDWR


class Files:
    """Watches this process open files, by Python's own audit hook (PEP 578); what a C library opens itself goes unseen.

    Args:
        since: when the first question was asked, in seconds since 1970; older files are the pipeline's own.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._asked = time.time()
        self._written: dict[str, None] = {}
        self._kept: dict[str, None] = {}
        sys.addaudithook(self._heard)

    def ask(self) -> None:
        """Another question begins."""
        self._asked = time.time()
        self._written.clear()
        self._kept.clear()

    @property
    def written(self) -> list[str]:
        """Opened for writing since the question began."""
        return list(self._written)

    @property
    def kept(self) -> list[str]:
        """Read since the question began, though written after the first question and before this one."""
        return list(self._kept)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(arguments[0])
        if "__pycache__" in path or path == os.devnull:
            return
        if arguments[2] & _WRITES:
            self._written[path] = None
        elif self._is_kept(path):
            self._kept[path] = None

    def _is_kept(self, path: str) -> bool:
        try:
            changed = Path(path).stat().st_mtime
        except (OSError, ValueError):  # not there, or no path at all: whoever opens it will hear of it
            return False
        return self._since <= changed < self._asked - COARSE
