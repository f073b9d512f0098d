"""Which outside series there are, and which one there is not and why."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ..errors import RecipeError
from . import chain, funding, markets, sentiment
from .series import Series

OUTSIDE: dict[str, Series] = {
    series.name: series for series in (sentiment.FEAR_GREED, funding.FUNDING, *chain.SERIES, *markets.SERIES)
}

REFUSED: Mapping[str, str] = {
    "google_trends": "Google scales every answer by the largest search interest in the span asked for: a value of 2017"
    " fetched today knows how large the interest became later. It leaks the future by construction.",
}


def register(series: Series) -> Series:
    """Make a series known by its name.

    Raises:
        RecipeError: another series has that name.
    """
    if OUTSIDE.get(series.name, series) != series:
        raise RecipeError(
            f"An outside series named {series.name!r} is registered already.",
            "A feature would not say which one it reads.",
            "Choose another name.",
        )
    OUTSIDE[series.name] = series
    return series


def series_named(name: str) -> Series:
    """The registered series of that name.

    Raises:
        RecipeError: there is none, or it is one that would leak the future; the message says how.
    """
    if name in REFUSED:
        raise RecipeError(f"{name} is not offered.", REFUSED[name], f"Choose among {', '.join(OUTSIDE)}.")
    if name not in OUTSIDE:
        close = difflib.get_close_matches(name, OUTSIDE, n=1)
        raise RecipeError(
            f"There is no outside series {name!r}.",
            "A series is fetched from where its publisher keeps it.",
            f"Did you mean {close[0]!r}?" if close else f"Choose among {', '.join(OUTSIDE)}.",
        )
    return OUTSIDE[name]
