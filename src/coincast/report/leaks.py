"""Charts of an audit: which forecasts moved with bars they could not know, and the gravest leak from close by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from ..audit import Audit, Experiment
from ..candles import Candles
from ..feed import Interval, to_numpy
from ..predictions import Predictions
from .resample import extremes
from .style import MOST_MARKS, Axis, Chart, Figure, Label, colour, line, scaffold
from .words import bar_of, moment, span, stamps

# Heights in px: of the price, of a cut's lane below it; of the view from close by, as high as both with six lanes.
PRICE, LANE, NEAR = 260, 26, 416
# Faults that show in one place, the longest of them that can be seen from close by, and the bars shown around it.
LOCAL = ("same-bar feature", "window into the future", "labels across the split", "unclosed bar")
LONGEST, AROUND = 30, 10
# Of the span that is judged, shown before it begins.
_BEFORE = 0.08


@dataclass(frozen=True)
class Cut:
    """All experiments that left the bars up to one moment alone.

    Args:
        known_until: the last close that was left alone.
        compared: forecasts that had to stay.
        changed: the most that moved in one of the experiments.
        first: origin of the earliest that moved.
    """

    known_until: datetime
    compared: int
    changed: int
    first: datetime | None


def cuts(experiments: Sequence[Experiment]) -> list[Cut]:
    """The experiments in which something was compared, by the moment up to which the bars stayed, in time order."""
    ordered = sorted((one for one in experiments if one.compared), key=lambda one: one.known_until)
    grouped = [list(group) for _, group in itertools.groupby(ordered, key=lambda one: one.known_until)]
    return [
        Cut(
            known_until=group[0].known_until,
            compared=max(one.compared for one in group),
            changed=max(one.changed for one in group),
            first=min((one.first for one in group if one.first), default=None),
        )
        for group in grouped
    ]


# --- from afar --------------------------------------------------------------------------------------------------------


def reach(audit: Audit, candles: Candles, predictions: Sequence[Predictions]) -> Chart | None:
    """The closes and the forecasts, and under them a lane a cut; None where nothing was compared."""
    found = cuts(audit.experiments)
    if not found:
        return None
    shown = candles.since(max(candles.start, audit.test_from - _BEFORE * (candles.end - audit.test_from)))
    interval = candles.feed.interval
    start = audit.origins[0] if audit.origins else audit.test_from
    kept = extremes(shown.close, MOST_MARKS)
    x, closes = np.array(stamps(shown.known_at, interval)), shown.close[kept].tolist()
    said_x, said = _points(predictions, interval)
    data = [line(x[kept].tolist(), closes, "ink", "close"), line(said_x, said, "blue", "forecast", width=1.2)]
    labels = [Label("close", closes[-1], "ink"), *(Label("forecast", last, "blue-text") for last in said[-1:])]
    axis = Axis.of_prices([*closes, *said], f"price, {candles.feed.quote}")
    layout = scaffold(PRICE, axis, {"range": [str(x[0]), str(x[-1])]}, labels=labels, room=66)
    layout |= _below(layout, found, interval)
    layout["shapes"] = [_replaced(cut, row, str(x[-1]), interval) for row, cut in enumerate(found)]
    data += [trace for row, cut in enumerate(found) for trace in _lane(cut, row, start, interval)]
    return Chart("reach", data, layout, _reach_caption(found), _reach_alternative(found, interval))


def _points(predictions: Sequence[Predictions], interval: Interval) -> tuple[list[str], list[float]]:
    """The point forecasts of the first model at its shortest horizon, as charts place them."""
    for one in predictions:
        rows = np.flatnonzero(one.horizon == one.horizon.min())
        rows = rows[np.argsort(one.target_time[rows], kind="stable")]
        rows = rows[extremes(one.point[rows], MOST_MARKS)]
        return stamps(one.target_time[rows], interval), one.point[rows].tolist()
    return [], []


def _below(layout: Figure, found: Sequence[Cut], interval: Interval) -> Figure:
    """The price above, one row a cut below, on one axis of time."""
    lanes = LANE * len(found)
    share = lanes / (PRICE + lanes - layout["margin"]["t"] - layout["margin"]["b"])
    form = "%Y-%m-%d" if interval.delta >= timedelta(days=1) else "%Y-%m-%d %H:%M"
    rows = {
        "domain": [0, share - 0.02],
        "range": [len(found) - 0.5, -0.5],
        "tickvals": list(range(len(found))),
        "ticktext": [f"{cut.known_until:{form}}" for cut in found],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "ticks": "",
        "ticklabelstandoff": 6,
    }
    return {
        "height": PRICE + lanes,
        "yaxis": layout["yaxis"] | {"domain": [share + 0.03, 1]},
        "yaxis2": rows,
        "xaxis": layout["xaxis"] | {"anchor": "y2"},
        "hovermode": "closest",
    }


def _replaced(cut: Cut, row: int, end: str, interval: Interval) -> Figure:
    """The bars that were others in the experiments."""
    return {
        "type": "rect",
        "layer": "below",
        "yref": "y2",
        "x0": _placed(cut.known_until, interval),
        "x1": end,
        "y0": row - 0.36,
        "y1": row + 0.36,
        "fillcolor": colour("chance"),
        "line": {"width": 0},
    }


def _lane(cut: Cut, row: int, start: datetime, interval: Interval) -> list[Figure]:
    """The forecasts that had to stay, from the first that moved on in red, and the cut."""
    to = _placed(cut.known_until, interval)
    words = f"{cut.changed:,} of {cut.compared:,} forecasts moved"
    own = {"yaxis": "y2", "hovertemplate": f"bars to the right of %{{x}} replaced:<br>{words}<extra></extra>"}
    lane = [line([_placed(start, interval), to], [row, row], "fan-50", "stayed", width=3)]
    if cut.first:
        # A line of one forecast would be no line.
        red = line([_placed(cut.first, interval), to], [row, row], "vermilion", "moved", width=9)
        lane.append(red | {"mode": "lines+markers", "marker": {"size": [9, 0], "color": colour("vermilion")}})
    tick = {"size": 14, "symbol": "line-ns", "line": {"color": colour("ink"), "width": 1.5}}
    lane.append({"type": "scatter", "mode": "markers", "x": [to], "y": [row], "marker": tick, "name": "cut"})
    return [trace | own for trace in lane]


def _placed(known_at: datetime, interval: Interval) -> str:
    """Where charts place a close: at the opening of its bar."""
    return _stamp(known_at - interval.delta)


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _reach_caption(found: Sequence[Cut]) -> str:
    how = (
        "Each line below the price is a cut: to its right, in grey, the bars were replaced by others; the forecasts"
        " from bars to its left had to stay what they were."
    )
    if any(cut.first for cut in found):
        return f"{how} Red begins with the first that moved: they knew of the bars to the right."
    return f"{how} Blue: all of them did."


def _reach_alternative(found: Sequence[Cut], interval: Interval) -> str:
    said = []
    for cut in found:
        after = f" the first from the close of {bar_of(cut.first, interval)}," if cut.first else ""
        moved = f"{cut.changed:,} of {cut.compared:,} forecasts moved,{after}"
        said.append(f"{moved} when the bars after {bar_of(cut.known_until, interval)} were replaced.")
    return " ".join(said)


# --- from close by ----------------------------------------------------------------------------------------------------


class Leak(NamedTuple):
    """Where a look into the future shows.

    Args:
        origin: of the forecast that moved.
        bar: the open of the bar that moved it.
    """

    origin: datetime
    bar: datetime


def leak(audit: Audit, step: timedelta) -> Leak | None:
    """The gravest that shows in one place and spans few enough bars to be seen."""
    for one in audit.worst_first:
        if one.fault in LOCAL and one.origin and one.bar and abs(one.bar - one.origin) <= LONGEST * step:
            return Leak(one.origin, one.bar)
    return None


def near(audit: Audit, candles: Candles, predictions: Sequence[Predictions]) -> Chart | None:
    """That leak with the bars around it; None without one."""
    interval, step = candles.feed.interval, candles.feed.interval.delta
    found = leak(audit, step)
    if found is None:
        return None
    first, last = sorted([found.origin - step, found.bar])
    around = AROUND * step + (last - first)
    shown = candles.since(first - around).until(min(last + step + around, candles.end))
    steps = _steps(shown, predictions)
    its = [one for one in steps if one.origin == to_numpy(found.origin)]
    axis = Axis.around([*shown.close, *(one.point for one in steps)], candles.feed.quote)
    layout = scaffold(NEAR, axis, {"range": [_stamp(shown.start - step / 2), _stamp(shown.end - step / 2)]})
    layout["shapes"] = [_band(found.bar, step), _rule(found.origin - step)]
    layout["annotations"] = _notes(found, step)
    closes = line(stamps(shown.known_at, interval), shown.close.tolist(), "ink", "close")
    data = [
        closes | {"mode": "lines+markers", "marker": {"size": 5, "color": colour("ink")}},
        _arrows([one for one in steps if one not in its], interval, "blue", 1.2),
        _arrows(its, interval, "vermilion", 2.5),
    ]
    return Chart("near", data, layout, _near_caption(its), _near_alternative(found, candles))


class _Step(NamedTuple):
    """A forecast as a step from the close it was made at to the price it states."""

    origin: np.datetime64
    target_time: np.datetime64
    close: float
    point: float


def _steps(shown: Candles, predictions: Sequence[Predictions]) -> list[_Step]:
    """The point forecasts of the first model at its shortest horizon, from the bars that are shown."""
    for one in predictions:
        rows = np.flatnonzero((one.horizon == one.horizon.min()) & np.isin(one.origin, shown.known_at))
        closes = shown.close[np.searchsorted(shown.known_at, one.origin[rows])]
        return [
            _Step(*step) for step in zip(one.origin[rows], one.target_time[rows], closes, one.point[rows], strict=True)
        ]
    return []


def _arrows(steps: Sequence[_Step], interval: Interval, role: str, width: float) -> Figure:
    ends = stamps(np.array([time for one in steps for time in one[:2]], dtype="datetime64[us]"), interval)
    x = [place for start, end in zip(ends[::2], ends[1::2], strict=True) for place in (start, end, None)]
    y = [value for one in steps for value in (one.close, one.point, math.nan)]
    sizes = {"size": [0, 6, 0] * len(steps), "color": colour(role)}
    return line(x, y, role, "forecast", width=width) | {"mode": "lines+markers", "marker": sizes}


def _band(bar: datetime, step: timedelta) -> Figure:
    """The bar that was changed, as wide as it is long."""
    return {
        "type": "rect",
        "layer": "below",
        "yref": "paper",
        "x0": _stamp(bar - step / 2),
        "x1": _stamp(bar + step / 2),
        "y0": 0,
        "y1": 1,
        "fillcolor": colour("chance"),
        "line": {"width": 0},
    }


def _rule(bar: datetime) -> Figure:
    """A line at the close from which the forecast was made."""
    rule = {"color": colour("vermilion"), "width": 1, "dash": "dot"}
    return {"type": "line", "yref": "paper", "x0": _stamp(bar), "x1": _stamp(bar), "y0": 0, "y1": 1, "line": rule}


def _notes(found: Leak, step: timedelta) -> list[Figure]:
    """What was changed, above on its side; what moved, below on the other."""
    shared = {"showarrow": False, "yref": "paper", "font": {"color": colour("ink")}}
    ahead = found.bar >= found.origin - step
    sides = [{"xanchor": side, "xshift": shift} for side, shift in (("left", 10), ("right", -6))]
    changed, moved = sides if ahead else reversed(sides)
    return [
        shared | changed | {"text": "this bar was changed", "x": _stamp(found.bar), "y": 1, "yanchor": "top"},
        shared | moved | {"text": "this forecast moved", "x": _stamp(found.origin - step), "y": 0, "yanchor": "bottom"},
    ]


def _near_caption(its: Sequence[_Step]) -> str:
    how = "Closes in ink, and each forecast as a step from the close it was made at."
    return f"{how} The red one knew of the grey bar, which had not happened yet." if its else how


def _near_alternative(found: Leak, candles: Candles) -> str:
    interval = candles.feed.interval
    ahead = (found.bar + interval.delta - found.origin) // interval.delta
    return (
        f"The forecast made at the close of {bar_of(found.origin, interval)} moved when the bar of"
        f" {moment(found.bar, interval)} was changed, which closed {span(ahead, interval)} later."
    )
