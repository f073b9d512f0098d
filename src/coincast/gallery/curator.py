"""The work behind a gallery: which forecasts are made, and which audits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import polars as pl

from ..audit import Audit, audit
from ..backtest import silent as unheard
from ..candles import Candles
from ..clean import resample
from ..feed import Interval, from_numpy
from ..forecaster import Watch
from ..sample import load, sample_named
from ..workers import Map, serial
from ..worlds import Law, draw
from .exhibit import Exhibit, Gallery, Run
from .faults import Mistake, Subject
from .learners import Learner, Model
from .mistakes import TINY
from .scene import Judged, Remembering, Scene, pooled
from .tutorial import SOUND, Settings, whole_days

# What shorter bars, and days joined from them, are shown on, whatever candles are asked for.
HOURS = "btc-1h"
AHEAD = 7
# Coins that are drawn; those that are forecast, and of these the ones that a list drawn up on the last day holds.
COIN = Law(volatility=0.045, dof=4)
COIN_BARS, COIN_TEST = 1000, 300
COINS, FORECAST, LISTED = 100, 4, 2

# Whose task it is: of a subject or a mistake by name, and of which learner.
Key = tuple[str, int]
# Told of progress: (tasks done, tasks in all, what was done last).
Monitor = Callable[[int, int, str], None]
Result_co = TypeVar("Result_co", covariant=True)


def silent(done: int, total: int, words: str) -> None:
    """A `Monitor` that tells nobody."""


def show(
    mistakes: Sequence[Mistake],
    candles: Candles,
    test_from: datetime,
    learners: Sequence[Learner],
    *,
    do: Map = serial,
    monitor: Monitor = silent,
) -> Gallery:
    """Make every forecast of a gallery, with its mistakes and without, and audit each.

    Args:
        mistakes: which to show.
        candles: to show them on; what needs shorter bars or several coins has its own.
        test_from: the first origin.
        learners: of one kind, each with another seed; numbers are medians over them.
        do: how the tasks are done, here or in processes.
        monitor: told of progress.

    Raises:
        DataError: the candles are too few.
    """
    began = time.perf_counter()
    work = _Work(mistakes, _Stock(candles, test_from), learners, do, monitor)
    sound = work.sound()
    wrong = work.wrong(sound)
    audits = work.audits()
    exhibits = (
        Exhibit(
            mistake=mistake,
            candles=audits[mistake.name].candles,
            sound=tuple(sat.run for sat in sound[mistake.subject]),
            wrong=wrong[mistake.name],
            audit=audits[mistake.name],
            note=_note(mistake, sound[mistake.subject][0].run),
        )
        for mistake in mistakes
    )
    return Gallery(
        learner=learners[0].name,
        learners=len(learners),
        exhibits=tuple(exhibits),
        audit=audits[_SOUND],
        classic=sound["bars"][0].run if "bars" in sound else None,
        seconds=time.perf_counter() - began,
    )


# --- what there is to show on -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stock:
    candles: Candles
    test_from: datetime

    def scenes(self, subject: Subject, learner: Learner) -> tuple[Scene, ...]:
        """What a subject is shown on: one series, or several coins."""
        settings = Settings(learner)
        if subject == "bars":
            return (Scene(self.candles, self.test_from, settings),)
        if subject == "seven ahead":
            return (Scene(self.candles, self.test_from, replace(settings, horizon=AHEAD)),)
        if subject == "markets":
            return tuple(_coin(seed, settings) for seed in range(FORECAST))
        hours, start = load(HOURS).candles, sample_named(HOURS).test_from
        if subject == "days":
            return (Scene(resample(hours, Interval("1d")), start, settings, parts=hours),)
        return (Scene(hours, start, settings, replace(SOUND, clean=whole_days)),)


def _coin(seed: int, settings: Settings) -> Scene:
    """A random walk."""
    candles = draw(COIN, COIN_BARS, seed, f"drawn:COIN{seed}/USD:1d").candles
    return Scene(candles, from_numpy(candles.known_at[COIN_BARS - COIN_TEST]), settings)


def _listed(scenes: Sequence[Scene]) -> Sequence[Scene]:
    """Of several coins those that were worth most on the last day."""
    return sorted(scenes, key=lambda scene: scene.growth, reverse=True)[:LISTED] if len(scenes) > 1 else scenes


# --- tasks ------------------------------------------------------------------------------------------------------------


class _Sat(NamedTuple):
    run: Run
    memory: dict[str, Model]


class _Task(Protocol[Result_co]):
    """What a process does."""

    def do(self) -> Result_co: ...


@dataclass(frozen=True)
class _Sitting:
    """Forecasts with a mistake or without, as reported and as lived."""

    mistake: Mistake | None
    scenes: tuple[Scene, ...]
    memory: dict[str, Model]

    def do(self) -> _Sat:
        scenes = [scene.with_learner(Remembering(scene.settings.learner, self.memory)) for scene in self.scenes]
        listed = _listed(scenes) if self.mistake else scenes
        frames = [scene.told(self.mistake) for scene in listed]
        told = [_in_units(scene, frame, len(scenes)) for scene, frame in zip(listed, frames, strict=True)]
        lived = [_in_units(scene, scene.lived(self.mistake), len(scenes)) for scene in scenes]
        return _Sat(Run(pooled(told), pooled(lived), frames[0]), self.memory)


def _in_units(scene: Scene, frame: pl.DataFrame, series: int) -> Judged:
    """In quote currency; several coins each in units of its price at the first origin."""
    judged = scene.judged(frame)
    return judged if series == 1 else judged.over(scene.first_price)


@dataclass(frozen=True)
class _Trial:
    """An audit of the code with a mistake or without."""

    mistake: Mistake | None
    scene: Scene

    def do(self) -> Audit:
        scene = self.scene
        return audit(scene.pipeline(self.mistake), scene.candles, test_from=scene.test_from, processes=1)


def _do(task: _Task[Result_co], _watch: Watch) -> Result_co:
    return task.do()


# The name of the audit without a mistake.
_SOUND = "sound"


class _Work:
    """The tasks of a gallery, and how many of them are done."""

    def __init__(
        self, mistakes: Sequence[Mistake], stock: _Stock, learners: Sequence[Learner], do: Map, monitor: Monitor
    ) -> None:
        self._mistakes, self._stock, self._learners = mistakes, stock, learners
        self._do, self._monitor = do, monitor
        subjects = [mistake.subject for mistake in mistakes]
        self._runs = {subject: self._chances(subject) for subject in dict.fromkeys(subjects)}
        self._total = sum(self._runs.values()) + sum(self._runs[s] for s in subjects) + len(mistakes) + 1
        self._finished = 0

    def _chances(self, subject: Subject) -> int:
        """How many learners: several coins are chance enough without several seeds."""
        return 1 if subject == "markets" else len(self._learners)

    def sound(self) -> Mapping[Subject, tuple[_Sat, ...]]:
        """The recipe as it should be, by what it is shown on."""
        tasks: dict[Key, _Sitting] = {
            (subject, n): _Sitting(None, self._stock.scenes(subject, self._learners[n]), {})
            for subject, runs in self._runs.items()
            for n in range(runs)
        }
        found = self._all(tasks)
        return {subject: tuple(found[subject, n] for n in range(runs)) for subject, runs in self._runs.items()}

    def wrong(self, sound: Mapping[Subject, tuple[_Sat, ...]]) -> Mapping[str, tuple[Run, ...]]:
        """The recipe with each mistake, by its name. What was learnt soundly is not learnt again."""
        tasks: dict[Key, _Sitting] = {
            (m.name, n): _Sitting(m, self._stock.scenes(m.subject, self._learners[n]), sound[m.subject][n].memory)
            for m in self._mistakes
            for n in range(self._runs[m.subject])
        }
        found = self._all(tasks)
        return {m.name: tuple(found[m.name, n].run for n in range(self._runs[m.subject])) for m in self._mistakes}

    def audits(self) -> Mapping[str, Audit]:
        """An audit with each mistake, by its name, and one without."""
        hasty = self._learners[0].hasty
        tasks: dict[Key, _Trial] = {(_SOUND, 0): _Trial(None, self._stock.scenes("bars", hasty)[0])}
        for mistake in self._mistakes:
            # A list of coins is declared: any one of them shows it.
            subject: Subject = "bars" if mistake.subject == "markets" else mistake.subject
            tasks[mistake.name, 0] = _Trial(mistake, self._stock.scenes(subject, hasty)[0])
        return {name: found for (name, _), found in self._all(tasks).items()}

    def _all(self, tasks: Mapping[Key, _Task[Result_co]]) -> dict[Key, Result_co]:
        """Every task's result."""
        keys, found = list(tasks), {}
        self._monitor(self._finished, self._total, keys[0][0])
        with closing(self._do(_do, list(tasks.values()), unheard)) as results:
            for position, result in results:
                found[keys[position]] = result
                self._finished += 1
                self._monitor(self._finished, self._total, keys[position][0])
        return found


# --- what else the numbers show ---------------------------------------------------------------------------------------


def _note(mistake: Mistake, sound: Run) -> str:
    """Of a test of one month how lucky months can be, of a list of coins how lucky those on it were."""
    if mistake.name == "tiny-test":
        return _months(sound.frame.drop_nulls("y"))
    return _growths() if mistake.subject == "markets" else ""


def _months(known: pl.DataFrame) -> str:
    off = (known["prediction"] / known["y"] - 1).abs().to_numpy()
    months = [100 * off[first : first + TINY].mean() for first in range(0, len(off) - TINY + 1, TINY)]
    return (
        f"Cut into {len(months)} such months, the sound recipe's own test has a MAPE of {min(months):.2g} % in the best"
        f" and of {max(months):.2g} % in the worst."
    )


def _growths() -> str:
    closes = [draw(COIN, COIN_BARS, seed).candles.close for seed in range(COINS)]
    growths = sorted(100 * close[-1] / close[COIN_BARS - COIN_TEST - 1] for close in closes)
    listed = COINS // 10
    return (
        f"Of {COINS} such coins, random walks all, the {listed} worth most on the last day had gone from 100 to"
        f" {np.median(growths[-listed:]):.0f} over the test, the coin in the middle to {np.median(growths):.0f}."
    )
