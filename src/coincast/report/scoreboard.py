"""The tables: one row a model, best first, every number with its doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ..coverage import Coverage
from ..diagnosis import lag_illusion, largest_misses
from ..runs import Run
from ..scores import Summary
from ..verdict import Verdict
from .diagnostics import REACH, names_by_crps, reference, summary_of
from .style import change, hues, p_value, percent, price
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
        low: lower end of its interval.
        high: upper end.
        beyond: -1 or 1 if the bar goes on beyond the room, else 0.
    """

    at: float
    low: float
    high: float
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
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    names = names_by_crps(run, horizon)
    naive = next((s.rmse for s in run.summaries if (s.model, s.horizon) == ("naive", horizon)), None)
    rows = [
        _score_row(summary_of(run, name, horizon), verdicts[name], reference(run), naive, hue_of[name])
        for name in names
    ]
    title = f"{span(horizon, run.candles.feed.interval)} ahead"
    return ScoreTable(horizon, title, reference(run), percent(REACH, 0), tuple(rows))


def _score_row(s: Summary, v: Verdict, rival: str | None, naive: float | None, hue: str) -> ScoreRow:
    is_reference = s.model == rival
    low, high = skill_interval(s, v)
    right = s.direction
    p = None if is_reference else (v.p_better if (v.skill or 0) >= 0 else v.p_worse)
    return ScoreRow(
        model=s.model,
        hue=hue,
        bar=None if is_reference else bar(v.skill, low, high),
        skill="reference" if is_reference else percent(v.skill, 2, sign=True),
        interval="" if is_reference or low is None else f"{percent(low, 2, sign=True)} to {percent(high, 2, sign=True)}",
        p=p_value(p),
        word=v.word or "–",
        shape=SHAPES.get(v.word or "", ""),
        against=f"than {v.reference}" if v.reference and v.reference != rival else "",
        reason=v.reason,
        crps="–" if s.crps is None else f"{s.crps:.5f}",
        coverage=tuple(percent(s.coverage[band].share) if band in s.coverage else "–" for band in BANDS),
        rmse=price(s.rmse),
        ratio="" if not naive or s.rmse is None else f"× {s.rmse / naive:.2f}",
        mape=percent(s.mape, 2),
        direction="–" if right is None else percent(right.share),
        direction_interval="" if right is None else f"{100 * right.low:.0f} to {100 * right.high:.0f}",
        n=f"{s.n:,}",
    )


def skill_interval(s: Summary, v: Verdict) -> tuple[float | None, float | None]:
    """95 % interval of the skill: that of the mean difference, divided by the reference's mean CRPS."""
    c = v.comparison
    if s.crps is None or v.skill is None or v.skill >= 1 or c is None or c.low is None or c.high is None:
        return None, None
    typical = s.crps / (1 - v.skill)
    return -c.high / typical, -c.low / typical


def bar(skill: float | None, low: float | None, high: float | None) -> Bar | None:
    """Where the bar and its interval end in a room that reaches `REACH` to either side."""
    if skill is None:
        return None

    def put(value: float) -> float:
        return round(100 * max(-1.0, min(1.0, value / REACH)), 1)

    beyond = int(skill > REACH) - int(skill < -REACH)
    if beyond:
        return Bar(_BEFORE_ARROW * beyond, 0, 0, beyond)
    return Bar(put(skill), put(skill if low is None else low), put(skill if high is None else high), 0)


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
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    out = []
    for horizon in run.outlook.horizons:
        for name in names_by_crps(run, horizon):
            s = summary_of(run, name, horizon)
            if s.coverage and s.pit:
                widest = s.coverage[max(s.coverage)]
                out.append(
                    CoverageRow(
                        name,
                        hue_of[name],
                        span(horizon, run.candles.feed.interval),
                        tuple(_share(s.coverage[band]) for band in BANDS),
                        p_value(widest.kupiec_p),
                        p_value(widest.christoffersen_p),
                        p_value(s.pit.p),
                    )
                )
    return out


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
    name, horizon = run.outlook.model, run.outlook.horizons[0]
    own = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon)
    mean = summary_of(run, name, horizon).crps or 1.0
    return [
        MissRow(
            when=bar_of(row["target_time"], run.candles.feed.interval),
            happened=change(row["truth"]),
            band=f"{change(row['lo95'])} to {change(row['hi95'])}",
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
    hue_of = hues([walk.recipe.model.name for walk in run.walks])
    found = {i.model: i for i in lag_illusion(run.scores, run.candles) if i.horizon == horizon}
    return [
        EchoRow(
            model=name,
            hue=hue_of[name],
            with_target=_correlation(found[name].with_target, 4),
            with_origin=_correlation(found[name].with_origin, 4),
            best_shift="–" if found[name].best_shift is None else str(found[name].best_shift),
            of_change=_correlation(found[name].of_change, 2),
        )
        for name in names_by_crps(run, horizon)
    ]


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
