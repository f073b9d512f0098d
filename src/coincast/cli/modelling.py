"""Commands that learn and forecast: run, backtest, report, train, forecast; and the lists of what they can name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Json, Plugins, day, expand, horizons_of, share_of
from .printing import interruptible, show, stack
from .source import Source

if TYPE_CHECKING:
    from ..clean import Cleaned
    from ..recipe import Recipe
    from ..runs import Run

ALL_MODELS = "naive,naive-conformal,ewma-t,garch-t,har-t,seed-lstm,lstm-t"
TEST_SHARE = 0.3
# `run` shows the classic network as it is always shown: fitted once, on one chronological split. In a backtest it is
# refitted at its own pace.
FITTED_ONCE = {"seed-lstm": {"refit_days": 0}}
SEEDS = 8

RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A TOML file of settings.")]
Horizons = Annotated[str | None, typer.Option("--horizon", help="Intervals ahead, such as 1,7 or 1-14.")]
Beside = Annotated[
    list[str] | None,
    typer.Option("--beside", help="Learn from this coin too: a stored feed, or ETH/USD=FILE. May be repeated."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="First of the networks' eight seeds.")]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """How to walk forward, and where to leave the result."""

    test_from: Annotated[
        str | None, typer.Option("--test-from", help="First day forecast; by default the last 30 % of a file.")
    ] = None
    models: Annotated[str, typer.Option("--models", help="Models to compare, by name.")] = ALL_MODELS
    recipe: RecipeFile = None
    plugin: Plugins = None
    beside: Beside = None
    horizon: Horizons = None
    seed: Seed = None
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Worker processes; one a core.")] = None
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("out")

    def go(self, source: Source, tables: Mapping[str, Mapping[str, Any]], *, quiet: bool) -> Run:
        """Read, learn, forecast, score, save. Interrupted, the same command goes on from there."""
        from .. import terminal
        from ..runs import walk
        from ..workers import Processes

        cleaned, words = source.load()
        beside = source.others(self.beside or (), cleaned.candles)
        interval = cleaned.candles.feed.interval.name
        wanted = choose(self.models, interval, self.recipe, self.plugin, self.horizon, self.seed, tables)
        start = start_of(cleaned, words, self.test_from)
        workers = Processes(self.processes or cores(), tuple(self.plugin or ()))
        with (
            interruptible("Interrupted. Finished blocks are kept: the same command goes on from there."),
            terminal.progress(wanted, cleaned.candles, start, quiet=quiet) as monitor,
        ):
            return walk(cleaned, words, wanted, start, self.out, beside=beside, do=workers, monitor=monitor)


@expand
def run(source: Source, walk: Walk, json: Json = False) -> None:
    """Candles in; a verdict, a forecast and a report out."""
    done = walk.go(source, FITTED_ONCE, quiet=json)
    _show(done, _draw(done, walk.out), json)


@expand
def backtest(source: Source, walk: Walk, json: Json = False) -> None:
    """The same without the page: walk forward, score, save."""
    _show(walk.go(source, {}, quiet=json), None, json)


def report(out: Annotated[Path, typer.Argument(help="Folder of an earlier run or backtest.")] = Path("out")) -> None:
    """Draw report.html again from what a run left."""
    from ..runs import Run

    typer.echo(_draw(Run.load(out), out))


@expand
def train(
    source: Source,
    model: Annotated[str, typer.Option("--model", help="The model to train, by name.")] = "lstm-t",
    recipe: RecipeFile = None,
    plugin: Plugins = None,
    beside: Beside = None,
    horizon: Horizons = None,
    seed: Seed = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("model"),
) -> None:
    """Train one model on all the candles and save it."""
    from .. import terminal
    from ..fitted import fit
    from ..output import vacant

    vacant(out)
    cleaned, _ = source.load()
    others = source.others(beside or (), cleaned.candles)
    [wanted] = choose(model, cleaned.candles.feed.interval.name, recipe, plugin, horizon, seed, {})
    with terminal.one_bar(model) as watch:
        fitted = fit(wanted, cleaned.candles, watch=watch, beside=others)
    fitted.save(out)
    typer.echo(f"{model} has learnt from {cleaned.candles.feed} until {fitted.cutoff:%Y-%m-%d %H:%M} UTC: {out}")


@expand
def forecast(
    source: Source,
    model: Annotated[Path, typer.Option("--model", help="Folder that `train` or a run wrote.")],
    touch: Annotated[
        list[float] | None, typer.Option("--touch", help="A price: how likely it is touched on the way.")
    ] = None,
    drawdown: Annotated[
        list[str] | None, typer.Option("--drawdown", help="Such as 10%: how likely a close lies so far under a peak.")
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Ask a trained model what comes after the newest candle, and what may happen on the way."""
    from .. import terminal
    from ..fitted import Fitted, predict
    from ..paths import shuffle
    from ..runs import outlook_document

    load_plugins(plugin)
    fitted = Fitted.load(model)
    cleaned, _ = source.load()
    newest = predict(fitted, cleaned.candles)
    shown, document = terminal.outlook(newest), outlook_document(newest)
    if touch or drawdown:
        depths = [share_of(text) for text in drawdown or ()]
        way = terminal.questions_document(shuffle(newest, cleaned.candles), touch or (), depths)
        shown, document = stack([shown, terminal.questions(way)]), {**document, "on_the_way": way}
    show(shown, document, json)


def models(plugin: Plugins = None, json: Json = False) -> None:
    """Name the models and say what each is."""
    from .. import terminal
    from ..models import COMBINERS, MODELS, model_named

    load_plugins(plugin)
    listed = {name: terminal.first_sentence(model_named(name)) for name in (*MODELS, *COMBINERS)}
    show(terminal.catalogue(listed), listed, json)


def features(plugin: Plugins = None, json: Json = False) -> None:
    """Name the features and say what each measures."""
    from .. import terminal
    from ..features import FEATURES

    load_plugins(plugin)
    listed = {name: feature.says for name, feature in FEATURES.items()}
    show(terminal.catalogue(listed), listed, json)


def choose(
    names: str,
    interval: str,
    recipe: Path | None,
    plugins: list[Path] | None,
    horizon: str | None,
    seed: int | None,
    tables: Mapping[str, Mapping[str, Any]],
) -> list[Recipe]:
    """A recipe a model: what suits the interval and the command, then the file's settings, then the options'."""
    from ..feed import Interval
    from ..recipe import pace, read_settings, recipes

    load_plugins(plugins)
    settings: dict[str, Any] = pace(Interval(interval))
    said = read_settings(recipe) if recipe else {}
    own = said.pop("models", {})
    settings |= said
    settings["models"] = {name: {**tables.get(name, {}), **own.get(name, {})} for name in {**tables, **own}}
    if horizon:
        settings["horizons"] = horizons_of(horizon)
    if seed is not None:
        settings["seeds"] = tuple(range(seed, seed + SEEDS))
    return recipes([name.strip() for name in names.split(",") if name.strip()], settings)


def choose_with_members(
    name: str, interval: str, recipe: Path | None, plugins: list[Path] | None, horizon: str | None
) -> list[Recipe]:
    """The recipe of one model, after those of the models it is made of, each once."""
    from ..combiner import Combiner

    [wanted] = choose(name, interval, recipe, plugins, horizon, None, {})
    members = wanted.model.members if isinstance(wanted.model, Combiner) else ()
    found = [one for member in members for one in choose_with_members(member, interval, recipe, plugins, horizon)]
    return list(dict.fromkeys([*found, wanted]))


def load_plugins(paths: list[Path] | None) -> None:
    """Make the models and features of these files known."""
    from ..recipe import load_plugin

    for path in paths or ():
        load_plugin(path)


def start_of(cleaned: Cleaned, name: str, test_from: str | None) -> datetime:
    """The first origin: as asked, or a sample's own first day of test, or that of the last share of the bars."""
    from ..feed import from_numpy
    from ..sample import SAMPLES

    if test_from:
        return day(test_from)
    if name in SAMPLES:
        return SAMPLES[name].test_from
    time = cleaned.candles.time
    return from_numpy(time[round(len(time) * (1 - TEST_SHARE))])


def cores() -> int:
    """How many processes can work at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _draw(done: Run, out: Path) -> Path:
    from ..output import write
    from ..report import render

    page = out / "report.html"
    write(page, render(done).encode())
    return page


def _show(done: Run, page: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from .. import terminal

    show(terminal.result(done, page, Console().width), done.document(), as_json)
