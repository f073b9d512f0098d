"""What a coin's own chain tells of its use and its miners: Coin Metrics' community data and blockchain.com's charts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from .series import Ask, Download, Series, as_told, next_midnight

_DAY = timedelta(days=1)


def _metric(metric: str) -> Download:
    """A daily metric of Coin Metrics; a row is labelled with the start of its day."""

    def download(ask: Ask, coin: str, since: datetime) -> pl.DataFrame:
        told: list[tuple[datetime, float]] = []
        newest = since - _DAY
        query: dict[str, str | int] = {
            "assets": coin.lower(),
            "metrics": metric,
            "frequency": "1d",
            "start_time": f"{since:%Y-%m-%d}",
            "page_size": 10_000,
            "paging_from": "start",
        }
        while True:
            page = json.loads(ask("/v4/timeseries/asset-metrics", query))
            told += [(_day(row["time"]) + _DAY, float(row[metric])) for row in page["data"] if row.get(metric)]
            if not page.get("next_page_token"):
                return as_told(told)
            reached, newest = newest, max((_day(row["time"]) for row in page["data"]), default=newest)
            if newest <= reached:
                raise ValueError("a page with another after it tells nothing new")
            query["next_page_token"] = page["next_page_token"]

    return download


def _day(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp[:10]).replace(tzinfo=UTC)


def _hash_rate(ask: Ask, _coin: str, since: datetime) -> pl.DataFrame:
    """A value is stamped with the start of its day."""
    query = {"timespan": "all", "start": f"{since:%Y-%m-%d}", "sampled": "false", "format": "json"}
    answer = json.loads(ask("/charts/hash-rate", query))
    return as_told((datetime.fromtimestamp(day["x"], UTC) + _DAY, float(day["y"])) for day in answer["values"])


def _coin_metrics(name: str, metric: str, says: str) -> Series:
    return Series(
        name=name,
        says=says,
        source="Coin Metrics community data",
        licence="CC BY-NC 4.0: with attribution, not for commercial use",
        url="https://community-api.coinmetrics.io",
        lag=timedelta(hours=12),
        columns=(name, metric),
        ended=next_midnight,
        download=_metric(metric),
        of_coin=True,
        revised=True,
    )


SERIES = (
    _coin_metrics("active_addresses", "AdrActCnt", "addresses that sent or received on the chain in a UTC day"),
    _coin_metrics("transactions", "TxCnt", "transactions on the chain in a UTC day"),
    _coin_metrics("mvrv", "CapMVRVCur", "market value of all coins / their value when each last moved, at a day's end"),
    Series(
        name="hash_rate",
        says="Bitcoin's hash rate in TH/s, estimated from a UTC day's blocks",
        source="blockchain.com charts",
        licence="blockchain.com terms of use, with attribution",
        url="https://api.blockchain.info",
        lag=timedelta(hours=12),
        columns=("hash_rate", "hashrate", "HashRate"),
        ended=next_midnight,
        download=_hash_rate,
        revised=True,
    ),
)
