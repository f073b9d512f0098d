"""Null worlds and signal worlds, whole: 200 markets in which there is nothing to find, 50 in which there is.

In a null world no model's CRPS may lie below the law's, nor the share of its claims to know the mean or the direction
(or to be better than the law) above 5 %, each by more than two standard errors. What is planted in a signal world is
found, at its size. The results are written to `null_worlds.json` beside this file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from bench.proof.autoregression import Autoregression
from bench.proof.receipt import keep
from scipy.stats import norm

from coincast.backtest import silent
from coincast.calibrate import Calibrated
from coincast.combine import Fusion
from coincast.combiner import Combiner
from coincast.forecaster import Forecaster, Watch
from coincast.models.boosted import BoostedQ
from coincast.models.drift import Drift
from coincast.models.ewma_fhs import EwmaFhs
from coincast.models.ewma_t import EwmaT
from coincast.models.garch import EgarchSkewT, GarchT, GjrSkewT
from coincast.models.gru_t import GruT
from coincast.models.har_t import HarT
from coincast.models.linear_t import LinearT
from coincast.models.lstm_attention import LstmAttention
from coincast.models.lstm_q import LstmQ
from coincast.models.lstm_skewt import LstmSkewT
from coincast.models.lstm_t import LstmT
from coincast.models.naive import Naive, NaiveConformal
from coincast.models.range_t import RangeT
from coincast.models.season_t import SeasonT
from coincast.models.seed_lstm import SeedLstm
from coincast.models.tcn_t import TcnT
from coincast.recipe import Recipe
from coincast.trials import SIGNIFICANCE, Pooled, Trial, pool, trials
from coincast.workers import Processes
from coincast.worlds import Law, draw

PROCESSES = 2

BASELINES = (
    Naive(),
    Drift(),
    NaiveConformal(),
    EwmaT(),
    EwmaFhs(),
    RangeT(),
    SeasonT(),
    GarchT(),
    GjrSkewT(simulations=1000),
    EgarchSkewT(simulations=1000),
    HarT(),
    LinearT(),
    BoostedQ(trees=20),
    Fusion(("garch-t", "har-t", "ewma-t")),
    Calibrated("garch-t"),
)
# Few epochs, so that many worlds can be tried: what leaks in a network leaks in its first ones.
NETWORKS = (SeedLstm(epochs=5), LstmT(epochs=30, scored=64))
# They learn by the same function as `lstm-t`, and each costs a compilation in every process.
LIKE_LSTM_T = (
    LstmSkewT(epochs=5, scored=32),
    LstmQ(epochs=5, scored=32),
    LstmAttention(epochs=5, scored=32),
    GruT(epochs=5, scored=32),
    TcnT(epochs=5, scored=32),
)


@dataclass(frozen=True)
class Study:
    """Models walked through many worlds of one law."""

    law: Law
    models: tuple[Forecaster | Combiner, ...]
    worlds: int
    horizons: tuple[int, ...] = (1, 7)
    bars: int = 1000
    first_bar: int = 640
    refit_every: int = 180

    def trials(self, seed: int) -> list[Trial]:
        """One world."""
        recipes = [Recipe(m, horizons=self.horizons, refit_every=self.refit_every, seeds=(0, 1)) for m in self.models]
        return trials(recipes, draw(self.law, self.bars, seed), self.first_bar)

    def document(self) -> dict[str, object]:
        """What makes this study, as JSON would hold it."""
        return {**asdict(self), "models": [{"name": model.name, **asdict(model)} for model in self.models]}


WALK, GARCH = Law(dof=4), Law(alpha=0.08, beta=0.9)
AUTOREGRESSIVE, SEASONAL = Law(autocorrelation=0.1), Law(swing=0.7, period=200)
WEEKLY = Law(swing=0.7, period=7)
NULL = {
    "random walk": Study(WALK, BASELINES, worlds=100),
    "garch": Study(GARCH, BASELINES, worlds=100),
    "random walk, networks": Study(WALK, NETWORKS, worlds=40),
    "garch, networks": Study(GARCH, NETWORKS, worlds=40),
    "garch, other networks": Study(GARCH, LIKE_LSTM_T, 20, (1,), refit_every=360),
}
SIGNAL = {
    "autocorrelation": Study(
        AUTOREGRESSIVE, (NaiveConformal(), Autoregression()), 50, (1,), bars=2000, first_bar=800, refit_every=400
    ),
    "season of volatility": Study(SEASONAL, (NaiveConformal(), EwmaT(), GarchT()), 20, (1,)),
    "season of the week": Study(WEEKLY, (NaiveConformal(), EwmaT(), SeasonT()), 20, (1,)),
}


@dataclass(frozen=True)
class Check:
    """One thing that must hold."""

    what: str
    found: float
    limit: float
    holds: bool


def null_checks(name: str, pooled: Iterable[Pooled]) -> Iterator[Check]:
    for p in pooled:
        where = f"{name}: {p.model} at {p.horizon}"
        yield Check(f"{where}: CRPS less the law's, in standard errors", p.z, -2.0, p.z >= -2)
        for what, claims in {"the mean": p.mean, "the direction": p.direction, "better than the law": p.better}.items():
            yield Check(f"{where}: claims of {what}", claims.claimed, claims.limit, claims.claimed <= claims.limit)


def signal_checks(found: dict[str, list[Pooled]]) -> Iterator[Check]:
    """What is planted is found, and found as large as it is."""
    garch, flat = (_one(found["garch"], name) for name in ("garch-t", "naive-conformal"))
    yield Check("garch: garch-t's CRPS above the law's, share", garch.gap, 0.005, garch.gap < 0.005)
    yield Check("garch: naive-conformal's, where garch-t's is", flat.gap, 3 * garch.gap, flat.gap > 3 * garch.gap)
    yield from autocorrelation_checks(_one(found["autocorrelation"], "autoregression"), SIGNAL["autocorrelation"], 2)
    flat = _one(found["season of volatility"], "naive-conformal")
    for name in ("ewma-t", "garch-t"):
        gap = _one(found["season of volatility"], name).gap
        yield Check(
            f"season of volatility: {name}'s CRPS above the law's, share", gap, flat.gap / 2, gap < flat.gap / 2
        )

    weekly = {name: _one(found["season of the week"], name).gap for name in ("ewma-t", "season-t")}
    limit = weekly["ewma-t"] / 4
    what = "season of the week: season-t's CRPS above the law's, share, where ewma-t's is four times the limit"
    yield Check(what, weekly["season-t"], limit, weekly["season-t"] < limit)


def autocorrelation_checks(known: Pooled, study: Study, errors: float) -> Iterator[Check]:
    """Is the R2 that of the law, and is the mean claimed as often as it should be, within so many standard errors?

    A slope rho learnt from m returns forecasts n of them with an R2 of rho^2 - 1 / m, whose spread is 2 rho / sqrt(n).
    """
    rho, n = study.law.autocorrelation, study.bars - study.first_bar
    cost = float(np.mean([1 / m for m in range(study.first_bar, study.bars, study.refit_every)]))
    size, spread = rho**2 - cost, 2 * rho / np.sqrt(n)
    reach = errors * spread / np.sqrt(known.worlds)
    yield Check("autocorrelation: R2 less the planted one", known.r2 - size, reach, abs(known.r2 - size) <= reach)
    power = float(norm.cdf(size / spread - norm.ppf(1 - SIGNIFICANCE)))
    share, reach = known.mean.claimed / known.worlds, errors * np.sqrt(power * (1 - power) / known.worlds)
    what = "autocorrelation: share of worlds that claim the mean, less the expected one"
    yield Check(what, share - power, reach, abs(share - power) <= reach)


def _one(pooled: Iterable[Pooled], model: str) -> Pooled:
    return next(p for p in pooled if p.model == model and p.horizon == 1)


def one_world(task: tuple[str, int], _: Watch) -> list[Trial]:
    name, seed = task
    return (NULL | SIGNAL)[name].trials(seed)


def run(seed: int) -> dict[str, list[Pooled]]:
    """Every study, pooled over its worlds."""
    studies = NULL | SIGNAL
    tasks = [(name, world) for name, study in studies.items() for world in seeds(seed, study.worlds)]
    # Networks first: they take longest.
    tasks.sort(key=lambda task: "networks" not in task[0])
    results: dict[int, list[Trial]] = {}
    for number, some in Processes(PROCESSES)(one_world, tasks, silent):
        results[number] = some
        print(f"\r{len(results)} of {len(tasks)} worlds", end="", flush=True)
    print()
    found: dict[str, list[Trial]] = {name: [] for name in studies}
    for number, (name, _) in enumerate(tasks):
        found[name] += results[number]
    return {name: pool(some) for name, some in found.items()}


def seeds(seed: int, worlds: int) -> list[int]:
    """A seed for each world."""
    return [int(world) for world in np.random.SeedSequence(seed).generate_state(worlds)]


def main() -> int:
    """Run all, print what was checked, write the results; 1 if something does not hold."""
    seed, start = int(os.environ.get("COINCAST_SEED", "1")), time.monotonic()
    found = run(seed)
    checks = [check for name in NULL for check in null_checks(name, found[name])] + list(signal_checks(found))
    for check in checks:
        print(f"{'holds' if check.holds else 'FAILS':6} {check.found:9.4f} {check.limit:9.4f}  {check.what}")
    document = {
        "seed": seed,
        "seconds": round(time.monotonic() - start),
        "holds": all(check.holds for check in checks),
        "checks": [asdict(check) for check in checks],
        "pooled": {name: [asdict(p) | {"z": p.z} for p in pooled] for name, pooled in found.items()},
        "studies": {name: study.document() for name, study in (NULL | SIGNAL).items()},
    }
    keep("null_worlds", document)
    return 0 if document["holds"] else 1
