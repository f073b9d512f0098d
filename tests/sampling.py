"""Of many like cases a few, others every day; `make proof` runs them all.

The seed is the session's: set COINCAST_SEED to what a failed session printed to draw the same again.
"""

import os
import random
from collections.abc import Sequence

WHOLE = "COINCAST_WHOLE"


def drawn_today(cases: Sequence[str], count: int) -> list[str]:
    """So many of the cases in their order, or all of them where the environment asks for the whole."""
    if os.environ.get(WHOLE):
        return list(cases)
    chosen = random.Random(f"{os.environ['COINCAST_SEED']} {len(cases)}").sample(cases, count)
    return [case for case in cases if case in chosen]
