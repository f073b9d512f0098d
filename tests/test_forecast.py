"""The one form of a forecast: what its constructor refuses, and what its quantiles are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.errors import DataError, LookAheadError
from coincast.forecast import LEVELS, Forecast, K, from_frame, join, to_frame
from made import DAILY, candles_of, forecast_of, walk


@pytest.fixture
def forecast() -> Forecast:
    rng = np.random.default_rng(0)
    values = np.sort(0.03 * rng.standard_t(4, size=(30, 2, K)), axis=-1)
    return forecast_of(candles_of(walk(50, seed=0)), range(10, 40), values, horizons=(1, 7))


def test_levels_are_the_middles_of_equal_steps():
    assert len(LEVELS) == K
    assert LEVELS[K // 2] == 0.5
    np.testing.assert_allclose(np.diff(LEVELS), 1 / K)
    assert LEVELS[0] == pytest.approx(1 - LEVELS[-1]) == pytest.approx(0.5 / K)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(forecast, bad):
    values = forecast.values.copy()
    values[3, 1, -1] = bad
    with pytest.raises(DataError, match="not finite, or unsorted"):
        replace(forecast, values=values)


def test_unsorted_values_and_wrong_shapes_are_refused(forecast):
    for values in (forecast.values[..., ::-1].copy(), forecast.values[..., 1:].copy(), forecast.values[:-1].copy()):
        with pytest.raises(DataError, match="K finite values"):
            replace(forecast, values=values)


def test_a_model_that_has_learnt_beyond_an_origin_is_refused(forecast):
    cutoff = forecast.origin.copy()
    assert len(replace(forecast, cutoff=cutoff)) == 30
    cutoff = cutoff.copy()
    cutoff[5] += np.timedelta64(1, "us")
    with pytest.raises(LookAheadError, match="judged on what it was trained on"):
        replace(forecast, cutoff=cutoff)


def test_arrays_cannot_be_written_to(forecast):
    for array in (forecast.origin, forecast.cutoff, forecast.price, forecast.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_targets_lie_horizons_of_time_ahead(forecast):
    days = (forecast.target_time - forecast.origin[:, None]) / np.timedelta64(1, "D")
    np.testing.assert_array_equal(days, np.tile([1, 7], (30, 1)))


@given(st.lists(st.floats(-1, 1), min_size=K, max_size=K), st.floats(0, 1))
def test_quantiles_are_hazens(values, q):
    """Written out: linear between the values at LEVELS, flat beyond the outermost."""
    law = np.sort(values)
    forecast = forecast_of(candles_of([5.0]), [0], law)
    assert forecast.quantile(q).item() == pytest.approx(np.interp(q, LEVELS, law), abs=1e-12)
    assert forecast.prices(q).item() == pytest.approx(5 * np.exp(np.interp(q, LEVELS, law)))


def test_the_median_is_the_middle_value(forecast):
    np.testing.assert_array_equal(forecast.median, np.median(forecast.values, axis=-1))
    np.testing.assert_allclose(forecast.median, forecast.quantile(0.5), atol=1e-15)


def test_taken_apart_and_joined_again(forecast):
    early = np.arange(30) < 12
    both = join([forecast.take(early), forecast.take(~early)])
    assert len(forecast.take(early)) == 12
    for name in ("origin", "cutoff", "price", "values"):
        np.testing.assert_array_equal(getattr(both, name), getattr(forecast, name))
    assert both.start == forecast.start


@pytest.mark.parametrize("horizons", [(1, 7), (7, 1)])
def test_a_frame_holds_it_all(forecast, horizons):
    forecast = replace(forecast, horizons=horizons)
    frame = to_frame(forecast)
    assert frame.columns == ["model", "origin", "target_time", "horizon", "price", "values", "cutoff"]
    row = frame.row(2 * 4 + 1, named=True)
    assert row["horizon"] == horizons[1]
    assert (row["target_time"] - row["origin"]).days == horizons[1]
    assert row["values"] == forecast.values[4, 1].tolist()
    back = from_frame(frame, DAILY, forecast.recipe)
    for name in ("feed", "model", "recipe", "horizons"):
        assert getattr(back, name) == getattr(forecast, name)
    for name in ("origin", "cutoff", "price", "values"):
        np.testing.assert_array_equal(getattr(back, name), getattr(forecast, name))
