"""The score table: one row a model, best first, every number with its doubt."""

from __future__ import annotations

from dataclasses import dataclass

from ..direction import Direction
from ..inference import Membership
from ..runs import Run
from ..scores import BANDS
from ..summaries import Summary
from ..verdict import NAIVE, Verdict
from .ranking import REACH, challengers, hues, on_scale, ranked, reference, summary
from .style import p_value, percent, price, skill
from .words import span

# A word never stands by colour alone.
SHAPES = {"better": "▲", "no better": "=", "worse": "▼", "too short to tell": "·"}
# How far the bars may reach to either side: the first that holds the intervals.
ROOMS = (0.01, 0.02, 0.03, REACH)
# Where a bar ends that goes on beyond its room: an arrow takes the rest.
_BEFORE_ARROW = 90


@dataclass(frozen=True)
class Bar:
    """Skill as a bar around zero, in percent of the room to either side.

    Args:
        at: the skill.
        ends: of its interval, if it is known and the bar does not go beyond the room.
        beyond: -1 or 1 if the bar goes on beyond the room, else 0.
    """

    at: float
    ends: tuple[float, float] | None
    beyond: int


@dataclass(frozen=True)
class ScoreRow:
    """A model's line, as text; `direction`, `rmse` and `skill` have a smaller line under them.

    `member` is of the confidence set: a dot, what it means, the p.
    """

    model: str
    hue: str
    word: str
    shape: str
    against: str
    reason: str
    bar: Bar | None
    skill: tuple[str, str]
    p: str
    member: tuple[str, str, str]
    crps: str
    coverage: tuple[str, ...]
    rmse: tuple[str, str]
    mape: str
    direction: tuple[str, str]
    n: str


@dataclass(frozen=True)
class ScoreTable:
    """The table of one horizon.

    Args:
        ahead: the horizon in words.
        reference: whom the skill is against.
        room: how far the bars may reach.
        rows: best first.
    """

    ahead: str
    reference: str | None
    room: str
    rows: tuple[ScoreRow, ...]


def score_tables(run: Run) -> list[ScoreTable]:
    """One table a horizon."""
    return [_table(run, horizon) for horizon in run.outlook.horizons]


def _table(run: Run, horizon: int) -> ScoreTable:
    room = _room(run, horizon)
    found = [s for name in ranked(run, horizon) if (s := summary(run, name, horizon))]
    verdicts = {v.model: v for v in run.verdicts if v.horizon == horizon}
    return ScoreTable(
        ahead=f"{span(horizon, run.candles.feed.interval)} ahead",
        reference=reference(run),
        room=percent(room, 0),
        rows=tuple(_row(run, s, verdicts[s.model], room) for s in found),
    )


def _room(run: Run, horizon: int) -> float:
    verdicts = challengers(run, horizon)
    found = [(s, verdicts[name]) for name in on_scale(run, horizon) if (s := summary(run, name, horizon))]
    ends = [abs(end) for s, v in found for end in skill_interval(s, v) or ()]
    return next((room for room in ROOMS if room >= max(ends, default=REACH)), REACH)


def _row(run: Run, s: Summary, v: Verdict, room: float) -> ScoreRow:
    is_reference = s.model == reference(run)
    ends = None if is_reference else skill_interval(s, v)
    naive = summary(run, NAIVE, s.horizon)
    likely = v.p_better if (v.skill or 0.0) >= 0 else v.p_worse
    return ScoreRow(
        model=s.model,
        hue=hues(run)[s.model],
        word=v.word or "–",
        shape=SHAPES.get(v.word or "", ""),
        against=f"than {v.reference}" if is_reference and v.reference else "",
        reason=v.reason,
        bar=None if is_reference or v.skill is None else bar(v.skill, ends, room),
        skill=("reference" if is_reference else skill(v.skill), " to ".join(skill(end) for end in ends or ())),
        p="–" if is_reference else p_value(likely),
        member=_member(run.confidence_set.get((s.model, s.horizon))),
        crps="–" if s.crps is None else f"{s.crps:.5f}",
        coverage=tuple(percent(s.coverage[band].share) if band in s.coverage else "–" for band in BANDS),
        rmse=(price(s.rmse, 4), f"× {s.rmse / naive.rmse:.2f}" if naive and naive.rmse and s.rmse is not None else ""),
        mape=percent(s.mape, 2),
        direction=_direction(s.direction),
        n=f"{s.n:,}",
    )


def _member(one: Membership | None) -> tuple[str, str, str]:
    if one is None:
        return "–", "too few origins to tell", ""
    dot, said = ("●", "may be the best") if one.held else ("○", "shown to be worse")
    p = p_value(one.p)
    return dot, f"{said}: 90 % model confidence set, p {p if p[0] == '<' else f'= {p}'}", p


def _direction(right: Direction | None) -> tuple[str, str]:
    return ("–", "") if right is None else (percent(right.share), f"{100 * right.low:.0f} to {100 * right.high:.0f}")


def skill_interval(s: Summary, v: Verdict) -> tuple[float, float] | None:
    """95 % interval of the skill: that of the mean difference, divided by the reference's mean CRPS."""
    c = v.comparison
    if s.crps is None or v.skill is None or v.skill >= 1 or c is None or c.low is None or c.high is None:
        return None
    typical = s.crps / (1 - v.skill)
    return -c.high / typical, -c.low / typical


def bar(saved: float, ends: tuple[float, float] | None, room: float) -> Bar:
    """Where the bar and its interval end if `room` is 100."""
    beyond = int(saved > room) - int(saved < -room)
    if beyond:
        return Bar(_BEFORE_ARROW * beyond, None, beyond)
    low, high = ends or (saved, saved)
    return Bar(_put(saved, room), (_put(low, room), _put(high, room)) if ends else None, 0)


def _put(value: float, room: float) -> float:
    return round(100 * max(-1.0, min(1.0, value / room)), 1)
