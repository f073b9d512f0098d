"""How each venue tells its candles: how many at once, how far back, and whether it calls when one closes.

Bars longer than a day are joined from days on every venue. Venues do not agree on where they open (KuCoin and Kraken
open weeks on Thursday), and what ccxt names `1w` on Bitstamp is three days long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import RecipeError
from ..feed import INTERVALS, Interval


@dataclass(frozen=True)
class Venue:
    """What must be known to ask a venue for candles.

    Args:
        name: as ccxt writes it.
        since: no candle of it is older.
        page: bars in one answer at most.
        intervals: the bars it tells itself, up to a day.
        streams: whether it pushes candles; where not, each close is asked for.
        depth: how many bars back from now its history goes, the forming one included; None where it goes back to the
            listing.
        says: what somebody who uses it should know, in plain words.
    """

    name: str
    since: datetime
    page: int
    intervals: tuple[str, ...]
    streams: bool
    depth: int | None = None
    says: str = ""

    def asked(self, interval: Interval) -> Interval:
        """The bars to ask for: those of `interval`, or the longest the venue has that can be joined to them.

        Raises:
            RecipeError: it has none.
        """
        fitting = [name for name in self.intervals if not interval.delta % Interval(name).delta]
        if not fitting:
            raise RecipeError(
                f"{self.name} has no bars from which {interval} could be joined.",
                f"It tells {', '.join(self.intervals)}.",
                "Choose another interval, or another exchange.",
            )
        return max(map(Interval, fitting), key=lambda shorter: shorter.delta)

    def bars(self, interval: Interval) -> int:
        """How many bars of `interval` one answer can hold, joined ones too."""
        return max(1, self.page // (interval.delta // self.asked(interval).delta))

    def reach(self, interval: Interval) -> timedelta | None:
        """How long before the bar that is forming its history opens; None where it goes back to the listing."""
        return None if self.depth is None else (self.depth - 1) * self.asked(interval).delta

    @property
    def past(self) -> str:
        """How far its history goes, in words."""
        return "to the listing" if self.depth is None else f"the last {self.depth} bars"

    @property
    def live(self) -> str:
        """How a bar that closes is heard of, in words."""
        return "stream" if self.streams else "asked at each close"

    @property
    def longest(self) -> Interval:
        """The longest bars it tells itself: they show in one answer where shorter ones can be."""
        return Interval(self.intervals[-1])


_DAY = INTERVALS[: INTERVALS.index("1d") + 1]
_NO_STREAM = "It pushes no candles: each close is asked for."


def _new_year(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def _without(*missing: str) -> tuple[str, ...]:
    return tuple(name for name in _DAY if name not in missing)


# `page` of OKX: its archive answers with the newest bars of a span, so a larger page than it grants would lose bars.
VENUES = {
    venue.name: venue
    for venue in (
        Venue("binance", _new_year(2017), 1000, _DAY, streams=True),
        Venue("bybit", _new_year(2018), 1000, _without("8h"), streams=True),
        Venue("okx", _new_year(2017), 100, _without("8h"), streams=True),
        Venue(
            "kraken",
            _new_year(2013),
            720,
            _without("3m", "2h", "6h", "8h", "12h"),
            streams=True,
            depth=720,
            says="It tells the last 720 bars of an interval, nothing older: fetch often, or take the past from a file.",
        ),
        Venue(
            "coinbase",
            _new_year(2015),
            300,
            _without("3m", "4h", "8h", "12h"),
            streams=False,
            says=f"A minute without a trade has no candle. {_NO_STREAM}",
        ),
        Venue("bitstamp", _new_year(2011), 1000, _without("8h"), streams=False, says=_NO_STREAM),
    )
}
