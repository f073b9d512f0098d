"""Where there is something to know, it is found, and found as large as it was planted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from coincast.forecast import LEVELS
from coincast.forecaster import Fit
from coincast.models import MODELS, register
from coincast.models.ewma_t import EwmaT
from coincast.models.garch_t import GarchT
from coincast.models.naive import NaiveConformal
from coincast.recipe import Recipe
from coincast.testing import check_model
from coincast.trials import pool, trials
from coincast.worlds import Law, draw

WORLDS = 5


@dataclass(frozen=True)
class Autoregression:
    """A user's own model: r[t+h] on r[t] by least squares, and the quantiles of what is left."""

    name: ClassVar[str] = "autoregression"
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    def fit(self, folds, seeds, watch):
        return [Fit(self.learn(fold)) for fold in folds]

    def learn(self, fold):
        fold.demand_settled()
        y, now = fold.y[:, 0], fold.rows[fold.last, 0]
        known = np.isfinite(y)
        slope = (y[known] @ now[known]) / (now[known] @ now[known])
        return {"slope": np.array(slope), "rest": np.quantile((y - slope * now)[known], LEVELS, method="hazen")}

    def predict(self, state, windows):
        return (state["slope"] * windows.rows[windows.last, 0])[:, None, None] + state["rest"]


@pytest.fixture
def registered() -> Iterator[None]:
    register(Autoregression)
    yield
    del MODELS[Autoregression.name]


@pytest.mark.usefixtures("registered")
def test_a_model_of_ones_own_passes_the_contracts():
    check_model(Autoregression(), horizons=(1,))


@pytest.mark.proof
def test_planted_autocorrelation_is_found_at_its_size(seed):
    rho, tested = 0.2, 1200
    recipes = [Recipe(model, horizons=(1,), refit_every=400) for model in (Autoregression(), NaiveConformal())]
    seeds = np.random.SeedSequence(seed).generate_state(WORLDS)
    worlds = [draw(Law(autocorrelation=rho), 800 + tested, int(s)) for s in seeds]
    found = {p.model: p for p in pool(t for world in worlds for t in trials(recipes, world, 800))}
    known, blind = found["autoregression"], found["naive-conformal"]
    # The spread of an R2 of rho^2 over n returns is 2 rho / sqrt(n).
    assert known.r2 == pytest.approx(rho**2, abs=4 * 2 * rho / np.sqrt(WORLDS * tested)), f"COINCAST_SEED={seed}"
    assert known.mean.claimed >= WORLDS - 1, f"COINCAST_SEED={seed}"
    assert known.direction.claimed >= WORLDS - 1, f"COINCAST_SEED={seed}"
    assert known.gap < blind.gap / 2, f"COINCAST_SEED={seed}"
    assert blind.r2 < 0.01, f"COINCAST_SEED={seed}"


@pytest.mark.proof
@pytest.mark.parametrize("model", [EwmaT(), GarchT()], ids=lambda model: model.name)
def test_a_planted_season_of_volatility_is_found(model, seed):
    """A law that knows the season beats a year's quantiles by some 7 % of CRPS; most of that is found by either."""
    recipes = [Recipe(each, horizons=(1,), refit_every=180) for each in (model, NaiveConformal())]
    seeds = np.random.SeedSequence(seed).generate_state(WORLDS)
    law = Law(swing=0.7, period=200)
    found = {p.model: p for p in pool(t for s in seeds for t in trials(recipes, draw(law, 1000, int(s)), 640))}
    assert found["naive-conformal"].gap > 0.03, f"COINCAST_SEED={seed}"
    assert found[model.name].gap < found["naive-conformal"].gap / 2, f"COINCAST_SEED={seed}"
