"""Forecasts of others beside the references: their scores, what was claimed of them, forecast or echo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..appraisal import Appraisal, Standing
from ..diagnosis import LagIllusion
from ..direction import Direction
from ..verdict import NAIVE, Verdict
from .scoreboard import SHAPES
from .style import hues, p_value, percent, price, skill
from .words import span

# Tables are shown of so many horizons; the others are counted.
HORIZONS = 3


@dataclass(frozen=True)
class StandingRow:
    """A model's line, as text; of pairs the second stands smaller under the first."""

    model: str
    hue: str
    word: str
    shape: str
    reason: str
    rmse: tuple[str, str]
    mape: str
    direction: tuple[str, str]
    skill: tuple[str, str]
    p: str
    coverage: tuple[tuple[str, str], ...]
    n: str


@dataclass(frozen=True)
class StandingTable:
    """The table of one horizon.

    Args:
        ahead: the horizon in words.
        bands: in percent, of all that some row states.
        rows: whoever was audited, then the references.
    """

    ahead: str
    bands: tuple[float, ...]
    rows: tuple[StandingRow, ...]


def standing_tables(appraisal: Appraisal) -> list[StandingTable]:
    """One table a horizon, of the first few."""
    horizons = sorted({one.horizon for one in appraisal.standings})[:HORIZONS]
    return [_table(appraisal, horizon) for horizon in horizons]


def _table(appraisal: Appraisal, horizon: int) -> StandingTable:
    found = [one for one in appraisal.standings if one.horizon == horizon]
    bands = tuple(sorted({band for one in found for band in one.coverage}))
    verdicts = {one.model: one for one in appraisal.verdicts if one.horizon == horizon}
    colours = hues(dict.fromkeys(one.model for one in appraisal.standings))
    rows = [_row(one, verdicts.get(one.model), bands, colours[one.model]) for one in found]
    return StandingTable(span(horizon, appraisal.candles.feed.interval), bands, tuple(rows))


def _row(one: Standing, v: Verdict | None, bands: tuple[float, ...], hue: str) -> StandingRow:
    word = v.word if v and v.word else "–"
    return StandingRow(
        model=one.model,
        hue=hue,
        word=word,
        shape=SHAPES.get(word, ""),
        reason=v.reason if v else "",
        rmse=(price(one.rmse, 4), "" if one.rmse_ratio is None else f"{one.rmse_ratio:.2f}× no change"),
        mape=percent(one.mape, 2),
        direction=_direction(one.direction),
        skill=_skill(v),
        p=p_value(v.p if v else None),
        coverage=tuple(_covered(one, band) for band in bands),
        n=f"{one.n:,}",
    )


def _skill(v: Verdict | None) -> tuple[str, str]:
    if v is None or v.skill is None:
        return "–", ""
    return skill(v.skill), f"over {v.reference}"


def _direction(right: Direction | None) -> tuple[str, str]:
    return ("–", "") if right is None else (percent(right.share), f"{100 * right.low:.0f} to {100 * right.high:.0f}")


def _covered(one: Standing, band: float) -> tuple[str, str]:
    held = one.coverage.get(band)
    if held is None:
        return "–", ""
    between = "" if held.low is None or held.high is None else f"{100 * held.low:.0f} to {100 * held.high:.0f}"
    return percent(held.share), between


@dataclass(frozen=True)
class ClaimRow:
    """A number as it is claimed, as these forecasts have it, and as "no change" has it; as text."""

    name: str
    claimed: str
    reached: str
    no_change: str


def claim_rows(appraisal: Appraisal, claims: Mapping[str, float]) -> list[ClaimRow]:
    """One row a claim, of the first model of the table at its shortest horizon."""
    if not appraisal.standings:
        return []
    own = appraisal.standings[0]
    naive = next((one for one in appraisal.standings if (one.model, one.horizon) == (NAIVE, own.horizon)), None)
    rows = []
    for name, claim in claims.items():
        said, written = _CLAIMED[name]
        values = (claim, *(None if one is None else _value(one, name) for one in (own, naive)))
        rows.append(ClaimRow(said, *(written(value) for value in values)))
    return rows


def _value(one: Standing, name: str) -> float | None:
    if name == "direction":
        return one.direction.share if one.direction else None
    value: float | None = getattr(one, name)
    return value


def _fit(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".replace("-", "\N{MINUS SIGN}")


# What each claim is called, and how it is written.
_CLAIMED: Mapping[str, tuple[str, Callable[[float | None], str]]] = {
    "rmse": ("RMSE", lambda value: price(value, 4)),
    "mae": ("MAE", lambda value: price(value, 4)),
    "mape": ("MAPE", lambda value: percent(value, 2)),
    "r2": ("R²", _fit),
    "direction": ("direction right", percent),
}


@dataclass(frozen=True)
class LagRow:
    """Whether a model's price forecasts are an echo, as text."""

    model: str
    hue: str
    with_target: str
    with_origin: str
    best_shift: str
    of_change: str


def lag_rows(appraisal: Appraisal) -> list[LagRow]:
    """One row a model, at the shortest horizon."""
    shortest = min((one.horizon for one in appraisal.illusions), default=0)
    colours = hues(dict.fromkeys(one.model for one in appraisal.standings))
    return [_lag_row(one, colours[one.model]) for one in appraisal.illusions if one.horizon == shortest]


def _lag_row(one: LagIllusion, hue: str) -> LagRow:
    return LagRow(
        model=one.model,
        hue=hue,
        with_target=_fit(one.with_target),
        with_origin=_fit(one.with_origin),
        best_shift="–" if one.best_shift is None else str(one.best_shift),
        of_change="–" if one.of_change is None else f"{one.of_change:.2f}".replace("-", "\N{MINUS SIGN}"),
    )
