"""Fusion: what it averages, from which scores it learns its weights, and that none was unsettled."""

import itertools

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from coincast.combine import Fusion
from coincast.combiner import combined
from coincast.errors import DataError, RecipeError
from coincast.forecast import LEVELS
from coincast.models import COMBINERS, model_named
from coincast.testing import check_combiner
from made import forecast_of
from made_combined import LEAKING, market_of

RULES = ("equal", "ewa", "boa", "stack")
WIDTHS = (0.02, 0.035, 0.08)


def fusion_of(rule, count=3):
    return Fusion(tuple(f"m{n}" for n in range(count)), rule)


@pytest.mark.parametrize("model", [*COMBINERS, Fusion(rule="equal"), Fusion(rule="ewa"), Fusion(rule="stack")], ids=str)
def test_a_combiner_knows_no_future(model):
    check_combiner(model_named(model)() if isinstance(model, str) else model)


@pytest.mark.parametrize("leak", LEAKING, ids=lambda leak: type(leak).__name__)
def test_a_combiner_that_sees_the_future_is_caught(leak):
    with pytest.raises(AssertionError, match="sees the future"):
        check_combiner(leak)


# --- the same, slowly -------------------------------------------------------------------------------------------------


def twin(rule, forecasts, candles):
    """Origin by origin: look every settled truth up by its time, start from nothing, learn from all of them."""
    weights = np.empty((len(forecasts[0]), len(forecasts[0].horizons), len(forecasts)))
    for column, h in enumerate(forecasts[0].horizons):
        for origin in range(len(forecasts[0])):
            settled = [n for n in range(origin) if came(forecasts[0], candles, n, h, by=origin) is not None]
            truths = [came(forecasts[0], candles, n, h, by=origin) for n in settled]
            members = [f.values[:, column] for f in forecasts]
            weights[origin, column] = LEARNT[rule](members, settled, truths, weights[:, column])
    return weights


def came(forecast, candles, number, horizon, by):
    """The truth of a forecast if it was known at the origin `by`."""
    target = forecast.origin[number] + horizon * candles.feed.interval.step
    row = np.flatnonzero(candles.known_at == target)
    if target > forecast.origin[by] or not candles.observed[row[0]]:
        return None
    return np.log(candles.close[row[0]] / forecast.price[number])


def reach(members, n):
    low, high = np.min([m[n] for m in members], axis=0), np.max([m[n] for m in members], axis=0)
    return 2 * np.mean(np.maximum(LEVELS, 1 - LEVELS) * (high - low))


def learnt_ewa(members, settled, truths, past):
    total = np.zeros(len(members))
    for n, truth in zip(settled, truths, strict=True):
        total += [scoringrules.crps_ensemble(truth, m[n], estimator="qd") / reach(members, n) for m in members]
    power = np.exp(-np.sqrt(8 * np.log(len(members)) / (len(settled) + 1)) * (total - total.min()))
    return power / power.sum()


def learnt_boa(members, settled, truths, past):
    corrected, variation, log = np.zeros(len(members)), np.zeros(len(members)), np.log(len(members))
    rate = np.full(len(members), 0.5)
    for n, truth in zip(settled, truths, strict=True):
        average = sum(w * m[n] for w, m in zip(past[n], members, strict=True))
        slope = np.where(truth < average, 1 - LEVELS, -LEVELS)
        regret = [2 * np.mean(slope * (average - m[n])) / reach(members, n) for m in members]
        corrected += regret - rate * np.square(regret)
        variation += np.square(regret)
        rate = np.minimum(0.5, np.sqrt(log / variation))
    mass = rate * np.exp(rate * corrected)
    return mass / mass.sum()


LEARNT = {"ewa": learnt_ewa, "boa": learnt_boa}


@pytest.mark.parametrize("rule", LEARNT)
def test_weights_are_those_of_a_twin_that_looks_every_truth_up(rule):
    candles, forecasts = market_of(30, WIDTHS, missing=(10, 11, 20), lean=0.004)
    found = fusion_of(rule).weights(forecasts, candles)
    np.testing.assert_allclose(found, twin(rule, forecasts, candles), rtol=1e-8)
    made = combined(fusion_of(rule), forecasts, candles)
    expected = sum(found[:, :, n, None] * f.values for n, f in enumerate(forecasts))
    np.testing.assert_allclose(made.values, expected, rtol=0, atol=1e-15)


# --- what must hold always --------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(st.integers(0, 99), st.permutations(range(3)), st.sampled_from(RULES))
def test_weights_are_a_distribution_and_follow_their_members(seed, order, rule):
    candles, forecasts = market_of(60, WIDTHS, seed)
    weights = fusion_of(rule).weights(forecasts, candles)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-12)
    turned = Fusion(tuple(f"m{n}" for n in order), rule).weights([forecasts[n] for n in order], candles)
    np.testing.assert_allclose(turned, weights[..., order], rtol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_one_member_is_the_fusion_and_equal_members_are(rule):
    candles, [alone] = market_of(60, WIDTHS[:1])
    assert np.array_equal(combined(fusion_of(rule, 1), [alone], candles).values, alone.values)
    candles, same = market_of(60, (0.03, 0.03, 0.03))
    np.testing.assert_allclose(combined(fusion_of(rule), same, candles).values, same[0].values, rtol=1e-14)


def test_the_average_of_two_normals_is_the_normal_with_the_average_of_their_widths():
    """Lichtendahl et al. 2013: averaging quantiles keeps a family of location and scale."""
    candles, forecasts = market_of(30, (0.02, 0.06), horizons=(1,))
    made = combined(fusion_of("equal", 2), forecasts, candles)
    np.testing.assert_allclose(made.values[0, 0], norm(0, 0.04).ppf(LEVELS), rtol=1e-12)


@pytest.mark.parametrize("rule", ["ewa", "boa"])
def test_the_better_member_ends_with_the_weight_and_the_fusion_s_regret_is_small(rule):
    candles, forecasts = market_of(600, (0.04, 0.3), horizons=(1,))
    fusion = fusion_of(rule, 2)
    assert fusion.weights(forecasts, candles)[-1, 0, 0] > 0.95
    scores = [mean_crps(f, candles) for f in (*forecasts, combined(fusion, forecasts, candles))]
    reach_of_one = 2 * np.mean(np.maximum(LEVELS, 1 - LEVELS) * np.abs(forecasts[0].values - forecasts[1].values)[0, 0])
    assert scores[2] - min(scores[:2]) <= reach_of_one * 2 * np.sqrt(np.log(2) / 2 / 599) + 1e-3


def mean_crps(forecast, candles):
    truths = np.log(candles.close[1:] / candles.close[:-1])
    return scoringrules.crps_ensemble(truths, forecast.values[:-1, 0], estimator="qd").mean()


def test_a_stack_has_the_weights_that_were_best_so_far():
    """Among all in steps of a fiftieth, none had a lower CRPS over the forecasts that had met their truth."""
    candles, forecasts = market_of(500, (0.02, 0.08), horizons=(1,))
    weights = fusion_of("stack", 2).weights(forecasts, candles)[:, 0, 0]
    truths = np.log(candles.close[1:] / candles.close[:-1])
    changed = [n for n in range(1, 500) if weights[n] != weights[n - 1]]
    assert changed[0] == 60, "one that is made at the close of bar n has met n truths"
    assert all(later >= 1.2 * one for one, later in itertools.pairwise(changed))
    for n in (60, changed[-1]):
        grid = np.linspace(0, 1, 51)
        averages = [share * forecasts[0].values[:n, 0] + (1 - share) * forecasts[1].values[:n, 0] for share in grid]
        losses = [scoringrules.crps_ensemble(truths[:n], values, estimator="qd").mean() for values in averages]
        assert weights[n] == pytest.approx(grid[np.argmin(losses)], abs=0.03)
    assert 0.1 < weights[-1] < 0.9


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [(), ("lstm-t", "lstm-t")])
def test_members_are_named_once(members):
    with pytest.raises(RecipeError, match="The members of fusion"):
        Fusion(members)


def test_forecasts_of_other_models_other_origins_or_in_another_order_are_refused():
    candles, [a, b] = market_of(60, WIDTHS[:2])
    fusion = fusion_of("boa", 2)
    backwards = forecast_of(candles, np.arange(59, -1, -1), a.values[::-1], (1, 3), "m0")
    for wrong in ([b, a], [a], [], [a, b.take(b.origin > b.origin[3])], [backwards, backwards]):
        with pytest.raises(DataError, match="fusion is made of m0, m1"):
            combined(fusion, wrong, candles)
