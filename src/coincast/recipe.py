"""How to make a forecaster: a model's settings, horizons, seeds and the pace of refits; read from TOML."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib.util
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from .candles import Candles
from .combiner import Combiner
from .errors import DataError, RecipeError
from .feed import Feed, Interval
from .forecaster import Forecaster
from .models import model_named
from .windows import Windows, cut

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Recipe:
    """How to make a forecaster: the unit of tuning, backtest and service.

    Args:
        model: the forecaster's settings, or those of what is made of other models' forecasts.
        horizons: intervals ahead, ascending.
        refit_every: bars between refits in a walk-forward.
        seeds: a network for each; the declared forecast is their average.
    """

    __pydantic_config__: ClassVar = ConfigDict(arbitrary_types_allowed=True)

    model: Forecaster | Combiner
    horizons: tuple[int, ...] = (1, 7)
    refit_every: int = 90
    seeds: tuple[int, ...] = tuple(range(8))

    def __post_init__(self) -> None:
        ascending = list(self.horizons) == sorted(set(self.horizons))
        if not self.horizons or self.horizons[0] < 1 or not ascending:
            raise RecipeError(
                f"The horizons {self.horizons} are not ascending whole numbers from 1.",
                "A horizon counts the intervals between origin and target.",
                "Write them as 1,7.",
            )
        if self.refit_every < 1 or not self.seeds:
            raise RecipeError(
                f"refit_every is {self.refit_every} and the seeds are {self.seeds}.",
                "A walk-forward refits after a whole number of bars, with at least one seed.",
                "Set refit_every to 1 or more and give a seed.",
            )

    def document(self) -> dict[str, Any]:
        """Everything that makes this recipe, as JSON would hold it."""
        settings = dataclasses.asdict(self)
        return {"name": self.model.name, **settings}

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any setting."""
        canonical = json.dumps(self.document(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def forecaster(self) -> Forecaster:
        """The model, which learns from candles.

        Raises:
            RecipeError: it is made of other models' forecasts.
        """
        if isinstance(self.model, Combiner):
            raise RecipeError(
                f"{self.model.name} cannot be fitted to candles.",
                "It learns from other models' forecasts after they have met their truth, as a walk-forward makes them.",
                f"Use coincast run or backtest with --models {','.join([*self.model.members, self.model.name])}.",
            )
        return self.model

    def windows(self, candles: Candles, beside: Sequence[Candles] = ()) -> Windows:
        """The windows this recipe's model sees of `candles`.

        Args:
            candles: what is forecast.
            beside: other coins that may be learnt from too; one that is too short for a window is left out, and so is
                every label of 0: a price that did not move at all was not traded, and a dead coin has no others.

        Raises:
            DataError: `candles` are too few for it.
            RecipeError: it is made of other models' forecasts.
        """
        try:
            own = self._cut(candles)
        except DataError as error:
            words = "Pass a longer history, or leave the model out with --models."
            raise DataError(f"{self.model.name}: {error.found}", error.why, words) from error
        others = []
        for other in beside:
            with suppress(DataError):
                others.append(_traded(self._cut(other)))
        return replace(own, beside=tuple(others))

    def _cut(self, candles: Candles) -> Windows:
        m = self.forecaster
        return cut(candles, m.features, m.lookback, self.horizons, m.at_least)

    def refit_bars(self, feed: Feed) -> int | None:
        """Bars between refits: the model's own pace if it has one, the recipe's otherwise; None for one fit alone."""
        days = self.forecaster.refit_days
        if days is None:
            return self.refit_every
        return max(1, feed.interval.bars(timedelta(days=days))) if days else None


def _traded(windows: Windows) -> Windows:
    return replace(windows, y=np.where(windows.y == 0.0, np.nan, windows.y))


def pace(interval: Interval) -> dict[str, Any]:
    """Horizons and refits that suit bars of this length: a day ahead of bars within a day, a week ahead of days."""
    if interval.delta < timedelta(days=1):
        return {"horizons": (1, 24), "refit_every": interval.bars(timedelta(days=120))}
    return {"horizons": (1, 7), "refit_every": 90}


def recipe_of(document: Mapping[str, Any]) -> Recipe:
    """A recipe from what `Recipe.document` or a TOML table holds: `name`, `model` and the recipe's own keys.

    Raises:
        RecipeError: an unknown model, an unknown key (named), or a value of the wrong type.
    """
    settings = dict(document)
    model_class = model_named(settings.pop("name"))
    model_settings = settings.pop("model", {})
    refuse_unknown(model_settings, model_class, model_class.name)
    refuse_unknown(settings, Recipe, "the recipe")
    model = typed(model_class, model_settings, model_class.name)
    return typed(Recipe, {"model": model, **settings}, "the recipe")


def read_settings(path: Path) -> dict[str, Any]:
    """What a recipe file says: top keys (`horizons`, `refit_every`, `seeds`) for all models, `[models.NAME]` for one.

    Raises:
        RecipeError: the file cannot be read as TOML, or `models` holds something else than tables.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            f"The recipe file {path} cannot be read ({error}).",
            "A recipe is TOML.",
            "The README shows one.",
        ) from error
    tables = settings.get("models", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise RecipeError(
            f"In {path} `models` is not a set of tables.",
            "Each model's settings stand in a table of its own.",
            "Write [models.garch-t] and below it lookback = 1000.",
        )
    return settings


def recipes(names: Sequence[str], settings: Mapping[str, Any] = MappingProxyType({})) -> list[Recipe]:
    """A recipe for each model named; a model without a table in `settings` keeps its defaults.

    Raises:
        RecipeError: an unknown model, key or value, or no model at all.
    """
    if not names or len(set(names)) != len(names):
        raise RecipeError(
            f"The models are {', '.join(names) or 'none'}.",
            "A table has one row for each model.",
            "Name each once, such as --models naive,garch-t,lstm-t.",
        )
    common = dict(settings)
    tables = common.pop("models", {})
    for name in tables:
        model_named(name)
    return [recipe_of({**common, "name": name, "model": tables.get(name, {})}) for name in names]


def load_plugin(path: Path) -> None:
    """Run a Python file that registers features and models of its own.

    Raises:
        RecipeError: the file is not there or does not run.
    """
    name = f"coincast_plugin_{path.stem}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise RecipeError(f"The plug-in {path} is not a Python file.", "It was to register models.", "Check the path.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise RecipeError(
            f"The plug-in {path} does not run ({type(error).__name__}: {error}).",
            "Its models and features are not registered.",
            "Run it with python on its own and mend it.",
        ) from error


def typed(kind: type[Settings], settings: Mapping[str, Any], where: str) -> Settings:
    """A dataclass of these settings; strings, lists and numbers as TOML has them become what its fields want.

    Raises:
        RecipeError: a value of the wrong kind.
    """
    try:
        return TypeAdapter(kind).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"{where}: {'.'.join(map(str, first['loc']))} = {first['input']!r} ({first['msg']}).",
            "A setting of the wrong kind would fail late or act otherwise than meant.",
            "Correct the value.",
        ) from error


def refuse_unknown(settings: Mapping[str, Any], kind: type, where: str) -> None:
    """Demand that every key is a field of the dataclass `kind`.

    Raises:
        RecipeError: one is not; the nearest is named.
    """
    known = [field.name for field in dataclasses.fields(kind)]
    for key in settings:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise RecipeError(
                f"{where} has no key {key!r}.",
                "A misspelt setting would be ignored and the default used unseen.",
                f"Did you mean {close[0]!r}?" if close else f"Choose among {', '.join(sorted(known))}.",
            )
