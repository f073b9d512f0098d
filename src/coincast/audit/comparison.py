"""Two answers to the same question but for what may not matter: which forecasts changed, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from ..feed import from_numpy, to_numpy
from ..predictions import Predictions

# A forecast has changed if a price in it differs by more than this share. Arithmetic in single precision on a table of
# another length differs by less, and every future that is tried moves prices by much more.
SAME = 1e-6

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
    """

    words: str
    known_until: datetime
    compared: int
    changed: int
    largest: float = 0.0
    first: datetime | None = None
    error: str = ""

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
                "prices": pl.Series(one.prices.tolist(), dtype=pl.List(pl.Float64)),
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
    both = table(base).join(table(other), on=_KEY, how="inner", suffix="_other", maintain_order="left")
    if until is not None:
        both = both.filter(pl.col("origin") <= pl.lit(until))
    before, after = both["prices"], both["prices_other"]
    moved = [_moved(a, b) for a, b in zip(before, after, strict=True)]
    return both.select(*_KEY, pl.Series("moved", moved, dtype=pl.Float64()))


def _moved(before: pl.Series, after: pl.Series) -> float:
    if len(before) != len(after):
        return float("inf")
    a, b = before.to_numpy(), after.to_numpy()
    return float(np.max(np.abs(b - a) / np.maximum(np.abs(a), np.finfo(float).tiny)))


def compare(
    words: str,
    until: datetime,
    base: Sequence[Predictions],
    other: Sequence[Predictions],
    *,
    same: float = SAME,
    error: str = "",
) -> Experiment:
    """The experiment's outcome.

    Args:
        words: what was changed.
        until: up to which origin forecasts must stay.
        base: the answer before.
        other: the answer after; empty if there was none.
        same: the largest share by which a price may differ.
        error: why there was none.
    """
    found = differences(base, other, to_numpy(until))
    moved = found.filter(pl.col("moved") > same).sort("origin")
    return Experiment(
        words=words,
        known_until=until,
        compared=found.height,
        changed=moved.height,
        largest=float(found["moved"].to_numpy().max(initial=0.0)),
        first=from_numpy(moved["origin"].to_numpy()[0]) if moved.height else None,
        error=error,
    )
