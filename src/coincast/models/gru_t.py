"""`lstm-t` with gated recurrent units in the place of the LSTM: one gate and one state less.

Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .layers import GRU
from .volatility_network import VolatilityNetwork


@dataclass(frozen=True)
class GruT(VolatilityNetwork):
    """Student-t quantiles around a causal volatility, bent by a GRU and averaged over seeds; the settings are those of
    `VolatilityNetwork`.
    """

    name: ClassVar[str] = "gru-t"
    encoder = GRU
