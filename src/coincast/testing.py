"""The contracts that every feature, model and combiner here keeps. Yours is proved in three lines.

    from coincast.testing import check_feature, check_model

    def test_my_feature() -> None:
        check_feature("my_feature")

    def test_my_model() -> None:
        check_model(MyModel())

A broken contract is an `AssertionError` that says what leaked and at which bar. They ask for equal bits, not for close
numbers: a forecast that changes in its last digit with something it must not know does know it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from scipy.special import ndtri

from .candles import Candles
from .combiner import Combiner, combined
from .errors import LookAheadError
from .features import FEATURES, compute, needs
from .feed import from_numpy
from .fitted import Fitted
from .forecast import LEVELS, Forecast, K
from .forecaster import Fit, Forecaster, State, unwatched
from .models import MODELS
from .perturbation import beside, futures
from .recipe import Recipe
from .windows import Windows
from .worlds import Law, draw, hide

BARS = 300
ORIGINS = 40
# Windows asked one by one, which takes a network long.
SOME = slice(None, None, 4)
# Volatility that clusters, fat tails: nothing a market does should be foreign to the contracts.
MARKET = Law(volatility=0.03, dof=4, alpha=0.08, beta=0.9)

Values = Float[np.ndarray, "window horizon K"]


def market(bars: int, interval: str = "1d", seed: int = 0, outside: Sequence[str] = ()) -> Candles:
    """A simulated market with one bar in twenty lost at the source, some of them in a row, and outside series."""
    candles = draw(MARKET, bars, seed, f"simulated:COIN/USD:{interval}").candles
    lost = np.arange(20, bars, 27)
    return hide(beside(candles, outside, seed), [*lost, *(lost[::2] + 1)])


# --- features ---------------------------------------------------------------------------------------------------------


def check_feature(name: str) -> None:
    """Prove that a registered feature knows no future, on daily and on hourly bars.

    At many bars, those next to lost ones among them, everything after is cut off, multiplied by 7, reversed, mirrored,
    replaced by noise or, if it comes from outside, told a bar later, and one bar alone is made a spike: no earlier
    value may change by a bit. Every value is finite once the declared warm-up is over. An outside series that is told a
    bar later throughout must change something, or the feature does not read it.

    Raises:
        AssertionError: it does know; the sentence says what changed, at which bar and by what.
        RecipeError: no feature has this name.
    """
    outside = needs([name])
    bars = BARS + FEATURES[name].warm_up // 100 * 100
    for interval in ("1d", "1h"):
        candles = market(bars, interval, outside=outside)
        values = compute(candles, [name])[:, 0]
        for bar, words, other in _other_markets(bars, interval, outside):
            changed = compute(other, [name])[: bar + 1, 0]
            _demand_same_values(name, values[: bar + 1], changed, candles, f"the bars after it were {words}")
        for bar, spiked in _spikes(bars, interval, outside):
            changed = compute(spiked, [name])[:bar, 0]
            _demand_same_values(name, values[:bar], changed, candles, f"only bar {bar} was made a spike")
        _check_warm_up(name, values, candles)
        _check_reads(name, values, candles)


@cache
def _other_markets(bars: int, interval: str, outside: tuple[str, ...]) -> list[tuple[int, str, Candles]]:
    candles = market(bars, interval, outside=outside)
    return [(bar, words, other) for bar in _telling(candles) for words, other in futures(candles, bar)]


@cache
def _spikes(bars: int, interval: str, outside: tuple[str, ...]) -> list[tuple[int, Candles]]:
    candles = market(bars, interval, outside=outside)
    seen = [bar for bar in _telling(candles) if candles.observed[bar : bar + 2].all()]
    return [(bar, _spike(candles, bar)) for bar in seen]


def _telling(candles: Candles) -> list[int]:
    """Bars worth a try: one in twenty, and some lost ones with the bars before them."""
    lost = np.flatnonzero(~candles.observed)
    bars = np.concatenate([np.arange(1, len(candles), 20), lost[::3] - 1, lost[::3]])
    return sorted(set(bars.tolist()))


def _spike(candles: Candles, bar: int) -> Candles:
    here = pl.int_range(pl.len()) == bar
    high = pl.when(here).then(pl.col("high") * 3).otherwise(pl.col("high"))
    close = pl.when(here).then(pl.col("high") * 2).otherwise(pl.col("close"))
    volume = pl.when(here).then(pl.col("volume") * 50).otherwise(pl.col("volume"))
    outside = (pl.when(here).then(pl.col(name) * 3).otherwise(name).alias(name) for name in candles.outside)
    return Candles(candles.feed, candles.frame.with_columns(*outside, high=high, close=close, volume=volume))


def _check_warm_up(name: str, values: Float[np.ndarray, " bar"], candles: Candles) -> None:
    warm_up = FEATURES[name].warm_up
    missing = warm_up + np.flatnonzero(~np.isfinite(values[warm_up:]))
    _demand(
        not missing.size,
        f"{name} declares a warm-up of {warm_up} bars, but at bar {missing[:1]} of {candles.feed} it has no value.",
    )


def _check_reads(name: str, values: Float[np.ndarray, " bar"], candles: Candles) -> None:
    """What is said to be read, is read: told a bar later, it changes values."""
    for series in candles.outside:
        later = candles.frame.with_columns(pl.col(series).shift(1).fill_null(pl.col(series)))
        changed = compute(Candles(candles.feed, later), [name])[:, 0]
        _demand(
            not _same(values, changed).all(),
            f"{name} names the outside series {series} and does not read it: told a bar later on {candles.feed}, it"
            " changes no value.",
        )


def _demand_same_values(
    name: str, before: Float[np.ndarray, " bar"], after: Float[np.ndarray, " bar"], candles: Candles, cause: str
) -> None:
    changed = np.flatnonzero(~_same(before, after))
    if changed.size:
        bar = int(changed[-1])
        raise AssertionError(
            f"{name} sees the future: its value at bar {bar} ({candles.time[bar]}) changed from {before[bar]} to"
            f" {after[bar]} when {cause}."
        )


# --- models -----------------------------------------------------------------------------------------------------------


def check_model(
    model: Forecaster, *, horizons: tuple[int, ...] = (1, 3), seeds: tuple[int, ...] = (0, 1), bars: int = 400
) -> None:
    """Prove that a registered model learns from settled windows alone and forecasts from each window alone.

    It is fitted five times on a simulated market; give it settings that make a fit quick.

    Args:
        model: with the settings to prove.
        horizons: intervals ahead.
        seeds: for `fit`.
        bars: bars to learn from, beyond the model's `at_least`.

    Raises:
        AssertionError: a contract is broken; the sentence says which one and where.
    """
    candles = market(model.at_least + bars + ORIGINS, outside=needs(model.features))
    exam = _Exam(Recipe(model, horizons, seeds=seeds), candles)
    _check_fit(exam)
    _check_settled_only(exam)
    _check_fit_again(exam)
    _check_future_of_fit(exam)
    _check_values(exam)
    _check_predict_again(exam)
    _check_labels(exam)
    _check_neighbours(exam)
    _check_future_of_predict(exam)
    _check_context(exam)
    _check_saved(exam)


@dataclass(frozen=True)
class _Exam:
    """A recipe on a market: what was known at the cutoff is learnt from, what comes after is forecast."""

    recipe: Recipe
    candles: Candles

    @property
    def name(self) -> str:
        return self.recipe.model.name

    @cached_property
    def cutoff(self) -> datetime:
        return from_numpy(self.candles.known_at[-ORIGINS])

    def windows(self, candles: Candles) -> Windows:
        """From the cutoff on."""
        return self.recipe.windows(candles).between(self.cutoff, candles.end + candles.feed.interval.delta)

    def fold(self, candles: Candles) -> Windows:
        """Settled at the cutoff."""
        return self.recipe.windows(candles).settled(by=self.cutoff)

    def fit(self, fold: Windows) -> Fit:
        return self.recipe.forecaster.fit(fold, self.recipe.seeds, unwatched)

    def predict(self, windows: Windows) -> Values:
        return self.recipe.forecaster.predict(self.state, windows.unanswered())

    @cached_property
    def learnt(self) -> Fit:
        return self.fit(self.fold(self.candles))

    @property
    def state(self) -> State:
        return self.learnt.state

    @cached_property
    def asked(self) -> Windows:
        return self.windows(self.candles)

    @cached_property
    def values(self) -> Values:
        return self.predict(self.asked)

    def demand_same(self, other: Values, cause: str, which: slice = slice(None)) -> None:
        """The forecasts of `which` windows must be `other`."""
        windows, values = self.asked, self.values[which]
        changed = np.flatnonzero(~_same(values, other).all(axis=(1, 2)))
        if changed.size:
            first = changed[0]
            raise AssertionError(
                f"{self.name} {cause}: its forecast from {windows.origin[which][first]} changed from"
                f" {values[first, 0, 0]} .. {values[first, -1, -1]} to {other[first, 0, 0]} .. {other[first, -1, -1]}."
            )


def _check_fit(exam: _Exam) -> None:
    """A state of plain arrays; a history has no more members than there are seeds."""
    for name, array in exam.state.items():
        plain = type(array) is np.ndarray and array.dtype.kind in "biuf"
        _demand(plain, f"{exam.name}'s state {name!r} is a {type(array).__name__}, not a plain array of numbers.")
    history = exam.learnt.history
    if history:
        members, seeds = len(history.train), len(exam.recipe.seeds)
        _demand(1 <= members <= seeds, f"{exam.name}'s history has {members} members for {seeds} seeds.")


def _check_settled_only(exam: _Exam) -> None:
    """A model that learns refuses windows that may hold the future."""
    if not exam.state:
        return
    try:
        exam.fit(exam.recipe.windows(exam.candles))
    except LookAheadError:
        return
    raise AssertionError(
        f"{exam.name} learns from unsettled windows: their labels reach beyond any cutoff, up to {exam.candles.end}."
        " Call demand_settled() on the fold first."
    )


def _check_fit_again(exam: _Exam) -> None:
    """The same fold and seeds give the same bits, and the fold is left as it was."""
    fold = exam.fold(exam.candles)
    before = _copies(fold)
    again = exam.fit(fold)
    _demand_same_states(exam, again.state, "is not deterministic: with the same fold and seeds")
    changed = [name for name, array in _copies(fold).items() if not _same(before[name], array).all()]
    _demand(not changed, f"{exam.name}.fit changes its input: {', '.join(changed)}.")


def _check_future_of_fit(exam: _Exam) -> None:
    """What happens after the cutoff changes nothing that is learnt."""
    bar = len(exam.candles) - ORIGINS
    other = dict(futures(exam.candles, bar))["multiplied by 7"]
    found = exam.fit(exam.fold(other))
    _demand_same_states(exam, found.state, f"learns from the future: with the bars after {exam.cutoff} multiplied by 7")


def _check_values(exam: _Exam) -> None:
    """K finite values for each window and horizon; another horizon is another forecast."""
    windows, values = exam.asked, exam.values
    shape = (len(windows), len(windows.horizons), K)
    _demand(values.shape == shape, f"{exam.name}.predict gave the shape {values.shape}, not {shape}.")
    infinite = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))
    _demand(
        not infinite.size, f"{exam.name}.predict gave values that are not finite at {windows.origin[infinite[:1]]}."
    )
    spread = bool((np.ptp(values, axis=-1) > 0).any())
    same = spread and any(_same(values[:, 0], values[:, h]).all() for h in range(1, shape[1]))
    _demand(not same, f"{exam.name} ignores the horizon: {windows.horizons} bars ahead it forecasts the same.")


def _check_predict_again(exam: _Exam) -> None:
    """The same question gets the same bits, and state and windows are left as they were."""
    windows = exam.asked
    before = _copies(windows) | {f"state {name}": array.copy() for name, array in exam.state.items()}
    exam.demand_same(exam.predict(windows), "is not deterministic: asked twice")
    after = _copies(windows) | {f"state {name}": array for name, array in exam.state.items()}
    changed = [name for name, array in after.items() if not _same(before[name], array).all()]
    _demand(not changed, f"{exam.name}.predict changes its input: {', '.join(changed)}.")


def _check_labels(exam: _Exam) -> None:
    """The answer in a window's labels is not read."""
    answered = exam.recipe.forecaster.predict(exam.state, exam.asked)
    exam.demand_same(answered, "reads the labels of what it forecasts: with them in the windows")


def _check_neighbours(exam: _Exam) -> None:
    """A window is forecast as by itself, whatever windows stand beside it and in whatever order."""
    windows = exam.asked
    alone = np.concatenate([exam.predict(one) for one in windows.batches(1)[SOME]])
    exam.demand_same(alone, "depends on the windows beside one: asked one at a time", SOME)
    turned = replace(windows, last=windows.last[::-1], price=windows.price[::-1], y=windows.y[::-1])
    exam.demand_same(exam.predict(turned)[::-1], "depends on the windows beside one: asked in reverse order")


def _check_future_of_predict(exam: _Exam) -> None:
    """Bars after an origin, changed or missing, do not change a forecast from it."""
    for ahead in (ORIGINS - 1, ORIGINS // 2, 1):
        bar = len(exam.candles) - 1 - ahead
        known = exam.windows(exam.candles.until(from_numpy(exam.candles.known_at[bar])))
        if not len(known):
            continue
        for words, other in futures(exam.candles, bar):
            found = exam.predict(exam.windows(other))[: len(known)]
            cause = f"sees the future: with the bars after {exam.candles.known_at[bar]} {words}"
            exam.demand_same(found, cause, slice(len(known)))


def _check_context(exam: _Exam) -> None:
    """A window is forecast from its own `lookback` bars; whatever stands before them is not read."""
    windows = exam.asked
    alone = np.concatenate([exam.predict(_by_itself(windows, number)) for number in range(len(windows))[SOME]])
    exam.demand_same(alone, f"reads beyond its lookback of {windows.lookback} bars: without the bars before them", SOME)


def _check_saved(exam: _Exam) -> None:
    """What was saved and loaded has the same recipe and forecasts the same bits."""
    registered = exam.name in MODELS
    _demand(registered, f"{exam.name} is not registered, so no saved model of it can be loaded; use models.register.")
    fitted = Fitted(exam.recipe, exam.candles.feed, exam.cutoff, exam.state, exam.learnt.history)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder, "model"))
        loaded = Fitted.load(Path(folder, "model"))
    _demand(loaded.recipe == exam.recipe, f"{exam.name} loses settings when saved: {loaded.recipe}, not {exam.recipe}.")
    windows = exam.asked
    values = loaded.recipe.forecaster.predict(loaded.state, windows.unanswered())
    exam.demand_same(values, "forecasts otherwise once saved and loaded")


# --- combiners --------------------------------------------------------------------------------------------------------


def check_combiner(combiner: Combiner, *, horizons: tuple[int, ...] = (1, 3)) -> None:
    """Prove that what is made of other models' forecasts learns from settled ones alone.

    Its members are stood in for by volatility forecasts of different widths. At several bars of a simulated market
    everything after is cut off, multiplied by 7, reversed, mirrored or replaced by noise, and the members' later
    forecasts with it: no forecast from an origin up to that bar may change by a bit.

    Args:
        combiner: with the settings to prove.
        horizons: intervals ahead; those above 1 leave truths unsettled for a while.

    Raises:
        AssertionError: a contract is broken; the sentence says how and where.
        DataError: its values are not K finite sorted ones for each origin and horizon.
    """
    candles = market(BARS)
    before = _made(combiner, candles, horizons)
    _demand_unmoved(before, _made(combiner, candles, horizons), "is not deterministic: asked twice")
    for bar in _telling(candles)[4::8]:
        for words, other in futures(candles, bar):
            known = before.take(before.origin <= candles.known_at[bar])
            after = _made(combiner, other, horizons)
            cause = f"sees the future: with the bars after {candles.known_at[bar]} {words}"
            _demand_unmoved(known, after.take(after.origin <= candles.known_at[bar]), cause)


def _made(combiner: Combiner, candles: Candles, horizons: tuple[int, ...]) -> Forecast:
    """What is made of one forecast a member, all from the same origins."""
    volatility = compute(candles, ["volatility_94"])[:, 0]
    rows = np.flatnonzero(candles.observed & np.isfinite(volatility))
    spread = volatility[rows, None, None] * np.sqrt(horizons)[:, None] * ndtri(LEVELS)
    origin, price = candles.known_at[rows], candles.close[rows]
    forecasts = [
        Forecast(candles.feed, name, "", horizons, origin, origin, price, (0.7 + 0.4 * number) * spread)
        for number, name in enumerate(combiner.members)
    ]
    return combined(combiner, forecasts, candles)


def _demand_unmoved(before: Forecast, after: Forecast, cause: str) -> None:
    changed = np.flatnonzero(~_same(before.values, after.values).all(axis=(1, 2)))
    if changed.size:
        first = changed[0]
        raise AssertionError(f"{before.model} {cause}: its forecast from {before.origin[first]} changed.")


# --- helpers ----------------------------------------------------------------------------------------------------------


def _by_itself(windows: Windows, number: int) -> Windows:
    """One window, with no row but its own."""
    last = windows.last[number]
    own = slice(max(0, last - windows.lookback + 1), last + 1)
    rows = windows.rows[own]
    return replace(
        windows,
        rows=rows,
        known_at=windows.known_at[own],
        last=np.array([len(rows) - 1]),
        price=windows.price[[number]],
        y=windows.y[[number]],
    )


def _copies(windows: Windows) -> dict[str, np.ndarray]:
    names = ("rows", "known_at", "last", "price", "y")
    return {name: getattr(windows, name).copy() for name in names}


def _demand_same_states(exam: _Exam, other: State, cause: str) -> None:
    _demand(other.keys() == exam.state.keys(), f"{exam.name} {cause} it learns other things: {', '.join(other)}.")
    for name, array in exam.state.items():
        same = array.shape == other[name].shape and bool(_same(array, other[name]).all())
        _demand(same, f"{exam.name} {cause} its {name!r} became {other[name].ravel()[:3]}, not {array.ravel()[:3]}.")


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays are equal, NaN to NaN; nowhere if their shapes differ."""
    if a.shape != b.shape:
        return np.zeros(a.shape, dtype=bool)
    return np.equal(a, b) | (np.isnan(a) & np.isnan(b))


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
