"""Results reach the disk whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from .errors import OutputError


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path`: a reader sees the old file or the new one, never a part.

    Raises:
        OutputError: the place cannot be written or is full, and what stood there is untouched; or, with words of its
            own, the new file stands and may not outlast a power cut.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise refusal(path, error) from error
    _settle(path)


def parquet(frame: pl.DataFrame) -> bytes:
    """A frame as the content of a Parquet file, for `write`."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` when the block ends well and vanishes when it does not.

    Raises:
        OutputError: `path` holds something already, or cannot be written; or, with words of its own, the folder stands
            and may not outlast a power cut.
    """
    half = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        half.chmod(0o755)
        yield half
        half.replace(path)
        _settle(path)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        if half is not None:
            shutil.rmtree(half, ignore_errors=True)


def make_folder(path: Path) -> Path:
    """The folder at `path`, made if it is not there, and proved writable before any work is done for it.

    Raises:
        OutputError: it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise refusal(path, error) from error


def vacant(path: Path) -> None:
    """Refuse a place that holds something, before any work is done for it.

    Raises:
        OutputError: `path` is a file or a folder with something in it.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise OutputError(
            f"{path} holds something already.",
            "It would be overwritten.",
            "Name another place with --out, or remove it first.",
        )


def refusal(path: Path, error: OSError) -> OutputError:
    """That the system would not let us write, in our words."""
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}).",
        "The result would be lost or torn.",
        "Make room there or name another place.",
    )


def _settle(path: Path) -> None:
    """Bring a new name to the disk: without this a power cut may undo a rename that was seen to succeed.

    Raises:
        OutputError: the system would not; the name stands nevertheless.
    """
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputError(
            f"{path} is written, but its folder could not be brought to the disk ({error.strerror or error}).",
            "It is whole and can be read; a power cut now may bring back what stood there before.",
            "Look after that disk, then write once more.",
        ) from error
