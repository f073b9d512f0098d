"""Markets whose law is known: what a forecaster can find at best, and worlds in which there is nothing to find.

    r[t] = autocorrelation r[t-1] + s[t] sqrt(v[t]) z[t]          z ~ Student-t(dof), variance 1
    v[t] = omega + alpha v[t-1] z[t-1]^2 + beta v[t-1]            omega such that the mean of v is volatility^2
    s[t] = 1 + swing sin(2 pi t / period)

With all of autocorrelation, alpha, beta and swing zero this is a random walk of the log-price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from scipy import stats

from .candles import PRICES, SCHEMA, Candles
from .errors import RecipeError
from .feed import Feed, to_numpy
from .forecast import LEVELS, Forecast, K

FIRST_PRICE = 1000.0
# Whole weeks and a multiple of three days after an interval's grid, so that every interval opens a bar there.
FIRST_BAR = np.timedelta64(2100 * 7, "D")
# Paths that stand for the law beyond one bar; half of them mirror the other half.
PATHS = 4000
# Origins simulated at a time.
_BATCH = 128


@dataclass(frozen=True)
class Law:
    """How a world's returns come about; see the formulas above.

    Args:
        volatility: standard deviation of a bar's log-return over the long run.
        dof: degrees of freedom of the shocks, above 2.
        autocorrelation: how much of a return carries over to the next bar; a forecast of the mean is possible if not 0.
        alpha: how much a squared shock moves the variance of the next bar.
        beta: how much of the variance stays.
        swing: depth of the volatility's season, between 0 and 1.
        period: bars in a season.

    Raises:
        RecipeError: such a law has no finite variance.
    """

    volatility: float = 0.03
    dof: float = 5.0
    autocorrelation: float = 0.0
    alpha: float = 0.0
    beta: float = 0.0
    swing: float = 0.0
    period: int = 365

    def __post_init__(self) -> None:
        stationary = abs(self.autocorrelation) < 1 and min(self.alpha, self.beta) >= 0 and self.alpha + self.beta < 1
        if not (stationary and self.dof > 2 and 0 <= self.swing < 1 and self.volatility > 0 and self.period > 0):
            raise RecipeError(
                f"{self} has no finite variance.",
                "Its returns would grow without bound, and no forecast could be judged.",
                "Keep |autocorrelation| and alpha + beta below 1, dof above 2 and swing in [0, 1).",
            )

    @property
    def omega(self) -> float:
        """The constant of the variance's recursion."""
        return self.volatility**2 * (1 - self.alpha - self.beta)

    @property
    def unit(self) -> float:
        """What a Student-t is multiplied by to have variance 1."""
        return float(np.sqrt((self.dof - 2) / self.dof))

    def season(self, bar: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The volatility's factor at these bars."""
        return 1 + self.swing * np.sin(2 * np.pi * bar / self.period)

    def next_variance(
        self, variance: Float[np.ndarray, "..."], z: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """v[t+1] from v[t] and z[t]."""
        return self.omega + variance * (self.alpha * z**2 + self.beta)


@dataclass(frozen=True)
class World:
    """A simulated market, and at each of its bars what its law knows of the next one.

    Args:
        law: what the returns were drawn from.
        candles: the market; every bar is observed.
        returns: log-return of each bar, the first one 0.
        variance: v of the bar after each bar.
    """

    law: Law
    candles: Candles
    returns: Float[np.ndarray, " bar"]
    variance: Float[np.ndarray, " bar"]

    def forecast(self, start: datetime, horizons: Sequence[int]) -> Forecast:
        """The law's own forecast from every origin at or after `start`: no other can have a lower expected CRPS.

        One bar ahead it is exact, further ahead simulated by `PATHS` paths.
        """
        rows = np.flatnonzero(self.candles.known_at >= to_numpy(start))
        return Forecast(
            feed=self.candles.feed,
            model="law",
            recipe=str(self.law),
            horizons=tuple(horizons),
            origin=self.candles.known_at[rows],
            cutoff=self.candles.known_at[rows],
            price=self.candles.close[rows],
            values=np.stack([self._values(rows, h) for h in horizons], axis=1),
        )

    def _values(self, rows: Int[np.ndarray, " origin"], horizon: int) -> Float[np.ndarray, "origin K"]:
        if horizon == 1:
            scale = self.law.season(rows + 1) * np.sqrt(self.variance[rows]) * self.law.unit
            shocks = scale[:, None] * stats.t.ppf(LEVELS, self.law.dof)
            return self.law.autocorrelation * self.returns[rows, None] + shocks
        out = np.empty((len(rows), K))
        for first in range(0, len(rows), _BATCH):
            some = slice(first, first + _BATCH)
            sums = self._sums(rows[some], horizon)
            out[some] = np.quantile(sums, LEVELS, axis=1, method="hazen").T
        return out

    def _sums(self, rows: Int[np.ndarray, " origin"], horizon: int) -> Float[np.ndarray, "origin path"]:
        half = np.random.default_rng(0).standard_t(self.law.dof, size=(horizon, PATHS // 2))
        draws = np.concatenate([half, -half], axis=1) * self.law.unit
        total = np.zeros((len(rows), PATHS))
        now, variance = self.returns[rows, None], self.variance[rows, None]
        for step, z in enumerate(draws, 1):
            now = self.law.autocorrelation * now + self.law.season(rows + step)[:, None] * np.sqrt(variance) * z
            total += now
            variance = self.law.next_variance(variance, z)
        return total


def draw(law: Law, bars: int, seed: int, feed: str = "simulated:COIN/USD:1d") -> World:
    """A world of `bars` bars. The same law, bars, seed and feed give the same world.

    Within a bar the log-price walks as a Brownian bridge does; volume grows with the size of the move.
    """
    random = np.random.default_rng(seed)
    z = random.standard_t(law.dof, bars) * law.unit
    returns, ahead = np.zeros(bars), np.full(bars, law.volatility**2)
    for t in range(1, bars):
        shock = law.season(np.array(t)) * np.sqrt(ahead[t - 1]) * z[t]
        returns[t] = law.autocorrelation * returns[t - 1] + shock
        ahead[t] = law.next_variance(ahead[t - 1], z[t])
    variance = np.concatenate([ahead[:1], ahead[:-1]]) * law.season(np.arange(bars)) ** 2
    candles = _candles(Feed.parse(feed), returns, variance, random)
    return World(law, candles, np.diff(np.log(candles.close), prepend=np.log(candles.close[0])), ahead)


def _candles(
    feed: Feed, returns: Float[np.ndarray, " bar"], variance: Float[np.ndarray, " bar"], random: np.random.Generator
) -> Candles:
    close = FIRST_PRICE * np.exp(np.cumsum(returns))
    before = np.concatenate([close[:1], close[:-1]])
    # The extremes of a Brownian bridge from 0 to r: (r +- sqrt(r^2 - 2 v ln U)) / 2.
    reach = np.sqrt(returns**2 - 2 * variance * np.log(random.random((2, len(close)))))
    high, low = before * np.exp((returns + reach[0]) / 2), before * np.exp((returns - reach[1]) / 2)
    frame = {
        "open": before,
        "high": np.maximum(high, np.maximum(before, close)),
        "low": np.minimum(low, np.minimum(before, close)),
        "close": close,
        "volume": np.exp(random.normal(size=len(close)) / 2 + np.abs(returns) / np.sqrt(variance)),
    }
    return Candles(feed, _on_grid(feed, frame))


def _on_grid(feed: Feed, columns: dict[str, Float[np.ndarray, " bar"]]) -> pl.DataFrame:
    """These prices and volumes as observed bars."""
    bars = len(columns["close"])
    time = to_numpy(feed.interval.grid) + FIRST_BAR + np.arange(bars) * feed.interval.step
    named = {"time": pl.Series(time).dt.replace_time_zone("UTC"), **columns, "observed": np.ones(bars, dtype=bool)}
    return pl.DataFrame(named).select(SCHEMA.names()).cast(SCHEMA)


def ramp(bars: int, slope: float, feed: str = "simulated:COIN/USD:1d") -> Candles:
    """A price that grows by the same log-return, `slope`, with every bar."""
    close = np.exp(slope * np.arange(bars))
    columns = dict.fromkeys(PRICES, close) | {"volume": np.ones(bars)}
    parsed = Feed.parse(feed)
    return Candles(parsed, _on_grid(parsed, columns))


def hide(candles: Candles, bars: Sequence[int]) -> Candles:
    """The same market as a source shows it that has lost these bars. The first bar cannot be lost."""
    index = pl.int_range(pl.len())
    lost = index.is_in(list(bars)) & (index > 0)
    close = pl.when(lost).then(None).otherwise(pl.col("close")).forward_fill()
    frame = candles.frame.with_columns(
        *(pl.when(lost).then(close).otherwise(pl.col(name)).alias(name) for name in PRICES),
        pl.when(lost).then(0.0).otherwise(pl.col("volume")).alias("volume"),
        observed=pl.col("observed") & ~lost,
    )
    return Candles(candles.feed, frame)
