"""What goes wrong with exchanges, on demand: each fault by its rate, drawn from a seed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..errors import RecipeError

Place = Literal["request", "page", "message", "bar", "clock"]


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong.

    Args:
        name: how it is asked for.
        places: what it befalls: a request, a page of bars, a message of a stream, a closed bar, the clock.
        says: what happens, for people.
    """

    name: str
    places: tuple[Place, ...]
    says: str


_KNOWN = (
    Fault("429", ("request",), "refused: too many requests, come back later"),
    Fault("418", ("request",), "refused: banned for a while"),
    Fault("5xx", ("request",), "the exchange's gateway fails"),
    Fault("disconnect", ("request", "message"), "the connection is cut"),
    Fault("stall", ("request", "message"), "no answer and no message ever comes, though the connection stands"),
    Fault("slow", ("request",), "the answer comes late"),
    Fault("malformed", ("request", "message"), "what comes is not JSON"),
    Fault("truncated", ("request",), "the answer ends in the middle"),
    Fault("empty", ("page",), "a page of history holds no bar"),
    Fault("duplicates", ("page", "message"), "bars or messages come twice"),
    Fault("out-of-order", ("page", "message"), "rows are shuffled, a message comes after the next one"),
    Fault("correction", ("bar",), "a closed bar is told with other values at first and corrected later"),
    Fault("skew", ("clock",), "the clock that is told is late"),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _KNOWN}


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong.

    Args:
        rates: the share of requests, pages, messages, bars that each fault befalls, by its name in `FAULTS`.
        seed: the same seed and the same order of requests and messages make the same faults.

    Raises:
        RecipeError: a name is not known, a rate is not between 0 and 1, or those of one place sum to more than 1.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if name not in FAULTS:
                raise _refusal(f"There is no fault named {name!r}.")
            if not 0 <= rate <= 1:
                raise _refusal(f"The fault {name} has the rate {rate}.")
        for place in {place for fault in _KNOWN for place in fault.places}:
            if sum(self._at(place).values()) > 1:
                raise _refusal(f"The rates {', '.join(self._at(place))} befall one {place} and sum to more than 1.")

    @classmethod
    def parse(cls, texts: Iterable[str], seed: int = 0) -> Faults:
        """Faults as the command line writes them: `429=0.1`.

        Raises:
            RecipeError: one is not of that form, and as the constructor.
        """
        rates = {}
        for text in texts:
            name, _, rate = text.partition("=")
            try:
                rates[name] = float(rate)
            except ValueError:
                raise _refusal(f"The fault {text!r} is not of the form NAME=RATE.") from None
        return cls(rates, seed)

    def strike(self, place: Place, number: int) -> str | None:
        """The fault that befalls the thing of this number at `place`, if one does."""
        drawn = self._draw(place, number)
        for name, rate in self._at(place).items():
            drawn -= rate
            if drawn < 0:
                return name
        return None

    def _draw(self, place: Place, number: int) -> float:
        return float(np.random.default_rng([self.seed, zlib.crc32(place.encode()), number]).random())

    def _at(self, place: Place) -> dict[str, float]:
        return {name: rate for name, rate in self.rates.items() if place in FAULTS[name].places}


def _refusal(found: str) -> RecipeError:
    return RecipeError(
        found,
        "Each fault befalls a share of what the exchange tells.",
        f"Write NAME=RATE with a rate from 0 to 1 and a name among {', '.join(FAULTS)}.",
    )
