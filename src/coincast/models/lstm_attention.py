"""`lstm-t` that looks back: each bar's state asks the states of the 32 bars up to it which of them matter.

Scaled dot-product attention over the LSTM's own states (Vaswani et al. 2017, "Attention is all you need", NeurIPS 30),
with a learnt preference for each distance, and what is found added to the state. How much each distance was listened
to, on the bars that validated, is kept for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..forecaster import Fit, Watch
from ..training import from_arrays
from ..windows import Scaler, Windows
from .layers import LSTM, Dense
from .volatility_network import Network, VolatilityNetwork

SPAN = 32
# Of the newest origins of a fold, whose attention is averaged for the report.
SHOWN = 256


class Attention(eqx.Module):
    """An LSTM, and attention over its last 32 states."""

    lstm: LSTM
    query: Dense
    key: Dense
    value: Dense
    distance: Float[Array, " span"]

    def __init__(self, inputs: int, units: int, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, 4)
        self.lstm = LSTM(inputs, units, keys[0])
        self.query, self.key, self.value = (Dense(units, units, own) for own in keys[1:])
        self.distance = jnp.zeros(SPAN)

    def __call__(self, x: Float[Array, "bar batch input"]) -> Float[Array, "bar batch unit"]:
        """The LSTM's state after each bar, and what attention found added to it."""
        states = self.lstm(x)
        found = jnp.einsum("tsb,tsbu->tbu", self._weights(states), _back(self.value(states)))
        return states + found

    def weights(self, x: Float[Array, "bar batch input"]) -> Float[Array, "bar span batch"]:
        """How much each bar listens to the one so many bars before it."""
        return self._weights(self.lstm(x))

    def _weights(self, states: Float[Array, "bar batch unit"]) -> Float[Array, "bar span batch"]:
        asked, answers = self.query(states), _back(self.key(states))
        scores = jnp.einsum("tbu,tsbu->tsb", asked, answers) / states.shape[-1] ** 0.5 + self.distance[:, None]
        # The bars before a chunk's first are not there.
        there = jnp.arange(len(states))[:, None] >= jnp.arange(SPAN)
        return jax.nn.softmax(jnp.where(there[:, :, None], scores, -jnp.inf), axis=1)


def _back(states: Float[Array, "bar batch unit"]) -> Float[Array, "bar span batch unit"]:
    """The states 0, 1, 2 ... bars before each; those before the first are the first."""
    return states[jnp.maximum(jnp.arange(len(states))[:, None] - jnp.arange(SPAN), 0)]


@dataclass(frozen=True)
class LstmAttention(VolatilityNetwork):
    """Student-t quantiles around a causal volatility, bent by an LSTM with attention and averaged over seeds; the
    settings are those of `VolatilityNetwork`.
    """

    name: ClassVar[str] = "lstm-attention"
    encoder = Attention

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """One network a seed; `attention` in the state is how much each distance was listened to, by member.

        Raises:
            DataError: the fold has too few bars.
        """
        learnt = super().fit(fold, seeds, watch)
        networks = from_arrays(self._build(len(fold.horizons)), learnt.state)
        scaler = Scaler(learnt.state["offset"], learnt.state["scale"])
        x = scaler(fold.newest(SHOWN).x)[..., :-1].swapaxes(0, 1)
        return learnt._replace(state={**learnt.state, "attention": np.asarray(_listened(networks, x))})


@jax.jit
def _listened(networks: Network, x: Float[Array, "bar window input"]) -> Float[Array, "member span"]:
    """Attention at the last bar of each window, averaged over the windows."""
    return jax.vmap(lambda network: network.encoder.weights(x)[-1].mean(axis=-1))(networks)
