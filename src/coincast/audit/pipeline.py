"""What is audited: any function from candles to forecasts.

    def pipeline(candles, test_from, now):
        ...
        return frame  # ds, cutoff and prices, in any form that `coincast.predictions` reads

`candles` is a pandas frame, or a polars frame or `coincast.Candles` where the parameter is annotated so: `time` (bar
open, UTC), open, high, low, close, volume, observed. `test_from` and `now` may be left out: a pipeline that takes
`test_from` forecasts from that origin on, another chooses its own split; one that takes `now` may be handed a bar that
has not closed by then, which it must leave alone.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ..backtest import backtest
from ..candles import Candles
from ..errors import RecipeError
from ..feed import Feed, to_numpy
from ..models import model_named
from ..predictions import of_forecast, to_frame
from ..recipe import Recipe, load_plugin, recipe_of
from .declarations import Declarations, Never, checked_claims


class Tuned(NamedTuple):
    """How a shipped model's settings were chosen.

    Args:
        until: the last day they were tried on.
        trials: how many were tried.
    """

    until: date | Never
    trials: int


# `bench/results.md` tells of those that were tried; the others have the settings of their papers.
_TUNED: Mapping[str, Tuned] = {
    "naive": Tuned("never", 1),
    "naive-conformal": Tuned("never", 1),
    "ewma-t": Tuned("never", 1),
    "garch-t": Tuned("never", 1),
    "seed-lstm": Tuned("never", 1),
    "drift": Tuned("never", 1),
    "ewma-fhs": Tuned("never", 1),
    "gjr-skewt": Tuned("never", 1),
    "egarch-skewt": Tuned("never", 1),
    "range-t": Tuned(date(2023, 12, 31), 4),
    "season-t": Tuned(date(2023, 12, 31), 20),
    "har-t": Tuned(date(2023, 12, 31), 12),
    "linear-t": Tuned(date(2023, 12, 31), 35),
    "boosted-q": Tuned(date(2023, 12, 31), 1),
    "lstm-t": Tuned(date(2023, 12, 31), 55),
    "lstm-skewt": Tuned(date(2023, 12, 31), 55),
    "lstm-q": Tuned(date(2023, 12, 31), 55),
    "fusion": Tuned(date(2023, 12, 31), 80),
    "calibrated": Tuned(date(2023, 12, 31), 42),
}
# Refits of a recipe of ours over the span that is audited: one inside it, so that a refit is looked at too.
BLOCKS = 2


@dataclass(frozen=True)
class Pipeline:
    """A function from candles to forecasts, and what is said of it.

    Args:
        name: for the report.
        source: where the function stands.
        target: the function, or "file.py:function", imported where it is asked.
        declared: what no test can show.
        claims: what its maker reports of it: rmse, mae, mape, r2, direction, in the price's unit or as fractions.
    """

    name: str
    source: str
    target: Callable[..., object] | str
    declared: Declarations = field(default_factory=Declarations)
    claims: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_claims(self.claims)

    @classmethod
    def of(
        cls,
        function: Callable[..., object],
        *,
        name: str | None = None,
        declared: Declarations | None = None,
        claims: Mapping[str, float] | None = None,
    ) -> Pipeline:
        """A function of this program or notebook."""
        called = name or str(getattr(function, "__name__", "pipeline"))
        module = getattr(function, "__module__", None) or "this program"
        return cls(called, f"{module}: {called}", function, declared or Declarations(), claims or {})

    @classmethod
    def load(cls, text: str) -> Pipeline:
        """The function that "file.py:function" names. The file is not run here, only where it is asked.

        Raises:
            RecipeError: it is not of this form, or there is no such file or function in it.
        """
        path, _, function = text.rpartition(":")
        if not function.isidentifier() or not Path(path).is_file():
            raise RecipeError(
                f"{text!r} names no function in a file that is here.",
                "An audit asks a function from candles to forecasts.",
                "Write it as pipeline.py:forecast, or name one of the models.",
            )
        _demand_named(Path(path), function)
        return cls(function, text, f"{Path(path).resolve()}:{function}")

    @classmethod
    def of_recipe(
        cls,
        recipe: Recipe,
        candles: Candles,
        test_from: datetime,
        plugins: tuple[Path, ...] = (),
        members: Sequence[Recipe] = (),
    ) -> Pipeline:
        """A model registered here, with a refit at the first origin and another in the middle of what follows.

        Args:
            recipe: its settings; the pace of refits is not looked at.
            candles: what it will be asked about.
            test_from: the first origin.
            plugins: files that register it.
            members: those of the models it is made of, if it is made of others.
        """
        origins = int((candles.known_at >= to_numpy(test_from)).sum())
        asked = [*members, recipe]
        paced = [replace(one, refit_every=max(1, -(-origins // BLOCKS))) for one in asked]
        # The documents and not the recipes: a plug-in's class is not known in the other process before it is loaded.
        function = partial(forecast_by, [one.document() for one in paced], plugins)
        return cls(recipe.model.name, f"recipe {recipe.digest}", function, _our_word(asked, candles.feed))

    def with_word(self, declared: Declarations, claims: Mapping[str, float]) -> Pipeline:
        """The same with its maker's word."""
        said = {name: value for name, value in vars(declared).items() if value is not None}
        return replace(self, declared=replace(self.declared, **said), claims=claims)


def _demand_named(file: Path, name: str) -> None:
    """Demand that a file's text names the function; what cannot be read is for the process that runs it to tell."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, OSError):
        return
    functions = [one.name for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef)]
    # An import, an assignment or a condition may bring it.
    certain = all(isinstance(one, ast.FunctionDef | ast.ClassDef | ast.Expr) or _brings_no(name, one) for one in body)
    if certain and functions and name not in functions:
        raise RecipeError(
            f"{file} has no function {name!r}.",
            "An audit asks a function from candles to forecasts.",
            f"Its functions are {', '.join(functions)}.",
        )


def _brings_no(name: str, statement: ast.stmt) -> bool:
    """Whether an import or an assignment is surely none of that name."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return not {name, "*"} & {alias.asname or alias.name for alias in statement.names}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return bool(targets) and all(isinstance(one, ast.Name) and one.id != name for one in targets)


def forecast_by(
    documents: Sequence[Mapping[str, Any]], plugins: tuple[Path, ...], candles: Candles, test_from: datetime
) -> pl.DataFrame:
    """What the last of these recipes forecasts from `test_from` on; those before it are what it is made of."""
    for plugin in plugins:
        load_plugin(plugin)
    *_, walk = backtest([recipe_of(document) for document in documents], candles, test_from)
    return to_frame(of_forecast(walk.forecast)).with_columns(pl.col("ds", "cutoff").dt.replace_time_zone("UTC"))


def _our_word(asked: Sequence[Recipe], feed: Feed) -> Declarations:
    """What is known of recipes without asking: how they work, and of shipped models how their settings were chosen."""
    known = Declarations(
        universe=(feed.symbol,), pretrained_until="never", seeds=len(asked[-1].seeds), closed="handed closed"
    )
    names = [recipe.model.name for recipe in asked]
    shipped = all(name in _TUNED for name in names)
    if not shipped or any(recipe.model != model_named(recipe.model.name)() for recipe in asked):
        return known
    days = [day for name in names if (day := _TUNED[name].until) != "never"]
    return replace(known, tuned_until=max(days, default="never"), trials=sum(_TUNED[name].trials for name in names))
