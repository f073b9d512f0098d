"""Where models err, on series whose errors are planted."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from coincast.diagnosis import (
    cumulative_difference,
    lag_illusion,
    largest_misses,
    residual_autocorrelation,
    rolling_coverage,
)
from coincast.forecast import LEVELS
from coincast.scores import score
from made import candles_of, forecast_of, walk

LAW = 0.03 * stats.t.ppf(LEVELS, 4)


def scored(candles, rows, horizons=(1,), **values):
    return pl.concat(score(forecast_of(candles, rows, v, horizons, name), candles) for name, v in values.items())


def test_the_largest_miss_is_the_planted_one():
    closes = walk(100, seed=1, scale=0.005)
    closes[60:] *= 0.5
    misses = largest_misses(scored(candles_of(closes), range(20, 99), model=LAW, naive=0.0), count=3)
    assert sorted(misses["model"]) == ["model"] * 3 + ["naive"] * 3
    worst = misses.filter(pl.col("model") == "model").row(0, named=True)
    assert worst["origin"] == candles_of(closes[:60]).end
    assert worst["truth"] < np.log(0.6)
    assert worst["lo95"] > worst["truth"]
    assert worst["pit"] == LEVELS[0]
    assert misses.filter(pl.col("model") == "model")["crps"].is_sorted(descending=True)
    assert misses.filter(pl.col("model") == "naive")["lo95"].null_count() == 3


def test_errors_with_a_memory_are_found_with_bartletts_bands():
    rng = np.random.default_rng(2)
    shocks = 0.02 * rng.normal(size=1001)
    candles = candles_of(100 * np.exp(np.cumsum(shocks[1:] + 0.5 * shocks[:-1])))
    memory = residual_autocorrelation(scored(candles, range(1000), naive=0.0), lags=4)
    values, bands = memory["autocorrelation"].to_numpy(), memory["band"].to_numpy()
    residuals = np.diff(np.log(candles.close))
    centred = residuals - residuals.mean()
    n = len(residuals)
    by_hand = [centred[k:] @ centred[:-k] / (centred @ centred) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(values, by_hand, rtol=1e-9)
    sums = np.r_[0, np.cumsum(np.square(by_hand))[:-1]]
    np.testing.assert_allclose(bands, stats.norm.ppf(0.975) * np.sqrt((1 + 2 * sums) / n), rtol=1e-9)
    assert values[0] == pytest.approx(0.4, abs=0.06)
    assert (np.abs(values[1:]) < bands[1:]).all()


def test_constant_or_few_errors_have_no_memory():
    constant = candles_of(np.full(50, 3.0))
    assert residual_autocorrelation(scored(constant, range(50), naive=0.0)).is_empty()
    assert residual_autocorrelation(scored(candles_of(walk(9, seed=3)), range(9), naive=0.0)).is_empty()


def test_an_echo_is_told_from_a_forecast():
    closes = walk(400, seed=4)
    candles = candles_of(closes)
    rows = np.arange(50, 390)
    known = np.log(closes[rows + 3] / closes[rows])[:, None, None]
    naive, prophet = lag_illusion(scored(candles, rows, (3,), naive=0.0, prophet=known), candles)
    assert naive.with_origin == pytest.approx(1)
    assert naive.with_target < naive.with_origin
    assert (naive.best_shift, naive.of_change) == (3, None)
    assert naive.shifts[2] == pytest.approx(np.corrcoef(closes[rows], closes[rows + 1])[0, 1])
    assert (prophet.best_shift, prophet.with_target, prophet.of_change) == (0, pytest.approx(1), pytest.approx(1))


def test_correlations_with_a_constant_are_none_and_shifts_stay_inside_the_candles():
    [flat] = lag_illusion(scored(candles_of([5, 5, 5, 5]), [0, 1], naive=0.0), candles_of([5, 5, 5, 5]))
    assert (flat.with_target, flat.with_origin, flat.best_shift, flat.of_change) == (None, None, None, None)
    assert list(flat.shifts) == [0, 1]


def test_the_cumulative_difference_is_a_running_sum():
    candles = candles_of(walk(80, seed=5))
    scores = scored(candles, range(20, 78), (1, 2), reference=LAW, model=2 * LAW)
    path = cumulative_difference(scores, "reference")
    assert set(path["model"]) == {"model"}
    total = 0.0
    for h in (1, 2):
        own, other = (
            scores.filter(pl.col("model") == name, pl.col("horizon") == h).drop_nulls("crps")["crps"].to_list()
            for name in ("model", "reference")
        )
        expected, total = [], 0.0
        for a, b in zip(own, other, strict=True):
            total += a - b
            expected.append(total)
        assert path.filter(pl.col("horizon") == h)["difference"].to_list() == pytest.approx(expected)
    assert total > 0


def test_rolling_coverage_is_a_loop():
    candles = candles_of(walk(60, seed=6))
    scores = scored(candles, range(20, 60), model=LAW, naive=0.0)
    rolling = rolling_coverage(scores, window=10)
    hits = scores.filter(pl.col("model") == "model").drop_nulls("hit80")["hit80"].to_list()
    expected = [sum(hits[end - 10 : end]) / 10 for end in range(10, len(hits) + 1)]
    assert rolling["coverage80"].to_list() == pytest.approx(expected)
    assert set(rolling["model"]) == {"model"}
    assert rolling["target_time"][0] == scores["target_time"][9]
