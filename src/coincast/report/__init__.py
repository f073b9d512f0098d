"""Run -> one HTML file that needs no network; the same for what a series of candles is worth."""

from __future__ import annotations

from .audit_page import render_audit
from .page import render
from .quality_page import render_quality

__all__ = ["render", "render_audit", "render_quality"]
