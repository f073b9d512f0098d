"""The audit, whole: five hundred clean pipelines, and six of each fault that can be planted in one.

All are drawn by chance: market, features, learner, split, answer and the way the code is written. At most one clean
pipeline in a hundred may fail or stay undecided. Of the faults that move more than a tenth of the forecasts, at most
one in fifty may be missed; those that move fewer, or none at all, are counted apart. What was drawn, what was found and
what was missed is written to `audits.json` beside this file; a seed there makes the pipeline again:
`tests.audit.pipelines.drawn(seed)` or `tests.audit.faults.planted(seed, fault)`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bench.proof.receipt import keep
from tests.audit.faults import FAULTS, RARE, moved, planted
from tests.audit.markets import folder
from tests.audit.pipelines import drawn

from coincast.backtest import silent
from coincast.forecaster import Watch
from coincast.workers import Processes

PROCESSES = 2
CLEAN = 500
OF_EACH = 6
ALARMS = 0.01
MISSES = 0.02


@dataclass(frozen=True)
class Audited:
    """One audit.

    Args:
        fault: what was planted; "" for nothing.
        seed: what it was drawn from.
        right: whether a clean pipeline passed or a planted fault was found by its name.
        moved: of a fault that was missed, the share of the forecasts that it moved; None of others.
        found: the faults that were found.
        sentence: the audit's own words.
        seconds: how long it took.
        made: what was drawn.
    """

    fault: str
    seed: int
    right: bool
    moved: float | None
    found: tuple[str, ...]
    sentence: str
    seconds: float
    made: dict[str, str]


def one_audit(task: tuple[str, int], _: Watch) -> Audited:
    """Draw a pipeline and audit it."""
    fault, seed = task
    case = planted(seed, fault) if fault else drawn(seed)
    with tempfile.TemporaryDirectory() as written:
        done = case.audit(Path(written))
        found = tuple(one.fault for one in done.findings if one.kind.fails)
        right = bool(case.found & set(found)) if fault else done.outcome == "passed"
        share = moved(case, Path(written)) if fault and not right else None
    return Audited(fault, seed, right, share, found, done.sentence, round(done.seconds, 2), dict(case.made))


def run(seed: int, clean: int, of_each: int) -> list[Audited]:
    """Every audit, those of clean pipelines first."""
    names = [""] * clean + [name for name in FAULTS for _ in range(of_each)]
    seeds = np.random.SeedSequence(seed).generate_state(len(names)) % 2**31
    tasks = [(name, int(drawn_from)) for name, drawn_from in zip(names, seeds, strict=True)]
    results: dict[int, Audited] = {}
    for number, one in Processes(PROCESSES)(one_audit, tasks, silent):
        results[number] = one
        print(f"\r{len(results)} of {len(tasks)} audits", end="", flush=True)
    print()
    return [results[number] for number in range(len(tasks))]


def document(seed: int, audited: Sequence[Audited], seconds: float) -> dict[str, object]:
    """What was proved."""
    clean, others = [one for one in audited if not one.fault], [one for one in audited if one.fault]
    alarms = [asdict(one) for one in clean if not one.right]
    missed = [one for one in others if one.moved is not None]
    misses = [asdict(one) for one in missed if one.moved and one.moved > RARE]
    rare = [asdict(one) for one in missed if one.moved is not None and one.moved <= RARE]
    by_fault = {
        name: {
            "planted": sum(one.fault == name for one in others),
            "found": sum(one.fault == name and one.right for one in others),
            "as": dict(Counter(found for one in others if one.fault == name for found in one.found)),
        }
        for name in FAULTS
    }
    choices = (
        "interval",
        "family",
        "form",
        "written",
        "learner",
        "move",
        "fit",
        "scaler",
        "horizons",
        "answer",
        "takes",
    )
    return {
        "seed": seed,
        "seconds": round(seconds),
        "holds": len(alarms) <= ALARMS * len(clean) and len(misses) <= MISSES * (len(others) - len(rare)),
        "study_data": folder().is_dir(),
        "clean": {"audited": len(clean), "alarms": alarms},
        "planted": {"audited": len(others), "misses": misses, "rare": rare, "by_fault": by_fault},
        "seconds_of_an_audit": {
            "median": float(np.median([one.seconds for one in audited])),
            "longest": max(one.seconds for one in audited),
        },
        "drawn": {what: dict(Counter(one.made[what] for one in clean if what in one.made)) for what in choices},
    }


def main() -> int:
    """Run all, print what was missed, write the results; 1 if something does not hold."""
    seed, start = int(os.environ.get("COINCAST_SEED", "1")), time.monotonic()
    audited = run(seed, CLEAN, OF_EACH)
    proved = document(seed, audited, time.monotonic() - start)
    wrong = [one for one in audited if not one.right]
    for one in wrong:
        what = f"missed: {one.fault}" if one.fault else "false alarm"
        share = "" if one.moved is None else f", moved {100 * one.moved:.2g} % of the forecasts"
        print(f"{what} (seed {one.seed}{share}), found {', '.join(one.found) or 'nothing'}: {one.sentence}")
    print(f"{len(audited):,} audits, {len(wrong):,} not as they should be, {proved['seconds']} s")
    keep("audits", proved)
    return 0 if proved["holds"] else 1
