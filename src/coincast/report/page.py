"""A run as one page: verdict, fan, scores, doubts, colophon; everything inside, nothing fetched."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..runs import Run
from ..verdict import verdict_sentence
from . import diagnostics, forecasts, scoreboard, statements
from .style import Chart, hues
from .words import span

NOT_ADVICE = "An aid to decisions, not advice."


def render(run: Run) -> str:
    """The report: one HTML document that needs no network.

    Args:
        run: a finished run.

    Returns:
        The document; everything that came with the data is escaped in it.
    """
    charts: list[Chart] = []

    def draw(wanted: Chart | Sequence[Chart] | None) -> list[Chart]:
        drawn = [wanted] if isinstance(wanted, Chart) else list(wanted or ())
        charts.extend(drawn)
        return drawn

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_resource("page.html.jinja")).render(
        run=run,
        feed=run.candles.feed,
        draw=draw,
        figures=lambda: Markup(encode({c.name: {"data": c.data, "layout": c.layout} for c in charts})),
        forecasts=forecasts,
        diagnostics=diagnostics,
        scoreboard=scoreboard,
        say=statements,
        opening=opening(run),
        headings=statements.headings(run),
        recipes=recipes(run),
        hues=hues([walk.recipe.model.name for walk in run.walks]),
        span=span,
        again=again(run),
        not_advice=NOT_ADVICE,
        style=Markup(_resource("style.css")),
        script=Markup(_resource("page.js")),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
    )


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def opening(run: Run) -> list[Markup]:
    """The verdict in words, its numbers leading to where they are shown."""
    first = run.outlook.horizons[0]
    verdict = next(v for v in run.verdicts if (v.model, v.horizon) == (run.outlook.model, first))
    text = verdict_sentence(verdict, run.summaries, run.candles.feed)
    return [statements.linked(sentence) for sentence in text.replace(") It", ")\0It").replace(". ", ".\0").split("\0")]


def again(run: Run) -> str:
    """The command that makes this run again."""
    return f"coincast run --sample {run.source}" if run.is_sample else f"coincast run --csv {run.source}"


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


def encode(value: Any) -> str:
    """JSON that may stand inside a script element: no NaN, no tag, six significant digits."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
