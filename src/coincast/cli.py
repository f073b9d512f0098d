"""The command line: a command parses, calls one function, prints.

Each command imports what it needs when it runs, so that `coincast --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import CoincastError, DataError, RecipeError
from .threads import single_threaded

if TYPE_CHECKING:
    from .clean import Cleaned
    from .recipe import Recipe
    from .runs import Run

ALL_MODELS = "naive,naive-conformal,ewma-t,garch-t,seed-lstm,lstm-t"
TEST_SHARE = 0.3
# `run` shows the classic network as it is always shown: fitted once, on one chronological split. In a backtest it is
# refitted at its own pace.
FITTED_ONCE = {"seed-lstm": {"refit_days": 0}}
SEEDS = 8
REFUSED = 2
INTERRUPTED = 130

app = typer.Typer(
    name="coincast",
    help="Honest forecasts of cryptocurrency prices: candles in, a verdict and a forecast out.",
    epilog="An aid to decisions, not advice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SampleName = Annotated[str | None, typer.Option("--sample", help="Candles that ship inside: btc-1d or btc-1h.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="A CSV or Parquet file of candles, labelled by bar open.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="What the file holds, as BASE/QUOTE.")]
Interval = Annotated[str | None, typer.Option("--interval", help="The bars' length; read off the file if left out.")]
Exchange = Annotated[str, typer.Option("--exchange", help="Where the file's candles were traded.")]
Zone = Annotated[str | None, typer.Option("--tz", help="Zone of times that carry none, such as Europe/Berlin.")]
Since = Annotated[str | None, typer.Option("--since", help="Use bars from this day on.")]
Until = Annotated[str | None, typer.Option("--until", help="Use bars up to this day, itself included.")]
TestFrom = Annotated[
    str | None, typer.Option("--test-from", help="First day forecast; by default the last 30 % of a file.")
]
Models = Annotated[str, typer.Option("--models", help="Models to compare, by name.")]
Model = Annotated[str, typer.Option("--model", help="The model to train, by name.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A TOML file of settings.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file with models or features of yours.")]
Horizons = Annotated[str | None, typer.Option("--horizon", help="Intervals ahead, such as 1,7.")]
Seed = Annotated[int | None, typer.Option("--seed", help="First of the networks' eight seeds.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]
ProcessCount = Annotated[int | None, typer.Option("--processes", min=1, help="Worker processes; one a core.")]


def _main_job(*, page: bool) -> Callable[..., None]:
    def command(
        sample: SampleName = None,
        csv: Csv = None,
        symbol: Symbol = None,
        interval: Interval = None,
        exchange: Exchange = "file",
        tz: Zone = None,
        since: Since = None,
        until: Until = None,
        test_from: TestFrom = None,
        models: Models = ALL_MODELS,
        recipe: RecipeFile = None,
        plugin: Plugins = None,
        horizon: Horizons = None,
        seed: Seed = None,
        processes: ProcessCount = None,
        out: Out = Path("out"),
        json: Json = False,
    ) -> None:
        source = Source(sample, csv, symbol, interval, exchange, tz, since, until)
        choice = Choice(models, recipe, plugin, horizon, seed, FITTED_ONCE if page else {})
        done = _walk(source, choice, test_from, processes, out, quiet=json)
        _show(done, _draw(done, out) if page else None, json)

    return command


app.command("run", help="Candles in; a verdict, a forecast and a report out.")(_main_job(page=True))
app.command("backtest", help="The same without the page: walk forward, score, save.")(_main_job(page=False))


@app.command()
def report(out: Annotated[Path, typer.Argument(help="Folder of an earlier run or backtest.")] = Path("out")) -> None:
    """Draw report.html again from what a run left."""
    from .runs import Run

    typer.echo(_draw(Run.load(out), out))


@app.command()
def check(
    sample: SampleName = None,
    csv: Csv = None,
    symbol: Symbol = None,
    interval: Interval = None,
    exchange: Exchange = "file",
    tz: Zone = None,
    since: Since = None,
    until: Until = None,
    json: Json = False,
) -> None:
    """Read candles, say what had to be repaired."""
    from . import terminal

    cleaned, words = Source(sample, csv, symbol, interval, exchange, tz, since, until).load()
    _print(terminal.repairs(cleaned, words), terminal.repairs_document(cleaned, words), json)


@app.command()
def train(
    model: Model = "lstm-t",
    sample: SampleName = None,
    csv: Csv = None,
    symbol: Symbol = None,
    interval: Interval = None,
    exchange: Exchange = "file",
    tz: Zone = None,
    since: Since = None,
    until: Until = None,
    recipe: RecipeFile = None,
    plugin: Plugins = None,
    horizon: Horizons = None,
    seed: Seed = None,
    out: Out = Path("model"),
) -> None:
    """Train one model on all the candles and save it."""
    from . import terminal
    from .fitted import fit
    from .output import vacant

    vacant(out)
    cleaned, _ = Source(sample, csv, symbol, interval, exchange, tz, since, until).load()
    [wanted] = Choice(model, recipe, plugin, horizon, seed).recipes(cleaned.candles.feed.interval.name)
    with terminal.one_bar(model) as watch:
        fitted = fit(wanted, cleaned.candles, watch=watch)
    fitted.save(out)
    typer.echo(f"{model} has learnt from {cleaned.candles.feed} until {fitted.cutoff:%Y-%m-%d %H:%M} UTC: {out}")


@app.command()
def forecast(
    model: Annotated[Path, typer.Option("--model", help="Folder that `train` or a run wrote.")],
    sample: SampleName = None,
    csv: Csv = None,
    symbol: Symbol = None,
    interval: Interval = None,
    exchange: Exchange = "file",
    tz: Zone = None,
    since: Since = None,
    until: Until = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Ask a trained model what comes after the newest candle."""
    from . import terminal
    from .fitted import Fitted, predict
    from .runs import outlook_document

    _load_plugins(plugin)
    fitted = Fitted.load(model)
    cleaned, _ = Source(sample, csv, symbol, interval, exchange, tz, since, until).load()
    newest = predict(fitted, cleaned.candles)
    _print(terminal.outlook(newest), outlook_document(newest), json)


@app.command()
def models(plugin: Plugins = None, json: Json = False) -> None:
    """Name the models and say what each is."""
    from . import terminal
    from .models import MODELS, model_named

    _load_plugins(plugin)
    listed = {name: terminal.first_sentence(model_named(name)) for name in MODELS}
    _print(terminal.catalogue(listed), listed, json)


@app.command()
def features(plugin: Plugins = None, json: Json = False) -> None:
    """Name the features and say what each measures."""
    from . import terminal
    from .features import FEATURES

    _load_plugins(plugin)
    listed = {name: feature.says for name, feature in FEATURES.items()}
    _print(terminal.catalogue(listed), listed, json)


@dataclass(frozen=True)
class Source:
    """Which candles the options ask for."""

    sample: str | None
    csv: Path | None
    symbol: str | None
    interval: str | None
    exchange: str
    tz: str | None
    since: str | None
    until: str | None

    def load(self) -> tuple[Cleaned, str]:
        """The candles, cleaned and cut to the days asked for, and the name of the sample or file."""
        cleaned = self._sample() if self.csv is None else self._file(self.csv)
        return self._cut(cleaned), self.csv.name if self.csv else self.sample or "btc-1d"

    def _sample(self) -> Cleaned:
        from .sample import load

        return load(self.sample or "btc-1d")

    def _file(self, path: Path) -> Cleaned:
        from .clean import clean
        from .feed import Feed, Interval
        from .files import read
        from .rows import infer_interval

        if self.sample:
            raise RecipeError("Both --sample and --csv are given.", "A run has one source of candles.", "Give one.")
        if self.symbol is None:
            raise RecipeError(
                "No --symbol is given.",
                "A file of candles does not say what was traded and in which currency prices are.",
                "Add --symbol BASE/QUOTE, such as --symbol BTC/USDT.",
            )
        rows = read(path, self.tz)
        found = infer_interval(rows)
        if self.interval and Interval(self.interval) != found:
            raise DataError(
                f"--interval says {self.interval}, the bars of {path} are {found} apart.",
                "A wrong interval would shift every horizon.",
                f"Leave --interval out or set it to {found}.",
            )
        return clean(rows, Feed(self.exchange, self.symbol, found))

    def _cut(self, cleaned: Cleaned) -> Cleaned:
        candles = cleaned.candles
        if self.since:
            candles = candles.since(_day(self.since))
        if self.until:
            candles = candles.until(min(_day(self.until, last=True), candles.end))
        return replace(cleaned, candles=candles)


@dataclass(frozen=True)
class Choice:
    """Which models the options ask for, and how they are set."""

    models: str
    recipe: Path | None
    plugins: list[Path] | None
    horizon: str | None
    seed: int | None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def recipes(self, interval: str) -> list[Recipe]:
        """A recipe a model: what suits the interval and the command, then the file's settings, then the options'."""
        from .feed import Interval
        from .recipe import pace, read_settings, recipes

        _load_plugins(self.plugins)
        settings: dict[str, Any] = pace(Interval(interval))
        said = read_settings(self.recipe) if self.recipe else {}
        tables = said.pop("models", {})
        settings |= said
        settings["models"] = {
            name: {**self.tables.get(name, {}), **tables.get(name, {})} for name in {**self.tables, **tables}
        }
        if self.horizon:
            settings["horizons"] = self.horizon.split(",")
        if self.seed is not None:
            settings["seeds"] = tuple(range(self.seed, self.seed + SEEDS))
        return recipes([name.strip() for name in self.models.split(",") if name.strip()], settings)


def _walk(
    source: Source, choice: Choice, test_from: str | None, processes: int | None, out: Path, *, quiet: bool
) -> Run:
    from . import terminal
    from .runs import walk
    from .workers import Processes

    cleaned, words = source.load()
    wanted = choice.recipes(cleaned.candles.feed.interval.name)
    start = _day(test_from) if test_from else _default_start(cleaned, words)
    workers = Processes(processes or _cores(), tuple(choice.plugins or ()))
    try:
        with terminal.progress(wanted, cleaned.candles, start, quiet=quiet) as monitor:
            return walk(cleaned, words, wanted, start, out, do=workers, monitor=monitor)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Finished blocks are kept: the same command goes on from there.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _default_start(cleaned: Cleaned, name: str) -> datetime:
    """A sample's own first day of test; otherwise the last share of the bars."""
    from .feed import from_numpy
    from .sample import SAMPLES

    if name in SAMPLES:
        return SAMPLES[name].test_from
    time = cleaned.candles.time
    return from_numpy(time[round(len(time) * (1 - TEST_SHARE))])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _draw(done: Run, out: Path) -> Path:
    from .output import write
    from .report import render

    page = out / "report.html"
    write(page, render(done).encode())
    return page


def _show(done: Run, page: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from . import terminal

    _print(terminal.result(done, page, Console().width), done.document(), as_json)


def _print(text: Any, document: Any, as_json: bool) -> None:
    import json

    from rich.console import Console

    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        Console().print(text)


def _load_plugins(paths: list[Path] | None) -> None:
    from .recipe import load_plugin

    for path in paths or ():
        load_plugin(path)


def _day(text: str, *, last: bool = False) -> datetime:
    """An option's time in UTC: a day's start, or its end if it is the last day wanted."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise RecipeError(
            f"{text!r} is not a date.", "It bounds what is used.", "Write it as 2020-01-31 or 2020-01-31T12:00Z."
        ) from error
    if last and len(text) == len("2020-01-31"):
        time += timedelta(days=1)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def main() -> None:
    """Run a command; print an error a person can act on, never a traceback for bad input."""
    single_threaded()
    try:
        app()
    except CoincastError as error:
        typer.echo(f"error: {error.found}\n{error.why}\n{error.do}", err=True)
        sys.exit(REFUSED)
