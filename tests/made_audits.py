"""Audits whose every word and number is known, made without asking any pipeline, for the tests of the page."""

from datetime import date

import numpy as np

from coincast.appraisal import appraise
from coincast.audit import Audit, Declarations, Experiment, Finding
from coincast.feed import from_numpy
from coincast.predictions import Predictions
from made import DAILY, candles_of, walk
from report_runs import with_wicks

BARS, FIRST = 700, 300
# Rows after whose bar the future was changed.
CUTS = (FIRST, 400, 500, 600)
# A name that would break out of a page that did not escape it.
HOSTILE = "<script>alert(1)</script>"

FAULTY = ("same-bar feature", "too good to be true", "bands do not hold", "bands do not hold", "prints", "not declared")
DECLARED = Declarations(
    universe=("BTC/USDT", HOSTILE), universe_as_of=date(2019, 5, 1), pretrained_until="never", seeds=5
)


def audit_of(
    faults=FAULTY,
    *,
    moved=1,
    levels=(0.05, 0.5, 0.95),
    name=HOSTILE,
    claims=(),
    horizons=(1,),
    feed=DAILY,
    seen=6,
    error="",
):
    """An audit of forecasts that hold the last price, in which every cut but the first moved the last `moved`."""
    candles = with_wicks(candles_of(walk(BARS, seed=5), feed=feed))
    told = predictions_of(candles, levels, horizons, name)
    origins = candles.known_at[FIRST], candles.known_at[BARS - 1 - max(horizons)]
    return Audit(
        pipeline=name,
        source=f"{name}.py:forecast",
        candles=candles,
        test_from=from_numpy(origins[0]),
        origins=(from_numpy(origins[0]), from_numpy(origins[1])),
        declared=DECLARED,
        claims=dict(claims),
        findings=tuple(finding(fault, number, candles) for number, fault in enumerate(faults)),
        experiments=tuple(experiment(row, moved, candles, error) for row in CUTS),
        control=(seen, 6),
        predictions=(told,),
        appraisal=appraise([told], candles, references=("naive",)),
        notes=(f"{name}: taken as made one bar ahead.",),
        calls=16,
        seconds=4.2,
    )


def predictions_of(candles, levels, horizons, name):
    """The last price as the median, and quantiles of three parts in a hundred for each half."""
    rows = np.arange(FIRST, BARS - max(horizons)).repeat(len(horizons))
    ahead = np.tile(horizons, len(rows) // len(horizons))
    prices = candles.close[rows][:, None] * np.exp(0.06 * (np.array(levels) - 0.5))
    target_time = candles.known_at[rows + ahead]
    return Predictions(candles.feed, name, tuple(levels), candles.known_at[rows], target_time, prices)


def finding(fault, number, candles):
    """The `number`th, with the place that its kind of fault has."""
    placed = fault == "same-bar feature"
    origin, bar = from_numpy(candles.known_at[400]), from_numpy(candles.time[401])
    says = "seeds: how many networks there are." if fault == "not declared" else f"Finding {number} of {HOSTILE}."
    return Finding(fault, says, origin if placed else None, bar if placed else None)


def experiment(row, moved, candles, error):
    """Other bars after `row`; the last `moved` of the forecasts before it changed."""
    until, compared = from_numpy(candles.known_at[row]), 0 if error else row - FIRST + 1
    words = f"the bars after {until:%Y-%m-%d %H:%M} raised"
    if not moved or error:
        return Experiment(words, until, compared, 0, error=error)
    first = from_numpy(candles.known_at[max(row + 1 - moved, FIRST)])
    return Experiment(words, until, compared, min(moved, compared), 0.0123, first)


def crashed(name=HOSTILE):
    """An audit of a pipeline that never answered."""
    whole = audit_of(())
    said = Finding("crashes", f"It raised ValueError: {HOSTILE} in {name}.py, line 3.")
    return Audit(
        name, f"{name}.py:forecast", whole.candles, whole.test_from, None, Declarations(), {}, (said,), calls=3
    )
