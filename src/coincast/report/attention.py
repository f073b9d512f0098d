"""How far back a network with attention listens."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ..runs import Run
from .ranking import hues
from .style import Axis, Chart, Figure, Label, dots, line, scaffold

# What a state calls it, by member and distance.
ATTENTION = "attention"


def charts(run: Run) -> list[Chart]:
    """The attention of each network's last refit: one thin line a seed, their mean thick."""
    found = {walk.recipe.model.name: walk.fitted[-1].state for walk in run.walks if walk.fitted}
    return [_chart(name, state[ATTENTION], hues(run)[name]) for name, state in found.items() if ATTENTION in state]


def _chart(name: str, attention: Float[np.ndarray, "member span"], hue: str) -> Chart:
    shares = 100 * attention.astype(float)
    back, mean, even = list(range(shares.shape[1])), shares.mean(axis=0), 100 / shares.shape[1]
    quiet = {"hoverinfo": "skip"}
    data = [
        *(line(back, member.tolist(), f"{hue}-faint", "one seed", width=0.75) | quiet for member in shares),
        line([back[0], back[-1]], [even, even], "grey", "all alike", dash="dash") | quiet,
        line(back, mean.tolist(), hue, "mean", width=2.2),
        dots(back, mean.tolist(), f"{hue}-text", "mean", size=4),
    ]
    ends = [Label("mean", float(mean[-1]), f"{hue}-text"), Label("all alike", even, "muted")]
    x: Figure = {"title": {"text": "bars back", "font": {"size": 12}, "standoff": 6}, "range": [-0.5, len(back) - 0.5]}
    axis = Axis(0.0, 1.08 * float(shares.max()), "% of the attention")
    layout = scaffold(270, axis, x, labels=ends, room=70)
    near, alike = mean[:8].sum(), 8 * even
    caption = "Thin: one line a seed; dashed: all bars alike. Over the newest origins it learnt from."
    alternative = f"{near:.0f} % of {name}'s attention is on the last 8 of {len(back)} bars; all alike: {alike:.0f} %."
    return Chart(f"attention-{name}", data, layout, caption, alternative, f"{name}: how far back it listens", hue)
