"""What a person reads in the terminal: a sentence, a small table, what to do next. One module a kind of answer."""

from __future__ import annotations

from .lists import catalogue, first_sentence
from .marks import NOT_ADVICE
from .quality import mended, quality, quality_document
from .run import outlook, result
from .waiting import one_bar, progress

__all__ = [
    "NOT_ADVICE",
    "catalogue",
    "first_sentence",
    "mended",
    "one_bar",
    "outlook",
    "progress",
    "quality",
    "quality_document",
    "result",
]
