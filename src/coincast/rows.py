"""What a source said, bar by bar, before anyone has judged it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from .candles import PRICES, SCHEMA
from .errors import DataError
from .feed import INTERVALS, Interval

COLUMNS = ("time", *PRICES, "volume")


@dataclass(frozen=True)
class Rows:
    """Bars as a source gave them: in any order, with holes, repeats and values that cannot be.

    Args:
        frame: `time` (bar open, UTC), `open`, `high`, `low`, `close`, `volume`; prices and volumes may be null, NaN,
            infinite or negative, times may not be null.
        notes: what had to be assumed while reading, in plain sentences.

    Raises:
        DataError: the frame has other columns or types, a null time, or no row.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()

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
        )
