"""Several feeds side by side on one grid. A bar that a venue did not have stays empty; nothing is filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from jaxtyping import Bool

from .candles import PRICES, Candles
from .errors import DataError, RecipeError
from .feed import Feed, Interval, to_numpy
from .interchange import to_nixtla
from .rows import COLUMNS, Rows


@dataclass(frozen=True)
class Panel:
    """Candles of several feeds with bars of one length.

    Args:
        members: the candles, one a feed; they may start and end at different times.

    Raises:
        DataError: there are none, a feed comes twice, or their intervals differ.
    """

    members: tuple[Candles, ...]

    def __post_init__(self) -> None:
        names = [str(feed) for feed in self.feeds]
        twice = next((name for name in names if names.count(name) > 1), None)
        if not names or twice:
            raise DataError(
                f"The panel holds {twice} twice." if twice else "The panel holds no candles.",
                "Each feed is one column.",
                "Pass the candles of each feed once.",
            )
        lengths = sorted({str(feed.interval) for feed in self.feeds})
        if len(lengths) > 1:
            raise DataError(
                f"The panel mixes bars of {', '.join(lengths)}.",
                "A row would hold values known at different times.",
                "Bring them to one length with coincast.clean.resample.",
            )

    def __len__(self) -> int:
        return len(self.members)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Which candles, in order."""
        return tuple(candles.feed for candles in self.members)

    @property
    def interval(self) -> Interval:
        """The length of every bar."""
        return self.feeds[0].interval

    def until(self, t: datetime) -> Panel:
        """The bars known at `t`; a feed with none observed by then is left out.

        Raises:
            DataError: `t` is naive, or no feed had a bar by then.
        """
        return self._keep(lambda c: c.observed[c.known_at <= to_numpy(t)], lambda c: c.until(t), f"known by {t}")

    def since(self, t: datetime) -> Panel:
        """The bars that open at `t` or later; a feed with none observed is left out.

        Raises:
            DataError: `t` is naive, or no feed has a bar from then on.
        """
        return self._keep(lambda c: c.observed[c.time >= to_numpy(t)], lambda c: c.since(t), f"from {t} on")

    def _keep(
        self,
        observed: Callable[[Candles], Bool[np.ndarray, " bar"]],
        cut: Callable[[Candles], Candles],
        words: str,
    ) -> Panel:
        kept = tuple(cut(candles) for candles in self.members if observed(candles).any())
        if not kept:
            raise DataError(
                f"None of the {len(self)} feeds has a bar {words}.",
                "There is nothing to lay side by side.",
                "Choose a time inside their span.",
            )
        return Panel(kept)

    def aligned(self, column: str = "close") -> pl.DataFrame:
        """`time` (bar open) and one column a feed: every bar of the grid from the first of all to the last.

        Null where the feed has no observed bar: before it starts, after it ends, in a gap.

        Args:
            column: a price, `volume`, or an outside series that each feed has.

        Raises:
            RecipeError: a feed has no such column.
        """
        self._demand_column(column)
        step = self.interval.delta
        times = pl.datetime_range(min(c.start for c in self.members), max(c.end for c in self.members) - step, step)
        wide = pl.select(time=times.cast(self.members[0].frame.schema["time"]))
        for candles in self.members:
            seen = candles.frame.filter("observed").select("time", pl.col(column).alias(str(candles.feed)))
            wide = wide.join(seen, on="time", how="left", maintain_order="left")
        return wide

    def _demand_column(self, column: str) -> None:
        for candles in self.members:
            if column not in (*PRICES, "volume", *candles.outside):
                raise RecipeError(
                    f"{candles.feed} has no column {column!r}.",
                    "A panel lays one quantity of every feed side by side.",
                    f"Choose among {', '.join((*PRICES, 'volume', *candles.outside))}.",
                )

    def long(self) -> pl.DataFrame:
        """`unique_id, ds, y, open, high, low, volume`, a row an observed bar: `ds` is its open (UTC), `y` its close."""
        observed = {str(c.feed): Rows(c.frame.filter("observed").select(COLUMNS)) for c in self.members}
        return to_nixtla(observed)
