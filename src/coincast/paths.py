"""Paths: what a question about the way, and not about its end, needs.

A forecast's values are marginal: they say how likely each price is after seven days, not whether the price touched a
level on the way. `shuffle` makes paths of them by the Schaake shuffle (Clark, Gangopadhyay, Hay, Rajagopalan and Wilby
2004, J. Hydrometeorology 5): the values of every horizon are put into the order of as many past trajectories, so that
each horizon keeps its values and the horizons depend on each other as they did in the past.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from .candles import Candles, Times
from .errors import DataError
from .features import compute
from .feed import Feed, from_numpy
from .forecast import Forecast, K
from .truth import judged_rows

# Past trajectories are divided by this feature at their own start, so that calm and wild times order paths alike.
VOLATILITY = "volatility_mix"
# Mean absolute value of a normal variable, in standard deviations; and what no bar's volatility is below.
ABSOLUTE = np.sqrt(2 / np.pi)
STILL = 1e-12

Series = Float[np.ndarray, " origin"]


@dataclass(frozen=True)
class Paths:
    """Equally likely paths of the price from each origin, one close after the other.

    Every question is answered at the first `within` closes. Between two closes the price moves further than either;
    `anywhere=True` allows for that, see `touch`.

    Args:
        feed: which candles.
        model: the forecaster's name.
        origin: the last close each path knew, datetime64[us].
        price: close at the origin, quote currency.
        values: log-return from the origin after 1, 2, 3 ... bars.

    Raises:
        DataError: `values` has not one finite path of at least one bar for every origin.
    """

    feed: Feed
    model: str
    origin: Times
    price: Series
    values: Float[np.ndarray, "origin path bar"]

    def __post_init__(self) -> None:
        shape = self.values.shape
        whole = len(shape) == 3 and shape[0] == len(self.origin) == len(self.price) and min(shape[1:]) > 0
        if not whole or not np.isfinite(self.values).all():
            raise DataError(
                f"{self.model} has paths of shape {shape} from {len(self.origin)} origins, or some are not finite.",
                "A share of such paths would be no probability.",
                "Give finite log-returns of shape (origin, path, bar).",
            )
        for array in (self.origin, self.price, self.values):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def bars(self) -> int:
        """How far the paths reach."""
        return self.values.shape[2]

    def take(self, mask: Bool[np.ndarray, " origin"]) -> Paths:
        """The paths from the origins where `mask` holds."""
        return replace(self, origin=self.origin[mask], price=self.price[mask], values=self.values[mask])

    def touch(self, level: float | Series, within: int, *, anywhere: bool = False) -> Series:
        """Probability that one of the first `within` closes lies at or beyond a price.

        A level above the origin's price is touched from below, one under it from above, and the price itself at once.

        Args:
            level: quote currency; one for all origins or one for each.
            within: bars after the origin.
            anywhere: whether trades between two closes count too. The price is then taken to be a Brownian bridge from
                each close of a path to the next, whose chance to reach the level is known (Andersen and
                Brotherton-Ratcliffe 1996, Exact exotics, Risk 9), with the volatility of `step`. Of a market it is an
                approximation.

        Raises:
            DataError: a level is not a positive price, or the paths are shorter than `within`.
        """
        move = np.log(_positive(level) / self.price)[:, None, None]
        left = np.maximum(np.sign(move) * (move - self._way(within)), 0.0)
        if not anywhere:
            return np.asarray((left == 0).any(axis=2).mean(axis=1))
        crossed = np.exp(-2 * left[:, :, 1:] * left[:, :, :-1] / self.step(within)[:, None, :] ** 2)
        return np.asarray(1 - np.prod(1 - crossed, axis=2).mean(axis=1))

    def drawdown(self, depth: float, within: int) -> Series:
        """Probability that a close among the first `within` lies at least `depth` under the highest before it.

        Args:
            depth: a fraction of that highest close, between 0 and 1; the origin's own close is among them.
            within: bars after the origin.

        Raises:
            DataError: `depth` is not between 0 and 1, or the paths are shorter than `within`.
        """
        if not 0 < depth < 1:
            raise DataError(
                f"A drawdown of {depth:g} is asked for.",
                "It is a fraction of the highest price before it, more than nothing and less than all.",
                "Ask for one such as 0.1, which is 10 %.",
            )
        return np.asarray((self.maximum_drawdown(within) >= depth).mean(axis=1))

    def maximum_drawdown(self, within: int) -> Float[np.ndarray, "origin path"]:
        """Each path's deepest fall from its highest close so far, the origin's included: a fraction of that close."""
        way = self._way(within)
        falls = np.maximum.accumulate(way, axis=2) - way
        return np.asarray(-np.expm1(-falls.max(axis=2)))

    def maximum(self, within: int) -> Float[np.ndarray, "origin path"]:
        """Each path's highest close as a log-return from the origin; 0 if it never closes above it."""
        return np.asarray(self._way(within).max(axis=2))

    def step(self, within: int) -> Float[np.ndarray, "origin bar"]:
        """Volatility of each bar: what a normal law with the mean absolute move of the paths would have, which a few
        wild paths do not raise much.
        """
        return np.maximum(np.abs(np.diff(self._way(within), axis=2)).mean(axis=1) / ABSOLUTE, STILL)

    def _way(self, within: int) -> Float[np.ndarray, "origin path close"]:
        """The origin's close and the first `within` after it, as log-returns."""
        if not 1 <= within <= self.bars:
            raise DataError(
                f"A question reaches {within} bars ahead, the paths of {self.model} {self.bars}.",
                "What lies beyond them was not forecast.",
                f"Ask within 1 to {self.bars} bars, or forecast further.",
            )
        return np.concatenate([np.zeros((*self.values.shape[:2], 1)), self.values[:, :, :within]], axis=2)


def _positive(level: float | Series) -> Series:
    prices = np.asarray(level, dtype=float)
    if not (np.isfinite(prices) & (prices > 0)).all():
        raise DataError(
            f"The level {np.min(prices):g} is asked for.", "It is no price.", "Ask for a positive one, such as 70000."
        )
    return prices


def shuffle(forecast: Forecast, candles: Candles) -> Paths:
    """Paths of the forecast's own values, ordered by the K newest past trajectories known at each origin.

    Args:
        forecast: from any number of origins, at horizons 1, 2, 3 ... without a gap.
        candles: those it was made from; what they hold after an origin is not looked at.

    Raises:
        DataError: a horizon is left out, the candles are not those of the forecast, or the past before an origin is
            too short.
    """
    bars = len(forecast.horizons)
    if forecast.horizons != tuple(range(1, bars + 1)):
        raise DataError(
            f"{forecast.model} forecasts {', '.join(map(str, forecast.horizons))} bars ahead.",
            "A question about a path needs every bar on the way.",
            f"Train it with --horizon 1-{max(forecast.horizons)}.",
        )
    rows = judged_rows(forecast, candles)
    moves = trajectories(candles, bars, compute(candles, [VOLATILITY])[:, 0])
    values = np.stack([reorder(own, past(moves, row, candles)) for own, row in zip(forecast.values, rows, strict=True)])
    return Paths(forecast.feed, forecast.model, forecast.origin, forecast.price, values)


def trajectories(
    candles: Candles, bars: int, volatility: Float[np.ndarray, " bar"]
) -> Float[np.ndarray, "start horizon"]:
    """Log-returns over 1 .. `bars` bars from every close, in units of the volatility known there.

    NaN from first to last where a bar on the way was not observed, is not known yet, or the volatility has no value.
    """
    seen = np.where(candles.observed, np.log(candles.close), np.nan)
    padded = np.concatenate([seen, np.full(bars, np.nan)])
    ahead = np.lib.stride_tricks.sliding_window_view(padded, bars + 1)
    moves = (ahead[:, 1:] - ahead[:, :1]) / volatility[:, None]
    return np.where(np.isfinite(moves).all(axis=1)[:, None], moves, np.nan)


def reorder(
    values: Float[np.ndarray, "horizon K"], past: Float[np.ndarray, "K horizon"]
) -> Float[np.ndarray, "K horizon"]:
    """Sorted values of each horizon in the order of past ones: where the past was third lowest, so are they.

    Equal past values keep the order in which they stand.
    """
    ranks = past.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return np.take_along_axis(values.T, ranks, axis=0)


def past(moves: Float[np.ndarray, "start horizon"], row: int, candles: Candles) -> Float[np.ndarray, "K horizon"]:
    """The K newest trajectories that had ended by `row`, as far apart as the past allows but not further than their
    own length.
    """
    bars = moves.shape[1]
    starts = np.flatnonzero(np.isfinite(moves[: max(row + 1 - bars, 0), 0]))
    if len(starts) < K:
        raise DataError(
            f"Before {from_numpy(candles.known_at[row]):%Y-%m-%d %H:%M} {candles.feed} has {len(starts)} unbroken"
            f" stretches of {bars} bars.",
            f"Paths are ordered by {K} past ones.",
            "Pass a longer history or ask fewer bars ahead.",
        )
    return moves[_spread(starts, bars)]


def _spread(starts: Int[np.ndarray, " start"], bars: int) -> Int[np.ndarray, " K"]:
    stride = min(bars, (len(starts) - 1) // (K - 1))
    return starts[::-1][: stride * (K - 1) + 1 : stride]
