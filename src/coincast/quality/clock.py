"""Do the times say when a bar opened, in UTC? What the times alone can tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl

from ..candles import SCHEMA, Candles
from ..feed import Interval
from ..rows import LAST_INSTANT, Rows, opens, opens_from_closes
from .findings import Finding, finding
from .market import agreement

# A zone for each rule by which clocks change and each offset. Europe changes at one instant, so its labels tell the
# zones apart; America and Australia change at one o'clock of their own, and do not.
ZONES = (
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "Atlantic/Azores", "Asia/Jerusalem", "Pacific/Auckland"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Halifax"),
    *("Australia/Sydney", "Australia/Adelaide", "America/Sao_Paulo", "America/Santiago"),
)
# This share of the rows must agree on how they stand to the grid; `clean` drops up to a quarter that do not.
AGREEING = 0.75
_QUARTER, _HOUR = timedelta(minutes=15), timedelta(hours=1)


def labels(rows: Rows, interval: Interval, second: Candles | None = None) -> tuple[Rows, list[Finding]]:
    """The rows with their times as bar opens in UTC as far as the times themselves give them away, and what was wrong.

    Rows that lie neither on the grid nor beside it in one way are left as they are. A second series of the same market
    tells zones apart whose clocks change alike.
    """
    beside = rows.frame.select((pl.col("time") - opens(interval)).alias("beside")).to_series()
    if _share(beside == timedelta(0)) >= AGREEING:
        zones = _zones(rows.frame["time"], interval)
        return _in_zone(rows, _likeliest(rows, zones, second), interval) if zones else (rows, [])
    if _share(beside >= interval.delta - LAST_INSTANT) >= AGREEING:
        says = f"Times end in {rows.frame['time'][0]:%M:%S.%f}, the last instant of a bar of {interval}."
        found = finding(
            "close label", says, mend=opens_from_closes, did="Times were moved from each close to its open."
        )
        return replace(opens_from_closes(rows), notes=rows.notes), [found]
    return _beside_grid(rows, beside, interval)


def _beside_grid(rows: Rows, beside: pl.Series, interval: Interval) -> tuple[Rows, list[Finding]]:
    """Days of another zone: all bars open at one time of day off the grid, or at two an hour apart."""
    usual = beside.value_counts(sort=True).head(2)
    offsets, share = usual[beside.name].sort(), usual["count"].sum() / len(beside)
    whole = all(offset % _QUARTER == timedelta(0) for offset in offsets)
    hour_apart = len(offsets) == 1 or offsets[1] - offsets[0] == _HOUR
    if not (whole and hour_apart) or share < AGREEING:
        return rows, []
    first = rows.frame["time"][0]
    says = f"Bars of {interval} open at {first:%H:%M} UTC: each is made in another zone and overlaps two of UTC."
    found = [finding("local time", says)]
    if len(offsets) > 1:
        found.append(finding("clock change", "That time moves by an hour and back along the file."))
    return Rows(rows.frame.with_columns(time=opens(interval)), rows.notes), found


def _zones(time: pl.Series, interval: Interval) -> list[str]:
    """The zones whose clocks the times follow: each hour left out is empty, each shown twice is double.

    Both must lie in the span: one doubled row alone may as well be a row told twice.
    """
    if interval.delta > _HOUR or not (time.sort().diff() == timedelta(0)).any():
        return []
    hours = time.dt.truncate("1h").dt.replace_time_zone(None).sort()
    grid = pl.select(time=pl.datetime_range(pl.lit(hours[0]), pl.lit(hours[-1]), "1h")).to_series()
    counted = grid.to_frame().join(hours.value_counts(name="rows"), on="time", how="left", maintain_order="left")
    rows = counted["rows"].fill_null(0)
    found = []
    for zone in ZONES:
        skipped, repeated = _changes(grid, zone)
        doubled = rows.filter(repeated) == 2 * (_HOUR // interval.delta)
        if len(doubled) and doubled.all() and skipped.any() and not rows.filter(skipped).sum():
            found.append(zone)
    return found


def _changes(hours: pl.Series, zone: str) -> tuple[pl.Series, pl.Series]:
    """Which hours a zone's clocks leave out, and which they show twice."""
    exists = hours.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_not_null()
    once = hours.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").is_not_null()
    return ~exists, exists & ~once


def _likeliest(rows: Rows, zones: list[str], second: Candles | None) -> list[str]:
    """Those of the zones in which the rows move with the second series; all without one."""
    if second is None or len(zones) == 1:
        return zones
    return [max(zones, key=lambda zone: agreement(from_local(rows, zone), second))]


def _in_zone(rows: Rows, zones: list[str], interval: Interval) -> tuple[Rows, list[Finding]]:
    time, sure = rows.frame["time"], len(zones) == 1
    says = f"Times follow the clocks of {' or '.join(zones)}{'' if sure else ': name the zone with --tz'}."
    did = f"Times were brought from {zones[0]} to UTC; of an hour shown twice the first is summer time."
    repeated = time.filter(time.is_duplicated())
    doubled = f"{len(repeated) // 2:,} bars are shown twice"
    changes = f"Where clocks go back, {doubled}; where they go forward, as many are left out."
    found = [
        finding("local time", says, mend=(lambda given: from_local(given, zones[0])) if sure else None, did=did),
        finding("clock change", changes, repeated, of=len(rows), interval=interval, harm="loss"),
    ]
    return from_local(rows, zones[0]), found


def from_local(rows: Rows, zone: str) -> Rows:
    """Rows whose times were taken for UTC and are a zone's own; of a time shown twice the older row is the earlier."""
    frame = rows.frame
    backwards = _share(frame["time"].diff() < timedelta(0))
    nth = pl.int_range(pl.len()).over("time")
    first = nth == (pl.len().over("time") - 1 if backwards > 0.5 else 0)
    which = pl.when(first).then(pl.lit("earliest")).otherwise(pl.lit("latest"))
    local = pl.col("time").dt.replace_time_zone(None).dt.replace_time_zone(zone, ambiguous=which, non_existent="null")
    told = frame.with_columns(time=local.dt.convert_time_zone("UTC").cast(SCHEMA["time"]))
    return Rows(told.drop_nulls("time"), rows.notes)


def _share(which: pl.Series) -> float:
    return float(which.sum()) / len(which)
