"""What a model sees: the bars before an origin, and what the price did after it.

A window ends at its origin, the close of the last bar it may know. Its labels are the log-returns from there. Which
labels may be trained on is decided here and nowhere else: `windows.settled(by=t)` keeps what was known at `t` and
blanks the rest, so there is no purge or embargo to forget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from .candles import Candles, Times
from .errors import DataError, LookAheadError
from .features import compute
from .feed import Feed, from_numpy, to_numpy


@dataclass(frozen=True)
class Windows:
    """Windows cut from one series of bars.

    Args:
        feed: which candles.
        features: the names of the columns of `rows`.
        horizons: how many intervals ahead each label lies.
        lookback: bars in a window, its last one included.
        rows: features of every bar, also of those that end no window; NaN where a feature has no value yet.
        known_at: when each row became known, datetime64[us].
        last: the row that ends each window.
        price: the close at each window's origin, quote currency.
        y: log-return from the origin; NaN where the future is unknown, unsettled or was not observed.
        by: everything in `rows` and `y` was known at this time; None for windows that may hold the future.
        beside: windows of other coins that may be learnt from too; they are settled and held out by the same times.
    """

    feed: Feed
    features: tuple[str, ...]
    horizons: tuple[int, ...]
    lookback: int
    rows: Float[np.ndarray, "bar feature"]
    known_at: Times
    last: Int[np.ndarray, " window"]
    price: Float[np.ndarray, " window"]
    y: Float[np.ndarray, "window horizon"]
    by: datetime | None = None
    beside: tuple[Windows, ...] = ()

    def __post_init__(self) -> None:
        for array in (self.rows, self.known_at, self.last, self.price, self.y):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.last)

    @property
    def panel(self) -> tuple[Windows, ...]:
        """These windows and those beside them, one a coin."""
        return (replace(self, beside=()), *self.beside)

    @cached_property
    def origin(self) -> Times:
        """When each window's last bar became known, datetime64[us]."""
        return self.known_at[self.last]

    @property
    def x(self) -> Float[np.ndarray, "window lookback feature"]:
        """The bars of each window, oldest first; NaN before the first bar. A copy: ask for a batch at a time."""
        return self._padded[self.last[:, None] + np.arange(self.lookback)]

    @cached_property
    def _padded(self) -> Float[np.ndarray, "bar feature"]:
        blank = np.full((self.lookback - 1, self.rows.shape[1]), np.nan)
        return np.concatenate([blank, self.rows])

    @cached_property
    def targets(self) -> Float[np.ndarray, "bar horizon"]:
        """The labels laid along the bars, NaN where a bar ends no window: what dense supervision learns from."""
        laid = np.full((len(self.rows), len(self.horizons)), np.nan)
        laid[self.last] = self.y
        return laid

    def column(self, feature: str) -> Float[np.ndarray, " bar"]:
        """One feature along the bars."""
        return self.rows[:, self.features.index(feature)]

    def settled(self, by: datetime) -> Windows:
        """What could be trained on at `by`: rows known by then and labels whose `origin + horizon` had passed.

        Rows after `by` are cut off, labels not yet settled become NaN, windows without a label are dropped, and so is
        a coin beside them that has none left.
        """
        limit = to_numpy(by)
        ahead = np.array(self.horizons) * self.feed.interval.step
        y = np.where(self.origin[:, None] + ahead <= limit, self.y, np.nan)
        bars = int(np.searchsorted(self.known_at, limit, side="right"))
        kept = self._take(np.asarray(np.isfinite(y).any(axis=1)), y)
        beside = tuple(known for other in self.beside if len(known := other.settled(by)))
        known = replace(kept, rows=self.rows[:bars], known_at=self.known_at[:bars], beside=beside)
        return replace(known, by=min(by, self.by) if self.by else by)

    def between(self, start: datetime, end: datetime) -> Windows:
        """The windows with `start <= origin < end`."""
        inside = np.asarray((self.origin >= to_numpy(start)) & (self.origin < to_numpy(end)))
        return self._take(inside, self.y)

    def newest(self, count: int) -> Windows:
        """The `count` windows with the latest origins."""
        return self._take(np.arange(len(self)) >= len(self) - count, self.y)

    def hold_out(self, share: float) -> tuple[Windows, Windows]:
        """(training, validation): the later `share` of the windows validates, the rest is settled by its first origin.

        Raises:
            LookAheadError: these windows were never settled.
            DataError: there are too few windows to divide.
        """
        self.demand_settled()
        row = round(len(self) * (1 - share))
        if not 0 < row < len(self):
            raise DataError(
                f"{len(self)} settled windows of {self.feed} are too few to hold out {share:.0%} of them.",
                "Training would have nothing to learn from or nothing to be validated on.",
                "Pass a longer history.",
            )
        first = from_numpy(self.origin[row])
        return self.settled(by=first), self._since(first)

    def _since(self, first: datetime) -> Windows:
        """The windows, and those beside them, with `first <= origin`."""
        beside = tuple(late for other in self.beside if len(late := other._since(first)))
        return replace(self._take(self.origin >= to_numpy(first), self.y), beside=beside)

    def unanswered(self) -> Windows:
        """The same windows alone with every label blank: what a forecast may be asked of."""
        return replace(self, y=np.full_like(self.y, np.nan), beside=())

    def demand_settled(self) -> datetime:
        """The time by which everything here was known.

        Raises:
            LookAheadError: these windows were never settled, so nothing may be learnt from them.
        """
        if self.by is None:
            raise LookAheadError(
                "These windows may hold the future.",
                "Whatever is learnt from them (weights, scales, residuals) would know what it is to forecast.",
                "Learn from windows.settled(by=cutoff).",
            )
        return self.by

    def batches(self, size: int) -> Sequence[Windows]:
        """These windows in order, at most `size` at a time."""
        order = np.arange(len(self))
        return [self._take((order >= i) & (order < i + size), self.y) for i in range(0, len(self), size)]

    def _take(self, mask: Bool[np.ndarray, " window"], y: Float[np.ndarray, "window horizon"]) -> Windows:
        return replace(self, last=self.last[mask], price=self.price[mask], y=y[mask])


def cut(
    candles: Candles, features: Sequence[str], lookback: int, horizons: Sequence[int], at_least: int | None = None
) -> Windows:
    """Every window of `candles`: one for each observed bar with enough bars before it.

    Args:
        candles: the bars.
        features: names of registered features.
        lookback: bars in a window.
        horizons: intervals ahead, each at least 1.
        at_least: bars with a value that a window must hold; `lookback` if not given. A model that can work with less
            than its full memory says so here and finds NaN before the first bar.

    Raises:
        RecipeError: a feature is not registered.
        DataError: the candles are too few for a single window, or a feature has no finite value after its first.
    """
    rows = compute(candles, features)
    valid = np.isfinite(rows).all(axis=1)
    first = int(np.argmax(valid)) if valid.any() else len(rows)
    _demand_values(candles, features, rows, first)
    last = np.flatnonzero(candles.observed & (np.arange(len(rows)) >= first + (at_least or lookback) - 1))
    if not last.size:
        raise DataError(
            f"{len(candles)} bars of {candles.feed} are too few: a window needs {at_least or lookback} bars"
            f" after the {first} that its features need to warm up.",
            "No forecast has enough past to start from.",
            "Pass a longer history or a shorter lookback.",
        )
    return Windows(
        feed=candles.feed,
        features=tuple(features),
        horizons=tuple(horizons),
        lookback=lookback,
        rows=rows,
        known_at=candles.known_at,
        last=last,
        price=candles.close[last],
        y=labels(candles, horizons)[last],
    )


def _demand_values(
    candles: Candles, features: Sequence[str], rows: Float[np.ndarray, "bar feature"], first: int
) -> None:
    bad = np.argwhere(~np.isfinite(rows[first:]))
    if bad.size:
        bar, column = bad[0]
        raise DataError(
            f"The feature {features[column]!r} has no finite value at the bar {candles.time[first + bar]}.",
            "Every window that holds the bar would give no forecast.",
            "Give the feature a value for such bars, or declare a longer warm-up if it has none yet.",
        )


def labels(candles: Candles, horizons: Sequence[int]) -> Float[np.ndarray, "bar horizon"]:
    """ln(close h intervals later / close) for every bar; NaN where that later bar is unknown or was not observed."""
    log_close = np.log(candles.close)
    seen = np.where(candles.observed, log_close, np.nan)
    out = np.full((len(candles), len(horizons)), np.nan)
    for column, h in enumerate(horizons):
        followed = max(len(seen) - h, 0)
        out[:followed, column] = seen[h:] - log_close[:followed]
    return out


@dataclass(frozen=True)
class Scaler:
    """An affine map learnt from settled windows only: `(value - offset) / scale`, feature by feature.

    Made by `Scaler.standard` or `Scaler.min_max`; a constant feature keeps scale 1.
    """

    offset: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]

    @classmethod
    def standard(cls, windows: Windows) -> Scaler:
        """Mean 0 and standard deviation 1 over the rows, those of the coins beside included.

        Raises:
            LookAheadError: the windows were never settled.
        """
        windows.demand_settled()
        rows = np.concatenate([one.rows for one in windows.panel])
        return cls._of(np.nanmean(rows, axis=0), np.nanstd(rows, axis=0))

    @classmethod
    def min_max(cls, windows: Windows) -> Scaler:
        """Smallest value 0, largest 1 over the rows. Later values may leave that range, which is the truth.

        Raises:
            LookAheadError: the windows were never settled.
        """
        windows.demand_settled()
        low = np.nanmin(windows.rows, axis=0)
        return cls._of(low, np.nanmax(windows.rows, axis=0) - low)

    @classmethod
    def _of(cls, offset: Float[np.ndarray, " feature"], scale: Float[np.ndarray, " feature"]) -> Scaler:
        return cls(offset, np.where(scale > 0, scale, 1.0))

    def __call__(self, values: Float[np.ndarray, "... feature"]) -> Float[np.ndarray, "... feature"]:
        """`values` scaled."""
        return (values - self.offset) / self.scale

    def inverse(self, scaled: Float[np.ndarray, "... feature"]) -> Float[np.ndarray, "... feature"]:
        """What was scaled."""
        return scaled * self.scale + self.offset
