"""What only a second series of the same market can tell: labels that are late or early, another unit of volume."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from ..candles import Candles, Times
from ..clean import resample
from ..errors import RecipeError
from ..feed import Interval
from ..rows import Rows
from .findings import Finding, finding
from .invented import WIDE, densest, dropped, without

# Returns of one bar on two venues correlate at 0.9 and more, those of neighbouring bars hardly at all.
RELATED = 0.5
# Another lag must beat none by so many standard errors of Fisher's z.
ERRORS = 5.0
# Closes of one market on two venues, in whichever dollar, are never this factor apart in the middle.
SAME_PRICE = 1.25
FEWEST = 30
# No zone is farther from UTC.
FARTHEST_ZONE = timedelta(hours=14)
_QUARTER, _HOUR, _DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
# Of this many newest bars a lag is read off as surely as of more.
_MOST = 200_000
# A price nearer to 1 than this cannot tell quote from base volume; the venues' own sizes differ by as much.
_PRICE = 100.0
# Volumes in quote currency are apart by at least this power of the price, and dividing by it must not blur their ratio.
_POWER, _BLUR = 2 / 3, 1.5


class _Beside(NamedTuple):
    """Two series on the grid of the first; NaN where a bar is not there."""

    interval: Interval
    time: Times
    ours: dict[str, Float[np.ndarray, " bar"]]
    theirs: dict[str, Float[np.ndarray, " bar"]]

    def moved(self, bars: int) -> _Beside:
        """With the second series `bars` later."""
        return self._replace(theirs={name: _shifted(value, bars) for name, value in self.theirs.items()})


def against(candles: Candles, second: Candles) -> list[Finding]:
    """What a second series of the same market shows about the first.

    Raises:
        RecipeError: the second has longer bars, or shares too few bars with the first.
    """
    beside = _beside(candles, _of_interval(second, candles.feed.interval))
    other = _another_price(beside)
    if other is not None:
        return [other]
    seasons = _clock_change(beside)
    if seasons:
        return seasons
    lag, found = _lag(beside)
    if any(one.defect == "another market" for one in found):
        return found
    beside = beside.moved(lag)
    later = (_unclosed(candles, beside, lag), _quote_volume(beside))
    return [*found, *(one for one in later if one is not None)]


def _another_price(beside: _Beside) -> Finding | None:
    """Closes at another level altogether: coins of one market move alike, so that returns cannot tell them apart."""
    apart = np.log(beside.ours["close"] / beside.theirs["close"])
    times = float(np.exp(np.nanmedian(apart))) if np.isfinite(apart).any() else 1.0
    if abs(np.log(times)) <= np.log(SAME_PRICE):
        return None
    says = f"Closes are {times:,.3g} times the second series': another coin, currency or unit."
    return finding("another market", says)


def agreement(rows: Rows, second: Candles) -> float:
    """Correlation of the returns with the second series', bar by bar as labelled."""
    step = rows.frame["time"].sort().diff().min()
    theirs = second.frame.filter("observed").select("time", theirs="close")
    both = rows.frame.sort("time").join(theirs, on="time", maintain_order="left")
    returns = both.with_columns(pl.col("close", "theirs").log().diff()).filter(pl.col("time").diff() == step)
    return float(returns.select(pl.corr("close", "theirs")).item() or 0.0)


def _of_interval(second: Candles, interval: Interval) -> Candles:
    if second.feed.interval == interval:
        return second
    if second.feed.interval.delta > interval.delta:
        raise RecipeError(
            f"The second series has bars of {second.feed.interval}, the first of {interval}.",
            "A longer bar says nothing about the shorter ones in it.",
            f"Give a second series of {interval} or shorter.",
        )
    return resample(second, interval)


def _beside(candles: Candles, second: Candles) -> _Beside:
    wanted = ("open", "high", "low", "close", "volume")
    real = [pl.when("observed").then(pl.col(name)).otherwise(float("nan")).alias(name) for name in wanted]
    ours = candles.frame.select("time", *real)
    theirs = ours.select("time").join(second.frame.select("time", *real), on="time", how="left", maintain_order="left")
    both = [{name: frame[name].fill_null(float("nan")).to_numpy() for name in wanted} for frame in (ours, theirs)]
    return _Beside(candles.feed.interval, candles.time, *both)


def _shifted(value: Float[np.ndarray, " bar"], bars: int) -> Float[np.ndarray, " bar"]:
    out = np.full_like(value, np.nan)
    if bars >= 0:
        out[bars:] = value[: len(value) - bars]
    else:
        out[:bars] = value[-bars:]
    return out


class _Best(NamedTuple):
    lag: int
    correlation: float
    unmoved: float
    n: int

    @property
    def sure(self) -> bool:
        """Whether the lag is not none, beyond doubt."""
        z, z0 = np.arctanh(np.clip([self.correlation, self.unmoved], -0.999999, 0.999999))
        return self.lag != 0 and self.correlation >= RELATED and (z - z0) * np.sqrt(max(self.n - 3, 0) / 2) > ERRORS


def _best(beside: _Beside, part: slice = slice(-_MOST, None)) -> _Best:
    """By how many bars our returns run behind theirs."""
    ours, theirs = (np.diff(np.log(side["close"][part])) for side in (beside.ours, beside.theirs))
    told = {lag: _correlation(ours, _shifted(theirs, lag)) for lag in _lags(beside.interval) if abs(lag) < len(ours)}
    lag = max(told, key=lambda lag: (told[lag][0], -abs(lag)), default=0)
    r, n = told.get(lag, (0.0, 0))
    return _Best(lag, r, told.get(0, (0.0, 0))[0], n)


def _lags(interval: Interval) -> list[int]:
    """A bar or two either way, and as far as any zone is from UTC."""
    zones = [minutes * _QUARTER for minutes in range(FARTHEST_ZONE // _QUARTER + 1)] if interval.delta < _DAY else []
    bars = {0, 1, 2} | {zone // interval.delta for zone in zones if not zone % interval.delta}
    return sorted(bars | {-lag for lag in bars})


def _correlation(a: Float[np.ndarray, " bar"], b: Float[np.ndarray, " bar"]) -> tuple[float, int]:
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    if n < FEWEST:
        return 0.0, n
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    size = np.sqrt((x @ x) * (y @ y))
    return (float(x @ y / size) if size > 0 else 0.0), n


def _lag(beside: _Beside) -> tuple[int, list[Finding]]:
    best = _best(beside)
    if best.n < FEWEST:
        raise RecipeError(
            f"The second series shares {best.n} bars with the first.",
            "Labels are compared by how both move, over many bars.",
            "Give a second series of the same time.",
        )
    if best.correlation < RELATED:
        says = f"Returns correlate with the second series' at {best.correlation:.2f} at most, by whichever labels."
        return 0, [finding("another market", says)]
    if not best.sure:
        return 0, []
    behind = best.lag * beside.interval.delta
    numbers = (
        f"there returns correlate with the second series' at {best.correlation:.3f}, as labelled at {best.unmoved:.3f}"
    )
    if abs(best.lag) > 1 and beside.interval.delta < _DAY and not behind % _QUARTER:
        defect, says = "local time", f"Times are {_ahead(behind)} of UTC: {numbers}."
    else:
        defect = "label late" if best.lag > 0 else "label early"
        bars = f"{abs(best.lag)} bar{'s' if abs(best.lag) > 1 else ''} of {beside.interval}"
        says = f"Every time is {bars} too {defect.split()[1]}: {numbers}."
    did = f"Times were moved {'back' if best.lag > 0 else 'on'} by {_hours(behind)}."
    return best.lag, [finding(defect, says, mend=_moved(-behind), did=did)]


def _hours(span: timedelta) -> str:
    hours, rest = divmod(abs(span), _HOUR)
    return f"{hours}:{rest // timedelta(minutes=1):02} hours"


def _ahead(span: timedelta) -> str:
    return f"{_hours(span)} {'ahead' if span >= timedelta(0) else 'behind'}"


def _moved(by: timedelta) -> Callable[[Rows], Rows]:
    return lambda rows: Rows(rows.frame.with_columns(pl.col("time") + by), rows.notes)


def _clock_change(beside: _Beside) -> list[Finding]:
    """Labels whose lag changes by an hour with the season."""
    if beside.interval.delta > _HOUR:
        return []
    edges = np.flatnonzero(np.diff(beside.time.astype("datetime64[M]").astype(int))) + 1
    months = [slice(int(a), int(b)) for a, b in zip([0, *edges], [*edges, len(beside.time)], strict=True)]
    told = [best for best in (_best(beside, month) for month in months) if best.correlation >= RELATED]
    lags = sorted({best.lag for best in told})
    often = all(sum(best.lag == lag for best in told) > 1 for lag in lags)
    if len(lags) != 2 or not often or (lags[1] - lags[0]) * beside.interval.delta != _HOUR:
        return []
    winter, summer = (_ahead(lag * beside.interval.delta) for lag in lags)
    says = f"Times are {winter} of UTC in some months and {summer} in others, by the second series."
    return [
        finding("local time", f"{says} Name their zone with --tz."),
        finding("clock change", "The lag behind the second series changes by an hour with the season."),
    ]


def _unclosed(candles: Candles, beside: _Beside, lag: int) -> Finding | None:
    """A stretch in which closes differ from the second series' and opens do not: they were taken too early.

    It is named by the labels as they are, and dropped by those that the mend of the lag has left.
    """
    usual = np.nanmedian(np.log(beside.theirs["high"] / beside.theirs["low"]))
    apart = {name: np.abs(np.log(beside.ours[name] / beside.theirs[name])) for name in ("open", "close")}
    both = np.isfinite(apart["open"]) & np.isfinite(apart["close"])
    early = (apart["close"] > WIDE * usual) & (apart["open"] <= WIDE * usual)
    stretch = densest(early[both])
    if stretch is None:
        return None
    rows = np.flatnonzero(both)[stretch]
    times = candles.frame["time"].gather(rows)
    right = times - lag * beside.interval.delta
    return finding(
        "unclosed",
        f"{len(times):,} closes in a row differ from the second series' while their opens agree.",
        times,
        of=len(candles),
        interval=beside.interval,
        mend=without(right),
        did=dropped(len(times), "unclosed"),
    )


def _quote_volume(beside: _Beside) -> Finding | None:
    """Volume that is the second series' times the price."""
    ours, theirs, price = beside.ours["volume"], beside.theirs["volume"], np.log(beside.theirs["close"])
    both = (ours > 0) & (theirs > 0) & np.isfinite(price)
    if both.sum() < FEWEST:
        return None
    ratio, level = np.log(ours[both] / theirs[both]), float(np.median(price[both]))
    times = float(np.median(ratio))
    if abs(level) < np.log(_PRICE) or times / level < _POWER:
        return None
    if _spread(ratio - price[both]) > _BLUR * _spread(ratio):
        return None
    says = f"Volumes are {np.exp(times):,.0f} times the second series', whose price is about {np.exp(level):,.5g}."
    did = "Volumes were divided by the bar's typical price, (high + low + close) / 3."
    return finding("quote volume", says, mend=to_base, did=did)


def _spread(value: Float[np.ndarray, " bar"]) -> float:
    return float(np.median(np.abs(value - np.median(value))))


def to_base(rows: Rows) -> Rows:
    """Rows whose volume is in quote currency with volume in base currency."""
    typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    return Rows(rows.frame.with_columns(volume=pl.col("volume") / typical), rows.notes)
