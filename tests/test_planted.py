"""Each defect, planted into a tidy series of any coin, interval and place, is named; the tidy series raises nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.candles import PRICES, Candles
from coincast.clean import clean
from coincast.errors import DataError
from coincast.feed import Feed, Interval
from coincast.files import parse, read
from coincast.quality import Quality, examine, mend
from coincast.rows import COLUMNS, Rows
from coincast.worlds import Law, draw

# Long enough for every detector, short enough to be drawn often.
BARS = 600
TIDY = (
    *(f"panel/{coin}usd_yahoo_1d.csv.gz" for coin in ("ada", "bch", "bnb", "doge", "eth", "link", "ltc", "xlm", "xrp")),
    *(f"daily/{coin}usdt_binance_1d.csv.gz" for coin in ("btc", "eth")),
    *(f"hourly/{coin}usdt_binance_perp_1h.csv.gz" for coin in ("btc", "eth")),
    "minute/btcusdt_binance_1m_2024-12.csv.gz",
)
LENGTH = {"minute": "1m", "hourly": "1h"}


@dataclass(frozen=True)
class Series:
    """A tidy series, and where chance says to plant."""

    frame: pl.DataFrame
    interval: Interval
    random: np.random.Generator

    @property
    def rows(self) -> Rows:
        return Rows(self.frame)

    def place(self, bars: int) -> int:
        """A run of so many bars, away from both ends."""
        return int(self.random.integers(30, len(self.frame) - bars - 30))

    def count(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high))

    def put(self, first: int, bars: int, **columns: object) -> pl.DataFrame:
        """The frame with other values in a run of bars."""
        here = pl.int_range(pl.len()).is_between(first, first + bars - 1)
        return self.frame.with_columns(
            pl.when(here).then(value).otherwise(name).alias(name) for name, value in columns.items()
        )

    def venue(self, noise: float = 2e-4) -> Candles:
        """The same market on another venue: prices a little apart, another share of the volume."""
        wobble = np.exp(noise * self.random.normal(size=len(self.frame)))
        share = 0.3 * np.exp(0.3 * self.random.normal(size=len(self.frame)))
        prices = [(pl.col(name) * pl.Series(wobble)).alias(name) for name in PRICES]
        frame = self.frame.with_columns(*prices, volume=pl.col("volume") * pl.Series(share))
        return clean(Rows(frame), Feed("other", "COIN/USD", self.interval)).candles


@st.composite
def simulated(draw_, bars: int = BARS, intervals: tuple[str, ...] = ("1m", "15m", "1h", "4h", "1d")) -> Series:
    """A market drawn from its law, with opens of its own; prices as floats, or in ticks as venues write them."""
    seed = draw_(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    interval = Interval(draw_(st.sampled_from(intervals)))
    law = Law(volatility=float(random.uniform(0.003, 0.02)), alpha=0.05, beta=0.9)
    frame = draw(law, bars, seed, f"simulated:COIN/USD:{interval}").candles.frame.select(COLUMNS)
    scale = float(np.exp(random.uniform(-3, 4)))
    seam = np.exp(0.02 * law.volatility * random.normal(size=bars) * (random.random(bars) < 0.6))
    opens = pl.col("open") * scale * pl.Series(seam)
    frame = frame.with_columns(open=opens, **{name: pl.col(name) * scale for name in PRICES[1:]})
    if draw_(st.booleans()):
        digits = 4 - int(np.floor(np.log10(frame["close"].min())))
        frame = frame.with_columns(pl.col(name).round(max(digits, 0)) for name in PRICES).with_columns(
            pl.col("volume").round(3)
        )
    top, bottom = pl.max_horizontal(*PRICES), pl.min_horizontal(*PRICES)
    return Series(frame.with_columns(high=top, low=bottom), interval, random)


def studied(folder, draw_, lengths: tuple[str, ...] | None = None) -> Series:
    """A stretch of a real series."""
    files = [file for file in TIDY if lengths is None or LENGTH.get(file.split("/")[0], "1d") in lengths]
    file = draw_(st.sampled_from(files))
    frame = read(folder / file).frame
    random = np.random.default_rng(draw_(st.integers(0, 2**32 - 1)))
    start = int(random.integers(0, len(frame) - BARS))
    return Series(frame[start : start + BARS], Interval(LENGTH.get(file.split("/")[0], "1d")), random)


@dataclass(frozen=True)
class Planted:
    """A spoilt series: what it takes to see the defect, what else it may raise, what a copy without it holds."""

    rows: Rows
    second: Candles | None = None
    now: datetime | None = None
    also: frozenset[str] = frozenset()
    touched: pl.Series | None = None
    copy: pl.DataFrame | None = None


PLANTS: dict[str, Callable[[Series], Planted]] = {}


def plants(name: str):
    def keep(plant):
        PLANTS[name] = plant
        return plant

    return keep


@plants("gap")
def _(s: Series) -> Planted:
    bars = s.count(1, 40)
    first = s.place(bars)
    frame = pl.concat([s.frame[:first], s.frame[first + bars :]])
    return Planted(Rows(frame), touched=s.frame["time"][first : first + bars], copy=frame)


@plants("duplicate")
def _(s: Series) -> Planted:
    first, bars = s.place(9), s.count(1, 9)
    frame = pl.concat([s.frame, s.frame[first : first + bars]]).sort("time", maintain_order=True)
    return Planted(Rows(frame), touched=s.frame["time"][first : first + bars], copy=s.frame)


@plants("conflict")
def _(s: Series) -> Planted:
    first, bars = s.place(9), s.count(1, 9)
    less = s.frame[first : first + bars].with_columns(volume=pl.col("volume") * 0.6, close=pl.col("open"))
    frame = pl.concat([less, s.frame]).sort("time", maintain_order=True)
    return Planted(Rows(frame), touched=s.frame["time"][first : first + bars], copy=s.frame)


@plants("reordered")
def _(s: Series) -> Planted:
    first, bars = s.place(20), s.count(1, 20)
    frame = pl.concat([s.frame[:first], s.frame[first + bars :], s.frame[first : first + bars]])
    return Planted(Rows(frame), touched=s.frame["time"][first : first + bars], copy=s.frame)


@plants("newest first")
def _(s: Series) -> Planted:
    return Planted(Rows(s.frame.reverse()), copy=s.frame)


@plants("off grid")
def _(s: Series) -> Planted:
    first, bars = s.place(5), s.count(1, 5)
    stray = s.frame[first : first + bars].with_columns(pl.col("time") + s.interval.delta / 3)
    return Planted(Rows(pl.concat([s.frame, stray]).sort("time")), copy=s.frame)


@plants("irregular times")
def _(s: Series) -> Planted:
    late = s.random.integers(0, s.interval.delta // timedelta(microseconds=3), len(s.frame))
    return Planted(Rows(s.frame.with_columns(pl.col("time") + pl.Series(late).cast(pl.Duration("us")))))


@plants("mixed intervals")
def _(s: Series) -> Planted:
    half = len(s.frame) // 2
    return Planted(Rows(pl.concat([s.frame[:half], s.frame[half:].gather_every(4)])))


@plants("unclosed")
def _(s: Series) -> Planted:
    """A job stored each bar at some moment of its first half: enough of them that no chance hides them."""
    bars = s.count(150, 200)
    first = s.place(bars) if s.random.random() < 0.5 else len(s.frame) - bars
    part = s.random.uniform(0, 0.5, len(s.frame))
    total = np.log(s.frame["close"].to_numpy() / s.frame["open"].to_numpy())
    size = np.log(s.frame["high"].to_numpy() / s.frame["low"].to_numpy()) / 1.6
    path = part * total + np.sqrt(part * (1 - part)) * size * s.random.normal(size=len(part))
    price = pl.Series(s.frame["open"].to_numpy() * np.exp(path))
    early = s.put(
        first,
        bars,
        close=pl.min_horizontal(pl.max_horizontal(price, "low"), "high"),
        volume=pl.col("volume") * pl.Series(part),
    )
    return Planted(Rows(early), also=frozenset({"flat bars"}))


@plants("bad tick")
def _(s: Series) -> Planted:
    first, factor = s.place(1), float(np.exp(s.random.uniform(np.log(40), np.log(1e4))))
    column = ("high", "low", "close")[s.count(0, 3)]
    if column == "close":
        bad = s.put(first, 1, **{name: pl.col(name) * factor for name in PRICES})
    else:
        bad = s.put(first, 1, **{column: pl.col(column) * (factor if column == "high" else 1 / factor)})
    return Planted(Rows(bad), touched=s.frame["time"][first : first + 1])


@plants("outside range")
def _(s: Series) -> Planted:
    first = s.place(1)
    inside = s.put(first, 1, high=pl.min_horizontal("open", "close") * 0.999)
    return Planted(Rows(inside), touched=s.frame["time"][first : first + 1])


@plants("missing price")
def _(s: Series) -> Planted:
    first, bars = s.place(9), s.count(1, 9)
    column = PRICES[s.count(0, 4)]
    lost = s.put(first, bars, **{column: None})
    # A lost open becomes the close before, which may lie beyond the bar.
    return Planted(Rows(lost), also=frozenset({"outside range"}), touched=s.frame["time"][first : first + bars])


@plants("straight line")
def _(s: Series) -> Planted:
    """An outage filled by linear interpolation of every column; one bar alone could be chance in so few."""
    bars = s.count(2, 40)
    first = s.place(bars)
    hole = s.put(first, bars, **dict.fromkeys(COLUMNS[1:]))
    drawn = hole.with_columns(pl.col(name).interpolate() for name in COLUMNS[1:])
    copy = pl.concat([s.frame[:first], s.frame[first + bars :]])
    return Planted(Rows(drawn), touched=s.frame["time"][first : first + bars], copy=copy)


@plants("carried forward")
def _(s: Series) -> Planted:
    bars = s.count(1, 40)
    first = s.place(bars)
    hole = s.put(first, bars, **dict.fromkeys(COLUMNS[1:]))
    filled = hole.with_columns(pl.col(name).forward_fill() for name in COLUMNS[1:])
    copy = pl.concat([s.frame[:first], s.frame[first + bars :]])
    return Planted(Rows(filled), touched=s.frame["time"][first : first + bars], copy=copy)


@plants("stale tail")
def _(s: Series) -> Planted:
    bars = s.count(8, 60)
    first, last = len(s.frame) - bars, s.frame["close"][-bars - 1]
    volume = [pl.lit(0.0), pl.col("volume")][s.count(0, 2)]
    still = s.put(first, bars, **dict.fromkeys(PRICES, last), volume=volume)
    return Planted(
        Rows(still), also=frozenset({"zero volume", "flat bars"}), touched=s.frame["time"][first:], copy=s.frame[:first]
    )


@plants("flat bars")
def _(s: Series) -> Planted:
    first, bars = s.place(20), s.count(3, 20)
    return Planted(
        Rows(s.put(first, bars, **dict.fromkeys(("open", "high", "low"), pl.col("close")))),
        also=frozenset({"unclosed"}),
    )


@plants("copied opens")
def _(s: Series) -> Planted:
    copied = s.frame.with_columns(open=pl.col("close").shift(1).fill_null(pl.col("open")))
    widened = copied.with_columns(high=pl.max_horizontal(*PRICES), low=pl.min_horizontal(*PRICES))
    return Planted(Rows(widened))


@plants("no volume")
def _(s: Series) -> Planted:
    first, bars = s.place(9), s.count(1, 9)
    return Planted(Rows(s.put(first, bars, volume=None)), touched=s.frame["time"][first : first + bars])


@plants("zero volume")
def _(s: Series) -> Planted:
    first, bars = s.place(9), s.count(1, 9)
    return Planted(Rows(s.put(first, bars, volume=0.0)), touched=s.frame["time"][first : first + bars])


@plants("quote volume")
def _(s: Series) -> Planted:
    high = replace(
        s, frame=s.frame.with_columns(pl.col(name) * (20_000 / s.frame["close"].median()) for name in PRICES)
    )
    typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    return Planted(Rows(high.frame.with_columns(volume=pl.col("volume") * typical)), second=high.venue())


@plants("label late")
def _(s: Series) -> Planted:
    return Planted(Rows(s.frame.with_columns(pl.col("time") + s.interval.delta)), second=s.venue(), copy=s.frame)


@plants("label early")
def _(s: Series) -> Planted:
    return Planted(Rows(s.frame.with_columns(pl.col("time") - s.interval.delta)), second=s.venue(), copy=s.frame)


@plants("another market")
def _(s: Series) -> Planted:
    other = draw(Law(volatility=0.02), len(s.frame), s.count(0, 10**6), f"other:COIN/USD:{s.interval}").candles.frame
    return Planted(s.rows, second=Candles(Feed("other", "COIN/USD", s.interval), other.with_columns(s.frame["time"])))


@plants("close label")
def _(s: Series) -> Planted:
    instant = [timedelta(milliseconds=1), timedelta(seconds=1), timedelta(microseconds=1)][s.count(0, 3)]
    return Planted(Rows(s.frame.with_columns(pl.col("time") + s.interval.delta - instant)), copy=s.frame)


@plants("sessions")
def _(s: Series) -> Planted:
    return Planted(
        Rows(s.frame.filter(pl.col("time").dt.weekday() < 6)), copy=s.frame.filter(pl.col("time").dt.weekday() < 6)
    )


@plants("local time")
def _(s: Series) -> Planted:
    """Times of a zone that never changes its clocks, unmarked."""
    hours = [-8, -5, 2, 3, 8, 9][s.count(0, 6)]
    moved = s.frame.with_columns(pl.col("time") + timedelta(hours=hours))
    return Planted(Rows(moved), second=s.venue(), copy=s.frame)


@plants("unclosed at the end")
def _(s: Series) -> Planted:
    bars = s.count(1, 4)
    now = s.frame["time"][-bars] + s.interval.delta / 2
    return Planted(s.rows, now=now, touched=s.frame["time"][-bars:], copy=s.frame[:-bars])


DEFECTS = sorted(PLANTS)
# What needs bars of a certain length is planted only into those.
LENGTHS = {"local time": ("15m", "1h"), "sessions": ("1d",)}


def judged(planted: Planted) -> Quality:
    return examine(planted.rows, second=planted.second, now=planted.now)


def hold(defect: str, planted: Planted) -> None:
    """The defect is named, where it lies, nothing else is, and a copy is without it."""
    found, defect = judged(planted), defect.removesuffix(" at the end")
    assert defect in found.defects
    assert found.defects <= {defect} | planted.also
    [one] = [finding for finding in found.findings if finding.defect == defect]
    if planted.touched is not None:
        assert one.bars.unique().sort().to_list() == planted.touched.to_list()
        assert sum(span.bars for span in one.spans) == len(planted.touched)
    if planted.copy is not None:
        assert mend(planted.rows, found, planted.now).rows.frame.equals(planted.copy)


@pytest.mark.parametrize("defect", DEFECTS)
@settings(max_examples=8)
@given(data=st.data())
def test_a_defect_planted_in_a_simulated_market_is_named(defect, data):
    lengths = LENGTHS.get(defect, ("1m", "15m", "1h", "4h", "1d"))
    hold(defect, PLANTS[defect](data.draw(simulated(intervals=lengths))))


@pytest.mark.parametrize("defect", DEFECTS)
@settings(max_examples=8)
@given(data=st.data())
def test_a_defect_planted_in_a_real_market_is_named(study_data, defect, data):
    hold(defect, PLANTS[defect](studied(study_data, data.draw, LENGTHS.get(defect))))


@settings(max_examples=25)
@given(series=simulated())
def test_a_simulated_market_raises_nothing(series):
    assert examine(series.rows, second=series.venue()).findings == ()


@settings(max_examples=25)
@given(data=st.data())
def test_a_stretch_of_a_real_market_raises_nothing(study_data, data):
    series = studied(study_data, data.draw)
    assert examine(series.rows, second=series.venue()).findings == ()


# Pairs: labels that are wrong for all bars, and a defect in some of them.

MOVES = {
    "label late": (timedelta(0), 1, ("1m", "15m", "1h", "4h", "1d")),
    "label early": (timedelta(0), -1, ("1m", "15m", "1h", "4h", "1d")),
    "local time": (timedelta(hours=5), 0, ("15m", "1h")),
}
BESIDE = ("gap", "duplicate", "conflict", "reordered", "off grid", "straight line", "carried forward", "stale tail")


@pytest.mark.parametrize("label", MOVES)
@pytest.mark.parametrize("defect", BESIDE)
@settings(max_examples=4)
@given(data=st.data())
def test_a_copy_without_two_defects_is_the_truth(label, defect, data):
    hours, bars, lengths = MOVES[label]
    series = data.draw(simulated(intervals=lengths))
    planted, by = PLANTS[defect](series), hours + bars * series.interval.delta
    rows = Rows(planted.rows.frame.with_columns(pl.col("time") + by))
    found = examine(rows, second=series.venue())
    assert {label, defect} <= found.defects <= {label, defect} | planted.also
    assert mend(rows, found).rows.frame.equals(planted.copy)


@pytest.mark.parametrize("label", MOVES)
@settings(max_examples=8)
@given(series=simulated(intervals=("15m", "1h")), bars=st.integers(150, 200))
def test_early_closes_are_dropped_where_they_are_though_labels_are_wrong(label, series, bars):
    """Opens jump by themselves, on both venues alike: only the second series shows which closes are early."""
    hours, late, _ = MOVES[label]
    usual = float(series.frame["close"].log().diff().std())
    jump = pl.Series(np.exp(3 * usual * series.random.normal(size=BARS)))
    edges = {"high": pl.max_horizontal(*PRICES), "low": pl.min_horizontal(*PRICES)}
    frame = series.frame.with_columns(open=pl.col("close") * jump.shift(-1).fill_null(1.0)).with_columns(
        open=pl.col("open").shift(1).fill_null(pl.col("close"))
    )
    truth = replace(series, frame=frame.with_columns(**edges))
    frame, first = truth.frame, truth.place(bars)
    error = 0.3 * float((frame["high"] / frame["low"]).log().median())
    early = truth.put(
        first, bars, close=pl.col("close") * pl.Series(np.exp(error * series.random.choice([-1, 1], BARS)))
    )
    early = early.with_columns(**edges)
    rows = Rows(early.with_columns(pl.col("time") + hours + late * series.interval.delta))
    found = examine(rows, second=truth.venue(1e-5))
    assert {label, "unclosed"} <= found.defects
    kept = mend(rows, found).rows.frame
    dropped = frame.join(kept, on="time", how="anti")["time"].to_list()
    assert dropped == frame["time"][first : first + bars].to_list()
    assert kept.equals(frame.filter(~pl.col("time").is_in(dropped)))


EUROPE = ("Europe/London", "Europe/Berlin", "Europe/Athens")
OVERSEAS = ("America/New_York", "America/Los_Angeles", "Australia/Sydney")


def in_zone(series: Series, zone: str) -> pl.DataFrame:
    local = pl.col("time").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return series.frame.with_columns(local.dt.replace_time_zone("UTC"))


@settings(max_examples=6)
@given(simulated(bars=9_000, intervals=("1h",)), st.sampled_from(EUROPE), st.booleans())
def test_a_year_in_local_time_is_named_and_brought_back(series, zone, backwards):
    frame = in_zone(series, zone)
    rows = Rows(frame.reverse() if backwards else frame)
    found = examine(rows)
    assert found.defects == {"local time", "clock change"} | ({"newest first"} if backwards else set())
    assert found.grade == "F"
    assert zone in found.sentence
    assert mend(rows, found).rows.frame.equals(series.frame)


@settings(max_examples=6)
@given(simulated(bars=9_000, intervals=("1h",)), st.sampled_from(OVERSEAS))
def test_zones_whose_clocks_change_alike_are_told_apart_by_a_second_series(series, zone):
    rows = Rows(in_zone(series, zone))
    alone, beside = examine(rows), examine(rows, second=series.venue())
    assert alone.defects == beside.defects == {"local time", "clock change"}
    assert "name the zone with --tz" in alone.sentence
    with pytest.raises(DataError, match="No copy can undo that"):
        mend(rows, alone)
    assert mend(rows, beside).rows.frame.equals(series.frame)


@settings(max_examples=4)
@given(simulated(bars=9_000, intervals=("1h",)), st.sampled_from((*EUROPE, *OVERSEAS)))
def test_local_time_without_the_repeated_hours_shows_beside_a_second_series(series, zone):
    rows = Rows(in_zone(series, zone).unique("time", keep="first", maintain_order=True))
    assert {"local time", "clock change"} <= examine(rows, second=series.venue()).defects


@settings(max_examples=10)
@given(series=simulated(bars=1200, intervals=("1h",)), hours=st.sampled_from([5, 8, 16, 19]))
def test_days_of_another_zone_are_named(series, hours):
    days = series.frame.group_by_dynamic("time", every="1d", offset=f"{hours}h", start_by="window").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    assert examine(Rows(days.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC"))))).defects == {"local time"}


@settings(max_examples=10)
@given(data=st.data(), written=st.sampled_from(["day first", "month first", "banner", "header rows", "close only"]))
def test_ways_to_write_a_file_are_named(data, written):
    frame = data.draw(simulated(bars=60, intervals=("1d",))).frame
    pattern = {"day first": "%d-%m-%Y", "month first": "%m/%d/%Y"}.get(written, "%Y-%m-%d")
    table = frame.with_columns(pl.col("time").dt.strftime(pattern))
    if written == "close only":
        table = table.select("time", price="close")
    text = table.write_csv()
    if written == "banner":
        text = "Some words about this file\n" + text
    if written == "header rows":
        names = "Price,Open,High,Low,Close,Volume\nTicker,X,X,X,X,X\nDate,,,,,\n"
        text = names + text.split("\n", 1)[1]
    rows = parse(text.encode(), "bars.csv", close_only=True)
    found = examine(rows)
    assert found.defects == {written} | ({"no volume"} if written == "close only" else set())
    assert found.grade == ("F" if written == "close only" else "A")
    if written != "close only":
        assert rows.frame.equals(frame)


@settings(max_examples=10)
@given(data=st.data())
def test_days_stored_while_they_ran_are_named(study_data, data):
    """Real days of which only the first hours were there when they were stored."""
    hours = read(study_data / data.draw(st.sampled_from(TIDY[11:13]))).frame
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    start = 24 * int(random.integers(0, len(hours) // 24 - 400))
    stretch = hours[start : start + 24 * 400].with_columns(day=pl.col("time").dt.truncate("1d"))
    early = stretch["day"].unique().sort()[-int(random.integers(90, 120)) :]
    at = pl.DataFrame({"day": early, "hour": random.integers(2, 14, len(early))})
    kept = stretch.join(at, on="day", how="left").filter(pl.col("time").dt.hour() < pl.col("hour").fill_null(24))
    prices = (pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())
    days = kept.group_by("day", maintain_order=True).agg(*prices, pl.col("volume").sum()).rename({"day": "time"})
    [found] = examine(Rows(days)).findings
    assert found.defect == "unclosed"
    assert len(set(found.bars) - set(early)) <= 2
    assert len(found.bars) > 0.6 * len(early)
