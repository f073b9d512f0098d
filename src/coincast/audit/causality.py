"""Does a forecast depend on what came after it? Ask about other futures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Int

from ..candles import Candles, Times
from ..feed import from_numpy, to_numpy
from ..perturbation import forming, futures, raised, reordered, with_gaps_of
from ..predictions import Predictions
from ..sandbox import Question, Signature
from .comparison import SAME, Experiment, compare
from .findings import Finding
from .interview import Reply

# Origins inside the span after which the future is changed, besides the first one. For bars within a day they are
# spread over its hours too: a day that was cut in another zone shows in some hours alone.
INNER = 5
# A pipeline whose answers vary by chance hides small changes by the future: what is less than so many times that
# variation is not called a look ahead.
NOISE = 4.0


@dataclass(frozen=True)
class Change:
    """A question that differs from the first one in what came after `until`.

    Args:
        words: what is different.
        until: up to which origin forecasts must not differ.
        question: what is asked.
    """

    words: str
    until: datetime
    question: Question


@dataclass(frozen=True)
class Ground:
    """What every experiment starts from.

    Args:
        question: as it was first asked.
        predictions: what was answered.
        noise: the largest share by which a price differs when the same is asked twice.
    """

    question: Question
    predictions: tuple[Predictions, ...]
    noise: float = 0.0

    @property
    def same(self) -> float:
        """The largest share by which a price may differ and be called unchanged."""
        return max(SAME, NOISE * self.noise)

    @property
    def candles(self) -> Candles:
        """The bars as they are."""
        return self.question.candles

    @property
    def origins(self) -> Times:
        """Every origin that is forecast from and that a bar of the candles closes at, in order."""
        told = np.unique(np.concatenate([one.origin for one in self.predictions]))
        return told[np.isin(told, self.candles.known_at)]

    def bar(self, origin: np.datetime64) -> int:
        """The bar that closes at an origin."""
        return int(np.searchsorted(self.candles.known_at, origin))

    def ask_of(self, candles: Candles) -> Question:
        """The same question about other candles."""
        return self.question._replace(candles=candles)


def changes(ground: Ground, signature: Signature) -> list[Change]:
    """The futures to try: after the first origin, after some inside the span, and a cut where the split cannot move."""
    bars = cuts(ground)
    if not len(bars):
        return []
    first, *inner = bars.tolist()
    candles = ground.candles
    told = [
        _change(ground, first, "raised above all that was seen", raised(candles, first + 1)),
        _change(ground, first, "put in reverse order", reordered(candles, first + 1)),
    ]
    kinds = ("mirrored at the last price", "raised above all that was seen", "replaced by noise")
    for number, bar in enumerate(inner):
        # A price that is filled in moves little unless the bar it is filled from moves much.
        words = kinds[number % len(kinds) if candles.observed[bar] else 1]
        raises = words.startswith("raised")
        other = raised(candles, bar + 1) if raises else with_gaps_of(candles, dict(futures(candles, bar))[words])
        told.append(_change(ground, bar, words, other))
    if "test_from" in signature.asks and inner:
        bar = inner[len(inner) // 2]
        known = candles.until(from_numpy(candles.known_at[bar]))
        told.append(_change(ground, bar, "cut off", known))
    return told + ([_unclosed(ground)] if "now" in signature.asks else [])


def cuts(ground: Ground) -> Int[np.ndarray, " cut"]:
    """Bars after which the future is changed: that of the first origin, and some spread over the span and the day."""
    origins = ground.origins
    origins = origins[origins < ground.candles.known_at[-1]]
    if not origins.size:
        return np.array([], dtype=np.int64)
    telling = _telling(ground, origins)
    spread = [_near(ground, telling, origins, number) for number in range(1, INNER + 1)]
    chosen = (origins[0], *spread, telling[-1], _after_a_jump(ground, origins), *_in_a_gap(ground, telling))
    return np.unique([ground.bar(origin) for origin in chosen])


def _near(ground: Ground, telling: Times, origins: Times, number: int) -> np.datetime64:
    """Of the telling origins at one hour of the day, the one nearest to one of the points that divide the span."""
    day = np.timedelta64(24, "h").astype("timedelta64[us]")
    # The first hour soon after midnight: a day of a zone further west has not ended then.
    hour = (2 * ground.candles.feed.interval.step + day * (number - 1) // INNER) % day
    away = np.abs((telling - telling.astype("datetime64[D]")).astype("timedelta64[us]") - hour)
    same = telling[away == away.min()]
    point = origins[len(origins) * number // (INNER + 1)]
    return np.datetime64(same[np.argmin(np.abs(same - point))])


def _telling(ground: Ground, origins: Times) -> Times:
    """Origins before a bar that was seen and moved the price as half of them do: mirrored, it is another bar."""
    candles = ground.candles
    rows = np.searchsorted(candles.known_at, origins)
    moves = np.where(candles.observed[rows + 1], np.abs(np.log(candles.close[rows + 1] / candles.close[rows])), 0.0)
    telling = origins[(moves > 0) & (moves >= np.median(moves))]
    return telling if telling.size else origins


def _after_a_jump(ground: Ground, origins: Times) -> np.datetime64:
    """The origin whose own bar moved the price most: a spike that is mended by the bar after it shows nowhere else."""
    candles = ground.candles
    rows = np.searchsorted(candles.known_at, origins)
    moves = np.abs(np.log(candles.close[rows] / candles.close[np.maximum(rows - 1, 0)]))
    return np.datetime64(origins[np.argmax(np.where(candles.observed[rows + 1], moves, -1.0))])


def _in_a_gap(ground: Ground, origins: Times) -> Times:
    """The last origin that is forecast from a missing bar: what is filled in backwards shows nowhere else."""
    candles = ground.candles
    return origins[~candles.observed[np.searchsorted(candles.known_at, origins)]][-1:]


def _change(ground: Ground, bar: int, words: str, candles: Candles) -> Change:
    until = from_numpy(ground.candles.known_at[bar])
    return Change(f"the bars after {until:%Y-%m-%d %H:%M} {words}", until, ground.ask_of(candles))


def _unclosed(ground: Ground) -> Change:
    """One bar more, as it might stand while it forms: a pipeline that leaves it alone sees what it saw before."""
    end, step = ground.candles.end, ground.candles.feed.interval.delta
    question = ground.ask_of(forming(ground.candles))._replace(now=end + step / 2)
    return Change("a bar that is still forming handed over too", end, question)


def outcome(ground: Ground, change: Change, reply: Reply) -> Experiment:
    """What a change did."""
    error = reply.nonsense or ("" if reply.predictions else reply.answer.words)
    # Handed fewer bars, or an earlier clock, it may forecast fewer.
    asked = change.question
    complete = len(asked.candles) == len(ground.candles) and asked.now == ground.question.now
    return compare(
        change.words,
        change.until,
        ground.predictions,
        reply.predictions,
        same=ground.same,
        error=error,
        complete=complete,
    )


def early(change: Change, reply: Reply) -> Finding | None:
    """A forecast that starts from a bar which had not closed by the clock it was told."""
    now = to_numpy(change.question.now)
    late = [one.origin[one.origin > now] for one in reply.predictions]
    origins = np.concatenate(late) if late else np.array([], dtype="datetime64[us]")
    if not origins.size:
        return None
    origin = from_numpy(origins.min())
    return Finding(
        "unclosed bar",
        f"At {change.question.now:%Y-%m-%d %H:%M} it forecast from {origin:%Y-%m-%d %H:%M}, when the bar before had not"
        " closed.",
        origin,
        origin - change.question.candles.feed.interval.delta,
    )
