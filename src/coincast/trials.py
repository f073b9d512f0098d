"""How models fare in worlds whose law is known, by the same walk-forward and scores as in a real market.

No model can have a lower expected CRPS than the law itself, and where returns are not autocorrelated none can know the
mean or the direction. A model that seems to is leaking, or its test is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import polars as pl
from scipy.stats import binom

from .backtest import backtest
from .direction import direction
from .feed import from_numpy
from .hac import hac_error, hac_lags
from .recipe import Recipe
from .scores import score
from .summaries import Group, groups, with_reference
from .verdict import diebold_mariano, judge
from .worlds import World

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Trial:
    """One model at one horizon in one world.

    Args:
        model: the forecaster's name.
        horizon: bars ahead.
        n: forecasts judged.
        law_crps: the law's mean CRPS.
        gap: how much larger the model's is, as a share of the law's.
        gap_error: standard error of the gap, allowing for autocorrelation.
        r2: 1 - squared errors of the median / of "no change", of the log-return.
        mean_p: one-sided Diebold-Mariano p that those squared errors are not smaller; None if they are the same.
        direction_p: one-sided Pesaran-Timmermann p that the direction is not known; None where all point one way.
        direction: whether it may be said to know the direction.
        better: whether the verdict calls it better than the law.
    """

    model: str
    horizon: int
    n: int
    law_crps: float
    gap: float
    gap_error: float
    r2: float
    mean_p: float | None
    direction_p: float | None
    direction: bool
    better: bool


def trials(recipes: Sequence[Recipe], world: World, first_bar: int) -> list[Trial]:
    """Walk every recipe through a world and hold it against the law.

    Args:
        recipes: all with the same horizons.
        world: the market and its law.
        first_bar: the bar whose close is the first origin.
    """
    start = from_numpy(world.candles.known_at[first_bar])
    walks = backtest(recipes, world.candles, start)
    law = world.forecast(start, recipes[0].horizons)
    scores = pl.concat([score(forecast, world.candles) for forecast in (law, *(w.forecast for w in walks))])
    words = {(v.model, v.horizon): v.word for v in judge(scores, references=(law.model,))}
    beside_law = with_reference(scores, law.model)
    judged = groups(beside_law.filter(pl.col("model") != law.model))
    return [_trial(group, words[group.model, group.horizon] == "better") for group in judged]


def _trial(group: Group, better: bool) -> Trial:
    truth, median, crps, law = (group.rows[name].to_numpy() for name in ("truth", "median", "crps", "reference_crps"))
    n, horizon = len(truth), group.horizon
    signs = direction(truth, median, horizon)
    error, no_change = (truth - median) ** 2, truth**2
    return Trial(
        model=group.model,
        horizon=horizon,
        n=n,
        law_crps=float(law.mean()),
        gap=float(crps.mean() / law.mean() - 1),
        gap_error=(hac_error(crps - law, hac_lags(n, horizon)) or 0.0) / float(law.mean()),
        r2=float(1 - error.sum() / no_change.sum()),
        mean_p=diebold_mariano(error, no_change, horizon).p_better,
        direction_p=signs.pesaran_timmermann_p if signs else None,
        direction=signs is not None and signs.beyond_chance,
        better=better,
    )


@dataclass(frozen=True)
class Claims:
    """How often a skill was claimed that is not there.

    Args:
        worlds: in how many it could have been.
        claimed: in how many it was, at 5 %.
    """

    worlds: int
    claimed: int

    @property
    def limit(self) -> float:
        """5 % and two standard errors of worlds."""
        return self.worlds * SIGNIFICANCE + 2 * float(np.sqrt(self.worlds * SIGNIFICANCE * (1 - SIGNIFICANCE)))

    @property
    def chance(self) -> float:
        """The chance of as many claims or more from an honest test."""
        return float(binom.sf(self.claimed - 1, self.worlds, SIGNIFICANCE))


@dataclass(frozen=True)
class Pooled:
    """One model at one horizon over many worlds.

    Args:
        model: the forecaster's name.
        horizon: bars ahead.
        worlds: how many.
        gap: mean share by which its CRPS exceeds the law's.
        gap_error: standard error of that mean.
        r2: mean of the trials'.
        mean: claims that it knows the mean.
        direction: claims that it knows the direction.
        better: verdicts that it is better than the law.
        pesaran_timmermann: rejections by that test alone. In a short walk a forecast that follows the price level
            seems right (Stambaugh 1999, "Predictive regressions", J. Financial Economics 54), so they may be more
            than 5 %, and no claim rests on them alone.
    """

    model: str
    horizon: int
    worlds: int
    gap: float
    gap_error: float
    r2: float
    mean: Claims
    direction: Claims
    better: Claims
    pesaran_timmermann: Claims

    @property
    def z(self) -> float:
        """The gap in standard errors; far below zero the model knows what cannot be known."""
        return self.gap / self.gap_error if self.gap_error else 0.0


def pool(trials: Iterable[Trial]) -> list[Pooled]:
    """Average the trials of each model and horizon; worlds are independent of each other."""
    key = attrgetter("model", "horizon")
    return [_pooled(list(some)) for _, some in itertools.groupby(sorted(trials, key=key), key)]


def _pooled(some: Sequence[Trial]) -> Pooled:
    return Pooled(
        model=some[0].model,
        horizon=some[0].horizon,
        worlds=len(some),
        gap=float(np.mean([trial.gap for trial in some])),
        gap_error=float(np.sqrt(np.sum([trial.gap_error**2 for trial in some])) / len(some)),
        r2=float(np.mean([trial.r2 for trial in some])),
        mean=_claims([_rejects(trial.mean_p) for trial in some]),
        direction=_claims([trial.direction for trial in some]),
        better=_claims([trial.better for trial in some]),
        pesaran_timmermann=_claims([_rejects(trial.direction_p) for trial in some]),
    )


def _claims(made: Sequence[bool]) -> Claims:
    return Claims(len(made), sum(made))


def _rejects(p: float | None) -> bool:
    return p is not None and p < SIGNIFICANCE
