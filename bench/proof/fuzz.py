"""Malformed answers, by the hundred thousand, through ccxt's own parsers: none may end in anything but a plain error,
and no bar may be taken that is off the grid, had not closed, or breaks 0 < low <= open, close <= high.

    python -m bench.proof.fuzz

The bodies are written in each venue's own form and then damaged: bytes are flipped, cut out and doubled; values become
null, text, booleans, huge, negative, infinite or lists; rows are moved in time, lose columns and change places. The
results are written to `fuzz.json` beside this file.
"""

from __future__ import annotations

import asyncio
import copy
import json
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.proof.receipt import keep

from coincast.errors import ExchangeError, RecipeError
from coincast.exchanges.exchange import CcxtExchange
from coincast.feed import Feed
from coincast.records import accept

MESSAGES = 100_000
NOW = datetime(2024, 3, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Row = Sequence[float]
Json = Any


def _binance(rows: Sequence[Row]) -> Json:
    texts = [[f"{value:.8f}" for value in values] for _, *values in rows]
    stamps = [int(row[0]) for row in rows]
    tails = [[stamp + 59_999, "1313200.01340410", 617, "12.28492000", "745719.41022840", "0"] for stamp in stamps]
    return [[stamp, *text, *tail] for stamp, text, tail in zip(stamps, texts, tails, strict=True)]


def _kraken(rows: Sequence[Row]) -> Json:
    told = [[int(t) // 1000, *map(str, prices), str(prices[-1]), f"{v:.8f}", 9] for t, *prices, v in rows]
    return {"error": [], "result": {"XXBTZUSD": told, "last": int(rows[-1][0]) // 1000}}


def _coinbase(rows: Sequence[Row]) -> Json:
    names = ("open", "high", "low", "close", "volume")
    told = [{"start": str(int(t) // 1000)} | {n: str(v) for n, v in zip(names, vs, strict=True)} for t, *vs in rows]
    return {"candles": told[::-1]}


def _bybit(rows: Sequence[Row]) -> Json:
    told = [[str(int(t)), *map(str, values), "3390000"] for t, *values in rows][::-1]
    result = {"category": "spot", "symbol": "BTCUSDT", "list": told}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": int(NOW.timestamp() * 1000)}


def _okx(rows: Sequence[Row]) -> Json:
    told = [[str(int(t)), *map(str, values), "0", "0", "1"] for t, *values in rows][::-1]
    return {"code": "0", "msg": "", "data": told}


def _bitstamp(rows: Sequence[Row]) -> Json:
    names = ("open", "high", "low", "close", "volume")
    told = [{"timestamp": str(int(t) // 1000)} | {n: str(v) for n, v in zip(names, vs, strict=True)} for t, *vs in rows]
    return {"data": {"pair": "BTC/USD", "ohlc": told}}


@dataclass(frozen=True)
class Form:
    """How a venue writes an answer.

    Args:
        symbol: of the market.
        id: the venue's own name of it.
        body: rows `[ms, open, high, low, close, volume]` -> the answer, before it becomes JSON.
    """

    symbol: str
    id: str
    body: Callable[[Sequence[Row]], Json]

    def feed(self, exchange: str) -> Feed:
        return Feed.parse(f"{exchange}:{self.symbol}:1m")


FORMS = {
    "binance": Form("BTC/USDT", "BTCUSDT", _binance),
    "kraken": Form("BTC/USD", "XXBTZUSD", _kraken),
    "coinbase": Form("BTC/USD", "BTC-USD", _coinbase),
    "bybit": Form("BTC/USDT", "BTCUSDT", _bybit),
    "okx": Form("BTC/USDT", "BTC-USDT", _okx),
    "bitstamp": Form("BTC/USD", "btcusd", _bitstamp),
}


def market(form: Form) -> dict[str, Json]:
    """The market as ccxt keeps it, so that nothing but candles need be asked for."""
    base, quote = form.symbol.split("/")
    names = {"symbol": form.symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote}
    ids = {"id": form.id, "lowercaseId": form.id.lower()}
    kinds = {"type": "spot", "spot": True, "swap": False, "future": False, "option": False, "contract": False}
    return ids | names | kinds


def rows(count: int, chance: random.Random) -> list[Row]:
    """Sound minutes up to the one that is forming."""
    first = int((NOW.replace(second=0) - (count - 1) * MINUTE).timestamp() * 1000)
    told = []
    for number in range(count):
        opened, close = (round(60_000 * math.exp(chance.gauss(0, 0.001)), 2) for _ in range(2))
        high, low = max(opened, close) + 1.5, min(opened, close) - 1.5
        told.append((first + number * 60_000, opened, high, low, close, round(chance.random() * 40, 8)))
    return told


STRANGE: tuple[Json, ...] = (
    *(None, True, "", "x", "NaN", "Infinity", "-1", "1e400", "0x10", -1, 0, 1e308, 10**400, [], {}, [[]], "\u0000"),
    *("1709294400000", 1709294400.5, -1709294400000, float("nan"), float("inf"), 10**18, "９９", " 60000.0 ", "60,000"),
)


def _strange(chance: random.Random) -> Json:
    # A copy: what is put into a body may be damaged further.
    return copy.deepcopy(chance.choice(STRANGE))


def damaged(body: Json, chance: random.Random) -> bytes:
    """A body as JSON, in which something is wrong; now and then nothing is."""
    tree = json.loads(json.dumps(body))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 5))):
        tree = _tree_damage(tree, chance)
    text = json.dumps(tree).encode()
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        text = _byte_damage(text, chance)
    return text


def _tree_damage(tree: Json, chance: random.Random) -> Json:
    """One value or row of a tree changed, wherever it stands."""
    places = list(_places(tree))
    if not places:
        return _strange(chance)
    parent, key = chance.choice(places)
    match chance.randrange(6):
        case 0:
            parent[key] = _strange(chance)
        case 1:
            del parent[key]
        case 2 if isinstance(parent, list):
            parent.insert(chance.randrange(len(parent) + 1), json.loads(json.dumps(parent[key])))
        case 3 if isinstance(parent, list):
            chance.shuffle(parent)
        case 4:
            parent[key] = _moved(parent[key], chance)
        case _:
            return chance.choice((tree, [tree], {"data": tree}, _strange(chance)))
    return tree


def _places(tree: Json) -> list[tuple[Json, Json]]:
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in list(keys) for place in ((tree, key), *_places(tree[key]))]


def _moved(value: Json, chance: random.Random) -> Json:
    """A number a little or far off, still written as it was: a bad price, a wrong minute."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return value
    factor, shift = chance.choice((1, 1, -1, 0.1, 1000, 1.0001)), chance.choice((0, 1, -1, 60, 60_000, 3_600_000, 0.5))
    moved = number * factor + shift
    if math.isfinite(moved) and (isinstance(value, int) or "." not in str(value)):
        moved = int(moved)
    return str(moved) if isinstance(value, str) else moved


def _byte_damage(text: bytes, chance: random.Random) -> bytes:
    first, length = chance.randrange(len(text) + 1), chance.choice((1, 1, 2, 10, 200))
    middle = bytes(chance.randrange(256) for _ in range(chance.choice((0, 1, 1, 4))))
    rest = text[first + length :] if chance.random() < 0.8 else text[first:]
    return text[:first] + middle + chance.choice((rest, rest, rest, b""))


class _Session:
    """What ccxt takes for its connection: the next answer is whatever was put in."""

    def __init__(self) -> None:
        self.status, self.reason, self.body = 200, "OK", b""
        self.headers = {"Content-Type": "application/json"}

    def get(self, *_: object, **__: object) -> _Session:
        return self

    async def __aenter__(self) -> _Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def text(self, errors: str) -> str:
        return self.body.decode(errors=errors)

    async def close(self) -> None:
        return None


@dataclass
class Tally:
    """What became of a venue's messages.

    Args:
        messages: how many were sent.
        bars: taken, and found sound.
        wrong: bars that were taken and must not have been.
        refused: rows that were not taken, by reason.
        errors: messages that ended in an error, by its kind; kinds that are not ours are crashes.
    """

    messages: int = 0
    bars: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def holds(self) -> bool:
        """Whether nothing wrong was taken, nothing crashed, and the proof was not an empty one."""
        ours = {ExchangeError.__name__, RecipeError.__name__}
        return not self.wrong and self.errors.keys() <= ours and self.bars > 0 and len(self.refused) > 0


async def fuzzed(name: str, messages: int, seed: int) -> Tally:
    """Send so many damaged answers through ccxt's parser of a venue."""
    chance, form, tally, session = random.Random(f"{name} {seed}"), FORMS[name], Tally(), _Session()
    exchange, feed = CcxtExchange(name), form.feed(name)
    client = exchange._client
    client.session, client.enableRateLimit = session, False
    client.set_markets([market(form)])
    body = form.body(rows(6, chance))
    for _ in range(messages):
        tally.messages += 1
        session.body = damaged(body, chance)
        try:
            answer = await exchange.page(feed, NOW - 10 * MINUTE)
        except Exception as error:
            tally.errors[type(error).__name__] += 1
            continue
        told = accept(feed, answer, NOW, name)
        tally.refused.update(told.refused)
        wrong = [str(row) for row in told.records.frame.iter_rows(named=True) if not sound(row)]
        tally.bars += len(told.records) - len(wrong)
        tally.wrong += wrong
    await exchange.close()
    return tally


def sound(row: Mapping[str, Json]) -> bool:
    """Whether a minute may be stored, said the obvious way."""
    values = [row[name] for name in ("open", "high", "low", "close", "volume")]
    opened, high, low, close, volume = values
    return (
        all(isinstance(value, float) and math.isfinite(value) for value in values)
        and 0 < low <= opened <= high
        and low <= close <= high
        and volume >= 0
        and (row["time"].second, row["time"].microsecond) == (0, 0)
        and row["time"] + MINUTE <= NOW
    )


def main() -> int:
    began, seed = time.monotonic(), int(os.environ.get("COINCAST_SEED", "0"))
    share = math.ceil(MESSAGES / len(FORMS))
    tallies = {name: asyncio.run(fuzzed(name, share, seed)) for name in FORMS}
    holds = all(tally.holds for tally in tallies.values())
    told = {name: vars(tally) for name, tally in tallies.items()}
    keep("fuzz", {"seed": seed, "seconds": round(time.monotonic() - began), "holds": holds, "venues": told})
    for name, tally in tallies.items():
        print(
            f"{name}: {tally.messages} messages, {tally.bars} sound bars, refused {dict(tally.refused)}, errors"
            f" {dict(tally.errors)}, wrong {tally.wrong[:3]}"
        )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
