"""One place for how charts look: colours by role, the scaffold every figure stands on, numbers as text.

Colours are names of custom properties in `style.css`, which holds a light and a dark value for each; the page's script
puts the value of the moment in their place. Figures are Plotly's own JSON, written as dictionaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Figure = dict[str, Any]

# At most this many marks a trace; what is more is resampled, and the caption says so.
MOST_MARKS = 2000
# Text in charts is 12 px high; labels closer than this many px would touch.
LABEL_GAP = 15
# A price axis is logarithmic where the largest price exceeds the smallest by this factor.
LOG_FROM = 3.0

# Okabe and Ito's palette, a hue a model for good; grey for the two that only know the past moves. Vermilion is kept
# for misses. Other models take the spare hues in the order of the run.
_HUES = {
    "naive": "grey",
    "naive-conformal": "slate",
    "ewma-t": "green",
    "garch-t": "orange",
    "har-t": "sky",
    "seed-lstm": "purple",
    "lstm-t": "blue",
    "fusion": "brown",
}
_SPARE = ("yellow", "indigo", "wine")


def colour(role: str) -> str:
    """The custom property of a role: `ink`, `muted`, `grid`, `fan-95`, a hue, or a hue's `-text`."""
    return f"var(--{role})"


def hues(models: Iterable[str]) -> Mapping[str, str]:
    """The hue of each model: its own for good, a spare one for a model of the user's."""
    models = list(models)
    others = [name for name in models if name not in _HUES]
    return {name: _HUES.get(name) or _SPARE[others.index(name) % len(_SPARE)] for name in models}


@dataclass(frozen=True)
class Label:
    """A line's name at its right end."""

    text: str
    y: float
    role: str


@dataclass(frozen=True)
class Chart:
    """A figure with the words that stand under it.

    Args:
        name: of its element in the page.
        data: Plotly's traces.
        layout: Plotly's layout.
        caption: one line that says what to see.
        alternative: what it shows, with the key numbers, for who cannot see it.
        title: of a panel among small multiples.
        hue: of the model a panel is about.
    """

    name: str
    data: Sequence[Figure]
    layout: Figure
    caption: str
    alternative: str
    title: str = ""
    hue: str = "ink"

    @property
    def unit(self) -> str:
        """What the vertical axis measures."""
        return str(self.layout["meta"]["unit"])

    @property
    def height(self) -> int:
        """In px; the page keeps the room free before the chart is drawn."""
        return int(self.layout["height"])


@dataclass(frozen=True)
class Axis:
    """A y axis.

    Args:
        low: lower end of the values.
        high: upper end.
        title: what it measures, with the unit; the page puts it above the chart, so that no head need be turned.
        is_log: logarithmic.
        zero: draw the zero line.
        ticks: how many at most.
    """

    low: float
    high: float
    title: str
    is_log: bool = False
    zero: bool = False
    ticks: int = 7

    @classmethod
    def around(cls, values: Iterable[float], title: str, *, zero: bool = False) -> Axis:
        """A linear axis that holds `values` with a little air."""
        low, high = _ends_of(values)
        air = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
        return cls(low - air, high + air, title, zero=zero)

    @classmethod
    def of_prices(cls, values: Iterable[float], title: str) -> Axis:
        """The same for what is never negative: logarithmic where it spans more than a factor of `LOG_FROM`."""
        low, high = _ends_of(values)
        if low <= 0 or high / low <= LOG_FROM:
            return cls.around([low, high], title)
        air = (high / low) ** 0.04
        return cls(low / air, high * air, f"{title}, log scale", is_log=True)

    def place(self, y: float) -> float:
        """Where `y` stands in Plotly's coordinates of this axis."""
        return math.log10(y) if self.is_log else y

    @property
    def range(self) -> list[float]:
        """Both ends in those coordinates."""
        return [self.place(self.low), self.place(self.high)]

    def range_like(self, kind: str) -> list[float]:
        """Both ends in the coordinates of an axis of another `kind`, `log` or `linear`."""
        return replace(self, is_log=kind == "log").range

    def layout(self) -> Figure:
        """Plotly's form."""
        return {
            "range": self.range,
            "type": "log" if self.is_log else "linear",
            **(_log_ticks(self.low, self.high) if self.is_log else {"tickformat": ",~r", "nticks": self.ticks}),
            "fixedrange": True,
            "hoverformat": ",.5~r",
            "gridcolor": colour("grid"),
            "zeroline": self.zero,
            "zerolinecolor": colour("axis"),
            "zerolinewidth": 1,
            "ticks": "",
            "automargin": True,
        }


def _ends_of(values: Iterable[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    return min(finite), max(finite)


def _log_ticks(low: float, high: float) -> Figure:
    """Round numbers, at least four of them if there are as many."""
    ticks: list[float] = []
    for mantissas in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [m * 10.0**d for d in decades for m in mantissas if low <= m * 10.0**d <= high]
        if len(ticks) > 3:
            break
    return {"tickvals": ticks, "ticktext": [f"{tick:,.6g}" for tick in ticks]}


def scaffold(height: int, y: Axis, x: Figure | None = None, *, labels: Sequence[Label] = (), room: int = 12) -> Figure:
    """The layout every chart stands on.

    Args:
        height: in px.
        y: the vertical axis.
        x: what the horizontal axis has of its own.
        labels: names at the right ends of lines, moved apart where they would touch.
        room: px to the right of the plot, for labels.
    """
    # Charts that can be zoomed have dates below, of two lines.
    top, bottom = 8, 26 if x and x.get("fixedrange") else 38
    return {
        "height": height,
        "margin": {"l": 44, "r": room, "t": top, "b": bottom, "pad": 0},
        "paper_bgcolor": colour("paper"),
        "plot_bgcolor": colour("paper"),
        "font": {"size": 12, "color": colour("muted")},
        "showlegend": False,
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": colour("muted"), "activecolor": colour("ink")},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": colour("paper"), "bordercolor": colour("axis"), "font": {"color": colour("ink")}},
        "xaxis": _x_axis(x or {}),
        "yaxis": y.layout(),
        "annotations": _ends(labels, y, height - top - bottom),
        "meta": {"unit": y.title, "narrow": {}},
    }


def _x_axis(own: Figure) -> Figure:
    return {
        "showgrid": False,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": colour("axis"),
        "linecolor": colour("axis"),
        "showline": True,
        "tickangle": 0,
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": colour("axis"),
        **own,
    }


def _ends(labels: Sequence[Label], y: Axis, height: int) -> list[Figure]:
    scale = height / (y.place(y.high) - y.place(y.low))
    wanted = [(y.place(label.y) - y.place(y.low)) * scale for label in labels]
    return [
        {
            "text": label.text,
            "font": {"color": colour(label.role)},
            "showarrow": False,
            "xref": "paper",
            "x": 1,
            "xshift": 6,
            "y": y.place(label.y),
            "yshift": put - want,
            "xanchor": "left",
            "yanchor": "middle",
        }
        for label, want, put in zip(labels, wanted, spread(wanted, LABEL_GAP, height), strict=True)
    ]


def spread(wanted: Sequence[float], gap: float, height: float) -> list[float]:
    """Positions as near to those wanted as stay `gap` apart, between 0 and `height` if they fit there.

    Touching ones become a group around their mean, as in isotonic regression by pooling neighbours.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[tuple[float, int]] = []
    for rank, i in enumerate(order):
        total, count = wanted[i] - rank * gap, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    level = [total / count for total, count in pools for _ in range(count)]
    highest = max(height - (len(wanted) - 1) * gap, 0)
    out = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        out[i] = min(max(level[rank], 0), highest) + rank * gap
    return out


def line(
    x: Sequence[Any], y: Sequence[float], role: str, name: str, *, width: float = 1.5, dash: str = "solid"
) -> Figure:
    """A line through points."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": name,
        "line": {"color": colour(role), "width": width, "dash": dash},
    }


def dots(
    x: Sequence[Any], y: Sequence[float], role: str, name: str, *, size: float = 6, symbol: str = "circle"
) -> Figure:
    """Points alone."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "name": name,
        "marker": {
            "color": colour(role),
            "size": size,
            "symbol": symbol,
            "line": {"color": colour(role), "width": 1.5 if symbol.endswith("open") else 0},
        },
    }


def area(x: Sequence[Any], low: Sequence[float], high: Sequence[float], role: str) -> Figure:
    """The room between two lines, without an outline."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": colour(role),
        "line": {"width": 0, "color": colour(role)},
        "hoverinfo": "skip",
    }


def strip(left: float, right: float, low: float, high: float) -> Figure:
    """The room that chance may take, under the marks."""
    return {
        "type": "rect",
        "layer": "below",
        "x0": left,
        "x1": right,
        "y0": low,
        "y1": high,
        "fillcolor": colour("chance"),
        "line": {"width": 0},
    }


def percent(share: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """A fraction as percent; a dash for what is undefined."""
    if share is None:
        return "–"
    return f"{100 * share:{'+' if sign else ''}.{digits}f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def skill(share: float | None) -> str:
    """A skill as percent with its sign and three significant digits, at most two after the point."""
    digits = 2 if share is None or abs(share) < 0.0995 else 1 if abs(share) < 0.995 else 0
    return percent(share, digits, sign=True)


def change(log_return: float | None) -> str:
    """A log-return as the change of the price in percent."""
    return percent(None if log_return is None else math.expm1(log_return), sign=True)


def price(value: float | None, digits: int = 5) -> str:
    """A price, or an error in quote currency, to so many significant digits, thousands apart."""
    if value is None:
        return "–"
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, places):,.{max(places, 0)}f}"


def p_value(p: float | None) -> str:
    """Three digits; smaller ones as such."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
