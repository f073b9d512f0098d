"""What is measured outside the market, since when it was public, and the join that never looks ahead."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from ..candles import SCHEMA, Candles
from ..errors import DataError, LookAheadError
from ..feed import utc

TOLD = pl.Schema({"ended_at": SCHEMA["time"], "value": pl.Float64()})
PUBLIC = pl.Schema({"ended_at": SCHEMA["time"], "available_at": SCHEMA["time"], "value": pl.Float64()})
# Markets close for holidays and publishers miss days; what is older than this is no longer news.
LONGEST_SILENCE = timedelta(days=14)


@dataclass(frozen=True, eq=False)
class Outside:
    """One number that is measured again and again outside the market, such as the Fear & Greed index.

    Args:
        name: also the column that `join` adds to candles.
        frame: `ended_at` (when the day, session or instant that a value speaks of was over, UTC, ascending, each
            once), `available_at` (since when the value was public, UTC), `value`.
        coin: the coin it speaks of, `BTC`; None where it speaks of the whole market.

    Raises:
        LookAheadError: a value was public before what it speaks of was over.
        DataError: the name cannot be a column's, or the frame breaks these rules.
    """

    name: str
    frame: pl.DataFrame
    coin: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, self.coin)
        _check_frame(self.name, self.frame)
        early = self.frame.filter(pl.col("available_at") < pl.col("ended_at"))
        if not early.is_empty():
            ended, available, _ = early.row(0)
            raise LookAheadError(
                f"A value of {self.name} is said to be available at {available:%Y-%m-%d %H:%M}, before what it speaks"
                f" of was over at {ended:%Y-%m-%d %H:%M}.",
                "A forecast would know what had not happened yet.",
                "Set available_at to the time of publication.",
            )

    @classmethod
    def of(cls, name: str, told: pl.DataFrame, lag: timedelta, coin: str | None = None) -> Outside:
        """A series from what a source told, in any order: each value is public `lag` after what it speaks of.

        Args:
            name: of the series.
            told: `ended_at` and `value`; a value that is null or not finite is left out.
            lag: the stated publication lag.
            coin: the coin it speaks of.

        Raises:
            DataError: one event has two values, or there is none.
        """
        usable = told.filter(pl.col("value").is_finite()).unique().sort("ended_at")
        return cls(name, usable.select("ended_at", available_at=pl.col("ended_at") + lag, value="value"), coin)

    def __len__(self) -> int:
        return self.frame.height

    def seen_by(self, t: datetime) -> Outside:
        """The values that were public at `t`.

        Raises:
            DataError: `t` is naive, or none was public by then.
        """
        return replace(self, frame=self.frame.filter(pl.col("available_at") <= utc(t)))

    def delayed(self, by: timedelta) -> Outside:
        """The same values, public so much later: what a forecast gains from them should shrink, and not vanish.

            join(candles, series.delayed(candles.feed.interval.delta))

        A gain that is gone when everything is told one bar later came from knowing too early.

        Args:
            by: how much later than it was.

        Raises:
            LookAheadError: `by` is negative and reaches before what a value speaks of was over.
        """
        return replace(self, frame=self.frame.with_columns(pl.col("available_at") + by))


def join(candles: Candles, *series: Outside) -> Candles:
    """The candles with a column for each series: the newest value that was public when the bar closed.

    NaN before the first. A bar that closes at the very instant of publication knows the value, one that closes a
    microsecond earlier does not.

    Raises:
        DataError: a series is joined already, speaks of another coin, has no value for these bars, or falls silent
            for longer than `LONGEST_SILENCE` while they go on.
    """
    frame = candles.frame
    for outside in series:
        _demand_fit(candles, outside, frame.columns)
        frame = frame.with_columns(_known(candles, outside).alias(outside.name))
    return Candles(candles.feed, frame)


def _known(candles: Candles, outside: Outside) -> pl.Series:
    # A late answer about an old day does not push out what is known of a newer one.
    newest = outside.frame.sort("available_at", "ended_at").filter(pl.col("ended_at") == pl.col("ended_at").cum_max())
    bars = candles.frame.select("time", known_at=pl.col("time") + candles.feed.interval.delta)
    beside = bars.join_asof(newest, left_on="known_at", right_on="available_at", strategy="backward")
    _demand_news(candles, outside, beside.drop_nulls())
    return beside["value"].fill_null(float("nan"))


def _check_name(name: str, coin: str | None) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in SCHEMA:
        raise DataError(
            f"An outside series cannot be named {name!r}.",
            "Its name is a column beside those of the candles, and a file's name.",
            "Use a-z, 0-9 and _, and none of the candles' own columns.",
        )
    if coin is not None:
        check_coin(coin)


def check_coin(coin: str) -> str:
    """The coin's name, once it is found fit for a file's name.

    Raises:
        DataError: it is not.
    """
    if not re.fullmatch(r"[A-Z0-9]+", coin):
        raise DataError(
            f"The coin {coin!r} is not made of A-Z and 0-9.",
            "It is a part of a file's name and of a request.",
            "Write it as in BTC/USDT: BTC.",
        )
    return coin


def _check_frame(name: str, frame: pl.DataFrame) -> None:
    if frame.schema != PUBLIC:
        raise DataError(
            f"The frame of {name} has the columns {dict(frame.schema)}.",
            "The join trusts names, order and types.",
            f"Bring it to {dict(PUBLIC)}, or let Outside.of do so.",
        )
    if frame.is_empty():
        raise DataError(f"{name} has no value.", "There is nothing to join.", "Pass a longer span.")
    if sum(frame.null_count().row(0)) or not frame["value"].is_finite().all():
        raise DataError(
            f"{name} has an empty or infinite value.", "Features of it would be empty too.", "Leave such rows out."
        )
    again = frame.filter(pl.col("ended_at").diff() <= timedelta(0))
    if not again.is_empty():
        raise DataError(
            f"{name} has two values for what ended at {again['ended_at'][0]:%Y-%m-%d %H:%M}, or is out of order there.",
            "Nobody can say which one was known.",
            "Keep the first that was published, in order of time.",
        )


def _demand_fit(candles: Candles, outside: Outside, columns: list[str]) -> None:
    if outside.name in columns:
        raise DataError(
            f"{outside.name} is joined already.", "A bar has one value of a series.", "Join each series once."
        )
    if outside.coin not in (None, candles.feed.base):
        raise DataError(
            f"This {outside.name} speaks of {outside.coin}, the candles are {candles.feed}.",
            "A model would learn from another coin under the same name.",
            f"Fetch it for {candles.feed.base}.",
        )


def _demand_news(candles: Candles, outside: Outside, known: pl.DataFrame) -> None:
    name = outside.name
    if known.is_empty():
        first = outside.frame["available_at"].sort()[0]
        raise DataError(
            f"{name} starts {first:%Y-%m-%d}, the candles end {candles.end:%Y-%m-%d}.",
            "No bar would have a value.",
            "Pass later candles or leave the series out.",
        )
    stale = known.filter(pl.col("known_at") > pl.col("available_at") + LONGEST_SILENCE)
    if not stale.is_empty():
        last, bar = stale["available_at"][0], stale["known_at"][0]
        raise DataError(
            f"{name} has nothing after {last:%Y-%m-%d %H:%M} for {LONGEST_SILENCE.days} days and more; the bar that"
            f" closes {bar:%Y-%m-%d %H:%M} still needs it.",
            "Old news would be passed off as fresh.",
            "Fetch the series anew, or cut the candles to where it speaks.",
        )
