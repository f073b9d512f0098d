"""The declared endpoints (`endpoints.toml`) on the sealed zone, 2024-01-01 to 2025-09-30.

    python -m bench.skill sealed

Run when choices are frozen, never to choose: every run is an opening, and is written into `bench/sealed.md`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime

from .. import daily as long_series
from ..daily import candles_of
from . import daily, hourly
from .study import RESULTS, Study, lines, table

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC)
# By feed: its file, what the study tried on it, and bars between refits.
STUDIES = {
    "coinbase:BTC/USD:1d": (long_series.FILE, daily, 90),
    "binance:BTC/USDT:1h": ("hourly/btcusdt_binance_1h.csv.gz", hourly, 2880),
}


def run() -> Iterator[str]:
    """A table an endpoint: the fusion and all that it is made of or judged by."""
    for name, declared in tomllib.loads((RESULTS / "endpoints.toml").read_text()).items():
        file, ladder, refit_every = STUDIES[declared["feed"]]
        candles = candles_of(file, declared["feed"], END).candles
        done = Study(name, {"bare": candles}, START, (declared["horizon"],), refit_every)
        label, rule, members = next(fused for fused in ladder.FUSIONS if fused[0] == declared["model"])
        rows = [row for row in ladder.ROWS if row.label in {*members, declared["reference"]}]
        told = {row.label: done.walk(row) for row in rows}
        told[label] = done.fuse(label, rule, [told[member] for member in members])
        found = lines(told.values(), candles, [declared["reference"]])
        yield f"\n{name}: {declared['question']}, {found[0].n} origins\n\n{table(found, declared['horizon'])}"
