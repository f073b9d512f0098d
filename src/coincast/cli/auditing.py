"""The command `audit`: does a pipeline see the future, and are its forecasts what is claimed of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import RecipeError
from .modelling import Horizons, RecipeFile, choose_with_members, cores, start_of
from .options import NO, Json, Plugins, expand
from .printing import interruptible, progress, show
from .source import Source

if TYPE_CHECKING:
    from datetime import datetime

    from ..audit import Pipeline
    from ..candles import Candles


@expand
def audit(
    target: Annotated[str, typer.Argument(help="A function as pipeline.py:forecast, or one of the models by name.")],
    source: Source,
    test_from: Annotated[
        str | None, typer.Option("--test-from", help="First day forecast, for a function that takes test_from.")
    ] = None,
    declare: Annotated[
        Path | None, typer.Option("--declare", help="A TOML file with what no test shows, and with claims.")
    ] = None,
    recipe: RecipeFile = None,
    plugin: Plugins = None,
    horizon: Horizons = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for one answer.")] = 300.0,
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Answers worked on at a time.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report here, as a page.")] = None,
    json: Json = False,
) -> None:
    """Look for leaks in a forecasting pipeline; exit code 1 unless it passes."""
    from rich.console import Console

    from .. import audit as auditing
    from .. import terminal
    from ..output import make_folder, write
    from ..report import render_audit

    if html:
        make_folder(html.parent)
    cleaned, words = source.load()
    candles = cleaned.candles
    start = start_of(cleaned, words, test_from)
    pipeline = _pipeline(target, candles, start, recipe, plugin, horizon)
    if declare:
        pipeline = pipeline.with_word(*auditing.read_declarations(declare))
    with (
        interruptible("Interrupted: nothing was concluded and nothing written."),
        progress(pipeline.name, quiet=json) as monitor,
    ):
        found = auditing.audit(
            pipeline,
            candles,
            test_from=start,
            timeout=timeout,
            processes=processes or cores(),
            monitor=monitor,
        )
    if html:
        write(html, render_audit(found).encode())
    show(terminal.audit(found, Console().width), found.document(), json)
    if found.outcome != "passed":
        raise typer.Exit(NO)


def _pipeline(
    target: str, candles: Candles, start: datetime, recipe: Path | None, plugin: list[Path] | None, horizon: str | None
) -> Pipeline:
    """A function in a file, or a model with its settings."""
    from ..audit import Pipeline

    if ".py:" in target:
        if recipe or horizon:
            raise RecipeError(
                "--recipe or --horizon is given for a function.", "They set a model's settings.", "Leave them out."
            )
        return Pipeline.load(target)
    if target.endswith(".py"):
        raise RecipeError(
            f"{target!r} names a file and no function in it.",
            "An audit asks a function from candles to forecasts.",
            f"Write it as {target}:forecast.",
        )
    *members, wanted = choose_with_members(target, candles.feed.interval.name, recipe, plugin, horizon)
    return Pipeline.of_recipe(wanted, candles, start, tuple(plugin or ()), members)
