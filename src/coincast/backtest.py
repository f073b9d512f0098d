"""Walk-forward: refit, forecast until the next refit, refit; never a label that was not known.

The test's origins are cut into blocks of `refit_every` bars. Each block's model has learnt from what was settled at
the block's first origin and forecasts every origin of the block. L. J. Tashman, "Out-of-sample tests of forecasting
accuracy: an analysis and review", Int. J. Forecasting 16 (2000).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from .candles import Candles, Times
from .combiner import Combiner, combined
from .errors import DataError, RecipeError
from .feed import from_numpy, to_numpy
from .fitted import Fitted, fit_windows
from .forecast import Forecast, from_frame, join, to_frame
from .forecaster import Watch
from .output import new_folder, parquet, write
from .recipe import Recipe
from .windows import Windows
from .workers import Map, Monitor, serial


@dataclass(frozen=True)
class Walk:
    """One model's walk-forward.

    Args:
        recipe: how its forecasters were made.
        fitted: one for each refit, in order; none for what is made of other models' forecasts.
        forecast: from every origin of the test, the newest of which may have no truth yet.
    """

    recipe: Recipe
    fitted: tuple[Fitted, ...]
    forecast: Forecast


@dataclass(frozen=True)
class Block:
    """One refit and the origins it serves: `cutoff <= origin < end`."""

    recipe: Recipe
    windows: Windows
    cutoff: datetime
    end: datetime

    @property
    def digest(self) -> str:
        """Names the block's result on disk: equal only for the same recipe, span and data."""
        sha = hashlib.sha256(f"{self.recipe.digest} {self.cutoff} {self.end}".encode())
        for windows in self.windows.panel:
            sha.update(str(windows.feed).encode())
            sha.update(np.ascontiguousarray(windows.rows).tobytes())
            sha.update(np.ascontiguousarray(windows.y).tobytes())
        return f"{self.recipe.model.name}-{sha.hexdigest()[:16]}"


def silent(number: int, done: int, total: int, words: str) -> None:
    """A `Monitor` that tells nobody."""


def backtest(
    recipes: Sequence[Recipe],
    candles: Candles,
    test_from: datetime,
    do: Map = serial,
    *,
    beside: Sequence[Candles] = (),
    parts: Path | None = None,
    monitor: Monitor = silent,
) -> list[Walk]:
    """Every recipe walked over the same origins; then what is made of those walks.

    Args:
        recipes: what to compare; all with the same horizons, and what is made of others after them.
        candles: all bars; those before `test_from` only train.
        test_from: the first origin.
        do: how the blocks are done, here or in processes; they are independent of each other.
        beside: other coins that models may learn from too, each up to a refit's cutoff.
        parts: a folder that keeps finished blocks, so that an interrupted backtest goes on where it stopped.
        monitor: told of progress; a block is numbered as in `blocks`.

    Raises:
        DataError: no origin lies in the test, or too few bars lie before it.
        RecipeError: what a recipe's model is made of is not among the recipes before it.
    """
    todo = blocks(recipes, candles, test_from, beside)
    done = {n: part for n, block in enumerate(todo) if parts and (part := _kept(parts / block.digest)) is not None}
    for number in done:
        monitor(number, 1, 1, "kept")
    missing = [n for n in range(len(todo)) if n not in done]
    # A model of few blocks has long ones: started first, they do not leave one worker alone at the end.
    missing.sort(key=lambda n: sum(todo[n].recipe == block.recipe for block in todo))

    def tell(position: int, done: int, total: int, words: str) -> None:
        monitor(missing[position], done, total, words)

    # Closed at once when anything goes wrong here, so that no worker goes on for nobody.
    with closing(do(walk_block, [todo[n] for n in missing], tell)) as results:
        for position, part in results:
            done[missing[position]] = part
            monitor(missing[position], 1, 1, "done")
            if parts:
                _keep(parts / todo[missing[position]].digest, *part)
    walks: list[Walk] = []
    for recipe in recipes:
        own = [done[n] for n, block in enumerate(todo) if block.recipe == recipe]
        walks.append(_walk(recipe, own, walks, candles))
    return walks


def _walk(recipe: Recipe, parts: Sequence[tuple[Fitted, Forecast]], before: Sequence[Walk], candles: Candles) -> Walk:
    """One recipe's walk: its own blocks one after the other, or what is made of the walks before it."""
    if isinstance(recipe.model, Combiner):
        forecast = combined(recipe.model, members(recipe.model, before), candles, recipe.digest)
        return Walk(recipe, (), forecast)
    fitted, forecasts = zip(*parts, strict=True)
    return Walk(recipe, fitted, join(forecasts))


def members(model: Combiner, walks: Sequence[Walk]) -> list[Forecast]:
    """The forecasts that a combiner is made of, in its order."""
    by_name = {walk.recipe.model.name: walk.forecast for walk in walks}
    return [by_name[name] for name in model.members]


def _demand_members(recipes: Sequence[Recipe]) -> None:
    """Demand that what is made of other models stands after them."""
    named: list[str] = []
    for model in (recipe.model for recipe in recipes):
        missing = [name for name in model.members if name not in named] if isinstance(model, Combiner) else []
        if missing:
            raise RecipeError(
                f"{model.name} is made of {', '.join(missing)}, not among the models before it.",
                "It learns from how the forecasts of this same walk came out.",
                f"Name its members first, --models {','.join([*named, *missing, model.name])}, or other members under"
                f" [models.{model.name}] in a recipe file.",
            )
        named.append(model.name)


def blocks(
    recipes: Sequence[Recipe], candles: Candles, test_from: datetime, beside: Sequence[Candles] = ()
) -> list[Block]:
    """The blocks of every recipe that learns from candles, in order of recipe and time."""
    _demand_members(recipes)
    origins = candles.known_at[candles.observed]
    origins = origins[origins >= to_numpy(test_from)]
    if not origins.size:
        raise DataError(
            f"The test is to start {test_from:%Y-%m-%d}; the last bar closes {candles.end:%Y-%m-%d %H:%M}.",
            "There is nothing to test on.",
            "Set --test-from inside the span of the candles.",
        )
    out = []
    for recipe in recipes:
        if isinstance(recipe.model, Combiner):
            continue
        windows = recipe.windows(candles, beside)
        _demand_past(recipe, windows, origins)
        edges = _edges(origins, recipe.refit_bars(candles.feed), candles)
        out += [Block(recipe, windows, cutoff, end) for cutoff, end in itertools.pairwise(edges)]
    return out


def walk_block(block: Block, watch: Watch) -> tuple[Fitted, Forecast]:
    """Learn from what was settled at the block's cutoff, forecast from its origins."""
    fitted = fit_windows(block.recipe, block.windows, block.cutoff, watch)
    return fitted, fitted.predict(block.windows.between(block.cutoff, block.end))


def transfer(
    recipe: Recipe, panel: Sequence[Candles], unseen: Sequence[Candles], test_from: datetime
) -> list[Forecast]:
    """What a recipe that learns from a panel says of coins it never saw, each at every origin from `test_from` on.

    Args:
        recipe: how its forecasters are made.
        panel: the coins it learns from; refits are counted along the first.
        unseen: the coins it forecasts.
        test_from: the first origin.

    Raises:
        DataError: too few bars lie before the test, or an unseen coin has no origin in it.
    """
    told: list[list[Forecast]] = [[] for _ in unseen]
    windows = [recipe.windows(candles) for candles in unseen]
    *walked, last = blocks([recipe], panel[0], test_from, panel[1:])
    # Where the coin that refits are counted along ends before the one that is forecast, the last fit goes on.
    goes_on = max(candles.end + candles.feed.interval.delta for candles in unseen)
    for block in (*walked, replace(last, end=max(last.end, goes_on))):
        fitted = fit_windows(recipe, block.windows, block.cutoff)
        for parts, asked in zip(told, windows, strict=True):
            served = asked.between(block.cutoff, block.end)
            if len(served):
                parts.append(fitted.predict(served))
    return [join(parts) for parts in told]


def _edges(origins: Times, bars: int | None, candles: Candles) -> list[datetime]:
    """Where blocks begin, counted from the first origin alone: later bars add blocks and move none. A block without an
    origin, its bars all missing, would serve nobody: the one before it goes on.
    """
    step = candles.feed.interval.step
    span = int((origins[-1] - origins[0]) / step) + 1
    edges = origins[0] + np.array([*range(0, span, bars or span), span]) * step
    served = np.diff(np.searchsorted(origins, edges)) > 0
    return [from_numpy(edge) for edge in (*edges[:-1][served], edges[-1])]


def _demand_past(recipe: Recipe, windows: Windows, origins: Times) -> None:
    settled = windows.settled(by=from_numpy(origins[0]))
    if len(settled) == 0 or windows.origin[0] > origins[0]:
        raise DataError(
            f"{recipe.model.name} cannot start at {from_numpy(origins[0]):%Y-%m-%d}: its first window ends"
            f" {from_numpy(windows.origin[0]):%Y-%m-%d}.",
            "A model needs bars for its features, its windows and its training before the first origin.",
            "Set --test-from later, pass a longer history, or leave the model out with --models.",
        )


def _keep(folder: Path, fitted: Fitted, forecast: Forecast) -> None:
    with new_folder(folder) as half:
        fitted.save(half / "model")
        write(half / "forecast.parquet", parquet(to_frame(forecast)))


def _kept(folder: Path) -> tuple[Fitted, Forecast] | None:
    if not folder.is_dir():
        return None
    fitted = Fitted.load(folder / "model")
    frame = pl.read_parquet(folder / "forecast.parquet")
    return fitted, from_frame(frame, fitted.feed, fitted.recipe.digest)
