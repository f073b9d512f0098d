"""The network this project is about: one layer of long short-term memory (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .layers import LSTM
from .volatility_network import VolatilityNetwork


@dataclass(frozen=True)
class LstmT(VolatilityNetwork):
    """Student-t quantiles around a causal volatility, bent by an LSTM and averaged over seeds; the settings are those
    of `VolatilityNetwork`.
    """

    name: ClassVar[str] = "lstm-t"
    encoder = LSTM
