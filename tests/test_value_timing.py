"""Timing: every turn one by one, chance where there is only chance, and a fill in the wrong bar that is flagged."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.value.account import trade
from coincast.value.costs import FREE, Costs
from coincast.value.timing import lag_check, timing_p
from coincast.worlds import Law, draw
from made import candles_of, walk
from made_value import bars_of

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(2, 60))
def test_timing_is_the_share_of_turns_that_earn_as_much(seed, bars):
    random = np.random.default_rng(seed)
    candles = candles_of(walk(bars + 1, seed))
    weights = random.choice([-1.0, 0.0, 0.5, 1.0], bars)
    account = trade(weights, candles.known_at[:-1], candles, Costs())
    if np.ptp(account.weight) < 1e-9:
        assert timing_p(account) is None
        return
    move, found = account.move - account.move.mean(), []
    for turn in range(bars):
        product = np.roll(account.weight - account.weight.mean(), turn) * move
        found.append(product.sum() / math.sqrt((product**2).sum()))
    assert timing_p(account) == pytest.approx(np.mean(np.array(found) >= found[0] - 1e-9))


def test_foresight_is_the_best_of_all_times_and_its_opposite_the_worst():
    close = walk(400, 1)
    candles = bars_of(np.append(close[0], close[:-1]), close)
    ahead = np.sign(np.diff(close))
    assert timing_p(trade(ahead, candles.known_at[:-1], candles, FREE)) == pytest.approx(1 / 399)
    assert timing_p(trade(-ahead, candles.known_at[:-1], candles, FREE)) == 1.0


def by_chance(weights_of, law, worlds=200, bars=800):
    """The share of markets without anything to foresee in which timing is significant at 5 %."""
    found = 0
    for seed in range(worlds):
        world = draw(law, bars, seed)
        weights = weights_of(world, np.random.default_rng(seed))[:-1]
        found += timing_p(trade(weights, world.candles.known_at[:-1], world.candles, Costs())) < 0.05
    return found / worlds


def tens(world, random):
    """Positions of ten bars each, at random."""
    return np.repeat(random.choice([-1.0, 0.0, 1.0], len(world.candles) // 10), 10)


def calm(world, random):
    """Less in wild times, of which it knows the law: moves are largest where the weight is smallest."""
    return np.minimum(1, 0.7 * world.law.volatility / np.sqrt(world.variance))


@pytest.mark.parametrize("weights_of", [tens, calm])
def test_by_chance_alone_timing_is_significant_in_a_twentieth_of_cases(weights_of):
    share = by_chance(weights_of, Law(dof=5, alpha=0.08, beta=0.9))
    assert 0.01 < share < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_a_position_that_never_changes_has_no_timing():
    candles = candles_of(walk(50, 0))
    assert timing_p(trade(np.ones(49), candles.known_at[:-1], candles, Costs())) is None
    assert timing_p(trade(np.zeros(49), candles.known_at[:-1], candles, Costs())) is None


# --- the bar in which it is filled ------------------------------------------------------------------------------------


def over(world, bars):
    """The sign of the move over the last `bars` bars, at each bar."""
    close = world.candles.close
    before = np.concatenate([np.full(bars, close[0]), close[:-bars]])
    return np.sign(close - before)


def planted(world, weights, *, early):
    """Orders decided at each bar; `early` ones are dated a bar before, so that they are filled in the bar they saw."""
    candles = world.candles
    if early:
        return lag_check(weights[1:], candles.known_at[:-1], candles)
    return lag_check(weights[:-1], candles.known_at[:-1], candles)


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([1, 2, 3, 5]), st.floats(3, 12), st.floats(0.003, 0.06))
def test_a_fill_in_the_bar_that_was_decided_on_is_flagged(seed, bars, dof, volatility):
    world = draw(Law(volatility=volatility, dof=dof), 1500, seed)
    found = planted(world, over(world, bars), early=True)
    assert found.flagged
    assert found.next_open > 0.2 > found.bar_later


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("bars", [1, 3, 28])
def test_the_same_orders_filled_honestly_are_not(bars, side):
    worlds = [draw(Law(dof=4, alpha=0.05, beta=0.9), 1000, seed) for seed in range(60)]
    found = [planted(world, side * over(world, bars), early=False) for world in worlds]
    assert not any(one.flagged for one in found)
    # The control: what the same orders would have made of their own bar.
    assert all(side * one.same_bar > 0.05 for one in found)


def test_a_month_of_momentum_filled_in_its_own_bar_is_flagged_given_ten_years():
    world = draw(Law(dof=4), 3650, seed=2)
    assert planted(world, over(world, 28), early=True).flagged


def test_a_forecast_as_good_as_any_that_is_known_is_not_suspected():
    """Autocorrelation of 0.05 is more than any liquid coin has shown at a bar of a day or an hour."""
    world = draw(Law(autocorrelation=0.05), 20_000, seed=11)
    found = planted(world, over(world, 1), early=False)
    assert found.next_open > 0.02
    assert not found.flagged


def test_luck_on_a_few_bars_is_not_suspected():
    lost, flagged = [], 0
    for seed in range(400):
        candles = draw(Law(dof=4), 60, seed).candles
        weights = np.random.default_rng(seed).choice([-1.0, 1.0], 59)
        found = lag_check(weights, candles.known_at[:-1], candles)
        lost.append(found.next_open - found.bar_later)
        flagged += found.flagged
    assert np.mean(np.array(lost) > 0.1) > 0.2
    assert flagged <= 4


def test_waiting_is_only_of_interest_where_something_is_held():
    candles = candles_of(walk(60, 1))
    idle = lag_check(np.zeros(59), candles.known_at[:-1], candles)
    assert (idle.same_bar, idle.next_open, idle.bar_later, idle.p, idle.flagged) == (None, None, None, None, False)
    one = lag_check(np.ones(1), candles.known_at[-1:], candles)
    assert (one.next_open, one.p, one.flagged) == (None, None, False)


def test_what_is_captured_by_hand():
    """Long into +10 %, short into +10 %, long into -10 %: one right out of three, in sizes a tenth each."""
    close = [100, 100, 110, 121, 108.9]
    candles = bars_of([100, *close[:-1]], close)
    found = lag_check(np.array([1.0, -1.0, 1.0]), candles.known_at[1:4], candles)
    assert found.next_open == pytest.approx(-1 / 3)
    # In its own bar the first order's bar lies before the books begin.
    assert found.same_bar == pytest.approx((-0.1 + 0.1 - 0.1) / 0.3)
    assert found.bar_later == pytest.approx((0.1 + 0.1) / 0.2)
