"""Charts of forecasts beside what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from ..feed import Feed
from ..runs import Run
from ..verdict import PRICE_MODEL
from .prices import BANDS
from .ranking import judged
from .resample import extremes, runs
from .style import MOST_MARKS, Axis, Chart, Figure, Label, area, dots, line, price, scaffold
from .words import span, stamps, unit

ENDS = tuple(f"{end}{band}" for band in BANDS for end in ("lo", "hi"))
ZOOM = 36


class _Line(NamedTuple):
    """A line of the price LSTM's charts."""

    column: str
    name: str
    hue: str
    label: str
    dash: str


_ACTUAL = _Line("actual", "actual", "ink", "ink", "solid")
_NO_CHANGE = _Line("price", "no change", "grey", "muted", "dash")
_PREDICTED = _Line("predicted", PRICE_MODEL, "purple", "purple-text", "solid")


def bands(run: Run) -> Chart | None:
    """What the price did against the room it was given, one step ahead; None for a model without bands."""
    name, horizon = run.outlook.model, run.outlook.horizons[0]
    changes = judged(run, name, horizon).drop_nulls("pit").with_columns(pl.col("truth", *ENDS).exp() * 100 - 100)
    if changes.is_empty():
        return None
    x = np.array(_x(changes, run.candles.feed))
    truth = changes["truth"].to_numpy()
    outside = np.flatnonzero(~changes["hit95"].to_numpy())
    caption = (
        f"Changes over {span(horizon, run.candles.feed.interval)} as dots on {name}’s bands of 50, 80 and 95 %; the"
        f" {len(outside):,} red dots of {len(x):,} fell outside."
    )
    edges = runs(len(x), MOST_MARKS // 2)
    if len(edges) <= len(x):
        caption += (
            f" Bands are means over some {len(x) // (len(edges) - 1)} forecasts; of the dots the extremes are drawn."
        )
    width = (changes["hi95"] - changes["lo95"]).to_numpy()
    alternative = (
        f"The 95 % band was between {width.min():.3g} and {width.max():.3g} percentage points wide;"
        f" {len(outside):,} of {len(x):,} changes fell outside."
    )
    means = {end: np.add.reduceat(changes[end].to_numpy(), edges[:-1]) / np.diff(edges) for end in ENDS}
    axis = Axis.around([*truth, *means["lo95"], *means["hi95"]], "% change of the price", zero=True)
    data = [*_bands(x[(edges[:-1] + edges[1:]) // 2], means), *_dots(x, truth, outside)]
    return Chart("bands", data, scaffold(300, axis, {"range": [x[0], x[-1]]}), caption, alternative)


def _bands(x: np.ndarray, means: dict[str, np.ndarray]) -> list[Figure]:
    return [area(x.tolist(), means[f"lo{band}"].tolist(), means[f"hi{band}"].tolist(), f"fan-{band}") for band in BANDS]


def _dots(x: np.ndarray, truth: np.ndarray, outside: np.ndarray) -> list[Figure]:
    kept = extremes(truth, MOST_MARKS)
    farthest = np.sort(outside[np.argsort(-np.abs(truth[outside]))][:MOST_MARKS])
    return [
        dots(x[kept].tolist(), truth[kept].tolist(), "candle", "change, %", size=2.5),
        dots(x[farthest].tolist(), truth[farthest].tolist(), "vermilion", "outside 95 %"),
    ]


def _x(rows: pl.DataFrame, feed: Feed) -> list[str]:
    return stamps(rows["target_time"].dt.replace_time_zone(None).to_numpy(), feed.interval)


def echo(run: Run) -> list[Chart]:
    """The famous plot of a price LSTM, and the same plot looked at closely; nothing if there is none in the run."""
    rows = judged(run, PRICE_MODEL, run.outlook.horizons[0])
    return [] if rows.is_empty() else [_from_afar(run, rows), _close_by(run, rows)]


def _from_afar(run: Run, rows: pl.DataFrame) -> Chart:
    caption = "Seen from afar the forecast clings to the price: this is the plot in countless notebooks."
    if rows.height > MOST_MARKS:
        caption += f" Of every {2 * rows.height // MOST_MARKS} points the lowest and the highest are drawn."
    correlation = np.corrcoef(rows["actual"].to_numpy(), rows["predicted"].to_numpy())[0, 1]
    alternative = f"Forecast and actual price correlate at {correlation:.3f} over {rows.height:,} forecasts."
    data, layout = _prices(run, rows, (_ACTUAL, _PREDICTED))
    return Chart("echo", data, layout, caption, alternative, "From afar")


def _close_by(run: Run, rows: pl.DataFrame) -> Chart:
    near = rows.slice(_liveliest(rows["truth"].to_numpy(), ZOOM), ZOOM)
    caption = (
        f"The {near.height} {unit(run.candles.feed.interval)} with the largest moves: the forecast turns after the"
        " price has turned, as “no change” does by design."
    )
    off = {name: (near["actual"] - near[name]).to_numpy() for name in ("predicted", "price")}
    error = {name: price(float(np.sqrt(np.mean(values**2)))) for name, values in off.items()}
    alternative = (
        f"In these {near.height} forecasts the RMSE of {PRICE_MODEL} is {error['predicted']}, of no change"
        f" {error['price']} {run.candles.feed.quote}."
    )
    data, layout = _prices(run, near, (_ACTUAL, _NO_CHANGE, _PREDICTED))
    return Chart("echo-close", data, layout, caption, alternative, "From close by")


def _prices(run: Run, rows: pl.DataFrame, lines: Sequence[_Line]) -> tuple[list[Figure], Figure]:
    x = np.array(_x(rows, run.candles.feed))
    prices = [rows[drawn.column].to_numpy() for drawn in lines]
    axis = Axis.of_prices(np.concatenate(prices).tolist(), run.candles.feed.quote)
    data, labels = [], []
    for values, (_, name, hue, label, dash) in zip(prices, lines, strict=True):
        kept = extremes(values, MOST_MARKS)
        data.append(line(x[kept].tolist(), values[kept].tolist(), hue, name, dash=dash))
        labels.append(Label(name, float(values[-1]), label))
    return data, scaffold(300, axis, {"range": [x[0], x[-1]]}, labels=labels, room=72)


def _liveliest(returns: Float[np.ndarray, " forecast"], length: int) -> int:
    """Where the `length` neighbours with the largest sum of squares start."""
    energy = np.concatenate([[0.0], np.cumsum(returns**2)])
    length = min(length, len(returns))
    return int(np.argmax(energy[length:] - energy[:-length]))
