"""What holders of perpetual futures pay one another: Binance's funding rates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from .series import Ask, Series, as_told, next_midnight

PAGE = 1000


def _funding(ask: Ask, coin: str, since: datetime) -> pl.DataFrame:
    """Page after page, oldest first, until one is not full. A rate is settled at its stamp."""
    told: list[tuple[datetime, float]] = []
    start = int(since.timestamp() * 1000)
    while True:
        query: dict[str, str | int] = {"symbol": f"{coin}USDT", "startTime": start, "limit": PAGE}
        page = json.loads(ask("/fapi/v1/fundingRate", query))
        told += [(_settled_at(row), float(row["fundingRate"])) for row in page]
        if len(page) < PAGE:
            return as_told(told)
        newest = max(int(row["fundingTime"]) for row in page)
        if newest < start:
            raise ValueError("a full page tells nothing new")
        start = newest + 1


def _settled_at(row: dict[str, int]) -> datetime:
    return datetime.fromtimestamp(int(row["fundingTime"]) / 1000, UTC)


FUNDING = Series(
    name="funding",
    says="funding rate of the COIN/USDT perpetual future, a fraction for 8 hours; a file's rows are means of a day",
    source="Binance USD-M futures",
    licence="Binance terms of use, for own use",
    url="https://fapi.binance.com",
    lag=timedelta(minutes=5),
    columns=("funding", "funding_mean", "fundingRate", "funding_rate"),
    ended=next_midnight,
    download=_funding,
    of_coin=True,
)
