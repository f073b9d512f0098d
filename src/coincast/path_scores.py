"""Scores of paths: the same question is asked of the paths and of the one path that the price took.

Only an origin whose whole path has closed, every bar of it observed, is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
import scoringrules
from jaxtyping import Float

from .candles import Candles
from .paths import Paths, Series
from .scores import crps
from .truth import judged_rows

# Of the reliability table.
BINS = 10


class Question(Protocol):
    """What can be asked of paths and answered by yes or no."""

    @property
    def words(self) -> str:
        """The question, short."""

    def probability(self, paths: Paths) -> Series:
        """How likely it is that the answer is yes."""

    def happened(self, paths: Paths, candles: Candles) -> Series:
        """1 where it was yes, 0 where it was no, for origins that `settled` keeps."""


@dataclass(frozen=True)
class Touch:
    """Does the price touch a level that lies so far from each origin's price?

    Args:
        move: fraction of the origin's price, 0.05 for 5 % above it and -0.05 for 5 % under it.
        within: bars after the origin.
        anywhere: whether highs and lows count, and not closes alone.
    """

    move: float
    within: int
    anywhere: bool = False

    @property
    def words(self) -> str:
        """The question, short."""
        return f"{100 * self.move:+g} % within {self.within}{' at any time' if self.anywhere else ''}"

    def probability(self, paths: Paths) -> Series:
        """How likely it is."""
        return paths.touch(paths.price * (1 + self.move), self.within, anywhere=self.anywhere)

    def happened(self, paths: Paths, candles: Candles) -> Series:
        """Whether a close, or with `anywhere` a high or a low, did it."""
        column = ("high" if self.move > 0 else "low") if self.anywhere else "close"
        return realised(paths, candles, column).touch(paths.price * (1 + self.move), self.within)


@dataclass(frozen=True)
class Drawdown:
    """Does a close lie so far under the highest close before it?

    Args:
        depth: fraction of that highest close.
        within: bars after the origin.
    """

    depth: float
    within: int

    @property
    def words(self) -> str:
        """The question, short."""
        return f"drawdown {100 * self.depth:g} % within {self.within}"

    def probability(self, paths: Paths) -> Series:
        """How likely it is."""
        return paths.drawdown(self.depth, self.within)

    def happened(self, paths: Paths, candles: Candles) -> Series:
        """Whether it did."""
        return realised(paths, candles).drawdown(self.depth, self.within)


def settled(paths: Paths, candles: Candles) -> Paths:
    """The paths from those origins after which every bar on the way has closed and was observed.

    Raises:
        DataError: the candles are not those the paths start from.
    """
    rows = judged_rows(paths, candles)
    unseen = np.concatenate([~candles.observed, np.ones(paths.bars, dtype=bool)])
    ahead = np.lib.stride_tricks.sliding_window_view(unseen, paths.bars + 1)[rows]
    return paths.take(~ahead[:, 1:].any(axis=1))


def realised(paths: Paths, candles: Candles, column: str = "close") -> Paths:
    """The one path that a price column took from each origin; `paths` must be `settled`."""
    rows = judged_rows(paths, candles)[:, None] + np.arange(1, paths.bars + 1)
    prices = candles.frame[column].to_numpy()[rows]
    return Paths(paths.feed, column, paths.origin, paths.price, np.log(prices / paths.price[:, None])[:, None, :])


def score_question(paths: Paths, candles: Candles, question: Question) -> pl.DataFrame:
    """Judge the probability that each settled origin's paths give.

    The Brier score is the squared distance of the probability from what happened, 1 or 0 (Brier 1950, Monthly Weather
    Review 78); less is better.

    Returns:
        One row an origin: `model, origin, probability, happened, brier`.

    Raises:
        DataError: the candles are not those the paths start from, or the question reaches further than they do.
    """
    known = settled(paths, candles)
    said, happened = question.probability(known), question.happened(known, candles)
    scored = np.asarray(scoringrules.brier_score(happened, said, backend="numpy"))
    return _rows(known).with_columns(
        pl.Series("probability", said), pl.Series("happened", happened), pl.Series("brier", scored)
    )


def score_extremes(paths: Paths, candles: Candles, within: int) -> pl.DataFrame:
    """Judge the distributions of the maximum drawdown and of the highest close, at settled origins.

    Returns:
        One row an origin: `model, origin, drawdown, drawdown_crps` as fractions of the highest close so far, and
        `maximum, maximum_crps` as log-returns from the origin.

    Raises:
        DataError: the candles are not those the paths start from, or `within` reaches further than they do.
    """
    known = settled(paths, candles)
    one = realised(known, candles)
    drawdown, maximum = one.maximum_drawdown(within), one.maximum(within)
    return _rows(known).with_columns(
        pl.Series("drawdown", drawdown[:, 0]),
        pl.Series("drawdown_crps", _crps(drawdown, known.maximum_drawdown(within))),
        pl.Series("maximum", maximum[:, 0]),
        pl.Series("maximum_crps", _crps(maximum, known.maximum(within))),
    )


def _crps(truth: Float[np.ndarray, "origin 1"], values: Float[np.ndarray, "origin path"]) -> Series:
    return crps(truth, np.sort(values, axis=1)[:, None, :])[:, 0]


def _rows(paths: Paths) -> pl.DataFrame:
    origin = pl.Series("origin", paths.origin).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"model": [paths.model] * len(paths), "origin": origin}, schema_overrides={"model": pl.String})


def reliability(scored: pl.DataFrame) -> pl.DataFrame:
    """How often what was called so likely happened, by tenths of the probability; empty tenths are left out.

    Args:
        scored: rows of `score_question`.

    Returns:
        `low` (the tenth's lower end), `n`, `probability` (their mean), `happened` (the share that did).
    """
    tenth = (pl.col("probability") * BINS).floor().clip(0, BINS - 1)
    return (
        scored.group_by((tenth / BINS).alias("low"))
        .agg(pl.len().alias("n"), pl.col("probability").mean(), pl.col("happened").mean())
        .sort("low")
    )
