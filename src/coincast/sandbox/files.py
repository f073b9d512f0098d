"""Files that a pipeline reads and writes: what was learnt before reaches a question through them, unasked."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

# A file's clock lags behind: what was written so shortly before a question may have been written by it.
COARSE = 0.05
_WRITES = os.O_WRONLY | os.O_RDWR
# Code, and what the system and its libraries keep.
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib")
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/Library", "/System")


class Files:
    """Watches this process open files, by Python's own audit hook (PEP 578); what a C library opens itself goes unseen.

    Code, files of the system, of libraries, and hidden ones in the home folder are left aside.

    Args:
        since: when the first question was asked, in seconds since 1970.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._asked = time.time()
        self._passed = tuple(map(os.path.realpath, (sys.prefix, sys.base_prefix, *_caches()))) + _SYSTEM
        self._home = str(Path.home().resolve())
        self._written: dict[str, None] = {}
        self._kept: dict[str, None] = {}
        self._found: dict[str, None] = {}
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

    @property
    def found(self) -> list[str]:
        """Read at any time, and there before the first question."""
        return list(self._found)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(arguments[0])
        try:
            changed = Path(path).stat().st_mtime
        except (OSError, ValueError):  # it is only made now, or nobody can open it
            changed = self._asked
        if path.endswith(_CODE) or "__pycache__" in path or self._is_passed(path):
            return
        if arguments[2] & _WRITES:
            self._written[path] = None
        elif changed < self._since:
            self._found[path] = None
        elif changed < self._asked - COARSE:
            self._kept[path] = None

    def _is_passed(self, path: str) -> bool:
        real = os.path.realpath(path)
        hidden = real.startswith(f"{self._home}{os.sep}.")
        return hidden or any(real == folder or real.startswith(folder + os.sep) for folder in self._passed)


def _caches() -> list[str]:
    return [os.environ[name] for name in ("COINCAST_CACHE", "XDG_CACHE_HOME") if os.environ.get(name)]
