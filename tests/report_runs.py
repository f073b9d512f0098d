"""Runs whose every number is known, made without fitting anything, for the tests of the report."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import t as student_t

from coincast.backtest import Walk
from coincast.candles import Candles
from coincast.clean import Cleaned, Repairs
from coincast.feed import Feed, from_numpy
from coincast.fitted import Fitted
from coincast.forecast import LEVELS
from coincast.forecaster import History
from coincast.recipe import recipe_of
from coincast.runs import Run
from made import DAILY, candles_of, forecast_of, walk

# How much too wide each model's bands are; the truths are drawn from Student's t with four degrees of freedom.
WIDTHS = {"naive": 0.0, "naive-conformal": 0.7, "ewma-t": 1.5, "garch-t": 1.3, "seed-lstm": 0.6, "lstm-t": 1.0}
SCALE = 0.03
BARS, TEST_FROM, MISSING, MENDED = 600, 150, (200, 201, 590), (40, 597)


def run_of(
    models: Sequence[str] = tuple(WIDTHS),
    *,
    bars: int = BARS,
    horizons: tuple[int, ...] = (1, 7),
    feed: Feed = DAILY,
    missing: Sequence[int] = MISSING,
    source: str = "btc-1d",
    is_sample: bool = True,
    test_from: int = TEST_FROM,
) -> Run:
    """A run on a random walk of `bars` closes."""
    candles = with_wicks(candles_of(walk(bars, seed=5, scale=SCALE), [row for row in missing if row < bars], feed))
    walks = tuple(walk_of(name, candles, horizons, test_from) for name in models)
    start = from_numpy(candles.known_at[test_from])
    cleaned = Cleaned(candles, repairs_of(candles, [row for row in MENDED if row < bars]))
    return Run(cleaned, source, is_sample, start, walks, {"backtest": 1.25}, {"coincast": "0.1.0"})


def with_wicks(candles: Candles) -> Candles:
    """Every observed bar opens at the close before it and reaches a hundredth beyond its body."""
    opened = pl.col("close").shift(1).fill_null(pl.col("close"))
    body = candles.frame.with_columns(pl.when("observed").then(opened).otherwise("close").alias("open"))
    high, low = pl.max_horizontal("open", "close") * 1.01, pl.min_horizontal("open", "close") / 1.01
    return Candles(
        candles.feed,
        body.with_columns(
            pl.when("observed").then(high).otherwise("close").alias("high"),
            pl.when("observed").then(low).otherwise("close").alias("low"),
        ),
    )


def repairs_of(candles: Candles, rows: Sequence[int]) -> Repairs:
    """The missing bars as gaps, and a low that was mended in each of `rows`."""
    gaps = candles.frame.filter(~pl.col("observed"))
    wicks = candles.frame[list(rows)]
    parts = [
        gaps.select("time", kind=pl.lit("gap"), column=pl.lit("close"), found=pl.lit(None, pl.Float64), put="close"),
        wicks.select("time", kind=pl.lit("bad wick"), column=pl.lit("low"), found=pl.lit(0.06), put="low"),
    ]
    return Repairs(pl.concat(parts).sort("time"))


def walk_of(model: str, candles: Candles, horizons: tuple[int, ...], test_from: int) -> Walk:
    """Bands of a width of the model's own; the median is no change, but the price LSTM's: the close two bars before."""
    rows = np.arange(test_from, len(candles))[candles.observed[test_from:]]
    roots = np.sqrt(np.array(horizons))[None, :, None]
    spread = student_t.ppf(LEVELS, 4) * SCALE * WIDTHS.get(model, 1.1) * roots
    values = np.broadcast_to(spread, (len(rows), len(horizons), len(LEVELS)))
    if model == "seed-lstm":
        values = values + np.log(candles.close[rows - 2] / candles.close[rows])[:, None, None]
    recipe = recipe_of({"name": model, "horizons": horizons})
    history = history_of(members=1 if model == "seed-lstm" else 8) if model in ("seed-lstm", "lstm-t") else None
    cutoff = from_numpy(candles.known_at[test_from])
    fitted = Fitted(recipe, candles.feed, cutoff, {}, history)
    return Walk(recipe, (fitted,), forecast_of(candles, rows, values, horizons, model))


def history_of(members: int, epochs: int = 40) -> History:
    """Losses that fall and level off; each member but the first stops some epochs before the end."""
    epoch = np.arange(epochs)
    best = np.array([epochs - 1 - 3 * member for member in range(members)])
    losses = 1.0 + np.exp(-epoch / 8)[None] + 0.01 * np.arange(members)[:, None] + 0.001 * (epoch != best[:, None])
    stopped = epoch[None] > best[:, None] + 2
    rate = np.where(epoch < 20, 1e-3, 5e-4)[None].repeat(members, axis=0)
    return History(
        train=np.where(stopped, np.nan, 0.9 * losses),
        validation=np.where(stopped, np.nan, losses),
        learning_rate=np.where(stopped, np.nan, rate),
        best_epoch=best,
        converged=best < epochs - 1,
    )
