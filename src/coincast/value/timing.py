"""Was it timing: an allocation against the same trades at other times, and against itself filled a bar later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from ..candles import Candles, Times
from ..hac import hac_error, hac_lags
from .account import ROUNDING, Account, Series, trade
from .costs import FREE

# A tenth of all there was to earn is what a forecast of direction that is right 55 times in 100 gets.
SUSPICIOUS = 0.1
SURE = 0.001


def timing_p(account: Account) -> float | None:
    """The chance that the same weights at other times would have gone with the price as well, costs left aside.

    The weights are turned around the span bar by bar, the end joined to the beginning: as many trades, as large, as
    long, as often on either side, at times that have nothing to do with the price. p is the share of all turns, the one
    that happened among them, whose covariance with the moves is at least as large in its own standard errors. It is
    exact if weights and moves are independent; in standard errors, it stays right where the size of the moves goes with
    the weights, as it does by design of a volatility target: Chung and Romano (2013), "Exact and asymptotically robust
    permutation tests", Annals of Statistics 41. None where the weights or the moves do not vary.
    """
    weight, move = account.weight, account.move
    if not len(account) or np.ptp(weight) <= ROUNDING or np.ptp(move) <= ROUNDING:
        return None
    weight, move = weight - weight.mean(), move - move.mean()
    error = np.sqrt(np.maximum(_turned(weight**2, move**2), np.finfo(float).tiny))
    t = _turned(weight, move) / error
    return float(np.mean(t >= t[0] - ROUNDING * len(t)))


def _turned(weight: Series, move: Series) -> Series:
    """The sum of weight times move for every turn, by how many bars the weights are turned; the first is as it was."""
    return np.asarray(np.fft.irfft(np.fft.rfft(weight) * np.conj(np.fft.rfft(move)), len(move)))


@dataclass(frozen=True)
class LagCheck:
    """What the same orders earn when they are filled at another time, each as a share of all that there was to earn
    with positions of that size: 1 if every position had the right side, -1 if none had.

    Args:
        same_bar: filled at the open of the bar whose close decided, which nobody can do: what seeing it is worth.
        next_open: filled as they are.
        bar_later: filled a bar later still.
        p: one-sided chance of such a loss from waiting, if waiting cost nothing; None where it cannot be told.
    """

    same_bar: float | None
    next_open: float | None
    bar_later: float | None
    p: float | None

    @property
    def flagged(self) -> bool:
        """Whether more is earned than any honest forecast explains, and lost by waiting one bar, beyond chance: the
        orders know the bar in which they are filled.
        """
        if self.p is None or self.next_open is None or self.bar_later is None:
            return False
        return self.p < SURE and min(self.next_open, self.next_open - self.bar_later) > SUSPICIOUS


def lag_check(weights: Float[np.ndarray, " origin"], origins: Times, candles: Candles) -> LagCheck:
    """Fill the same orders in the same bar, at the next open and a bar later, without costs.

    Args:
        weights: as `trade` takes them.
        origins: the closes they say they were decided at.
        candles: all bars.
    """
    same_bar, next_open, bar_later = (trade(weights, origins, candles, FREE, delay=delay) for delay in (0, 1, 2))
    earned, waited = (account.weight * account.move for account in (next_open, bar_later))
    lost = earned - waited
    error = hac_error(lost, hac_lags(len(lost), horizon=1)) if len(lost) else None
    p = float(norm.sf(lost.mean() / error)) if error else None
    return LagCheck(_captured(same_bar), _captured(next_open), _captured(bar_later), p)


def _captured(account: Account) -> float | None:
    profit = account.weight * account.move
    possible = float(np.abs(profit).sum())
    return float(profit.sum()) / possible if possible > 0 else None
