"""Models without a network on the development years: what our networks have to beat.

    python -m bench baselines       BTC/USD by days, origins of 2019-2023, and BTC/USDT by hours, origins of 2021-2023

Nothing after 2023 is read. Hours have their own memory: a half-life of 10,000 bars, 4,320 bars for GARCH.
"""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from coincast.recipe import recipes
from coincast.runs import walk
from coincast.workers import Processes

from .daily import candles_of, table, years

MODELS = (
    "naive",
    "drift",
    "naive-conformal",
    "ewma-t",
    "ewma-fhs",
    "range-t",
    "season-t",
    "garch-t",
    "gjr-skewt",
    "egarch-skewt",
    "har-t",
    "linear-t",
    "boosted-q",
)
END = datetime(2024, 1, 1, tzinfo=UTC)
MEMORY = {"half_life": 10_000.0}
GARCH = {"lookback": 4320, "simulations": 1000}
STUDIES = (
    ("daily/btcusd_bitstamp_coinbase_1d.csv.gz", "coinbase:BTC/USD:1d", 2019, {"horizons": (1, 7)}),
    (
        "hourly/btcusdt_binance_1h.csv.gz",
        "binance:BTC/USDT:1h",
        2021,
        {
            "horizons": (1, 24),
            "refit_every": 2880,
            "models": {
                "naive-conformal": {"lookback": 4320},
                "ewma-t": {"window": 4320},
                "ewma-fhs": {"window": 4320},
                "range-t": MEMORY,
                "har-t": MEMORY,
                "linear-t": MEMORY,
                "boosted-q": MEMORY,
                "garch-t": GARCH,
                "gjr-skewt": GARCH,
                "egarch-skewt": GARCH,
            },
        },
    ),
)


def main() -> None:
    for file, feed, first, settings in STUDIES:
        cleaned = candles_of(file, feed, END)
        print(f"{feed}, {len(cleaned.candles)} bars to {END:%Y-%m-%d}, digest {cleaned.candles.digest[:16]}\n")
        with TemporaryDirectory() as folder:
            began = perf_counter()
            wanted = recipes(MODELS, settings)
            run = walk(cleaned, file, wanted, datetime(first, 1, 1, tzinfo=UTC), Path(folder) / "a", do=Processes(2))
            print(table(run))
            print(f"\n{perf_counter() - began:.0f} s, two processes\n")
            print(years(run), flush=True)


if __name__ == "__main__":
    main()
