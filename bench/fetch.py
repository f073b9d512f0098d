"""Eight years of hourly bars from the replay into an empty store, and again with every fifth answer failing.

    python -m bench fetch

Beside it ccxt alone asks for the same pages and keeps the rows in a list: nothing proved, nothing stored.
"""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.data import study_data
from bench.proof.live_day import FIFTH
from coincast.clean import clean
from coincast.exchanges.exchange import CcxtExchange
from coincast.exchanges.faults import Faults
from coincast.exchanges.replay import Replay, serve, urls
from coincast.feed import Feed
from coincast.fetching import Fetched, fetch
from coincast.files import read
from coincast.records import Records, accept
from coincast.store import Store

FEED = Feed.parse("binance:BTC/USDT:1h")
# The pauses after a failure count by the exchange's clock.
SPEED = 60.0


def source() -> Records:
    """The bars that were observed, as an exchange would tell them."""
    candles = clean(read(study_data() / "hourly/btcusdt_binance_1h.csv.gz"), FEED).candles
    told = candles.frame.filter("observed").drop("observed")
    rows = zip(told["time"].dt.epoch("ms"), *(told[name] for name in told.columns[1:]), strict=True)
    return accept(FEED, list(rows), candles.end, "binance").records


def fetched(records: Records, faults: Faults, folder: Path) -> tuple[float, Fetched, Records]:
    """Seconds it took, what it says, and what is stored."""
    end = records.frame["time"][-1] + FEED.interval.delta
    with serve(Replay([records], end + timedelta(days=1), SPEED, faults)) as port:
        exchange, store = CcxtExchange("binance", urls(port)["binance"], SPEED), Store(folder)
        began = perf_counter()
        done = fetch(FEED, store, records.frame["time"][0], end, exchange=exchange)
        return perf_counter() - began, done, store.read(FEED)


async def alone(port: int, since: datetime, until: datetime) -> list[Any]:
    """The loop that everybody writes."""
    client = importlib.import_module("ccxt.pro").binance({"urls": urls(port)["binance"]})
    rows, cursor = [], int(since.timestamp() * 1000)
    while cursor < until.timestamp() * 1000:
        page = await client.fetch_ohlcv(FEED.symbol, str(FEED.interval), cursor, 1000)
        rows += page
        cursor = page[-1][0] + 1
    await client.close()
    return rows


def main() -> None:
    importlib.import_module("ccxt.pro")
    records = source()
    first, last = records.frame["time"][0], records.frame["time"][-1]
    with serve(Replay([records], last + timedelta(days=2), 1.0)) as port:
        began = perf_counter()
        rows = asyncio.run(alone(port, first, last))
        print(f"ccxt alone             {perf_counter() - began:6.1f} s  {len(rows):,} rows")
    for words, faults in (("fetch", Faults()), ("fetch, a fifth failing", Faults(FIFTH, seed=1))):
        with tempfile.TemporaryDirectory() as folder:
            seconds, done, stored = fetched(records, faults, Path(folder))
        same = "the same digest" if stored.digest == records.digest else "ANOTHER DIGEST"
        print(f"{words:<22} {seconds:6.1f} s  {done.new:,} rows, {same}")


if __name__ == "__main__":
    main()
