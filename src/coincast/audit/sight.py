"""How far beyond an origin a pipeline sees, and which fault that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..candles import Candles
from ..feed import from_numpy, to_numpy
from ..perturbation import raised, reordered
from .causality import Change, Ground, outcome
from .comparison import Experiment
from .findings import Finding
from .interview import Interview

# Bars that count as near: a window of features sees at most so far, a fit sees all.
NEAR = 64
# Stretches of near bars, each from so many bars ahead to `NEAR`.
STRETCHES = (2, 4, 8, 16, 32)
# Where most of so many forecasts change at once, it is not a window of bars that moved them but the model.
MANY = 10


@dataclass(frozen=True)
class Sight:
    """What of the future moves a forecast.

    Args:
        next_bar: the very next bar alone.
        reach: bars at least so many ahead, and no more than `NEAR`; 0 if none of these does.
        far: bars beyond `NEAR`.
        order: those, though they keep their values and only their order changes.
    """

    next_bar: bool
    reach: int
    far: bool
    order: bool


def diagnose(ground: Ground, interview: Interview, failed: Sequence[Experiment]) -> Finding:
    """Name the look into the future that some experiments found, by changing one stretch of it at a time."""
    first = from_numpy(ground.origins[0])
    worst = max(failed, key=lambda one: (one.known_until > first, -one.known_until.timestamp()))
    bar = ground.bar(to_numpy(worst.known_until))
    sight = _sight(ground, interview, worst, bar)
    # Labels cross a split only there, and only if they reach further than one bar.
    longest = max(int(one.horizon.max()) for one in ground.predictions)
    split = worst.known_until == first and len(ground.origins) > 1 and longest > 1
    fault, sees = _fault(sight, worst, split=split)
    if all(one.left_out == one.changed for one in failed):
        fault = "left out by outcome"
    elif all(one.words.endswith("cut off") for one in failed) and sight == Sight(False, 0, False, False):
        fault, sees = "counts the bars", "no bar of another kind moves them"
    step = ground.candles.feed.interval
    share = f"{worst.changed:,} of {worst.compared:,} forecasts changed, by up to {100 * worst.largest:.3g} %"
    shown = min(bar + _first_seen(sight), len(ground.candles) - 1)
    return Finding(
        fault,
        f"With {worst.words}, {share}; {sees} (bars of {step}).",
        worst.first or worst.known_until,
        from_numpy(ground.candles.time[shown]),
    )


def _sight(ground: Ground, interview: Interview, worst: Experiment, bar: int) -> Sight:
    candles, last = ground.candles, len(ground.candles) - 1
    near_end = min(bar + NEAR, last)
    asked: dict[str, Candles] = {"next": raised(candles, bar + 1, bar + 1)}
    asked |= {f"{k}": raised(candles, bar + k, near_end) for k in STRETCHES if bar + k <= near_end}
    if last > near_end:
        asked |= {"far": raised(candles, near_end + 1), "order": reordered(candles, near_end + 1)}
    named = [Change(name, worst.known_until, ground.ask_of(other)) for name, other in asked.items()]
    replies = interview.ask([change.question for change in named], "how far it sees")
    moved = {
        change.words for change, reply in zip(named, replies, strict=True) if outcome(ground, change, reply).changed
    }
    reach = max((k for k in STRETCHES if f"{k}" in moved), default=0)
    return Sight("next" in moved, reach, "far" in moved, "order" in moved)


def _fault(sight: Sight, worst: Experiment, *, split: bool) -> tuple[str, str]:
    """The fault's name, and in words what was seen of the future."""
    if sight.far and not sight.order:
        return "scale from the future", "what matters is how high and low later bars are, not in which order"
    most = worst.compared > MANY and worst.changed > worst.compared / 2
    if sight.far or most:
        how = f"even bars more than {NEAR} ahead matter" if sight.far else "forecasts long before those bars moved too"
        return "learnt from the future", how
    if split:
        return "labels across the split", "only bars soon after the first forecast matter"
    if sight.reach:
        return (
            "window into the future",
            f"bars as far ahead as {sight.reach} or more matter, those beyond {NEAR} do not",
        )
    if sight.next_bar:
        return "same-bar feature", "the next bar alone matters, and to the last of them alone"
    return "future read", "no one stretch of the future did it alone"


def _first_seen(sight: Sight) -> int:
    """Bars from the origin to the first that is known to matter."""
    if sight.next_bar:
        return 1
    return sight.reach or (NEAR + 1 if sight.far else 1)
