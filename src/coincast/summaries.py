"""Averages of scores: by model and horizon, and further by year and by how volatile the market was.

Every one is a grouping of the rows of `scores.score`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from .candles import Candles
from .coverage import Coverage, Pit, coverage, pit_uniformity
from .direction import Direction, direction
from .features import compute
from .hac import hac_error, hac_lags
from .scores import BANDS, PINBALL, mae, mape, mase, r2, rmse, smape
from .truth import rows_at

REGIMES = ("low", "medium", "high")


@dataclass(frozen=True)
class Summary:
    """One model at one horizon over all its forecasts with a truth. None where a number is undefined.

    Args:
        model: the forecaster's name.
        horizon: intervals ahead.
        n: forecasts judged.
        rmse: of the price, in quote currency.
        mae: of the price, in quote currency.
        mape: a fraction.
        smape: a fraction.
        mase: MAE in units of the one-step naive's before the first origin.
        r2: of the price level; a curiosity.
        r2_naive: the same of "no change".
        direction: how often up and down were right; None for a model that never names one.
        crps: mean, of the log-return.
        crps_error: its standard error, allowing for autocorrelation.
        pinball: mean pinball loss by level in percent.
        coverage: by band in percent; empty for a model without bands.
        pit: how evenly the truths fall; None for a model without bands.
        crps_skill: by reference, 1 - CRPS / the reference's over the origins both have; a reference that is absent
            from the scores, or is the model itself, has no entry.
    """

    model: str
    horizon: int
    n: int
    rmse: float
    mae: float
    mape: float
    smape: float
    mase: float | None
    r2: float | None
    r2_naive: float | None
    direction: Direction | None
    crps: float
    crps_error: float | None
    pinball: Mapping[int, float]
    coverage: Mapping[int, Coverage]
    pit: Pit | None
    crps_skill: Mapping[str, float]


class Group(NamedTuple):
    """The scored rows of one model at one horizon, in time order; rows without a truth are left out."""

    model: str
    horizon: int
    rows: pl.DataFrame


def groups(scores: pl.DataFrame) -> Iterator[Group]:
    """The rows of each model and horizon, in the order they first appear; none for one without any truth."""
    judged = scores.filter(pl.col("truth").is_not_null()).sort("origin", maintain_order=True)
    order = scores.select("model", "horizon").unique(maintain_order=True)
    parts = judged.partition_by("model", "horizon", as_dict=True)
    for model, horizon in order.iter_rows():
        if (model, horizon) in parts:
            yield Group(model, horizon, parts[model, horizon])


def summarise(scores: pl.DataFrame, scale: float | None, references: Sequence[str]) -> list[Summary]:
    """Average the scores of every model and horizon that has a truth.

    Args:
        scores: rows of `score`, of any number of models one below the other.
        scale: what MASE is measured in, see `naive_scale`.
        references: models that others' CRPS is compared with.
    """
    by_reference = {name: with_reference(scores, name) for name in references}
    return [_summary(group, scale, by_reference) for group in groups(scores)]


def _summary(group: Group, scale: float | None, by_reference: Mapping[str, pl.DataFrame]) -> Summary:
    rows, horizon = group.rows, group.horizon
    crps = rows["crps"].to_numpy()
    actual, predicted = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
    banded = rows.drop_nulls("pit")
    return Summary(
        model=group.model,
        horizon=horizon,
        n=len(crps),
        rmse=rmse(actual, predicted),
        mae=mae(actual, predicted),
        mape=mape(actual, predicted),
        smape=smape(actual, predicted),
        mase=mase(actual, predicted, scale),
        r2=r2(actual, predicted),
        r2_naive=r2(actual, rows["price"].to_numpy()),
        direction=direction(rows["truth"].to_numpy(), rows["median"].to_numpy(), horizon),
        crps=float(crps.mean()),
        crps_error=hac_error(crps, hac_lags(len(crps), horizon)),
        pinball={q: float(rows[f"pinball{q:02d}"].to_numpy().mean()) for q in PINBALL},
        coverage={
            band: coverage(banded[f"hit{band}"].to_numpy(), band / 100, horizon) for band in BANDS if len(banded)
        },
        pit=pit_uniformity(banded["pit"].to_numpy(), horizon) if len(banded) else None,
        crps_skill=_skills(group, by_reference),
    )


def _skills(group: Group, by_reference: Mapping[str, pl.DataFrame]) -> Mapping[str, float]:
    skills = {}
    for name, scores in by_reference.items():
        own = scores.filter(pl.col("model") == group.model, pl.col("horizon") == group.horizon)
        skill = own.select(_crps_skill()).item()
        if name != group.model and skill is not None:
            skills[name] = skill
    return skills


def with_reference(scores: pl.DataFrame, reference: str) -> pl.DataFrame:
    """The judged rows with the reference's CRPS at the same origin and horizon beside them, as `reference_crps`.

    Null where the reference has no score there.
    """
    judged = scores.filter(pl.col("crps").is_not_null())
    beside = judged.filter(pl.col("model") == reference).select(
        "origin", "horizon", pl.col("crps").alias("reference_crps")
    )
    return judged.join(beside, on=["origin", "horizon"], how="left", validate="m:1", maintain_order="left")


def _crps_skill() -> pl.Expr:
    """1 - CRPS / reference's over the rows that have both; null if there are none or the reference is never wrong."""
    both = pl.col("reference_crps").is_not_null()
    own, others = pl.col("crps").filter(both).sum(), pl.col("reference_crps").sum()
    return pl.when(others > 0).then(1 - own / others).alias("crps_skill")


def by_year(scores: pl.DataFrame, reference: str) -> pl.DataFrame:
    """Scores by calendar year (UTC) of the origin: `model, horizon, year, n, rmse, mae, crps, crps_skill`, and the
    shares of bands that held, `coverage50, coverage80, coverage95`, null for a model without bands.
    """
    rows = with_reference(scores, reference).with_columns(pl.col("origin").dt.year().alias("year"))
    return _table(rows, "year")


def by_regime(scores: pl.DataFrame, candles: Candles, reference: str) -> pl.DataFrame:
    """Scores by how volatile the market was at the origin: the columns of `by_year`, with `regime` for the year.

    The volatility is RiskMetrics' (decay 0.94), which knows no future, and its terciles are those of the bars known
    at the first origin: later bars shift the shares of the regimes, never their borders. Empty if no volatility was
    known by then.

    Raises:
        DataError: the candles do not hold every origin.
    """
    origins = scores["origin"].dt.replace_time_zone(None).to_numpy()
    volatility = compute(candles, ["volatility_94"])[:, 0]
    past = volatility[candles.known_at <= origins.min()]
    past = past[np.isfinite(past)]
    borders = np.quantile(past, [1 / 3, 2 / 3]) if past.size else np.full(2, np.nan)
    regime = np.array(REGIMES)[np.searchsorted(borders, volatility[rows_at(origins, candles)])]
    rows = scores.with_columns(pl.Series("regime", regime, dtype=pl.Enum(REGIMES)))
    return _table(with_reference(rows.head(scores.height if past.size else 0), reference), "regime")


def _table(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    error = pl.col("actual") - pl.col("predicted")
    return (
        rows.group_by("model", "horizon", key, maintain_order=True)
        .agg(
            pl.len().alias("n"),
            error.pow(2).mean().sqrt().alias("rmse"),
            error.abs().mean().alias("mae"),
            pl.col("crps").mean(),
            _crps_skill(),
            *(pl.col(f"hit{band}").mean().alias(f"coverage{band}") for band in BANDS),
        )
        .sort(key, maintain_order=True)
    )
