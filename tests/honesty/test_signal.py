"""Where there is something to know, it is found, and found as large as it was planted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bench.proof.autoregression import Autoregression
from bench.proof.null_worlds import SIGNAL, autocorrelation_checks, seeds

from coincast.models import MODELS, register
from coincast.testing import check_model
from coincast.trials import pool
from coincast.worlds import Law

WORLDS = 5


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
    """Stronger and longer than in the whole proof, so that a few worlds are enough."""
    study = replace(SIGNAL["autocorrelation"], law=Law(autocorrelation=0.2), worlds=WORLDS, bars=4000)
    found = {p.model: p for p in pool(trial for world in seeds(seed, WORLDS) for trial in study.trials(world))}
    known, blind = found["autoregression"], found["naive-conformal"]
    for check in autocorrelation_checks(known, study, 4):
        assert check.holds, f"{check}, COINCAST_SEED={seed}"
    assert known.direction.claimed == WORLDS, f"COINCAST_SEED={seed}"
    assert known.gap < blind.gap / 2, f"COINCAST_SEED={seed}"
    assert blind.r2 < 0.01, f"COINCAST_SEED={seed}"


@pytest.mark.proof
def test_a_planted_season_of_volatility_is_found(seed):
    """A law that knows the season beats a year's quantiles by some 7 % of CRPS; most of that is found."""
    study = SIGNAL["season of volatility"]
    found = {p.model: p for p in pool(trial for world in seeds(seed, WORLDS) for trial in study.trials(world))}
    assert found["naive-conformal"].gap > 0.03, f"COINCAST_SEED={seed}"
    for name in ("ewma-t", "garch-t"):
        assert found[name].gap < found["naive-conformal"].gap * 2 / 3, f"{name}, COINCAST_SEED={seed}"
