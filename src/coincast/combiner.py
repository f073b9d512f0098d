"""What is made of other models' forecasts: a frozen configuration that turns walked forecasts into new ones.

A combiner is never fitted. What it learns, it learns while it goes over the origins, and from settled forecasts alone:
at each origin it knows the truths whose target time has come, and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from .candles import Candles
from .errors import DataError
from .forecast import Forecast
from .truth import truth


@runtime_checkable
class Combiner(Protocol):
    """A frozen dataclass of settings with a name, the models it is made of, and one function."""

    name: ClassVar[str]

    @property
    def members(self) -> tuple[str, ...]:
        """The models whose forecasts it is made of, by name."""
        ...

    def combine(self, forecasts: Sequence[Forecast], candles: Candles) -> Float[np.ndarray, "origin horizon K"]:
        """K sorted log-returns for each origin and horizon.

        Args:
            forecasts: one a member, in the order of `members`, all from the same origins.
            candles: what they were made from; of the bars after an origin nothing may be read for that origin.
        """
        ...


class Rounds(NamedTuple):
    """The forecasts of one horizon that have met a truth, in the order in which they met it.

    A truth that was not observed settles nothing: its forecast is no round.

    Args:
        row: where each stands among the forecasts.
        truth: the log-return that came.
        known: how many rounds were settled at each origin.
    """

    row: Int[np.ndarray, " round"]
    truth: Float[np.ndarray, " round"]
    known: Int[np.ndarray, " origin"]


def rounds(forecast: Forecast, candles: Candles) -> list[Rounds]:
    """What could be learnt from at each origin, horizon by horizon."""
    came = truth(forecast, candles)
    out = []
    for column in range(len(forecast.horizons)):
        row = np.flatnonzero(np.isfinite(came[:, column]))
        known = np.searchsorted(forecast.target_time[row, column], forecast.origin, side="right")
        out.append(Rounds(row, came[row, column], known))
    return out


def combined(combiner: Combiner, forecasts: Sequence[Forecast], candles: Candles, recipe: str = "") -> Forecast:
    """The combiner's own forecast, from the origins of its members.

    Its cutoff is its origin: it has learnt from every truth that was settled by then.

    Args:
        combiner: the settings.
        forecasts: one a member, in the order of `combiner.members`.
        candles: what they were made from.
        recipe: digest of the recipe, if there is one.

    Raises:
        DataError: there is not one forecast a member, or they differ in feed, horizons or origins, or their origins
            do not ascend.
    """
    _demand_alike(combiner, forecasts)
    first = forecasts[0]
    values = combiner.combine(forecasts, candles)
    return replace(first, model=combiner.name, recipe=recipe, cutoff=first.origin, values=values)


def _demand_alike(combiner: Combiner, forecasts: Sequence[Forecast]) -> None:
    models = tuple(forecast.model for forecast in forecasts)
    asked = {(f.feed, f.horizons, f.origin.tobytes()) for f in forecasts}
    if models != combiner.members or len(asked) != 1 or (np.diff(forecasts[0].origin) <= np.timedelta64(0)).any():
        raise DataError(
            f"{combiner.name} is made of {', '.join(combiner.members)} and was given {', '.join(models) or 'nothing'}"
            f" with {len(asked)} different sets of feed, horizons and origins.",
            "Only forecasts of the same thing from the same origins, in time order, can be weighed against each other.",
            "Walk all members over the same candles with the same horizons.",
        )
