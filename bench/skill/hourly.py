"""BTC/USDT by hours, origins of 2021-2023, one and 24 hours ahead: from "no change" to a fusion.

python -m bench.skill hourly
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from coincast.models.scaled import INPUTS, REMEMBERED

from ..daily import candles_of
from .study import FIVE, Fused, Line, Row, Study, lines

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
    Row("linear-t, no typical ranges", "linear-t", {"inputs": INPUTS}),
    Row("linear-t", "linear-t"),
    Row("boosted-q", "boosted-q"),
    Row("lstm-t, no season", "lstm-t", {**NETWORK, "inputs": INPUTS[:13]}),
    Row("lstm-t, + typical ranges", "lstm-t", {**NETWORK, "inputs": (*INPUTS, *REMEMBERED)}),
    Row("lstm-t", "lstm-t", NETWORK),
    Row("lstm-skewt", "lstm-skewt", NETWORK),
    Row("lstm-q", "lstm-q", NETWORK),
    Row("gru-t", "gru-t", NETWORK),
    Row("tcn-t", "tcn-t", NETWORK),
)
FUSIONS: Sequence[Fused] = (
    ("fusion of lstm-t and linear-t", "equal", ("lstm-t", "linear-t")),
    ("fusion of lstm-t, linear-t and boosted-q", "equal", ("lstm-t", "linear-t", "boosted-q")),
    ("fusion of lstm-t, linear-t and season-t", "equal", ("lstm-t", "linear-t", "season-t")),
    ("fusion of five networks", "equal", FIVE),
    ("fusion of five networks, boa", "boa", FIVE),
    ("fusion of five networks, stacked", "stack", FIVE),
    ("fusion of five networks, linear-t and boosted-q", "equal", (*FIVE, "linear-t", "boosted-q")),
)
REFERENCES = ("garch-t", "season-t", "har-t", "linear-t")


def study(test_from: datetime = START, end: datetime = END) -> Study:
    """The hourly candles before `end`, judged from `test_from`."""
    candles = candles_of("hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h", end).candles
    return Study("hourly", {"bare": candles}, test_from, (1, 24), 2880)


def run() -> list[Line]:
    done = study()
    return lines(done.climb(ROWS, FUSIONS), done.candles["bare"], REFERENCES)
