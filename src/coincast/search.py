"""What is searched and on what it is judged: a walk-forward over the last candles before the test."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from .backtest import Block, walk_block
from .candles import Candles
from .errors import DataError, RecipeError
from .feed import from_numpy
from .forecaster import Watch, unwatched
from .recipe import Recipe, refuse_unknown
from .scores import score
from .space import Setting, Space

# By the name of the class in Optuna.
SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler"}
# Of the origins before the test, the latest ones, over which trials are judged; and the refits they are cut into.
SHARE = 0.3
FOLDS = 4

# A block's sums over its origins: forecasts, their CRPS, their squared errors in quote currency.
Sums = Float[np.ndarray, "3 horizon"]


@dataclass(frozen=True)
class Search:
    """What is searched, and on what it is judged.

    Args:
        recipe: where it starts; its model's settings are the default that trials are held against.
        candles: all that was known before the test.
        space: the settings searched and their values, the default's among them.
        sampler: `tpe` or `random`.
        seed: of the sampler; it alone, with the results so far, decides what is tried next.
    """

    recipe: Recipe
    candles: Candles
    space: Space
    sampler: str
    seed: int

    @property
    def default(self) -> dict[str, Setting]:
        """What the recipe has of the settings searched."""
        return {name: getattr(self.recipe.model, name) for name in self.space}

    def settings(self, params: Mapping[str, Any]) -> dict[str, Setting]:
        """What was drawn as a model is given it: rounded, but for the default."""
        return {
            name: params[name] if params[name] == own else self.space[name].rounded(params[name])
            for name, own in self.default.items()
        }

    def with_settings(self, settings: Mapping[str, Setting]) -> Recipe:
        """The recipe with these of its model's settings."""
        model: Any = self.recipe.model  # a dataclass, which the protocol cannot say
        return replace(self.recipe, model=replace(model, **settings))

    @cached_property
    def edges(self) -> list[datetime]:
        """Where blocks begin, and where the last one ends.

        Raises:
            DataError: a block would hold no forecast that has met its truth.
        """
        origins = self.candles.known_at[self.candles.observed]
        first = round(len(origins) * (1 - SHARE))
        if (len(origins) - first) // FOLDS <= max(self.recipe.horizons):
            raise DataError(
                f"{len(origins)} bars before the test are too few to tune on.",
                f"Their last {SHARE:.0%}, in {FOLDS} blocks, must be longer than the farthest horizon.",
                "Pass a longer history, start the test later or ask for nearer horizons.",
            )
        heads = np.linspace(first, len(origins), FOLDS + 1).round().astype(int)[:-1]
        return [from_numpy(t) for t in (*origins[heads], origins[-1] + self.candles.feed.interval.step)]

    def blocks(self, recipe: Recipe) -> list[Block]:
        """The walk-forward that judges a recipe.

        Raises:
            DataError: the recipe needs more bars before its first forecast than there are.
        """
        windows = recipe.windows(self.candles)
        if from_numpy(windows.origin[0]) > self.edges[0]:
            raise DataError(
                f"The first window of {recipe.model.name} ends {from_numpy(windows.origin[0]):%Y-%m-%d}, after the"
                f" first forecast of {self.edges[0]:%Y-%m-%d}.",
                "Trials that forecast other days cannot be compared.",
                "Pass a longer history.",
            )
        return [Block(recipe, windows, cutoff, end) for cutoff, end in itertools.pairwise(self.edges)]

    def judged(self, block: Block, watch: Watch = unwatched) -> Sums:
        """Fit, forecast, score."""
        _, forecast = walk_block(block, watch)
        rows = score(forecast, self.candles).filter(pl.col("truth").is_not_null())
        rows = rows.with_columns(square=(pl.col("actual") - pl.col("predicted")) ** 2)
        parts = [rows.filter(pl.col("horizon") == h) for h in self.recipe.horizons]
        return np.array([[len(part), part["crps"].sum(), part["square"].sum()] for part in parts]).T

    def document(self) -> dict[str, Any]:
        """Everything that two searches must share for their trials to stand in one table."""
        return {
            "recipe": self.recipe.document(),
            "feed": str(self.candles.feed),
            "digest": self.candles.digest,
            "from": self.candles.start.isoformat(),
            "validation": [edge.isoformat() for edge in self.edges],
            "until": self.candles.end.isoformat(),
            "space": {name: dataclasses.asdict(values) for name, values in self.space.items()},
            "sampler": self.sampler,
            "seed": self.seed,
        }

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with anything in the document."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()[:16]


def search_of(recipe: Recipe, known: Candles, only: Sequence[str] = (), sampler: str = "tpe", seed: int = 0) -> Search:
    """A search of the space beside the recipe's model, or of some of it, on all of the candles `known`.

    Raises:
        RecipeError: the model has no space, or there is no such setting or sampler.
    """
    model = recipe.model
    space: Space = getattr(model, "space", {})
    refuse_unknown(space, type(model), f"{model.name}, whose space names it,")
    if not space:
        raise RecipeError(
            f"{model.name} has no space to search.",
            "A model says itself which of its settings may be searched, and between which values.",
            "Give it a class variable `space`, or choose another model.",
        )
    _demand_known(only, space, f"setting of {model.name} to search")
    _demand_known([sampler], SAMPLERS, "sampler")
    wanted = {name: space[name].including(getattr(model, name)) for name in only or space}
    return Search(recipe, known, wanted, sampler, seed)


def _demand_known(asked: Sequence[str], known: Mapping[str, object], what: str) -> None:
    for name in asked:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise RecipeError(
                f"There is no {what} named {name!r}.",
                "The search would be another than the one asked for.",
                f"Did you mean {close[0]!r}?" if close else f"Choose among {', '.join(known)}.",
            )
