"""Raw rows -> Candles, and a tally of every repair.

Whether a bar is kept, mended or marked missing is decided from the bar itself and from bars before it. Nothing is
ever interpolated towards a later price, so candles cleaned up to a time are the same whether or not more follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from .candles import PRICES, PROVENANCE, SCHEMA, Candles
from .errors import DataError, RecipeError
from .feed import Feed, Interval, utc
from .records import Records
from .rows import COLUMNS, Rows, opens

# A slipped decimal point is a factor of 10 or more. The largest one-bar moves known to be real are smaller: DOGE rose
# 4.6-fold on 2021-01-28, and the thin market of 2011 traded BTC at five times its close. In between lies this factor.
FACTOR = 6.0
# A move must also be this many times the usual one. The usual size is the median over the past bars; times 1.4826 it
# estimates a normal law's standard deviation (Hampel 1974, "The influence curve and its role in robust estimation",
# J. American Statistical Association 69).
SCALES = 10.0
_MEDIAN_TO_DEVIATION = 1.4826
_MEMORY, _LEAST = 256, 20
# A close found impossible is believed when the next bar closes within this factor of it.
WITNESS = 2.0
# A file in which more than nine bars of ten are missing has a wrong interval or a wrong date.
_MOST_MISSING = 10

KINDS: Mapping[str, str] = {
    "reordered": "Rows stood after a later one; all were sorted by time.",
    "duplicate": "Rows repeated another row to the last digit; one was kept.",
    "conflict": "Rows gave a bar a second time with other values; the one with the larger volume was kept (it had seen"
    " more of the bar), at equal volume the last one.",
    "off grid": "Rows did not open on the interval's grid and were dropped.",
    "unclosed": "Bars had not closed when the data was taken and were dropped.",
    "leading": "Rows before the first usable close were dropped.",
    "missing close": "Bars had no positive, finite close; they are marked as missing at the last close.",
    "bad close": f"Closes were more than {FACTOR:g} times above or below the close before and far outside the bar's"
    " past; the bars are marked as missing. A new level is believed from the second bar on that closes there.",
    "gap": "The source had no row for these bars; they are marked as missing at the last close.",
    "lent": "The source had no row for these bars; a second venue lent its own. They inform and are never scored.",
    "missing price": "An open, high or low was missing: the open became the last close, high and low the bar's body.",
    "bad open": f"Opens were more than {FACTOR:g} times beyond both the close before and the bar's own; they became the"
    " close before.",
    "outside range": "A high lay below or a low above the bar's own open or close; it was moved there.",
    "bad wick": f"Highs or lows were more than {FACTOR:g} times beyond open and close and far outside the bar's past;"
    " they were moved to the body. The bar stays observed.",
    "no volume": "Volumes were missing, negative or infinite and became 0.",
    "zero volume": "Bars moved although their volume is 0; kept.",
    "stale": "Bars repeat the last close with volume 0: nothing was traded; kept.",
}


_REPAIR = {
    "time": SCHEMA["time"],
    "kind": pl.String(),
    "column": pl.String(),
    "found": pl.Float64(),
    "put": pl.Float64(),
}


@dataclass(frozen=True)
class Repairs:
    """What was done to the rows of a source.

    Args:
        frame: one row a repair: `time` of the bar, `kind` (a key of `KINDS`), `column` (null if the whole bar is
            meant), the value `found` and the one `put` in its place (null where there is none).
        notes: what had to be assumed while reading.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()

    @cached_property
    def tally(self) -> dict[str, int]:
        """How many repairs of each kind, in the order of `KINDS`; kinds that did not occur are left out."""
        counts = Counter(dict(self.frame["kind"].value_counts().iter_rows()))
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    @property
    def sentences(self) -> list[str]:
        """The notes, and the tally in plain words."""
        return [*self.notes, *(f"{kind}: {count}. {KINDS[kind]}" for kind, count in self.tally.items())]


@dataclass(frozen=True)
class Cleaned:
    """Candles, and what it took to make them."""

    candles: Candles
    repairs: Repairs


def clean(rows: Rows, feed: Feed, now: datetime | None = None) -> Cleaned:
    """The candles in `rows`.

    Args:
        rows: bars as a source gave them.
        feed: which candles they are.
        now: the time at which the source was asked, by its own clock; bars that close later are dropped. None where
            all bars are known to have closed.

    Raises:
        DataError: no row has a usable close, or the rows do not lie on the feed's interval.
    """
    log = [pl.DataFrame(schema=_REPAIR)]
    frame = rows.frame.with_columns(pl.exclude("time").fill_nan(None))
    frame = _sorted(_on_grid(_closed(frame, feed.interval, now, log), feed.interval, log), log)
    if frame.is_empty():
        raise DataError("No row is a closed bar.", "There is nothing to learn from.", "Pass older rows.")
    believed = _closes(frame, log)
    mended = _mend_volume(_mend_range(_mend_open(believed, log), log), log)
    observed = mended.with_columns(observed=pl.lit(value=True))
    candles = Candles(feed, _fill(observed, feed.interval, frame["time"][-1]))
    # Rows may stand before the first bar believed: they fill no hole.
    if len(candles) > (frame["time"] >= candles.start).sum():
        _note(log, candles.frame.join(frame, on="time", how="anti"), "gap", put=pl.col("close"))
    notes = tuple(note.says for note in rows.notes)
    return Cleaned(candles, Repairs(pl.concat(log).sort("time", maintain_order=True), notes))


def _note(
    log: list[pl.DataFrame], bars: pl.DataFrame, kind: str, column: str | None = None, put: pl.Expr | None = None
) -> None:
    if bars.is_empty():
        return
    note = bars.select(
        "time",
        kind=pl.lit(kind),
        column=pl.lit(column, pl.String()),
        found=pl.col(column) if column else pl.lit(None, pl.Float64()),
        put=pl.lit(None, pl.Float64()) if put is None else put,
    )
    log.append(note)


def _closed(frame: pl.DataFrame, interval: Interval, now: datetime | None, log: list[pl.DataFrame]) -> pl.DataFrame:
    if now is None:
        return frame
    closed = pl.col("time") <= utc(now) - interval.delta
    _note(log, frame.filter(~closed), "unclosed", "close")
    return frame.filter(closed)


def _on_grid(frame: pl.DataFrame, interval: Interval, log: list[pl.DataFrame]) -> pl.DataFrame:
    on_grid = pl.col("time") == opens(interval)
    off = frame.filter(~on_grid)
    if off.height * 4 > frame.height:
        raise DataError(
            f"{off.height} of {frame.height} bars do not open on the {interval} grid in UTC, the first at"
            f" {off['time'][0]:%Y-%m-%d %H:%M:%S.%f}.",
            "They may be labelled by their close, be in local time or have another interval; read so, each close"
            " would be taken for known at a wrong time.",
            "Label bars by their open, state the time zone, or name the right interval.",
            defect="off grid",
        )
    _note(log, off, "off grid", "close")
    return frame.filter(on_grid)


def _sorted(frame: pl.DataFrame, log: list[pl.DataFrame]) -> pl.DataFrame:
    """In order of time, one row a bar."""
    if (frame["time"].diff().drop_nulls() > timedelta(0)).all():
        return frame
    late = frame["time"] < frame["time"].cum_max()
    _note(log, frame.filter(late), "reordered")
    if not frame["time"].is_duplicated().any():
        return frame.sort("time")
    distinct = frame.unique(maintain_order=True, keep="last")
    _note(log, frame.filter(~pl.struct(pl.all()).is_first_distinct()), "duplicate")
    usable = (_positive("close")).cast(pl.Float64)
    weight = pl.when(pl.col("volume").is_finite()).then("volume").otherwise(-1.0).fill_null(-1.0)
    ranked = distinct.sort("time", usable, weight, maintain_order=True)
    kept = ranked.unique("time", keep="last", maintain_order=True)
    second = ranked.filter(pl.col("time") == pl.col("time").shift(-1))
    _note(log, second.join(kept, on="time", suffix="_kept"), "conflict", "close", pl.col("close_kept"))
    return kept


def _positive(column: str) -> pl.Expr:
    return (pl.col(column).is_finite() & (pl.col(column) > 0)).fill_null(value=False)


def _closes(frame: pl.DataFrame, log: list[pl.DataFrame]) -> pl.DataFrame:
    """The rows whose close can be believed, with `before`, the close believed last."""
    usable = frame.select(_positive("close")).to_series()
    if not usable.any():
        raise DataError(
            f"None of the {frame.height} bars has a positive, finite close.",
            "There is no price to start from.",
            "Check the columns of the source.",
        )
    believed = usable.to_numpy().copy()
    believed[believed] = ~impossible(frame.filter(usable)["close"].to_numpy())
    frame = frame.with_columns(usable=usable, believed=pl.Series(believed))
    last = pl.when("believed").then("close").shift(1).forward_fill()
    frame = frame.with_columns(before=last)
    leading = ~pl.col("believed") & pl.col("before").is_null()
    _note(log, frame.filter(leading), "leading", "close")
    _note(log, frame.filter(~pl.col("usable") & ~leading), "missing close", "close", pl.col("before"))
    _note(log, frame.filter(pl.col("usable") & ~pl.col("believed")), "bad close", "close", pl.col("before"))
    return frame.filter("believed")


def impossible(close: Float[np.ndarray, " bar"]) -> Bool[np.ndarray, " bar"]:
    """Closes that cannot be: more than `FACTOR` times off the last believed close and `SCALES` times the usual move.

    The usual move is the median absolute log-return of the `_MEMORY` bars before. After a close was marked, the next
    bar is held against the last believed close; if it is as far off but within a factor of `WITNESS` of the marked
    one, two bars say the same and the new level is believed.

    Args:
        close: positive, finite closes in order of time.
    """
    price = np.log(close)
    moves = np.abs(np.diff(price, prepend=price[0]))
    marked = np.zeros(len(price), dtype=bool)
    bar = 0
    for jump in np.flatnonzero(moves > np.log(FACTOR)):
        if jump < bar:
            continue
        believed, bar = price[jump - 1], int(jump)
        while bar < len(price) and abs(price[bar] - believed) > _limit(moves, bar):
            if marked[bar - 1] and moves[bar] <= np.log(WITNESS):
                break
            marked[bar] = True
            bar += 1
        bar += 1
    return marked


def _limit(sizes: Float[np.ndarray, " bar"], bar: int) -> float:
    """The largest log-distance believed at a bar, from the sizes of those before it."""
    past = sizes[max(bar - _MEMORY, 0) : bar]
    usual = float(np.median(past)) if len(past) >= _LEAST else 0.0
    return max(float(np.log(FACTOR)), SCALES * _MEDIAN_TO_DEVIATION * usual)


def _too_far(sizes: pl.Series) -> pl.Series:
    """Which of these log-distances are beyond the limit their own past sets."""
    values = sizes.to_numpy()
    far = np.zeros(len(values), dtype=bool)
    for bar in np.flatnonzero(values > np.log(FACTOR)):
        far[bar] = values[bar] > _limit(values, int(bar))
    return pl.Series(far)


def _mend_open(frame: pl.DataFrame, log: list[pl.DataFrame]) -> pl.DataFrame:
    """An open that is missing, or far beyond both closes, becomes the close before."""
    put = pl.coalesce("before", "close")
    missing = ~frame.select(_positive("open")).to_series()
    _note(log, frame.filter(missing), "missing price", "open", put)
    frame = frame.with_columns(pl.when(missing).then(put).otherwise("open").alias("open"))
    above = (pl.col("open") / pl.max_horizontal(put, "close")).log()
    below = (pl.min_horizontal(put, "close") / pl.col("open")).log()
    bad = _too_far(frame.select(pl.max_horizontal(above, below, 0.0)).to_series())
    _note(log, frame.filter(bad), "bad open", "open", put)
    return frame.with_columns(pl.when(bad).then(put).otherwise("open").alias("open"))


def _mend_range(frame: pl.DataFrame, log: list[pl.DataFrame]) -> pl.DataFrame:
    """High and low that are missing, inside the body or impossibly far out become the body's edge."""
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    for name, edge, wick in (
        ("high", top, (pl.col("high") / top).log()),
        ("low", bottom, (bottom / pl.col("low")).log()),
    ):
        missing = ~frame.select(_positive(name)).to_series()
        _note(log, frame.filter(missing), "missing price", name, edge)
        frame = frame.with_columns(pl.when(missing).then(edge).otherwise(name).alias(name))
        sizes = frame.select(wick).to_series()
        inside, far = sizes < 0, _too_far(sizes)
        _note(log, frame.filter(inside), "outside range", name, edge)
        _note(log, frame.filter(far), "bad wick", name, edge)
        frame = frame.with_columns(pl.when(inside | far).then(edge).otherwise(name).alias(name))
    return frame


def _mend_volume(frame: pl.DataFrame, log: list[pl.DataFrame]) -> pl.DataFrame:
    usable = (pl.col("volume").is_finite() & (pl.col("volume") >= 0)).fill_null(value=False)
    _note(log, frame.filter(~usable), "no volume", "volume", pl.lit(0.0))
    still = pl.all_horizontal(pl.col(name) == pl.coalesce("before", "close") for name in PRICES)
    idle = frame.filter(usable & (pl.col("volume") == 0))
    _note(log, idle.filter(~still), "zero volume", "volume")
    _note(log, idle.filter(still), "stale", "volume")
    return frame.with_columns(pl.when(usable).then("volume").otherwise(0.0).alias("volume"))


def lend(cleaned: Cleaned, bars: pl.DataFrame) -> Cleaned:
    """The candles with bars of a second venue where the first had none.

    A lent bar keeps `observed` False: it is a fair guess at what the market did and not what this venue's customers
    could trade at, so it informs forecasts and is never an origin, a target or a truth. One that traded nothing says
    nothing and is not lent.

    Args:
        cleaned: candles, some of them missing.
        bars: `time`, `open`, `high`, `low`, `close`, `volume` of the lender, sound and one a time.
    """
    values = (*PRICES, "volume")
    told = bars.filter(pl.col("volume") > 0).select("time", *(pl.col(name).alias(f"{name}_lent") for name in values))
    frame = cleaned.candles.frame.join(told, on="time", how="left", maintain_order="left")
    taken = ~pl.col("observed") & pl.col("close_lent").is_not_null()
    known = pl.when(taken).then("close_lent").when("observed").then("close").forward_fill()
    frame = frame.with_columns(taken=taken, known=known)
    log: list[pl.DataFrame] = []
    _note(log, frame.filter("taken"), "lent", put=pl.col("close_lent"))
    if not log:
        return cleaned
    put = [pl.when("taken").then(f"{name}_lent").when("observed").then(name).otherwise("known") for name in PRICES]
    volume = pl.when("taken").then("volume_lent").otherwise("volume")
    filled = frame.with_columns(*(price.alias(name) for price, name in zip(put, PRICES, strict=True)), volume=volume)
    repairs = pl.concat([cleaned.repairs.frame, *log]).sort("time", maintain_order=True)
    candles = Candles(cleaned.candles.feed, filled.select(cleaned.candles.frame.columns))
    return Cleaned(candles, replace(cleaned.repairs, frame=repairs))


def clean_records(records: Records) -> Cleaned:
    """The candles in stored records: the venue's own bars cleaned, lent ones where it had none, and who told each.

    Raises:
        DataError: the venue itself told no bar.
    """
    own = pl.col("repaired_by").is_null()
    told = records.latest
    if not told.select(own.any()).item():
        raise DataError(
            f"There is no bar of {records.feed}.", "There is nothing to learn from.", "Fetch it first: coincast fetch."
        )
    cleaned = clean(Rows(told.filter(own).select(COLUMNS)), records.feed)
    lent = told.filter(~own)
    cleaned = lend(cleaned, lent.select(COLUMNS))
    used = cleaned.repairs.frame.filter(pl.col("kind") == "lent")
    by = pl.concat([told.filter(own), lent.join(used, on="time", how="semi")]).select(
        "time", *PROVENANCE, "repaired_by"
    )
    source = pl.coalesce("repaired_by", "source").alias("source")
    frame = cleaned.candles.frame.join(by, on="time", how="left", maintain_order="left")
    return replace(cleaned, candles=Candles(records.feed, frame.with_columns(source).drop("repaired_by")))


def _fill(frame: pl.DataFrame, interval: Interval, last: datetime) -> pl.DataFrame:
    """Every bar of the grid from the first row to the open `last`; one without a row repeats the last close."""
    step = int(interval.step.astype(int))
    first, stop = frame["time"].cast(pl.Int64)[0], pl.Series([last], dtype=SCHEMA["time"]).cast(pl.Int64)[0]
    if (stop - first) // step > _MOST_MISSING * (frame.height + _LEAST):
        raise DataError(
            f"Between {frame['time'][0]:%Y-%m-%d %H:%M} and {last:%Y-%m-%d %H:%M} there are"
            f" {(stop - first) // step + 1} bars of {interval} and only {frame.height} rows.",
            "Nearly all candles would be missing.",
            "Check the interval, and the first and last rows for a wrong date.",
            defect="gap",
        )
    grid = pl.DataFrame({"time": pl.int_range(first, stop + 1, step, eager=True).cast(SCHEMA["time"])})
    whole = grid.height == frame.height
    filled = frame if whole else grid.join(frame, on="time", how="left", maintain_order="left")
    close = pl.col("close").forward_fill()
    return filled.select(
        "time",
        *(pl.col(name).fill_null(close) for name in PRICES),
        pl.col("volume").fill_null(0.0),
        pl.col("observed").fill_null(value=False),
    )


def resample(candles: Candles, interval: Interval) -> Candles:
    """The same candles in longer bars.

    A longer bar opens on its own grid (weeks on Monday) and is observed if each bar it is made of was; where a second
    venue lent a part, it is lent. One that lacks a part is missing, because nobody knows its range. There is none
    before the first whole bar or after the last that has closed. An outside series keeps what was known when the last
    part closed; the source and when it was seen are those of the part seen last.

    Raises:
        RecipeError: `interval` is not a multiple of the candles' own.
        DataError: not one longer bar is whole.
    """
    parts, rest = divmod(interval.delta, candles.feed.interval.delta)
    if rest or not parts:
        raise RecipeError(
            f"Bars of {candles.feed.interval} cannot be joined to bars of {interval}.",
            "A longer bar is a whole number of shorter ones.",
            "Choose a multiple.",
        )
    prices = (pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())
    joined = (
        candles.frame.filter(pl.col("observed") | (pl.col("volume") > 0))
        .group_by(opens(interval).alias("time"), maintain_order=True)
        .agg(*prices, pl.col("volume").sum(), pl.len().alias("parts"), pl.col("observed").all())
        .filter(pl.col("parts") == parts)
    )
    feed = replace(candles.feed, interval=interval)
    if joined.is_empty():
        raise DataError(
            f"{len(candles)} bars of {candles.feed} hold no whole bar of {interval}.",
            "There is nothing to join.",
            "Pass a longer history.",
        )
    filled = _fill(joined, interval, interval.floor(candles.end) - interval.delta)
    told = [pl.col(name).sort_by("seen_at").last() for name in PROVENANCE if name in candles.frame.columns]
    known = candles.frame.group_by(opens(interval).alias("time")).agg(*told, pl.col(candles.outside).last())
    return Candles(feed, filled.join(known, on="time", how="left", maintain_order="left"))
