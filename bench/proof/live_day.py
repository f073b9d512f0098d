"""A simulated day, live: the real WebSocket and REST client of ccxt against the replay, at sixty times the speed.

    python -m bench.proof.live_day

Binance and Kraken, and Binance with every fifth answer and message failing. In the end the store holds the bars of the
source and nothing else, each once (a bar that was corrected: each revision once), none seen before its close. The
results are written to `live_day.json` beside this file.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from bench.proof.receipt import keep

from coincast.exchanges.exchange import CcxtExchange
from coincast.exchanges.faults import Faults
from coincast.exchanges.replay import Replay, serve, urls
from coincast.feed import Feed
from coincast.fetching import follow
from coincast.records import RECORD, VALUES, Records
from coincast.store import Store

START = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY, SPEED = 1440, 60.0
# What was missed before the day begins, and is brought first.
MISSED = 200
FIFTH = {
    "429": 0.02, "418": 0.01, "5xx": 0.03, "disconnect": 0.01, "stall": 0.005, "malformed": 0.04, "truncated": 0.03,
    "empty": 0.05, "duplicates": 0.08, "out-of-order": 0.07, "correction": 0.05, "skew": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Life:
    """A stretch of live bars to follow.

    Args:
        exchange: whose formats are spoken.
        minutes: how many bars close live.
        faults: what goes wrong, by rate.
    """

    exchange: str
    minutes: int = DAY
    faults: dict[str, float] = field(default_factory=dict)

    @property
    def feed(self) -> Feed:
        return Feed.parse(f"{self.exchange}:BTC/USDT:1m")


@dataclass(frozen=True)
class Lived:
    """What came of it.

    Args:
        bars: of the source.
        stored: of them, with the values of the source in the last revision.
        revisions: rows beyond the first of each bar.
        early: rows seen before their close.
        median_delay: from a live bar's close until it was asked for and told, in seconds of the exchange's clock.
        most_delay: the longest.
        troubles: failures that were told on the way.
    """

    bars: int
    stored: int
    revisions: int
    early: int
    median_delay: float
    most_delay: float
    troubles: int

    def holds(self, life: Life) -> bool:
        """Whether every bar is there, rightly, and nothing else."""
        return self.stored == self.bars and self.early == 0 and (self.revisions == 0 or "correction" in life.faults)


def minutes(feed: Feed, count: int) -> Records:
    """A random walk that ends when the day does; now and then a minute goes by without a trade."""
    chance = np.random.default_rng(7)
    close = np.round(60_000 * np.exp(np.cumsum(chance.normal(0, 0.0005, count))), 2)
    opened = np.concatenate([[60_000.0], close[:-1]])
    high, low = np.maximum(opened, close) + chance.integers(0, 9, count), np.minimum(opened, close) - 0.5
    times = [START + (row - MISSED) * MINUTE for row in range(count)]
    frame = pl.DataFrame({"time": times, "open": opened, "high": high, "low": low, "close": close})
    told = frame.with_columns(
        volume=np.round(chance.random(count) * 40, 5),
        seen_at=pl.col("time") + MINUTE,
        source=pl.lit(""),
        repaired_by=None,
    )
    return Records.of(feed, told.select(pl.col(name).cast(kind) for name, kind in RECORD.items()))


def lived(life: Life, root: Path, speed: float = SPEED) -> Lived:
    """Follow the feed from a store that ends some hours before, until the last minute has closed."""
    # It takes a second; the replay's clock shall not run meanwhile.
    importlib.import_module("ccxt.pro")
    source, store = minutes(life.feed, MISSED + life.minutes + 10), Store(root)
    start = START + 0.5 * MINUTE
    end = START + life.minutes * MINUTE
    with store.writer(life.feed) as writer:
        writer.append(Records(life.feed, source.frame.head(1)))
    heard: list[str] = []

    def hear(_done: int, _total: int, words: str) -> None:
        heard.append(words)

    with serve(Replay([source], start, speed, Faults(life.faults, seed=3))) as port:
        exchange = CcxtExchange(life.exchange, urls(port)[life.exchange], speed)
        follow(life.feed, store, end, exchange=exchange, monitor=hear)
    return _judged(source.frame.filter(pl.col("time") < end), store.read(life.feed), start, heard)


def _judged(source: pl.DataFrame, told: Records, start: datetime, heard: Sequence[str]) -> Lived:
    same = told.latest.join(source, on=["time", *VALUES], how="semi")
    live = told.frame.filter(pl.col("time") >= start - MINUTE).unique("time", keep="first")
    delays = (live["seen_at"] - live["time"] - MINUTE).dt.total_milliseconds().to_numpy() / 1000
    return Lived(
        bars=source.height,
        stored=same.height if told.latest.height == same.height else -1,
        revisions=len(told) - told.latest.height,
        early=told.frame.filter(pl.col("seen_at") < pl.col("time") + MINUTE).height,
        median_delay=float(np.median(delays)),
        most_delay=float(delays.max()),
        troubles=sum("gain" in words or "anew" in words for words in heard),
    )


def main() -> int:
    began = time.monotonic()
    lives = [Life("binance"), Life("kraken"), Life("binance", faults=FIFTH)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(lives)) as pool:
        roots = [Path(folder) / str(number) for number in range(len(lives))]
        results = list(pool.map(lived, lives, roots))
    told = [{"life": asdict(life), "lived": asdict(result)} for life, result in zip(lives, results, strict=True)]
    holds = all(result.holds(life) for life, result in zip(lives, results, strict=True))
    keep("live_day", {"seconds": round(time.monotonic() - began), "holds": holds, "lives": told})
    for life, result in zip(lives, results, strict=True):
        print(f"{life.feed}, {len(life.faults)} faults: {result}, {'holds' if result.holds(life) else 'DOES NOT HOLD'}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
