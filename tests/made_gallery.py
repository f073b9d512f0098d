"""What the tests of the gallery share: its scenes, on the samples and on markets that nobody has seen before; and a
gallery whose every number is known, made without learning or asking anything.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import polars as pl

from coincast.clean import resample
from coincast.feed import Interval, from_numpy
from coincast.gallery.exhibit import Exhibit, Gallery, Run
from coincast.gallery.faults import MISTAKES
from coincast.gallery.learners import Ridge
from coincast.gallery.scene import Remembering, Scene
from coincast.gallery.tutorial import SOUND, Errors, Score, Settings, whole_days
from coincast.sample import load
from coincast.worlds import Law, draw
from made_audits import audit_of

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


def score_of(mape, r2=0.9, ratio=1.0, n=100, rmse=1.0):
    return Score(n, Errors(rmse, mape, r2), Errors(rmse / ratio, 0.02, 0.95) if ratio else None)


def exhibit_of(mistake, sound=(0.04, 0.05), told=(0.03,), lived=(0.06,), note="", **wrong):
    """Of these MAPE, run by run; what else is given is the report's."""
    audit = audit_of(faults=(mistake.findings[0], "no skill beside no change"))
    return Exhibit(
        mistake=mistake,
        candles=audit.candles,
        sound=tuple(Run(score_of(mape), score_of(mape), None) for mape in sound),
        wrong=tuple(Run(score_of(a, **wrong), score_of(b), None) for a, b in zip(told, lived, strict=True)),
        audit=audit,
        note=note,
    )


def gallery_of(mistakes=MISTAKES):
    """A report with an error of a tenth per number; that of scaled units in none, that of one path far off live."""
    audit = audit_of(faults=(), moved=0)
    special = {"scaled-units": {"ratio": None}, "one-path": {"ratio": 25.0, "note": "A note."}}
    return Gallery(
        learner="lstm",
        learners=2,
        exhibits=tuple(exhibit_of(one, **{"ratio": one.number / 10, **special.get(one.name, {})}) for one in mistakes),
        audit=audit,
        classic=Run(score_of(0.04), score_of(0.04), _echo(audit.candles, 300)),
        seconds=12.3,
    )


def _echo(candles, first):
    """The last price but one as a forecast, from the bar `first` on; tomorrow has no truth yet."""
    rows = np.arange(first, len(candles))
    truth = np.append(candles.close, np.nan)[rows + 1]
    day = candles.feed.interval.delta
    return pl.DataFrame(
        {"cutoff": candles.frame["time"][first:], "y": truth, "prediction": candles.close[rows - 1]}
    ).select(pl.col("cutoff").alias("ds") + day, "cutoff", pl.col("y").fill_nan(None), "prediction")
