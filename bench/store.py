"""The store and its neighbours at their sizes: a million 1-minute bars in, the last thousand of ten million out.

    python -m bench store

Peers do the same work beside it: one Parquet file by pandas and pyarrow, and freqtrade's way, one feather file that is
written whole each time.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from coincast.feed import Feed
from coincast.interchange import FORMATS, read
from coincast.records import RECORD, Records
from coincast.store import Store

FEED = Feed.parse("binance:BTC/USDT:1m")
MILLION = 1_000_000
START = datetime(2006, 1, 1, tzinfo=UTC)


def bars(first: int, count: int) -> Records:
    """A random walk with two decimals, minute by minute."""
    chance = np.random.default_rng(first)
    close = (20_000 * np.exp(np.cumsum(chance.normal(0, 1e-3, count)))).round(2)
    opened = np.roll(close, 1)
    wick = chance.exponential(5, (2, count)).round(2)
    step = FEED.interval.delta
    times = pl.datetime_range(
        START + first * step, START + (first + count - 1) * step, step, time_unit="us", eager=True
    )
    frame = pl.DataFrame(
        {
            "time": times,
            "open": opened,
            "high": np.maximum(opened, close) + wick[0],
            "low": np.minimum(opened, close) - wick[1].clip(0, 10),
            "close": close,
            "volume": chance.exponential(10, count).round(5),
        }
    )
    seen = pl.lit(times[-1] + step, RECORD["seen_at"])
    lent = pl.lit(None, pl.String())
    return Records.of(FEED, frame.with_columns(seen_at=seen, source=pl.lit("binance"), repaired_by=lent))


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """The fastest of so many runs."""
    best = float("inf")
    for _ in range(times):
        began = perf_counter()
        work()
        best = min(best, perf_counter() - began)
    return best


def line(what: str, took: float, limit: str = "", note: str = "") -> None:
    value = f"{took * 1000:,.1f} ms" if took < 1 else f"{took:.2f} s"
    print(f"| {what} | {value} | {limit} | {note} |", flush=True)


def main() -> None:
    print("| what | took | at most | |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        million(folder)
        ten_million(folder)
        live(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of this process, the made bars and the peers' frames included: {peak:,.0f} MiB")


def million(folder: Path) -> None:
    records, store = bars(0, MILLION), Store(folder / "million")
    with store.writer(FEED) as writer:
        line("append 1 M bars", seconds(lambda: writer.append(records)), "2 s", f"{size(store)} MB")
        line("append the same again", seconds(lambda: writer.append(records)), "", "nothing new")
    line("read 1 M bars", seconds(lambda: store.read(FEED), 3))
    line("verify 1 M bars", seconds(lambda: store.verify(FEED), 3))
    line("holes in 1 M bars", seconds(lambda: store.holes(FEED, START, records.frame["seen_at"][0]), 3))
    rows = records.rows()
    for name, form in FORMATS.items():
        file = folder / f"{name}{form.suffix}"
        line(
            f"export 1 M bars: {name}", seconds(lambda form=form, file=file: file.write_bytes(form.encode(FEED, rows)))
        )
        line(f"read 1 M bars: {name}", seconds(lambda file=file: read(file)))
    peers(folder, records)


def peers(folder: Path, records: Records) -> None:
    import pandas as pd

    frame = pd.DataFrame({name: records.frame[name].to_numpy() for name in records.frame.columns[:6]})
    file = folder / "peer"
    line(
        "pandas + pyarrow: write 1 M bars, Parquet",
        seconds(lambda: frame.to_parquet(file)),
        "",
        "six columns, no fsync",
    )
    line("pandas + pyarrow: read 1 M bars, Parquet", seconds(lambda: pd.read_parquet(file)))
    write = seconds(lambda: frame.to_feather(file, compression="lz4", compression_level=9))
    line("freqtrade's feather: add 1 bar to 1 M", write, "", "the whole file anew, no fsync")


def ten_million(folder: Path) -> None:
    store = Store(folder / "ten")
    with store.writer(FEED) as writer:
        took = sum(append_million(writer.append, n) for n in range(10))
        line("append 10 M bars, a million at a time", took, "", f"{size(store)} MB")
        last = store.snapshot(FEED).last
        assert last is not None
        since = last - 999 * FEED.interval.delta
        assert len(store.read(FEED, since)) == 1000
        line("last 1,000 of 10 M bars", seconds(lambda: store.read(FEED, since), 9), "50 ms", "warm")
        middle = START + 5 * MILLION * FEED.interval.delta
        until = middle + 1000 * FEED.interval.delta
        line("1,000 bars from the middle", seconds(lambda: store.read(FEED, middle, until), 9), "", "warm")
        one = bars(10 * MILLION, 1)
        line("append 1 bar to 10 M", seconds(lambda: writer.append(one)), "", "on the disk when it returns")


def append_million(append: Callable[[Records], int], number: int) -> float:
    records = bars(number * MILLION, MILLION)
    return seconds(lambda: append(records))


def live(folder: Path) -> None:
    """Two days of a live feed, each bar told four times as its neighbours are asked for again."""
    store, records = Store(folder / "live"), bars(0, 2880)
    took = []
    with store.writer(FEED) as writer:
        for bar in range(4, len(records)):
            batch = Records(FEED, records.frame[bar - 4 : bar])
            took.append(seconds(lambda batch=batch: writer.append(batch)))
    line("append a live bar, median of 2,876", float(np.median(took)), "", "with three told before")
    line("append a live bar, slowest", max(took), "", f"{len(store.snapshot(FEED).segments)} segments in the end")


def size(store: Store) -> str:
    return f"{sum(file.stat().st_size for file in store.folder(FEED).iterdir()) / 1e6:.1f}"


if __name__ == "__main__":
    main()
