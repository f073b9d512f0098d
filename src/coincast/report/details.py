"""The smaller tables: what the fan says, how the bands held, the largest misses, forecast or echo."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ..coverage import Coverage, wilson
from ..diagnosis import LagIllusion, lag_illusion, largest_misses
from ..runs import Run
from ..scores import BANDS
from ..summaries import REGIMES, Summary
from .ranking import hues, judged, ranked, summary
from .style import change, p_value, percent, price
from .words import bar_of, span

MISSES = 8
REGIME_BANDS = (80, 95)


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


@dataclass(frozen=True)
class RegimeRow:
    """How a model's 80 % and 95 % bands held in each regime of volatility, lowest first, as text."""

    model: str
    hue: str
    ahead: str
    shares: tuple[tuple[str, str], ...]


def regime_rows(run: Run) -> list[RegimeRow]:
    """One row a model and horizon; none where no regime was known."""
    parts = run.regimes.drop_nulls("coverage95").partition_by("model", "horizon", as_dict=True)
    order = [(name, horizon) for horizon in run.outlook.horizons for name in ranked(run, horizon)]
    return [_regime_row(run, *key, parts[key]) for key in order if key in parts and parts[key].height == len(REGIMES)]


def _regime_row(run: Run, model: str, horizon: int, rows: pl.DataFrame) -> RegimeRow:
    shares = tuple(
        (percent(share), _between(*wilson(round(share * n), n, horizon)))
        for band in REGIME_BANDS
        for n, share in rows.sort("regime").select("n", f"coverage{band}").iter_rows()
    )
    return RegimeRow(model, hues(run)[model], span(horizon, run.candles.feed.interval), shares)


def _between(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _share(held: Coverage) -> tuple[str, str]:
    return percent(held.share), "" if held.low is None or held.high is None else _between(held.low, held.high)


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
    edges = {band: [forecast.prices(0.5 + side * band / 200)[0] for side in (-1, 1)] for band in BANDS}
    return [
        OutlookRow(
            when=bar_of(forecast.target_time[0, column], forecast.feed.interval),
            ahead=span(horizon, forecast.feed.interval),
            median=price(float(forecast.prices()[0, column])),
            bands=tuple(" to ".join(price(float(edge[column])) for edge in edges[band]) for band in BANDS),
        )
        for column, horizon in enumerate(forecast.horizons)
    ]
