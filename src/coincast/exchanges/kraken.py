"""Kraken's public market data, as its spot API documents and sends it.

https://docs.kraken.com/exchange/api-reference, spot REST and spot WebSocket v2; read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from ..feed import Interval
from .dialect import Answer, Message, Query, answer
from .market import Bar, Market, decimal, length, opened
from .tape import Tape, Topic

_REST, _STREAMS = "api.kraken.com", "ws.kraken.com"
_DEPTH = 720
_PLACES = 8
# The bars that are sent when a client subscribes.
_SNAPSHOT = 12
# By their minutes, as Kraken names them. On which day its weeks and half-months open is not documented: not served.
_INTERVALS = {
    length(interval) // 60_000: interval for interval in map(Interval, ("1m", "5m", "15m", "30m", "1h", "4h", "1d"))
}
# Kraken's own names of coins, and the keys of its oldest assets.
_RENAMED = {"BTC": "XBT", "DOGE": "XDG"}
_OLD = {name: f"X{name}" for name in ("XBT", "ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")}
_OLD |= {name: f"Z{name}" for name in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")}


class Kraken:
    """Kraken spot: REST under `api.kraken.com`, WebSocket v2 under `ws.kraken.com/v2`.

    Candles do not tell a bar's trades: volume-weighted means and counts are stand-ins that fit the bar.
    """

    name = "kraken"

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._pairs = {_altname(market): market for market in tape.markets.values()}

    @staticmethod
    def urls(root: str) -> dict[str, object]:
        """What `ccxt.kraken` takes as `urls`."""
        return {"api": {"public": f"http://{root}/{_REST}", "ws": {"publicV2": f"ws://{root}/{_STREAMS}/v2"}}}

    @staticmethod
    def addresses(root: str) -> tuple[str, ...]:
        """Where it is found, for people."""
        return (f"http://{root}/{_REST}/0/public", f"ws://{root}/{_STREAMS}/v2")

    def answer(self, path: str, query: Query) -> Answer | None:
        """The response to a request; None if Kraken has no such address."""
        match path.removeprefix(f"{_REST}/0/public/"):
            case "Time":
                return _result(self._time())
            case "SystemStatus":
                return _result({"status": "online", "timestamp": _iso(self._tape.now, "seconds")})
            case "Assets":
                return _result(self._assets())
            case "AssetPairs":
                return _result({_id(market): _asset_pair(market) for market in self._pairs.values()})
            case "OHLC":
                return self._ohlc(query)
        return None

    def refuse(self, fault: str) -> Answer:
        """What a client is told that meets the fault `429`, `418` or `5xx`: but for the last, with status 200."""
        if fault == "5xx":
            page = "<!DOCTYPE html>\n<title>api.kraken.com | 520: Web server is returning an unknown error</title>\n"
            return Answer(520, page, {}, "text/html")
        return _error("EGeneral:Too many requests" if fault == "429" else "EGeneral:Temporary lockout")

    def _time(self) -> object:
        seconds = self._tape.clock() // 1000
        return {"unixtime": seconds, "rfc1123": format_datetime(datetime.fromtimestamp(seconds, UTC))}

    def _assets(self) -> object:
        names = {name for market in self._pairs.values() for name in _names(market)}
        asset = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
        return {_OLD.get(name, name): asset | {"altname": name} for name in sorted(names)}

    def _ohlc(self, query: Query) -> Answer:
        """The last 720 bars at most, those after `since`, and always the one that is forming."""
        market = self._pairs.get(query.get("pair", "")) or self._by_id(query.get("pair", ""))
        if market is None:
            return _error("EQuery:Unknown asset pair")
        minutes, since = query.get("interval", "1"), query.get("since", "0")
        interval = _INTERVALS.get(int(minutes)) if minutes.isdecimal() else None
        if interval is None or interval not in market.series or not since.removeprefix("-").isdecimal():
            return _error("EGeneral:Invalid arguments")
        now = self._tape.now
        bars = self._tape.page(Topic(market.symbol, interval), now, None, None, _DEPTH)
        forming = opened(interval, now)
        rows = [_row(bar, market.places) for bar in bars if bar.time > int(since) * 1000 or bar.time == forming]
        last = max((bar.time // 1000 for bar in bars if bar.time < forming), default=0)
        return _result({_id(market): rows, "last": last})

    def _by_id(self, name: str) -> Market | None:
        return next((market for market in self._pairs.values() if _id(market) == name), None)

    def stream(self, path: str, query: Query) -> KrakenStream | None:
        """A new connection to `/v2`."""
        return KrakenStream(self._tape) if path == f"{_STREAMS}/v2" else None


class KrakenStream:
    """A connection to Kraken's WebSocket v2."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.topics: set[Topic] = set()

    def greet(self) -> list[Message]:
        """The state of the exchange."""
        state = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": 6447481662169813000}
        return [{"channel": "status", "type": "update", "data": [state]}]

    def idle(self) -> list[Message]:
        """A heartbeat, where anything is subscribed to."""
        return [{"channel": "heartbeat"}] if self.topics else []

    def hear(self, text: str) -> list[Message]:
        """`ping`, and `subscribe` and `unsubscribe` for the channel `ohlc`."""
        times = {"time_in": _iso(self._tape.now), "time_out": _iso(self._tape.now)}
        try:
            request = json.loads(text)
            ending = ({"req_id": request["req_id"]} if "req_id" in request else {}) | times
            if request["method"] == "ping":
                return [{"method": "pong"} | ending]
            return self._subscription(request["method"], request["params"], ending)
        except (ValueError, TypeError, KeyError, AttributeError):
            return [{"error": "Malformed request", "success": False} | times]

    def _subscription(self, method: str, params: Mapping[str, Any], ending: Mapping[str, object]) -> list[Message]:
        interval = _INTERVALS.get(params.get("interval", 1))
        if method not in ("subscribe", "unsubscribe") or params["channel"] != "ohlc" or interval is None:
            return [{"method": method, "error": "Malformed request", "success": False, **ending}]
        snapshot = method == "subscribe" and params.get("snapshot", True)
        topics = [Topic(symbol, interval) for symbol in params["symbol"]]
        return [message for topic in topics for message in self._follow(method, topic, snapshot, ending)]

    def _follow(self, method: str, topic: Topic, snapshot: bool, ending: Mapping[str, object]) -> list[Message]:
        symbol, interval = topic
        if symbol not in self._tape.markets or interval not in self._tape.markets[symbol].series:
            found = f"Currency pair not supported {symbol}"
            return [{"method": method, "symbol": symbol, "error": found, "success": False, **ending}]
        if method == "subscribe":
            self.topics.add(topic)
        else:
            self.topics.discard(topic)
        result = {"channel": "ohlc", "symbol": symbol, "interval": length(interval) // 60_000}
        result |= {"snapshot": snapshot} if method == "subscribe" else {}
        acknowledged = {"method": method, "result": result, "success": True, **ending}
        if not snapshot:
            return [acknowledged]
        now = self._tape.now
        bars = self._tape.page(topic, now, None, None, _SNAPSHOT)
        return [acknowledged, self._message("snapshot", topic, bars, now)]

    def tell(self, topic: Topic, bar: Bar, now: int, *, closed: bool) -> Message:
        """An `update`; that a bar is closed is not said."""
        return self._message("update", topic, [bar], now)

    def _message(self, kind: str, topic: Topic, bars: list[Bar], now: int) -> Message:
        data = [_candle(topic, bar, self._tape.markets[topic.symbol].places) for bar in bars]
        return {"channel": "ohlc", "type": kind, "timestamp": _iso(now, "nanoseconds"), "data": data}


def _result(result: object) -> Answer:
    return answer({"error": [], "result": result})


def _error(text: str) -> Answer:
    return answer({"error": [text]})


def _names(market: Market) -> tuple[str, str]:
    """Base and quote as Kraken writes them today: `XBT`, `USD`."""
    base, quote = (_RENAMED.get(name, name) for name in market.symbol.split("/"))
    return base, quote


def _altname(market: Market) -> str:
    return "".join(_names(market))


def _id(market: Market) -> str:
    """The key of a pair: in the old notation where both assets are old, `XXBTZUSD`."""
    base, quote = _names(market)
    return _OLD[base] + _OLD[quote] if base in _OLD and quote in _OLD else base + quote


def _asset_pair(market: Market) -> object:
    base, quote = _names(market)
    return {
        "altname": _altname(market),
        "wsname": f"{base}/{quote}",
        "aclass_base": "currency",
        "base": _OLD.get(base, base),
        "aclass_quote": "currency",
        "quote": _OLD.get(quote, quote),
        "lot": "unit",
        "pair_decimals": market.places,
        "cost_decimals": market.places,
        "lot_decimals": _PLACES,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": f"{10**-market.places:.{market.places}f}",
        "status": "online",
    }


def _row(bar: Bar, places: int) -> list[object]:
    prices = [decimal(price, places) for price in bar[1:5]]
    return [bar.time // 1000, *prices, f"{_vwap(bar):.{places}f}", decimal(bar.volume, _PLACES), bar.trades]


def _candle(topic: Topic, bar: Bar, places: int) -> object:
    """A bar as the streams write it: in numbers, and with the end of the interval as `timestamp`."""
    step = length(topic.interval)
    return {
        "symbol": topic.symbol,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "trades": bar.trades,
        "volume": bar.volume,
        "vwap": round(_vwap(bar), places),
        "interval_begin": _iso(bar.time, "nanoseconds"),
        "interval": step // 60_000,
        "timestamp": _iso(bar.time + step),
    }


def _vwap(bar: Bar) -> float:
    """The volume-weighted mean price; 0 where nothing was traded."""
    return bar.mean if bar.volume else 0.0


def _iso(time: int, unit: str = "microseconds") -> str:
    whole, rest = divmod(time, 1000)
    text = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
    digits = {"seconds": "", "microseconds": f".{rest:03}000", "nanoseconds": f".{rest:03}000000"}[unit]
    return f"{text}{digits}Z"
