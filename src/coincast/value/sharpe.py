"""Is a mean return more than luck: the Sharpe ratio, its error, and what is left of it after many tries.

All ratios here are per bar and over no interest; `annual` scales one to a year of 365 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from ..feed import Interval
from ..hac import hac_error, hac_lags

Returns = Float[np.ndarray, " bar"]

# Below it a skew and a kurtosis say nothing.
FEWEST = 3


@dataclass(frozen=True)
class Sharpe:
    """Mean over standard deviation of per-bar returns, with their shape.

    Args:
        n: returns.
        ratio: per bar.
        skew: third standardised moment.
        kurtosis: fourth standardised moment, 3 for the normal law.
    """

    n: int
    ratio: float
    skew: float
    kurtosis: float

    @classmethod
    def of(cls, returns: Returns) -> Sharpe | None:
        """Of returns in time order; None where they are too few or do not vary."""
        n = len(returns)
        if n < FEWEST or np.ptp(returns) <= 1e-12 * np.abs(returns).max():
            return None
        deviation = returns - returns.mean()
        z = deviation / np.sqrt(np.mean(deviation**2))
        ratio = float(returns.mean() / returns.std(ddof=1))
        return cls(n, ratio, float(np.mean(z**3)), float(np.mean(z**4)))

    @property
    def error(self) -> float:
        """Standard error of the ratio for independent returns of any law: Mertens (2002), "Comments on variance of
        the IID estimator in Lo (2002)".
        """
        variance = 1 - self.skew * self.ratio + (self.kurtosis - 1) / 4 * self.ratio**2
        return float(np.sqrt(max(variance, 0.0) / (self.n - 1)))

    def probabilistic(self, benchmark: float = 0.0) -> float | None:
        """The probability that the true ratio exceeds `benchmark`, per bar; None without an error to judge by.

        Bailey and Lopez de Prado (2012), "The Sharpe ratio efficient frontier", J. of Risk 15.
        """
        return float(norm.cdf((self.ratio - benchmark) / self.error)) if self.error > 0 else None


def annual(ratio: float, interval: Interval) -> float:
    """A ratio, or its error, per bar as one a year."""
    return ratio * float(np.sqrt(bars_a_year(interval)))


def bars_a_year(interval: Interval) -> float:
    """Bars in 365 days."""
    return timedelta(days=365) / interval.delta


def expected_maximum(spread: float, trials: int) -> float:
    """The largest ratio to expect of `trials` tries without any skill; 0 for one try.

    Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio", J. Portfolio Management 40: the probability that a
    ratio exceeds this is the deflated Sharpe ratio.

    Args:
        spread: standard deviation of the ratios of tries without skill, per bar.
        trials: how many were made.
    """
    if trials < 2:
        return 0.0
    near, far = float(norm.ppf(1 - 1 / trials)), float(norm.ppf(1 - 1 / (trials * np.e)))
    return spread * ((1 - np.euler_gamma) * near + np.euler_gamma * far)


def spread_of_luck(bars: int) -> float:
    """How far the ratio of a try without skill strays from zero over so many bars: Mertens' error at a ratio of 0.

    The paper takes the spread between the trials instead. Those of a run share one market but not their costs: one that
    is ruined by its trades would raise the bar for all others.
    """
    return 1 / float(np.sqrt(bars - 1)) if bars > 1 else 0.0


@dataclass(frozen=True)
class Lead:
    """By how much one Sharpe ratio exceeds another over the same bars.

    Args:
        difference: per bar.
        error: its standard error, allowing for autocorrelation.
        p: one-sided chance that the ratio is not larger.
    """

    difference: float
    error: float
    p: float


def lead(returns: Returns, others: Returns) -> Lead | None:
    """One ratio against another of the same bars; None where either is undefined or they do not differ.

    Ledoit and Wolf (2008), "Robust performance hypothesis testing with the Sharpe ratio", J. Empirical Finance 15:
    the delta method with a long-run variance, here with Bartlett weights as in every other test.
    """
    own, other = Sharpe.of(returns), Sharpe.of(others)
    if own is None or other is None:
        return None
    error = hac_error(_influence(returns) - _influence(others), hac_lags(len(returns), horizon=1))
    difference = own.ratio - other.ratio
    return Lead(difference, error, float(norm.sf(difference / error))) if error else None


def _influence(returns: Returns) -> Returns:
    """What each return does to the ratio."""
    z = (returns - returns.mean()) / returns.std()
    return np.asarray(z - returns.mean() / returns.std() * (z**2 - 1) / 2)
