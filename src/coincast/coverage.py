"""Does a distribution hold what it promises: how often its bands contain the truth, how evenly its PIT falls.

The tests ask for forecasts whose targets do not overlap, so at horizon h they use every h-th one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import xlogy
from scipy.stats import chi2, ks_1samp, uniform
from statsmodels.stats.proportion import proportion_confint

PIT_BINS = 20


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test: its statistic and the chance of one as large under its null."""

    statistic: float
    p: float

    @classmethod
    def of(cls, statistic: float, degrees: int) -> LikelihoodRatio:
        """Against the chi-squared law with `degrees` degrees of freedom; rounding below zero counts as zero."""
        positive = max(statistic, 0.0)
        return cls(positive, float(chi2.sf(positive, degrees)))


@dataclass(frozen=True)
class Coverage:
    """How often a band contained the truth. What cannot be known is None.

    Args:
        level: the share promised, 0.95 for a 95 % band.
        n: forecasts judged.
        share: the share that held.
        low: lower end of its 95 % interval (Wilson, for n / h forecasts).
        high: its upper end.
        kupiec_p: p of Kupiec's test that the share is the one promised.
        independence_p: p of Christoffersen's test that a miss says nothing of the next.
        christoffersen_p: p of his test of both together.
    """

    level: float
    n: int
    share: float | None
    low: float | None
    high: float | None
    kupiec_p: float | None
    independence_p: float | None
    christoffersen_p: float | None


@dataclass(frozen=True)
class Pit:
    """How evenly the truths fall into the forecast distributions.

    Args:
        n: forecasts judged.
        counts: how many probability integral transforms fell into each of `PIT_BINS` equal bins of (0, 1).
        distance: Kolmogorov-Smirnov distance from the uniform law.
        p: the chance of one as large from a perfect forecaster.
    """

    n: int
    counts: tuple[int, ...]
    distance: float | None
    p: float | None


def coverage(hits: Bool[np.ndarray, " forecast"], level: float, horizon: int) -> Coverage:
    """How often `hits` is true, against `level`.

    Args:
        hits: in time order, True where the band contained the truth.
        level: the share promised.
        horizon: intervals ahead; neighbours' targets overlap where it exceeds 1.
    """
    n = len(hits)
    if not n:
        return Coverage(level, 0, None, None, None, None, None, None)
    low, high = wilson(int(hits.sum()), n, horizon)
    misses = ~hits[::horizon]
    share = kupiec(int(misses.sum()), len(misses), 1 - level)
    independent = independence(misses)
    both = None if independent is None else conditional_coverage(share, independent)
    return Coverage(
        level=level,
        n=n,
        share=float(hits.mean()),
        low=low,
        high=high,
        kupiec_p=share.p,
        independence_p=independent.p if independent else None,
        christoffersen_p=both.p if both else None,
    )


def wilson(successes: int, n: int, horizon: int = 1) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); h-step forecasts overlap and count as n / h."""
    low, high = proportion_confint(successes / horizon, n / horizon, alpha=0.05, method="wilson")
    return float(low), float(high)


def kupiec(misses: int, n: int, rate: float) -> LikelihoodRatio:
    """Proportion of failures: are `misses` of `n` what a miss rate of `rate` would give?

    Kupiec (1995), "Techniques for verifying the accuracy of risk measurement models", J. Derivatives 3. Chi-squared
    with one degree of freedom; no miss at all and nothing but misses are judged too.
    """
    hits = n - misses
    null = xlogy(misses, rate) + xlogy(hits, 1 - rate)
    free = xlogy(misses, misses / n) + xlogy(hits, hits / n)
    return LikelihoodRatio.of(float(2 * (free - null)), 1)


def independence(misses: Bool[np.ndarray, " forecast"]) -> LikelihoodRatio | None:
    """Does a miss make a miss at the next forecast likelier? None without both a miss and a hit to follow.

    Christoffersen (1998), "Evaluating interval forecasts", Int. Economic Review 39: a first-order Markov chain against
    independence, chi-squared with one degree of freedom.
    """
    before, after = misses[:-1], misses[1:]
    if not len(after) or before.all() or not before.any():
        return None
    from_hit, from_miss = after[~before], after[before]
    free = _log_likelihood(from_hit) + _log_likelihood(from_miss)
    return LikelihoodRatio.of(2 * (free - _log_likelihood(after)), 1)


def conditional_coverage(share: LikelihoodRatio, independent: LikelihoodRatio) -> LikelihoodRatio:
    """Christoffersen's joint test: the sum of both statistics, chi-squared with two degrees of freedom."""
    return LikelihoodRatio.of(share.statistic + independent.statistic, 2)


def _log_likelihood(outcomes: Bool[np.ndarray, " outcome"]) -> float:
    """Of a coin with the outcomes' own share."""
    true = int(outcomes.sum())
    false = len(outcomes) - true
    return float(xlogy(true, true / len(outcomes)) + xlogy(false, false / len(outcomes)))


def pit_uniformity(pit: Float[np.ndarray, " forecast"], horizon: int) -> Pit:
    """The histogram of `pit` (in time order) and how far it is from uniform."""
    counts, _ = np.histogram(pit, bins=PIT_BINS, range=(0.0, 1.0))
    bins = tuple(int(count) for count in counts)
    if not len(pit):
        return Pit(0, bins, None, None)
    test = ks_1samp(pit[::horizon], uniform.cdf)
    return Pit(len(pit), bins, float(test.statistic), float(test.pvalue))
