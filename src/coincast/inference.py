"""What a hostile referee asks beside the verdict: all models at once, by state, nested, over a panel, after a search.

Everything here reads pointwise losses and decides nothing: the verdict has its own rule. Bootstraps are stationary
(Politis and Romano 1994, J. American Statistical Association 89), with blocks at least as long as targets overlap and
volatility is remembered, and always the same draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil, expm1, log1p

import numpy as np
import polars as pl
from arch.bootstrap import MCS, SPA, StationaryBootstrap
from jaxtyping import Bool, Float
from scipy.stats import chi2, norm

from .hac import hac_error, hac_lags, overlap
from .scores import Series
from .summaries import groups, with_reference
from .verdict import ENOUGH_ORIGINS, Comparison, diebold_mariano

CONFIDENCE = 0.90
INTERVAL = 0.95
DRAWS = 1000
SEED = 0
# More origins than these are averaged in runs of neighbours before they are drawn from.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Losses:
    """Several models' losses at one horizon, at the origins that all of them have.

    Args:
        models: their names.
        horizon: intervals ahead.
        overlap: how many forecasts wait for their truth at once.
        values: the losses, in time order.
    """

    models: tuple[str, ...]
    horizon: int
    overlap: int
    values: Float[np.ndarray, "origin model"]


def losses_of(scores: pl.DataFrame) -> list[Losses]:
    """The CRPS of every model of a table side by side, a horizon each.

    Args:
        scores: rows of `score`, of every model, one below the other.
    """
    found = list(groups(scores))
    horizons = dict.fromkeys(group.horizon for group in found)
    tables = ({g.model: g.rows for g in found if g.horizon == horizon} for horizon in horizons)
    return [_side_by_side(horizon, rows) for horizon, rows in zip(horizons, tables, strict=True)]


def _side_by_side(horizon: int, tables: dict[str, pl.DataFrame]) -> Losses:
    columns = (rows.select("origin", "target_time", pl.col("crps").alias(name)) for name, rows in tables.items())
    table = reduce(lambda left, right: left.join(right, on=["origin", "target_time"], maintain_order="left"), columns)
    return Losses(tuple(tables), horizon, overlap(table), table.select(*tables).to_numpy())


@dataclass(frozen=True)
class Membership:
    """Whether a model belongs to the models that may be the best.

    Args:
        model: the forecaster's name.
        horizon: intervals ahead.
        n: origins that all models share.
        p: the smallest size of the test at which it would be left out.
    """

    model: str
    horizon: int
    n: int
    p: float

    @property
    def held(self) -> bool:
        """Whether it is in the set at 90 % confidence."""
        return self.p > 1 - CONFIDENCE


def confidence_set(losses: Losses) -> list[Membership]:
    """Which models may be the best: a set that holds the best one with 90 % confidence.

    Hansen, Lunde and Nason (2011), "The model confidence set", Econometrica 79, computed by arch. The range statistic,
    because it measures each pair by that pair's own error: one wild model does not blur two that are close. Models
    whose losses differ by nothing that varies cannot be told apart and share a p.

    Returns:
        One entry a model; none under 250 shared origins.
    """
    n = len(losses.values)
    if n < ENOUGH_ORIGINS:
        return []
    twin = [_first_twin(losses.values, column) for column in range(len(losses.models))]
    distinct = sorted(set(twin))
    p = dict(zip(distinct, _range_p(losses.values[:, distinct], losses.overlap), strict=True))
    return [Membership(name, losses.horizon, n, p[twin[column]]) for column, name in enumerate(losses.models)]


def confidence_sets(scores: pl.DataFrame) -> list[Membership]:
    """`confidence_set` of every horizon of a table of scores."""
    return [one for losses in losses_of(scores) for one in confidence_set(losses)]


def _first_twin(values: Float[np.ndarray, "origin model"], column: int) -> int:
    """The first model whose losses differ from this one's by nothing that varies: itself, mostly."""
    return int(np.argmin(_varies(values[:, [column]] - values, values[:, column])))


def _varies(differences: Float[np.ndarray, "origin model"], losses: Series) -> Bool[np.ndarray, " model"]:
    return np.ptp(differences, axis=0) > 1e-12 * np.abs(losses).max()


def _range_p(values: Float[np.ndarray, "origin model"], waiting: int) -> list[float]:
    if values.shape[1] == 1:
        return [1.0]
    rows, block = condensed(values, waiting)
    test = MCS(rows, 1 - CONFIDENCE, DRAWS, block, "R", "stationary", seed=SEED)
    test.compute()
    return [float(p) for p in test.pvalues["Pvalue"].sort_index()]


def condensed(values: Float[np.ndarray, "origin model"], waiting: int) -> tuple[Float[np.ndarray, "row model"], int]:
    """Losses short enough to be drawn from, and the mean length of a block of them.

    Up to 2,000 origins stay as they are. Beyond, neighbours are averaged: what a block keeps together anyway. The
    oldest origins that fill no row, less than one in 2,000, are left out.

    Args:
        values: in time order.
        waiting: how many forecasts wait for their truth at once.
    """
    n = len(values)
    length = max(waiting, hac_lags(n, waiting))
    each = ceil(n / MOST_ROWS)
    rows = values[n % each :].reshape(n // each, each, -1).mean(axis=1)
    return rows, ceil(length / each)


@dataclass(frozen=True)
class Superiority:
    """Whether any of several models beats a benchmark, allowing for how many tried.

    Args:
        benchmark: whose loss is to be beaten.
        horizon: intervals ahead.
        rivals: how many tried.
        p: that the best of them is no better; None if no rival's loss varies against the benchmark's.
    """

    benchmark: str
    horizon: int
    rivals: int
    p: float | None


def superior_ability(losses: Losses, benchmark: str) -> Superiority:
    """Is this benchmark beaten by any model of the table? The null is that none is better.

    Hansen (2005), "A test for superior predictive ability", J. Business & Economic Statistics 23: studentised, the
    consistent p, computed by arch.

    Args:
        losses: of the benchmark and all that were tried against it, the failures too.
        benchmark: one of them.
    """
    own = losses.values[:, losses.models.index(benchmark)]
    gains = own[:, None] - losses.values
    gains = gains[:, _varies(gains, own)]
    p = _superior_p(gains, losses.overlap) if gains.size else None
    return Superiority(benchmark, losses.horizon, len(losses.models) - 1, p)


def _superior_p(gains: Float[np.ndarray, "origin model"], waiting: int) -> float:
    lags = hac_lags(len(gains), waiting)
    # arch compares plain means; each in units of its own error makes the statistic Hansen's.
    errors = np.array([hac_error(gain, lags) for gain in gains.T])
    rows, block = condensed(gains / errors, waiting)
    test = SPA(np.zeros(len(rows)), -rows, block, DRAWS, "stationary", seed=SEED)
    test.compute()
    return float(test.pvalues["consistent"])


def skill_interval(loss: Series, reference_loss: Series, waiting: int) -> tuple[float, float]:
    """95 % interval of 1 - mean loss / the reference's mean loss; both means are drawn together.

    Percentiles of 1,000 stationary bootstrap draws, computed by arch.

    Args:
        loss: in time order.
        reference_loss: at the same origins.
        waiting: how many forecasts wait for their truth at once.
    """
    rows, block = condensed(np.column_stack([loss, reference_loss]), waiting)
    draws = StationaryBootstrap(block, rows, seed=SEED)
    ends = draws.conf_int(_skill, DRAWS, method="percentile", size=INTERVAL)
    return float(ends[0, 0]), float(ends[1, 0])


def _skill(rows: Float[np.ndarray, "row 2"]) -> Float[np.ndarray, " 1"]:
    own, reference = rows.mean(axis=0)
    return np.array([1 - own / reference])


@dataclass(frozen=True)
class Statistic:
    """What a test found and its p, from `n` forecasts; both None where there is nothing that varies."""

    n: int
    value: float | None = None
    p: float | None = None


def giacomini_white(loss: Series, reference_loss: Series, waiting: int) -> Statistic:
    """Could the last known difference of the losses have told which model loses less next?

    Giacomini and White (2006), "Tests of conditional predictive ability", Econometrica 74. Instruments: a constant and
    the newest difference that was settled at the origin. Chi-squared with two degrees of freedom; where targets
    overlap the variance has Bartlett weights and `hac_lags`.

    Args:
        loss: in time order.
        reference_loss: at the same origins.
        waiting: how many forecasts wait for their truth at once.
    """
    difference = loss - reference_loss
    n = len(difference) - waiting
    if n < 3 or not _varies(difference[:, None], loss)[0]:
        return Statistic(max(n, 0))
    # In units of its own size, so that the variance of the two products can be inverted.
    difference = difference / np.sqrt(np.mean(difference**2))
    products = difference[waiting:, None] * np.column_stack([np.ones(n), difference[:-waiting]])
    mean = products.mean(axis=0)
    variance = _long_run(products, hac_lags(n, waiting) if waiting > 1 else 0)
    statistic = float(n * mean @ np.linalg.solve(variance, mean))
    return Statistic(n, statistic, float(chi2.sf(statistic, 2)))


def _long_run(products: Float[np.ndarray, "origin instrument"], lags: int) -> Float[np.ndarray, "a b"]:
    """Long-run variance about zero, as the null has it: Newey and West (1987)."""
    n = len(products)
    variance = products.T @ products
    for lag in range(1, min(lags, n - 1) + 1):
        shared = products[lag:].T @ products[:-lag]
        variance += (1 - lag / (lags + 1)) * (shared + shared.T)
    return variance / n


def clark_west(truth: Series, median: Series, waiting: int) -> Statistic:
    """Does the point forecast know anything that "no change" does not?

    Clark and West (2007), J. Econometrics 138. "No change" is the model with its coefficients at zero, so a model that
    knows nothing has the larger squared error by what its estimates add; the squared forecast is given back, and what
    is left of truth^2 - (truth - median)^2 + median^2 is 2 truth median. One-sided, normal; large is informative.

    Args:
        truth: log-returns that came, in time order.
        median: the forecast of them.
        waiting: how many forecasts wait for their truth at once.
    """
    adjusted = 2 * truth * median
    n = len(adjusted)
    error = hac_error(adjusted, hac_lags(n, waiting)) if n else None
    if not error:
        return Statistic(n)
    statistic = float(adjusted.mean()) / error
    return Statistic(n, statistic, float(norm.sf(statistic)))


def clustered(panel: Sequence[pl.DataFrame], reference: str) -> Iterator[tuple[str, int, Comparison]]:
    """The Diebold-Mariano test of every model over many coins, which move together.

    Coins at one origin are not so many observations: their losses are averaged there first, and what is tested is the
    series of those means.

    Args:
        panel: rows of `score`, a frame a coin.
        reference: whom to compare with.

    Returns:
        Model, horizon and its comparison with the reference.
    """
    rows = pl.concat([with_reference(scores, reference) for scores in panel]).drop_nulls("reference_crps")
    keys = ["model", "horizon", "origin", "target_time", "truth"]
    means = rows.group_by(keys[:-1], maintain_order=True).agg(pl.col("truth", "crps", "reference_crps").mean())
    for model, horizon, own in groups(means):
        if model != reference:
            losses = own["crps"].to_numpy(), own["reference_crps"].to_numpy()
            yield model, horizon, diebold_mariano(*losses, overlap(own))


def deflated(p: float, trials: int) -> float:
    """The p of the best of so many independent trials, if all were chance: 1 - (1 - p)^trials.

    Sidak (1967), J. American Statistical Association 62. Trials that resemble each other make it too strict.
    """
    return 1.0 if p >= 1 else -expm1(trials * log1p(-p))
