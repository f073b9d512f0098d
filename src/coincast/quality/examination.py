"""Everything that can be found wrong with a series: as told while reading, by its times, its cleaning, its values."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from ..candles import Candles
from ..clean import Cleaned, clean
from ..errors import DataError
from ..feed import Feed
from ..files import read
from ..rows import Rows, infer_interval
from .clock import labels
from .findings import DEFECTS, Finding, Quality, finding
from .invented import invented
from .market import against

# What cleaning tells of, as the defects a reader knows.
_TOLD: Mapping[str, tuple[str, str]] = {
    "reordered": ("reordered", "rows after a later one"),
    "duplicate": ("duplicate", "rows that repeat another to the last digit"),
    "conflict": ("conflict", "rows that tell a bar a second time with other values"),
    "off grid": ("off grid", "rows that open between two bars"),
    "unclosed": ("unclosed", "bars that had not closed when the data was taken"),
    "leading": ("missing price", "rows before the first close that can be"),
    "missing close": ("missing price", "closes that are missing or cannot be"),
    "missing price": ("missing price", "opens, highs or lows that are missing or cannot be"),
    "bad close": ("bad tick", "closes far outside everything around them"),
    "bad open": ("bad tick", "opens far outside everything around them"),
    "bad wick": ("bad tick", "highs or lows far outside everything around them"),
    "outside range": ("outside range", "highs or lows inside their own bar's open and close"),
    "no volume": ("no volume", "volumes that are missing or cannot be"),
    "zero volume": ("zero volume", "bars that moved although their volume is 0"),
    "stale": ("zero volume", "bars that traded nothing and repeat the last close"),
}
_WITHOUT_VOLUME = ("no volume", "zero volume", "stale")
# Rows that run backwards, but for a few that were joined on: this share of the steps.
_NEWEST_FIRST = 0.9
# A market is closed on weekends if this share of their bars is missing, over so many weeks.
_SATURDAY, _CLOSED, _FEWEST_WEEKS = 6, 0.95, 4
_UNNAMED = "file:BASE/QUOTE:1d"


def examine_file(
    path: str | Path,
    feed: Feed | None = None,
    *,
    tz: str | None = None,
    label: str | None = None,
    second: Candles | None = None,
    now: datetime | None = None,
) -> Quality:
    """`examine` for a file. One that cannot be read is graded F and says why.

    Raises:
        DataError: there is no such file.
        RecipeError: `tz` or `label` is not known, or the second series cannot be compared.
    """
    path = Path(path)
    try:
        rows = read(path, tz, label, close_only=True)
    except DataError as error:
        if not path.is_file():
            raise
        return Quality(path.name, 0, None, (_refusal(error),), None)
    return examine(rows, feed, second=second, now=now, source=path.name)


def examine(
    rows: Rows,
    feed: Feed | None = None,
    *,
    second: Candles | None = None,
    now: datetime | None = None,
    source: str = "The series",
) -> Quality:
    """What is wrong with a series of candles.

    Args:
        rows: the bars as the source gave them.
        feed: which candles they are, if it is known; the interval is read off the rows.
        second: candles of the same market from elsewhere, in bars no longer: they show what one series cannot.
        now: when the source was asked, by its own clock; bars that close later had not closed.
        source: what to call the series.

    Raises:
        RecipeError: the second series has longer bars or shares too few with the first.
    """
    found = [finding(note.defect, note.says, harm=_harm(note.defect)) for note in rows.notes if note.defect]
    interval = None
    try:
        interval = infer_interval(rows)
        told, by_clock = labels(rows, interval, second)
        found += by_clock
        cleaned = clean(told, replace(feed or Feed.parse(_UNNAMED), interval=interval), now)
    except DataError as error:
        return Quality(source, len(rows), interval, (*found, _refusal(error)), None)
    known = {note.defect for note in rows.notes}
    found += _told(cleaned, told, known | ({"missing price"} if "close only" in known else set()))
    if "close only" not in known:
        found += invented(cleaned.candles, sessions=any(one.defect == "sessions" for one in found))
    if second is not None:
        found += against(cleaned.candles, second)
    return Quality(source, len(rows), interval, tuple(_distinct(found)), cleaned)


def _distinct(found: list[Finding]) -> list[Finding]:
    """One finding a defect: of several that tell the same, the gravest, the one that can be mended, the widest."""
    best: dict[str, Finding] = {}
    for one in found:
        best[one.defect] = max(best.get(one.defect, one), one, key=lambda f: (f.grade, f.mend is not None, f.count))
    return [one for one in found if best[one.defect] is one]


def _harm(defect: str) -> str:
    """What was set right while reading is a matter of form, but for a column that is not there."""
    harm = DEFECTS[defect].harm
    return "form" if harm == "time" else harm


def _refusal(error: DataError) -> Finding:
    return finding(error.defect or "unreadable", f"{error.found} {error.why}", harm="unusable", do=error.do)


def _told(cleaned: Cleaned, rows: Rows, known: Set[str | None]) -> list[Finding]:
    """What cleaning had to mend, but for what is known already."""
    interval = cleaned.candles.feed.interval
    parts = cleaned.repairs.frame.partition_by("kind", as_dict=True, maintain_order=True)
    times = {str(kind): part["time"] for (kind,), part in parts.items()}
    if not (cleaned.candles.frame["volume"] > 0).any():
        times["no volume"] = pl.concat([times.pop(kind) for kind in _WITHOUT_VOLUME if kind in times])
    found = _gaps(times["gap"], cleaned.candles) if "gap" in times else []
    if "reordered" in times and _backwards(rows) >= _NEWEST_FIRST:
        del times["reordered"]
        found.append(finding("newest first", "The rows run from the newest bar to the oldest."))
    for defect in dict.fromkeys(defect for defect, _ in _TOLD.values()):
        told = [(times[kind], says) for kind, (name, says) in _TOLD.items() if name == defect and kind in times]
        if told and defect not in known:
            says = "; ".join(f"{words}: {len(bars):,}" for bars, words in told) + "."
            bars = pl.concat([bars for bars, _ in told])
            harm = "thin" if DEFECTS[defect].harm == "thin" else "loss"
            found.append(finding(defect, says[0].upper() + says[1:], bars, of=len(rows), interval=interval, harm=harm))
    return found


def _backwards(rows: Rows) -> float:
    """The share of steps back in time among all steps from one time to another."""
    steps = rows.frame["time"].diff().drop_nulls()
    return int((steps < timedelta(0)).sum()) / max(int((steps != timedelta(0)).sum()), 1)


def _gaps(missing: pl.Series, candles: Candles) -> list[Finding]:
    """Bars that are not there; on days of the week on which hardly any is, the market is closed."""
    interval = candles.feed.interval
    away = ~candles.observed[(candles.frame["time"].dt.weekday() >= _SATURDAY).to_numpy()]
    weeks = len(candles) * interval.delta / timedelta(weeks=1)
    found = []
    if weeks >= _FEWEST_WEEKS and interval.delta <= timedelta(days=1) and away.mean() >= _CLOSED:
        found.append(finding("sessions", "There is hardly a bar on Saturdays and Sundays: the market closes then."))
        missing = missing.filter(missing.dt.weekday() < _SATURDAY)
    if missing.is_empty():
        return found
    gap = finding("gap", "", missing, of=len(candles), interval=interval)
    longest = max(gap.spans, key=lambda span: span.bars)
    holes = f"{len(gap.spans):,} hole{'s' if len(gap.spans) > 1 else ''}, the longest of {longest.bars:,}"
    says = f"Bars that are missing: {gap.count:,}, in {holes} from {longest.first:%Y-%m-%d %H:%M} on."
    return [*found, replace(gap, says=says)]
