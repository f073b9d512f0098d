"""BTC/USD by days, origins of 2019-2023: from "no change" to a fusion, one step at a time.

    python -m bench.skill daily

Sentiment and other markets count from when they were published (`external/`); realised variance is of hourly bars,
since August 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from coincast.candles import Candles
from coincast.external import join, read
from coincast.models.har_t import CALENDAR
from coincast.models.scaled import INPUTS, REMEMBERED
from coincast.realised import with_realised

from ..daily import FILE, candles_of
from ..data import study_data
from .study import FIVE, Fused, Line, Row, Study, lines

END = datetime(2024, 1, 1, tzinfo=UTC)
START = datetime(2019, 1, 1, tzinfo=UTC)
COINS = ("ada", "avax", "bch", "bnb", "doge", "dot", "eth", "link", "ltc", "uni", "xlm", "xrp")
OUTSIDE = {"fear_greed": "fear_greed_1d", "sp500": "sp500_yahoo_1d", "vix": "vix_cboe_1d", "dollar": "dxy_1d"}
REALISED = ("realised_day", "realised_week", "realised_month")
FEELS = ("fear_greed", "fear_greed_mood", "sp500_return", "vix_return", "vix_level", "dollar_return")
ROWS = (
    Row("naive-conformal", "naive-conformal"),
    Row("ewma-t", "ewma-t"),
    Row("ewma-fhs", "ewma-fhs"),
    Row("garch-t", "garch-t"),
    Row("gjr-skewt", "gjr-skewt"),
    Row("egarch-skewt", "egarch-skewt"),
    Row("range-t", "range-t"),
    Row("season-t", "season-t"),
    Row("linear-t", "linear-t"),
    Row("boosted-q", "boosted-q"),
    Row("har-t", "har-t"),
    Row(
        "har-t, hourly realised",
        "har-t",
        {"volatility": "realised_volatility_30d", "inputs": (*REALISED, *CALENDAR)},
        "realised",
    ),
    Row("lstm-t, past shocks alone", "lstm-t", {"inputs": INPUTS[:2]}),
    Row("lstm-t, + volatilities and volume", "lstm-t", {"inputs": INPUTS[:10]}),
    Row("lstm-t", "lstm-t"),
    Row("lstm-t, + typical ranges", "lstm-t", {"inputs": (*INPUTS, *REMEMBERED)}),
    Row("lstm-t, + hourly realised", "lstm-t", {"inputs": (*INPUTS, *REALISED)}, "realised"),
    Row("lstm-t, + mood and markets", "lstm-t", {"inputs": (*INPUTS, *FEELS)}, "outside"),
    Row("lstm-skewt", "lstm-skewt"),
    Row("lstm-q", "lstm-q"),
    Row("lstm-attention", "lstm-attention"),
    Row("gru-t", "gru-t"),
    Row("tcn-t", "tcn-t"),
    Row("lstm-t, of 13 coins", "lstm-t", panel=True),
)
TWO = ("lstm-t", "har-t, hourly realised")
SIX = (*FIVE, "har-t, hourly realised")
FUSIONS: Sequence[Fused] = (
    ("fusion of lstm-t and har-t", "equal", ("lstm-t", "har-t")),
    ("fusion of lstm-t and har-t, hourly realised", "equal", TWO),
    ("fusion of lstm-t and har-t, hourly realised, boa", "boa", TWO),
    ("fusion of lstm-t and har-t, hourly realised, stacked", "stack", TWO),
    ("fusion of five networks and har-t, hourly realised", "equal", SIX),
    ("fusion of five networks and har-t, hourly realised, boa", "boa", SIX),
    ("fusion of five networks and har-t, hourly realised, stacked", "stack", SIX),
    ("fusion of lstm-t, har-t and garch-t", "equal", ("lstm-t", "har-t", "garch-t")),
)
REFERENCES = ("garch-t", "har-t, hourly realised")


def coin(name: str, end: datetime = END) -> Candles:
    """A coin of the panel, its bars before `end`."""
    return candles_of(f"panel/{name}usd_yahoo_1d.csv.gz", f"yahoo:{name.upper()}/USD:1d", end).candles


def study(test_from: datetime = START, end: datetime = END) -> Study:
    """The daily candles before `end`, alone and with what may be known beside them, judged from `test_from`."""
    bare = candles_of(FILE, "coinbase:BTC/USD:1d", end).candles
    hours = candles_of("hourly/btcusdt_binance_1h.csv.gz", "binance:BTC/USDT:1h", end).candles
    series = [read(study_data() / f"exog/{file}.csv.gz", name, "BTC") for name, file in OUTSIDE.items()]
    seen = {"bare": bare, "realised": with_realised(bare, hours), "outside": join(bare, *series)}
    return Study("daily", seen, test_from, (1, 7), 90, [coin(name, end) for name in COINS])


def run() -> list[Line]:
    done = study()
    return lines(done.climb(ROWS, FUSIONS), done.candles["bare"], REFERENCES)
