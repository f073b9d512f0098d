"""What capital becomes: decided at a close, filled at the next open, paid for, valued at every close."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import brentq

from ..candles import Candles, Times
from ..errors import DataError
from ..feed import Interval
from ..truth import rows_at
from .costs import Costs
from .sharpe import Sharpe, bars_a_year

Series = Float[np.ndarray, " bar"]

# Less than this share of the capital is nothing: a trade that a rounding error asks for, what a ruined short leaves.
ROUNDING = 1e-12
# A cost that leaves next to nothing of a trade.
DEAREST = 1 - 1e-9


@dataclass(frozen=True)
class Account:
    """One allocation's books, a row a bar from the one after the first origin on. Capital starts at 1.

    Args:
        interval: of the bars.
        costs: what was paid.
        time: when each bar closed, datetime64[us].
        equity: capital at each close; 0 for good once a short has lost it all.
        weight: share of capital in the coin at each bar's open, after its trade; below 0 where sold short.
        traded: value traded at each bar's open, as a share of capital before the trade; below 0 where sold.
        cost: fee, slippage and funding of each bar, as a share of capital before the trade.
        move: change of the price from each bar's open to the next one's; of the last, to its close.
    """

    interval: Interval
    costs: Costs
    time: Times
    equity: Series
    weight: Series
    traded: Series
    cost: Series
    move: Series

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def returns(self) -> Series:
        """Change of capital over each bar, after costs; 0 once there is none."""
        before = np.concatenate([np.ones(1), self.equity[:-1]])[: len(self)]
        alive = before > 0
        return np.where(alive, self.equity / np.where(alive, before, 1.0) - 1, 0.0)

    @property
    def years(self) -> float:
        """Of 365 days."""
        return len(self) / bars_a_year(self.interval)

    @property
    def gain(self) -> float | None:
        """Over all bars, as a fraction of the capital; None without a bar."""
        return float(self.equity[-1] - 1) if len(self) else None

    @property
    def annual_return(self) -> float | None:
        """What every year would have to bring for the same gain; None of less than a year, which says little of one."""
        return float(self.equity[-1] ** (1 / self.years) - 1) if self.years >= 1 else None

    @property
    def volatility(self) -> float | None:
        """Standard deviation of the returns, scaled to a year."""
        scale = float(np.sqrt(bars_a_year(self.interval)))
        return float(self.returns.std(ddof=1)) * scale if len(self) > 1 else None

    @cached_property
    def sharpe(self) -> Sharpe | None:
        """The Sharpe ratio per bar, after costs."""
        return Sharpe.of(self.returns)

    @property
    def max_drawdown(self) -> float | None:
        """The largest fall from a peak, between closes, as a fraction of the peak."""
        if not len(self):
            return None
        peak = np.maximum.accumulate(np.concatenate([np.ones(1), self.equity]))[1:]
        return float((1 - self.equity / peak).max())

    @property
    def turnover(self) -> float | None:
        """Value traded in a year, in multiples of the capital."""
        return float(np.abs(self.traded).sum()) / self.years if len(self) else None

    @property
    def paid(self) -> float | None:
        """Costs in a year, as a fraction of the capital."""
        return float(self.cost.sum()) / self.years if len(self) else None

    @property
    def exposure(self) -> float | None:
        """Mean share of the capital in the coin, long or short."""
        return float(np.abs(self.weight).mean()) if len(self) else None

    @property
    def trades(self) -> int:
        """Bars at whose open something was traded."""
        return int(np.count_nonzero(self.traded))

    @property
    def hit_rate(self) -> float | None:
        """Of the bars with something held and a move, the share in which it moved the right way."""
        profit = self.weight * self.move
        moved = profit[profit != 0]
        return float((moved > 0).mean()) if moved.size else None

    @cached_property
    def break_even_cost(self) -> float | None:
        """The one-way cost, of the value traded, at which nothing would have been gained.

        None where nothing is gained even without costs, nothing is traded, or no cost below 100 % would do.
        """
        at = np.flatnonzero(self.traded)
        if not at.size or self.equity[-1] <= 0:
            return None
        paid, side, held = self.costs.one_way * np.abs(self.traded[at]), np.sign(self.traded[at]), self.weight[at]
        # What the trade would be without cost, of which the cost took its part.
        wanted = np.abs(self.traded[at]) * (1 + side * self.costs.one_way * held)
        free = float(np.log(self.equity[-1]) - np.log1p(-paid).sum())

        def growth(cost: float) -> float:
            kept = 1 - cost * wanted / (1 + side * cost * held)
            return free + float(np.log(np.maximum(kept, np.finfo(float).tiny)).sum())

        return float(brentq(growth, 0.0, DEAREST)) if free > 0 > growth(DEAREST) else None


def trade(
    weights: Float[np.ndarray, " origin"], origins: Times, candles: Candles, costs: Costs, *, delay: int = 1
) -> Account:
    """Keep the books of an allocation.

    An order is decided at the close that is its origin and filled at the open of the first observed bar after it. A
    newer order replaces one that still waits. The trade is of such a size that the share ordered is held once its cost
    is paid; between trades the share drifts with the price. Funding is paid at each bar's open on what is held.

    Args:
        weights: the share of capital wanted after each origin, between -1 and 1; NaN is no order.
        origins: closes of observed bars, ascending, datetime64[us].
        candles: all bars.
        costs: what trading costs.
        delay: bars from the one whose close decides to the first that may fill; 1 is honest, 0 fills in the past and
            serves as a control.

    Raises:
        DataError: a weight asks for borrowed money, or the candles do not hold an origin.
    """
    if not (np.isnan(weights) | (np.abs(weights) <= 1)).all():
        raise DataError(
            f"A weight is {weights[np.nanargmax(np.abs(weights))]}.",
            "More than all of the capital would need borrowed money, which these books do not charge for.",
            "Keep weights between -1 and 1.",
        )
    rows = rows_at(origins, candles)
    first = int(rows[0]) + 1 if len(rows) else len(candles)
    targets = _targets(weights, rows + delay, candles.observed, first)
    opens, closes = candles.frame["open"].to_numpy()[first:], candles.close[first:]
    books = _books(targets, opens, closes, costs.one_way, costs.funding_over(candles.feed.interval))
    move = np.append(opens[1:], closes[-1:]) / opens - 1
    return Account(candles.feed.interval, costs, candles.known_at[first:], *books, move)


def _targets(
    weights: Float[np.ndarray, " origin"],
    rows: Int[np.ndarray, " origin"],
    observed: Bool[np.ndarray, " bar"],
    first: int,
) -> Series:
    """The share ordered at the open of each bar from `first` on; NaN where nothing is."""
    bars = len(observed)
    following = np.minimum.accumulate(np.where(observed, np.arange(bars), bars)[::-1])[::-1]
    fills = np.append(following, bars)[np.minimum(rows, bars)]
    filled = ~np.isnan(weights) & (fills >= first) & (fills < bars)
    targets = np.full(bars - first, np.nan)
    # Of several orders for one bar the last stands.
    targets[fills[filled] - first] = weights[filled]
    return targets


class _Stretches(NamedTuple):
    """What is held from one trade to the next: units that do not change, so that all follows from the prices at once.

    The first stretch comes before any trade and holds nothing.
    """

    weight: Series
    price: Series
    began: Int[np.ndarray, " stretch"]
    price_sum: Series
    funding: float

    def capital(self, of: Int[np.ndarray, " bar"], price: Series, until: Int[np.ndarray, " bar"]) -> Series:
        """In stretch `of`, as a multiple of what it began with, after funding for its bars before bar `until`."""
        paid = self.funding * (self.price_sum[until] - self.price_sum[self.began[of]])
        found = 1 + self.weight[of] * (price - self.price[of] - paid) / self.price[of]
        return np.where(found > ROUNDING, found, 0.0)

    def share(self, of: Int[np.ndarray, " bar"], price: Series, capital: Series) -> Series:
        """Of that capital, what is in the coin; 0 where there is none."""
        return self.weight[of] * price / self.price[of] / np.where(capital > 0, capital, np.inf)


def _books(
    targets: Series, opens: Series, closes: Series, one_way: float, funding: float
) -> tuple[Series, Series, Series, Series]:
    """Equity, weight, traded and cost of each bar."""
    ordered = ~np.isnan(targets)
    at, of, bar = np.flatnonzero(ordered), np.cumsum(ordered), np.arange(len(targets))
    held = _Stretches(
        weight=np.append(0.0, targets[at]),
        price=np.append(1.0, opens[at]),
        began=np.append(0, at),
        price_sum=np.append(0.0, np.cumsum(opens)),
        funding=funding,
    )
    traded = np.zeros(len(targets))
    traded[at], grown = _trades(held, opens, one_way)
    start = np.append(1.0, np.cumprod(grown))[of]
    opened, closed = held.capital(of, opens, bar), held.capital(of, closes, bar + 1)
    alive = np.logical_and.accumulate((start > 0) & (opened > 0) & (closed > 0))
    before = np.append(True, alive)[: len(targets)]
    weight = np.where(before & (start > 0), held.share(of, opens, opened), 0.0)
    traded = np.where(before, traded, 0.0)
    fees = one_way * np.abs(traded)
    cost = fees + funding * weight * np.maximum(1 - fees, 0.0)
    return np.where(alive, start * closed, 0.0), weight, traded, cost


def _trades(held: _Stretches, opens: Series, one_way: float) -> tuple[Series, Series]:
    """The trade that ends each stretch, as a share of the capital before it, and what the capital has become after it.

    A trade T from a share v to a share w solves v + T = w (1 - c |T|).
    """
    at = held.began[1:]
    last = np.arange(len(at))
    ends = held.capital(last, opens[at], at)
    gap = np.where(ends > 0, held.weight[1:] - held.share(last, opens[at], ends), 0.0)
    gap = np.where(np.abs(gap) > ROUNDING, gap, 0.0)
    trades = gap / (1 + np.sign(gap) * one_way * held.weight[1:])
    kept = 1 - one_way * np.abs(trades)
    return trades, ends * np.where(kept > ROUNDING, kept, 0.0)
