"""Where there is nothing to know, nobody may know it: a twentieth of `bench/proof`, in other worlds every day.

The whole proof asks for two standard errors; a sample drawn daily alarms at odds of one in ten thousand.
"""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from bench.proof.null_worlds import LIKE_LSTM_T, NETWORKS, NULL, Study, seeds

from coincast.models import COMBINERS, MODELS
from coincast.models.ewma_t import EwmaT
from coincast.trials import Pooled, Trial, pool
from coincast.worlds import Law, World, draw

# A twentieth of the worlds of each study; a network takes longer in one than all others together.
SHARE, SHARE_OF_NETWORKS = 20, 40
SURE, UNLIKELY = 4.0, 1e-4


def sampled(study: Study, seed: int) -> list[Trial]:
    share = SHARE_OF_NETWORKS if study.models == NETWORKS else SHARE
    return [trial for world in seeds(seed, study.worlds // share) for trial in study.trials(world)]


def suspicions(pooled: list[Pooled]) -> list[str]:
    """What cannot be if nobody sees the future."""
    found = [f"{p.model} at {p.horizon}: CRPS {p.z:.1f} s.e. below the law's" for p in pooled if p.z < -SURE]
    for p in pooled:
        for what, claims in {"mean": p.mean, "direction": p.direction, "verdict": p.better}.items():
            if claims.chance < UNLIKELY:
                found.append(f"{p.model} at {p.horizon}: {what} claimed in {claims.claimed} of {claims.worlds} worlds")
    return found


@pytest.fixture(scope="module")
def null_trials(seed) -> dict[str, list[Trial]]:
    return {name: sampled(study, seed) for name, study in NULL.items() if study.models != LIKE_LSTM_T}


@pytest.mark.proof
def test_nobody_beats_the_law_and_nobody_knows_the_mean(null_trials, seed):
    everywhere = pool(trial for some in null_trials.values() for trial in some)
    assert not suspicions(everywhere), f"COINCAST_SEED={seed}"
    assert {p.model for p in everywhere} == {*MODELS, *COMBINERS} - {model.name for model in LIKE_LSTM_T}


@pytest.mark.proof
def test_garch_ties_the_law_in_its_own_world(null_trials, seed):
    """Costs of estimation: less than 1 % of the law's CRPS one bar ahead, where knowing no volatility costs more."""
    found = {(p.model, p.horizon): p for p in pool(null_trials["garch"])}
    garch, flat = found["garch-t", 1], found["naive-conformal", 1]
    assert garch.gap < 0.01 + SURE * garch.gap_error, f"COINCAST_SEED={seed}"
    assert garch.gap < flat.gap / 2, f"COINCAST_SEED={seed}"


# --- the detectors detect ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peeks(EwmaT):
    """Knows a twentieth of the next bar's return: its windows hold the future, and it looks."""

    name: ClassVar[str] = "peeks"
    features: tuple[str, ...] = ("volatility_94", "log_return")

    def predict(self, state, windows):
        after = windows.rows[np.minimum(windows.last + 1, len(windows.rows) - 1), 1]
        return super().predict(state, windows) + 0.05 * after[:, None, None]


@dataclass(frozen=True)
class KnowsTheSpread(EwmaT):
    """Is surer where the next bar's move is small: no direction, only too good a band."""

    name: ClassVar[str] = "knows-the-spread"
    features: tuple[str, ...] = ("volatility_94", "log_return")

    def predict(self, state, windows):
        after = windows.rows[np.minimum(windows.last + 1, len(windows.rows) - 1), 1]
        calm = np.abs(after) < windows.rows[windows.last, 0]
        return super().predict(state, windows) * np.where(calm, 0.85, 1.15)[:, None, None]


@pytest.fixture(scope="module")
def caught(seed) -> str:
    return "\n".join(suspicions(pool(sampled(replace(NULL["random walk"], models=(Peeks(), KnowsTheSpread())), seed))))


@pytest.mark.parametrize(
    "suspicion",
    [
        r"peeks at 1: CRPS -\d+.\d s.e. below",
        r"peeks at 1: mean claimed in 5 of 5",
        r"peeks at 1: direction claimed in 5 of 5",
        r"peeks at 1: verdict claimed in [345] of 5",
        r"knows-the-spread at 1: CRPS -\d+.\d s.e. below",
    ],
)
def test_a_planted_leak_stands_out(caught, suspicion):
    assert any(re.match(suspicion, line) for line in caught.splitlines()), caught


def test_the_law_of_a_world_is_its_law():
    """Its own values hold as often as they say, one bar ahead and seven."""
    world: World = draw(Law(alpha=0.08, beta=0.9, autocorrelation=0.2, swing=0.5, period=50), 4000, seed=7)
    start = world.candles.start + 500 * world.candles.feed.interval.delta
    forecast = world.forecast(start, (1, 7))
    path = np.cumsum(world.returns)
    rows = len(world.candles) - len(forecast) + np.arange(len(forecast))
    for column, h in enumerate((1, 7)):
        inside = rows + h < len(path)
        truth = path[rows[inside] + h] - path[rows[inside]]
        for level in (0.05, 0.5, 0.95):
            share = float(np.mean(truth < forecast.quantile(level)[inside, column]))
            # Seven-bar targets overlap: they count as a seventh.
            assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) * h / inside.sum()))
