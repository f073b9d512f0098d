"""A maker's declarations held against the forecasts they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from ..feed import Feed
from ..sandbox import Signature
from ..verdict import SIGNIFICANCE
from .declarations import Declarations
from .findings import UNDECLARED, Finding

NEVER = "never"


def held_against(
    declared: Declarations, feed: Feed, first: datetime, signature: Signature, p_better: Sequence[float | None]
) -> list[Finding]:
    """What the declarations show, and those that are missing.

    Args:
        declared: the maker's word.
        feed: which candles were forecast.
        first: the first origin.
        signature: what the pipeline takes.
        p_better: of each comparison of its forecasts, that they are not better than the reference.
    """
    return [
        *_missing(declared, feed, signature),
        *_survivors(declared, feed, first),
        *_seen_before(declared, first),
        *_tuned(declared, first, p_better),
        *_closed(declared, signature),
    ]


def _missing(declared: Declarations, feed: Feed, signature: Signature) -> list[Finding]:
    wanted = {
        "universe": f'which assets were looked at before {feed.symbol} was shown; universe = ["{feed.symbol}"] if none',
        "pretrained_until": 'the last day its weights had seen before; "never" if it starts from nothing',
        "tuned_until": 'the last day on which settings were tried; "never" if none were',
        "trials": "how many configurations were tried; 1 if this is the first",
        "seeds": "how many networks the forecast averages; 1 for a model without chance",
    }
    if "now" not in signature.asks:
        wanted["closed"] = 'how it knows that the newest bar has closed; "handed closed" if that is its caller\'s task'
    if declared.tuned_until == NEVER:
        del wanted["trials"]
    missing = [f"{name}: {what}" for name, what in wanted.items() if getattr(declared, name) is None]
    if declared.universe is not None and set(declared.universe) != {feed.symbol} and declared.universe_as_of is None:
        missing.append("universe_as_of: the day that list was drawn up")
    return [Finding(UNDECLARED, f"{one}.") for one in missing]


def _survivors(declared: Declarations, feed: Feed, first: datetime) -> list[Finding]:
    drawn_up = declared.universe_as_of
    if declared.universe is None or drawn_up is None or set(declared.universe) == {feed.symbol}:
        return []
    if drawn_up <= first.date():
        return []
    says = f"The {len(declared.universe)} assets were listed on {drawn_up}, the forecasts begin {first:%Y-%m-%d}."
    return [Finding("survivors only", says, first)]


def _seen_before(declared: Declarations, first: datetime) -> list[Finding]:
    until = declared.pretrained_until
    if not isinstance(until, date) or until < first.date():
        return []
    says = f"Its weights have seen all until {until}, the forecasts begin {first:%Y-%m-%d}."
    return [Finding("trained on its own test", says, first)]


def _tuned(declared: Declarations, first: datetime, p_better: Sequence[float | None]) -> list[Finding]:
    """Bonferroni over the trials: a p that does not survive it was found by looking often enough."""
    until, trials = declared.tuned_until, declared.trials or 1
    if not isinstance(until, date) or until < first.date():
        return []
    lost = [p for p in p_better if p is not None and p < SIGNIFICANCE <= p * trials]
    if not lost:
        return []
    says = (
        f"{trials:,} configurations were tried until {until}, the forecasts begin {first:%Y-%m-%d}: a p of"
        f" {min(lost):.2g} is {min(1.0, min(lost) * trials):.2g} after so many."
    )
    return [Finding("tuned on its own test", says, first)]


def _closed(declared: Declarations, signature: Signature) -> list[Finding]:
    found = []
    if declared.closed in ("last row dropped", "as it comes") and "now" not in signature.asks:
        how = {
            "last row dropped": "the last row is dropped, closed or not",
            "as it comes": "the last row is taken for closed",
        }[declared.closed]
        found.append(Finding("closed by luck", f"By its own word {how}."))
    return found
