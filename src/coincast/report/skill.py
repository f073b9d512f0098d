"""Charts of who was ahead when, and of what is left in the errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ..diagnosis import cumulative_difference, residual_autocorrelation
from ..runs import Run
from .calibration import PANEL
from .ranking import challengers, hues, on_scale, ranked, reference, summary
from .resample import extremes
from .style import MOST_MARKS, Axis, Chart, Figure, Label, colour, line, percent, scaffold, strip
from .words import listed, span, stamps, unit

LAGS = 10
# Label, number of forecasts, percent of the reference's CRPS saved.
Groups = Sequence[tuple[str, int, float]]


def lead(run: Run) -> list[Chart]:
    """How the lead over the reference grew, a chart a horizon."""
    rival = reference(run)
    if rival is None:
        return []
    table = cumulative_difference(run.scores, rival)
    return [_lead(run, table, rival, horizon) for horizon in run.outlook.horizons if on_scale(run, horizon)]


def _lead(run: Run, table: pl.DataFrame, rival: str, horizon: int) -> Chart:
    interval = run.candles.feed.interval
    typical = _crps(run, rival, horizon)
    data, labels, every = [], [], [0.0]
    for name in on_scale(run, horizon):
        own = table.filter(pl.col("model") == name, pl.col("horizon") == horizon)
        y = -own["difference"].to_numpy() / typical
        x = stamps(own["target_time"].dt.replace_time_zone(None).to_numpy(), interval)
        kept = extremes(y, MOST_MARKS)
        data.append(line([x[i] for i in kept], y[kept].tolist(), hues(run)[name], name, width=1.8))
        labels.append(Label(name, float(y[-1]), f"{hues(run)[name]}-text"))
        every += [float(y.min()), float(y.max())]
    axis = Axis.around(every, f"lead over {rival}, in {unit(interval)} of its mean CRPS", zero=True)
    layout = scaffold(290, axis, labels=labels, room=104)
    ends = "; ".join(f"{label.text} ends at {label.y:+.2f}" for label in labels)
    alternative = f"CRPS saved against {rival} so far, in units of its mean: {ends}."
    caption = f"Rising: gaining on {rival}. {_off_scale(run, horizon)}"
    return Chart(f"lead-{horizon}", data, layout, caption, alternative, f"{span(horizon, interval)} ahead")


def _crps(run: Run, model: str, horizon: int) -> float:
    found = summary(run, model, horizon)
    return (found.crps if found else None) or 1.0


def _off_scale(run: Run, horizon: int) -> str:
    off = {name: v.skill for name, v in challengers(run, horizon).items() if name not in on_scale(run, horizon)}
    said = [
        f"{name}, {percent(abs(skill), 0)} {'worse' if skill < 0 else 'better'}" for name, skill in off.items() if skill
    ]
    return f"Off this scale: {listed(said)}." if said else ""


def periods(run: Run) -> list[Chart]:
    """The lead by year, as the verdict counts it, and by how volatile the market was."""
    rival, horizon = reference(run), run.outlook.horizons[0]
    shown = on_scale(run, horizon)
    if rival is None or not shown:
        return []
    typical = _crps(run, rival, horizon)
    verdicts = challengers(run, horizon)
    years = {n: [(p.label, p.n, -100 * p.mean_difference / typical) for p in verdicts[n].periods] for n in shown}
    regimes = run.regimes.filter(pl.col("horizon") == horizon)
    volatility = {n: _regimes(regimes.filter(pl.col("model") == n)) for n in shown}
    charts = (("by-period", "By time", years), ("by-regime", "By volatility at the origin", volatility))
    return [_grouped(run, name, title, groups) for name, title, groups in charts if all(groups.values())]


def _regimes(rows: pl.DataFrame) -> Groups:
    return [(regime, n, 100 * saved) for regime, n, saved in rows.select("regime", "n", "crps_skill").iter_rows()]


def _grouped(run: Run, name: str, title: str, groups: Mapping[str, Groups]) -> Chart:
    rival = reference(run)
    data = [_group(model, rows, hues(run)[model]) for model, rows in groups.items()]
    labels = [Label(model, rows[-1][2], f"{hues(run)[model]}-text") for model, rows in groups.items()]
    axis = Axis.around(
        [0.0, *(v for rows in groups.values() for *_, v in rows)], f"% of {rival}’s CRPS saved", zero=True
    )
    layout = scaffold(290, axis, {"type": "category", "fixedrange": True}, labels=labels, room=104)
    layout["margin"]["b"] = 42
    said = [f"{m}: " + ", ".join(f"{label} {v:+.2f} %" for label, _, v in rows) for m, rows in groups.items()]
    caption = f"Above zero: better than {rival}."
    return Chart(name, data, layout, caption, f"{title}. {'; '.join(said)}.", title)


def _group(model: str, rows: Groups, hue: str) -> Figure:
    points = line([f"{label}<br>n {n:,}" for label, n, _ in rows], [v for *_, v in rows], hue, model, width=1)
    marker = {"size": 8, "color": colour(hue)}
    return points | {"mode": "lines+markers", "marker": marker, "hovertemplate": "%{y:+.2f} %"}


def memory(run: Run) -> list[Chart]:
    """What each model's errors remember of the errors before."""
    horizon = run.outlook.horizons[0]
    table = residual_autocorrelation(run.scores, LAGS).filter(pl.col("horizon") == horizon)
    if table.is_empty():
        return []
    values, bands = table["autocorrelation"].to_numpy(), table["band"].to_numpy()
    high = 1.1 * max(0.15, values.max(), bands.max())
    low = 1.1 * min(-0.15, values.min(), -bands.max())
    axis = Axis(float(low), float(high), "", zero=True, ticks=5)
    own = {name: table.filter(pl.col("model") == name) for name in ranked(run, horizon)}
    return [_memory(name, rows, axis, hues(run)[name]) for name, rows in own.items() if rows.height]


def _memory(name: str, rows: pl.DataFrame, axis: Axis, hue: str) -> Chart:
    lags, values, bands = (rows[column].to_list() for column in ("lag", "autocorrelation", "band"))
    bars = {
        "type": "bar",
        "x": lags,
        "y": values,
        "width": 0.35,
        "marker": {"color": colour(hue), "line": {"width": 0}},
        "hovertemplate": "lag %{x}: %{y:+.2f}<extra></extra>",
    }
    layout = scaffold(PANEL, axis, {"range": [0.4, LAGS + 0.6], "tickvals": [1, 5, 10], "fixedrange": True})
    chance = [strip(lag - 0.5, lag + 0.5, -band, band) for lag, band in zip(lags, bands, strict=True)]
    layout |= {"hovermode": "closest", "shapes": chance}
    alternative = f"{name}: {values[0]:+.2f} at lag 1, where chance allows ±{bands[0]:.2f}."
    return Chart(f"memory-{name}", [bars], layout, "", alternative, name, hue)
