"""Charts of candles: the newest forecast, and all that the models saw."""

from __future__ import annotations

import numpy as np
import polars as pl

from ..feed import Interval
from ..forecast import Forecast
from ..runs import Run
from .resample import Bars, bars, in_words
from .style import MOST_MARKS, Axis, Chart, Figure, Label, area, colour, dots, line, price, scaffold
from .words import bar_of, listed, span, stamps, unit

# The widest first: each is drawn over the one before.
BANDS = (95, 80, 50)
# Candles to the left of the fan: this many times the longest horizon, within these ends.
PAST_PER_HORIZON, FEWEST_BARS, MOST_BARS = 8, 48, 160


def fan(run: Run) -> Chart:
    """Candles to the left, the newest forecast to the right, "no change" always there."""
    forecast, interval = run.outlook, run.candles.feed.interval
    shown = min(max(PAST_PER_HORIZON * forecast.horizons[-1], FEWEST_BARS), MOST_BARS, len(run.candles))
    recent = bars(run.candles, len(run.candles)).tail(shown)
    x = stamps(np.concatenate([forecast.origin, forecast.target_time[0]]), interval)
    edges = _edges(forecast)
    last = float(forecast.price[0])
    labels = [
        *(Label(f"{band} %", edges[band][-1], "blue-text") for band in BANDS),
        Label("median", edges[0][-1], "blue-text"),
        Label("no change", last, "muted"),
    ]
    data = [
        *(area(x, edges[-band], edges[band], f"fan-{band}") for band in BANDS),
        candlesticks(interval, recent),
        *rings(run, recent),
        _median(x, edges),
        line([x[0], x[-1]], [last, last], "grey", "no change", dash="dash"),
    ]
    layout = scaffold(
        430, _price_axis(run, recent, edges), _dates(recent.x(interval)[0], x[-1]), labels=labels, room=78
    )
    half = recent.tail(shown // 2)
    layout["meta"]["narrow"] = {
        "height": 360,
        "xaxis.range": [half.x(interval)[0], x[-1]],
        "yaxis.range": _price_axis(run, half, edges).range_like(layout["yaxis"]["type"]),
    }
    return Chart("fan", data, layout, _fan_caption(forecast, shown), _fan_alternative(forecast))


def _edges(forecast: Forecast) -> dict[int, list[float]]:
    """Prices along the fan from the origin on, by band; below zero the lower edges, 0 the median."""
    sides = sorted({side * band for band in BANDS for side in (-1, 0, 1)})
    return {side: [float(forecast.price[0]), *forecast.prices(0.5 + side / 200)[0].tolist()] for side in sides}


def _price_axis(run: Run, drawn: Bars, edges: dict[int, list[float]] | None = None) -> Axis:
    ends = [*(edges or {}).values()]
    extremes = (drawn.frame["low"].to_numpy().min(), drawn.frame["high"].to_numpy().max())
    return Axis.of_prices([*extremes, *(value for edge in ends for value in edge)], run.candles.feed.quote)


def _dates(first: str, last: str) -> Figure:
    return {"range": [first, last], "rangeslider": {"visible": False}}


def _median(x: list[str], edges: dict[int, list[float]]) -> Figure:
    marks = {"size": [0, *[6] * (len(x) - 1)], "color": colour("blue")}
    bands = [
        [f"{band} %: {price(edges[-band][i])} to {price(edges[band][i])}" for band in BANDS] for i in range(len(x))
    ]
    return line(x, edges[0], "blue", "median") | {
        "mode": "lines+markers",
        "cliponaxis": False,
        "marker": marks,
        "text": ["<br>".join(lines) for lines in bands],
        "hovertemplate": "median %{y}<br>%{text}<extra></extra>",
    }


def _fan_caption(forecast: Forecast, shown: int) -> str:
    caption = (
        f"The last {shown} candles and what {forecast.model} expects: the price should end inside the dark band half of"
        " the time, inside the lightest 95 times of 100."
    )
    if forecast.horizons == (1,):
        return caption
    if forecast.horizons == tuple(range(1, len(forecast.horizons) + 1)):
        return (
            f"{caption} It was forecast for each of the next {len(forecast.horizons)} {unit(forecast.feed.interval)}."
        )
    ahead = f"{listed([str(h) for h in forecast.horizons])} {unit(forecast.feed.interval)} ahead"
    return f"{caption} It was forecast for {ahead}; between, the band is interpolated."


def _fan_alternative(forecast: Forecast) -> str:
    feed = forecast.feed
    close = bar_of(forecast.origin[0], feed.interval)
    parts = [f"From the close of {close} at {price(float(forecast.price[0]))} {feed.quote}:"]
    for column, horizon in enumerate(forecast.horizons):
        low, middle, high = (price(float(forecast.prices(q)[0, column])) for q in (0.025, 0.5, 0.975))
        parts.append(f"{span(horizon, feed.interval)} ahead the median is {middle}, 95 % lie between {low} and {high}.")
    return " ".join(parts)


def history(run: Run) -> Chart:
    """All candles, with the start of the test and every mended or missing bar marked."""
    drawn = bars(run.candles, MOST_MARKS)
    x = drawn.x(run.candles.feed.interval)
    axis = _price_axis(run, drawn)
    layout = scaffold(340, axis, _dates(x[0], x[-1]))
    [start] = stamps(run.walks[0].forecast.origin[:1], run.candles.feed.interval)
    rule = {"color": colour("axis"), "width": 1, "dash": "dot"}
    layout["shapes"] = [{"type": "line", "x0": start, "x1": start, "yref": "paper", "y0": 0, "y1": 1, "line": rule}]
    words = {"text": "judged from here on", "x": start, "yref": "paper", "y": 1, "showarrow": False}
    layout["annotations"] = [words | {"xanchor": "right", "yanchor": "top", "xshift": -4}]
    closes = drawn.frame["close"].to_numpy()
    alternative = (
        f"{run.candles.feed.symbol} closed between {price(closes.min())} and {price(closes.max())}, at"
        f" {price(closes[0])} first and at {price(closes[-1])} last."
    )
    data = [candlesticks(run.candles.feed.interval, drawn), *rings(run, drawn)]
    return Chart("history", data, layout, _history_caption(run, drawn), alternative)


def _history_caption(run: Run, drawn: Bars) -> str:
    caption = "Every candle the models saw."
    if drawn.joined:
        caption = f"{len(run.candles):,} candles, drawn as {drawn.frame.height:,} of {in_words(drawn.length)} each."
    marked = touched(run, drawn).height
    if not marked:
        return caption
    within = "in which one was" if drawn.joined else "that was"
    return f"{caption} A ring marks a candle {within} missing or mended ({marked:,})."


def candlesticks(interval: Interval, drawn: Bars) -> Figure:
    """Hollow up, filled down, in ink: the forecast is the only strong colour."""
    thin = {"color": colour("candle"), "width": 0.8 if drawn.frame.height > MOST_BARS else 1}
    return {
        "type": "candlestick",
        "x": drawn.x(interval),
        **{name: drawn.frame[name].to_list() for name in ("open", "high", "low", "close")},
        "name": "",
        "increasing": {"line": thin, "fillcolor": colour("paper")},
        "decreasing": {"line": thin, "fillcolor": colour("candle")},
        "whiskerwidth": 0,
    }


def touched(run: Run, drawn: Bars) -> pl.DataFrame:
    """The drawn bars in which a bar was missing or a value was replaced."""
    mended = run.cleaned.repairs.frame.drop_nulls("put").select("time").sort("time")
    opens = drawn.frame.select("time", "known_at", bar="time").set_sorted("time")
    inside = mended.join_asof(opens, on="time", strategy="backward").filter(pl.col("time") < pl.col("known_at"))
    return drawn.frame.filter((pl.col("missing") > 0) | pl.col("time").is_in(inside["bar"].to_list()))


def rings(run: Run, drawn: Bars) -> list[Figure]:
    """A ring around every such bar."""
    marked = Bars(touched(run, drawn), drawn.length, drawn.joined)
    if marked.frame.is_empty():
        return []
    x, y = marked.x(run.candles.feed.interval), marked.frame["close"].to_list()
    words = {"hovertemplate": "mended or missing<extra></extra>"}
    return [dots(x, y, "yellow", "mended or missing", size=10, symbol="circle-open") | words]
