"""`lstm-t` without a law: it learns fifteen quantiles that cannot cross, by the CRPS it will be judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .heads import Quantiles
from .layers import LSTM
from .volatility_network import VolatilityNetwork


@dataclass(frozen=True)
class LstmQ(VolatilityNetwork):
    """Quantiles of no assumed law around a causal volatility, bent by an LSTM and averaged over seeds; the settings are
    those of `VolatilityNetwork`.
    """

    name: ClassVar[str] = "lstm-q"
    encoder = LSTM
    form = Quantiles()
