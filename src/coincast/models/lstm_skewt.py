"""`lstm-t` whose law may be wider on one side: crashes and rallies need not be as likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .heads import SkewedT
from .layers import LSTM
from .volatility_network import VolatilityNetwork


@dataclass(frozen=True)
class LstmSkewT(VolatilityNetwork):
    """Skewed-t quantiles around a causal volatility, bent by an LSTM and averaged over seeds; the settings are those of
    `VolatilityNetwork`.
    """

    name: ClassVar[str] = "lstm-skewt"
    encoder = LSTM
    form = SkewedT()
