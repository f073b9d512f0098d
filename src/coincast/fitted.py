"""A trained forecaster, and the two functions that backtest and live share: `fit` and `predict`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from .candles import Candles
from .errors import DataError, LookAheadError
from .feed import Feed, from_numpy, to_numpy
from .forecast import Forecast
from .forecaster import History, State, Watch, unwatched
from .output import new_folder, write
from .recipe import Recipe, recipe_of
from .windows import Windows


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster.

    Args:
        recipe: how it was made.
        feed: what it was trained on.
        cutoff: the latest close it has learnt from.
        state: what it has learnt.
        history: how its training converged, if it was trained step by step.
    """

    recipe: Recipe
    feed: Feed
    cutoff: datetime
    state: State
    history: History | None = None

    def predict(self, windows: Windows) -> Forecast:
        """A forecast from each window's origin.

        Raises:
            LookAheadError: an origin lies before the cutoff.
        """
        values = self.recipe.forecaster.predict(self.state, windows.unanswered())
        return Forecast(
            feed=windows.feed,
            model=self.recipe.model.name,
            recipe=self.recipe.digest,
            horizons=windows.horizons,
            origin=windows.origin,
            cutoff=np.full(len(windows), to_numpy(self.cutoff)),
            price=windows.price,
            values=np.sort(values, axis=-1),
        )

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json` into a new folder, whole or not at all.

        Raises:
            OutputError: the folder holds something already or cannot be written.
        """
        arrays = {f"state.{name}": np.asarray(value, order="C") for name, value in self.state.items()}
        if self.history:
            arrays |= {f"history.{name}": value for name, value in vars(self.history).items()}
        document = {"recipe": self.recipe.document(), "feed": str(self.feed), "cutoff": self.cutoff.isoformat()}
        with new_folder(folder) as half:
            write(half / "model.safetensors", safetensors.numpy.save(arrays))
            write(half / "model.json", (json.dumps(document, indent=2) + "\n").encode())

    @classmethod
    def load(cls, folder: Path) -> Fitted:
        """What `save` wrote: the same bits forecast again, in any process.

        Raises:
            DataError: the folder holds no model.
            RecipeError: the model is of a kind that is not registered here.
        """
        try:
            document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            arrays = safetensors.numpy.load((folder / "model.safetensors").read_bytes())
            feed, cutoff = Feed.parse(document["feed"]), datetime.fromisoformat(document["cutoff"])
            recipe = document["recipe"]
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            raise DataError(
                f"{folder} holds no readable model ({error}).",
                "A forecast needs what `coincast train` saved: model.json and model.safetensors.",
                "Name the folder that train wrote.",
            ) from error
        history = _under("history.", arrays)
        return cls(recipe_of(recipe), feed, cutoff, _under("state.", arrays), History(**history) if history else None)


def _under(prefix: str, arrays: State) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def fit(
    recipe: Recipe,
    candles: Candles,
    cutoff: datetime | None = None,
    watch: Watch = unwatched,
    *,
    beside: Sequence[Candles] = (),
) -> Fitted:
    """A forecaster that has learnt from what was known at `cutoff`, by default from all of `candles`, and by then of
    the coins `beside`.

    Raises:
        DataError: too few candles were known by then.
        RecipeError: the recipe's model is made of other models' forecasts.
    """
    cutoff = cutoff or candles.end
    return fit_windows(recipe, recipe.windows(candles.until(cutoff), beside), cutoff, watch)


def fit_windows(recipe: Recipe, windows: Windows, cutoff: datetime, watch: Watch = unwatched) -> Fitted:
    """`fit`, on windows cut already; what they hold after `cutoff` is not looked at."""
    settled = windows.settled(by=cutoff)
    if not len(settled):
        raise DataError(
            f"{recipe.model.name} has nothing to learn from {windows.feed}: nothing was settled by {cutoff:%Y-%m-%d}.",
            "A label counts only once its horizon has passed.",
            "Start the test later or pass a longer history.",
        )
    learnt = recipe.forecaster.fit(settled, recipe.seeds, watch)
    return Fitted(recipe, windows.feed, cutoff, learnt.state, learnt.history)


def predict(fitted: Fitted, candles: Candles, start: datetime | None = None) -> Forecast:
    """Forecasts from every origin of `candles` at or after `start`, by default from the newest alone.

    Raises:
        LookAheadError: `start` lies before the model's cutoff.
        DataError: the candles are of another interval or too few.
    """
    if candles.feed.interval != fitted.feed.interval:
        raise DataError(
            f"The model was trained on {fitted.feed}, the candles are {candles.feed}.",
            "A horizon of another interval is another question.",
            f"Pass {fitted.feed.interval} candles or train on {candles.feed}.",
        )
    windows = fitted.recipe.windows(candles)
    chosen = windows.between(start, from_numpy(windows.origin[-1] + 1)) if start else windows.newest(1)
    if start and start < fitted.cutoff:
        raise LookAheadError(
            f"The model has learnt until {fitted.cutoff:%Y-%m-%d %H:%M}; the first origin is {start:%Y-%m-%d %H:%M}.",
            "It would be judged on what it was trained on.",
            "Ask for origins at or after the cutoff.",
        )
    return fitted.predict(chosen)
