"""How long a million 1-minute bars take from a file to a grade and to features, and in how much memory.

    python -m bench check

The bars are simulated and written as CSV the way polars writes it. Each run is a process of its own that has read
nothing before, and the best of five is taken: what else runs on the machine only adds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import polars as pl

from coincast.clean import clean
from coincast.features import compute
from coincast.feed import Feed
from coincast.files import read
from coincast.models.lstm_t import LstmT
from coincast.quality import examine
from coincast.rows import COLUMNS
from coincast.threads import single_threaded
from coincast.worlds import Law, draw

BARS, TIMES = 1_000_000, 5
FEED = "simulated:COIN/USD:1m"
STAGES = ("read", "clean", "clean and examine", "in all", "peak memory, GB")


def write(path: Path) -> None:
    """A market of its own opens, in ticks of a cent."""
    frame = draw(Law(volatility=0.0005, alpha=0.05, beta=0.93), BARS, seed=0, feed=FEED).candles.frame
    shown = frame.select(COLUMNS).with_columns(pl.col(name) * 30 for name in ("open", "high", "low", "close"))
    opened = shown.with_columns(open=pl.col("open") * (1 + 1e-5 * (pl.int_range(pl.len()) % 3)))
    prices = ("open", "high", "low", "close")
    widened = opened.with_columns(high=pl.max_horizontal(prices), low=pl.min_horizontal(prices))
    rounded = widened.with_columns(*(pl.col(name).round(2) for name in prices), volume=pl.col("volume").round(5))
    rounded.with_columns(pl.col("time").dt.replace_time_zone(None)).write_csv(path)


def once(path: Path) -> list[float]:
    """Seconds of each stage, and the memory they took together."""
    single_threaded()
    began = perf_counter()
    rows = read(path)
    was_read = perf_counter()
    clean(rows, Feed.parse(FEED))
    cleaned = perf_counter()
    found = examine(rows, Feed.parse(FEED))
    examined = perf_counter()
    if found.rows != BARS or found.grade > "B":
        raise SystemExit(f"Not the series that was written: {found.sentence}")
    took = [was_read - began, cleaned - was_read, examined - cleaned]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return [*took, took[0] + took[2], peak]


def features() -> float:
    """Seconds for the inputs of lstm-t over as many bars, on all cores."""
    candles, took = draw(Law(volatility=0.0005), BARS, seed=0, feed=FEED).candles, []
    for _ in range(TIMES):
        began = perf_counter()
        compute(candles, LstmT().features)
        took.append(perf_counter() - began)
    return min(took)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.csv"
        write(path)
        size = path.stat().st_size / 1e6
        runs = [_apart(path) for _ in range(TIMES)]
    print(f"| a million 1-minute bars, CSV of {size:.0f} MB | best of {TIMES} |\n|---|---|")
    for stage, *values in zip(STAGES, *runs, strict=True):
        print(f"| {stage} | {min(values):.2f}{' s' if not stage.endswith('GB') else ''} |")
    print(f"| features of lstm-t | {features():.2f} s |")


def _apart(path: Path) -> list[float]:
    told = subprocess.run([sys.executable, "-m", "bench.check", path], capture_output=True, check=True, text=True)
    return [float(value) for value in told.stdout.split()]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*once(Path(sys.argv[1])))
    else:
        main()
