"""A run as one page: verdict, fan, scores, doubts, colophon; everything inside, nothing fetched."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

import jinja2
import numpy as np
from plotly.offline import get_plotlyjs

from ..feed import Feed
from ..realised import NAME as REALISED
from ..runs import Run
from ..value import Worth, worth
from . import (
    attention,
    calibration,
    details,
    networks,
    outcomes,
    prices,
    ranking,
    scoreboard,
    skill,
    statements,
    weights,
    worth_section,
)
from .style import Chart
from .words import span

NOT_ADVICE = "An aid to decisions, not advice."


def render(run: Run) -> str:
    """The report: one HTML document that needs no network.

    Args:
        run: a finished run.

    Returns:
        The document; everything that came with the data is escaped in it.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    found = worth(run)
    answer = worth_section.section(run, found)
    charts = draw(run, found)
    figures = {chart.name: {"data": chart.data, "layout": chart.layout} for group in charts.values() for chart in group}
    return environment.from_string(_resource("page.html.jinja")).render(
        run=run,
        feed=run.candles.feed,
        opening=statements.opening(run),
        dateline=statements.dateline(run),
        fan=statements.fan(run),
        headings=_headings(run, answer),
        charts=charts,
        convergence=networks.convergence(run),
        score_tables=scoreboard.score_tables(run),
        details=details,
        worth=answer,
        ahead=span(run.outlook.horizons[0], run.candles.feed.interval),
        recipes=recipes(run),
        again=command_again(run),
        hues=ranking.hues(run),
        not_advice=NOT_ADVICE,
        style=_resource("style.css"),
        script=_resource("page.js"),
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        figures=encode(figures),
    )


def _headings(run: Run, answer: worth_section.Section | None) -> dict[str, str]:
    """The statement over each section, in the order of the page."""
    said = statements.headings(run)
    before = [place for place in ("scores", "echo", "training", "weights", "calibration") if place in said]
    mine = {"worth": answer.heading} if answer else {}
    return {**{place: said[place] for place in before}, **mine, **said}


def draw(run: Run, found: Worth) -> dict[str, list[Chart]]:
    """Every chart of the page, by its place in it, in the order in which they are seen."""
    wanted: dict[str, Chart | Sequence[Chart] | None] = {
        "fan": prices.fan(run),
        "echo": outcomes.echo(run),
        "training": [*networks.curves(run), *attention.charts(run)],
        "weights": weights.charts(run),
        "bands": outcomes.bands(run),
        "coverage": calibration.by_time(run),
        "pit": calibration.pit(run),
        "reliability": calibration.reliability(run),
        "capital": worth_section.capital(run, found),
        "lead": skill.lead(run),
        "periods": skill.periods(run),
        "memory": skill.memory(run),
        "history": prices.history(run),
    }
    return {place: [found] if isinstance(found, Chart) else list(found or ()) for place, found in wanted.items()}


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def command_again(run: Run) -> str:
    """The command that makes this run again, given the same settings in its recipe file if there was one; FILE stands
    for files that it cannot name.
    """
    recipe = run.walks[0].recipe
    series = [word for name in run.candles.outside for word in _of_series(name)]
    coins = [word for name in run.beside for word in ("--beside", name if _is_stored(run) else _of_file(name))]
    source = [*_source_of(run), *series, *coins]
    models = ",".join(walk.recipe.model.name for walk in run.walks)
    horizons = ",".join(map(str, recipe.horizons))
    span = ["--since", _date(run.candles.start), "--until", _date(run.candles.end, last=True)]
    words = [*source, *span, "--test-from", _date(run.test_from), "--models", models, "--horizon", horizons]
    return shlex.join(["coincast", "run", *words, "--seed", str(min(recipe.seeds))])


def _source_of(run: Run) -> list[str]:
    """Where the candles came from: a sample, a snapshot of the store, or a file."""
    feed = run.candles.feed
    if run.is_sample:
        return ["--sample", run.source]
    if _is_stored(run):
        return ["--feed", run.source]
    traded = [] if feed.exchange == "file" else ["--exchange", feed.exchange]
    return ["--csv", run.source, "--symbol", feed.symbol, *traded]


def _of_series(name: str) -> tuple[str, str]:
    return ("--finer", "FILE") if name == REALISED else ("--outside", name)


def _is_stored(run: Run) -> bool:
    return run.source.startswith(f"{run.candles.feed}@")


def _of_file(name: str) -> str:
    return f"{Feed.parse(name).symbol}=FILE"


def _date(time: datetime, *, last: bool = False) -> str:
    """As the command line reads it: a day, or the very time if that is not midnight."""
    if (time.hour, time.minute) != (0, 0):
        return f"{time:%Y-%m-%dT%H:%MZ}"
    return f"{time - timedelta(days=1) if last else time:%Y-%m-%d}"


def recipes(run: Run) -> list[dict[str, Any]]:
    """What each model was made by."""
    return [
        {
            "name": walk.recipe.model.name,
            "digest": walk.recipe.digest,
            "refits": len(walk.fitted),
            "seeds": ", ".join(map(str, walk.recipe.seeds)),
            "document": json.dumps(walk.recipe.document(), indent=2),
        }
        for walk in run.walks
    ]


def encode(value: object) -> str:
    """JSON that may stand inside a script element: no NaN, no tag, six significant digits."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
