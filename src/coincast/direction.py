"""Was the direction right: up or down, against chance and against always saying the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest
from statsmodels.stats.diagnostic import pesaran_timmermann as _pesaran_timmermann

from .coverage import wilson

# Medians of symmetric laws come out of numerical quantiles as 1e-17 or so: that is no opinion on the direction.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Direction:
    """How often a forecast had the direction right.

    Args:
        n: forecasts judged: those that name a direction and whose price moved.
        share: the share that was right.
        low: lower end of its 95 % interval (Wilson, for n / h forecasts).
        high: its upper end.
        majority: share of the commoner direction among the same truths: what always saying it would have got.
        p: chance that coin flips get as many right or more (exact binomial, every h-th forecast).
        pesaran_timmermann_p: chance that as much agreement comes from independent directions (every h-th forecast);
            None where all forecasts or all truths point one way.
    """

    n: int
    share: float
    low: float
    high: float
    majority: float
    p: float
    pesaran_timmermann_p: float | None

    @property
    def beyond_chance(self) -> bool:
        """Whether skill may be claimed: more right than the commoner direction gives, and not by chance."""
        p = self.pesaran_timmermann_p
        return self.low > max(0.5, self.majority) and p is not None and p < 0.05


def direction(
    truth: Float[np.ndarray, " forecast"], predicted: Float[np.ndarray, " forecast"], horizon: int
) -> Direction | None:
    """Judge the signs of `predicted` against those of `truth`, log-returns in time order without NaN.

    None if no forecast names a direction, as "no change" does not.
    """
    judged = (np.abs(predicted) > ROUNDING) & (np.abs(truth) > ROUNDING)
    up, said_up = truth[judged] > 0, predicted[judged] > 0
    right = up == said_up
    n = len(right)
    if not n:
        return None
    apart = right[::horizon]
    low, high = wilson(int(right.sum()), n, horizon)
    return Direction(
        n=n,
        share=float(right.mean()),
        low=low,
        high=high,
        majority=float(max(up.mean(), 1 - up.mean())),
        p=float(binomtest(int(apart.sum()), len(apart), 0.5, alternative="greater").pvalue),
        pesaran_timmermann_p=pesaran_timmermann(truth[judged][::horizon], predicted[judged][::horizon]),
    )


def pesaran_timmermann(
    truth: Float[np.ndarray, " forecast"], predicted: Float[np.ndarray, " forecast"]
) -> float | None:
    """One-sided p that the signs agree more often than independent ones would.

    Pesaran and Timmermann (1992), "A simple nonparametric test of predictive performance", J. Business & Economic
    Statistics 10. None where all point one way, so that agreement says nothing.
    """
    one_way = any((signs > 0).all() or (signs <= 0).all() for signs in (truth, predicted))
    if len(truth) < 2 or one_way:
        return None
    return float(_pesaran_timmermann(truth, predicted, alternative="larger").pvalue)
