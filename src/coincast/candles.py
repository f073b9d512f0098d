"""What is known, bar by bar.

Stored times are each bar's **open** in UTC, as exchanges and every other tool write them. A bar becomes known when it
closes, at `known_at = time + interval`; nothing here or after asks for a bar before then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from .errors import DataError
from .feed import Feed, from_numpy, utc

PRICES = ("open", "high", "low", "close")
SCHEMA = pl.Schema(
    {
        "time": pl.Datetime("us", "UTC"),
        **{name: pl.Float64() for name in (*PRICES, "volume")},
        "observed": pl.Boolean(),
    }
)

# Who told a bar and when, by that source's own clock: known of stored candles, null where a bar is missing.
PROVENANCE = pl.Schema({"source": pl.String(), "seen_at": pl.Datetime("us", "UTC")})

# datetime64[us], UTC by definition: jaxtyping has no name for NumPy's times.
Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Candles:
    """Bars of one feed on an unbroken grid.

    Args:
        feed: which candles; prices are in its quote, volume in its base currency.
        frame: `time` (bar open, UTC), `open`, `high`, `low`, `close`, `volume`, `observed`; one row for every bar of
            the grid between the first and the last. A bar the source did not have is a row too, with `observed` False:
            all prices equal the last close and the volume is 0, or a second venue lent its bar, with a volume. It is
            never an origin, a target or a truth. Stored candles also carry `source` and `seen_at`. Further Float64
            columns are outside series by name: at each bar the value known when it closed, NaN before the first
            (`external.join`).

    Raises:
        DataError: a column, an order, a price or a missing bar breaks these rules; `clean` mends that.
    """

    feed: Feed
    frame: pl.DataFrame

    def __post_init__(self) -> None:
        _check_schema(self.frame)
        _check_grid(self.feed, self.frame)
        _check_prices(self.frame)

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def time(self) -> Times:
        """Each bar's open, datetime64[us]."""
        return self.frame["time"].dt.replace_time_zone(None).to_numpy()

    @cached_property
    def known_at(self) -> Times:
        """Each bar's close: when it became known, datetime64[us]."""
        return self.time + self.feed.interval.step

    @cached_property
    def close(self) -> Float[np.ndarray, " bar"]:
        """Closing prices in quote currency."""
        return self.frame["close"].to_numpy()

    @cached_property
    def observed(self) -> Bool[np.ndarray, " bar"]:
        """False where the source had no bar."""
        return self.frame["observed"].to_numpy()

    @property
    def outside(self) -> tuple[str, ...]:
        """The outside series joined to these bars."""
        return tuple(name for name in self.frame.columns if name not in SCHEMA and name not in PROVENANCE)

    @property
    def start(self) -> datetime:
        """The first bar's open."""
        return from_numpy(self.time[0])

    @property
    def end(self) -> datetime:
        """When the last bar became known."""
        return from_numpy(self.known_at[-1])

    def until(self, t: datetime) -> Candles:
        """The bars known at `t`: `known_at <= t`. This bounds all knowledge.

        Raises:
            DataError: `t` is naive, or no bar was known by then.
        """
        return self._keep(pl.col("time") <= utc(t) - self.feed.interval.delta, f"known by {utc(t):%Y-%m-%d %H:%M}")

    def since(self, t: datetime) -> Candles:
        """The bars that open at `t` or later.

        Raises:
            DataError: `t` is naive, or no bar opens then or later.
        """
        return self._keep(pl.col("time") >= utc(t), f"from {utc(t):%Y-%m-%d %H:%M} on")

    def _keep(self, condition: pl.Expr, words: str) -> Candles:
        frame = self.frame.filter(condition)
        if frame.is_empty():
            raise DataError(
                f"{self.feed} has no bar {words}; it spans {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}.",
                "There is nothing to learn from or to judge by.",
                "Choose dates inside the span.",
            )
        return Candles(self.feed, frame)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the feed and every value: two runs with this digest saw the same candles, bit for bit.

        By whom and when they were told is left out: the same bars fetched again are the same candles.
        """
        sha = hashlib.sha256(str(self.feed).encode())
        for name in (*SCHEMA, *self.outside):
            sha.update(name.encode())
            column = self.frame[name].to_physical().to_numpy()
            sha.update(np.ascontiguousarray(column).tobytes())
        return sha.hexdigest()


def _check_schema(frame: pl.DataFrame) -> None:
    known = SCHEMA | (PROVENANCE if set(PROVENANCE) <= set(frame.columns) else {})
    if frame.schema != pl.Schema(known | dict.fromkeys(frame.columns[len(known) :], pl.Float64())):
        raise DataError(
            f"The candle frame has the columns {dict(frame.schema)}.",
            "Every later step trusts names, order and types.",
            f"Bring it to {dict(SCHEMA)}, or let coincast.clean do so; outside series follow as Float64.",
        )
    if frame.is_empty():
        raise DataError("The candle frame is empty.", "There is nothing to forecast from.", "Pass at least one bar.")
    nulls = [name for name, count in frame.null_count().row(0, named=True).items() if count and name not in PROVENANCE]
    if nulls:
        raise DataError(
            f"The candle frame has nulls in {', '.join(nulls)}.",
            "A missing bar must be marked, not empty.",
            "Let coincast.clean mark it; an outside value not yet known is NaN.",
        )


def _check_grid(feed: Feed, frame: pl.DataFrame) -> None:
    time = frame["time"]
    first: datetime = time[0]
    if feed.interval.floor(first) != first:
        raise DataError(
            f"The bar at {first:%Y-%m-%d %H:%M:%S} does not open on the {feed.interval} grid.",
            "Its close would be taken for known at a time when it was not.",
            "Check the interval and the time zone of the source.",
        )
    steps = np.diff(time.dt.replace_time_zone(None).to_numpy())
    bad = np.flatnonzero(steps != feed.interval.step)
    if bad.size:
        raise DataError(
            f"After {time[int(bad[0])]:%Y-%m-%d %H:%M} the next bar does not open one {feed.interval} later.",
            "Horizons count time; a hole or a repeated bar would shift every target after it.",
            "Let coincast.clean order the rows and mark the missing ones.",
        )


def _check_prices(frame: pl.DataFrame) -> None:
    low, high = pl.col("low"), pl.col("high")
    sane = (
        pl.all_horizontal(pl.col(name).is_finite() & (pl.col(name) > 0) for name in PRICES)
        & (low <= pl.min_horizontal("open", "close"))
        & (high >= pl.max_horizontal("open", "close"))
        & pl.col("volume").is_finite()
        & (pl.col("volume") >= 0)
    )
    filled = (
        pl.all_horizontal(pl.col(name) == pl.col("close") for name in ("open", "high", "low"))
        & (pl.col("close") == pl.col("close").shift(1).fill_null(pl.col("close")))
        & (pl.col("volume") == 0)
    )
    lent = pl.col("volume") > 0
    bad = frame.filter(~(sane & (pl.col("observed") | filled | lent)))
    if not bad.is_empty():
        raise DataError(
            f"The bar {bad.row(0, named=True)} is impossible ({bad.height} such).",
            "Prices must be positive with low <= open, close <= high; a missing bar repeats the last close or is lent.",
            "Let coincast.clean repair and mark it.",
        )
