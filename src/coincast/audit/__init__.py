"""Leaks and false claims in any forecasting pipeline, found by asking it about futures that never were.

Each name is imported when it is first used: where a pipeline is asked, nothing of what judges it is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .comparison import Experiment as Experiment
    from .declarations import Declarations as Declarations
    from .declarations import read_declarations as read_declarations
    from .examination import Audit as Audit
    from .examination import audit as audit
    from .findings import FAULTS as FAULTS
    from .findings import UNDECLARED as UNDECLARED
    from .findings import Fault as Fault
    from .findings import Finding as Finding
    from .pipeline import Pipeline as Pipeline

_HOMES = {
    "Audit": "examination",
    "Declarations": "declarations",
    "Experiment": "comparison",
    "FAULTS": "findings",
    "Fault": "findings",
    "Finding": "findings",
    "Pipeline": "pipeline",
    "UNDECLARED": "findings",
    "audit": "examination",
    "read_declarations": "declarations",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOMES)
