"""The replay as the unmodified ccxt and bare HTTP and WebSocket clients meet it."""

import asyncio
import importlib
import json
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import aiohttp
import ccxt
import ccxt.pro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from played import HELD, bars_of, held, replace_feed, traded

from coincast.errors import DataError, RecipeError
from coincast.exchanges.binance import Binance
from coincast.exchanges.faults import Faults
from coincast.exchanges.kraken import Kraken
from coincast.exchanges.market import length
from coincast.exchanges.replay import Replay, listen, serve, urls
from coincast.exchanges.tape import Tape
from coincast.feed import Feed, Interval, from_numpy
from coincast.records import Records
from coincast.sample import load
from made import START

NAMES = ("binance", "kraken")


@asynccontextmanager
async def client(name: str, port: int, **options: object):
    """ccxt as it comes, but for its URLs."""
    exchange = getattr(ccxt.pro, name)({"urls": urls(port)[name], **options})
    try:
        yield exchange
    finally:
        await exchange.close()


@asynccontextmanager
async def socket(port: int, path: str):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}/{path}") as connection:
        yield connection


async def all_pages(exchange, symbol: str, interval: str, since: int, limit: int) -> list[list[float]]:
    rows = []
    while page := await exchange.fetch_ohlcv(symbol, interval, since, limit):
        rows += page
        since = page[-1][0] + 1
    return rows


def test_pages_of_binance_end_in_the_source():
    candles = load("btc-1h").candles
    rows = bars_of(candles)

    async def fetch(port: int) -> list[list[float]]:
        async with client("binance", port, enableRateLimit=False) as exchange:
            return await all_pages(exchange, "BTC/USD", "1h", rows[0].time, 1000)

    with serve(Replay([candles], candles.end, HELD)) as port:
        assert asyncio.run(fetch(port)) == [list(bar) for bar in rows]


def test_kraken_tells_the_last_720_bars_whatever_is_asked_and_always_the_forming_one():
    candles = traded(2000, 6)
    at = candles.end - timedelta(seconds=90)

    async def fetch(port: int) -> list[list[list[float]]]:
        async with client("kraken", port, enableRateLimit=False) as exchange:
            assert await exchange.fetch_time() == at.timestamp() * 1000
            return [await exchange.fetch_ohlcv("BTC/USDT", "1m", since) for since in (None, 0, rows[-9].time)]

    rows = bars_of(candles)
    with serve(Replay([candles], at, HELD)) as port:
        newest, deep, recent = asyncio.run(fetch(port))
    assert newest == deep
    assert newest[:-1] == [list(bar) for bar in rows[-721:-2]]
    assert newest[-1][:2] == list(rows[-2][:2])
    assert newest[-1][5] < rows[-2].volume
    assert [row[0] for row in recent] == [bar.time for bar in rows[-9:-1]]


def test_both_exchanges_name_their_markets_as_ccxt_does():
    sources = [
        replace_feed(traded(5, number), symbol)
        for number, symbol in enumerate(("BTC/USDT", "BTC/USD", "ETH/BTC", "DOGE/USD", "SOL/EUR", "XRP/USD"))
    ]

    async def markets(name: str, port: int) -> dict[str, dict[str, object]]:
        async with client(name, port, enableRateLimit=False) as exchange:
            return await exchange.load_markets()

    with serve(Replay(sources)) as port:
        binance, kraken = (asyncio.run(markets(name, port)) for name in NAMES)
    assert set(binance) == set(kraken) == {source.feed.symbol for source in sources}
    assert {market["id"] for market in binance.values()} == {
        "BTCUSDT", "BTCUSD", "ETHBTC", "DOGEUSD", "SOLEUR", "XRPUSD"
    }  # fmt: skip
    # Kraken's own ids, as its AssetPairs has them.
    assert {market["id"] for market in kraken.values()} == {
        "XBTUSDT", "XXBTZUSD", "XETHXXBT", "XDGUSD", "SOLEUR", "XXRPZUSD"
    }  # fmt: skip
    assert all(market["active"] and market["precision"]["price"] == 0.01 for market in kraken.values())


@pytest.mark.parametrize("name", NAMES)
def test_bars_watched_through_ccxt_are_those_of_the_source(name):
    candles = traded(900, 7)
    at = candles.start + timedelta(minutes=600)

    async def watch(port: int) -> list[list[float]]:
        async with client(name, port, enableRateLimit=False) as exchange:
            seen = {}
            while len(seen) < 8:
                seen |= {row[0]: row for row in await exchange.watch_ohlcv("BTC/USDT", "1m")}
            return list(seen.values())

    with serve(Replay([candles], at, speed=600)) as port:
        rows = asyncio.run(watch(port))
    source = {bar.time: list(bar) for bar in bars_of(candles)}
    *closed, forming = rows
    assert closed == [source[row[0]] for row in closed]
    assert [row[0] for row in rows] == list(range(rows[0][0], forming[0] + 1, 60_000))


async def collect(port: int, path: str, asking: object, enough) -> list[dict[str, object]]:
    """The messages of a stream until there are enough of them."""
    told = []
    async with socket(port, path) as connection:
        if asking:
            await connection.send_json(asking)
        async for message in connection:
            told.append(json.loads(message.data))
            if enough(told):
                return told
    return told


def final(messages: list[dict[str, object]]) -> list[dict[str, object]]:
    return [message for message in messages if message.get("k", {}).get("x")]


SUBSCRIBE = {"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m", "btcusdt@kline_5m"], "id": 7}


def test_binance_tells_each_bar_as_it_forms_and_once_as_closed():
    candles = traded(900, 9)
    at = candles.start + timedelta(minutes=600, seconds=20)
    with serve(Replay([candles], at, speed=300)) as port:
        told = asyncio.run(collect(port, "stream.binance.com/ws", SUBSCRIBE, lambda told: len(final(told)) >= 8))
    acknowledged, *events = told
    assert acknowledged == {"result": None, "id": 7}
    for name in ("1m", "5m"):
        klines = [event["k"] for event in events if event["k"]["i"] == name]
        closed = [kline for kline in klines if kline["x"]]
        opens = [kline["t"] for kline in closed]
        assert opens == list(range(opens[0], opens[-1] + 1, length(Interval(name))))
        market = Replay([candles], candles.end, HELD).tape().markets["BTC/USDT"]
        truth = market.bars(Interval(name), 10**15, since=opens[0], limit=len(opens))
        assert [_floats(kline) for kline in closed] == [bar[1:] for bar in truth]
        assert any(not kline["x"] for kline in klines)
        # In order of time, and nothing of a bar once it is closed.
        assert [(kline["t"], kline["x"]) for kline in klines] == sorted((kline["t"], kline["x"]) for kline in klines)
    for event in events:
        kline = event["k"]
        assert kline["t"] <= event["E"]
        assert kline["x"] == (event["E"] > kline["T"])


def _floats(kline: dict[str, str]) -> tuple[float, ...]:
    return tuple(float(kline[name]) for name in "ohlcv")


def test_other_addresses_are_not_found():
    async def statuses(port: int) -> list[int]:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            paths = ("", "api/v3/klines", "api.binance.com/api/v3/depth", "api.kraken.com/0/public/Depth", "..%2f..")
            return [(await session.get(f"/{path}")).status for path in paths]

    with serve(Replay([traded(30, 2)])) as port:
        assert asyncio.run(statuses(port)) == [404] * 5


@pytest.mark.parametrize(
    ("fault", "name", "error"),
    [
        ("429", "binance", ccxt.DDoSProtection),
        ("429", "kraken", ccxt.DDoSProtection),
        ("418", "binance", ccxt.DDoSProtection),
        ("418", "kraken", ccxt.DDoSProtection),
        ("5xx", "binance", ccxt.ExchangeNotAvailable),
        ("5xx", "kraken", ccxt.ExchangeNotAvailable),
        ("disconnect", "binance", ccxt.ExchangeNotAvailable),
        ("stall", "binance", ccxt.RequestTimeout),
        ("truncated", "binance", ccxt.ExchangeError),
    ],
)
def test_faults_reach_ccxt_as_its_own_errors(fault, name, error):
    async def ask(port: int) -> None:
        async with client(name, port, timeout=100 if fault == "stall" else 10_000) as exchange:
            await exchange.fetch_time()

    with serve(Replay([traded(30, 2)], speed=HELD, faults=Faults({fault: 1.0}))) as port, pytest.raises(error):
        asyncio.run(ask(port))


def test_what_is_malformed_is_not_json_and_what_is_slow_comes_late():
    async def ask(port: int) -> str:
        async with aiohttp.ClientSession() as session:
            return await (await session.get(f"http://127.0.0.1:{port}/api.binance.com/api/v3/time")).text()

    with serve(Replay([traded(30, 2)], speed=HELD, faults=Faults({"malformed": 1.0}))) as port:
        text = asyncio.run(ask(port))
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    with serve(Replay([traded(30, 2)], speed=50, faults=Faults({"slow": 1.0}))) as port:
        began = time.monotonic()
        asyncio.run(ask(port))
        assert time.monotonic() - began > 0.1


def faulty(speed: float, **rates: float) -> Replay:
    candles = traded(9000, 9)
    return Replay(
        [candles],
        candles.start + timedelta(minutes=600),
        speed,
        Faults({n.replace("_", "-"): r for n, r in rates.items()}),
    )


def texts_of(replay: Replay, enough: int, silence: float = 5.0) -> list[str]:
    """The texts of a stream, until there are enough or it ends or says nothing for a while."""

    async def run(port: int) -> list[str]:
        told = []
        async with socket(port, "stream.binance.com/ws/btcusdt@kline_1m") as connection:
            while len(told) < enough:
                message = await asyncio.wait_for(connection.receive(), silence)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                told.append(message.data)
        return told

    with serve(replay) as port:
        return asyncio.run(run(port))


def test_messages_come_twice_late_or_broken():
    twice = texts_of(faulty(600, duplicates=1.0), 20)
    assert twice[::2] == twice[1::2]
    times = [json.loads(text)["E"] for text in texts_of(faulty(600, out_of_order=0.5), 40)]
    assert times != sorted(times)
    broken = texts_of(faulty(600, malformed=1.0), 3)
    for text in broken:
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


def test_streams_are_cut_or_fall_silent():
    assert len(texts_of(faulty(600, disconnect=0.2), 1000)) < 200
    with pytest.raises(TimeoutError):
        texts_of(faulty(600, stall=1.0), 1, silence=0.3)


def test_ccxt_learns_of_a_cut_stream():
    async def watch(port: int) -> None:
        async with client("binance", port, enableRateLimit=False) as exchange:
            for _ in range(1000):
                await exchange.watch_ohlcv("BTC/USDT", "1m")

    # The first requests load the markets; with this seed they come through.
    cut = pytest.raises(ccxt.NetworkError, match="closed by remote server")
    with serve(replace(faulty(600), faults=Faults({"disconnect": 0.1}, seed=3))) as port, cut:
        asyncio.run(watch(port))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


ASKED = st.fixed_dictionaries(
    {"method": st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "subscribe", "ping"]) | JSON},
    optional={
        "id": JSON,
        "req_id": JSON,
        "params": JSON
        | st.fixed_dictionaries(
            {"channel": st.just("ohlc") | JSON, "symbol": JSON}, optional={"interval": JSON, "snapshot": JSON}
        ),
    },
)


@pytest.fixture(scope="module")
def tape() -> Tape:
    return held(traded(5, 1))


@given(text=st.text() | JSON.map(json.dumps) | ASKED.map(json.dumps))
def test_no_message_breaks_a_stream(tape, text):
    for stream in (Binance(tape).stream("stream.binance.com/ws", {}), Kraken(tape).stream("ws.kraken.com/v2", {})):
        assert json.dumps(stream.hear(text))


@given(
    st.dictionaries(
        st.sampled_from(["symbol", "interval", "startTime", "endTime", "limit", "pair", "since"]),
        st.text() | st.integers(-(10**19), 10**20 - 1).map(str),
    )
)
def test_no_query_breaks_an_exchange(tape, query):
    klines = Binance(tape).answer("api.binance.com/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"} | query)
    ohlc = Kraken(tape).answer("api.kraken.com/0/public/OHLC", {"pair": "XBTUSDT"} | query)
    assert klines.status in (200, 400)
    assert ohlc.status == 200
    assert json.loads(klines.text) is not None
    assert set(json.loads(ohlc.text)) <= {"error", "result"}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"sources": []}, "0 sources"),
        ({"speed": -1.0}, "speed of -1"),
        ({"speed": float("inf")}, "speed of inf"),
        ({"speed": float("nan")}, "speed of nan"),
        ({"sources": [traded(5, 1), traded(5, 2)]}, "2 sources"),
        ({"sources": [replace_feed(traded(5, 1), "BTC/USDT:USDT")]}, "derivative"),
        ({"sources": [Records.empty(Feed.parse("binance:BTC/USDT:1h"))]}, "no bar"),
    ],
)
def test_what_cannot_be_played_is_refused(arguments, found):
    with pytest.raises(RecipeError, match=found):
        Replay(**{"sources": [traded(5, 1)], **arguments})


def test_the_clock_starts_where_it_is_told_to_or_at_three_quarters():
    candles = traded(400, 1)
    assert Replay([candles]).begin == from_numpy(candles.time[300])
    with pytest.raises(DataError):
        held(candles, at=datetime(2019, 1, 1))
    before = time.monotonic()
    tape = Replay([candles], START, speed=1000).tape()
    after = time.monotonic()
    time.sleep(0.02)
    least = time.monotonic() - after
    ran = (tape.now - START.timestamp() * 1000) / 1e6
    assert least - 1e-5 <= ran <= time.monotonic() - before


def test_a_port_that_is_taken_is_refused():
    replay = Replay([traded(5, 1)])
    with serve(replay) as port, pytest.raises(RecipeError, match=str(port)), serve(replay, port):
        pass


def test_without_aiohttp_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "coincast.exchanges.replay")
    with pytest.raises(RecipeError, match=r"coincast\[live\]"):
        importlib.import_module("coincast.exchanges.replay")


def test_it_listens_within_an_event_loop_too():
    async def clock() -> int:
        async with listen(replay) as port, aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{port}/api.kraken.com/0/public/Time")
            return (await answer.json())["result"]["unixtime"]

    replay = Replay([traded(5, 1)], START, HELD)
    assert asyncio.run(clock()) == START.timestamp()


def test_a_failure_at_the_start_is_raised_where_it_was_asked_for():
    with pytest.raises(DataError), serve(Replay([traded(5, 1)], datetime(2019, 1, 1))):
        pass


PLAY = """
from coincast.exchanges.faults import Faults
from coincast.exchanges.replay import Replay, run_forever
from coincast.sample import load
replay = Replay([load("btc-1d").candles], speed=60, faults=Faults.parse(["429=0.1"]))
run_forever(replay, 0, ready=lambda text: print(text, flush=True))
"""


def test_the_command_plays_until_it_is_interrupted():
    with subprocess.Popen(
        [sys.executable, "-c", PLAY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as play:
        lines = [play.stdout.readline() for _ in range(6)]
        play.send_signal(signal.SIGINT)
        assert play.wait(10) == 0
        assert play.stderr.read() == ""
    assert lines[0] == "binance:BTC/USDT:1d\n"
    assert "at 60x" in lines[1]
    assert "429 10%" in lines[1]
    assert [line.split("/")[2].split(":")[0] for line in lines[2:]] == ["127.0.0.1"] * 4
