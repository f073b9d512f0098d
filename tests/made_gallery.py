"""What the tests of the gallery share: its scenes, on the samples and on markets that nobody has seen before."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from coincast.clean import resample
from coincast.feed import Interval, from_numpy
from coincast.gallery.learners import Ridge
from coincast.gallery.scene import Remembering, Scene
from coincast.gallery.tutorial import SOUND, Settings, whole_days
from coincast.sample import load
from coincast.worlds import Law, draw

DAY, HOUR = "btc-1d", "btc-1h"
TEST_FROM = {DAY: datetime(2020, 1, 1, tzinfo=UTC), HOUR: datetime(2019, 1, 1, tzinfo=UTC)}
AHEAD = 7


@cache
def candles(name):
    return load(name).candles


def scene(subject, learner=None):
    """The samples as the gallery shows them; a ridge regression learns unless told otherwise."""
    settings = Settings(learner or Remembering(Ridge()))
    if subject in ("bars", "seven ahead"):
        horizon = AHEAD if subject == "seven ahead" else 1
        return Scene(candles(DAY), TEST_FROM[DAY], replace(settings, horizon=horizon))
    if subject == "days":
        return Scene(resample(candles(HOUR), Interval("1d")), TEST_FROM[HOUR], settings, parts=candles(HOUR))
    if subject == "hours":
        return Scene(candles(HOUR), TEST_FROM[HOUR], settings, replace(SOUND, clean=whole_days))
    return drawn(0)


def drawn(seed, bars=700, tested=280, **law):
    """A market whose law is known, and in which nothing can be forecast unless the law says so."""
    market = draw(Law(**{"volatility": 0.03, "dof": 5.0, **law}), bars, seed, "drawn:COIN/USD:1d").candles
    return Scene(market, from_numpy(market.known_at[bars - tested]), Settings(Ridge()))
