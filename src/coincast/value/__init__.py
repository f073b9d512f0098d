"""What a forecast is worth to somebody who acts on it, after costs. It may well be nothing, and that is an answer."""

from __future__ import annotations

from .costs import Costs
from .worth import Worth, worth

__all__ = ["Costs", "Worth", "worth"]
