"""A function asked in a process of its own, where it may crash, hang, print or meddle and harm nothing."""

from __future__ import annotations

from .process import Answer, Question, Sandbox, Signature

__all__ = ["Answer", "Question", "Sandbox", "Signature"]
