"""Prediction with expert advice: weights for experts, learnt from how they fared, whatever the sequence.

The regret against an expert is the weighted average's cumulative loss less the expert's. Its bounds below assume
nothing of the losses but their range. N. Cesa-Bianchi and G. Lugosi, "Prediction, Learning, and Games" (2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float


def exponential_weights(
    losses: Float[np.ndarray, "round expert"], rates: Float[np.ndarray, " round+1"]
) -> Float[np.ndarray, "round+1 expert"]:
    """Weights before the first round and after each: in proportion to exp(-rate x cumulative loss).

    For losses in [0, 1], K experts and T rounds the regret is at most sqrt(T ln K / 2) if every rate is
    sqrt(8 ln K / T) (Cesa-Bianchi and Lugosi 2006, Theorem 2.2), and at most 2 sqrt(T ln K / 2) + sqrt(ln K / 8) with
    `anytime_rates` (Theorem 2.3).
    """
    start = np.zeros((1, losses.shape[1]))
    exponent = -rates[:, None] * np.concatenate([start, np.cumsum(losses, axis=0)])
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def anytime_rates(rounds: int, experts: int) -> Float[np.ndarray, " round+1"]:
    """sqrt(8 ln K / t) in round t: the rates for who does not know how many rounds there will be."""
    return np.sqrt(8 * np.log(experts) / np.arange(1, rounds + 2))


@dataclass(frozen=True)
class Bernstein:
    """Bernstein online aggregation (BOA) with a learning rate for each expert, for regrets in [-1, 1].

    O. Wintenberger, "Optimal learning with Bernstein online aggregation", Machine Learning 106 (2017). An expert's
    rate is min(1/2, sqrt(ln K / V)), V the sum of its squared regrets. If in every round the weighted mean of the
    regrets is 0, as it is for a linear loss, then the regret against an expert is at most

        2 sqrt(V (ln K + 1/4)) + 2 ln K + 1/2 + (ln K + ln(1 + B / e)) max(2, sqrt(V / ln K)),

    B = (1/2 + 1/(16 ln K)) ln(max(1, T / (4 ln K))) after T rounds: of the order of sqrt(V ln K), so that nothing is
    lost where the experts hardly differ.

    Args:
        corrected: cumulative regret, less the rate times its square in each round.
        variation: sum of squared regrets.
    """

    corrected: Float[np.ndarray, " expert"]
    variation: Float[np.ndarray, " expert"]

    @classmethod
    def start(cls, experts: int) -> Bernstein:
        """Nothing learnt: equal weights."""
        return cls(np.zeros(experts), np.zeros(experts))

    @cached_property
    def rates(self) -> Float[np.ndarray, " expert"]:
        """The learning rates of the coming round."""
        # One expert alone has regret 0 and needs no rate.
        log = np.log(max(len(self.variation), 2))
        return np.asarray(np.sqrt(log / np.maximum(self.variation, 4 * log)))

    @cached_property
    def weights(self) -> Float[np.ndarray, " expert"]:
        """The weights of the coming round: in proportion to rate x exp(rate x corrected regret)."""
        exponent = self.rates * self.corrected
        weights = self.rates * np.exp(exponent - exponent.max())
        return np.asarray(weights / weights.sum())

    def after(self, regrets: Float[np.ndarray, " expert"]) -> Bernstein:
        """What is known after a round.

        Args:
            regrets: the weighted average's loss less each expert's; positive for who did better.
        """
        squares = regrets**2
        return Bernstein(self.corrected + regrets - self.rates * squares, self.variation + squares)
