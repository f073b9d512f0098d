"""Outside series: moods, funding, chains and other markets, each value since when it was public.

    archive = Archive(Path("store/outside"))
    fetch("fear_greed", archive)
    candles = join(candles, archive.read("fear_greed"))

After that a feature made from `pl.col("fear_greed")` sees, at each bar, what had been published when the bar closed.
"""

from __future__ import annotations

from .archive import Archive
from .catalogue import OUTSIDE, REFUSED, register, series_named
from .download import Fetched, download, fetch
from .outside import LONGEST_SILENCE, Outside, join
from .reading import read
from .series import Series

__all__ = [
    "LONGEST_SILENCE",
    "OUTSIDE",
    "REFUSED",
    "Archive",
    "Fetched",
    "Outside",
    "Series",
    "download",
    "fetch",
    "join",
    "read",
    "register",
    "series_named",
]
