"""An outside series on its way: into candles, a recipe's inputs, a network, a run on disk, and back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from coincast.backtest import backtest
from coincast.candles import Candles
from coincast.clean import clean
from coincast.errors import RecipeError
from coincast.external import Outside, join
from coincast.feed import from_numpy
from coincast.fitted import fit, predict
from coincast.models.scaled import INPUTS
from coincast.recipe import Recipe, read_settings, recipes
from coincast.rows import COLUMNS, Rows
from coincast.runs import Run, walk
from coincast.testing import market

BARS, TEST_BAR = 420, 330
TOML = f"""
horizons = [1, 3]
refit_every = 60
seeds = [0]

[models.lstm-t]
inputs = {[*INPUTS, "fear_greed", "vix_return"]}
epochs = 2
units = 4
scored = 16
"""


def moods(candles: Candles) -> tuple[Outside, Outside]:
    """Two series with a value a day, public an hour after the day, the second one from the 30th day on."""
    random = np.random.default_rng(1)
    days = candles.frame.select(ended_at="time")
    values = [pl.Series(name, 50 * np.exp(random.normal(size=len(candles)) / 5)) for name in ("fear_greed", "vix")]
    hour = pl.duration(hours=1)
    greed, vix = (
        Outside(each.name, days.with_columns(available_at=pl.col("ended_at") + hour, value=each)) for each in values
    )
    return greed, Outside("vix", vix.frame[30:])


@pytest.fixture(scope="module")
def bare() -> Candles:
    return market(BARS)


@pytest.fixture(scope="module")
def joined(bare) -> Candles:
    return join(bare, *moods(bare))


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(TOML)
    [found] = recipes(["lstm-t"], read_settings(path))
    return found


def test_a_recipe_that_names_an_outside_feature_demands_its_series(recipe, bare):
    with pytest.raises(RecipeError, match=r"'fear_greed' reads the outside series 'fear_greed'.*coincast fetch"):
        recipe.windows(bare)


def test_windows_start_where_the_series_do(recipe, joined):
    windows = recipe.windows(joined)
    assert windows.features[-3:] == ("fear_greed", "vix_return", "volatility_mix")
    known = np.isfinite(joined.frame["vix"].to_numpy())
    assert np.flatnonzero(known)[0] == 30
    assert np.isfinite(windows.x).all()


def test_a_run_keeps_what_it_saw_of_the_outside(recipe, joined, tmp_path):
    cleaned = replace(clean(Rows(joined.frame.filter("observed").select(COLUMNS)), joined.feed), candles=joined)
    start = from_numpy(joined.known_at[TEST_BAR])
    run = walk(cleaned, "made", [recipe], start, tmp_path / "run")
    loaded = Run.load(tmp_path / "run")
    assert loaded.candles.outside == ("fear_greed", "vix")
    assert loaded.candles.digest == joined.digest == run.document()["digest"]
    assert loaded.candles.frame.equals(joined.frame)
    saved = loaded.walks[0].fitted[-1]
    again = predict(saved, loaded.candles, saved.cutoff).values
    np.testing.assert_array_equal(again, run.walks[0].forecast.values[-len(again) :])


def test_told_a_bar_later_the_forecasts_are_others_and_so_is_the_digest(recipe, bare, joined):
    later = join(bare, *(series.delayed(bare.feed.interval.delta) for series in moods(bare)))
    start = from_numpy(bare.known_at[TEST_BAR])
    assert later.digest != joined.digest != bare.digest
    values = [backtest([recipe], candles, start)[0].forecast.values for candles in (joined, later)]
    assert (values[0] != values[1]).any(axis=(1, 2)).all()


def test_live_is_the_backtest_with_what_was_public_that_day(recipe, bare, joined):
    """Fit and ask on a day, with the candles and the series of that day: the backtest's forecast to the bit."""
    start = from_numpy(bare.known_at[TEST_BAR])
    forecast = backtest([recipe], joined, start)[0].forecast
    cutoff = from_numpy(forecast.cutoff[-1])
    today = from_numpy(forecast.origin[-3])

    def then(t):
        return join(bare.until(t), *(series.seen_by(t) for series in moods(bare)))

    live = predict(fit(recipe, then(cutoff)), then(today))
    np.testing.assert_array_equal(live.values[0], forecast.values[-3])


def test_a_parquet_file_keeps_a_value_that_is_not_known_yet(joined, tmp_path: Path):
    joined.frame.write_parquet(tmp_path / "candles.parquet")
    assert Candles(joined.feed, pl.read_parquet(tmp_path / "candles.parquet")).digest == joined.digest
    assert np.isnan(joined.frame["vix"][0])
