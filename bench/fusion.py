"""Fusions and calibrated forecasts on the development years: what weighing models against each other adds to the best.

    python -m bench fusion       BTC/USD and ETH/USDT by days, origins of 2019-2023 and 2020-2023; BTC/USDT, the sample

Nothing after 2023 is read. Everything is made from one walk of the members.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from coincast.backtest import Walk
from coincast.calibrate import Calibrated
from coincast.clean import Cleaned
from coincast.combine import Fusion
from coincast.combiner import Combiner, combined
from coincast.recipe import Recipe, recipes
from coincast.runs import Run, walk
from coincast.sample import SAMPLES, load
from coincast.workers import Processes

from .daily import END, FILE, candles_of, table

SIX = ("garch-t", "har-t", "linear-t", "season-t", "boosted-q", "lstm-t")
THREE = Fusion().members
RULES = ("equal", "ewa", "boa", "stack")
SAMPLE = "btc-1d"


def studies() -> Iterator[tuple[str, Cleaned, datetime]]:
    yield FILE, candles_of(FILE, "coinbase:BTC/USD:1d", END), datetime(2019, 1, 1, tzinfo=UTC)
    ether = "daily/ethusdt_binance_1d.csv.gz"
    yield ether, candles_of(ether, "binance:ETH/USDT:1d", END), datetime(2020, 1, 1, tzinfo=UTC)
    yield SAMPLE, load(SAMPLE), SAMPLES[SAMPLE].test_from


def main() -> None:
    for source, cleaned, start in studies():
        print(f"{source}, {len(cleaned.candles)} bars, digest {cleaned.candles.digest[:16]}\n")
        with TemporaryDirectory() as folder:
            run = walk(cleaned, source, recipes(["naive-conformal", *SIX]), start, Path(folder) / "a", do=Processes(2))
            whole = replace(run, walks=(*run.walks, *made(run)))
            print(f"{table(whole)}\n", flush=True)


def made(run: Run) -> list[Walk]:
    """Fusions of three and of six by every rule, and models calibrated."""
    walks = list(run.walks)
    for rule in RULES:
        for chosen in (THREE, SIX):
            walks.append(named(f"fusion of {len(chosen)}, {rule}", Fusion(chosen, rule), walks, run))
    for member in ("garch-t", "season-t", "lstm-t", f"fusion of {len(THREE)}, boa"):
        walks.append(named(f"{member}, calibrated", Calibrated(member), walks, run))
    return walks[len(run.walks) :]


def named(name: str, model: Combiner, walks: Sequence[Walk], run: Run) -> Walk:
    by_name = {walk.forecast.model: walk.forecast for walk in walks}
    forecasts = [by_name[member] for member in model.members]
    forecast = replace(combined(model, forecasts, run.candles), model=name)
    return Walk(Recipe(model), (), forecast)


if __name__ == "__main__":
    main()
