"""Candles you can trust: what is wrong with a series, how bad it is, and a copy without it."""

from __future__ import annotations

from .examination import examine, examine_file
from .findings import DEFECTS, GRADES, HARMS, Finding, Quality, Span
from .mending import Mended, mend

__all__ = ["DEFECTS", "GRADES", "HARMS", "Finding", "Mended", "Quality", "Span", "examine", "examine_file", "mend"]
