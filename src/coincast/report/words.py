"""Words for times and lengths, as a person would say them."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from ..feed import Interval, from_numpy

_UNITS = {"1m": "minute", "1h": "hour", "1d": "day", "1w": "week"}


def span(count: int, interval: Interval) -> str:
    """`1 day`, `24 hours`, `3 bars of 4h`."""
    unit, rest = _UNITS.get(interval.name, "bar"), "" if interval.name in _UNITS else f" of {interval.name}"
    return f"{count:,} {unit}{'' if count == 1 else 's'}{rest}"


def day(time: datetime) -> str:
    """`13 January 2021`."""
    return f"{time.day} {time:%B %Y}"


def moment(time: np.datetime64 | datetime) -> str:
    """The day, and the hour unless it is midnight: `14 January 2021`, `14 January 2021 07:00`."""
    at = from_numpy(time) if isinstance(time, np.datetime64) else time
    return day(at) if (at.hour, at.minute) == (0, 0) else f"{day(at)} {at:%H:%M}"
