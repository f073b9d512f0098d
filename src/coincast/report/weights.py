"""Whom a fusion trusted, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..combine import Fusion
from ..runs import Run
from .ranking import hues
from .style import Axis, Chart, Figure, Label, colour, percent, scaffold
from .words import span, stamps

# A weight moves a little a day: so many points of it show all that can be seen.
_POINTS = 500


def charts(run: Run) -> list[Chart]:
    """Each fusion's weights from origin to origin, stacked; a chart a horizon."""
    return [
        _chart(run, fusion, run.weights[fusion.name][:, column], horizon)
        for fusion in fusions(run)
        for column, horizon in enumerate(run.outlook.horizons)
    ]


def fusions(run: Run) -> list[Fusion]:
    """The fusions of the run."""
    return [walk.recipe.model for walk in run.walks if isinstance(walk.recipe.model, Fusion)]


def _chart(run: Run, fusion: Fusion, weights: Float[np.ndarray, "origin member"], horizon: int) -> Chart:
    interval, origin = run.candles.feed.interval, run.walks[0].forecast.origin
    kept = np.unique(np.linspace(0, len(origin) - 1, _POINTS).round().astype(int))
    x = stamps(origin[kept], interval)
    roles = hues(run)
    shares = {name: 100 * weights[kept, number] for number, name in enumerate(fusion.members)}
    data = [_share(x, share, roles[name], name) for name, share in shares.items()]
    middles = np.cumsum(100 * weights[-1]) - 50 * weights[-1]
    labels = [Label(name, float(middle), f"{roles[name]}-text") for name, middle in zip(shares, middles, strict=True)]
    layout = scaffold(230, Axis(0, 100, f"% of the weight in {fusion.name}"), {"range": [x[0], x[-1]]}, labels=labels)
    layout["margin"]["r"] = 104
    ahead = f"{span(horizon, interval)} ahead"
    now = ", ".join(f"{name} {percent(weight, 0)}" for name, weight in zip(shares, weights[-1].tolist(), strict=True))
    caption = "" if len(kept) == len(origin) else f"Drawn at {len(kept)} of {len(origin):,} origins."
    return Chart(f"weights-{fusion.name}-{horizon}", data, layout, caption, f"{ahead}, at the end: {now}.", ahead)


def _share(x: Sequence[str], share: Float[np.ndarray, " point"], hue: str, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "stackgroup": "weights",
        "x": x,
        "y": share.tolist(),
        "name": name,
        "line": {"color": colour(hue), "width": 1.5},
        "fillcolor": colour(f"{hue}-faint"),
        "hovertemplate": "%{y:.0f} %",
    }


def heading(run: Run) -> str | None:
    """Whom the first fusion trusts most by now; None without one."""
    found = fusions(run)
    if not found:
        return None
    fusion, newest = found[0], run.weights[found[0].name][-1, 0]
    if fusion.rule == "equal" or len(fusion.members) == 1:
        return f"{fusion.name} gives each of its {len(fusion.members)} members the same weight"
    most = int(newest.argmax())
    return f"{fusion.name} trusts {fusion.members[most]} most by now: {percent(float(newest[most]), 0)} of the weight"
