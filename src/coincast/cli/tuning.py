"""The command `tune`: a model's settings, chosen by experiment before the test begins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .modelling import Horizons, RecipeFile, choose, start_of
from .options import Json, Plugins, expand
from .printing import interruptible, progress, show
from .source import Source


@expand
def tune(
    source: Source,
    model: Annotated[str, typer.Option("--model", help="The model to tune, by name.")] = "lstm-t",
    test_from: Annotated[
        str | None, typer.Option("--test-from", help="First day of the test: nothing from then on is looked at.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Settings to try, earlier ones included.")] = 30,
    only: Annotated[str | None, typer.Option("--only", help="Settings to search, such as units,rate.")] = None,
    sampler: Annotated[str, typer.Option("--sampler", help="What is tried next: tpe or random.")] = "tpe",
    seed: Annotated[int, typer.Option("--seed", help="Of the sampler.")] = 0,
    recipe: RecipeFile = None,
    plugin: Plugins = None,
    horizon: Horizons = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for trials, tuning.json and recipe.toml.")] = Path("tuned"),
    json: Json = False,
) -> None:
    """Search a model's settings on the candles before the test, and write the best as a recipe."""
    from rich.console import Console

    from ..terminal.tuning import tuning
    from ..tuning import tune as search

    cleaned, words = source.load()
    [start] = choose(model, cleaned.candles.feed.interval.name, recipe, plugin, horizon, None, {})
    names = [name.strip() for name in only.split(",")] if only else []
    with (
        interruptible("Interrupted. Finished trials are kept: the same command goes on from there."),
        progress("tune", quiet=json) as watch,
    ):
        found = search(
            start,
            cleaned.candles,
            start_of(cleaned, words, test_from),
            out,
            trials=trials,
            only=names,
            sampler=sampler,
            seed=seed,
            watch=watch,
        )
    found.save(out)
    show(tuning(found, out / "recipe.toml", Console().width), found.document(), json)
