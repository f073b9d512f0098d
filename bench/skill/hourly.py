"""BTC/USDT by hours, origins of 2021-2023, one and 24 hours ahead: from "no change" to a fusion.

python -m bench.skill hourly
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from coincast.models.scaled import INPUTS

from ..daily import candles_of
from .study import Fused, Line, Row, Study, lines

END = datetime(2024, 1, 1, tzinfo=UTC)
START = datetime(2021, 1, 1, tzinfo=UTC)
GARCH = {"lookback": 4320, "simulations": 1000}
NETWORK = {"units": 24}
ROWS = (
    Row("naive-conformal", "naive-conformal", {"lookback": 4320}),
    Row("ewma-t", "ewma-t", {"window": 4320}),
    Row("garch-t", "garch-t", GARCH),
    Row("range-t", "range-t"),
    Row("season-t", "season-t"),
    Row("har-t", "har-t"),
    Row("linear-t", "linear-t"),
    Row("boosted-q", "boosted-q"),
    Row("lstm-t, no season", "lstm-t", {**NETWORK, "inputs": INPUTS[:13]}),
    Row("lstm-t", "lstm-t", NETWORK),
)
FUSIONS: Sequence[Fused] = (
    ("fusion of lstm-t and linear-t", "equal", ("lstm-t", "linear-t")),
    ("fusion of lstm-t and har-t", "equal", ("lstm-t", "har-t")),
    ("fusion of lstm-t, linear-t and season-t", "equal", ("lstm-t", "linear-t", "season-t")),
)
REFERENCES = ("garch-t", "season-t", "har-t")


def run() -> list[Line]:
    candles = candles_of("hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h", END).candles
    done = Study("hourly", {"bare": candles}, START, (1, 24), 2880)
    told = {row.label: done.walk(row) for row in ROWS}
    for label, rule, members in FUSIONS:
        told[label] = done.fuse(label, rule, [told[name] for name in members])
    return lines(told.values(), candles, REFERENCES)
