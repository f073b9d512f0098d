"""Bars with opens of their own, and the books of an allocation kept coin by coin: the slow twin of `value.account`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from coincast.candles import SCHEMA, Candles
from coincast.feed import Feed
from coincast.value.costs import Costs
from made import DAILY, START


def bars_of(
    opens: Sequence[float], closes: Sequence[float], missing: Sequence[int] = (), feed: Feed = DAILY
) -> Candles:
    """Bars that reach no further than their open and close; the `missing` ones repeat the close before them."""
    rows = [[float(o), float(c)] for o, c in zip(opens, closes, strict=True)]
    for row in sorted(missing):
        rows[row] = [rows[row - 1][1]] * 2
    opened, close = np.array(rows).T
    observed = ~np.isin(np.arange(len(rows)), missing)
    columns = {
        "time": [START + row * feed.interval.delta for row in range(len(rows))],
        "open": opened,
        "high": np.maximum(opened, close),
        "low": np.minimum(opened, close),
        "close": close,
        "volume": observed.astype(float),
        "observed": observed,
    }
    return Candles(feed, pl.DataFrame(columns, schema=SCHEMA))


class Line(NamedTuple):
    """A bar in the books."""

    equity: float
    weight: float
    traded: float
    cost: float


def ledger(weights: Sequence[float], rows: Sequence[int], candles: Candles, costs: Costs, delay: int = 1) -> list[Line]:
    """Bar by bar with money and coins in hand; the size of each trade is found by trying."""
    funding = costs.funding * (candles.feed.interval.delta / timedelta(days=1))
    first = rows[0] + 1
    money, coins, waiting, books = 1.0, 0.0, None, []
    # Less than this is nothing: what is left of a short that lost all of what it began with, but for rounding.
    nothing = 1e-12
    orders = dict(zip(rows, weights, strict=True))
    for row in range(first, len(candles)):
        opened, close = candles.frame["open"][row], candles.close[row]
        order = orders.get(row - delay)
        waiting = waiting if order is None or np.isnan(order) else order
        before, traded = money + coins * opened, 0.0
        if before <= nothing:
            money, coins, before = 0.0, 0.0, 0.0
        elif waiting is not None and candles.observed[row]:
            traded = _bought(waiting, before, coins * opened, costs.one_way)
            money -= traded + costs.one_way * abs(traded)
            coins += traded / opened
            waiting, nothing = None, 1e-12 * (money + coins * opened)
            if money + coins * opened <= 1e-12 * before:
                money, coins = 0.0, 0.0
        held = money + coins * opened
        weight = coins * opened / held if held > 0 else 0.0
        paid = funding * coins * opened
        money -= paid
        cost = (costs.one_way * abs(traded) + paid) / before if before > 0 else 0.0
        if money + coins * close <= nothing:
            money, coins = 0.0, 0.0
        books.append(Line(money + coins * close, weight, traded / before if before > 0 else 0.0, cost))
    return books


def _bought(weight: float, capital: float, value: float, cost: float) -> float:
    """What to buy so that the coins are worth `weight` of the capital left after the cost: by bisection."""

    def excess(bought: float) -> float:
        return value + bought - weight * (capital - cost * abs(bought))

    low, high = -2 * (capital + abs(value)), 2 * (capital + abs(value))
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return (low + high) / 2
