"""Two answers to the same question but for what may not matter: which forecasts changed, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from jaxtyping import Float

from ..feed import from_numpy, to_numpy
from ..predictions import Predictions

# A forecast has changed if a price in it differs by more than this share. Arithmetic in single precision on a table of
# another length differs by less, and every future that is tried moves prices by much more.
SAME = 1e-6

# No price is larger than this: arithmetic beyond would overflow.
LARGEST = 1e100

_KEY = ("model", "origin", "target_time")


@dataclass(frozen=True)
class Experiment:
    """One change of what a pipeline must not know, and what came of it.

    Args:
        words: what was changed.
        known_until: forecasts from origins up to here must stay as they were.
        compared: how many of those there were.
        changed: how many of them changed.
        largest: the largest change of a price, as a share.
        first: the origin of the first that changed.
        error: why there was no answer to compare.
        left_out: how many of those that changed are in one of the two answers alone.
    """

    words: str
    known_until: datetime
    compared: int
    changed: int
    largest: float = 0.0
    first: datetime | None = None
    error: str = ""
    left_out: int = 0

    @property
    def passed(self) -> bool | None:
        """None if nothing could be compared."""
        return self.changed == 0 if self.compared else None


def table(predictions: Sequence[Predictions]) -> pl.DataFrame:
    """`model, origin, target_time, prices`, one row a forecast."""
    return pl.concat(
        pl.DataFrame(
            {
                "model": [one.model] * len(one),
                "origin": one.origin,
                "target_time": one.target_time,
                "prices": pl.Series(one.prices, dtype=pl.Array(pl.Float64, len(one.levels))).arr.to_list(),
            }
        )
        for one in predictions
    )


def differences(
    base: Sequence[Predictions], other: Sequence[Predictions], until: np.datetime64 | None = None
) -> pl.DataFrame:
    """How far each forecast that both answers hold has moved, as a share: `model, origin, target_time, moved`.

    Args:
        base: an answer.
        other: another.
        until: the last origin that counts.
    """
    if not base or not other:
        return pl.DataFrame(schema={**dict.fromkeys(_KEY), "moved": pl.Float64()})
    both = table(base).join(table(_as_named(other, base)), on=_KEY, how="inner", suffix="_other", maintain_order="left")
    if until is not None:
        both = both.filter(pl.col("origin") <= pl.lit(until))
    return both.select(*_KEY, pl.Series("moved", _moved(both["prices"], both["prices_other"]), dtype=pl.Float64()))


def in_one_alone(base: Sequence[Predictions], other: Sequence[Predictions], until: np.datetime64) -> pl.DataFrame:
    """The forecasts that only one answer holds, as having moved by all of the price."""
    one, two = table(base).drop("prices"), table(_as_named(other, base)).drop("prices")
    alone = pl.concat([one.join(two, on=_KEY, how="anti"), two.join(one, on=_KEY, how="anti")])
    return alone.filter(pl.col("origin") <= pl.lit(until)).with_columns(moved=pl.lit(1.0))


def _as_named(other: Sequence[Predictions], base: Sequence[Predictions]) -> Sequence[Predictions]:
    """The other answer under the first one's name, where each holds one model: it may be called after a choice."""
    if len(base) == len(other) == 1:
        return [replace(other[0], model=base[0].model)]
    return other


def _moved(before: pl.Series, after: pl.Series) -> Float[np.ndarray, " forecast"]:
    """The largest change of a price in each forecast, as a share; all of it where other levels are stated."""
    moved = np.ones(len(before))
    widths = before.list.len().to_numpy()
    for width in np.unique(widths):
        rows = (widths == width) & (after.list.len().to_numpy() == width)
        if rows.any():
            here = pl.Series(rows)
            a, b = (prices.filter(here).list.to_array(int(width)).to_numpy() for prices in (before, after))
            moved[rows] = np.max(np.abs(b - a) / np.maximum(np.abs(a), 1 / LARGEST), axis=1)
    return moved


def compare(
    words: str,
    until: datetime,
    base: Sequence[Predictions],
    other: Sequence[Predictions],
    *,
    same: float = SAME,
    error: str = "",
    complete: bool = False,
) -> Experiment:
    """The experiment's outcome.

    Args:
        words: what was changed.
        until: up to which origin forecasts must stay.
        base: the answer before.
        other: the answer after; empty if there was none.
        same: the largest share by which a price may differ.
        error: why there was none.
        complete: both answers should hold the same forecasts.
    """
    found = differences(base, other, to_numpy(until))
    alone = in_one_alone(base, other, to_numpy(until)) if complete and base and other else found.clear()
    found = pl.concat([found, alone])
    moved = found.filter(pl.col("moved") > same).sort("origin")
    return Experiment(
        words=words,
        known_until=until,
        compared=found.height,
        changed=moved.height,
        largest=float(found["moved"].to_numpy().max(initial=0.0)),
        first=from_numpy(moved["origin"].to_numpy()[0]) if moved.height else None,
        error=error,
        left_out=alone.height,
    )
