"""Run -> one HTML file that needs no network."""

from __future__ import annotations

from .page import render

__all__ = ["render"]
