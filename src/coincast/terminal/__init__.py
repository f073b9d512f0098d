"""What a person reads in the terminal: a sentence, a small table, what to do next. One module a kind of answer."""

from __future__ import annotations

from .audit import audit
from .lists import catalogue, first_sentence
from .marks import NOT_ADVICE
from .paths import questions, questions_document
from .quality import mended, quality, quality_document
from .run import outlook, result
from .score import appraisal
from .waiting import one_bar, progress
from .worth import worth

__all__ = [
    "NOT_ADVICE",
    "appraisal",
    "audit",
    "catalogue",
    "first_sentence",
    "mended",
    "one_bar",
    "outlook",
    "progress",
    "quality",
    "quality_document",
    "questions",
    "questions_document",
    "result",
    "worth",
]
