"""ccxt's parsers read every venue's recorded answers through real HTTP and WebSocket, and its errors become ours."""

import asyncio
import csv
import gzip
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ccxt.pro
import pytest
from aiohttp import WSMsgType, web
from bench.proof.fuzz import FORMS, NOW, market, rows

from coincast.errors import ExchangeError, RecipeError
from coincast.exchanges.exchange import CcxtExchange
from coincast.exchanges.history import history
from coincast.exchanges.venues import VENUES
from coincast.feed import INTERVALS, Feed, Interval
from coincast.records import accept


@dataclass
class Stub:
    """A server that says what it is told to, whatever it is asked.

    Args:
        body: of each answer; by the end of the path, or for all.
        status: of each answer.
        headers: of each answer.
        messages: sent on a WebSocket once the client has spoken.
        cut: whether the connection ends in the middle of the answer.
        asked: paths and queries that came.
    """

    body: bytes | dict[str, bytes] = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    cut: bool = False
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.converse(request)
        body = self.body if isinstance(self.body, bytes) else self.body[request.path.rsplit("/", 1)[-1]]
        response = web.Response(body=body, status=self.status, content_type="application/json", headers=self.headers)
        if self.cut:
            response.headers["Content-Length"] = str(len(body) + 100)
            await response.prepare(request)
            request.transport.close()
        return response

    async def converse(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT and "ping" not in message.data.lower():
                for text in self.messages:
                    await socket.send_str(text)
        return socket


def urls(port: int) -> dict[str, dict]:
    http, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    return {
        "binance": {"public": f"{http}/api/v3", "fapiPublic": f"{http}/fapi/v1", "ws": {"spot": f"{ws}/ws"}},
        "kraken": {"public": http, "ws": {"publicV2": f"{ws}/v2"}},
        "coinbase": {"rest": http},
        "bybit": {"public": http, "spot": http, "ws": {"public": {"spot": f"{ws}/v5/public/spot"}}},
        "okx": {"rest": http, "ws": f"{ws}/ws/v5"},
        "bitstamp": {"public": f"{http}/api"},
    }


@asynccontextmanager
async def asking(name: str, stub: Stub, *markets: dict, speed: float = 1.0) -> AsyncIterator[CcxtExchange]:
    """The venue as ccxt knows it, at the stub's address, with its markets loaded."""
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", stub.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    exchange = CcxtExchange(name, {"api": urls(port)[name]}, speed)
    exchange._client.set_markets(list(markets) or [market(FORMS[name])])
    try:
        yield exchange
    finally:
        await exchange.close()
        await runner.cleanup()


def paged(name: str, body: object, interval: str, since: datetime, *markets: dict, symbol: str = "") -> list:
    """What one page holds if the venue answers with this body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def ask() -> list:
        async with asking(name, Stub(content), *markets) as exchange:
            return await exchange.page(Feed(name, symbol or FORMS[name].symbol, Interval(interval)), since)

    return asyncio.run(ask())


def at(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def numbers(*texts: object) -> list[float]:
    return [float(text) for text in texts]


# --- what was recorded ------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(study_data) -> Path:
    return study_data / "wire"


def session_body(file: Path) -> dict:
    """The body of a recorded request: what follows its method, path and whether it is signed."""
    return json.loads(file.read_text().split("\n", 3)[3])


def test_binance(wire):
    body = json.loads((wire / "binance_spot_rest_klines.json").read_text())
    page = paged("binance", body, "1m", at(body[0][0]))
    assert page == [[row[0], *numbers(*row[1:6])] for row in body]
    told = accept(FORMS["binance"].feed("binance"), page, NOW, "binance")
    assert (len(told.records), told.refused) == (len(body), {})


def test_binance_full_page_without_volume(wire):
    body = json.loads(gzip.decompress((wire / "binance_rest_klines_1000_index_zero_volume.json.gz").read_bytes()))
    page = paged("binance", body, "1h", at(body[0][0]))
    assert len(page) == 1000
    assert page == [[row[0], *numbers(*row[1:6])] for row in body]


def test_binance_all_columns(wire):
    with gzip.open(wire / "binance_spot_klines_full_columns_2025-05_2025-09.csv.gz", "rt") as file:
        lines = [line[:12] for line in csv.reader(file)][1:1001]
    # As text but for the times and the count, as Binance sends them.
    body = [[int(text) if column in (0, 6, 8) else text for column, text in enumerate(line)] for line in lines]
    page = paged("binance", body, "1h", at(body[0][0]))
    told = accept(Feed.parse("binance:BTC/USDT:1h"), page, at(body[-1][6]), "binance")
    assert len(told.records) == 999, "the last had a millisecond to go"
    assert told.refused == {"unclosed": 1}


def test_binance_futures(wire):
    body = json.loads((wire / "binance_futures_rest_klines.json").read_text())
    swap = market(FORMS["binance"]) | {
        "symbol": "BTC/USDT:USDT", "settle": "USDT", "settleId": "USDT", "type": "swap", "spot": False, "swap": True,
        "contract": True, "linear": True, "inverse": False,
    }  # fmt: skip
    page = paged("binance", body, "1w", at(body[0][0]), swap, symbol="BTC/USDT:USDT")
    assert page == [[row[0], *numbers(*row[1:6])] for row in body]


@pytest.mark.parametrize("file", ["kraken_rest_ohlc_first24.json", "kraken_rest_ohlc_session.txt"])
def test_kraken(file, wire):
    path = wire / file
    body = json.loads(path.read_text()) if path.suffix == ".json" else session_body(path)
    (pair, recorded), _ = body["result"].items()
    quote = "USDT" if pair == "XBTUSDT" else "USD"
    named = market(FORMS["kraken"]) | {"id": pair, "symbol": f"BTC/{quote}"}
    page = paged("kraken", body, "1m", at(recorded[0][0] * 1000), named, symbol=f"BTC/{quote}")
    assert page == [[t * 1000, *numbers(o, h, low, c, v)] for t, o, h, low, c, _, v, _ in recorded]
    told = accept(Feed.parse(f"kraken:BTC/{quote}:1m"), page, datetime(2026, 1, 1, tzinfo=UTC), "kraken")
    assert (len(told.records), told.refused) == (len(recorded), {})


@pytest.mark.parametrize("file", ["coinbase_rest_candles.json", "coinbase_rest_candles_session.txt"])
def test_coinbase_newest_first(file, wire):
    path = wire / file
    body = json.loads(path.read_text()) if path.suffix == ".json" else session_body(path)
    recorded = body["candles"][::-1]
    page = paged("coinbase", body, "1h", at(int(recorded[0]["start"]) * 1000))
    columns = ("open", "high", "low", "close", "volume")
    assert page == [[int(row["start"]) * 1000, *(float(row[name]) for name in columns)] for row in recorded]


def test_bybit(wire):
    body = json.loads((wire / "bybit_rest_kline.json").read_text())
    (row,) = body["result"]["list"]
    page = paged("bybit", body, "1m", at(0))
    assert page == [[int(row[0]), *numbers(*row[1:6])]]
    # The documentation's own example opens at 39 seconds past the minute.
    told = accept(FORMS["bybit"].feed("bybit"), page, NOW + timedelta(days=99), "bybit")
    assert told.refused == {"off grid": 1}


def test_okx(wire):
    body = json.loads((wire / "okx_rest_candles.json").read_text())
    page = paged("okx", body, "1m", at(0))
    assert page == [[int(row[0]), *numbers(*row[1:6])] for row in body["data"]]
    told = accept(FORMS["okx"].feed("okx"), page, NOW, "okx")
    assert (len(told.records), told.refused) == (2, {})


def ws_stub(*messages: object) -> Stub:
    return Stub(messages=tuple(map(json.dumps, messages)))


def heard(name: str, stub: Stub, feed: Feed, *markets: dict) -> datetime:
    async def listen() -> datetime:
        async with asking(name, stub, *markets) as exchange, asyncio.timeout(20):
            return await exchange.news(feed)

    return asyncio.run(listen())


@pytest.mark.parametrize("state", ["open", "closed"])
def test_binance_stream(state, wire):
    message = json.loads((wire / f"binance_futures_ws_kline_{state}.json").read_text())
    assert heard("binance", ws_stub(message), FORMS["binance"].feed("binance")) == at(message["k"]["t"])


def test_kraken_stream(wire):
    message = json.loads((wire / "kraken_ws_ohlc_update.json").read_text())
    begun = datetime.fromisoformat(message["data"][0]["interval_begin"][:19] + "+00:00")
    assert heard("kraken", ws_stub(message), FORMS["kraken"].feed("kraken")) == begun


def test_bybit_stream(wire):
    message = json.loads((wire / "bybit_ws_kline.json").read_text())
    feed = Feed.parse("bybit:BTC/USDT:5m")
    assert heard("bybit", ws_stub(message), feed) == at(message["data"][0]["start"])


def test_okx_stream(wire):
    message = json.loads((wire / "okx_ws_candle.json").read_text())
    assert heard("okx", ws_stub(message), Feed.parse("okx:BTC/USDT:1d")) == at(int(message["data"][0][0]))


# --- made by hand: the same forms, and Bitstamp's from its documentation ----------------------------------------------


@pytest.mark.parametrize("name", FORMS)
def test_what_a_venue_writes_is_read_to_the_last_digit(name):
    written = rows(50, random.Random(name))
    page = paged(name, FORMS[name].body(written), "1m", at(written[0][0]))
    assert [tuple(row) for row in page] == written
    told = accept(FORMS[name].feed(name), page, NOW, name)
    assert (len(told.records), told.refused) == (49, {"unclosed": 1})


_BARS = """
    {"high": "9064.77", "timestamp": "1593961440", "volume": "18.49436608", "low": "9040.87", "close": "9064.77",
     "open": "9040.87"},
    {"high": "9071.59", "timestamp": "1593961500", "volume": "3.48631711", "low": "9058.76", "close": "9061.07",
     "open": "9064.66"}
"""
BITSTAMP_DOCUMENTED = f'{{"data": {{"pair": "BTC/USD", "ohlc": [{_BARS}]}}}}'.encode()


def test_bitstamp_as_documented():
    page = paged("bitstamp", BITSTAMP_DOCUMENTED, "1m", at(0))
    assert page[0] == [1593961440000, 9040.87, 9064.77, 9040.87, 9064.77, 18.49436608]
    assert len(page) == 2


@pytest.mark.parametrize("name", FORMS)
def test_history_through_a_venue_s_own_form(name):
    """The whole way: pages, clock, acceptance; the unclosed bar stays out."""
    written = rows(50, random.Random(name))
    stub = Stub(by_path(name, json.dumps(FORMS[name].body(written)).encode()), headers={"Date": http_date(NOW)})

    async def all_of_it() -> list:
        async with asking(name, stub, speed=100.0) as exchange:
            feed = FORMS[name].feed(name)
            return [told async for told in history(exchange, feed, at(written[0][0]), at(written[-1][0]))]

    (told,) = asyncio.run(all_of_it())
    assert told.records.frame["close"].to_list() == [row[4] for row in written[:-1]]


def http_date(time: datetime) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT")


def times_of(name: str) -> bytes:
    """NOW, as the venue's clock tells it."""
    ms = int(NOW.timestamp() * 1000)
    body = {
        "binance": {"serverTime": ms},
        "kraken": {"error": [], "result": {"unixtime": ms // 1000, "rfc1123": http_date(NOW)}},
        "coinbase": {"data": {"iso": NOW.isoformat(), "epoch": ms / 1000}},
        "bybit": {"retCode": 0, "result": {"timeSecond": str(ms // 1000), "timeNano": f"{ms}000000"}, "time": ms},
        "okx": {"code": "0", "msg": "", "data": [{"ts": str(ms)}]},
        "bitstamp": [],
    }  # fmt: skip
    return json.dumps(body[name]).encode()


class by_path(dict):
    """The clock and the list of markets under their own paths, candles under all others."""

    def __init__(self, name: str, candles: bytes) -> None:
        super().__init__(dict.fromkeys(("time", "Time", "markets", "trading-pairs-info"), times_of(name)))
        self.candles = candles

    def __missing__(self, _: str) -> bytes:
        return self.candles


@pytest.mark.parametrize("name", FORMS)
def test_the_clock_is_the_venue_s_and_never_ahead_of_it(name):
    stub = Stub(by_path(name, b""), headers={"Date": http_date(NOW)})

    async def three_times() -> list[datetime]:
        async with asking(name, stub, speed=1000.0) as exchange:
            loop = asyncio.get_running_loop()
            first = await exchange.clock()
            began = loop.time()
            await asyncio.sleep(0.01)
            second = await exchange.clock()
            passed = loop.time() - began
            assert (second - first).total_seconds() <= 1000 * (passed + 0.01)
            return [first, second]

    first, second = asyncio.run(three_times())
    assert NOW <= first < NOW + timedelta(seconds=10)
    assert second - first >= timedelta(seconds=9)
    assert len(stub.asked) == 1, "measured once in minutes"


def test_the_clock_is_measured_anew_and_never_goes_back(monkeypatch):
    monkeypatch.setattr("coincast.exchanges.exchange.REFRESH", 0.0)
    milliseconds = int(NOW.timestamp() * 1000)
    stub = Stub(speaking_clock(milliseconds))

    async def told_late_then_right() -> list[datetime]:
        async with asking("binance", stub) as exchange:
            first = await exchange.clock()
            stub.body = speaking_clock(milliseconds - 10_000)
            second = await exchange.clock()
            stub.body = speaking_clock(milliseconds + 10_000)
            return [first, second, await exchange.clock()]

    first, second, third = asyncio.run(told_late_then_right())
    assert first == second
    assert third - first >= timedelta(seconds=9)
    assert len(stub.asked) == 3


def speaking_clock(milliseconds: int) -> bytes:
    return json.dumps({"serverTime": milliseconds}).encode()


# --- what goes wrong --------------------------------------------------------------------------------------------------


def failure(name: str, stub: Stub) -> Exception:
    async def ask() -> None:
        async with asking(name, stub) as exchange:
            await exchange.page(FORMS[name].feed(name), NOW - timedelta(hours=1))

    with pytest.raises((ExchangeError, RecipeError)) as caught:
        asyncio.run(ask())
    return caught.value


@pytest.mark.parametrize("name", FORMS)
def test_a_status_that_passes(name):
    stub = Stub(b"{}")
    told = {}

    async def ask() -> None:
        async with asking(name, stub, speed=100.0) as exchange:
            for status, after in (
                (429, "7"),
                (418, "120"),
                (503, ""),
                (500, ""),
                (504, "Wed, 21 Oct 2015 07:28:00 GMT"),
            ):
                stub.status, stub.headers = status, {"retry-after": after} if after else {}
                with pytest.raises(ExchangeError, match=f"{name} gave no usable answer") as caught:
                    await exchange.page(FORMS[name].feed(name), NOW - timedelta(hours=1))
                told[status] = (caught.value.passing, caught.value.retry_after)

    asyncio.run(ask())
    assert told == {429: (True, 7), 418: (True, 120), 503: (True, None), 500: (True, None), 504: (True, None)}


NOON = {"Date": "Wed, 21 Oct 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-3"}, 0.0),
        (NOON | {"Retry-After": "Wed, 21 Oct 2026 12:02:30 GMT"}, 150.0),
        (NOON | {"Retry-After": "Wed, 21 Oct 2026 11:00:00 GMT"}, None),
        ({"Date": "noon", "Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        (NOON, None),
    ],
)
def test_how_long_an_exchange_wants_to_be_left_alone(headers, seconds):
    async def ask() -> None:
        async with asking("binance", Stub()) as exchange:

            async def refused(*_: object) -> None:
                exchange._client.last_response_headers = headers
                raise ccxt.pro.RateLimitExceeded("429")

            exchange._client.fetch_ohlcv = refused
            await exchange.page(FORMS["binance"].feed("binance"), NOW)

    with pytest.raises(ExchangeError) as caught:
        asyncio.run(ask())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("name", "body", "passing"),
    [
        ("binance", {"code": -1003, "msg": "Too many requests; current limit is 1200 requests per minute."}, True),
        ("kraken", {"error": ["EAPI:Rate limit exceeded"]}, True),
        ("kraken", {"error": ["EService:Unavailable"]}, True),
        ("bybit", {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}, True),
        ("okx", {"code": "50011", "msg": "Too Many Requests", "data": []}, True),
        ("okx", {"code": "50001", "msg": "Service temporarily unavailable", "data": []}, True),
        ("binance", {"code": -1100, "msg": "Illegal characters found in parameter."}, False),
        ("bybit", {"retCode": 10024, "retMsg": "Compliance rules triggered", "result": {}}, False),
    ],
)
def test_a_body_that_says_what_is_wrong(name, body, passing):
    error = failure(name, Stub(json.dumps(body).encode()))
    assert isinstance(error, ExchangeError)
    assert error.passing is passing


def test_a_country_that_is_not_served_is_told_so_at_once():
    body = {"code": 0, "msg": "Service unavailable from a restricted location according to 'b. Eligibility'."}
    error = failure("binance", Stub(json.dumps(body).encode(), 451))
    assert isinstance(error, ExchangeError)
    assert not error.passing
    assert "your country" in error.do


def test_a_torn_answer_passes():
    error = failure("binance", Stub(b"[[1,2", cut=True))
    assert isinstance(error, ExchangeError)
    assert error.passing


def test_an_exchange_that_is_not_there():
    async def ask() -> None:
        exchange = CcxtExchange("binance", {"api": urls(1)["binance"]})
        try:
            await exchange.clock()
        finally:
            await exchange.close()

    with pytest.raises(ExchangeError, match="gave no usable answer") as caught:
        asyncio.run(ask())
    assert caught.value.passing


def listing(exchange: CcxtExchange, *lists: list[dict]) -> None:
    """Let ccxt load these lists of markets, one after the other."""
    told = iter(lists)

    async def fetch_markets(_: object = None) -> list[dict]:
        return next(told)

    exchange._client.fetch_markets = fetch_markets
    exchange._client.has["fetchCurrencies"] = False
    exchange._client.markets = exchange._client.markets_loading = None


@pytest.mark.parametrize("name", FORMS)
def test_a_symbol_it_does_not_have(name):
    async def ask() -> None:
        async with asking(name, Stub()) as exchange:
            listing(exchange, *[[market(FORMS[name])]] * 2)
            await exchange.page(Feed(name, "BTC/USDX", Interval("1m")), NOW)

    with pytest.raises(RecipeError, match=f"{name} has no market BTC/USDX.*Did you mean {FORMS[name].symbol}"):
        asyncio.run(ask())


def test_a_torn_list_of_markets_is_loaded_again():
    other = market(FORMS["binance"]) | {"id": "ETHUSDT", "symbol": "ETH/USDT", "base": "ETH"}

    async def ask(*lists: list[dict]) -> object:
        async with asking("binance", Stub(b"[]")) as exchange:
            listing(exchange, *lists)
            return await exchange.page(FORMS["binance"].feed("binance"), NOW)

    assert asyncio.run(ask([], [market(FORMS["binance"])])) == []
    assert asyncio.run(ask([other], [market(FORMS["binance"])])) == []
    with pytest.raises(ExchangeError) as caught:
        asyncio.run(ask([], []))
    assert caught.value.passing


UNREADABLE = ("<html>", "", '{"e":"kline"}', "[]", '{"channel":"ohlc","data":[{}]}', "null", '{"topic":"kline.1.x"}')


@pytest.mark.parametrize("name", [name for name, venue in VENUES.items() if venue.streams])
def test_messages_nobody_can_read_end_in_silence_or_an_error(name):
    async def listen() -> None:
        async with asking(name, Stub(messages=UNREADABLE)) as exchange, asyncio.timeout(0.2):
            await exchange.news(FORMS[name].feed(name))

    with pytest.raises((TimeoutError, ExchangeError)):
        asyncio.run(listen())


# --- the table of venues ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", VENUES.values(), ids=VENUES)
def test_the_table_agrees_with_ccxt(venue):
    client = getattr(ccxt.pro, venue.name)()
    assert set(venue.intervals) == {
        name for name in client.timeframes if name in INTERVALS and name not in ("3d", "1w")
    }
    assert venue.streams == client.has["watchOHLCV"]
    assert venue.page <= client.features["spot"]["fetchOHLCV"]["limit"]


def test_a_venue_outside_the_table_is_described_by_ccxt():
    exchange = CcxtExchange("kucoin")
    assert exchange.venue.page == 1500
    assert exchange.venue.streams
    assert "1w" not in exchange.venue.intervals
    assert str(exchange.venue.asked(Interval("1w"))) == "1d"


@pytest.mark.parametrize("name", ccxt.pro.exchanges)
def test_each_exchange_of_ccxt_is_described_or_refused_in_words(name):
    told = getattr(ccxt.pro, name)()
    if not told.timeframes or not told.has["fetchOHLCV"]:
        with pytest.raises(RecipeError, match=f"{name} tells no candles"):
            CcxtExchange(name)
        return
    venue = CcxtExchange(name).venue
    assert isinstance(venue.page, int)
    assert venue.page > 0
    assert str(venue.longest) in told.timeframes


def test_a_venue_of_swaps_alone_is_described_by_them():
    assert CcxtExchange("krakenfutures").venue.page == 2000
