"""What a series of candles is worth, as one page: its grade, its price with every finding marked, what a copy mends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import resources

import jinja2
from plotly.offline import get_plotlyjs

from ..candles import Candles
from ..feed import Interval
from ..quality import HARMS, Finding, Mended, Quality, Span
from .page import encode
from .prices import candlesticks
from .resample import bars, in_words
from .style import MOST_MARKS, Axis, Chart, Figure, colour, price, scaffold
from .words import candles_of, listed, moment

# Height of the price, and of each defect's lane below it, in px.
PRICE, LANE = 320, 22
# Spans nearer than this part of the chart's width would touch, and are drawn as one.
_APART = 1 / 600
# Spans named in the table; the rest are counted.
_NAMED = 3


def render_quality(quality: Quality, mended: Mended | None = None) -> str:
    """The page: one HTML document that needs no network.

    Args:
        quality: what `examine` found.
        mended: the corrected copy, if one can be made.

    Returns:
        The document; everything that came with the data is escaped in it.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    chart = timeline(quality)
    figures = {chart.name: {"data": chart.data, "layout": chart.layout}} if chart else {}
    return environment.from_string(_resource("quality.html.jinja")).render(
        quality=quality,
        opening=opening(quality),
        dateline=dateline(quality),
        chart=chart,
        findings=[_row(one, quality.interval) for one in quality.worst_first],
        mended=mended,
        rules=[rule.split(": ", 1) for rule in HARMS.values()],
        digest=quality.cleaned.candles.digest if quality.cleaned else None,
        style=_resource("style.css"),
        script=_resource("page.js"),
        plotly=get_plotlyjs().replace("</script", "<\\/script") if chart else "",
        figures=encode(figures),
    )


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def opening(quality: Quality) -> list[str]:
    """The page's first sentences: the gravest finding, then the names of the others."""
    if not quality.findings:
        return [f"Grade {quality.grade}. Nothing is wrong with these candles."]
    worst, *others = quality.worst_first
    also = [f"Also found: {listed([one.defect for one in others])}."] if others else []
    return [f"Grade {quality.grade}. {worst.says}", *also]


def dateline(quality: Quality) -> str:
    """What was examined."""
    if quality.cleaned is None or quality.interval is None:
        return f"{quality.source}: {quality.rows:,} rows, of which no candles could be made."
    candles = quality.cleaned.candles
    first, last = (moment(time, quality.interval) for time in (candles.start, candles.end - quality.interval.delta))
    return f"{quality.source}: {quality.rows:,} rows of {candles_of(quality.interval)}, {first} to {last}, UTC."


def timeline(quality: Quality) -> Chart | None:
    """The price, and under it a lane for each defect that has a place in time; None where there are no candles."""
    if quality.cleaned is None:
        return None
    candles = quality.cleaned.candles
    interval = candles.feed.interval
    drawn = bars(candles, MOST_MARKS)
    placed = [one for one in quality.worst_first if one.spans]
    x = drawn.x(interval)
    lows, highs = drawn.frame["low"].to_list(), drawn.frame["high"].to_list()
    lanes = LANE * len(placed)
    axis = Axis.of_prices([*lows, *highs], f"price{'' if candles.feed.quote == 'QUOTE' else ', ' + candles.feed.quote}")
    layout = scaffold(PRICE + lanes, axis, {"range": [x[0], x[-1]], "rangeslider": {"visible": False}})
    if placed:
        layout |= _lanes(layout, placed, lanes / (PRICE + lanes - layout["margin"]["t"] - layout["margin"]["b"]))
    data = [candlesticks(interval, drawn), *(_lane(one, row, candles) for row, one in enumerate(placed))]
    words = ", ".join(f"{one.count:,} {one.defect}" for one in placed) or "none"
    alternative = (
        f"Closes lie between {price(min(drawn.frame['close']))} and {price(max(drawn.frame['close']))};"
        f" bars marked: {words}."
    )
    return Chart("timeline", data, layout, _caption(placed, drawn.joined, drawn.length), alternative)


def _caption(placed: Sequence[Finding], joined: bool, length: timedelta) -> str:
    drawn = f"Drawn as bars of {in_words(length)}. " if joined else ""
    return f"{drawn}{'Below the price, where each defect lies.' if placed else 'No bar of it is marked.'}"


def _lanes(layout: Figure, placed: Sequence[Finding], share: float) -> Figure:
    """The price above, one row a defect below, on one axis of time."""
    rows = list(range(len(placed)))
    lanes = {
        "domain": [0, share - 0.01],
        "range": [len(placed) - 0.5, -0.5],
        "tickvals": rows,
        "ticktext": [one.defect for one in placed],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "ticks": "",
        "ticklabelstandoff": 6,
    }
    return {
        "yaxis": layout["yaxis"] | {"domain": [share + 0.03, 1]},
        "yaxis2": lanes,
        "xaxis": layout["xaxis"] | {"anchor": "y2"},
        "hovermode": "closest",
    }


def _lane(one: Finding, row: int, candles: Candles) -> Figure:
    pixel = (candles.end - candles.start) * _APART
    strokes = joined(one.spans, pixel)
    role = "vermilion" if one.grade >= "C" else "muted"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [stamp for span in strokes for stamp in (_stamp(span.first), _stamp(span.last), None)],
        "y": [row, row, None] * len(strokes),
        "yaxis": "y2",
        "name": one.defect,
        "text": [
            words for span in strokes for words in (*[f"{span.bars:,} bar{'s' if span.bars > 1 else ''}"] * 2, "")
        ],
        "hovertemplate": f"%{{x}}, {one.defect}<br>%{{text}}<extra></extra>",
        "line": {"color": colour(role), "width": 9},
        # A line of one bar would be no line.
        "marker": {
            "size": [size for span in strokes for size in [9 if span.last - span.first < pixel else 0] * 3],
            "symbol": "line-ns",
            "line": {"color": colour(role), "width": 1.5},
        },
    }


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def joined(spans: Sequence[Span], apart: timedelta) -> list[Span]:
    """Spans, those that lie nearer to one another than `apart` as one."""
    out: list[Span] = []
    for span in spans:
        if out and span.first - out[-1].last < apart:
            out[-1] = Span(out[-1].first, span.last, out[-1].bars + span.bars)
        else:
            out.append(span)
    return out


def _row(one: Finding, interval: Interval | None) -> dict[str, str]:
    return {
        "grade": one.grade,
        "defect": one.defect,
        "count": f"{one.count:,}" if one.count else "",
        "says": one.says,
        "do": one.do.replace("`", ""),
        "where": _where(one.spans, interval) if interval else "",
    }


def _where(spans: Sequence[Span], interval: Interval) -> str:
    """The longest spans in order of time, and how many more there are."""
    longest = sorted(sorted(spans, key=lambda span: -span.bars)[:_NAMED])
    named = [moment(span.first, interval) + (f" ({span.bars:,})" if span.bars > 1 else "") for span in longest]
    rest = len(spans) - len(longest)
    return "; ".join(named) + (f"; {rest:,} more" if rest else "")
