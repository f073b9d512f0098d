"""What a network's last numbers mean: they are made a law of the standardised return, it is fitted by its loss, and its
quantiles are read off.

    StudentT     location, scale and degrees of freedom, by likelihood
    SkewedT      one half of it wider than the other, by likelihood
    Quantiles    no law at all: a median and the steps between fifteen levels, by CRPS

All start at a symmetric law of scale 1. Student-t heads: Salinas et al. 2020, "DeepAR", International Journal of
Forecasting 36. Two-piece t: Fernandez and Steel 1998, "On Bayesian modeling of fat tails and skewness", J. American
Statistical Association 93. Quantiles as sums of positive steps cannot cross: Gasthaus et al. 2019, "Probabilistic
forecasting with spline quantile function RNNs", AISTATS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special

from ..forecast import LEVELS
from ..student_t import quantiles

LEAST_DOF = 2.1
# The logarithms of a scale, and of how much wider one half is, stay within these.
FURTHEST = 3.0
MOST_SKEW = 1.0


class Head(Protocol):
    """A frozen dataclass: how many numbers it takes a forecast, what they mean, how they are learnt."""

    outputs: ClassVar[int]

    def law(self, raw: Float[Array, "... output"], location: float) -> Float[Array, "... output"]:
        """A linear layer's numbers as a law's parameters; `location` is what its place is multiplied by."""
        ...

    def loss(
        self, law: Float[Array, "bar batch target output"], targets: Float[Array, "bar batch target"]
    ) -> Float[Array, "bar batch target"]:
        """How badly a law told its target; NaN where there is no target."""
        ...

    def quantiles(
        self, law: Float[np.ndarray, "... output"], shrinkage: float, inflation: float
    ) -> Float[np.ndarray, "... K"]:
        """At `forecast.LEVELS`; what leans to a side is multiplied by `shrinkage`, what spreads by `inflation`."""
        ...


def student_t_nll(
    law: Float[Array, "bar batch target 3"], targets: Float[Array, "bar batch target"]
) -> Float[Array, "bar batch target"]:
    """Minus the log density of Student's t: location, logarithm of the scale, and degrees of freedom along the last
    axis.
    """
    location, log_scale, dof = law[..., 0], law[..., 1], law[..., 2]
    return _nll((targets - location) * jnp.exp(-log_scale), log_scale, dof)


def _nll(z: Float[Array, "..."], log_scale: Float[Array, "..."], dof: Float[Array, "..."]) -> Float[Array, "..."]:
    normaliser = jax.lax.lgamma(dof / 2) - jax.lax.lgamma((dof + 1) / 2) + 0.5 * jnp.log(dof * jnp.pi)
    return normaliser + log_scale + (dof + 1) / 2 * jnp.log1p(z * z / dof)


def _student_t(raw: Float[Array, "... output"], location: float) -> tuple[Float[Array, "..."], ...]:
    log_scale = jnp.clip(raw[..., 1], -FURTHEST, FURTHEST)
    return location * raw[..., 0], log_scale, LEAST_DOF + jax.nn.softplus(raw[..., 2] + 1.0)


@dataclass(frozen=True)
class StudentT:
    """Location, logarithm of the scale, degrees of freedom."""

    outputs: ClassVar[int] = 3

    def law(self, raw: Float[Array, "... 3"], location: float) -> Float[Array, "... 3"]:
        """The scale within e^3 of 1, the degrees of freedom above 2.1."""
        return jnp.stack(_student_t(raw, location), axis=-1)

    def loss(
        self, law: Float[Array, "bar batch target 3"], targets: Float[Array, "bar batch target"]
    ) -> Float[Array, "bar batch target"]:
        """Minus the log density."""
        return student_t_nll(law, targets)

    def quantiles(
        self, law: Float[np.ndarray, "... 3"], shrinkage: float, inflation: float
    ) -> Float[np.ndarray, "... K"]:
        """Of Student's t."""
        location, scale = shrinkage * law[..., 0], inflation * np.exp(law[..., 1])
        return location[..., None] + scale[..., None] * quantiles(law[..., 2], LEVELS)


@dataclass(frozen=True)
class SkewedT:
    """As `StudentT`, and the logarithm of how much wider it is above its location; below it is as much narrower."""

    outputs: ClassVar[int] = 4

    def law(self, raw: Float[Array, "... 4"], location: float) -> Float[Array, "... 4"]:
        """The two halves' widths within e^2 of each other."""
        skew = jnp.clip(raw[..., 3], -MOST_SKEW, MOST_SKEW)
        return jnp.stack([*_student_t(raw, location), skew], axis=-1)

    def loss(
        self, law: Float[Array, "bar batch target 4"], targets: Float[Array, "bar batch target"]
    ) -> Float[Array, "bar batch target"]:
        """Minus the log density."""
        location, log_scale, dof, skew = (law[..., number] for number in range(4))
        z = (targets - location) * jnp.exp(-log_scale)
        half = jnp.where(z < 0, z * jnp.exp(skew), z * jnp.exp(-skew))
        return _nll(half, log_scale, dof) + jnp.log(jnp.cosh(skew))

    def quantiles(
        self, law: Float[np.ndarray, "... 4"], shrinkage: float, inflation: float
    ) -> Float[np.ndarray, "... K"]:
        """Of the two halves, each by its own share of the probability."""
        location, scale = shrinkage * law[..., 0], inflation * np.exp(law[..., 1])
        width = np.exp(shrinkage * law[..., 3])[..., None]
        below = LEVELS * (1 + width**2) / 2
        above = (1 - LEVELS) * (1 + width**-2) / 2
        lower = below < 1 / 2
        tail = special.stdtrit(law[..., 2, None], np.where(lower, below, above))
        return location[..., None] + scale[..., None] * np.where(lower, tail / width, -tail * width)


# The levels whose quantiles are learnt; between them quantiles run as those of the law they start at.
KNOTS = LEVELS[[0, 4, 9, 19, 39, 59, 79, 99, 119, 139, 159, 179, 189, 194, 198]]
MEDIAN = len(KNOTS) // 2
START_DOF = 4.0


@dataclass(frozen=True)
class Quantiles:
    """The quantiles at fifteen levels: a median, and positive steps away from it."""

    outputs: ClassVar[int] = len(KNOTS)

    def law(self, raw: Float[Array, "... level"], location: float) -> Float[Array, "... level"]:
        """Each step within e^3 of the Student-t's with four degrees of freedom."""
        steps = jnp.diff(special.stdtrit(START_DOF, KNOTS)) * jnp.exp(jnp.clip(raw[..., 1:], -FURTHEST, FURTHEST))
        median = location * raw[..., :1]
        above = jnp.cumsum(steps[..., MEDIAN:], axis=-1)
        below = jnp.cumsum(steps[..., MEDIAN - 1 :: -1], axis=-1)[..., ::-1]
        return jnp.concatenate([median - below, median, median + above], axis=-1)

    def loss(
        self, law: Float[Array, "bar batch target level"], targets: Float[Array, "bar batch target"]
    ) -> Float[Array, "bar batch target"]:
        """The CRPS as far as these levels tell it: twice the pinball loss, each level for the span around it."""
        error = targets[..., None] - law
        pinball = jnp.maximum(KNOTS * error, (KNOTS - 1) * error)
        return 2 * jnp.sum(pinball * np.gradient(KNOTS), axis=-1)

    def quantiles(
        self, law: Float[np.ndarray, "... level"], shrinkage: float, inflation: float
    ) -> Float[np.ndarray, "... K"]:
        """Between two levels as far as Student's t has come between them."""
        median = law[..., MEDIAN, None]
        return (shrinkage * median + inflation * (law - median)) @ _between()


@cache
def _between() -> Float[np.ndarray, "level K"]:
    """How much of each learnt quantile is in each of a forecast's."""
    knots, wanted = special.stdtrit(START_DOF, KNOTS), special.stdtrit(START_DOF, LEVELS)
    left = np.clip(np.searchsorted(knots, wanted, side="right") - 1, 0, len(knots) - 2)
    share = (wanted - knots[left]) / (knots[left + 1] - knots[left])
    weights = np.zeros((len(knots), len(wanted)))
    column = np.arange(len(wanted))
    weights[left, column], weights[left + 1, column] = 1 - share, share
    return weights
