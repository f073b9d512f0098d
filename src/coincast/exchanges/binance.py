"""Binance's public market data, as its spot API documents and sends it.

https://developers.binance.com/docs/binance-spot-api-docs, the REST API and the WebSocket streams; read 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ..feed import INTERVALS, Interval
from .dialect import Answer, Message, Query, answer
from .market import Bar, Market, decimal, length
from .tape import Tape, Topic

_REST, _STREAMS = "api.binance.com", "stream.binance.com"
# Where ccxt also looks for markets: futures, of which this exchange has none.
_FUTURES = ("fapi.binance.com/fapi/v1", "dapi.binance.com/dapi/v1")
_PLACES = 8
_MINUTE, _BAN = 60_000, 120_000
_WEIGHT_LIMIT = 6000
_WEIGHTS = {"ping": 1, "time": 1, "exchangeInfo": 20, "klines": 2}
# Whoever goes on asking after so many refusals in a minute is banned.
_PATIENCE = 10
_PAGE, _LARGEST_PAGE = 500, 1000


class Binance:
    """Binance spot: REST under `api.binance.com`, streams under `stream.binance.com`.

    Candles do not tell a bar's trades: quote volumes, counts and taker volumes are stand-ins that fit the bar.
    """

    name = "binance"

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._symbols = {_id(market): market for market in tape.markets.values()}
        self._streams = {
            f"{name.lower()}@kline_{interval}": Topic(market.symbol, interval)
            for name, market in self._symbols.items()
            for interval in market.series
        }
        self._minute = self._used = self._refused = 0
        self._banned_until = 0

    @staticmethod
    def urls(root: str) -> dict[str, object]:
        """What `ccxt.binance` takes as `urls`."""
        fapi, dapi = (f"http://{root}/{path}" for path in _FUTURES)
        return {
            "api": {
                "public": f"http://{root}/{_REST}/api/v3",
                "fapiPublic": fapi,
                "dapiPublic": dapi,
                "ws": {"spot": f"ws://{root}/{_STREAMS}/ws"},
            }
        }

    @staticmethod
    def addresses(root: str) -> tuple[str, ...]:
        """Where it is found, for people."""
        return (f"http://{root}/{_REST}/api/v3", f"ws://{root}/{_STREAMS}/ws")

    def answer(self, path: str, query: Query) -> Answer | None:
        """The response to a request; None if Binance has no such address."""
        base, _, endpoint = path.rpartition("/")
        if base in _FUTURES and endpoint == "exchangeInfo":
            return answer(self._exchange_info([]))
        if base != f"{_REST}/api/v3" or endpoint not in _WEIGHTS:
            return None
        return self._over_limit(_WEIGHTS[endpoint]) or self._respond(endpoint, query)

    def _respond(self, endpoint: str, query: Query) -> Answer:
        weight = str(self._used)
        headers = {"x-mbx-used-weight": weight, "x-mbx-used-weight-1m": weight}
        try:
            match endpoint:
                case "ping":
                    body: object = {}
                case "time":
                    body = {"serverTime": self._tape.clock()}
                case "exchangeInfo":
                    body = self._exchange_info(list(self._symbols.values()))
                case _:
                    body = self._klines(query)
        except _BadRequestError as error:
            return answer({"code": error.code, "msg": error.message}, 400, headers)
        return answer(body, headers=headers)

    def _over_limit(self, weight: int) -> Answer | None:
        """A refusal if the requests of this minute of the exchange's clock weigh too much."""
        now = self._tape.now
        if now // _MINUTE != self._minute:
            self._minute, self._used, self._refused = now // _MINUTE, 0, 0
        self._used += weight
        if now < self._banned_until:
            return self._refusal(418, self._banned_until - now)
        if self._used <= _WEIGHT_LIMIT:
            return None
        self._refused += 1
        if self._refused > _PATIENCE:
            self._banned_until = now + _BAN
            return self._refusal(418, _BAN)
        return self._refusal(429, _MINUTE - now % _MINUTE)

    def refuse(self, fault: str) -> Answer:
        """What a client is told that meets the fault `429`, `418` or `5xx`."""
        if fault == "5xx":
            page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>502 Bad Gateway</body>\n</html>\n"
            return Answer(502, page, {}, "text/html")
        return self._refusal(429, _MINUTE) if fault == "429" else self._refusal(418, _BAN)

    def _refusal(self, status: int, wait: int) -> Answer:
        found = (
            f"Too much request weight used; current limit is {_WEIGHT_LIMIT} request weight per 1 MINUTE."
            if status == 429
            else f"Way too much request weight used; IP banned until {self._tape.now + wait}."
        )
        message = f"{found} Please use WebSocket Streams for live updates to avoid polling the API."
        return answer({"code": -1003, "msg": message}, status, {"Retry-After": self._tape.retry_after(wait)})

    def _exchange_info(self, markets: Sequence[Market]) -> object:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": _WEIGHT_LIMIT}
        return {
            "timezone": "UTC",
            "serverTime": self._tape.clock(),
            "rateLimits": [limit],
            "exchangeFilters": [],
            "symbols": [_symbol(market) for market in markets],
        }

    def _klines(self, query: Query) -> list[list[object]]:
        for name in ("symbol", "interval"):
            if not query.get(name):
                raise _BadRequestError(
                    -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                )
        market = self._symbols.get(query["symbol"])
        if market is None:
            raise _BadRequestError(-1121, "Invalid symbol.")
        if query["interval"] not in INTERVALS or Interval(query["interval"]) not in market.series:
            raise _BadRequestError(-1120, "Invalid interval.")
        interval = Interval(query["interval"])
        since, until, limit = (_whole(query, name) for name in ("startTime", "endTime", "limit"))
        limit = min(limit or _PAGE, _LARGEST_PAGE)
        bars = self._tape.page(Topic(market.symbol, interval), self._tape.now, since, until, limit)
        return [_kline(bar, interval) for bar in bars]

    def stream(self, path: str, query: Query) -> BinanceStream | None:
        """A new connection to `/ws`, `/ws/<streams>` or `/stream?streams=<streams>`."""
        host, _, rest = path.partition("/")
        kind, _, names = rest.partition("/")
        if host != _STREAMS or kind not in ("ws", "stream"):
            return None
        combined = kind == "stream"
        wanted = query.get("streams", "") if combined else names
        stream = BinanceStream(self._streams, combined)
        stream.subscribe(wanted.split("/"))
        return stream


class BinanceStream:
    """A connection to Binance's streams.

    Args:
        known: what each stream tells of, by its name, `btcusdt@kline_1m`.
        combined: whether messages are wrapped with the stream's name.
    """

    def __init__(self, known: Mapping[str, Topic], combined: bool) -> None:
        self._known = known
        self._combined = combined
        self._names: dict[Topic, str] = {}

    @property
    def topics(self) -> set[Topic]:
        """What is subscribed to."""
        return set(self._names)

    def greet(self) -> list[Message]:
        """Nothing: Binance waits."""
        return []

    def idle(self) -> list[Message]:
        """Nothing: Binance sends no heartbeat that a program sees."""
        return []

    def hear(self, text: str) -> list[Message]:
        """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS. A stream that does not exist is silently silent."""
        try:
            request = json.loads(text)
            return [self._reply(request["method"], request.get("params", [])) | {"id": request["id"]}]
        except (ValueError, TypeError, KeyError, AttributeError):
            return [{"error": {"code": 2, "msg": "Invalid request: method, params or id is not as it should be"}}]

    def _reply(self, method: str, names: Sequence[str]) -> dict[str, object]:
        match method:
            case "SUBSCRIBE":
                self.subscribe(names)
            case "UNSUBSCRIBE":
                self._names = {topic: name for topic, name in self._names.items() if name not in names}
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(self._names.values())}
            case _:
                return {"error": {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}}
        return {"result": None}

    def subscribe(self, names: Sequence[str]) -> None:
        """Follow streams by their names; those that do not exist are passed over."""
        self._names |= {self._known[name]: name for name in names if name in self._known}

    def tell(self, topic: Topic, bar: Bar, now: int, *, closed: bool) -> Message:
        """A `kline` event."""
        number = bar.time // 1000
        _, opened, high, low, close, volume, closes, turnover, trades, taken, paid, ignored = _kline(
            bar, topic.interval
        )
        symbol = topic.symbol.replace("/", "")
        kline = {"t": bar.time, "T": closes, "s": symbol, "i": topic.interval.name}
        # The numbers of the first and the last trade; -1 where there was none.
        kline |= {"f": number, "L": number + bar.trades - 1} if bar.trades else {"f": -1, "L": -1}
        kline |= {"o": opened, "c": close, "h": high, "l": low, "v": volume, "n": trades, "x": closed}
        kline |= {"q": turnover, "V": taken, "Q": paid, "B": ignored}
        event = {"e": "kline", "E": now, "s": symbol, "k": kline}
        return {"stream": self._names[topic], "data": event} if self._combined else event


class _BadRequestError(Exception):
    """A request that Binance answers with an error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def _id(market: Market) -> str:
    return market.symbol.replace("/", "")


def _whole(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise _BadRequestError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        )
    return int(text)


def _kline(bar: Bar, interval: Interval) -> list[object]:
    turnover = bar.volume * bar.mean
    return [
        bar.time,
        *(decimal(value, _PLACES) for value in bar[1:]),
        bar.time + length(interval) - 1,
        f"{turnover:.{_PLACES}f}",
        bar.trades,
        f"{bar.volume / 2:.{_PLACES}f}",
        f"{turnover / 2:.{_PLACES}f}",
        "0",
    ]


def _symbol(market: Market) -> object:
    base, quote = market.symbol.split("/")
    tick = f"{10**-market.places:.{_PLACES}f}"
    smallest = f"{10**-_PLACES:.{_PLACES}f}"
    return {
        "symbol": _id(market),
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": _PLACES,
        "quoteAsset": quote,
        "quotePrecision": _PLACES,
        "quoteAssetPrecision": _PLACES,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": smallest, "maxQty": "9000.00000000", "stepSize": smallest},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }
