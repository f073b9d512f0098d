"""Scores: first of every single forecast, then their averages.

`score` judges each forecast by its own truth and averages nothing; everything after is a grouping of its rows.
Distributions are judged on the log-return, points on the price. A ratio is a fraction, and what is undefined is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl
import scoringrules
from jaxtyping import Float, Int

from .candles import Candles, Times
from .coverage import Coverage, Pit, coverage, pit_uniformity
from .direction import Direction, direction
from .errors import DataError
from .features import compute
from .feed import from_numpy
from .forecast import LEVELS, Forecast, K, Origins, to_frame
from .windows import labels

BANDS = (50, 80, 95)
PINBALL = (5, 25, 50, 75, 95)
REGIMES = ("low", "medium", "high")

# scoringrules makes several temporary arrays of its input's size; this many rows of K values stay in the cache.
_CHUNK = 256

Series = Float[np.ndarray, " forecast"]


def truth(forecast: Forecast, candles: Candles) -> Float[np.ndarray, "origin horizon"]:
    """ln(close at the target / price at the origin); NaN where the target is not known yet or was not observed.

    Rows are found by time, never by position.

    Raises:
        DataError: the candles are of another feed, do not hold an origin, or closed there at another price.
    """
    return labels(candles, forecast.horizons)[judged_rows(forecast, candles)]


def score(forecast: Forecast, candles: Candles) -> pl.DataFrame:
    """Judge every forecast by its own truth.

    CRPS is twice the mean pinball loss at the K mid-levels (the quantile decomposition: Laio and Tamea 2007,
    Hydrol. Earth Syst. Sci. 11), PIT the level at which the truth falls between the values (Hazen's rule, as for
    quantiles), and never beyond the outer levels.

    Returns:
        One row an origin and horizon: `model, origin, target_time, horizon, price`, on the log-return `truth, median,
        crps, pinball05 .. pinball95, pit, lo50, hi50 .. hi95` and whether each band held, `hit50, hit80, hit95`; in
        quote currency `actual, predicted`. Null: every score without a truth; bands, hits and PIT of a forecast that
        is one value repeated.

    Raises:
        DataError: the candles are not those the forecast was made from.
    """
    known = truth(forecast, candles)
    quantiles = np.quantile(forecast.values, [q / 100 for q in PINBALL], axis=-1, method="hazen")
    columns = {
        "truth": known,
        "median": forecast.median,
        "crps": crps(known, forecast.values),
        **{
            f"pinball{q:02d}": scoringrules.quantile_score(known, values, q / 100)
            for q, values in zip(PINBALL, quantiles, strict=True)
        },
        "pit": _pit(known, forecast.values),
        **_bands(forecast.values),
        "actual": _closes(forecast, candles, known),
        "predicted": forecast.price[:, None] * np.exp(forecast.median),
    }
    rows = to_frame(forecast).select("model", "origin", "target_time", "horizon", "price")
    judged = rows.with_columns(pl.Series(name, values.ravel()).fill_nan(None) for name, values in columns.items())
    return judged.with_columns(
        pl.col("truth").is_between(f"lo{band}", f"hi{band}").alias(f"hit{band}") for band in BANDS
    )


def judged_rows(forecast: Origins, candles: Candles) -> Int[np.ndarray, " origin"]:
    """The bar that each forecast starts from.

    Raises:
        DataError: the candles are of another feed, do not hold an origin, or closed there at another price.
    """
    if forecast.feed != candles.feed:
        raise DataError(
            f"The forecast is of {forecast.feed}, the candles are of {candles.feed}.",
            "It would be judged by the truth of another market.",
            "Pass the candles it was made from.",
        )
    rows = rows_at(forecast.origin, candles)
    other = np.flatnonzero(candles.close[rows] != forecast.price)
    if other.size:
        first = other[0]
        raise DataError(
            f"At {from_numpy(forecast.origin[first]):%Y-%m-%d %H:%M} {forecast.model} started from"
            f" {forecast.price[first]}, where these candles closed at {candles.close[rows][first]}.",
            "Its returns would be measured from a price it never saw.",
            "Pass the candles it was made from.",
        )
    return rows


def rows_at(known_at: Times, candles: Candles) -> Int[np.ndarray, " origin"]:
    """The bars that became known at these times."""
    rows = np.searchsorted(candles.known_at, known_at)
    found = np.take(candles.known_at, rows, mode="clip") == known_at
    if not found.all():
        raise DataError(
            f"No bar of {candles.feed} closes at {from_numpy(known_at[~found][0]):%Y-%m-%d %H:%M}, where a forecast"
            f" starts; the candles span {candles.start:%Y-%m-%d %H:%M} to {candles.end:%Y-%m-%d %H:%M}.",
            "Without the price it started from, no forecast can be judged.",
            "Pass candles that hold every origin.",
        )
    return rows


def closes_at(known_at: Times, candles: Candles, *, observed: bool) -> Series:
    """The closes that became known at these times; NaN where no bar closes, or none `observed` if it must be."""
    rows = np.searchsorted(candles.known_at, known_at)
    found = np.take(candles.known_at, rows, mode="clip") == known_at
    if observed:
        found &= np.take(candles.observed, rows, mode="clip")
    return np.where(found, np.take(candles.close, rows, mode="clip"), np.nan)


def _closes(
    forecast: Forecast, candles: Candles, known: Float[np.ndarray, "origin horizon"]
) -> Float[np.ndarray, "origin horizon"]:
    """The price each known truth leads to, as it was traded and not as exp and ln round it."""
    rows = rows_at(forecast.origin, candles)[:, None] + np.array(forecast.horizons)
    return np.where(np.isnan(known), np.nan, np.take(candles.close, rows, mode="clip"))


def crps(
    known: Float[np.ndarray, "origin horizon"], values: Float[np.ndarray, "origin horizon K"]
) -> Float[np.ndarray, "origin horizon"]:
    """Twice the mean pinball loss of sorted values at the K mid-levels; NaN without a truth."""
    out = np.empty_like(known)
    for start in range(0, len(known), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        out[chunk] = scoringrules.crps_ensemble(
            known[chunk], values[chunk], estimator="qd", sorted_ensemble=True, backend="numpy"
        )
    return out


def _pit(
    known: Float[np.ndarray, "origin horizon"], values: Float[np.ndarray, "origin horizon K"]
) -> Float[np.ndarray, "origin horizon"]:
    """The level of `known` among `values`; the middle of the levels of those that equal it."""
    below = (values < known[..., None]).sum(axis=-1)
    upto = (values <= known[..., None]).sum(axis=-1)
    before = np.clip(below - 1, 0, K - 2)[..., None]
    left, right = (np.take_along_axis(values, before + step, axis=-1)[..., 0] for step in (0, 1))
    gap = np.where(right > left, right - left, 1.0)
    between = LEVELS[before[..., 0]] + (known - left) / gap / K
    level = np.where(upto > below, (below + upto) / (2 * K), np.clip(between, LEVELS[0], LEVELS[-1]))
    return np.where(np.isnan(known) | _is_point(values), np.nan, level)


def _bands(values: Float[np.ndarray, "origin horizon K"]) -> Mapping[str, Float[np.ndarray, "origin horizon"]]:
    names = [f"{end}{band}" for band in BANDS for end in ("lo", "hi")]
    levels = [0.5 + side * band / 200 for band in BANDS for side in (-1, 1)]
    ends = np.quantile(values, levels, axis=-1, method="hazen")
    return dict(zip(names, np.where(_is_point(values), np.nan, ends), strict=True))


def _is_point(values: Float[np.ndarray, "origin horizon K"]) -> np.ndarray:
    return values[..., 0] == values[..., -1]


def rmse(actual: Series, predicted: Series) -> float:
    """Root of the mean squared error, in the unit of its arguments."""
    return float(np.sqrt(np.mean((actual - predicted) ** 2)))


def mae(actual: Series, predicted: Series) -> float:
    """Mean absolute error, in the unit of its arguments."""
    return float(np.mean(np.abs(actual - predicted)))


def mape(actual: Series, predicted: Series) -> float:
    """Mean absolute error as a fraction of the actual value."""
    return float(np.mean(np.abs((actual - predicted) / actual)))


def smape(actual: Series, predicted: Series) -> float:
    """Mean of 2 |error| / (|actual| + |predicted|): the M4 competition's sMAPE as a fraction, between 0 and 2."""
    return float(np.mean(2 * np.abs(actual - predicted) / (np.abs(actual) + np.abs(predicted))))


def mase(actual: Series, predicted: Series, scale: float | None) -> float | None:
    """MAE divided by `scale`, see `naive_scale`. Hyndman and Koehler (2006), Int. J. Forecasting 22."""
    return mae(actual, predicted) / scale if scale else None


def r2(actual: Series, predicted: Series) -> float | None:
    """1 - squared errors / squared deviations from the mean. Of a price level it is near 1 for any copy of the past,
    which is why no verdict looks at it; None for a constant.
    """
    spread = float(np.sum((actual - actual.mean()) ** 2))
    return 1 - float(np.sum((actual - predicted) ** 2)) / spread if spread > 0 else None


def naive_scale(candles: Candles, by: datetime) -> float | None:
    """What MASE is measured in: the mean absolute move from one observed close to the next, of the bars known at `by`.

    None if there is no such move.
    """
    past = candles.until(by)
    both = past.observed[1:] & past.observed[:-1]
    moves = np.abs(np.diff(past.close))[both]
    return float(moves.mean()) or None if moves.size else None


def hac_error(series: Series, lags: int) -> float | None:
    """Standard error of the mean of an autocorrelated series: Newey and West (1987), Bartlett weights.

    None for fewer than two values.
    """
    n = len(series)
    if n < 2:
        return None
    centred = series - series.mean()
    variance = float(centred @ centred)
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return float(np.sqrt(max(variance, 0.0))) / n


def overlap(rows: pl.DataFrame) -> int:
    """How many forecasts, of one model at one horizon in time order, wait for their truth at once.

    That is the horizon where every bar is an origin, and 1 where each forecast is settled before the next is made.
    """
    origin, target_time = rows["origin"].to_physical().to_numpy(), rows["target_time"].to_physical().to_numpy()
    return int((np.searchsorted(origin, target_time) - np.arange(len(origin))).max(initial=1))


def hac_lags(n: int, horizon: int) -> int:
    """max(h - 1, ceil(n^(1/3))): overlapping targets correlate for h - 1 steps, volatility for longer."""
    return int(max(horizon - 1, np.ceil(n ** (1 / 3))))


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
    """Scores by calendar year (UTC) of the origin: `model, horizon, year, n, rmse, mae, crps, crps_skill`."""
    rows = with_reference(scores, reference).with_columns(pl.col("origin").dt.year().alias("year"))
    return _table(rows, "year")


def by_regime(scores: pl.DataFrame, candles: Candles, reference: str) -> pl.DataFrame:
    """Scores by how volatile the market was at the origin: `model, horizon, regime, n, rmse, mae, crps, crps_skill`.

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
        )
        .sort(key, maintain_order=True)
    )
