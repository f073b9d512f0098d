"""The only form a forecast takes: equally likely values of the log-return, per origin and horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from .candles import Times
from .errors import DataError, LookAheadError
from .feed import Feed, from_numpy

K = 199
# The levels at which K equally likely values stand for a law: the middles of K equal steps.
LEVELS = (np.arange(K) + 0.5) / K


class Origins(Protocol):
    """Where forecasts of any form start: what is asked of one before it is judged."""

    @property
    def feed(self) -> Feed:
        """Which candles."""

    @property
    def model(self) -> str:
        """The forecaster's name."""

    @property
    def origin(self) -> Times:
        """The last close each forecast knew, datetime64[us]."""

    @property
    def price(self) -> Float[np.ndarray, " origin"]:
        """Close at the origin, quote currency."""


@dataclass(frozen=True)
class Forecast:
    """Forecasts of one model for one feed.

    A row's K values are marginal: each horizon has its own, and they are not paths.

    Args:
        feed: which candles.
        model: the forecaster's name.
        recipe: digest of the recipe it was made by.
        horizons: intervals ahead.
        origin: the last close each forecast knew, datetime64[us].
        cutoff: the last close its model had learnt from, datetime64[us]; never after the origin.
        price: close at the origin, quote currency.
        values: log-return from the origin, sorted along the last axis.
        made_at: the wall clock when it was made live, None in a backtest.

    Raises:
        DataError: a value is not finite or not sorted.
        LookAheadError: a cutoff lies after its origin.
    """

    feed: Feed
    model: str
    recipe: str
    horizons: tuple[int, ...]
    origin: Times
    cutoff: Times
    price: Float[np.ndarray, " origin"]
    values: Float[np.ndarray, "origin horizon K"]
    made_at: datetime | None = None

    def __post_init__(self) -> None:
        expected = (len(self.origin), len(self.horizons), K)
        finite = self.values.shape == expected and np.isfinite(self.values).all()
        if not finite or (np.diff(self.values, axis=-1) < 0).any():
            raise DataError(
                f"{self.model} gave values of shape {self.values.shape} for {expected}, or not finite, or unsorted.",
                "Scores and intervals would be wrong without a word.",
                "A model's predict must return K finite values for every window and horizon.",
            )
        if (self.cutoff > self.origin).any():
            raise LookAheadError(
                f"{self.model} has learnt until {self.cutoff.max()} and forecasts from {self.origin.min()}.",
                "It would be judged on what it was trained on.",
                "Predict from origins at or after the cutoff.",
            )
        for array in (self.origin, self.cutoff, self.price, self.values):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.origin)

    @cached_property
    def target_time(self) -> Times:
        """(origin, horizon): when each forecast's truth becomes known, datetime64[us]."""
        return self.origin[:, None] + np.array(self.horizons) * self.feed.interval.step

    @property
    def median(self) -> Float[np.ndarray, "origin horizon"]:
        """The middle value, as a log-return."""
        return self.values[..., K // 2]

    def quantile(self, q: float) -> Float[np.ndarray, "origin horizon"]:
        """The q-quantile as a log-return, interpolated between the values (Hazen's rule)."""
        return np.asarray(np.quantile(self.values, q, axis=-1, method="hazen"))

    def prices(self, q: float = 0.5) -> Float[np.ndarray, "origin horizon"]:
        """The q-quantile as a price: quantiles pass through exp, means do not."""
        return self.price[:, None] * np.exp(self.quantile(q))

    def take(self, mask: Bool[np.ndarray, " origin"]) -> Forecast:
        """The forecasts where `mask` holds."""
        return replace(
            self,
            origin=self.origin[mask],
            cutoff=self.cutoff[mask],
            price=self.price[mask],
            values=self.values[mask],
        )

    @property
    def start(self) -> datetime:
        """The first origin."""
        return from_numpy(self.origin[0])


def join(parts: Sequence[Forecast]) -> Forecast:
    """Forecasts of one model in the order given, as one."""
    return replace(
        parts[0],
        origin=np.concatenate([p.origin for p in parts]),
        cutoff=np.concatenate([p.cutoff for p in parts]),
        price=np.concatenate([p.price for p in parts]),
        values=np.concatenate([p.values for p in parts]),
    )


def to_frame(forecast: Forecast) -> pl.DataFrame:
    """One row an origin and horizon: `model, origin, target_time, horizon, price, values, cutoff`."""
    n, h = len(forecast), len(forecast.horizons)
    utc = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "model": [forecast.model] * (n * h),
            "origin": pl.Series(np.repeat(forecast.origin, h)).cast(utc),
            "target_time": pl.Series(forecast.target_time.ravel()).cast(utc),
            "horizon": pl.Series(np.tile(forecast.horizons, n), dtype=pl.Int32),
            "price": np.repeat(forecast.price, h),
            "values": pl.Series(forecast.values.reshape(n * h, K), dtype=pl.Array(pl.Float64, K)),
            "cutoff": pl.Series(np.repeat(forecast.cutoff, h)).cast(utc),
        }
    )


def from_frame(frame: pl.DataFrame, feed: Feed, recipe: str) -> Forecast:
    """What `to_frame` wrote."""
    horizons = tuple(frame["horizon"].unique(maintain_order=True))
    first = frame.filter(pl.col("horizon") == horizons[0])
    return Forecast(
        feed=feed,
        model=frame["model"][0],
        recipe=recipe,
        horizons=horizons,
        origin=first["origin"].dt.replace_time_zone(None).to_numpy(),
        cutoff=first["cutoff"].dt.replace_time_zone(None).to_numpy(),
        price=first["price"].to_numpy(),
        values=frame["values"].to_numpy().reshape(len(first), len(horizons), K).copy(),
    )
