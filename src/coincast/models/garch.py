"""GARCH(1,1) with Student-t errors, the reference of the verdict, and two that let falls weigh more; estimated by arch.

    r[t] = mu + e[t],   e[t] = sqrt(v[t]) z[t]

    garch-t        v[t] = omega + alpha e[t-1]^2 + beta v[t-1]                              z ~ t(nu), variance 1
    gjr-skewt      v[t] = omega + (alpha + gamma [e[t-1] < 0]) e[t-1]^2 + beta v[t-1]       z ~ skewed t, variance 1
    egarch-skewt   ln v[t] = omega + alpha (|z[t-1]| - sqrt(2 / pi)) + gamma z[t-1] + beta ln v[t-1]

T. Bollerslev, "A conditionally heteroskedastic time series model for speculative prices and rates of return", Rev.
Econ. Stat. 69 (1987); L. Glosten, R. Jagannathan and D. Runkle, "On the relation between the expected value and the
volatility of the nominal excess return on stocks", J. Finance 48 (1993); D. Nelson, "Conditional heteroskedasticity in
asset returns: a new approach", Econometrica 59 (1991); B. Hansen, "Autoregressive conditional density estimation", Int.
Econ. Rev. 35 (1994). Returns are in percent, as the optimiser likes them. A bar that was filled in is no return of
zero but none: two months of them would be a market whose variance can be nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from arch import arch_model
from arch.univariate import SkewStudent
from arch.univariate.base import ARCHModelFixedResult
from jaxtyping import Float
from scipy import stats

from ..forecast import LEVELS, K
from ..forecaster import Fit, State, Watch
from ..space import Choice, Space
from ..windows import Windows

PERCENT = 100.0
# What arch's search is told.
SEARCH = {"maxiter": 1000}
# arch starts the recursion from an exponential average of the first squared residuals.
BACKCAST_BARS = 75
BACKCAST_DECAY = 0.94
WHOLE_BACKCAST = sum(BACKCAST_DECAY**age for age in range(BACKCAST_BARS))
# Of percents squared: a bar's volatility is between a thousandth of a percent and a thousand.
LARGEST_LOG_VARIANCE = 13.8

Parameters = Mapping[str, float]
Variance = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class GarchT:
    """Fitted at each refit to the last `lookback` returns that were seen, filtered over each origin's last `lookback`
    bars.

    One step ahead the law is known; further ahead it is simulated with the same draws for every origin, so that equal
    pasts give equal forecasts.

    Args:
        lookback: returns fitted to, and bars filtered over.
        at_least: bars without which no forecast is made.
        simulations: paths for horizons beyond one bar; half of them mirror the other half.
    """

    name: ClassVar[str] = "garch-t"
    space: ClassVar[Space] = {"lookback": Choice((500, 750, 1000, 1500, 2000))}
    form: ClassVar[Mapping[str, Any]] = {"vol": "GARCH", "p": 1, "q": 1, "dist": "t"}
    estimated: ClassVar[Mapping[str, str]] = {
        "mu": "mu",
        "omega": "omega",
        "alpha": "alpha[1]",
        "beta": "beta[1]",
        "nu": "nu",
    }
    simulations: int = 4000
    features: tuple[str, ...] = ("log_return", "filled")
    lookback: int = 1500
    at_least: int = 250
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """The parameters by maximum likelihood. Where arch's search goes astray from where it likes to start, the best
        of what it found, what it finds from a plain start, and the plain start itself.
        """
        fold.demand_settled()
        returns = _percent(fold.rows)
        percent = returns[np.isfinite(returns)][-self.lookback :]
        # Without a word from arch on percents of a quarter of an hour, which it finds small.
        model = arch_model(percent, mean="Constant", rescale=False, **self.form)
        plain = self.plain(float(percent.mean()), float(percent.var()))
        start = np.array([plain[name] for name in self.estimated])
        result = model.fit(disp="off", show_warning=False, options=SEARCH)
        found: ARCHModelFixedResult = max(model.fix(start), result, key=_likelihood)
        # It may say that it converged where no market could be: there a guess is likelier.
        if found is not result or result.convergence_flag:
            result = model.fit(starting_values=start, disp="off", show_warning=False, options=SEARCH)
            found = max(found, result, key=_likelihood)
        estimates = {name: np.array(found.params[key]) for name, key in self.estimated.items()}
        usual = np.array(np.mean((percent - estimates["mu"]) ** 2))
        converged = found is result and result.convergence_flag == 0
        return Fit({**estimates, "usual": usual, "converged": np.array(converged)})

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """Quantiles of the law one step ahead; of simulated sums further ahead."""
        p = {name: float(value) for name, value in state.items()}
        horizons = windows.horizons
        out = np.empty((len(windows), len(horizons), K))
        z = self.quantiles(p)
        draws = self.draws(p, max(horizons) if max(horizons) > 1 else 0)
        done = 0
        for batch in windows.batches(256):
            variance = self.next_variance(p, _percent(batch.x))
            rows = slice(done, done + len(batch))
            if 1 in horizons:
                out[rows, horizons.index(1)] = p["mu"] + np.sqrt(variance)[:, None] * z
            for h, sums in enumerate(self.sums(p, variance, draws), start=1):
                if h > 1 and h in horizons:
                    out[rows, horizons.index(h)] = np.quantile(sums, LEVELS, axis=1, method="hazen").T
            done += len(batch)
        return out / PERCENT

    def quantiles(self, p: Parameters) -> Float[np.ndarray, " K"]:
        """Of the errors, whose variance is 1."""
        return np.asarray(_unit(p) * stats.t.ppf(LEVELS, p["nu"]))

    def draws(self, p: Parameters, steps: int) -> Float[np.ndarray, "step path"]:
        """Errors along every path."""
        half = np.random.default_rng(0).standard_t(p["nu"], size=(steps, self.simulations // 2))
        return _unit(p) * np.concatenate([half, -half], axis=1)

    def plain(self, mean: float, variance: float) -> Parameters:
        """A market of this mean and variance, percent, as most are."""
        shape = {"gamma": 0.0, "nu": 6.0, "eta": 6.0, "lambda": 0.0}
        return {"mu": mean, "omega": 0.05 * variance, "alpha": 0.05, "beta": 0.9, **shape}

    def start(self, p: Parameters, backcast: Variance) -> Variance:
        """The variance of the first bar, before which nothing is known but an average."""
        return p["omega"] + p["alpha"] * backcast + p["beta"] * backcast

    def step(self, p: Parameters, variance: Variance, error: Variance) -> Variance:
        """The variance after a bar that had this variance and this error."""
        return p["omega"] + p["alpha"] * error**2 + p["beta"] * variance

    def next_variance(self, p: Parameters, returns: Float[np.ndarray, "window bar"]) -> Float[np.ndarray, " window"]:
        """The variance one bar after each window, percent squared; NaN, where there was no bar, is passed over."""
        errors = returns - p["mu"]
        variance = self.start(p, _backcast(errors**2, p["usual"]))
        for error in errors.T:
            variance = np.where(np.isnan(error), variance, self.step(p, variance, error))
        return variance

    def sums(
        self, p: Parameters, variance: Float[np.ndarray, " window"], draws: Float[np.ndarray, "step path"]
    ) -> Iterator[Float[np.ndarray, "window path"]]:
        """Returns over 1, 2, 3 ... bars along every path."""
        total = np.zeros((len(variance), draws.shape[1]))
        ahead = np.broadcast_to(variance[:, None], total.shape)
        for z in draws:
            shock = np.sqrt(ahead) * z
            total = total + p["mu"] + shock
            ahead = self.step(p, ahead, shock)
            yield total


def _likelihood(result: ARCHModelFixedResult) -> float:
    """Its logarithm; none where it cannot be told."""
    return float(np.nan_to_num(result.loglikelihood, nan=-np.inf))


def _unit(p: Parameters) -> float:
    """What brings Student's t to variance 1."""
    return float(np.sqrt((p["nu"] - 2) / p["nu"]))


def _percent(rows: Float[np.ndarray, "... feature"]) -> Float[np.ndarray, "..."]:
    """Returns in percent; NaN where there was no bar."""
    return np.where(rows[..., 1] == 0, PERCENT * rows[..., 0], np.nan)


def _backcast(squares: Float[np.ndarray, "window bar"], usual: float) -> Float[np.ndarray, " window"]:
    """The exponential average of each window's first squares; those that are NaN do not count as bars. A window that
    has too few of them, most of its bars missing, counts the usual square for the rest.
    """
    known = np.isfinite(squares)
    age = np.cumsum(known, axis=1) - 1
    weights = BACKCAST_DECAY**age * (known & (age < BACKCAST_BARS))
    seen = weights.sum(axis=1)
    left = np.where(known.sum(axis=1) < BACKCAST_BARS, WHOLE_BACKCAST - seen, 0.0)
    return np.asarray(((np.where(known, squares, 0.0) * weights).sum(axis=1) + left * usual) / (seen + left))


class _Skewed(GarchT):
    """Errors of Hansen's skewed t."""

    def quantiles(self, p: Parameters) -> Float[np.ndarray, " K"]:
        """Of the errors, whose variance is 1."""
        return np.asarray(SkewStudent().ppf(LEVELS, [p["eta"], p["lambda"]]))

    def draws(self, p: Parameters, steps: int) -> Float[np.ndarray, "step path"]:
        """Errors along every path; the second half has the other tail's probabilities."""
        half = np.random.default_rng(0).uniform(size=(steps, self.simulations // 2))
        both = np.concatenate([half, 1 - half], axis=1)
        return np.asarray(SkewStudent().ppf(both.ravel(), [p["eta"], p["lambda"]])).reshape(both.shape)


_SKEWED = {
    "mu": "mu",
    "omega": "omega",
    "alpha": "alpha[1]",
    "gamma": "gamma[1]",
    "beta": "beta[1]",
    "eta": "eta",
    "lambda": "lambda",
}


@dataclass(frozen=True)
class GjrSkewT(_Skewed):
    """As `garch-t`; a fall raises the variance more than a rise, and the errors lean to one side."""

    name: ClassVar[str] = "gjr-skewt"
    form: ClassVar[Mapping[str, Any]] = {"vol": "GARCH", "p": 1, "o": 1, "q": 1, "dist": "skewt"}
    estimated: ClassVar[Mapping[str, str]] = _SKEWED

    def start(self, p: Parameters, backcast: Variance) -> Variance:
        """Half of the errors before the first bar are taken for falls."""
        return p["omega"] + (p["alpha"] + p["gamma"] / 2 + p["beta"]) * backcast

    def step(self, p: Parameters, variance: Variance, error: Variance) -> Variance:
        """The variance after a bar that had this variance and this error."""
        return p["omega"] + (p["alpha"] + p["gamma"] * (error < 0)) * error**2 + p["beta"] * variance


@dataclass(frozen=True)
class EgarchSkewT(_Skewed):
    """As `gjr-skewt`, in the logarithm of the variance."""

    name: ClassVar[str] = "egarch-skewt"
    form: ClassVar[Mapping[str, Any]] = {"vol": "EGARCH", "p": 1, "o": 1, "q": 1, "dist": "skewt"}
    estimated: ClassVar[Mapping[str, str]] = _SKEWED

    def plain(self, mean: float, variance: float) -> Parameters:
        """A market of this mean and variance, percent, as most are."""
        return {**super().plain(mean, variance), "omega": 0.1 * float(np.log(variance)), "alpha": 0.1}

    def start(self, p: Parameters, backcast: Variance) -> Variance:
        """No shock is known before the first bar."""
        return _bounded(p["omega"] + p["beta"] * np.log(backcast))

    def step(self, p: Parameters, variance: Variance, error: Variance) -> Variance:
        """The variance after a bar that had this variance and this error."""
        z = error / np.sqrt(variance)
        shock = p["alpha"] * (np.abs(z) - np.sqrt(2 / np.pi)) + p["gamma"] * z
        return _bounded(p["omega"] + shock + p["beta"] * np.log(variance))


def _bounded(log_variance: Variance) -> Variance:
    """Where estimates are of a market that was otherwise, the recursion may leave every bound; arch holds it too."""
    return np.exp(np.clip(log_variance, -LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE))
