"""Other markets, as the last close of a session: Yahoo's charts and Cboe's file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import polars as pl

from .outside import TOLD
from .series import Ask, Download, Series, new_york

Ended = Callable[[pl.Expr], pl.Expr]


def _yahoo(ticker: str, ended: Ended) -> Download:
    """Daily bars. The session still running is a row too; it is not over by the source's clock and so left out."""

    def download(ask: Ask, _coin: str, since: datetime) -> pl.DataFrame:
        query: Mapping[str, str | int] = {"period1": int(since.timestamp()), "period2": 4_102_444_800, "interval": "1d"}
        [result] = json.loads(ask(f"/v8/finance/chart/{ticker}", query))["chart"]["result"]
        stamps, [quote] = result["timestamp"], result["indicators"]["quote"]
        table = pl.DataFrame(
            {"stamp": stamps, "value": quote["close"]}, schema={"stamp": pl.Int64, "value": pl.Float64}
        )
        zone = result["meta"]["exchangeTimezoneName"]
        session = pl.from_epoch("stamp").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
        # After the close the newest session may come twice, as its bar and as the last quote.
        closes = table.select(ended_at=ended(session), value="value").drop_nulls()
        return closes.unique("ended_at", keep="last")

    return download


def _cboe(ended: Ended) -> Download:
    """The whole file, with days written MM/DD/YYYY."""

    def download(ask: Ask, _coin: str, _since: datetime) -> pl.DataFrame:
        table = pl.read_csv(io.BytesIO(ask("/api/global/us_indices/daily_prices/VIX_History.csv", {})))
        day = pl.col("DATE").str.to_date("%m/%d/%Y")
        return table.select(ended_at=ended(day), value=pl.col("CLOSE").cast(pl.Float64)).cast(TOLD)

    return download


def _on_yahoo(name: str, ticker: str, says: str, ended: Ended, columns: tuple[str, ...]) -> Series:
    return Series(
        name=name,
        says=says,
        source="Yahoo Finance",
        licence="Yahoo terms of use, for own use",
        url="https://query1.finance.yahoo.com",
        lag=timedelta(hours=1),
        columns=(name, *columns, "close"),
        ended=ended,
        download=_yahoo(ticker, ended),
    )


SERIES = (
    _on_yahoo("sp500", "%5EGSPC", "S&P 500 at the close in New York, index points", new_york(16, 0), ()),
    _on_yahoo("gold", "GC=F", "gold future at the end of the session, US dollars an ounce", new_york(17, 0), ()),
    _on_yahoo("dollar", "DX-Y.NYB", "US dollar index at the end of the session", new_york(17, 0), ("dxy",)),
    Series(
        name="vix",
        says="Cboe volatility index at the close, per cent a year",
        source="Cboe",
        licence="Cboe terms of use, for own use",
        url="https://cdn.cboe.com",
        lag=timedelta(hours=12),
        columns=("vix", "close"),
        ended=new_york(16, 15),
        download=_cboe(new_york(16, 15)),
    ),
)
