"""Leaks and false claims in any forecasting pipeline, found by asking it about futures that never were."""

from __future__ import annotations

from .comparison import Experiment
from .declarations import Declarations, read_declarations
from .examination import Audit, audit
from .findings import FAULTS, UNDECLARED, Fault, Finding
from .pipeline import Pipeline

__all__ = [
    "FAULTS",
    "UNDECLARED",
    "Audit",
    "Declarations",
    "Experiment",
    "Fault",
    "Finding",
    "Pipeline",
    "audit",
    "read_declarations",
]
