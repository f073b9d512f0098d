"""GARCH(1,1) with Student-t errors: the reference of the verdict, estimated by the arch library.

    r[t] = mu + e[t],   e[t] = sqrt(v[t]) z[t],   v[t] = omega + alpha e[t-1]^2 + beta v[t-1],   z ~ t(nu), variance 1

T. Bollerslev, "A conditionally heteroskedastic time series model for speculative prices and rates of return", Rev.
Econ. Stat. 69 (1987). Returns are in percent, as the optimiser likes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from arch import arch_model
from jaxtyping import Float
from scipy import stats

from ..forecast import LEVELS, K
from ..forecaster import Fit, State, Watch
from ..windows import Windows

PERCENT = 100.0
# arch starts the recursion from an exponential average of the first squared residuals.
BACKCAST_BARS = 75
BACKCAST_DECAY = 0.94


@dataclass(frozen=True)
class GarchT:
    """Fitted to the last `lookback` returns at each refit, filtered over the last `lookback` returns at every origin.

    One step ahead the law is known; further ahead it is simulated with the same draws for every origin, so that equal
    pasts give equal forecasts.

    Args:
        lookback: returns fitted to and filtered over.
        at_least: returns without which no forecast is made.
        simulations: paths for horizons beyond one bar; half of them mirror the other half.
    """

    name: ClassVar[str] = "garch-t"
    simulations: int = 4000
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 1500
    at_least: int = 250
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """The five parameters by maximum likelihood."""
        fold.demand_settled()
        returns = fold.column("log_return")[-self.lookback :]
        percent = PERCENT * returns[np.isfinite(returns)]
        # Without a word from arch on percents of a quarter of an hour, which it finds small.
        model = arch_model(percent, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
        result = model.fit(disp="off", show_warning=False, options={"maxiter": 1000})
        names = {"mu": "mu", "omega": "omega", "alpha": "alpha[1]", "beta": "beta[1]", "nu": "nu"}
        estimates = {name: np.array(result.params[key]) for name, key in names.items()}
        return Fit({**estimates, "converged": np.array(result.convergence_flag == 0)})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Quantiles of the law one step ahead; of simulated sums further ahead."""
        p = {name: float(value) for name, value in state.items()}
        horizons = windows.horizons
        out = np.empty((len(windows), len(horizons), K))
        unit = np.sqrt((p["nu"] - 2) / p["nu"])
        z = unit * stats.t.ppf(LEVELS, p["nu"])
        draws = unit * self._draws(p["nu"], max(horizons) if max(horizons) > 1 else 0)
        done = 0
        for batch in windows.batches(256):
            variance = next_variance(p, PERCENT * batch.x[..., 0])
            rows = slice(done, done + len(batch))
            if 1 in horizons:
                out[rows, horizons.index(1)] = p["mu"] + np.sqrt(variance)[:, None] * z
            for h, sums in enumerate(_sums(p, variance, draws), start=1):
                if h > 1 and h in horizons:
                    out[rows, horizons.index(h)] = np.quantile(sums, LEVELS, axis=1, method="hazen").T
            done += len(batch)
        return out / PERCENT

    def _draws(self, nu: float, steps: int) -> Float[np.ndarray, "step path"]:
        half = np.random.default_rng(0).standard_t(nu, size=(steps, self.simulations // 2))
        return np.concatenate([half, -half], axis=1)


def next_variance(p: dict[str, float], returns: Float[np.ndarray, "window bar"]) -> Float[np.ndarray, " window"]:
    """The variance one bar after each window, percent squared; NaN before a window's first bar is passed over."""
    squares = (returns - p["mu"]) ** 2
    missing = np.isnan(squares).sum(axis=1)[:, None]
    first = missing + np.arange(BACKCAST_BARS)
    weights = BACKCAST_DECAY ** np.arange(BACKCAST_BARS) * (first < squares.shape[1])
    early = np.take_along_axis(squares, np.minimum(first, squares.shape[1] - 1), axis=1)
    start = (early * weights).sum(axis=1) / weights.sum(axis=1)
    variance, square = start, start
    for column in squares.T:
        known = ~np.isnan(column)
        variance = np.where(known, p["omega"] + p["alpha"] * square + p["beta"] * variance, variance)
        square = np.where(known, column, square)
    return p["omega"] + p["alpha"] * square + p["beta"] * variance


def _sums(
    p: dict[str, float], variance: Float[np.ndarray, " window"], draws: Float[np.ndarray, "step path"]
) -> Iterator[Float[np.ndarray, "window path"]]:
    """Returns over 1, 2, 3 ... bars along every path."""
    total = np.zeros((len(variance), draws.shape[1]))
    ahead = np.broadcast_to(variance[:, None], total.shape)
    for z in draws:
        shock = np.sqrt(ahead) * z
        total = total + p["mu"] + shock
        ahead = p["omega"] + p["alpha"] * shock**2 + p["beta"] * ahead
        yield total
