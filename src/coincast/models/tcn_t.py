"""`lstm-t` with dilated causal convolutions in the place of the LSTM: what it remembers ends after 63 bars.

Bai, Kolter and Koltun 2018, "An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling", arXiv 1803.01271.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .layers import CausalConvolution, Dense
from .volatility_network import VolatilityNetwork

# Each bar sees itself and 2 (1 + 2 + 4 + 8 + 16) bars before it: the context every forecast has.
DILATIONS = (1, 2, 4, 8, 16)


class Convolutions(eqx.Module):
    """A dense layer, then residual convolutions over three bars each, ever further apart."""

    first: Dense
    layers: tuple[CausalConvolution, ...]

    def __init__(self, inputs: int, units: int, key: PRNGKeyArray) -> None:
        first_key, *keys = jax.random.split(key, 1 + len(DILATIONS))
        self.first = Dense(inputs, units, first_key)
        layers = zip(DILATIONS, keys, strict=True)
        self.layers = tuple(CausalConvolution(units, units, dilation, own) for dilation, own in layers)

    def __call__(self, x: Float[Array, "bar batch input"]) -> Float[Array, "bar batch unit"]:
        """What the last 63 bars say, at each bar."""
        hidden = self.first(x)
        for layer in self.layers:
            hidden = hidden + jax.nn.relu(layer(hidden))
        return hidden


@dataclass(frozen=True)
class TcnT(VolatilityNetwork):
    """Student-t quantiles around a causal volatility, bent by a temporal convolution and averaged over seeds; the
    settings are those of `VolatilityNetwork`.
    """

    name: ClassVar[str] = "tcn-t"
    encoder = Convolutions
