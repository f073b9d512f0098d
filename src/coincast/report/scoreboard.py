"""The tables: one row a model, best first, every number with its doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..coverage import Coverage
from ..diagnosis import LagIllusion, lag_illusion, largest_misses
from ..runs import Run
from ..scores import Summary
from ..verdict import NAIVE, Verdict
from .ranking import REACH, hues, judged, ranked, reference, summary
from .style import change, p_value, percent, price, skill
from .words import bar_of, span

# A word never stands by colour alone.
SHAPES = {"better": "▲", "no better": "=", "worse": "▼", "too short to tell": "·"}
BANDS = (50, 80, 95)
MISSES = 8
# Where a bar ends that goes on beyond its room: an arrow takes the rest.
_BEFORE_ARROW = 90


@dataclass(frozen=True)
class Bar:
    """Skill as a bar around zero, in percent of half the room: -100 to 100.

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
    """A model's line in the score table, as text."""

    model: str
    hue: str
    bar: Bar | None
    skill: str
    interval: str
    p: str
    word: str
    shape: str
    against: str
    reason: str
    crps: str
    coverage: tuple[str, ...]
    rmse: str
    ratio: str
    mape: str
    direction: str
    direction_interval: str
    n: str


@dataclass(frozen=True)
class ScoreTable:
    """The score table of one horizon."""

    horizon: int
    title: str
    reference: str | None
    reach: str
    rows: tuple[ScoreRow, ...]


def score_tables(run: Run) -> list[ScoreTable]:
    """One table a horizon."""
    return [_score_table(run, horizon) for horizon in run.outlook.horizons]


def _score_table(run: Run, horizon: int) -> ScoreTable:
    verdicts = {v.model: v for v in run.verdicts if v.horizon == horizon}
    naive = summary(run, NAIVE, horizon)
    found = [s for name in ranked(run, horizon) if (s := summary(run, name, horizon))]
    rows = [_score_row(s, verdicts[s.model], reference(run), naive, hues(run)[s.model]) for s in found]
    title = f"{span(horizon, run.candles.feed.interval)} ahead"
    return ScoreTable(horizon, title, reference(run), percent(REACH, 0), tuple(rows))


def _score_row(s: Summary, v: Verdict, rival: str | None, naive: Summary | None, hue: str) -> ScoreRow:
    is_rival = s.model == rival
    ends = skill_interval(s, v)
    right = s.direction
    p = v.p_better if (v.skill or 0) >= 0 else v.p_worse
    return ScoreRow(
        model=s.model,
        hue=hue,
        bar=None if is_rival or v.skill is None else bar(v.skill, ends),
        skill="reference" if is_rival else skill(v.skill),
        interval=" to ".join(skill(end) for end in ends) if ends and not is_rival else "",
        p=p_value(None if is_rival else p),
        word=v.word or "–",
        shape=SHAPES.get(v.word or "", ""),
        against=f"than {v.reference}" if is_rival and v.reference else "",
        reason=v.reason,
        coverage=tuple(percent(s.coverage[band].share) if band in s.coverage else "–" for band in BANDS),
        crps="–" if s.crps is None else f"{s.crps:.5f}",
        rmse=price(s.rmse),
        ratio="" if not naive or not naive.rmse or s.rmse is None else f"× {s.rmse / naive.rmse:.2f}",
        mape=percent(s.mape, 2),
        direction="–" if right is None else percent(right.share),
        direction_interval="" if right is None else f"{100 * right.low:.0f} to {100 * right.high:.0f}",
        n=f"{s.n:,}",
    )


def skill_interval(s: Summary, v: Verdict) -> tuple[float, float] | None:
    """95 % interval of the skill: that of the mean difference, divided by the reference's mean CRPS."""
    c = v.comparison
    if s.crps is None or v.skill is None or v.skill >= 1 or c is None or c.low is None or c.high is None:
        return None
    typical = s.crps / (1 - v.skill)
    return -c.high / typical, -c.low / typical


def bar(saved: float, ends: tuple[float, float] | None) -> Bar:
    """Where the bar and its interval end in a room that reaches `REACH` to either side."""
    beyond = int(saved > REACH) - int(saved < -REACH)
    if beyond:
        return Bar(_BEFORE_ARROW * beyond, None, beyond)
    return Bar(_put(saved), (_put(ends[0]), _put(ends[1])) if ends else None, 0)


def _put(value: float) -> float:
    return round(100 * max(-1.0, min(1.0, value / REACH)), 1)


@dataclass(frozen=True)
class CoverageRow:
    """How a model's bands held at one horizon, as text."""

    model: str
    hue: str
    ahead: str
    shares: tuple[tuple[str, str], ...]
    kupiec: str
    christoffersen: str
    pit: str


def coverage_rows(run: Run) -> list[CoverageRow]:
    """One row a model and horizon."""
    found = [
        (horizon, s)
        for horizon in run.outlook.horizons
        for name in ranked(run, horizon)
        if (s := summary(run, name, horizon)) and s.coverage
    ]
    return [_coverage_row(run, horizon, s) for horizon, s in found]


def _coverage_row(run: Run, horizon: int, s: Summary) -> CoverageRow:
    widest = s.coverage[max(s.coverage)]
    return CoverageRow(
        model=s.model,
        hue=hues(run)[s.model],
        ahead=span(horizon, run.candles.feed.interval),
        shares=tuple(_share(s.coverage[band]) for band in BANDS),
        kupiec=p_value(widest.kupiec_p),
        christoffersen=p_value(widest.christoffersen_p),
        pit=p_value(s.pit.p if s.pit else None),
    )


def _share(held: Coverage) -> tuple[str, str]:
    between = "" if held.low is None or held.high is None else f"{100 * held.low:.1f} to {100 * held.high:.1f}"
    return percent(held.share), between


@dataclass(frozen=True)
class MissRow:
    """One of the largest misses, as text."""

    when: str
    happened: str
    band: str
    crps: str
    times: str


def miss_rows(run: Run) -> list[MissRow]:
    """The shown model's worst forecasts one step ahead."""
    own = judged(run, run.outlook.model, run.outlook.horizons[0])
    mean = own["crps"].to_numpy().mean() if own.height else 1.0
    return [
        MissRow(
            when=bar_of(row["target_time"], run.candles.feed.interval),
            happened=change(row["truth"]),
            band="–" if row["lo95"] is None else f"{change(row['lo95'])} to {change(row['hi95'])}",
            crps=f"{row['crps']:.4f}",
            times=f"{row['crps'] / mean:.0f}",
        )
        for row in largest_misses(own, MISSES).iter_rows(named=True)
    ]


@dataclass(frozen=True)
class EchoRow:
    """Whether a model's price forecasts are an echo, as text."""

    model: str
    hue: str
    with_target: str
    with_origin: str
    best_shift: str
    of_change: str


def echo_rows(run: Run) -> list[EchoRow]:
    """One row a model, one step ahead."""
    horizon = run.outlook.horizons[0]
    found = {i.model: i for i in lag_illusion(run.scores, run.candles) if i.horizon == horizon}
    return [_echo_row(found[name], hues(run)[name]) for name in ranked(run, horizon) if name in found]


def _echo_row(found: LagIllusion, hue: str) -> EchoRow:
    return EchoRow(
        model=found.model,
        hue=hue,
        with_target=_correlation(found.with_target, 4),
        with_origin=_correlation(found.with_origin, 4),
        best_shift="–" if found.best_shift is None else str(found.best_shift),
        of_change=_correlation(found.of_change, 2),
    )


def _correlation(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class OutlookRow:
    """The newest forecast at one horizon, in prices."""

    when: str
    ahead: str
    median: str
    bands: tuple[str, ...]


def outlook_rows(run: Run) -> list[OutlookRow]:
    """One row a horizon."""
    forecast = run.outlook
    rows = []
    for column, horizon in enumerate(forecast.horizons):
        ends: Sequence[tuple[float, float]] = [
            (forecast.prices(0.5 - band / 200)[0, column], forecast.prices(0.5 + band / 200)[0, column])
            for band in BANDS
        ]
        rows.append(
            OutlookRow(
                when=bar_of(forecast.target_time[0, column], forecast.feed.interval),
                ahead=span(horizon, forecast.feed.interval),
                median=price(float(forecast.prices()[0, column])),
                bands=tuple(f"{price(float(low))} to {price(float(high))}" for low, high in ends),
            )
        )
    return rows
