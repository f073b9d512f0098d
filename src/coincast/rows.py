"""What a source said, bar by bar, before anyone has judged it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from .candles import PRICES, SCHEMA
from .errors import DataError
from .feed import INTERVALS, Interval

COLUMNS = ("time", *PRICES, "volume")
# A close is written as the next bar's open or as the last instant before it: 59.999 or 59 seconds.
LAST_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True)
class Note:
    """What had to be assumed, or was met and set right, while reading.

    Args:
        says: one plain sentence.
        defect: its name among the defects `coincast check` knows, if it is one of them.
    """

    says: str
    defect: str | None = None


@dataclass(frozen=True)
class Rows:
    """Bars as a source gave them: in any order, with holes, repeats and values that cannot be.

    Args:
        frame: `time` (bar open, UTC), `open`, `high`, `low`, `close`, `volume`; prices and volumes may be null, NaN,
            infinite or negative, times may not be null.
        notes: what had to be assumed while reading.

    Raises:
        DataError: the frame has other columns or types, a null time, or no row.
    """

    frame: pl.DataFrame
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        wanted = {name: SCHEMA[name] for name in COLUMNS}
        if self.frame.schema != wanted:
            raise DataError(
                f"The rows have the columns {dict(self.frame.schema)}.",
                "Cleaning trusts names, order and types.",
                f"Bring them to {wanted}, or let coincast.tables.as_rows do so.",
            )
        if self.frame.is_empty():
            raise DataError("There is not a single row.", "There is nothing to learn from.", "Pass at least one bar.")
        if self.frame["time"].null_count():
            raise DataError(
                f"{self.frame['time'].null_count()} rows have no time.",
                "Nobody can say which bar they are.",
                "Give every row a time or leave it out.",
            )

    def __len__(self) -> int:
        return self.frame.height


def infer_interval(rows: Rows) -> Interval:
    """The length of the bars: their most common step.

    Raises:
        DataError: there are too few rows, the step is not an interval exchanges use, or a long stretch of the rows
            steps by something else.
    """
    steps = rows.frame["time"].unique().sort().diff().drop_nulls()
    if steps.is_empty():
        raise DataError(
            f"{len(rows)} rows hold fewer than two times.",
            "The interval of the bars cannot be told from them.",
            "Pass more rows, or name the interval.",
        )
    step = steps.mode().sort()[0]
    known = {Interval(name).delta: Interval(name) for name in INTERVALS}
    share = (steps == step).sum() / len(steps)
    if step not in known or share < 0.2:
        raise DataError(
            f"The most common step between rows is {step} ({share:.0%} of the steps).",
            "Candles lie on a grid that exchanges share.",
            f"Pass bars of one of the intervals {', '.join(INTERVALS)}.",
            defect="irregular times",
        )
    _demand_one_interval(steps, known[step])
    return known[step]


def _demand_one_interval(steps: pl.Series, interval: Interval) -> None:
    """A hole is one long step, a stray row two short ones; many equal steps in a row are bars of another interval.

    In an illiquid market holes may follow one another, so longer steps need a longer run to convict.
    """
    runs = steps.rle().struct.unnest()
    allowed = pl.when(pl.col("value") < interval.delta).then(4).otherwise(max(4, min(24, len(steps) // 4)))
    other = runs.filter((pl.col("value") != interval.delta) & (pl.col("len") > allowed)).sort("len").tail(1)
    if not other.is_empty():
        raise DataError(
            f"The rows mix intervals: most are {interval} apart, but {other['len'][0]} in a row are"
            f" {other['value'][0]} apart.",
            "A forecast one bar ahead would mean two different things.",
            "Split the file, one interval in each.",
            defect="mixed intervals",
        )


def opens(interval: Interval, time: pl.Expr | None = None) -> pl.Expr:
    """The open of the bar of `interval` that holds each time; `time` is the column of that name if not given."""
    time = pl.col("time") if time is None else time
    grid = pl.lit(interval.grid).cast(SCHEMA["time"])
    step = int(interval.step.astype(int))
    return grid + pl.duration(microseconds=(time - grid).dt.total_microseconds() // step * step)


def opens_from_closes(rows: Rows) -> Rows:
    """Rows whose times say when each bar closed, labelled by its open.

    Raises:
        DataError: the interval cannot be told from the rows.
    """
    interval = infer_interval(rows)
    grid = opens(interval, pl.col("time") + LAST_INSTANT)
    close = pl.when(grid >= pl.col("time")).then(grid).otherwise("time")
    note = Note(f"The times say when each bar closed; they were moved back to its open, by {interval}.", "close label")
    return Rows(rows.frame.with_columns(time=close - interval.delta), (*rows.notes, note))
