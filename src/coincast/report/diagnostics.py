"""Charts of how well the models did: training, calibration, score by time, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from scipy.stats import binom

from ..coverage import PIT_BINS
from ..diagnosis import cumulative_difference, residual_autocorrelation, rolling_coverage
from ..forecaster import History
from ..runs import Run
from ..scores import Summary, by_regime, by_year
from .resample import extremes
from .style import (
    MOST_MARKS,
    Axis,
    Chart,
    Figure,
    Label,
    area,
    colour,
    dots,
    hues,
    line,
    percent,
    scaffold,
    strip,
)
from .words import listed, span, stamps, unit

# A model further than this from its reference is off the scale of charts of skill: its number is given instead.
REACH = 0.05
PANEL = 170
LAGS = 10
RELIABILITY = np.arange(5, 100, 5)


def names_by_crps(run: Run, horizon: int) -> list[str]:
    """The models, best first."""
    scored = [(s.crps, s.model) for s in run.summaries if s.horizon == horizon and s.crps is not None]
    return [name for _, name in sorted(scored)]


def summary_of(run: Run, model: str, horizon: int) -> Summary:
    """One model's averages."""
    return next(s for s in run.summaries if (s.model, s.horizon) == (model, horizon))


def reference(run: Run) -> str | None:
    """What the models are compared with, if anything of the kind is in the run."""
    return next((v.reference for v in run.verdicts if v.reference), None)


def on_scale(run: Run, horizon: int) -> list[str]:
    """Models, best first, whose skill can be told apart in one chart; the reference itself is left out."""
    skills = {v.model: v.skill for v in run.verdicts if v.horizon == horizon and v.reference == reference(run)}
    return [name for name in names_by_crps(run, horizon) if abs(skills.get(name) or 1.0) <= REACH]


def training(run: Run) -> list[Chart]:
    """Loss by epoch of each network's last refit: one thin line a seed, the median thick."""
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    last = {walk.recipe.model.name: walk.fitted[-1].history for walk in run.walks}
    return [_losses(name, history, hue_of[name]) for name, history in last.items() if history is not None]


def _losses(name: str, history: History, hue: str) -> Chart:
    epochs = np.arange(1, history.train.shape[1] + 1)
    data: list[Figure] = []
    ends: list[Label] = []
    for values, role, word in ((history.train, "grey", "training"), (history.validation, hue, "validation")):
        for member in values if len(values) > 1 else ():
            data.append(line(epochs.tolist(), member.tolist(), f"{role}-faint", word, 0.75) | {"hoverinfo": "skip"})
        middle = np.nanmedian(values, axis=0)
        data.append(line(epochs.tolist(), middle.tolist(), role, f"{word}, median", 2.2))
        ends.append(Label(word, float(middle[np.isfinite(middle)][-1]), "muted" if role == "grey" else f"{hue}-text"))
    best = history.best_epoch
    marks = history.validation[np.arange(len(best)), best]
    data.append(dots((best + 1).tolist(), marks.tolist(), f"{hue}-text", "kept", 6, "circle-open"))
    curves = np.concatenate([history.train.ravel(), history.validation.ravel()])
    finite = curves[np.isfinite(curves)]
    axis = Axis.around([finite.min(), finite.max()], "loss", price=True)
    x = {"title": {"text": "epoch"}, "range": [0.5, len(epochs) + 0.5]}
    alternative = (
        f"Validation loss fell from {np.nanmedian(history.validation[:, 0]):.4g} to {np.median(marks):.4g} at the"
        f" epochs kept, {int(best.min()) + 1} to {int(best.max()) + 1}."
    )
    caption = "Rings: the epochs whose weights were kept."
    layout = scaffold(260, axis, x, ends, 70)
    return Chart(f"training-{name}", data, layout, caption, alternative, name, hue)


def pit(run: Run) -> list[Chart]:
    """Where the truths fell in each model's distributions: flat is right."""
    horizon = run.outlook.horizons[0]
    panels = [(name, summary_of(run, name, horizon).pit) for name in names_by_crps(run, horizon)]
    banded = [(name, held) for name, held in panels if held is not None and held.n]
    tallest = max((max(held.counts) * PIT_BINS / held.n for _, held in banded), default=1)
    axis = Axis(0, max(1.6, 1.05 * tallest), "", ticks=4)
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    out = []
    for name, held in banded:
        heights = [count * PIT_BINS / held.n for count in held.counts]
        low, high = (binom.ppf(q, held.n, 1 / PIT_BINS) * PIT_BINS / held.n for q in (0.025, 0.975))
        data = [
            {
                "type": "bar",
                "x": [(bin + 0.5) / PIT_BINS for bin in range(PIT_BINS)],
                "y": heights,
                "marker": {"color": colour(hue_of[name]), "opacity": 0.75, "line": {"width": 0}},
                "hovertemplate": "%{y:.2f} of an even share<extra></extra>",
            },
            line([0, 1], [1, 1], "ink", "", 1, "dot") | {"hoverinfo": "skip"},
        ]
        x = {"range": [0, 1], "tickvals": [0, 0.5, 1], "fixedrange": True}
        layout = scaffold(PANEL, axis, x) | {
            "bargap": 0.12,
            "hovermode": "closest",
            "shapes": [strip(0, 1, low, high)],
        }
        edges = 100 * (held.counts[0] + held.counts[-1]) / held.n
        text = f"{name}: {edges:.1f} % of truths in the outermost twentieths, 10 % expected."
        out.append(Chart(f"pit-{name}", data, layout, "", text, name, hue_of[name]))
    return out


def reliability(run: Run) -> list[Chart]:
    """By how much more or less often than promised the truth lay under each level."""
    horizon = run.outlook.horizons[0]
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    levels = RELIABILITY / 100
    deviations: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for name in names_by_crps(run, horizon):
        own = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon)["pit"].drop_nulls().to_numpy()
        if len(own):
            deviations[name] = 100 * ((own[:, None] <= levels).mean(axis=0) - levels)
            counts[name] = len(own)
    widest = max((float(np.abs(d).max()) for d in deviations.values()), default=5.0)
    axis = Axis(-max(6.0, 1.1 * widest), max(6.0, 1.1 * widest), "", zero=True, ticks=5)
    out = []
    for name, deviation in deviations.items():
        reach = 100 * 1.96 * np.sqrt(levels * (1 - levels) / counts[name])
        hue = hue_of[name]
        curve = line(RELIABILITY.tolist(), deviation.tolist(), hue, "", 1.5) | {
            "mode": "lines+markers",
            "marker": {"size": 4, "color": colour(hue)},
            "hovertemplate": "level %{x} %: %{y:+.1f} points<extra></extra>",
        }
        data = [area(RELIABILITY.tolist(), (-reach).tolist(), reach.tolist(), "chance"), curve]
        x = {"range": [0, 100], "tickvals": [5, 50, 95], "ticksuffix": " %", "fixedrange": True}
        layout = scaffold(PANEL, axis, x) | {"hovermode": "closest"}
        worst = int(np.abs(deviation).argmax())
        text = f"{name}: largest deviation {deviation[worst]:+.1f} points at the level {RELIABILITY[worst]} %."
        out.append(Chart(f"reliability-{name}", data, layout, "", text, name, hue))
    return out


def coverage_by_time(run: Run) -> Chart | None:
    """Share of the shown model's recent bands that held."""
    name, horizon = run.outlook.model, run.outlook.horizons[0]
    own = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon)
    window = int(np.clip(own["truth"].count() // 8, 30, 250))
    rolled = rolling_coverage(own, window)
    if rolled.is_empty():
        return None
    times = rolled["target_time"].dt.replace_time_zone(None).to_numpy()
    data: list[Figure] = []
    labels = []
    x = stamps(times, run.candles.feed.interval)
    for band, role in ((95, "fan-95-line"), (80, "fan-80-line"), (50, "fan-50-line")):
        share = 100 * rolled[f"coverage{band}"].to_numpy()
        kept = extremes(share, MOST_MARKS)
        data.append(line([x[0], x[-1]], [band, band], "grey", "", 1, "dot") | {"hoverinfo": "skip"})
        data.append(line([x[i] for i in kept], share[kept].tolist(), role, f"{band} % band", 1.8))
        labels.append(Label(f"{band} % band", band, "blue-text"))
    axis = Axis(min(30.0, 100 * float(rolled["coverage50"].min()) - 4), 101.5, "% of truths inside the band")
    shares = ", ".join(f"{percent(rolled[f'coverage{b}'].min(), 0)} to {percent(rolled[f'coverage{b}'].max(), 0)} inside"
                       f" the {b} % band" for b in (50, 80, 95))
    return Chart(
        "coverage",
        data,
        scaffold(300, axis, labels=labels, room=78),
        f"Share of {name}'s last {window} forecasts that held; dotted, what was promised.",
        f"Over windows of {window} forecasts: {shares}.",
    )


def lead(run: Run) -> list[Chart]:
    """How the lead over the reference grew, a chart a horizon."""
    rival = reference(run)
    if rival is None:
        return []
    table = cumulative_difference(run.scores, rival)
    return [chart for horizon in run.outlook.horizons if (chart := _lead(run, table, rival, horizon)) is not None]


def _lead(run: Run, table: pl.DataFrame, rival: str, horizon: int) -> Chart | None:
    shown = [name for name in on_scale(run, horizon) if name != rival]
    if not shown:
        return None
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    typical = summary_of(run, rival, horizon).crps or 1.0
    data, labels, every = [], [], [0.0]
    for name in shown:
        own = table.filter(pl.col("model") == name, pl.col("horizon") == horizon)
        y = -own["difference"].to_numpy() / typical
        times = own["target_time"].dt.replace_time_zone(None).to_numpy()
        kept = extremes(y, MOST_MARKS)
        data.append(line(stamps(times[kept], run.candles.feed.interval), y[kept].tolist(), hue_of[name], name, 1.8))
        labels.append(Label(name, float(y[-1]), f"{hue_of[name]}-text"))
        every += [float(y.min()), float(y.max())]
    axis = Axis.around(every, f"lead over {rival}, in {unit(run.candles.feed.interval)} of its mean CRPS", zero=True)
    text = "; ".join(f"{label.text} ends at {label.y:+.2f}" for label in labels)
    return Chart(
        f"lead-{horizon}",
        data,
        scaffold(280, axis, labels=labels, room=104),
        f"Rising: gaining on {rival}. {_off_scale(run, horizon, rival)}",
        f"Sum of CRPS saved against {rival}, in its mean CRPS: {text}.",
        f"{span(horizon, run.candles.feed.interval)} ahead",
    )


def _off_scale(run: Run, horizon: int, rival: str) -> str:
    shown = {*on_scale(run, horizon), rival}
    missing = [v for v in run.verdicts if v.horizon == horizon and v.model not in shown and v.skill is not None]
    if not missing:
        return ""
    said = [f"{v.model}, {percent(abs(v.skill), 0)} {'worse' if v.skill < 0 else 'better'}" for v in missing if v.skill]
    return f"Off this scale: {listed(said)}."


def periods(run: Run) -> list[Chart]:
    """The lead by year, as the verdict counts it, and by how volatile the market was."""
    rival, horizon = reference(run), run.outlook.horizons[0]
    shown = [name for name in on_scale(run, horizon) if name != rival]
    if rival is None or not shown:
        return []
    typical = summary_of(run, rival, horizon).crps or 1.0
    by_period = {
        v.model: [(period.label, period.n, -100 * period.mean_difference / typical) for period in v.periods]
        for v in run.verdicts
        if v.horizon == horizon and v.model in shown
    }
    regimes = by_regime(run.scores, run.candles, rival).filter(pl.col("horizon") == horizon)
    by_volatility = {
        name: [(row["regime"], row["n"], 100 * row["crps_skill"]) for row in own.iter_rows(named=True)]
        for name in shown
        if (own := regimes.filter(pl.col("model") == name)).height
    }
    return [
        _grouped(run, f"by-{key}", title, rival, {name: groups[name] for name in shown if groups.get(name)})
        for key, title, groups in (
            ("period", "By time", by_period),
            ("regime", "By volatility at the origin", by_volatility),
        )
        if any(groups.values())
    ]


def _grouped(run: Run, key: str, title: str, rival: str, groups: Mapping[str, list[tuple[str, int, float]]]) -> Chart:
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    data, labels, said = [], [], []
    for name, rows in groups.items():
        y = [value for *_, value in rows]
        trace = line([f"{label}<br>n {n:,}" for label, n, _ in rows], y, hue_of[name], name, 1)
        trace |= {"mode": "lines+markers", "marker": {"size": 8, "color": colour(hue_of[name])}}
        data.append(trace | {"hovertemplate": "%{y:+.2f} %"})
        labels.append(Label(name, y[-1], f"{hue_of[name]}-text"))
        said.append(f"{name}: " + ", ".join(f"{label} {value:+.2f} %" for label, _, value in rows))
    axis = Axis.around([0.0, *(v for trace in data for v in trace["y"])], f"% of {rival}’s CRPS saved", zero=True)
    layout = scaffold(280, axis, {"type": "category", "fixedrange": True}, labels, 104)
    layout["margin"]["b"] = 42
    return Chart(key, data, layout, "Above zero is better than the reference.", f"{title}. {'; '.join(said)}.", title)


def memory(run: Run) -> list[Chart]:
    """Autocorrelation of each model's errors."""
    horizon = run.outlook.horizons[0]
    table = residual_autocorrelation(run.scores, LAGS).filter(pl.col("horizon") == horizon)
    if table.is_empty():
        return []
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    reach = max(0.2, 1.1 * float(table["autocorrelation"].abs().max()), 1.1 * float(table["band"].max()))
    axis = Axis(-reach if table["autocorrelation"].min() < -0.3 * reach else -0.35 * reach, reach, "", zero=True, ticks=5)
    return [_memory(name, own, axis, hue_of[name]) for name in names_by_crps(run, horizon)
            if (own := table.filter(pl.col("model") == name)).height]


def _memory(name: str, own: pl.DataFrame, axis: Axis, hue: str) -> Chart:
    lags, values, band = own["lag"].to_list(), own["autocorrelation"].to_list(), own["band"].to_list()
    data = [
        {
            "type": "bar", "x": lags, "y": values, "width": 0.35,
            "marker": {"color": colour(hue), "line": {"width": 0}},
            "hovertemplate": "lag %{x}: %{y:.2f}<extra></extra>",
        },
    ]
    layout = scaffold(PANEL, axis, {"range": [0.4, LAGS + 0.6], "tickvals": [1, 5, 10], "fixedrange": True})
    text = f"{name}: lag 1 {values[0]:+.2f}, within ±{band[0]:.2f} expected of chance."
    layout |= {
        "hovermode": "closest",
        "shapes": [strip(lag - 0.5, lag + 0.5, -reach, reach) for lag, reach in zip(lags, band, strict=True)],
    }
    return Chart(f"memory-{name}", data, layout, "", text, name, hue)
