"""Charts of promises kept: do truths fall where the distributions said they would?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import binom

from ..coverage import PIT_BINS, Pit
from ..diagnosis import rolling_coverage
from ..runs import Run
from .prices import BANDS
from .ranking import hues, judged, ranked, summary
from .resample import extremes
from .style import MOST_MARKS, Axis, Chart, Figure, Label, area, colour, line, percent, scaffold, strip
from .words import stamps

PANEL = 170
LEVELS = np.arange(5, 100, 5) / 100


def pit(run: Run) -> list[Chart]:
    """Where the truths fell in each model's distributions: flat is right."""
    horizon = run.outlook.horizons[0]
    found = [(name, s.pit) for name in ranked(run, horizon) if (s := summary(run, name, horizon))]
    banded = [(name, held) for name, held in found if held is not None and held.n]
    tallest = max((max(held.counts) * PIT_BINS / held.n for _, held in banded), default=1.0)
    axis = Axis(0, max(1.6, 1.05 * tallest), "", ticks=4)
    return [_pit(name, held, axis, hues(run)[name]) for name, held in banded]


def _pit(name: str, held: Pit, axis: Axis, hue: str) -> Chart:
    even = held.n / PIT_BINS
    low, high = (float(binom.ppf(q, held.n, 1 / PIT_BINS)) / even for q in (0.025, 0.975))
    bars = {
        "type": "bar",
        "x": [(k + 0.5) / PIT_BINS for k in range(PIT_BINS)],
        "y": [count / even for count in held.counts],
        "marker": {"color": colour(hue), "opacity": 0.75, "line": {"width": 0}},
        "hovertemplate": "%{y:.2f} times an even share<extra></extra>",
    }
    promised = line([0, 1], [1, 1], "ink", "", width=1, dash="dot") | {"hoverinfo": "skip"}
    layout = scaffold(PANEL, axis, {"range": [0, 1], "tickvals": [0, 0.5, 1], "fixedrange": True})
    layout |= {"bargap": 0.12, "hovermode": "closest", "shapes": [strip(0, 1, low, high)]}
    outermost = percent((held.counts[0] + held.counts[-1]) / held.n)
    alternative = f"{name}: {outermost} of truths fell into the two outermost twentieths, where 10 % belong."
    return Chart(f"pit-{name}", [bars, promised], layout, "", alternative, name, hue)


def reliability(run: Run) -> list[Chart]:
    """By how much more or less often than promised the truth lay under each level."""
    horizon = run.outlook.horizons[0]
    found = {name: judged(run, name, horizon)["pit"].drop_nulls().to_numpy() for name in ranked(run, horizon)}
    banded = {name: pit for name, pit in found.items() if len(pit)}
    deviations = {name: 100 * ((pit[:, None] <= LEVELS).mean(axis=0) - LEVELS) for name, pit in banded.items()}
    reach = max([6.0, *(1.1 * float(np.abs(d).max()) for d in deviations.values())])
    axis = Axis(-reach, reach, "", zero=True, ticks=5)
    return [_reliability(name, d, len(banded[name]), axis, hues(run)[name]) for name, d in deviations.items()]


def _reliability(name: str, deviation: Float[np.ndarray, " level"], n: int, axis: Axis, hue: str) -> Chart:
    x = (100 * LEVELS).tolist()
    chance = 196 * np.sqrt(LEVELS * (1 - LEVELS) / n)
    curve = line(x, deviation.tolist(), hue, "") | {
        "mode": "lines+markers",
        "marker": {"size": 4, "color": colour(hue)},
        "hovertemplate": "level %{x:.0f} %: %{y:+.1f} points<extra></extra>",
    }
    ticks = {"range": [0, 100], "tickvals": [5, 50, 95], "ticksuffix": " %", "fixedrange": True}
    layout = scaffold(PANEL, axis, ticks) | {"hovermode": "closest"}
    worst = int(np.abs(deviation).argmax())
    alternative = f"{name}: the largest deviation is {deviation[worst]:+.1f} points, at the level {x[worst]:.0f} %."
    data = [area(x, (-chance).tolist(), chance.tolist(), "chance"), curve]
    return Chart(f"reliability-{name}", data, layout, "", alternative, name, hue)


def by_time(run: Run) -> Chart | None:
    """Share of the shown model's recent bands that held; None for a model without bands or with few forecasts."""
    name = run.outlook.model
    own = judged(run, name, run.outlook.horizons[0])
    window = min(max(own.height // 8, 30), 250)
    rolled = rolling_coverage(own, window)
    if rolled.is_empty():
        return None
    x = stamps(rolled["target_time"].dt.replace_time_zone(None).to_numpy(), run.candles.feed.interval)
    shares = {band: 100 * rolled[f"coverage{band}"].to_numpy() for band in BANDS}
    data = [trace for band, share in shares.items() for trace in _share(x, share, band)]
    labels = [Label(f"{band} % band", band, "blue-text") for band in BANDS]
    axis = Axis(min(30.0, float(shares[50].min()) - 4), 101.5, "% of truths inside the band")
    ranges = ", ".join(f"{s.min():.0f} to {s.max():.0f} % inside the {band} % band" for band, s in shares.items())
    caption = f"Share of {name}’s last {window} forecasts that held; dotted, what was promised."
    if len(x) > MOST_MARKS:
        caption += f" Of every {2 * len(x) // MOST_MARKS} points the lowest and the highest are drawn."
    layout = scaffold(300, axis, {"range": [x[0], x[-1]]}, labels=labels, room=78)
    return Chart("coverage", data, layout, caption, f"Over any {window} forecasts: {ranges}.")


def _share(x: list[str], share: np.ndarray, band: int) -> list[Figure]:
    kept = extremes(share, MOST_MARKS)
    promised = line([x[0], x[-1]], [band, band], "grey", "", width=1, dash="dot") | {"hoverinfo": "skip"}
    return [promised, line([x[i] for i in kept], share[kept].tolist(), f"fan-{band}-line", f"{band} % band", width=1.8)]
