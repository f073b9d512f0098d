"""The books: by pencil, by a slow twin, by a library, and what no costs or prices may ever do to them."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.errors import DataError, RecipeError
from coincast.feed import Interval
from coincast.value.account import trade
from coincast.value.costs import FREE, Costs
from made import DAILY, HOURLY, walk
from made_value import bars_of, ledger

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical


def kept(weights, candles, costs=FREE, rows=None, **settings):
    rows = np.arange(len(weights)) if rows is None else np.asarray(rows)
    return trade(np.asarray(weights, dtype=float), candles.known_at[rows], candles, costs, **settings)


# --- by pencil --------------------------------------------------------------------------------------------------------


def test_three_trades_by_pencil():
    """A tenth of every trade is lost. Orders: all, half, nothing.

    bar  open  close  before the trade          trade                       after, at the close
    1    100   110    1                         buy 10/11 (10/11 + 1/11)    10/11 of coin, at 110: 1
    2    120   120    10/11 x 1.2 = 12/11       sell 10/19 of it, 1/19 lost 12/11 x 18/19, half of it coin
    3     90   100    108/209 x (1 + 3/4)       sell the 81/209 of coin     189/209 - 8.1/209
    """
    candles = bars_of([100, 100, 120, 90], [100, 110, 120, 100])
    account = kept([1.0, 0.5, 0.0], candles, Costs(fee=0.09, slippage=0.01))
    last = Fraction(189, 209) - Fraction(81, 2090)
    assert account.equity == pytest.approx([1.0, float(Fraction(12 * 18, 11 * 19)), float(last)], rel=1e-12)
    assert account.weight == pytest.approx([1.0, 0.5, 0.0])
    assert account.traded == pytest.approx([10 / 11, -10 / 19, -81 / 189], rel=1e-12)
    assert account.cost == pytest.approx([1 / 11, 1 / 19, 8.1 / 189], rel=1e-12)
    assert account.returns == pytest.approx([0.0, 216 / 209 - 1, float(last / Fraction(216, 209)) - 1], rel=1e-9)
    assert account.time.tolist() == candles.known_at[1:].tolist()
    assert account.trades == 3
    assert account.exposure == pytest.approx(0.5)
    assert account.move == pytest.approx([0.2, -0.25, 1 / 9])
    assert account.hit_rate == 0.5
    assert account.gain == pytest.approx(float(last) - 1)
    assert account.max_drawdown == pytest.approx(1 - float(last / Fraction(216, 209)))
    assert account.turnover == pytest.approx((10 / 11 + 10 / 19 + 81 / 189) * 365 / 3)
    assert account.paid == pytest.approx((1 / 11 + 1 / 19 + 8.1 / 189) * 365 / 3)


def test_a_share_drifts_with_the_price_until_the_next_order():
    """Half in the coin at 100; at 300 it is 3/4 of the capital; the order back to half sells a quarter of it."""
    candles = bars_of([100, 100, 200, 300], [100, 200, 300, 300])
    account = kept([0.5, math.nan, 0.5], candles)
    assert account.equity == pytest.approx([1.5, 2.0, 2.0])
    assert account.weight == pytest.approx([0.5, 2 / 3, 0.5])
    assert account.traded == pytest.approx([0.5, 0.0, -0.25])


def test_a_short_by_pencil_and_its_end():
    """Half sold short at 100: at 150 the capital is 3/4, at 300 it is gone, and stays so when the price falls back."""
    candles = bars_of([100, 100, 150, 300, 100], [100, 150, 300, 100, 100])
    account = kept([-0.5, math.nan, math.nan, 1.0], candles)
    assert account.equity == pytest.approx([0.75, 0.0, 0.0, 0.0])
    assert account.weight == pytest.approx([-0.5, -1.0, 0.0, 0.0])
    assert account.returns == pytest.approx([-0.25, -1.0, 0.0, 0.0])
    assert account.max_drawdown == 1.0
    assert account.trades == 1
    assert account.break_even_cost is None


def test_funding_by_pencil():
    """A hundredth a day of what is held at each open: paid by the long, received by the short, a 24th of it an hour."""
    flat = bars_of([100] * 3, [100] * 3)
    assert kept([1.0, math.nan], flat, Costs(0, 0, 0.01)).equity == pytest.approx([0.99, 0.98])
    assert kept([-1.0, math.nan], flat, Costs(0, 0, 0.01)).equity == pytest.approx([1.01, 1.02])
    hours = bars_of([100] * 3, [100] * 3, feed=HOURLY)
    assert kept([1.0, math.nan], hours, Costs(0, 0, 0.01)).equity == pytest.approx([1 - 0.01 / 24, 1 - 0.02 / 24])
    rising = bars_of([100, 100, 200], [100, 200, 200])
    account = kept([1.0, math.nan], rising, Costs(0, 0, 0.01))
    assert account.equity == pytest.approx([1.99, 1.97])
    assert account.cost == pytest.approx([0.01, 0.02 / 1.99])


def test_an_order_waits_for_a_bar_that_was_traded_and_a_newer_one_replaces_it():
    candles = bars_of([100, 100, 100, 110, 120, 130], [100, 100, 100, 110, 120, 130], missing=[2])
    account = kept([0.0, 1.0, 0.5], candles, rows=[0, 1, 3])
    assert account.traded.nonzero()[0].tolist() == [2, 3]
    assert account.weight[1:3] == pytest.approx([0.0, 1.0])
    replaced = bars_of([100, 100, 100, 100, 120], [100, 100, 100, 100, 120], missing=[2, 3])
    both = trade(np.array([1.0, 0.25]), replaced.known_at[[0, 1]], replaced, FREE, delay=2)
    assert both.weight == pytest.approx([0.0, 0.0, 0.0, 0.25])
    assert both.trades == 1


def test_nothing_is_known_of_no_bar():
    candles = bars_of([100, 100], [100, 100])
    account = kept([1.0], candles, rows=[1])
    assert len(account) == 0
    said = (account.gain, account.annual_return, account.volatility, account.sharpe, account.max_drawdown)
    assert (*said, account.turnover, account.exposure, account.hit_rate, account.break_even_cost) == (None,) * 9


@pytest.mark.parametrize("weight", [1.01, -2.0, math.inf])
def test_borrowed_money_is_refused(weight):
    with pytest.raises(DataError, match="borrowed"):
        kept([weight], bars_of([1, 1], [1, 1]))


@pytest.mark.parametrize("wrong", [(-0.001, 0.0, 0.0), (0.0, math.nan, 0.0), (0.6, 0.5, 0.0), (0.0, 0.0, math.inf)])
def test_costs_that_cannot_be_are_refused(wrong):
    with pytest.raises(RecipeError, match="fractions"):
        Costs(*wrong)


# --- by a slow twin ---------------------------------------------------------------------------------------------------

PRICES = st.floats(1, 1000)
WEIGHTS = st.one_of(st.just(math.nan), st.floats(-1, 1), st.sampled_from([0.0, 1.0, -1.0]))
COSTS = st.builds(Costs, st.floats(0, 0.2), st.floats(0, 0.1), st.floats(-0.05, 0.05))


@st.composite
def markets(draw):
    """Bars, some of them missing, and the origins among them that give an order."""
    length = draw(st.integers(2, 14))
    prices = draw(st.lists(st.tuples(PRICES, PRICES), min_size=length, max_size=length))
    missing = draw(st.sets(st.integers(1, length - 1), max_size=length // 2))
    seen = [row for row in range(length) if row not in missing]
    rows = sorted(draw(st.sets(st.sampled_from(seen), min_size=1)))
    weights = draw(st.lists(WEIGHTS, min_size=len(rows), max_size=len(rows)))
    opens, closes = zip(*prices, strict=True)
    return bars_of(opens, closes, sorted(missing), draw(st.sampled_from([DAILY, HOURLY]))), rows, weights


@settings(max_examples=250)
@given(markets(), COSTS, st.integers(0, 3))
def test_the_books_are_those_of_money_and_coins_in_hand(market, costs, delay):
    candles, rows, weights = market
    account = kept(weights, candles, costs, rows, delay=delay)
    twin = ledger(weights, rows, candles, costs, delay)
    assert len(account) == len(twin)
    for name, column in zip(("equity", "weight", "traded", "cost"), zip(*twin, strict=True), strict=False):
        assert getattr(account, name) == pytest.approx(np.array(column), rel=1e-7, abs=1e-9), name


@given(markets(), COSTS, st.floats(1e-3, 1e3))
def test_the_currency_of_prices_does_not_matter(market, costs, factor):
    candles, rows, weights = market
    dearer = bars_of(
        candles.frame["open"].to_numpy() * factor,
        candles.close * factor,
        np.flatnonzero(~candles.observed),
        candles.feed,
    )
    one, other = kept(weights, candles, costs, rows), kept(weights, dearer, costs, rows)
    assert one.equity == pytest.approx(other.equity, rel=1e-9, abs=1e-12)
    assert one.traded == pytest.approx(other.traded, rel=1e-9, abs=1e-12)


@given(st.lists(WEIGHTS, min_size=1, max_size=20), PRICES)
def test_where_no_price_moves_and_nothing_costs_capital_stays_what_it_is(weights, price):
    still = bars_of([price] * (len(weights) + 1), [price] * (len(weights) + 1))
    assert kept(weights, still).equity == pytest.approx(np.ones(len(weights)), abs=1e-12)


@given(markets(), COSTS)
def test_costs_create_no_capital(market, costs):
    candles, rows, weights = market
    paid = kept(weights, candles, Costs(costs.fee, costs.slippage), rows)
    free = kept(weights, candles, FREE, rows)
    assert (paid.equity <= free.equity * (1 + 1e-9) + 1e-12).all()
    assert paid.equity == pytest.approx(free.equity) or paid.trades


def test_later_bars_do_not_change_the_books_before_them():
    candles = bars_of(walk(50, 1), walk(50, 2))
    weights = np.random.default_rng(0).uniform(-1, 1, 49)
    early = bars_of(candles.frame["open"][:30], candles.close[:30])
    assert kept(weights[:29], early, Costs()).equity == pytest.approx(
        kept(weights, candles, Costs()).equity[:29], rel=1e-12
    )


# --- beside a library -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lively():
    close = walk(800, seed=8)
    candles = bars_of(
        np.append(close[0], close[:-1] * np.exp(0.002 * np.random.default_rng(8).normal(size=799))), close
    )
    weights = np.random.default_rng(9).uniform(-1, 1, 799)
    weights[np.random.default_rng(10).random(799) < 0.5] = np.nan
    return kept(weights, candles, Costs())


def test_the_measures_are_empyricals(lively):
    returns = lively.returns
    assert lively.gain == pytest.approx(empyrical.cum_returns_final(returns), rel=1e-9)
    assert lively.annual_return == pytest.approx(empyrical.annual_return(returns, annualization=365), rel=1e-9)
    assert lively.volatility == pytest.approx(empyrical.annual_volatility(returns, annualization=365), rel=1e-9)
    assert lively.max_drawdown == pytest.approx(-empyrical.max_drawdown(returns), rel=1e-9)
    assert lively.sharpe.ratio * math.sqrt(365) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365))


@given(st.lists(st.floats(-0.5, 0.6), min_size=3, max_size=40))
def test_the_drawdown_is_empyricals_on_any_path(moves):
    close = 100 * np.cumprod(1 + np.array([0.0, *moves]))
    account = kept([1.0] * len(moves), bars_of(np.append(100, close[:-1]), close))
    assert account.max_drawdown == pytest.approx(-empyrical.max_drawdown(np.array(moves)), abs=1e-9)


# --- the cost at which nothing is left --------------------------------------------------------------------------------


@settings(max_examples=100)
@given(markets())
def test_at_its_break_even_cost_nothing_is_gained(market):
    candles, rows, weights = market
    account = kept(weights, candles, Costs(0.001, 0.0, 0.0), rows)
    if account.break_even_cost is not None:
        again = kept(weights, candles, Costs(account.break_even_cost, 0.0), rows)
        assert again.gain == pytest.approx(0.0, abs=1e-6)
    elif account.trades and account.gain > -1:
        free, dearest = (kept(weights, candles, Costs(fee, 0.0), rows).gain for fee in (0.0, 0.999_999))
        assert free <= 1e-9 or dearest > -1e-4


def test_a_year_has_365_days_of_bars_of_any_length():
    close = 100 * 1.0001 ** np.arange(8761)
    hourly = kept([1.0], bars_of(np.append(100, close[:-1]), close, feed=HOURLY))
    assert hourly.years == pytest.approx(1.0)
    assert hourly.annual_return == pytest.approx(1.0001**8760 - 1)
    assert hourly.interval == Interval("1h")
    assert kept([1.0], bars_of([1] * 365, [1] * 365)).annual_return is None
