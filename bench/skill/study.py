"""Rows of a study: the same data, origins and estimator for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import polars as pl

from coincast.backtest import backtest
from coincast.candles import Candles
from coincast.combine import Fusion
from coincast.combiner import combined
from coincast.forecast import Forecast
from coincast.hac import hac_error, hac_lags
from coincast.recipe import recipes
from coincast.scores import score
from coincast.summaries import with_reference
from coincast.verdict import diebold_mariano
from coincast.workers import Processes

RESULTS = Path(__file__).parent
BANDS = (80, 95)
# The networks that are averaged.
FIVE = ("lstm-t", "lstm-skewt", "lstm-q", "gru-t", "tcn-t")
# Standard errors to either side of 99 % of a normal law.
SURE = 2.576
Rule = Literal["equal", "ewa", "boa", "stack"]
# A fusion's label, rule and members.
Fused = tuple[str, Rule, Sequence[str]]


@dataclass(frozen=True)
class Row:
    """A step of the ladder.

    Args:
        label: how tables call it.
        model: the registered model.
        settings: those that differ from the model's own.
        candles: what it sees, if more than the bare candles: a name among the study's.
        seeds: of its networks.
        panel: whether it learns from the other coins too.
    """

    label: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    candles: str = "bare"
    seeds: int = 4
    panel: bool = False


@dataclass(frozen=True)
class Study:
    """What is common to all rows of a table."""

    name: str
    candles: Mapping[str, Candles]
    test_from: datetime
    horizons: tuple[int, ...]
    refit_every: int
    beside: Sequence[Candles] = ()

    def __post_init__(self) -> None:
        bare = self.candles["bare"]
        print(f"{bare.feed}, {len(bare)} bars to {bare.end:%Y-%m-%d}, digest {bare.digest[:16]}", flush=True)

    def walk(self, row: Row) -> Forecast:
        """A row's walk-forward, told under its label."""
        began = perf_counter()
        settings = {
            "horizons": self.horizons,
            "refit_every": self.refit_every,
            "seeds": tuple(range(row.seeds)),
            "models": {row.model: dict(row.settings)},
        }
        [walk] = backtest(
            recipes([row.model], settings),
            self.candles[row.candles],
            self.test_from,
            Processes(2),
            beside=self.beside if row.panel else (),
        )
        print(f"{self.name}: {row.label}, {perf_counter() - began:.0f} s", flush=True)
        return replace(walk.forecast, model=row.label)

    def climb(self, rows: Iterable[Row], fusions: Iterable[Fused]) -> list[Forecast]:
        """Every row, then what is made of them."""
        told = {row.label: self.walk(row) for row in rows}
        for label, rule, members in fusions:
            told[label] = self.fuse(label, rule, [told[member] for member in members])
        return list(told.values())

    def fuse(self, label: str, rule: Rule, members: Sequence[Forecast]) -> Forecast:
        """Rows as one, by weights learnt from settled forecasts."""
        names = tuple(forecast.model for forecast in members)
        return replace(combined(Fusion(names, rule), list(members), self.candles["bare"]), model=label)


@dataclass(frozen=True)
class Line:
    """One model at one horizon beside its references.

    Args:
        model: the row's label.
        horizon: intervals ahead.
        n: origins judged.
        crps: mean.
        against: by reference, the change in mean CRPS and Diebold-Mariano's t.
        coverage: by band in percent, the share that held.
        years: by calendar year, the change against the first reference.
        outside: the bands that in some year held more or less often than chance allows, see `outside`.
    """

    model: str
    horizon: int
    n: int
    crps: float
    against: Mapping[str, tuple[float, float]]
    coverage: Mapping[int, float]
    years: Mapping[int, float]
    outside: Sequence[str]


def lines(forecasts: Iterable[Forecast], candles: Candles, references: Sequence[str]) -> list[Line]:
    """The table's numbers: CRPS, its change and Diebold-Mariano's t against each reference, coverage, change by year
    against the first.
    """
    scores = pl.concat([score(forecast, candles) for forecast in forecasts])
    tables = [with_reference(scores, name) for name in references]
    found = []
    for (model, horizon), _ in scores.group_by("model", "horizon", maintain_order=True):
        parts = [
            table.filter(pl.col("model") == model, pl.col("horizon") == horizon).drop_nulls("reference_crps")
            for table in tables
        ]
        first = parts[0].sort("origin")
        found.append(
            Line(
                model=str(model),
                horizon=int(horizon),
                n=len(first),
                crps=float(first["crps"].mean()),
                against={name: _against(part, int(horizon)) for name, part in zip(references, parts, strict=True)},
                coverage={band: float(first[f"hit{band}"].mean()) for band in BANDS},
                years={
                    int(year): float(part["crps"].sum() / part["reference_crps"].sum() - 1)
                    for (year,), part in first.group_by(pl.col("origin").dt.year(), maintain_order=True)
                },
                outside=outside(first, pl.col("origin").dt.year(), int(horizon)),
            )
        )
    return found


def outside(rows: pl.DataFrame, by: pl.Expr, horizon: int) -> list[str]:
    """The bands whose share that held lies outside its 99 % band in a group: "80 % in 2021: 85.3".

    The error of the share is Newey and West's, which allows for targets that overlap, and no less than that of as many
    tosses.
    """
    found = []
    for (key,), part in rows.drop_nulls("hit95").group_by(by, maintain_order=True):
        for band in BANDS:
            hits = part[f"hit{band}"].to_numpy().astype(float)
            by_chance = (band / 100 * (1 - band / 100) / len(hits)) ** 0.5
            error = max(hac_error(hits, hac_lags(len(hits), horizon)) or 0.0, by_chance)
            if abs(hits.mean() - band / 100) > SURE * error:
                found.append(f"{band} % in {key}: {100 * hits.mean():.1f}")
    return found


def _against(rows: pl.DataFrame, horizon: int) -> tuple[float, float]:
    rows = rows.sort("origin")
    loss, reference = rows["crps"].to_numpy(), rows["reference_crps"].to_numpy()
    return float(loss.sum() / reference.sum() - 1), diebold_mariano(loss, reference, horizon).t or 0.0


def table(found: Sequence[Line], horizon: int) -> str:
    """Markdown, lowest CRPS first."""
    shown = sorted((line for line in found if line.horizon == horizon), key=lambda line: line.crps)
    references = list(shown[0].against)
    against = (f"against {name}" for name in references)
    heads = ["model", "CRPS", *against, "80 / 95 % held", "outside 99 % in a year", *map(str, shown[0].years)]
    rows = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for line in shown:
        against = [f"{100 * change:+.2f} %, t {t:+.1f}" if t else "–" for change, t in line.against.values()]
        held = " / ".join(f"{100 * share:.1f}" for share in line.coverage.values())
        years = [f"{100 * change:+.2f} %" for change in line.years.values()]
        cells = [line.model, f"{line.crps:.6f}", *against, held, "; ".join(line.outside), *years]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)
