"""A fetch killed with SIGKILL at 100 random moments, through ccxt and the replay, every tenth answer failing.

    python -m bench.proof.kill_fetch

After each kill the store holds whole bars of the source, each once, and not fewer than before; the next fetch goes on
where the last one stopped; and in the end the digest is that of an undisturbed one.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.proof.live_day import FIFTH, minutes
from bench.proof.live_day import START as DAWN
from bench.proof.receipt import keep

from coincast import fetching
from coincast.exchanges.exchange import CcxtExchange
from coincast.exchanges.faults import Faults
from coincast.exchanges.replay import Replay, serve, urls
from coincast.feed import Feed
from coincast.records import Records
from coincast.store import Store

FEED = Feed.parse("binance:BTC/USDT:1m")
BARS, KILLS, SPEED = 60_000, 100, 60.0
TENTH = {name: rate / 2 for name, rate in FIFTH.items() if name != "correction"}


def fetch(root: Path, port: int, until: datetime) -> None:
    """The fetch, writing every quarter of a second so that kills meet it writing."""
    exchange = CcxtExchange("binance", urls(port)["binance"], SPEED)
    print("ready", flush=True)
    fetching.FLUSH = 0.25
    fetching.fetch(FEED, Store(root), DAWN, until, exchange=exchange)


def _fetcher(root: Path, port: int, until: datetime) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.proof.kill_fetch", str(root), str(port), until.isoformat()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _check(store: Store, source: Records) -> int:
    """How many bars are stored: each of them once, with the source's values."""
    held = store.read(FEED)
    assert store.verify(FEED) == []
    assert len(held) == held.latest.height
    kept = source.frame.join(held.frame, on="time", how="semi")
    assert held.digest == Records(FEED, kept).digest
    return len(held)


def killed(folder: Path, seed: int, kills: int, bars: int = BARS) -> int:
    """Kill fetches, each of which goes on where the last was killed; how often the store was full and begun anew."""
    chance, root = random.Random(seed), folder / "store"
    source = minutes(FEED, bars)
    source = Records(FEED, source.frame.filter(source.frame["time"] >= DAWN))
    until = source.frame["time"][-1] + timedelta(minutes=1)
    held = rounds = 0
    with serve(Replay([source], until + timedelta(days=1), SPEED, Faults(TENTH, seed))) as port:
        for _ in range(kills):
            process = _fetcher(root, port, until)
            time.sleep(chance.uniform(0, 1.5))
            process.kill()
            process.communicate()
            before, held = held, _check(Store(root), source)
            assert held >= before, f"{before - held} bars were lost"
            if held == len(source):
                shutil.rmtree(root)
                held, rounds = 0, rounds + 1
        process = _fetcher(root, port, until)
        process.communicate()
        assert process.returncode == 0
    assert Store(root).read(FEED).digest == source.digest
    return rounds


def main() -> int:
    began, seed = time.monotonic(), int(os.environ.get("COINCAST_SEED", "0"))
    with tempfile.TemporaryDirectory() as folder:
        rounds = killed(Path(folder), seed, KILLS)
    print(f"{KILLS} fetches killed at random moments (seed {seed}), {rounds} stores filled: nothing lost or doubled.")
    result = {"seed": seed, "killed": KILLS, "filled": rounds, "bars": BARS, "digest": minutes(FEED, BARS).digest}
    keep("kill_fetch", {**result, "seconds": round(time.monotonic() - began), "holds": True})
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case [root, port, until]:
            fetch(Path(root), int(port), datetime.fromisoformat(until).astimezone(UTC))
        case _:
            sys.exit(main())
