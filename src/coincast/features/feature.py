"""A named causal quantity of each bar, the register of all of them, and their values along candles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Float

from ..candles import SCHEMA, Candles
from ..errors import RecipeError
from ..feed import Interval


@dataclass(frozen=True)
class Feature:
    """A causal quantity of each bar.

    Args:
        name: how recipes call it.
        expression: made from the bar's interval, over the columns of a candle frame. A value of an outside series is
            null until it is known.
        warm_up: how many first bars have no value to trust; they become NaN.
        says: what it measures and in which unit, for the table of features.
    """

    name: str
    expression: Callable[[Interval], pl.Expr]
    warm_up: int
    says: str

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The outside series it reads: its columns that are none of the candles' own."""
        return tuple(sorted(set(self.expression(Interval("1d")).meta.root_names()) - set(SCHEMA)))


FEATURES: dict[str, Feature] = {}


def register(feature: Feature) -> Feature:
    """Make a feature known by its name.

    Raises:
        RecipeError: another feature has that name.
    """
    if feature.name in FEATURES and FEATURES[feature.name] != feature:
        raise RecipeError(
            f"A feature named {feature.name!r} is registered already.",
            "A recipe would not say which one it means.",
            "Choose another name.",
        )
    FEATURES[feature.name] = feature
    return feature


def needs(names: Sequence[str]) -> tuple[str, ...]:
    """The outside series that these features read together.

    Raises:
        RecipeError: a name is not registered.
    """
    return tuple(sorted({series for feature in _named(names) for series in feature.needs}))


def compute(candles: Candles, names: Sequence[str]) -> Float[np.ndarray, "bar feature"]:
    """The named features of every bar; NaN while a feature warms up, and before its outside series starts.

    Raises:
        RecipeError: a name is not registered, or a feature reads an outside series that the candles do not have.
    """
    chosen = _named(names)
    _demand_outside(candles, chosen)
    interval = candles.feed.interval
    # An average would carry a NaN on for ever; a null it leaves out.
    known = candles.frame.with_columns(pl.col(candles.outside).fill_nan(None))
    frame = known.select(f.expression(interval).cast(pl.Float64).alias(f.name) for f in chosen)
    rows = frame.fill_null(np.nan).to_numpy().copy()
    for column, feature in enumerate(chosen):
        rows[: feature.warm_up, column] = np.nan
    return rows


def _named(names: Sequence[str]) -> list[Feature]:
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise RecipeError(
            f"The feature {unknown[0]!r} is not registered.",
            "A recipe names its inputs so that it can be run again.",
            f"Choose among {', '.join(sorted(FEATURES))}, or register it.",
        )
    return [FEATURES[name] for name in names]


def _demand_outside(candles: Candles, chosen: Sequence[Feature]) -> None:
    for feature in chosen:
        missing = [series for series in feature.needs if series not in candles.outside]
        if missing:
            raise RecipeError(
                f"The feature {feature.name!r} reads the outside series {missing[0]!r}, which these candles of"
                f" {candles.feed} do not have.",
                "It would have no value at any bar.",
                f"Get it with `coincast fetch {missing[0]}` and add --outside {missing[0]}.",
            )


def bars_of(interval: Interval, days: float) -> int:
    """Bars in so many days; one where a bar is longer."""
    return max(1, interval.bars(timedelta(days=days)))
