"""The direction: against formulas, a public example and chance itself."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.diagnostic import pesaran_timmermann as reference

from coincast.direction import ROUNDING, direction, pesaran_timmermann


def test_a_perfect_forecast_of_fifty_ups_and_fifty_downs():
    """p = 1 against p* = 0.5: S = 0.5 / sqrt(0.25 / 100) = 10, by the formula of the 1992 paper."""
    signs = np.tile([1.0, -1.0], 50)
    assert reference(signs, signs).statistic == pytest.approx(10)
    assert pesaran_timmermann(signs, signs) == pytest.approx(norm.sf(10))
    judged = direction(signs, 0.1 * signs, horizon=1)
    assert (judged.n, judged.share, judged.majority) == (100, 1, 0.5)
    assert judged.p == pytest.approx(0.5**100)
    assert judged.beyond_chance


def test_pesaran_timmermann_by_the_formula():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(0.2, 1, 300), rng.normal(0.1, 1, 300)
    y, z = (truth > 0).mean(), (predicted > 0).mean()
    agree, chance = ((truth > 0) == (predicted > 0)).mean(), y * z + (1 - y) * (1 - z)
    w = (2 * y - 1) ** 2 * z * (1 - z) + (2 * z - 1) ** 2 * y * (1 - y)
    statistic = (agree - chance) / math.sqrt((chance * (1 - chance) - w) / 300)
    assert pesaran_timmermann(truth, predicted) == pytest.approx(norm.sf(statistic))


def test_always_saying_up_is_no_skill():
    truth = np.where(np.arange(200) % 10 < 7, 0.01, -0.01)
    judged = direction(truth, np.full(200, 0.001), horizon=1)
    assert (judged.share, judged.majority) == (pytest.approx(0.7), pytest.approx(0.7))
    assert judged.p < 1e-6
    assert judged.pesaran_timmermann_p is None
    assert not judged.beyond_chance


def test_no_move_has_no_direction():
    assert direction(np.array([0.1, -0.1]), np.zeros(2), horizon=1) is None
    assert direction(np.array([0.1, -0.1]), np.full(2, ROUNDING / 10), horizon=1) is None
    assert direction(np.zeros(2), np.ones(2), horizon=1) is None
    assert direction(np.zeros(0), np.zeros(0), horizon=1) is None
    judged = direction(np.array([0.1, 0.0, -0.1]), np.array([0.1, 0.1, 0.0]), horizon=1)
    assert (judged.n, judged.share) == (1, 1)


def test_chance_claims_skill_one_time_in_twenty_at_most():
    """Forecasts that know nothing of a drifting random walk, at overlapping horizons too."""
    rng = np.random.default_rng(3)
    worlds = 300
    for horizon in (1, 7):
        claims = rejected = 0
        for _ in range(worlds):
            log_price = np.cumsum(rng.standard_t(4, 500) + 0.1)
            truth = log_price[horizon:] - log_price[:-horizon]
            judged = direction(truth, rng.normal(size=len(truth)), horizon)
            claims += judged.beyond_chance
            rejected += judged.pesaran_timmermann_p < 0.05
        allowed = 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds)
        assert claims / worlds <= allowed
        assert rejected / worlds <= allowed


def test_a_planted_direction_is_found():
    rng = np.random.default_rng(4)
    truth = rng.standard_t(4, 1000)
    judged = direction(truth, np.where(rng.random(1000) < 0.6, truth, -truth), horizon=1)
    assert judged.low < 0.6 < judged.high
    assert judged.beyond_chance


def test_pesaran_timmermann_of_the_public_example():
    """Fifteen pairs that several public programs test with. Those that keep the paper's last term get 1.968."""
    truth = np.array([23, -2, 56, 51, 4, -45, -12, -24, -51, 78, -6, -7, -39, 31, 35.0])
    predicted = np.array([14, 3, 45, 23, -5, -56, 4, -11, -34, 29, 3, -11, -12, 24, 3.0])
    assert reference(truth, predicted).statistic == pytest.approx(1.90160, abs=5e-6)
    assert 2 * pesaran_timmermann(truth, predicted) == pytest.approx(0.0572, abs=5e-5)


def test_some_skill_that_always_saying_up_would_beat_is_not_claimed():
    truth = np.where(np.arange(1000) % 10 < 7, 0.01, -0.01)
    right = np.arange(1000) // 10 % 10 < 6
    judged = direction(truth, np.where(right, truth, -truth), horizon=1)
    assert (judged.share, judged.majority) == (pytest.approx(0.6), pytest.approx(0.7))
    assert judged.low > 0.5
    assert judged.pesaran_timmermann_p < 0.05
    assert not judged.beyond_chance
