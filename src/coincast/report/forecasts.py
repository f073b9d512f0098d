"""Charts of prices and of what was forecast of them."""

from __future__ import annotations

from collections.abc import Sequence
import numpy as np
import polars as pl

from ..forecast import Forecast
from ..runs import Run
from ..verdict import NAIVE, PRICE_MODEL
from .resample import Bars, bars, extremes, in_words, runs
from .style import MOST_MARKS, Axis, Chart, Figure, Label, area, colour, dots, line, price, scaffold
from .words import bar_of, span, stamps, unit

# The widest first: each is drawn over the one before.
BANDS = (95, 80, 50)
_ENDS = tuple(f"{end}{band}" for band in BANDS for end in ("lo", "hi"))
# Bars to the left of the fan, in longest horizons, and the fewest and most of them.
PAST_PER_HORIZON, FEWEST_BARS, MOST_BARS = 8, 48, 160
ZOOM_BARS = 36


def fan(run: Run) -> Chart:
    """Candles to the left, the newest forecast to the right, "no change" always there."""
    forecast, candles = run.outlook, run.candles
    shown = min(max(PAST_PER_HORIZON * forecast.horizons[-1], FEWEST_BARS), MOST_BARS, len(candles))
    recent = Bars(bars(candles, len(candles)).frame.tail(shown), candles.feed.interval.delta, joined=False)
    past = recent.x(candles.feed.interval)
    x = stamps(np.concatenate([forecast.origin, forecast.target_time[0]]), candles.feed.interval)
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
    layout = scaffold(430, axis, {"range": [past[0], x[-1]], "rangeslider": {"visible": False}}, labels, 78)
    layout["meta"]["narrow"] = {"xaxis.range": [past[len(past) // 2], x[-1]], "height": 360}
    data = [
        *(area(x, edges[-band], edges[band], f"fan-{band}") for band in BANDS),
        *candlesticks(run, recent),
        *rings(run, recent),
        line([x[0], x[-1]], [edges[0][0]] * 2, "grey", "no change", 1.5, "dash"),
        _median(x, edges[0]),
    ]
    return Chart("fan", data, layout, _fan_caption(run, shown), _fan_alternative(forecast))


def _median(x: Sequence[str], y: Sequence[float]) -> Figure:
    return line(x, y, "blue", "median") | {
        "mode": "lines+markers",
        "cliponaxis": False,
        "marker": {"size": [0, *[6] * (len(x) - 1)], "color": colour("blue")},
    }


def _fan_caption(run: Run, shown: int) -> str:
    forecast = run.outlook
    horizons = " and ".join(map(str, forecast.horizons))
    between = f" It was forecast for {horizons} {unit(run.candles.feed.interval)} ahead; between, the band is interpolated."
    return (
        f"The last {shown} candles and what {forecast.model} expects: the price should end inside the dark band half of"
        " the time, inside the lightest 95 times of 100."
        f"{between if forecast.horizons != (1,) else ''}"
    )


def _fan_alternative(forecast: Forecast) -> str:
    origin = bar_of(forecast.origin[0], forecast.feed.interval)
    parts = [f"From the close of {origin} at {price(float(forecast.price[0]))} {forecast.feed.quote}:"]
    for column, h in enumerate(forecast.horizons):
        low, mid, high = (price(float(forecast.prices(q)[0, column])) for q in (0.025, 0.5, 0.975))
        parts.append(f"{span(h, forecast.feed.interval)} ahead median {mid}, 95 % between {low} and {high}.")
    return " ".join(parts)


def history(run: Run) -> Chart:
    """All candles, with the test span and every mended or missing bar marked."""
    drawn = bars(run.candles, MOST_MARKS)
    frame = drawn.frame
    axis = Axis.around([frame["low"].min(), frame["high"].max()], run.candles.feed.quote, price=True)
    [start] = stamps(run.walks[0].forecast.origin[:1], run.candles.feed.interval)
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
        f"{run.candles.feed.symbol} from {price(first)} to {price(last)}; lowest {price(frame['low'].min())}, highest {price(frame['high'].max())}."
    )
    return Chart("history", [*candlesticks(run, drawn), *rings(run, drawn)], layout, caption, alternative)


def candlesticks(run: Run, drawn: Bars) -> list[Figure]:
    """Hollow up, filled down, in ink: the forecast is the only strong colour."""
    frame = drawn.frame
    wide = frame.height > MOST_BARS
    return [
        {
            "type": "candlestick",
            "x": drawn.x(run.candles.feed.interval),
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
    x = Bars(marked, drawn.length, drawn.joined).x(run.candles.feed.interval)
    trace = dots(x, marked["close"].to_list(), "yellow", "mended or missing", 10, "circle-open")
    return [trace | {"hovertemplate": "mended or missing<extra></extra>"}]


def bands(run: Run) -> Chart | None:
    """What the price did against what it was given room for, one step ahead."""
    name, horizon, interval = run.outlook.model, run.outlook.horizons[0], run.candles.feed.interval
    rows = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon).drop_nulls("pit").sort("origin")
    if rows.is_empty():
        return None
    changes = rows.with_columns(pl.col("truth", *_ENDS).exp() * 100 - 100)
    x = np.array(stamps(changes["target_time"].dt.replace_time_zone(None).to_numpy(), interval))
    edges = runs(len(x), MOST_MARKS // 2)
    mean = {end: np.add.reduceat(changes[end].to_numpy(), edges[:-1]) / np.diff(edges) for end in _ENDS}
    truth, missed = changes["truth"].to_numpy(), ~changes["hit95"].to_numpy()
    kept, outside = extremes(truth, MOST_MARKS), np.flatnonzero(missed)
    far = np.sort(outside[np.argsort(-np.abs(truth[outside]))][:MOST_MARKS])
    middle = x[(edges[:-1] + edges[1:]) // 2].tolist()
    data = [
        *(area(middle, mean[f"lo{band}"].tolist(), mean[f"hi{band}"].tolist(), f"fan-{band}") for band in BANDS),
        dots(x[kept].tolist(), truth[kept].tolist(), "candle", "change, %", 2.5),
        dots(x[far].tolist(), truth[far].tolist(), "vermilion", "outside 95 %", 6),
    ]
    caption = (
        f"Changes over {span(horizon, interval)} as dots on {name}’s bands of 50, 80 and 95 %; the {len(outside):,}"
        f" red dots of {len(x):,} fell outside."
    )
    if len(middle) < len(x):
        caption += f" Bands are means over {-(-len(x) // len(middle))} forecasts, dots the extremes of {MOST_MARKS // 2:,} runs."
    width = (changes["hi95"] - changes["lo95"]).to_numpy()
    alternative = (
        f"The 95 % band was between {width.min():.3g} and {width.max():.3g} percentage points wide;"
        f" {len(outside):,} of {len(x):,} changes fell outside."
    )
    axis = Axis.around([*truth, *mean["lo95"], *mean["hi95"]], "% change of the price", zero=True)
    return Chart("bands", data, scaffold(300, axis, {"range": [x[0], x[-1]]}), caption, alternative)


def echo(run: Run) -> list[Chart]:
    """The famous plot of a price LSTM, and the same plot looked at closely."""
    first = run.outlook.horizons[0]
    rows = run.scores.filter(pl.col("model") == PRICE_MODEL, pl.col("horizon") == first).drop_nulls("truth")
    rows = rows.sort("origin")
    if rows.is_empty():
        return []
    return [_echo_whole(run, rows), _echo_close(run, rows)]


def _echo_whole(run: Run, rows: pl.DataFrame) -> Chart:
    interval = run.candles.feed.interval
    times = rows["target_time"].dt.replace_time_zone(None).to_numpy()
    actual, predicted = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
    axis = Axis.around([*actual, *predicted], run.candles.feed.quote, price=True)
    labels = [Label("actual", actual[-1], "ink"), Label(PRICE_MODEL, predicted[-1], "purple-text")]
    thinned = len(times) > MOST_MARKS
    data = []
    for values, role, name in ((actual, "ink", "actual"), (predicted, "purple", PRICE_MODEL)):
        kept = extremes(values, MOST_MARKS)
        data.append(line(stamps(times[kept], interval), values[kept], role, name))
    caption = "Seen from afar the forecast clings to the price: this is the plot in countless notebooks."
    if thinned:
        caption += f" Of {len(times):,} points the lowest and highest of every {2 * len(times) // MOST_MARKS} are drawn."
    correlation = float(np.corrcoef(actual, predicted)[0, 1])
    alternative = f"Forecast and actual price correlate at {correlation:.3f} over {len(times):,} forecasts."
    return Chart("echo", data, scaffold(300, axis, labels=labels, room=72), caption, alternative, "From afar")


def _echo_close(run: Run, rows: pl.DataFrame) -> Chart:
    start = _liveliest(rows["truth"].to_numpy(), ZOOM_BARS)
    near = rows.slice(start, ZOOM_BARS)
    x = stamps(near["target_time"].dt.replace_time_zone(None).to_numpy(), run.candles.feed.interval)
    lines = [("actual", "actual", "ink", "solid"), ("price", "no change", "grey", "dash"),
             ("predicted", PRICE_MODEL, "purple", "solid")]
    axis = Axis.around([v for column, *_ in lines for v in near[column]], run.candles.feed.quote, price=True)
    data = [line(x, near[column].to_list(), role, name, 1.5, dash) for column, name, role, dash in lines]
    roles = {"ink": "ink", "grey": "muted", "purple": "purple-text"}
    labels = [Label(name, near[column][-1], roles[role]) for column, name, role, _ in lines]
    caption = (
        f"The {ZOOM_BARS} {unit(run.candles.feed.interval)} with the largest moves: the forecast turns after the price has turned, as"
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
