"""The gallery as one page: what was reported and what was lived, the autopsy, then each mistake with its code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
import numpy as np
import polars as pl
from jaxtyping import Float
from plotly.offline import get_plotlyjs

from ..feed import Feed
from ..gallery.exhibit import Exhibit, Gallery
from ..gallery.faults import Shown
from ..gallery.tutorial import Score
from ..runs import versions
from .audit_page import typeset
from .page import NOT_ADVICE, encode
from .resample import extremes
from .standings import lag_rows
from .style import MOST_MARKS, Axis, Chart, Figure, Label, colour, dots, line, percent, price, scaffold
from .words import bar_of, candles_of, moment, stamps, unit

# Height of a mistake's row in the overview, and of the charts of prices, in px.
ROW, PRICES = 24, 300
# Forecasts seen from close by.
ZOOM = 36
# Errors of more than so many times that of "no change" stand at the edge of the overview.
FAR = 4.0
_WAYS: dict[Shown, str] = {
    "perturbation": "by changing bars it must not know",
    "scoring": "by scoring its forecasts",
    "declaration": "by what its maker declares",
}


def render_gallery(gallery: Gallery) -> str:
    """The page: one HTML document that needs no network.

    Args:
        gallery: what `coincast.gallery.curator.show` made.

    Returns:
        The document; everything that came with the data is escaped in it.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    over = overview(gallery)
    closely = echo(gallery)
    figures = {chart.name: {"data": chart.data, "layout": chart.layout} for chart in (over, *closely)}
    return environment.from_string(_resource("gallery.html.jinja")).render(
        gallery=gallery,
        sentence=gallery.sentence,
        dateline=dateline(gallery),
        overview=over,
        echo=closely,
        autopsy=typeset(gallery.autopsy.headline) if gallery.autopsy else "",
        lags=lag_rows(gallery.autopsy) if gallery.autopsy else [],
        exhibits=[entry(one) for one in gallery.exhibits],
        versions=versions(),
        not_advice=NOT_ADVICE,
        style=_resource("style.css"),
        script=_resource("page.js"),
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        figures=encode(figures),
    )


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def dateline(gallery: Gallery) -> str:
    """What was learnt from and forecast."""
    candles = gallery.candles
    interval = candles.feed.interval
    who = f"the median of {gallery.learners} networks" if gallery.learners > 1 else f"one {gallery.learner}"
    return (
        f"{len(candles):,} {candles_of(interval)} of {candles.feed.symbol}, {moment(candles.start, interval)} to"
        f" {bar_of(candles.end, interval)}, forecast from the close of {bar_of(gallery.audit.test_from, interval)} on;"
        f" every number is {who}. Mistakes that need shorter bars or several coins are shown on others. Times are UTC."
    )


# --- all of them ------------------------------------------------------------------------------------------------------


def overview(gallery: Gallery) -> Chart:
    """A row a mistake: the error of the sound recipe, as reported with the mistake, and live."""
    shown = gallery.exhibits
    ratios = [[score.ratio for score in (one.without, one.told, one.lived)] for one in shown]
    edge = 1.05 * max([1.1, *(ratio for row in ratios for ratio in row if ratio is not None and ratio < FAR)])
    marks = [[None if ratio is None else min(ratio, edge) for ratio in row] for row in ratios]
    axis = Axis(len(shown) - 0.5, -0.5, "RMSE as a multiple of that of “no change” over the same forecasts")
    layout = scaffold(ROW * len(shown) + 68, axis, _across(edge))
    layout["yaxis"] |= {
        "tickvals": list(range(len(shown))),
        "ticktext": [one.mistake.name for one in shown],
        "showgrid": False,
        "tickformat": "",
        "ticklabelstandoff": 6,
    }
    layout["margin"]["t"] = 24
    layout |= {"hovermode": "closest", "annotations": [_NO_CHANGE]}
    layout["shapes"] = [_no_change(len(shown)), *_paths(marks)]
    data = [
        _marks([row[0] for row in marks], "grey", "the sound recipe", "circle-open"),
        _marks([row[1] for row in marks], "blue", "reported with the mistake", "circle"),
        _marks([row[2] for row in marks], "vermilion", "live with the mistake", "diamond"),
    ]
    caption = (
        "Ring: the sound recipe. Blue: what is reported with the mistake. Red: what the same code does live. Dashed:"
        " “no change”. A mark at the right edge lies beyond it; a blue one that is missing is not in the price’s unit."
    )
    said = [f"{one.mistake.name} {_times(one.without)}, {_times(one.told)}, {_times(one.lived)}" for one in shown]
    return Chart("overview", data, layout, caption, f"Sound, reported, live: {'; '.join(said)}.")


def _times(score: Score) -> str:
    return "–" if score.ratio is None else f"{score.ratio:.2f}"


def _across(highest: float) -> Figure:
    return {
        "range": [0, 1.04 * highest],
        "fixedrange": True,
        "showgrid": True,
        "gridcolor": colour("grid"),
        "nticks": 8,
    }


def _no_change(rows: int) -> Figure:
    rule = {"color": colour("grey"), "width": 1.5, "dash": "dash"}
    return {"type": "line", "x0": 1, "x1": 1, "y0": -0.5, "y1": rows - 0.5, "line": rule}


def _paths(marks: Sequence[Sequence[float | None]]) -> list[Figure]:
    """From what was reported to what was lived."""
    return [
        {
            "type": "line",
            "layer": "below",
            "x0": told,
            "x1": lived,
            "y0": row,
            "y1": row,
            "line": {"color": colour("chance"), "width": 5},
        }
        for row, (_, told, lived) in enumerate(marks)
        if told is not None and lived is not None
    ]


_NO_CHANGE: Figure = {
    "text": "no change",
    "x": 1,
    "y": 1,
    "yref": "paper",
    "yanchor": "bottom",
    "showarrow": False,
    "font": {"color": colour("muted")},
}


def _marks(places: Sequence[float | None], role: str, name: str, symbol: str) -> Figure:
    """One mark a row that has one."""
    there = [(place, row) for row, place in enumerate(places) if place is not None]
    drawn = dots([place for place, _ in there], [row for _, row in there], role, name, size=9, symbol=symbol)
    return drawn | {"cliponaxis": False, "hovertemplate": f"{name}: %{{x:.2f}}<extra></extra>"}


# --- the autopsy ------------------------------------------------------------------------------------------------------


def echo(gallery: Gallery) -> list[Chart]:
    """The famous plot of the classic recipe, and the same plot looked at closely."""
    if gallery.classic is None:
        return []
    known = gallery.classic.frame.drop_nulls("y").sort("ds")
    before = pl.Series("last", _before(known, gallery))
    rows = known.with_columns(before).filter(pl.col("last").is_finite())
    return [_from_afar(rows, gallery), _close_by(rows, gallery)]


def _before(known: pl.DataFrame, gallery: Gallery) -> Float[np.ndarray, " forecast"]:
    """The close each forecast started from."""
    candles = gallery.candles
    return candles.close[np.searchsorted(candles.time, known["cutoff"].dt.replace_time_zone(None).to_numpy())]


def _from_afar(rows: pl.DataFrame, gallery: Gallery) -> Chart:
    correlation = np.corrcoef(rows["y"].to_numpy(), rows["prediction"].to_numpy())[0, 1]
    alternative = f"Forecast and actual price correlate at {correlation:.3f} over {rows.height:,} forecasts."
    caption = "Seen from afar the forecast clings to the price: this is the plot in countless notebooks."
    data, layout = _prices(rows, gallery, (("y", "actual", "ink"), ("prediction", "forecast", "purple")))
    return Chart("echo", data, layout, caption, alternative, "From afar")


def _close_by(rows: pl.DataFrame, gallery: Gallery) -> Chart:
    moves = np.log(rows["y"].to_numpy() / rows["last"].to_numpy())
    energy = np.concatenate([[0.0], np.cumsum(moves**2)])
    length = min(ZOOM, rows.height)
    near = rows.slice(int(np.argmax(energy[length:] - energy[:-length])), length)
    error = {name: float(np.sqrt(((near["y"] - near[name]) ** 2).to_numpy().mean())) for name in ("prediction", "last")}
    quote = gallery.candles.feed.quote
    alternative = (
        f"In these {near.height} forecasts the RMSE is {price(error['prediction'], 4)} {quote}, that of no change"
        f" {price(error['last'], 4)}."
    )
    caption = (
        f"The {near.height} {unit(gallery.candles.feed.interval)} with the largest moves: the forecast turns after the"
        " price has turned, as “no change” does by design."
    )
    drawn = (("y", "actual", "ink"), ("last", "no change", "grey"), ("prediction", "forecast", "purple"))
    data, layout = _prices(near, gallery, drawn)
    return Chart("echo-close", data, layout, caption, alternative, "From close by")


def _prices(rows: pl.DataFrame, gallery: Gallery, drawn: Sequence[tuple[str, str, str]]) -> tuple[list[Figure], Figure]:
    feed: Feed = gallery.candles.feed
    closes = rows["ds"].dt.replace_time_zone(None).dt.offset_by(f"{feed.interval.delta.total_seconds():.0f}s")
    x: np.ndarray = np.array(stamps(closes.to_numpy(), feed.interval))
    columns = [rows[column].to_numpy() for column, _, _ in drawn]
    axis = Axis.of_prices(np.concatenate(columns).tolist(), feed.quote)
    data, labels = [], []
    for values, (column, name, hue) in zip(columns, drawn, strict=True):
        kept = extremes(values, MOST_MARKS)
        dash = "dash" if column == "last" else "solid"
        data.append(line(x[kept].tolist(), values[kept].tolist(), hue, name, dash=dash))
        text = {"ink": "ink", "grey": "muted"}.get(hue, f"{hue}-text")
        labels.append(Label(name, float(values[-1]), text))
    return data, scaffold(PRICES, axis, {"range": [str(x[0]), str(x[-1])]}, labels=labels, room=72)


# --- one of them ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A score as text."""

    words: str
    n: str
    mape: str
    spread: str
    mape_beside: str
    r2: str
    r2_beside: str
    rmse: str
    ratio: str


@dataclass(frozen=True)
class Found:
    """A finding as text."""

    name: str
    says: str
    do: str


@dataclass(frozen=True)
class Entry:
    """A mistake as text."""

    number: int
    name: str
    title: str
    says: str
    met: str
    before: str
    after: str
    feed: str
    sentence: str
    note: str
    rows: tuple[Row, ...]
    found: tuple[Found, ...]
    way: str
    exercise: str


def entry(one: Exhibit) -> Entry:
    """Everything said of a mistake."""
    mistake = one.mistake
    return Entry(
        number=mistake.number,
        name=mistake.name,
        title=mistake.title,
        says=mistake.says,
        met=mistake.met.replace("`", ""),
        before=mistake.change.before,
        after=mistake.change.after,
        feed=str(one.candles.feed),
        sentence=typeset(one.sentence),
        note=one.note,
        rows=(
            _row("the sound recipe", one.without, [run.told for run in one.sound]),
            _row("reported with the mistake", one.told, [run.told for run in one.wrong]),
            _row("live with the mistake", one.lived, [run.lived for run in one.wrong]),
        ),
        found=tuple(Found(found.fault, typeset(found.says), typeset(found.kind.do)) for found in one.caught),
        way=_WAYS[mistake.shown],
        exercise=typeset(mistake.exercise),
    )


def _row(words: str, score: Score, each: Sequence[Score]) -> Row:
    beside = score.no_change
    lowest, highest = min(one.own.mape for one in each), max(one.own.mape for one in each)
    return Row(
        words=words,
        n=f"{score.n:,}",
        mape=percent(score.own.mape, 2),
        spread=f"{percent(lowest, 2)} to {percent(highest, 2)}" if len(each) > 1 else "",
        mape_beside=percent(beside.mape, 2) if beside else "–",
        r2=_r2(score.own.r2),
        r2_beside=_r2(beside.r2) if beside else "–",
        rmse=price(score.own.rmse, 4),
        ratio=_times(score),
    )


def _r2(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".replace("-", "\N{MINUS SIGN}")
