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
from .resample import extremes
from .style import MOST_MARKS, Axis, Chart, Figure, Label, area, dots, line, price, scaffold
from .words import span, stamps, unit

ENDS = tuple(f"{end}{band}" for band in BANDS for end in ("lo", "hi"))
# Forecasts in the chart of bands, and in the price LSTM's from close by.
STRETCH, ZOOM = 500, 36


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
    name, interval = run.outlook.model, run.candles.feed.interval
    whole = judged(run, name, run.outlook.horizons[0]).drop_nulls("pit")
    if whole.is_empty():
        return None
    shown = whole.slice(_liveliest(whole["truth"].to_numpy(), STRETCH), STRETCH)
    changes = shown.with_columns(pl.col("truth", *ENDS).exp() * 100 - 100)
    outside = changes.filter(~pl.col("hit95"))
    caption = (
        f"Changes over {span(run.outlook.horizons[0], interval)} as dots on {name}’s bands of 50, 80 and 95 %;"
        f" {outside.height:,} of {shown.height:,} fell outside, in red."
    )
    if whole.height > shown.height:
        missed = whole.height - whole["hit95"].sum()
        caption += (
            f" These are the liveliest {shown.height:,} forecasts; of all {whole.height:,}, {missed:,} fell outside."
        )
    width = (changes["hi95"] - changes["lo95"]).to_numpy()
    alternative = f"The 95 % band was between {width.min():.3g} and {width.max():.3g} percentage points wide."
    axis = Axis.around(
        [v for end in ("truth", "lo95", "hi95") for v in changes[end]], "% change of the price", zero=True
    )
    x = _x(changes, run.candles.feed)
    data = [
        *(area(x, changes[f"lo{band}"].to_list(), changes[f"hi{band}"].to_list(), f"fan-{band}") for band in BANDS),
        dots(x, changes["truth"].to_list(), "candle", "change, %", size=2.5),
        dots(_x(outside, run.candles.feed), outside["truth"].to_list(), "vermilion", "outside 95 %"),
    ]
    return Chart("bands", data, scaffold(300, axis, {"range": [x[0], x[-1]]}), caption, alternative)


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
    error = {name: price(float(np.sqrt(np.mean(values**2))), 4) for name, values in off.items()}
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
