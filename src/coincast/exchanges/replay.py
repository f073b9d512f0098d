"""A simulated exchange on loopback: real HTTP and WebSocket, in the public market-data formats of Binance and Kraken.

Its clock runs from a moment inside the candles it is given, at any speed, and it tells nothing before that clock has
reached it. `FAULTS` go wrong as often as wished.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from ..candles import Candles
from ..errors import RecipeError
from ..feed import utc
from ..records import Records
from .binance import Binance
from .dialect import Answer, Dialect, Message, Stream
from .faults import Faults
from .kraken import Kraken
from .market import Market, length, opened
from .tape import Tape, Topic

try:
    from aiohttp import WSMsgType, web
except ImportError:
    raise RecipeError(
        "The package aiohttp is not installed.", "The replay listens with it.", "Install coincast[live]."
    ) from None

_HOST = "127.0.0.1"
_DIALECTS = (Binance, Kraken)
# A forming bar is told every two seconds of the exchange's clock, as Binance does, but not more often than every 20
# milliseconds of ours.
_STEP, _LEAST_SECONDS = 2000, 0.02
# A slow answer takes five seconds of the exchange's clock longer, and no more of ours; a cut one ends after this share.
_SLOW, _MOST_SECONDS, _CUT = 5000, 5.0, 0.6


@dataclass(frozen=True)
class Replay:
    """What a simulated exchange shall play.

    Args:
        sources: candles or records of one or several feeds. Feeds of the same symbol are one market, whichever
            exchange they name: longer bars are joined from shorter ones, and a bar forms out of shorter ones.
        start: where the clock stands at first (aware); where three quarters of the bars of the first source have
            closed if not given.
        speed: how much faster the clock runs than ours; 0 holds it.
        faults: what goes wrong.

    Raises:
        RecipeError: there is no source, one has no bar or is of a derivative, two are of the same bars, or the speed is
            negative or infinite.
        DataError: `start` is naive.
    """

    sources: Sequence[Candles | Records]
    start: datetime | None = None
    speed: float = 1.0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if not self.sources or not 0 <= self.speed < math.inf:
            raise _unplayable(f"{len(self.sources)} sources at a speed of {self.speed:g} were asked for.")
        bars = Counter((source.feed.symbol, source.feed.interval) for source in self.sources)
        for source in self.sources:
            feed = source.feed
            if not len(source):
                raise _unplayable(f"There is no bar of {feed}.")
            if ":" in feed.symbol:
                raise _unplayable(f"{feed} is a derivative.")
            if bars[feed.symbol, feed.interval] > 1:
                raise _unplayable(f"The bars of {feed} come from {bars[feed.symbol, feed.interval]} sources.")

    def tape(self) -> Tape:
        """The exchange's clock and markets, running from now on."""
        symbols = dict.fromkeys(source.feed.symbol for source in self.sources)
        markets = {
            symbol: Market.of(symbol, [source for source in self.sources if source.feed.symbol == symbol])
            for symbol in symbols
        }
        return Tape(markets, int(self.begin.timestamp() * 1000), self.speed, self.faults)

    @property
    def begin(self) -> datetime:
        """Where the clock stands at first."""
        if self.start is not None:
            return utc(self.start)
        time = self.sources[0].frame["time"]
        begin: datetime = time[len(time) * 3 // 4]
        return begin


def _unplayable(found: str) -> RecipeError:
    return RecipeError(
        found,
        "The replay plays spot markets, each bar once, forwards.",
        "Pass candles of spot feeds, one source for each symbol and interval, and a speed of 0 or more.",
    )


def urls(port: int) -> dict[str, dict[str, object]]:
    """What a ccxt client takes as `urls` to talk to the replay at `port` instead of its exchange, by exchange."""
    return {dialect.name: dialect.urls(f"{_HOST}:{port}") for dialect in _DIALECTS}


def banner(replay: Replay, port: int) -> str:
    """What the command line says once the replay listens."""
    feeds = ", ".join(str(source.feed) for source in replay.sources)
    addresses = "\n".join(f"  {address}" for dialect in _DIALECTS for address in dialect.addresses(f"{_HOST}:{port}"))
    faults = "".join(f"; {name} {rate:.0%}" for name, rate in replay.faults.rates.items())
    first = replay.sources[0].feed
    ask = f"coincast fetch {Binance.name}:{first.symbol}:{first.interval} --replay {port} --speed {replay.speed:g}"
    return (
        f"{feeds}\nfrom {replay.begin:%Y-%m-%d %H:%M} UTC at {replay.speed:g}x{faults}\n{addresses}\nAsk it with: {ask}"
    )


@asynccontextmanager
async def listen(replay: Replay, port: int = 0) -> AsyncIterator[int]:
    """The replay, listening on loopback while the block runs; gives the port, a free one if `port` is 0.

    Raises:
        RecipeError: the port is taken.
    """
    runner = web.AppRunner(_application(replay), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await _bind(runner, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, _HOST, port).start()
    except OSError as error:
        raise RecipeError(
            f"The port {port} cannot be listened on ({error.strerror}).",
            "Another program would be asked instead.",
            "Choose another with --port.",
        ) from None


@contextmanager
def serve(replay: Replay, port: int = 0) -> Iterator[int]:
    """`listen` in a thread of its own.

    Raises:
        RecipeError: the port is taken.
    """
    started: Future[tuple[int, Callable[[], object]]] = Future()
    thread = threading.Thread(target=asyncio.run, args=(_listen_until_told(replay, port, started),), daemon=True)
    thread.start()
    bound, stop = started.result()
    try:
        yield bound
    finally:
        stop()
        thread.join()


async def _listen_until_told(replay: Replay, port: int, started: Future[tuple[int, Callable[[], object]]]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    try:
        async with listen(replay, port) as bound:
            started.set_result((bound, partial(loop.call_soon_threadsafe, stop.set)))
            await stop.wait()
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)


def run_forever(replay: Replay, port: int, ready: Callable[[str], object]) -> None:
    """`listen` until Ctrl-C; `ready` is called with the banner.

    Raises:
        RecipeError: the port is taken.
    """

    async def run() -> None:
        async with listen(replay, port) as bound:
            ready(banner(replay, bound))
            await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(run())


def _application(replay: Replay) -> web.Application:
    tape = replay.tape()
    dialects: list[Dialect] = [dialect(tape) for dialect in _DIALECTS]

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/")
        for dialect in dialects:
            if "websocket" in request.headers.get("Upgrade", "").lower():
                stream = dialect.stream(path, request.query)
                if stream:
                    return await _converse(request, stream, tape)
            elif answer := dialect.answer(path, request.query):
                return await _respond(request, answer, dialect, tape)
        raise web.HTTPNotFound

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    return application


async def _respond(request: web.Request, answer: Answer, dialect: Dialect, tape: Tape) -> web.StreamResponse:
    """The answer, or what becomes of it where a fault strikes."""
    match tape.strike("request"):
        case "429" | "418" | "5xx" as fault:
            return _response(dialect.refuse(fault))
        case "slow":
            await asyncio.sleep(min(tape.seconds(_SLOW), _MOST_SECONDS))
        case "stall":
            while request.transport:
                await asyncio.sleep(_LEAST_SECONDS)
        case "malformed":
            return _response(answer._replace(text=answer.text[: len(answer.text) // 2]))
        case "truncated":
            return await _cut(request, answer.text.encode())
        case "disconnect":
            return await _cut(request, b"")
    return _response(answer)


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status, text=answer.text, headers=answer.headers, content_type=answer.content_type
    )


async def _cut(request: web.Request, body: bytes) -> web.StreamResponse:
    """Part of a body, and the end of the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body) or 1)})
    if body:
        await response.prepare(request)
        await response.write(body[: int(len(body) * _CUT)])
    if request.transport:
        request.transport.close()
    return response


async def _converse(request: web.Request, stream: Stream, tape: Tape) -> web.StreamResponse:
    """One WebSocket connection: listens to the client while it is told the bars."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    line = _Line(socket, request, stream, tape)
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(line.tell())
        await line.listen()
        telling.cancel()
    return socket


class _Line:
    """What is said over one WebSocket connection."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, stream: Stream, tape: Tape) -> None:
        self._socket = socket
        self._request = request
        self._stream = stream
        self._tape = tape
        self._asked = asyncio.Event()
        self._stalled = False
        self._late: list[str] = []

    async def listen(self) -> None:
        """Reply to the client until it goes."""
        await self._say(self._stream.greet())
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._say(self._stream.hear(message.data))
                self._asked.set()

    async def tell(self) -> None:
        """Tell the bars that close and how the others stand, as time goes by."""
        told: dict[Topic, int] = {}
        while not self._socket.closed:
            now, topics = self._tape.now, sorted(self._stream.topics, key=str)
            news = [message for topic in topics for message in self._news(topic, told.get(topic, now), now)]
            told = dict.fromkeys(topics, now)
            for message in news:
                await self._pass_on(message)
            if not news:
                await self._say(self._stream.idle())
            await self._wait(now)

    def _news(self, topic: Topic, since: int, now: int) -> Iterator[Message]:
        for bar in self._tape.closed(topic, since, now):
            yield self._stream.tell(topic, bar, now, closed=True)
        if forming := self._tape.forming(topic, now):
            yield self._stream.tell(topic, forming, now, closed=False)

    async def _wait(self, now: int) -> None:
        """Until the next step, the next close or the client's next word."""
        closes = [opened(topic.interval, now) + length(topic.interval) for topic in self._stream.topics]
        seconds = self._tape.seconds(min([now + _STEP, *closes]) - self._tape.now)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, _LEAST_SECONDS) if self._tape.speed else None):
                await self._asked.wait()
        self._asked.clear()

    async def _pass_on(self, message: Message) -> None:
        """A message, or what becomes of it where a fault strikes."""
        text = _text(message)
        texts = [text, *self._late]
        self._late = []
        match self._tape.strike("message"):
            case "disconnect":
                if self._request.transport:
                    self._request.transport.close()
            case "stall":
                self._stalled = True
            case "malformed":
                texts = [text[: len(text) // 2], *texts[1:]]
            case "duplicates":
                texts = [text, *texts]
            case "out-of-order":
                texts, self._late = texts[1:], [text]
        await self._send(texts)

    async def _say(self, messages: Sequence[Message]) -> None:
        await self._send([_text(message) for message in messages])

    async def _send(self, texts: Sequence[str]) -> None:
        for text in [] if self._stalled else texts:
            with suppress(ConnectionError):
                await self._socket.send_str(text)


def _text(message: Message) -> str:
    return json.dumps(message, separators=(",", ":"))
