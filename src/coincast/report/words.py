"""Words for times and lengths, as a person would say them. A bar is named by its opening, as exchanges do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from ..candles import Times
from ..feed import Interval, from_numpy

_UNITS = {"1m": "minute", "1h": "hour", "1d": "day", "1w": "week"}


def span(count: int, interval: Interval) -> str:
    """`1 day`, `24 hours`, `3 bars of 4h`."""
    rest = "" if interval.name in _UNITS else f" of {interval.name}"
    return f"{count:,} {_UNITS.get(interval.name, 'bar')}{'' if count == 1 else 's'}{rest}"


def unit(interval: Interval) -> str:
    """Bars in the plural: `days`, `bars of 4h`."""
    return span(2, interval).removeprefix("2 ")


def candles_of(interval: Interval) -> str:
    """`daily candles`, `candles of 4h`."""
    adverb = {"1h": "hourly", "1d": "daily", "1w": "weekly"}.get(interval.name)
    return f"{adverb} candles" if adverb else f"candles of {interval.name}"


def moment(time: datetime, interval: Interval) -> str:
    """`14 January 2021`, with the time of day for bars shorter than a day: `14 January 2021 07:00`."""
    day = f"{time.day} {time:%B %Y}"
    return day if interval.delta >= timedelta(days=1) else f"{day} {time:%H:%M}"


def bar_of(known_at: np.datetime64 | datetime, interval: Interval) -> str:
    """The bar that became known then: `13 January 2021` for the day that ended at midnight of the 14th."""
    end = from_numpy(known_at) if isinstance(known_at, np.datetime64) else known_at
    return moment(end - interval.delta, interval)


def stamps(known_at: Times, interval: Interval) -> list[str]:
    """The bars that became known then, as charts place them: days alone where all open at midnight."""
    opens = known_at - interval.step
    days = opens.astype("datetime64[D]")
    return (days if (days == opens).all() else opens.astype("datetime64[m]")).astype(str).tolist()


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
