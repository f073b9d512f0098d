"""The lower tail, the stop and the break-even of a direction: loops, closed forms, measured figures of real markets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from coincast.clean import clean
from coincast.direction import Direction
from coincast.feed import Feed
from coincast.files import read
from coincast.forecast import LEVELS
from coincast.value.account import trade
from coincast.value.bands import fz0_loss, stop, tails
from coincast.value.break_even import BreakEven, break_even, needed_accuracy
from coincast.value.costs import FREE, Costs
from coincast.worlds import hide
from made import candles_of, forecast_of, walk
from made_value import bars_of
from report_runs import with_wicks

NORMAL = norm.ppf(LEVELS)


def es(level):
    """Of the standard normal law."""
    return -norm.pdf(norm.ppf(level)) / level


# --- the joint loss of quantile and expected shortfall ----------------------------------------------------------------


def test_the_loss_by_hand():
    """Patton, Ziegel and Chen (2019), equation 6, at a = 5 %, v = -2, e = -3: no loss beyond it, then one of 4."""
    found = fz0_loss(np.array([0.0, -4.0, math.nan]), np.full(3, -2.0), np.full(3, -3.0), 0.05)
    inside = 2 / 3 + math.log(3) - 1
    assert found == pytest.approx([inside, inside + (4 - 2) / (0.05 * 3), math.nan], nan_ok=True)
    assert np.isnan(fz0_loss(np.zeros(2), np.full(2, -1.0), np.array([0.0, 0.1]), 0.05)).all()


@pytest.mark.parametrize("level", [0.05, 0.01])
@pytest.mark.parametrize(("wider", "deeper"), [(1.1, 1.0), (0.9, 1.0), (1.0, 1.1), (1.0, 0.9), (1.2, 1.2), (0.8, 0.8)])
def test_the_true_law_loses_least_and_loses_the_log_of_its_shortfall(level, wider, deeper):
    y = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    v, e = np.full(y.shape, norm.ppf(level)), np.full(y.shape, es(level))
    true = fz0_loss(y, v, e, level).mean()
    assert true == pytest.approx(math.log(-es(level)), abs=2e-3)
    assert fz0_loss(y, wider * v, deeper * e, level).mean() > true


# --- tails ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market():
    candles = with_wicks(candles_of(walk(400, 2), missing=[100, 300]))
    rows = [row for row in range(50, 400) if candles.observed[row]]
    values = np.random.default_rng(0).uniform(0.02, 0.06, len(rows))[:, None, None] * NORMAL
    return candles, rows, forecast_of(candles, rows, values), forecast_of(candles, rows, 0.04 * NORMAL, model="garch-t")


@pytest.mark.parametrize(("number", "level", "below"), [(0, 0.05, 10), (1, 0.01, 2)])
def test_a_tail_is_a_loop(market, number, level, below):
    candles, rows, forecast, reference = market
    found = tails(forecast, candles, reference)[number]
    misses, said, came, losses, others = [], [], [], [], []
    for place, row in enumerate(rows):
        if row + 1 >= len(candles) or not candles.observed[row + 1]:
            continue
        y = math.log(candles.close[row + 1] / candles.close[row])
        v = forecast.quantile(level)[place, 0]
        e = float(np.mean(forecast.values[place, 0, :below]))
        misses.append(y < v)
        if y < v:
            said.append(e)
            came.append(y)
        losses.append(fz0_loss(np.array([y]), np.array([v]), np.array([e]), level)[0])
        w, f = reference.quantile(level)[place, 0], float(np.mean(reference.values[place, 0, :below]))
        others.append(fz0_loss(np.array([y]), np.array([w]), np.array([f]), level)[0])
    assert (found.level, found.held.n) == (level, len(misses))
    assert found.held.share == pytest.approx(1 - np.mean(misses))
    assert (found.expected, found.realised) == (pytest.approx(np.mean(said)), pytest.approx(np.mean(came)))
    assert found.fz0 == pytest.approx(np.mean(losses))
    assert found.against.n == len(losses)
    assert found.against.mean_difference == pytest.approx(np.mean(losses) - np.mean(others))


def test_the_shortfall_of_the_values_is_that_of_the_law_but_for_its_outermost_part(market):
    candles, rows, *_ = market
    [five, one] = tails(forecast_of(candles, rows, 1e-9 * NORMAL), candles, None)
    assert five.expected == pytest.approx(1e-9 * es(0.05), rel=0.02)
    assert one.expected == pytest.approx(1e-9 * es(0.01), rel=0.03)


def test_a_forecast_nobody_can_judge_yet_has_no_tail():
    candles = candles_of(walk(60, 0))
    forecast = forecast_of(candles, [59], NORMAL)
    for tail in tails(forecast, candles, forecast):
        assert (tail.held.n, tail.held.share, tail.expected, tail.realised, tail.fz0) == (0, None, None, None, None)
        assert tail.against is None
    assert (stop(forecast, candles).n, stop(forecast, candles).touched, stop(forecast, candles).in_vain) == (0,) + (
        None,
    ) * 2


def test_a_tail_that_is_no_loss_has_no_joint_loss(market):
    candles, rows, *_ = market
    for tail in tails(forecast_of(candles, rows, 1.0 + 0.01 * NORMAL), candles, None):
        assert tail.fz0 is None
        assert tail.held.share == 0.0


# --- stops ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 7]), st.sets(st.integers(20, 59), max_size=8))
def test_a_stop_is_a_loop(seed, horizon, lost):
    candles = hide(with_wicks(candles_of(walk(60, seed))), sorted(lost))
    rows = [row for row in range(10, 60) if candles.observed[row]]
    forecast = forecast_of(candles, rows, 0.02 * NORMAL * math.sqrt(horizon), horizons=(horizon, 30))
    low = candles.frame["low"].to_numpy()
    touched, in_vain = [], []
    for place, row in enumerate(rows):
        way = range(row + 1, row + horizon + 1)
        if way[-1] >= len(candles) or not candles.observed[list(way)].all():
            continue
        price = candles.close[row] * math.exp(forecast.quantile(0.05)[place, 0])
        touched.append(low[list(way)].min() <= price)
        if touched[-1]:
            in_vain.append(candles.close[way[-1]] > price)
    found = stop(forecast, candles)
    assert found.n == len(touched)
    assert found.touched == (pytest.approx(np.mean(touched)) if touched else None)
    assert found.in_vain == (pytest.approx(np.mean(in_vain)) if in_vain else None)


def test_a_path_reaches_a_level_about_twice_as_often_as_it_ends_there():
    """The reflection principle: a stop at the 5 % quantile is touched in a tenth of cases, half of them in vain."""
    from coincast.worlds import Law, draw

    world = draw(Law(volatility=0.01, dof=200), 20_000, seed=3)
    found = stop(world.forecast(world.candles.start, (1,)), world.candles)
    assert found.touched == pytest.approx(0.10, abs=0.01)
    assert found.in_vain == pytest.approx(0.5, abs=0.04)


# --- directions -------------------------------------------------------------------------------------------------------

# Mean absolute changes of BTC/USDT before 2024, daily and hourly, and in 2023 alone.
MEASURED = [
    (0.0257, 0.0010, 0.519),
    (0.0153, 0.0010, 0.533),
    (0.0049, 0.0010, 0.602),
    (0.0027, 0.0010, 0.685),
    (0.0049, 0.0002, 0.520),
    (0.0027, 0.0002, 0.537),
]


@pytest.mark.parametrize(("move", "cost", "needed"), MEASURED)
def test_what_a_direction_needs(move, cost, needed):
    assert needed_accuracy(move, cost) == pytest.approx(needed, abs=6e-4)


def test_where_nothing_moves_and_where_a_trade_costs_more_than_any_move():
    assert needed_accuracy(0.0, 0.001) is None
    assert needed_accuracy(0.001, 0.002) == 1.5


@pytest.mark.parametrize(
    ("file", "move"), [("daily/btcusdt_binance_1d", 0.0257), ("hourly/btcusdt_binance_1h", 0.0049)]
)
def test_the_measured_moves_are_those_of_real_bars(study_data, file, move):
    feed = Feed("binance", "BTC/USDT", Feed.parse(f"x:A/B:{file[-2:]}").interval)
    candles = clean(read(study_data / f"{file}.csv.gz"), feed).candles
    bars = int((candles.time < np.datetime64("2024-01-01")).sum())
    returns = np.diff(np.log(candles.close[:bars]))
    returns[~(candles.observed[1:bars] & candles.observed[: bars - 1])] = np.nan
    found = break_even("model", 1, returns, np.zeros(bars - 1), Costs(0.001, 0.0))
    assert found.mean_move == pytest.approx(move, abs=6e-5)
    assert found.needed == pytest.approx(needed_accuracy(move, 0.001), abs=1e-3)
    assert (found.direction, found.pays) == (None, False)


def test_right_as_often_as_needed_earns_nothing():
    """A coin that moves 1 % up or down; somebody right 57 times in 100, always long or short, pays 0.14 % a trade."""
    random, bars, move = np.random.default_rng(5), 200_000, 0.01
    cost = (2 * 0.57 - 1) * move
    signs = random.choice([-1.0, 1.0], bars)
    close = 100 * np.cumprod(np.append(1.0, 1 + move * signs))
    candles = bars_of(np.append(100, close[:-1]), close)
    right = random.random(bars) < 0.57
    weights = np.where(right, signs, -signs)
    account = trade(weights, candles.known_at[:-1], candles, FREE)
    paid = cost * np.abs(account.traded)
    assert np.mean(np.abs(account.traded)) == pytest.approx(1.0, abs=0.02)
    error = np.std(account.weight * account.move - paid) / math.sqrt(bars)
    assert np.mean(account.weight * account.move - paid) == pytest.approx(0.0, abs=4 * error + 0.02 * cost)
    assert needed_accuracy(move, cost) == pytest.approx(0.57)


def direction_of(share, low, majority):
    return Direction(1000, share, low, 1.0, majority, 0.01, 0.01)


@pytest.mark.parametrize(
    ("right", "needed", "pays"),
    [
        (direction_of(0.60, 0.57, 0.52), 0.55, True),
        (direction_of(0.60, 0.57, 0.52), 0.58, False),
        (direction_of(0.60, 0.57, 0.59), 0.55, False),
        (None, 0.51, False),
        (direction_of(0.60, 0.57, 0.52), None, False),
    ],
)
def test_a_direction_pays_only_beyond_chance_and_the_commoner_side(right, needed, pays):
    assert BreakEven("model", 1, 0.01, needed, right).pays is pays


def test_unknown_truths_are_left_out():
    found = break_even("model", 1, np.log([1.02, 0.98, math.nan]), np.array([1.0, 1.0, 1.0]), Costs(0.001, 0.0))
    assert found.mean_move == pytest.approx(0.02)
    assert found.direction.n == 2
    nothing = break_even("model", 1, np.array([math.nan]), np.ones(1), Costs())
    assert (nothing.mean_move, nothing.needed, nothing.direction) == (None, None, None)
