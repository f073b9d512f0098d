"""Bars that no market made: drawn, carried forward, stored too early. What the prices and volumes alone can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int
from scipy import special, stats

from ..candles import PRICES, Candles
from ..clean import FACTOR
from ..rows import Rows
from .findings import Finding, finding

# Chance is ruled out at this level wherever a test is made.
LEVEL = 1e-3
# Where prices and volume are coarse, calm makes both lie halfway: up to 1.5 times as often together as independence
# would, in simulated markets whose volume follows their volatility.
ODDS = 3.0
# In the same markets at most 4 % of the bars whose prices lie halfway are followed by another.
GOES_ON = 0.1
# Bars that open where the one before closed, to the last digit: 0.5 to 53 % in the series measured, 99 % where copied.
COPIED, FEWEST = 0.9, 30
# Flat bars are said where they come in a row, or are more than this share of the bars.
FLAT_SHARE, IN_A_ROW = 0.01, 3
# A seam, the step from a close to the next open, is wide beyond this part of the usual range. Closes taken at a random
# moment of their bar miss its end by a third of the range at the median, so most of their seams are wide; of a market
# that never shuts hardly any is, in its thinnest months one in four. Measured: 16,833 stretches of 20 clean series of
# study data, 300 to 1,200 bars long, raise nothing; 60 such closes in a row among 600 bars are found in 81 % of cases,
# 120 in 99 %.
WIDE, WIDE_BY_NATURE, WIDE_IF_UNCLOSED = 0.2, 0.25, 0.7
_AROUND = 21
# Decimals beyond these are none.
_MOST_DECIMALS, _SAMPLE = 8, 2000
_ROUNDING = 1e-9

Mask = Bool[np.ndarray, " bar"]


@dataclass(frozen=True, eq=False)
class Bars:
    """Candles as arrays.

    Args:
        candles: with open, high, low and close.
        real: which bars to believe: those that are there and have not been found invented.
    """

    candles: Candles
    real: Mask

    def __getitem__(self, column: str) -> Float[np.ndarray, " bar"]:
        return self.candles.frame[column].to_numpy()

    @cached_property
    def pair(self) -> Mask:
        """Bars to believe after one to believe."""
        return self.real & np.insert(self.real[:-1], 0, values=False)

    def unchanged(self, *columns: str) -> Mask:
        """Bars with the same values as the one before."""
        return np.all([np.insert(np.diff(self[name]) == 0, 0, values=False) for name in columns], axis=0)

    def without(self, which: Mask) -> Bars:
        """The same with these believed no longer."""
        return Bars(self.candles, self.real & ~which)


def invented(candles: Candles, *, sessions: bool) -> list[Finding]:
    """Everything this module looks for.

    Args:
        candles: with open, high, low and close.
        sessions: the market shuts and opens elsewhere, so seams tell nothing.
    """
    bars, found = Bars(candles, candles.observed), []
    for seek in (
        level_jump,
        straight_line,
        carried_forward,
        stale_tail,
        flat_bars,
        copied_opens,
        *(() if sessions else (unclosed,)),
    ):
        one = seek(bars)
        if one is not None:
            found.append(one)
            if one.mend is not None:
                bars = bars.without(candles.frame["time"].is_in(one.bars.implode()).to_numpy())
    return found


def level_jump(bars: Bars) -> Finding | None:
    """Closes a factor apart that no market moves in one bar, although the bars after stay where it went.

    A single close that far out is a bad tick, which cleaning does not believe; a new level is believed from its second
    bar on, and may still be another unit.
    """
    step = np.abs(np.diff(np.log(bars["close"]), prepend=np.log(bars["close"][0])))
    jumps = bars.real & (step > np.log(FACTOR))
    if not jumps.any():
        return None
    times = f"{np.exp(step[jumps].max()):,.4g}"
    count = int(jumps.sum())
    says = f"The price jumps by a factor of up to {times} between neighbouring bars, {_times(count)}."
    return _found("level jump", says, bars, jumps)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def straight_line(bars: Bars) -> Finding | None:
    """Bars halfway between their neighbours in every column, to the last digit: an outage filled by interpolation.

    Prices and volume of a market are halfway by chance now and then, but hardly ever together. Where volume tells
    nothing, such prices must come in longer runs than chance makes. The two tests share `LEVEL`.
    """
    between = bars.pair & np.append(bars.real[1:], values=False)
    steep, prices = np.zeros(len(between), dtype=bool), between
    for name in PRICES:
        halfway, moves = _ruled(bars[name])
        steep, prices = steep | moves, prices & halfway
    prices, volume = prices & steep, between & _ruled(bars["volume"])[0]
    which = prices & volume if _together(prices, volume, int(between.sum())) < LEVEL / 2 else _long_runs(prices)
    if not which.any():
        return None
    longest = int(runs(which)[1].max())
    says = f"{which.sum():,} bars lie on a straight line between their neighbours, up to {longest:,} in a row."
    if which.sum() == 1:
        says = "1 bar lies on a straight line between its neighbours."
    return _found("straight line", says, bars, which, drop=True)


def _together(one: Mask, other: Mask, n: int) -> float:
    """How probable it is that so many of `n` bars have both, if one makes the odds of the other `ODDS` times as high.

    Fisher's exact test, conditional on how many have each, with that odds ratio for the null: the non-central
    hypergeometric law of Fisher 1935 ("The logic of inductive inference", J. Royal Statistical Society 98).
    """
    both = int((one & other).sum())
    counts = np.arange(min(one.sum(), other.sum()) + 1)
    weight = stats.hypergeom.logpmf(counts, n, one.sum(), other.sum()) + counts * np.log(ODDS)
    return float(np.exp(special.logsumexp(weight[both:]) - special.logsumexp(weight))) if both else 1.0


def _long_runs(mask: Mask) -> Mask:
    """The runs that are more in number at their length than chance makes.

    Chance begins a run as often as it begins short ones, at the upper confidence limit of that count, and goes on by
    `GOES_ON`. The levels of the limit and of each length tried add up to `LEVEL` / 2.
    """
    start, length = runs(mask)
    begun = stats.gamma.isf(LEVEL / 4, (length < IN_A_ROW).sum() + 1)
    for shortest in sorted({int(some) for some in length if some >= IN_A_ROW}):
        long, more = length >= shortest, shortest - IN_A_ROW + 1
        expected = begun * GOES_ON ** (shortest - 1)
        if stats.poisson.sf(long.sum() - 1, expected) < LEVEL / 4 / 2**more:
            return _filled(len(mask), start[long], length[long])
    return np.zeros(len(mask), dtype=bool)


def _ruled(value: Float[np.ndarray, " bar"]) -> tuple[Mask, Mask]:
    """Values in the middle of their neighbours, and values that move, both as far as rounding lets one see."""
    room, step = _room(value), np.diff(value, prepend=value[0])
    bend = np.append(np.abs(np.diff(step)), np.inf)
    bend[0] = np.inf
    return bend <= room, np.abs(step) > 2 * room


def _room(value: Float[np.ndarray, " bar"]) -> Float[np.ndarray, " bar"]:
    """How far rounding alone moves a second difference: two units of the last decimal that the column has."""
    some = value[np.linspace(0, len(value) - 1, min(len(value), _SAMPLE)).astype(int)]
    digits = (d for d in range(_MOST_DECIMALS + 1) if np.allclose(some, some.round(d), rtol=_ROUNDING, atol=0))
    tick = next((10.0**-d for d in digits), 0.0)
    return 2 * tick + _ROUNDING * np.abs(value)


def carried_forward(bars: Bars) -> Finding | None:
    """Bars that repeat the one before in all five values although they traded and moved: a hole filled forward."""
    which = bars.pair & (bars["high"] > bars["low"]) & (bars["volume"] > 0) & bars.unchanged(*PRICES, "volume")
    if not which.any():
        return None
    repeat = "bar repeats" if which.sum() == 1 else "bars repeat"
    says = f"{which.sum():,} {repeat} the bar before in all five values."
    return _found("carried forward", says, bars, which, drop=True)


def stale_tail(bars: Bars) -> Finding | None:
    """A price that stands still to the end, more than twice as long as it ever did before."""
    flat = bars["high"] == bars["low"]
    still = bars.pair & bars.unchanged("close") & (flat | bars.unchanged("high", "low"))
    start, length = runs(still)
    if not still[-1] or length[-1] < IN_A_ROW or length[-1] <= 2 * max(length[:-1], default=0):
        return None
    says = f"The last {length[-1]:,} bars stand still at the price before them."
    return _found("stale tail", says, bars, _filled(len(still), start[-1:], length[-1:]), drop=True)


def flat_bars(bars: Bars) -> Finding | None:
    """Bars of one price, where they come in a row or often."""
    flat = bars.real & (bars["high"] == bars["low"])
    longest = max(runs(flat)[1], default=0)
    if longest < IN_A_ROW and flat.sum() <= FLAT_SHARE * bars.real.sum():
        return None
    have = "bar has" if flat.sum() == 1 else "bars have"
    says = f"{flat.sum():,} {have} one price for open, high, low and close, up to {longest:,} in a row."
    return _found("flat bars", says, bars, flat)


def copied_opens(bars: Bars) -> Finding | None:
    """Opens that are the close before, to the last digit, in nearly every bar that moved."""
    moved = bars.pair & (bars["high"] > bars["low"])
    copies = moved & (bars["open"] == np.roll(bars["close"], 1))
    share = copies.sum() / max(moved.sum(), 1)
    if moved.sum() < FEWEST or share < COPIED:
        return None
    says = f"{100 * share:.1f} % of the opens equal the close before: they are copies."
    return _found("copied opens", says, bars, copies)


def unclosed(bars: Bars) -> Finding | None:
    """A stretch of bars whose closes the next opens do not follow: they were stored while they still ran."""
    places = np.flatnonzero(bars.pair)
    seam = np.abs(np.log(bars["open"][places] / bars["close"][places - 1]))
    wide = np.zeros(len(bars.real), dtype=bool)
    wide[places] = seam > WIDE * _usual(np.log(bars["high"] / bars["low"])[places])
    stretch = densest(wide[places])
    if stretch is None:
        return None
    inside, outside = places[stretch], np.delete(places, stretch)
    # A wide seam speaks of the bar before it; a stretch to the end has caught the last bar too.
    which = np.zeros(len(wide), dtype=bool)
    which[inside - 1] = True
    which[-1] |= inside[-1] == len(wide) - 1
    often, else_ = (f"{100 * wide[some].mean():.0f} %" if len(some) else "none" for some in (inside, outside))
    says = (
        f"{which.sum():,} closes in a row do not meet the next open: {often} miss it by more than a fifth of the usual"
        f" range, elsewhere {else_}. So do closes that were taken before their bar had ended."
    )
    return _found("unclosed", says, bars, which, drop=True)


def _usual(size: Float[np.ndarray, " bar"]) -> Float[np.ndarray, " bar"]:
    """The median of each `_AROUND` bars, for each of them."""
    blocks = max(len(size) // _AROUND, 1)
    rest = (blocks - 1) * _AROUND
    whole, last = np.median(size[:rest].reshape(-1, _AROUND), axis=1), np.median(size[rest:])
    return np.concatenate([np.repeat(whole, _AROUND), np.full(len(size) - rest, last)])


def densest(hits: Bool[np.ndarray, " place"]) -> slice | None:
    """The stretch in which wide seams are so many that only `WIDE_IF_UNCLOSED` explains them.

    For natural pass as many as lie outside the densest stretch, and no fewer than `WIDE_BY_NATURE`. It is the
    maximal-scoring segment of the log-likelihood ratio; chance reaches a score of s in n places with probability below
    n exp(-s) (Karlin and Altschul 1990, "Methods for assessing the statistical significance of molecular sequence
    features by using general scoring schemes", PNAS 87).
    """
    stretch, gain = highest(hits, float(hits.mean()) if len(hits) else 1.0)
    outside = np.delete(hits, stretch)
    stretch, gain = highest(hits, float(outside.mean()) if len(outside) else 1.0)
    return stretch if gain > np.log(max(len(hits), 1) / LEVEL) else None


def highest(hits: Bool[np.ndarray, " place"], natural: float) -> tuple[slice, float]:
    """The stretch with the highest score against a natural rate of hits, and that score."""
    natural = max(natural, WIDE_BY_NATURE)
    if natural >= WIDE_IF_UNCLOSED:
        return slice(0, 0), 0.0
    hit, miss = np.log(WIDE_IF_UNCLOSED / natural), np.log((1 - WIDE_IF_UNCLOSED) / (1 - natural))
    total = np.insert(np.cumsum(np.where(hits, hit, miss)), 0, 0.0)
    gain = total - np.minimum.accumulate(total)
    end = int(gain.argmax())
    return slice(int(total[: end + 1].argmin()), end), float(gain[end])


def runs(mask: Mask) -> tuple[Int[np.ndarray, " run"], Int[np.ndarray, " run"]]:
    """Where runs of True start, and how long each is."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def _filled(n: int, start: Int[np.ndarray, " run"], length: Int[np.ndarray, " run"]) -> Mask:
    mask = np.zeros(n, dtype=bool)
    for first, count in zip(start, length, strict=True):
        mask[first : first + count] = True
    return mask


def _found(defect: str, says: str, bars: Bars, which: Mask, *, drop: bool = False) -> Finding:
    times = bars.candles.frame["time"].filter(pl.Series(which))
    return finding(
        defect,
        says,
        times,
        of=int(bars.candles.observed.sum()),
        interval=bars.candles.feed.interval,
        mend=without(times) if drop else None,
        did=dropped(len(times), defect) if drop else "",
    )


def dropped(count: int, defect: str) -> str:
    """What `without` does, said as done."""
    return f"{count:,} {'bar was' if count == 1 else 'bars were'} dropped: {defect}."


def without(times: pl.Series) -> Callable[[Rows], Rows]:
    """Rows -> rows but for those of these bars."""

    def drop(rows: Rows) -> Rows:
        return Rows(
            rows.frame.join(times.unique().to_frame("time"), on="time", how="anti", maintain_order="left"), rows.notes
        )

    return drop
