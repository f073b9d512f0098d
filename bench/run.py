"""What a newcomer waits for: the command of `make run` with a cold and a warm cache, its memory, its start-up."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

COINCAST = Path(sys.executable).with_name("coincast")


def measured(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and the peak of resident memory over the process and its children in GiB (unique set sizes)."""
    began = time.perf_counter()
    process = psutil.Popen([COINCAST, *arguments], env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    peak = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"coincast {' '.join(arguments)} ended with {code}")
    return time.perf_counter() - began, peak


def memory(process: psutil.Process) -> float:
    total = 0
    for one in (process, *children(process)):
        try:
            total += one.memory_full_info().uss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 2**30


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        out = Path(cache) / "out"
        arguments = ["run", "--sample", "btc-1d", "--out", str(out), "--json"]
        environment = {"COINCAST_CACHE": cache}
        print("| coincast run --sample btc-1d | seconds | peak GiB, all processes |\n|---|---|---|")
        for state in ("cold compilation cache", "warm"):
            seconds, peak = measured(arguments, environment)
            print(f"| {state} | {seconds:.1f} | {peak:.2f} |", flush=True)
        print(f"\nStages, warm: {json.loads((out / 'report.json').read_text())['timing']}")
    times = sorted(measured(["--help"], {})[0] for _ in range(5))
    print(f"\n`coincast --help`: {times[2]:.2f} s (median of 5)")


if __name__ == "__main__":
    main()
