"""The referee's tests against arch and statsmodels called directly, and how often chance passes them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from arch.bootstrap import MCS, SPA, StationaryBootstrap
from statsmodels.stats.sandwich_covariance import S_hac_simple

from coincast.hac import hac_error, hac_lags
from coincast.inference import (
    DRAWS,
    MOST_ROWS,
    SEED,
    Losses,
    Statistic,
    clark_west,
    clustered,
    condensed,
    confidence_set,
    confidence_sets,
    deflated,
    giacomini_white,
    losses_of,
    skill_interval,
    superior_ability,
)
from coincast.verdict import diebold_mariano

WORLDS, SIZE = 400, 0.05
ALLOWED = 2 * (SIZE * (1 - SIZE) / WORLDS) ** 0.5


def losses(n=600, gaps=(0.0, 0.02, 0.2), seed=1):
    """Losses that mostly rise and fall together; each model's mean is its gap above the first."""
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=(n, 1)) + rng.normal(scale=0.5, size=(n, len(gaps))) + np.array(gaps)
    return Losses(tuple("abcdefghi"[: len(gaps)]), 1, 1, values)


def scores_of(days=400, shift=0, **crps):
    """A scored table that holds what a test looks at."""
    origins = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day + shift) for day in range(days)]
    frames = [
        pl.DataFrame(
            {
                "model": name,
                "origin": origins,
                "target_time": [origin + timedelta(days=1) for origin in origins],
                "horizon": 1,
                "truth": 0.0,
                "crps": np.broadcast_to(loss, days).astype(float),
            }
        )
        for name, loss in crps.items()
    ]
    return pl.concat(frames)


# --- all models at once --------------------------------------------------------------------------------------------


def test_the_confidence_set_is_that_of_arch():
    table = losses()
    oracle = MCS(table.values, 0.1, reps=DRAWS, block_size=hac_lags(600, 1), method="R", seed=SEED)
    oracle.compute()
    found = confidence_set(table)
    assert [one.p for one in found] == oracle.pvalues["Pvalue"].sort_index().to_list()
    assert [place for place, one in enumerate(found) if one.held] == oracle.included
    assert len({one.p for one in found}) > 1


def test_a_lone_best_is_alone_and_equals_are_all_in():
    alone = confidence_set(losses(gaps=(0.3, 0.0, 0.3, 0.4)))
    assert [one.model for one in alone if one.held] == ["b"]
    assert all(one.held for one in confidence_set(losses(gaps=(0.0,) * 5)))


def test_models_that_cannot_be_told_apart_share_a_p_and_one_model_is_the_set():
    table = losses(gaps=(0.0, 0.3))
    twins = Losses(("a", "b", "c", "d"), 1, 1, table.values[:, [0, 1, 0, 1]])
    assert [one.p for one in confidence_set(twins)] == 2 * [one.p for one in confidence_set(table)]
    assert [one.p for one in confidence_set(Losses(("a",), 1, 1, table.values[:, :1]))] == [1.0]


def test_too_few_origins_make_no_set():
    assert confidence_set(losses(n=249)) == []
    assert len(confidence_set(losses(n=250))) == 3


def test_models_are_compared_where_all_have_a_score():
    rng = np.random.default_rng(3)
    first, second = rng.exponential(size=(2, 400))
    scores = pl.concat([scores_of(a=first), scores_of(shift=50, b=second)])
    [table] = losses_of(scores.sample(fraction=1, shuffle=True, seed=0).sort("model"))
    assert table.models == ("a", "b")
    np.testing.assert_array_equal(table.values, np.column_stack([first[50:], second[:-50]]))
    assert [one.n for one in confidence_sets(scores)] == [350, 350]


def test_superior_ability_is_that_of_arch_on_studentised_gains():
    table = losses(gaps=(0.05, 0.0, 0.2))
    gains = table.values[:, [0]] - table.values[:, 1:]
    lags = hac_lags(600, 1)
    scaled = gains / [hac_error(gain, lags) for gain in gains.T]
    oracle = SPA(np.zeros(600), -scaled, block_size=lags, reps=DRAWS, seed=SEED)
    oracle.compute()
    found = superior_ability(table, "a")
    assert (found.p, found.rivals) == (oracle.pvalues["consistent"], 2)


def test_a_beaten_benchmark_is_found_and_the_best_is_not_beaten():
    table = losses(gaps=(0.2, 0.0, 0.2))
    assert superior_ability(table, "a").p < 0.01
    assert superior_ability(table, "b").p > 0.5
    same = Losses(("a", "b"), 1, 1, table.values[:, [0, 0]])
    assert superior_ability(same, "a").p is None


def test_long_series_are_averaged_and_short_ones_are_not():
    short = np.arange(2.0 * MOST_ROWS).reshape(-1, 2)
    rows, block = condensed(short, 3)
    np.testing.assert_array_equal(rows, short)
    assert block == hac_lags(MOST_ROWS, 3)
    long = np.arange(70_001.0)[:, None]
    rows, block = condensed(long, 168)
    assert len(rows) <= MOST_ROWS
    assert rows[-1, 0] == long[-36:, 0].mean()
    assert block * 36 >= 168 > (block - 1) * 36


# --- skill ---------------------------------------------------------------------------------------------------------


def test_the_interval_of_the_skill_is_that_of_arch():
    table = losses(gaps=(1.0, 1.3)).values
    low, high = skill_interval(table[:, 0], table[:, 1], 5)
    oracle = StationaryBootstrap(hac_lags(600, 5), table[:, 0], table[:, 1], seed=SEED).conf_int(
        lambda own, reference: 1 - own.mean() / reference.mean(), DRAWS, method="percentile", size=0.95
    )
    assert (low, high) == (pytest.approx(oracle[0, 0]), pytest.approx(oracle[1, 0]))
    assert low < 1 - table[:, 0].mean() / table[:, 1].mean() < high


# --- by state ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [1, 5])
def test_giacomini_white_is_a_regression_of_one_on_the_instruments(waiting):
    own, reference = losses(gaps=(0.0, 0.05)).values.T
    gap = own - reference
    products = gap[waiting:, None] * np.column_stack([np.ones(600 - waiting), gap[:-waiting]])
    n = len(products)
    if waiting == 1:
        expected = n * sm.OLS(np.ones(n), products).fit().rsquared
    else:
        mean = products.mean(axis=0)
        expected = n * mean @ np.linalg.solve(S_hac_simple(products, nlags=hac_lags(n, waiting)) / n, mean)
    found = giacomini_white(own, reference, waiting)
    assert (found.n, found.value) == (n, pytest.approx(expected))


def test_a_lead_that_changes_sides_is_seen_where_the_mean_is_none():
    sides = np.repeat(np.tile([1.0, -1.0], 10), 30)
    noise = np.random.default_rng(4).normal(size=(2, 600))
    own = 5 + sides + noise[0]
    reference = 5 + noise[1]
    own -= (own - reference).mean()
    assert diebold_mariano(own, reference, 1).p_better == pytest.approx(0.5)
    assert giacomini_white(own, reference, 1).p < 0.001


def test_equal_losses_leave_nothing_to_test():
    same = np.ones(300)
    assert giacomini_white(same, same, 1) == Statistic(299)
    assert clark_west(same, np.zeros(300), 1) == Statistic(300)
    assert giacomini_white(same[:2], same[:2], 7).p is None


# --- nested --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [1, 7])
def test_clark_west_is_a_regression_on_a_constant(waiting):
    truth, noise = np.random.default_rng(5).normal(size=(2, 500))
    median = 0.1 * truth + 0.2 * noise
    adjusted = truth**2 - ((truth - median) ** 2 - median**2)
    lags = {"maxlags": hac_lags(500, waiting)}
    fit = sm.OLS(adjusted, np.ones(500)).fit(cov_type="HAC", cov_kwds=lags)
    found = clark_west(truth, median, waiting)
    assert found.value == pytest.approx(fit.tvalues[0])
    assert found.p == pytest.approx(fit.pvalues[0] / 2)


def test_clark_west_finds_what_the_squared_error_hides():
    truth, noise = np.random.default_rng(6).normal(size=(2, 2000))
    median = 0.1 * truth + 0.6 * noise
    assert np.mean((truth - median) ** 2) > np.mean(truth**2)
    assert clark_west(truth, median, 1).p < 0.001


# --- panels and searches -------------------------------------------------------------------------------------------


def test_copies_of_a_coin_add_no_evidence():
    own, reference = losses(400, gaps=(1.0, 1.1)).values.T
    coin = scores_of(a=own, r=reference)
    [(model, horizon, found)] = clustered([coin] * 20, "r")
    alone = diebold_mariano(own, reference, 1)
    assert (model, horizon, found.n) == ("a", 1, 400)
    assert found.t == pytest.approx(alone.t)


def test_coins_are_averaged_at_each_origin():
    one, two = losses(400, gaps=(1.0, 1.1), seed=7).values.T, losses(400, gaps=(1.0, 1.1), seed=8).values.T
    [(_, _, found)] = clustered([scores_of(a=one[0], r=one[1]), scores_of(shift=100, a=two[0], r=two[1])], "r")
    gap = np.full((2, 500), np.nan)
    gap[0, :400], gap[1, 100:] = one[0] - one[1], two[0] - two[1]
    expected = diebold_mariano(np.nanmean(gap, axis=0), np.zeros(500), 1)
    assert (found.n, found.t) == (500, pytest.approx(expected.t))


def test_the_best_of_many_trials_is_deflated():
    assert deflated(0.05, 1) == pytest.approx(0.05)
    assert deflated(0.01, 20) == pytest.approx(1 - 0.99**20)
    assert deflated(1e-17, 100) == pytest.approx(1e-15)
    assert deflated(1.0, 3) == 1.0
    best = np.random.default_rng(9).uniform(size=(20_000, 50)).min(axis=1)
    assert np.mean([deflated(p, 50) < SIZE for p in best]) == pytest.approx(SIZE, abs=0.004)


# --- chance --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["giacomini_white", "clark_west"])
def test_chance_rejects_one_time_in_twenty(name):
    """Seed 11."""
    rng = np.random.default_rng(11)
    rejected = 0
    for _ in range(WORLDS):
        first, second = rng.standard_t(6, size=(2, 800))
        test = clark_west(first, second, 1) if name == "clark_west" else giacomini_white(first**2, second**2, 1)
        rejected += test.p < SIZE
    assert rejected / WORLDS == pytest.approx(SIZE, abs=ALLOWED), f"{rejected} of {WORLDS} with seed 11"


def test_the_best_is_in_the_set_as_often_as_it_says(monkeypatch):
    """Seed 12. Every model is the best of equals; the set drops one of them at most one time in ten."""
    monkeypatch.setattr("coincast.inference.DRAWS", 100)
    rng = np.random.default_rng(12)
    worlds = 100
    dropped = sum(
        not all(one.held for one in confidence_set(Losses(("a", "b", "c"), 1, 1, rng.exponential(size=(300, 3)))))
        for _ in range(worlds)
    )
    assert dropped / worlds <= 0.1 + 2 * (0.1 * 0.9 / worlds) ** 0.5, f"{dropped} of {worlds} with seed 12"
