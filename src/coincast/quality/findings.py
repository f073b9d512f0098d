"""What can be wrong with a series of candles, how bad it is, and what a series was found to have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from ..candles import SCHEMA
from ..clean import Cleaned
from ..errors import DataError
from ..feed import Interval
from ..rows import Rows

GRADES = ("A", "B", "C", "D", "F")
# The largest shares of bars with which a loss is graded B, C and D.
SHARES = (0.01, 0.05, 0.20)
HARMS: Mapping[str, str] = {
    "form": "A: how the file is written; it is read rightly and nothing is lost.",
    "loss": "B up to 1 % of the bars, C up to 5 %, D up to 20 %, F above: bars are missing, or a value cannot be, and"
    " is mended and marked.",
    "thin": "B up to 1 % of the bars, C up to 5 %, D above: the market stood still; those bars say little.",
    "column": "C: one column is not what its name says.",
    "invented": "C up to 1 % of the bars, D above: values that were never traded stand among the real ones.",
    "time": "F: times do not say when a bar opened, so a bar would be taken for known too early or too late.",
    "unusable": "F: there are no candles to be had from it.",
}


class Defect(NamedTuple):
    """One thing that can be wrong.

    Args:
        harm: what follows, a key of `HARMS`; it decides the grade.
        is_: what it is.
        do: what to do about it.
    """

    harm: str
    is_: str
    do: str


_FIX = "`coincast check --fix` does it"
DEFECTS: Mapping[str, Defect] = {
    "banner": Defect("form", "lines above the names of the columns", "Nothing: they are skipped."),
    "header rows": Defect("form", "several lines name the columns", "Nothing: they are read as one."),
    "day first": Defect("form", "dates written day, month, year", "Nothing if it was read; else write 2020-01-31."),
    "month first": Defect("form", "dates written month, day, year", "Nothing if it was read; else write 2020-01-31."),
    "newest first": Defect("form", "rows run from the newest bar to the oldest", "Nothing: they are sorted."),
    "sessions": Defect("form", "a market that closes on some days of the week", "Nothing: those days are no gap."),
    "close label": Defect("time", "times say when a bar closed", f"Move each back by one interval; {_FIX}."),
    "local time": Defect("time", "times in a zone other than UTC", f"Bring them to UTC; {_FIX} where it is certain."),
    "clock change": Defect("time", "clocks put forward and back", f"Bring the times to UTC; {_FIX} where it can."),
    "label late": Defect("time", "each bar stands at a later bar's time", f"Move the times back; {_FIX}."),
    "label early": Defect("time", "each bar stands at an earlier bar's time", f"Move the times on; {_FIX}."),
    "irregular times": Defect("unusable", "no common step between the times", "Fetch candles of one interval."),
    "mixed intervals": Defect("unusable", "bars of several lengths", "Split the file, one interval in each."),
    "several series": Defect("unusable", "more than one symbol in one table", "Keep one of them."),
    "close only": Defect("unusable", "one price a row, no open, high and low", "Fetch candles instead of prices."),
    "another market": Defect("unusable", "does not move as the second series does", "Compare with the same market."),
    "unreadable": Defect("unusable", "no candles could be read", "Follow what the message says."),
    "reordered": Defect("loss", "rows stand after a later one", f"Sort them; {_FIX}."),
    "duplicate": Defect("loss", "a row is repeated to the last digit", f"Keep one; {_FIX}."),
    "conflict": Defect("loss", "two rows tell one bar differently", f"Keep the one with more volume; {_FIX}."),
    "off grid": Defect("loss", "rows that open between two bars", f"Drop them; {_FIX}."),
    "unclosed": Defect("invented", "bars stored before they had closed", f"Fetch them again; {_FIX} by dropping them."),
    "gap": Defect("loss", "bars that the source does not have", "Lend them from another venue, or leave them missing."),
    "missing price": Defect(
        "loss", "bars without a price that can be", f"Fetch them again, or mend or drop them; {_FIX}."
    ),
    "bad tick": Defect("loss", "a price far outside everything around it", f"Mend it, or drop the bar; {_FIX}."),
    "outside range": Defect("loss", "a high below or a low above its own bar", f"Move it to the bar's edge; {_FIX}."),
    "level jump": Defect(
        "invented",
        "a price that jumps to another level from one bar to the next",
        "Look for a slipped decimal point, another unit or coin, a redenomination; `coincast check --fix` leaves it.",
    ),
    "straight line": Defect("invented", "bars drawn by a ruler between two real ones", f"Drop them; {_FIX}."),
    "carried forward": Defect("invented", "bars that repeat the one before in every value", f"Drop them; {_FIX}."),
    "stale tail": Defect("invented", "a price that has stood still to the end", f"Drop it; {_FIX}."),
    "flat bars": Defect("thin", "bars whose prices are all one price", "Know that little or nothing was traded."),
    "copied opens": Defect("column", "opens are the close before", "Do not use the open; closes are sound."),
    "no volume": Defect("column", "volume is not there", "Do not use features of volume."),
    "zero volume": Defect("thin", "bars in which nothing was traded", "Do not use features of volume there."),
    "quote volume": Defect("column", "volume in quote currency", f"Divide by the price; {_FIX} if a second proves it."),
}


class Span(NamedTuple):
    """Neighbouring bars.

    Args:
        first: open of the first.
        last: open of the last.
        bars: how many.
    """

    first: datetime
    last: datetime
    bars: int


@dataclass(frozen=True, eq=False)
class Finding:
    """A defect that a series has.

    Args:
        defect: its name, a key of `DEFECTS`.
        harm: what follows from it, a key of `HARMS`.
        grade: how bad, one of `GRADES`.
        count: how many bars or rows it touches; 0 where it is about the whole.
        bars: opens of the bars touched; empty where it is about the whole.
        spans: the same bars as runs of neighbours.
        says: what was found, in numbers.
        do: what to do about it.
        mend: rows -> rows without it; None where it stays, or where cleaning mends it anyway.
        did: what `mend` does, said as done.
    """

    defect: str
    harm: str
    grade: str
    count: int
    bars: pl.Series
    spans: tuple[Span, ...]
    says: str
    do: str
    mend: Callable[[Rows], Rows] | None = None
    did: str = ""

    @property
    def refuses(self) -> bool:
        """Whether it spoils all bars and nothing undoes it, so that no copy of them can be stood by."""
        return self.harm in {"time", "unusable"} and self.mend is None


_NONE = pl.Series("time", [], SCHEMA["time"])


def finding(
    defect: str,
    says: str,
    bars: pl.Series = _NONE,
    *,
    of: int = 1,
    interval: Interval | None = None,
    harm: str | None = None,
    do: str | None = None,
    mend: Callable[[Rows], Rows] | None = None,
    did: str = "",
) -> Finding:
    """A finding with its grade and spans.

    Args:
        defect: its name.
        says: what was found.
        bars: opens of the bars touched, repeats where a bar is touched twice.
        of: how many bars there are.
        interval: the bars' length.
        harm: where it differs from the defect's own.
        do: where it differs from the defect's own.
        mend: as in `Finding`.
        did: as in `Finding`.
    """
    harm = harm or DEFECTS[defect].harm
    grade = grade_of(harm, len(bars) / max(of, 1))
    spans = _spans(bars.unique().sort(), interval) if interval else ()
    do = do or _advice(defect, harm, mended=mend is not None)
    return Finding(defect, harm, grade, len(bars), bars, spans, says, do, mend, did)


def _advice(defect: str, harm: str, *, mended: bool) -> str:
    known = DEFECTS[defect]
    if known.harm == "time" and harm == "form":
        return "Nothing: the times were set right while reading."
    if harm == "time" and not mended:
        return "Name their zone with --tz, or fetch bars that open in UTC; no corrected copy can undo it."
    return known.do


def grade_of(harm: str, share: float) -> str:
    """The grade of a harm that touches this share of the bars, as `HARMS` says."""
    if harm in {"loss", "thin"}:
        grade = GRADES[1 + sum(share > most for most in SHARES)]
        return min(grade, "D") if harm == "thin" else grade
    if harm == "invented":
        return "C" if share <= SHARES[0] else "D"
    return {"form": "A", "column": "C"}.get(harm, "F")


def _spans(times: pl.Series, interval: Interval) -> tuple[Span, ...]:
    if times.is_empty():
        return ()
    ends = np.flatnonzero(np.diff(times.dt.replace_time_zone(None).to_numpy()) > interval.step)
    starts, stops = [0, *(ends + 1).tolist()], [*ends.tolist(), len(times) - 1]
    first, last = times.gather(starts).to_list(), times.gather(stops).to_list()
    return tuple(Span(a, b, j - i + 1) for a, b, i, j in zip(first, last, starts, stops, strict=True))


@dataclass(frozen=True, eq=False)
class Quality:
    """What a series is worth.

    Args:
        source: what it is called.
        rows: how many rows it has.
        interval: length of its bars; None where it cannot be told.
        findings: in the order in which they were met and are to be mended.
        cleaned: its candles and their repairs; None where there are none to be had.
    """

    source: str
    rows: int
    interval: Interval | None
    findings: tuple[Finding, ...]
    cleaned: Cleaned | None

    @property
    def grade(self) -> str:
        """That of the worst finding; A where there is none."""
        return max((found.grade for found in self.findings), default=GRADES[0])

    @property
    def defects(self) -> frozenset[str]:
        """Names of what was found."""
        return frozenset(found.defect for found in self.findings)

    def demand_candles(self) -> Cleaned:
        """The candles, unless their times cannot be trusted.

        Raises:
            DataError: they cannot, or there are none.
        """
        lies = [one for one in self.worst_first if one.harm == "time"]
        if self.cleaned is not None and not lies:
            return self.cleaned
        worst = (lies or self.worst_first)[0]
        raise DataError(worst.says, "Forecasts would be made from the wrong bars.", worst.do, worst.defect)

    @cached_property
    def worst_first(self) -> Sequence[Finding]:
        """The findings for a reader: by grade, the one that touches most first."""
        return sorted(self.findings, key=lambda found: (-GRADES.index(found.grade), -found.count))

    @property
    def sentence(self) -> str:
        """The grade in words."""
        if not self.findings:
            return f"{self.source}: grade A. Nothing is wrong with its {self.rows:,} rows."
        worst = self.worst_first[0]
        return f"{self.source}: grade {self.grade}. {worst.says}"
