"""How an audit and the process that asks a pipeline speak: a line of JSON, then as many bytes as it says.

A frame travels as an Arrow file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, Any

import polars as pl


def send(stream: IO[bytes], header: Mapping[str, Any], body: bytes) -> None:
    """Write one message.

    Raises:
        OSError: nobody listens any more.
    """
    stream.write(json.dumps({**header, "bytes": len(body)}).encode() + b"\n")
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    header = json.loads(line)
    body = stream.read(header["bytes"])
    return (header, body) if len(body) == header["bytes"] else None


def to_bytes(frame: pl.DataFrame) -> bytes:
    """A frame as an Arrow file."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()
