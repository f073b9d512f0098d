"""Where no price can be foreseen, what every allocation earns is what it pays, with a minus: 200 markets, and controls.

In these markets the price after the next bar is on average the price now, whatever is known, so no rule can earn or
lose but by its costs. Whatever claims more than that more often than a twentieth of the time, and whatever is suspected
of seeing its own bar, is a fault of the books or of the tests. In the controls there is something to find, and a fill
in the bar that was decided on. The results are written to `null_profit.json` beside this file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from bench.proof.autoregression import Autoregression
from bench.proof.null_worlds import Check, seeds
from bench.proof.receipt import keep
from scipy.stats import t as student_t

from coincast.backtest import backtest, silent
from coincast.candles import Candles
from coincast.feed import from_numpy
from coincast.forecaster import Forecaster, State, Watch
from coincast.models.ewma_t import EwmaT
from coincast.models.garch import GarchT
from coincast.models.naive import NaiveConformal
from coincast.recipe import Recipe
from coincast.value.costs import FREE, Costs
from coincast.value.outcomes import NOTHING, Outcome, outcomes
from coincast.windows import Windows
from coincast.workers import Processes
from coincast.worlds import Law, draw

PROCESSES = 2
SIGNIFICANCE = 0.05
USUAL, DEAR = Costs(), Costs(fee=0.002, slippage=0.0005, funding=0.0003)


@dataclass(frozen=True)
class Peeks(Autoregression):
    """Its windows hold the future, and it looks: the sign of the bar in which its orders are filled."""

    name: ClassVar[str] = "peeks"

    def predict(self, state: State, windows: Windows) -> np.ndarray:
        after = windows.rows[np.minimum(windows.last + 1, len(windows.rows) - 1), 0]
        return super().predict(state, windows) + 0.05 * np.sign(after)[:, None, None]


@dataclass(frozen=True)
class Study:
    """Models walked through many markets of one law, and every allocation on them."""

    law: Law
    models: tuple[Forecaster, ...]
    worlds: int
    costs: Costs = USUAL
    fair: bool = True
    bars: int = 1000
    first_bar: int = 640

    def results(self, seed: int) -> list[Result]:
        """One market."""
        candles = draw(self.law, self.bars, seed).candles
        candles = fair(candles) if self.fair else candles
        recipes = [Recipe(model, horizons=(1,), refit_every=180) for model in self.models]
        walks = backtest(recipes, candles, from_numpy(candles.known_at[self.first_bar]))
        return [Result.of(one) for one in outcomes([walk.forecast for walk in walks], candles, self.costs)]

    def document(self) -> dict[str, object]:
        """What makes this study, as JSON would hold it."""
        return {**asdict(self), "models": [{"name": model.name, **asdict(model)} for model in self.models]}


def fair(candles: Candles) -> Candles:
    """The market with other prices: its log-returns r, symmetric whatever came before, become changes of tanh(r).

    Each bar opens at the close before it, so that the next change is on average zero for every rule and every fill.
    """
    moves = np.tanh(np.diff(np.log(candles.close), prepend=np.log(candles.close[0])))
    close = candles.close[0] * np.cumprod(1 + moves)
    opened = np.append(close[0], close[:-1])
    return Candles(
        candles.feed,
        candles.frame.with_columns(
            open=pl.Series(opened),
            high=pl.Series(np.maximum(opened, close)),
            low=pl.Series(np.minimum(opened, close)),
            close=pl.Series(close),
        ),
    )


@dataclass(frozen=True)
class Result:
    """One allocation in one market.

    Args:
        name: in words.
        earned: mean return of a bar, after costs.
        paid: mean cost of a bar.
        acted: whether it ever traded.
        nothing: whether it is said to beat doing nothing.
        holding: whether it is said to beat holding.
        timed: whether its timing is significant at 5 %.
        flagged: whether it is suspected of knowing the bar it trades in.
    """

    name: str
    earned: float
    paid: float
    acted: bool
    nothing: bool
    holding: bool
    timed: bool
    flagged: bool

    @classmethod
    def of(cls, one: Outcome) -> Result:
        return cls(
            name=one.words,
            earned=float(one.account.returns.mean()),
            paid=float(one.account.cost.mean()),
            acted=one.acted,
            nothing=one.beats_nothing,
            holding=one.beats_holding,
            timed=one.timing_p is not None and one.timing_p < SIGNIFICANCE,
            flagged=one.lag.flagged,
        )


@dataclass(frozen=True)
class Pooled:
    """One allocation over many markets.

    Args:
        name: in words.
        worlds: in how many it acted.
        earned: mean return of a bar, after costs.
        paid: mean cost of a bar.
        z: of earned + paid, in standard errors between markets.
        timed: in how many markets its timing was significant at 5 %.
        flagged: in how many it was suspected.
    """

    name: str
    worlds: int
    earned: float
    paid: float
    z: float
    timed: int
    flagged: int


def pool(worlds: Iterable[Sequence[Result]]) -> list[Pooled]:
    """Each allocation that acted in at least two markets, in the order of the first."""
    by_name: dict[str, list[Result]] = {}
    for one in (one for world in worlds for one in world if one.acted):
        by_name.setdefault(one.name, []).append(one)
    return [_pooled(name, some) for name, some in sorted(by_name.items()) if len(some) > 1]


def _pooled(name: str, some: Sequence[Result]) -> Pooled:
    gross = np.array([one.earned + one.paid for one in some])
    return Pooled(
        name=name,
        worlds=len(some),
        earned=float(np.mean([one.earned for one in some])),
        paid=float(np.mean([one.paid for one in some])),
        z=float(gross.mean() / gross.std(ddof=1) * np.sqrt(len(some))),
        timed=sum(one.timed for one in some),
        flagged=sum(one.flagged for one in some),
    )


MODELS = (NaiveConformal(), EwmaT(), GarchT(), Autoregression())
NULL = {
    "random walk": Study(Law(dof=4), MODELS, worlds=100),
    "garch": Study(Law(dof=6, alpha=0.08, beta=0.9), MODELS, worlds=100, costs=DEAR),
}
FOUND = Study(Law(autocorrelation=0.3), (Autoregression(),), worlds=50, costs=FREE, fair=False)
PEEKED = Study(Law(dof=4), (Peeks(),), worlds=50)
STUDIES = NULL | {"autocorrelation of 0.3, free": FOUND, "same bar": PEEKED}


def null_checks(name: str, worlds: Sequence[Sequence[Result]], sure: float) -> Iterator[Check]:
    """What must hold where there is nothing to earn.

    Args:
        name: of the study.
        worlds: its results.
        sure: significance at which a profit is called one, over all allocations together.
    """
    pooled = pool(worlds)
    for one in pooled:
        limit = float(student_t.isf(sure / 2 / len(pooled), one.worlds - 1))
        yield Check(f"{name}: {one.name}, profit before costs in standard errors", one.z, limit, abs(one.z) <= limit)
    for one in pooled:
        if one.name != "holding":
            yield _rarely(f"{name}: {one.name}, timing at 5 %", one.timed, one.worlds)
    claims = [[one for one in world if one.name != NOTHING] for world in worlds]
    yield _rarely(f"{name}: any allocation beats nothing", sum(any(o.nothing for o in w) for w in claims), len(claims))
    yield _rarely(f"{name}: any allocation beats holding", sum(any(o.holding for o in w) for w in claims), len(claims))
    flagged = sum(one.flagged for one in pooled)
    yield Check(f"{name}: allocations suspected of knowing their own bar", flagged, 0, flagged == 0)


def _rarely(what: str, claimed: int, worlds: int) -> Check:
    """At most 5 % and two standard errors of worlds."""
    limit = worlds * SIGNIFICANCE + 2 * float(np.sqrt(worlds * SIGNIFICANCE * (1 - SIGNIFICANCE)))
    return Check(what, claimed, limit, claimed <= limit)


def control_checks(found: dict[str, list[list[Result]]]) -> Iterator[Check]:
    """What is there is found; what was filled in its own bar is suspected, always."""
    [name, planted] = list(found)[-2:]
    earning = sum(one.nothing for world in found[name] for one in world if one.name == "sign by autoregression")
    yield Check(
        f"{name}: markets in which the sign beats nothing", earning, 0.8 * FOUND.worlds, earning >= 0.8 * FOUND.worlds
    )
    flagged = sum(one.flagged for world in found[planted] for one in world if one.name == "sign by peeks")
    yield Check(f"{planted}: markets in which it is suspected", flagged, PEEKED.worlds, flagged == PEEKED.worlds)


def one_world(task: tuple[str, int], _: Watch) -> list[Result]:
    name, seed = task
    return STUDIES[name].results(seed)


def run(seed: int) -> dict[str, list[list[Result]]]:
    """Every study, market by market."""
    tasks = [(name, world) for name, study in STUDIES.items() for world in seeds(seed, study.worlds)]
    results: dict[int, list[Result]] = {}
    for number, some in Processes(PROCESSES)(one_world, tasks, silent):
        results[number] = some
        print(f"\r{len(results)} of {len(tasks)} worlds", end="", flush=True)
    print()
    found: dict[str, list[list[Result]]] = {name: [] for name in STUDIES}
    for number, (name, _) in enumerate(tasks):
        found[name].append(results[number])
    return found


def main() -> int:
    """Run all, print what was checked, write the results; 1 if something does not hold."""
    seed, start = int(os.environ.get("COINCAST_SEED", "1")), time.monotonic()
    found = run(seed)
    checks = [check for name in NULL for check in null_checks(name, found[name], SIGNIFICANCE)]
    checks += control_checks(found)
    for check in checks:
        print(f"{'holds' if check.holds else 'FAILS':6} {check.found:9.4f} {check.limit:9.4f}  {check.what}")
    document = {
        "seed": seed,
        "seconds": round(time.monotonic() - start),
        "holds": all(check.holds for check in checks),
        "checks": [asdict(check) for check in checks],
        "pooled": {name: [asdict(one) for one in pool(worlds)] for name, worlds in found.items()},
        "studies": {name: study.document() for name, study in STUDIES.items()},
    }
    keep("null_profit", document)
    return 0 if document["holds"] else 1
