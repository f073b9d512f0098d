"""A writer killed with SIGKILL: at 100 random moments, and before every single file operation of several commits, one
of which joins the segments of a year.

    python -m bench.proof.kill_store

After each kill the store must hold whole commits, all that were reported as done among them; the next writer goes on
where it stopped; and what is there in the end has the digest of an undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from bench.proof.receipt import keep

from coincast.feed import Feed
from coincast.records import RECORD, Records
from coincast.store import MANIFEST, Store

FEED = Feed.parse("binance:BTC/USDT:1h")
START = datetime(2023, 12, 28, tzinfo=UTC)
BATCHES, ROWS = 42, 48
# So many are stored before a writer is killed at a step: the next segments are too many for a year.
PREPARED = 33
KILLS = 100


@cache
def batches() -> tuple[Records, ...]:
    """Overlapping pages of a history that begins in one year and goes on in the next; every other bar of an overlap is
    corrected by the later page.
    """
    return tuple(_batch(number) for number in range(BATCHES))


def _batch(number: int) -> Records:
    delta = FEED.interval.delta
    bars = np.arange(number * ROWS - 6, (number + 1) * ROWS).clip(0)
    close = 100.0 + bars % 7 + (bars % 2) * number
    times = [START + int(bar) * delta for bar in bars]
    frame = pl.DataFrame({"time": times, "open": 100.0, "high": close, "low": 100.0, "close": close, "volume": 1.0})
    seen_at = START + ((number + 1) * ROWS + 1) * delta
    told = frame.with_columns(seen_at=pl.lit(seen_at), source=pl.lit("binance"), repaired_by=None)
    return Records.of(FEED, told.select(pl.col(name).cast(kind) for name, kind in RECORD.items()))


@cache
def digests() -> tuple[str, ...]:
    """Of the first 0, 1, 2, ... batches."""
    held = [Records.empty(FEED)]
    for batch in batches():
        held.append(held[-1].and_also(batch))
    return tuple(records.digest for records in held)


def write(root: Path, die_at: int | None) -> None:
    """The writer: all batches from the first on, each reported when it is stored."""
    if die_at is not None:
        _die_before_operation(root, die_at)
    print("ready", flush=True)
    with Store(root).writer(FEED) as writer:
        for number, batch in enumerate(batches(), 1):
            writer.append(batch)
            print(number, flush=True)


def _die_before_operation(root: Path, number: int) -> None:
    """Count what changes a file of the store, as Python's audit events tell it, and die before it happens."""
    met = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal met
        changes = event in ("os.rename", "os.remove") or (event == "open" and arguments[1] != "r")
        if changes and str(arguments[0]).startswith(str(root)):
            met += 1
            if met == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _writer(root: Path, die_at: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.proof.kill_store", "write", str(root), *([str(die_at)] if die_at else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _check(root: Path, told: str) -> int:
    """How many batches the store holds, all that were told among them."""
    store = Store(root)
    reported = max(map(int, told.split()), default=0)
    held = digests().index(store.read(FEED).digest)
    assert held >= reported, f"{reported} batches were reported as stored, {held} are there"
    assert store.verify(FEED) == []
    for number in range(store.snapshot(FEED).number + 1):
        assert store.read(FEED, snapshot=number).digest == digests()[number]
    return held


def _finish(root: Path) -> None:
    """Another writer comes, is not disturbed, and leaves no trace of the killed ones."""
    process = _writer(root)
    told = process.communicate()[0]
    assert process.returncode == 0
    assert _check(root, told) == BATCHES
    store = Store(root)
    named = {segment.file for segment in store.snapshot(FEED).segments}
    assert {file.name for file in store.folder(FEED).iterdir()} == {*named, MANIFEST, ".lock"}


def killed_at_random(folder: Path, seed: int, kills: int) -> None:
    """Kill writers of one store, each of which goes on where the last one was killed; a full store is begun anew."""
    chance = random.Random(seed)
    root = folder / "random"
    for _ in range(kills):
        process = _writer(root)
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        if _check(root, process.communicate()[0]) == BATCHES:
            shutil.rmtree(root)
    _finish(root)


def killed_at_step(folder: Path, step: int) -> bool:
    """Kill a writer just before its operation number `step`; False if it has not so many."""
    root = folder / f"step-{step}"
    with Store(root).writer(FEED) as writer:
        for batch in batches()[:PREPARED]:
            writer.append(batch)
    process = _writer(root, step)
    told = process.communicate()[0]
    _check(root, told)
    if process.returncode == -signal.SIGKILL:
        _finish(root)
        return True
    assert process.returncode == 0
    return False


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, seed = Path(name), int(os.environ.get("COINCAST_SEED", "0"))
        killed_at_random(folder, seed, KILLS)
        print(f"{KILLS} writers killed at random moments (seed {seed}): nothing lost, doubled or torn.")
        step = 1
        while killed_at_step(folder, step):
            step += 1
        print(f"One killed before each of {step - 1} file operations: nothing lost, doubled or torn.")
    result = {"seed": seed, "killed_at_random": KILLS, "killed_at_each_operation": step - 1, "digest": digests()[-1]}
    keep("kill_store", {**result, "seconds": round(time.monotonic() - began), "holds": True})
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", root, *die_at]:
            write(Path(root), int(die_at[0]) if die_at else None)
        case _:
            sys.exit(main())
