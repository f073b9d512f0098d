"""Charts of prices and of what was forecast of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..candles import Candles, Times
from ..forecast import Forecast
from ..runs import Run
from ..verdict import NAIVE, PRICE_MODEL
from .resample import Bars, bars, extremes, in_words, runs
from .style import MOST_MARKS, Axis, Chart, Figure, Label, area, colour, dots, hues, line, percent, price, scaffold
from .words import day, moment, span

BANDS = (95, 80, 50)
# Bars to the left of the fan, in longest horizons, and the fewest and most of them.
PAST_PER_HORIZON, FEWEST_BARS, MOST_BARS = 8, 48, 160
ZOOM_BARS = 36


def fan(run: Run) -> Chart:
    """Candles to the left, the newest forecast to the right, "no change" always there."""
    forecast, candles = run.outlook, run.candles
    shown = min(max(PAST_PER_HORIZON * forecast.horizons[-1], FEWEST_BARS), MOST_BARS, len(candles))
    recent = Bars(bars(candles, len(candles)).frame.tail(shown), candles.feed.interval.delta, joined=False)
    x = stamps(np.concatenate([forecast.origin, forecast.target_time[0]]))
    # Edges by band, below zero the lower ones; 0 is the median.
    edges = {
        side: [float(forecast.price[0]), *forecast.prices(0.5 + side / 200)[0].tolist()]
        for side in (-95, -80, -50, 0, 50, 80, 95)
    }
    low, high = recent.frame["low"].min(), recent.frame["high"].max()
    axis = Axis.around([low, high, *edges[-95], *edges[95]], candles.feed.quote, price=True)
    labels = [
        *(Label(f"{band} %", edges[band][-1], "blue-text") for band in BANDS),
        Label("median", edges[0][-1], "blue-text"),
        Label("no change", float(forecast.price[0]), "muted"),
    ]
    start = recent.frame["known_at"][0]
    layout = scaffold(460, axis, {"range": [stamp(start), x[-1]], "rangeslider": {"visible": False}}, labels, 78)
    layout["meta"] = {"narrow": {"xaxis.range": [x_after(recent, 0.45), x[-1]], "height": 360}}
    data = [
        *(area(x, edges[-band], edges[band], f"fan-{band}") for band in BANDS),
        *candlesticks(recent),
        *rings(run, recent),
        line([x[0], x[-1]], [edges[0][0]] * 2, "grey", "no change", 1.5, "dash"),
        _median(x, edges[0]),
    ]
    return Chart("fan", data, layout, _fan_caption(run, shown), _fan_alternative(forecast))


def _median(x: Sequence[str], y: Sequence[float]) -> Figure:
    return line(x, y, "blue", "median") | {
        "mode": "lines+markers",
        "marker": {"size": [0, *[6] * (len(x) - 1)], "color": colour("blue")},
    }


def _fan_caption(run: Run, shown: int) -> str:
    forecast = run.outlook
    horizons = " and ".join(map(str, forecast.horizons))
    between = f" It was forecast for {horizons} {unit(run)} ahead; between, the band is interpolated."
    return (
        f"The last {shown} candles, each standing at its close, and what {forecast.model} expects:"
        " the price should end inside the dark band half of the time and inside the lightest 95 times of 100."
        f"{between if forecast.horizons != (1,) else ''}"
    )


def unit(run: Run) -> str:
    """Bars in the plural: `days`, `bars of 4h`."""
    return span(2, run.candles.feed.interval).removeprefix("2 ")


def _fan_alternative(forecast: Forecast) -> str:
    parts = [f"From {price(float(forecast.price[0]))} {forecast.feed.quote} at {moment(forecast.origin[0])}:"]
    for column, h in enumerate(forecast.horizons):
        low, mid, high = (price(float(forecast.prices(q)[0, column])) for q in (0.025, 0.5, 0.975))
        parts.append(f"{span(h, forecast.feed.interval)} ahead median {mid}, 95 % between {low} and {high}.")
    return " ".join(parts)


def history(run: Run) -> Chart:
    """All candles, with the test span and every mended or missing bar marked."""
    drawn = bars(run.candles, MOST_MARKS)
    frame = drawn.frame
    axis = Axis.around([frame["low"].min(), frame["high"].max()], run.candles.feed.quote, price=True)
    start = stamp(run.test_from)
    layout = scaffold(340, axis, {"rangeslider": {"visible": False}})
    layout["shapes"] = [{"type": "line", "x0": start, "x1": start, "y0": 0, "y1": 1, "yref": "paper",
                         "line": {"color": colour("axis"), "width": 1, "dash": "dot"}}]
    layout["annotations"].append(
        {"text": "judged from here", "x": start, "y": 1, "yref": "paper", "showarrow": False, "xanchor": "right",
         "yanchor": "top", "xshift": -4}
    )
    caption = (
        "Every candle the models saw." if not drawn.joined
        else f"{len(run.candles):,} candles, drawn as {frame.height:,} of {in_words(drawn.length)} each."
    )
    marked = marked_bars(run, drawn).height
    caption += f" A ring marks a candle with a mended or missing bar in it ({marked:,})." if marked else ""
    first, last = frame["open"][0], frame["close"][-1]
    alternative = (
        f"{run.candles.feed.symbol} from {price(first)} on {day(run.candles.start)} to {price(last)} on"
        f" {day(run.candles.end)}; lowest {price(frame['low'].min())}, highest {price(frame['high'].max())}."
    )
    return Chart("history", [*candlesticks(drawn), *rings(run, drawn)], layout, caption, alternative)


def candlesticks(drawn: Bars) -> list[Figure]:
    """Hollow up, filled down, in ink: the forecast is the only strong colour. Each stands at its close."""
    frame = drawn.frame
    wide = frame.height > MOST_BARS
    return [
        {
            "type": "candlestick",
            "x": stamps(frame["known_at"].dt.replace_time_zone(None).to_numpy()),
            **{name: frame[name].to_list() for name in ("open", "high", "low", "close")},
            "name": "",
            "increasing": {"line": {"color": colour("candle"), "width": 0.8 if wide else 1}, "fillcolor": colour("paper")},
            "decreasing": {"line": {"color": colour("candle"), "width": 0.8 if wide else 1}, "fillcolor": colour("candle")},
            "whiskerwidth": 0,
        }
    ]


def marked_bars(run: Run, drawn: Bars) -> pl.DataFrame:
    """The drawn bars that hold a missing or a mended bar of the source."""
    mended = run.cleaned.repairs.frame.filter(pl.col("put").is_not_null()).select("time")
    starts = drawn.frame.select("time", "known_at", "high", "missing").set_sorted("time")
    hit = mended.sort("time").join_asof(
        starts.with_columns(pl.col("time").alias("bar")), on="time", strategy="backward"
    )
    hit = hit.filter(pl.col("time") < pl.col("known_at"))["bar"].unique()
    return drawn.frame.filter((pl.col("missing") > 0) | pl.col("time").is_in(hit.implode()))


def rings(run: Run, drawn: Bars) -> list[Figure]:
    """A ring around every bar that was mended or missing."""
    marked = marked_bars(run, drawn)
    if marked.is_empty():
        return []
    x = stamps(marked["known_at"].dt.replace_time_zone(None).to_numpy())
    trace = dots(x, marked["close"].to_list(), "yellow", "mended or missing", 10, "circle-open")
    return [trace | {"hovertemplate": "mended or missing<extra></extra>"}]


def bands(run: Run) -> Chart:
    """What the price did against what it was given room for, one step ahead."""
    name, horizon = run.outlook.model, run.outlook.horizons[0]
    rows = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon).drop_nulls("truth").sort("origin")
    times = rows["target_time"].dt.replace_time_zone(None).to_numpy()
    edges = runs(len(times), MOST_MARKS // 2)
    thinned = len(edges) - 1 < len(times)
    x = stamps(times[edges[1:] - 1])
    mean = {name: _means(rows[name], edges) for name in _edge_names()}
    missed = rows.filter(~pl.col("hit95"))
    truth = rows["truth"].to_numpy()
    kept = extremes(truth, MOST_MARKS)
    worst = missed.sort(pl.col("truth").abs(), descending=True).head(MOST_MARKS).sort("origin")
    axis = Axis.around(100 * np.concatenate([truth, *mean.values()]), "% change", zero=True)
    data = [
        *(area(x, mean[f"lo{band}"] * 100, mean[f"hi{band}"] * 100, f"fan-{band}") for band in BANDS),
        dots(stamps(times[kept]), 100 * truth[kept], "candle", "what happened", 2.5),
        dots(stamps(worst["target_time"].dt.replace_time_zone(None).to_numpy()), 100 * worst["truth"].to_numpy(),
             "vermilion", "outside 95 %", 6),
    ]
    caption = (
        f"Changes over {span(horizon, run.candles.feed.interval)} as dots, {name}'s bands of 50, 80 and 95 % behind"
        f" them; the {missed.height:,} red dots of {rows.height:,} fell outside 95 %."
    )
    if thinned:
        caption += f" Bands are means over {-(-len(times) // (len(edges) - 1))} forecasts, dots the extremes of as many."
    width = (rows["hi95"] - rows["lo95"]) / 2
    alternative = (
        f"Half the width of the 95 % band ran from {percent(width.min())} to {percent(width.max())};"
        f" {missed.height} of {rows.height} changes fell outside."
    )
    return Chart("bands", data, scaffold(300, axis), caption, alternative)


def _edge_names() -> list[str]:
    return [f"{end}{band}" for band in BANDS for end in ("lo", "hi")]


def _means(column: pl.Series, edges: np.ndarray) -> np.ndarray:
    return np.add.reduceat(column.to_numpy(), edges[:-1]) / np.diff(edges)


def echo(run: Run) -> list[Chart]:
    """The famous plot of a price LSTM, and the same plot looked at closely."""
    first = run.outlook.horizons[0]
    rows = run.scores.filter(pl.col("model") == PRICE_MODEL, pl.col("horizon") == first).drop_nulls("truth")
    rows = rows.sort("origin")
    if rows.is_empty():
        return []
    return [_echo_whole(run, rows), _echo_close(run, rows)]


def _echo_whole(run: Run, rows: pl.DataFrame) -> Chart:
    times = rows["target_time"].dt.replace_time_zone(None).to_numpy()
    actual, predicted = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
    axis = Axis.around([*actual, *predicted], run.candles.feed.quote, price=True)
    labels = [Label("actual", actual[-1], "ink"), Label(PRICE_MODEL, predicted[-1], "purple-text")]
    thinned = len(times) > MOST_MARKS
    data = []
    for values, role, name in ((actual, "ink", "actual"), (predicted, "purple", PRICE_MODEL)):
        kept = extremes(values, MOST_MARKS)
        data.append(line(stamps(times[kept]), values[kept], role, name))
    caption = "Seen from afar the forecast clings to the price: this is the plot in countless notebooks."
    if thinned:
        caption += f" Of {len(times):,} points the lowest and highest of every {2 * len(times) // MOST_MARKS} are drawn."
    correlation = float(np.corrcoef(actual, predicted)[0, 1])
    alternative = f"Forecast and actual price correlate at {correlation:.3f} over {len(times):,} forecasts."
    return Chart("echo", data, scaffold(300, axis, labels=labels, room=72), caption, alternative, "From afar")


def _echo_close(run: Run, rows: pl.DataFrame) -> Chart:
    start = _liveliest(rows["truth"].to_numpy(), ZOOM_BARS)
    near = rows.slice(start, ZOOM_BARS)
    x = stamps(near["target_time"].dt.replace_time_zone(None).to_numpy())
    lines = [("actual", "actual", "ink", "solid"), ("price", "no change", "grey", "dash"),
             ("predicted", PRICE_MODEL, "purple", "solid")]
    axis = Axis.around([v for column, *_ in lines for v in near[column]], run.candles.feed.quote, price=True)
    data = [line(x, near[column].to_list(), role, name, 1.5, dash) for column, name, role, dash in lines]
    roles = {"ink": "ink", "grey": "muted", "purple": "purple-text"}
    labels = [Label(name, near[column][-1], roles[role]) for column, name, role, _ in lines]
    caption = (
        f"The {ZOOM_BARS} {unit(run)} with the largest moves: the forecast turns after the price has turned, as"
        " “no change” does by design."
    )
    errors = {name: float(np.sqrt(((near["actual"] - near[column]) ** 2).mean())) for column, name, *_ in lines[1:]}
    alternative = (
        f"From {x[0]} to {x[-1]} the RMSE of {PRICE_MODEL} is {price(errors[PRICE_MODEL])}, of no change"
        f" {price(errors['no change'])} {run.candles.feed.quote}."
    )
    return Chart("echo-close", data, scaffold(300, axis, labels=labels, room=72), caption, alternative, "From close by")


def _liveliest(returns: np.ndarray, length: int) -> int:
    """Where the `length` neighbours with the largest sum of squares start."""
    energy = np.concatenate([[0.0], np.cumsum(returns**2)])
    length = min(length, len(returns))
    return int(np.argmax(energy[length:] - energy[:-length]))


def stamps(times: Times) -> list[str]:
    """Times as Plotly reads them: days alone where all are at midnight."""
    whole = times.astype("datetime64[D]")
    return (whole if (whole == times).all() else times.astype("datetime64[m]")).astype(str).tolist()


def stamp(time: Any) -> str:
    """One aware time likewise."""
    return f"{time:%Y-%m-%d %H:%M}"


def x_after(drawn: Bars, share: float) -> str:
    """The time at which this share of the drawn bars has passed."""
    return stamp(drawn.frame["known_at"][int(share * drawn.frame.height)])
