"""The classic recipe: what it learns from, how it feeds itself, where its distribution comes from."""

from dataclasses import replace
from datetime import timedelta

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from coincast.errors import DataError
from coincast.forecast import LEVELS
from coincast.forecaster import unwatched
from coincast.models.seed_lstm import Network, SeedLstm, next_bar
from coincast.training import from_arrays
from coincast.windows import cut
from made import START, candles_of, walk

QUICK = SeedLstm(epochs=2)
HORIZONS = (1, 3)
CUTOFF = START + timedelta(days=260)


def windows_of(closes, missing=()):
    return cut(candles_of(closes, missing), QUICK.features, QUICK.lookback, HORIZONS, QUICK.at_least)


@pytest.fixture(scope="module")
def windows():
    return windows_of(walk(300, seed=1))


@pytest.fixture(scope="module")
def fit(windows):
    return QUICK.fit(windows.settled(by=CUTOFF), [3, 4], unwatched)


def networks(state):
    return from_arrays(Network, {name: array for name, array in state.items() if "." in name})


def test_network_has_the_weights_of_the_recipe():
    """Keras counts 30,651 for LSTM(50), LSTM(50) and Dense(1) on one input."""
    assert sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(Network, jax.random.key(0)))) == 30_651


def test_one_network_from_the_first_seed(windows, fit):
    assert fit.history.train.shape == (1, QUICK.epochs)
    again = QUICK.fit(windows.settled(by=CUTOFF), [3], unwatched)
    assert all(np.array_equal(fit.state[name], again.state[name]) for name in fit.state)


def test_scale_is_learnt_from_the_training_part_alone(windows, fit):
    settled = windows.settled(by=CUTOFF)
    training, validation = settled.hold_out(QUICK.validation)
    closes = training.column("close")
    assert len(validation) == pytest.approx(0.15 * len(settled), abs=1)
    assert fit.state["offset"] == closes.min()
    assert fit.state["scale"] == closes.max() - closes.min()


@jax.jit
def answer(network, x):
    return network(x, 1, None)


def test_points_feed_on_themselves(windows, fit):
    asked = windows.newest(5)
    values = QUICK.predict(fit.state, asked)
    network = jax.tree.map(lambda array: array[0], networks(fit.state))
    low, span = fit.state["offset"][0], fit.state["scale"][0]
    for row, last in enumerate(asked.last):
        scaled = list((windows.rows[last - 59 : last + 1, 0] - low) / span)
        for _ in range(max(HORIZONS)):
            x = jnp.array(scaled[-60:], dtype=jnp.float32)[:, None, None]
            scaled.append(float(answer(network, x)[0, 0, 0]))
        for column, h in enumerate(HORIZONS):
            point = np.log((scaled[59 + h] * span + low) / asked.price[row])
            assert values[row, column, 99] == pytest.approx(point, abs=1e-5)


def test_spread_is_that_of_the_validation_residuals(windows, fit):
    _, validation = windows.settled(by=CUTOFF).hold_out(QUICK.validation)
    points = QUICK.predict(fit.state, validation)[:, :, 99]
    asked = QUICK.predict(fit.state, windows.newest(3))
    for column in range(len(HORIZONS)):
        residuals = validation.y[:, column] - points[:, column]
        residuals = residuals[np.isfinite(residuals)]
        spread = np.quantile(residuals, LEVELS, method="hazen") - np.median(residuals)
        np.testing.assert_allclose(asked[:, column] - asked[:, column, [99]], np.tile(spread, (3, 1)), atol=1e-12)


def test_nothing_after_the_cutoff_is_read(windows, fit):
    bar = np.searchsorted(windows.known_at, np.datetime64(CUTOFF.replace(tzinfo=None)), side="right")
    rows, y = windows.rows.copy(), windows.y.copy()
    rows[bar:] = np.nan
    y[windows.last[:, None] + np.array(HORIZONS) >= bar] = np.nan
    poisoned = replace(windows, rows=rows, y=y)
    again = QUICK.fit(poisoned.settled(by=CUTOFF), [3], unwatched)
    assert all(np.array_equal(fit.state[name], again.state[name]) for name in fit.state)


def test_next_bar_is_nothing_where_it_was_missing():
    closes = walk(100, seed=2)
    windows = windows_of(closes, missing=[70, 71])
    after = next_bar(windows.rows, windows)[:, 0]
    # Where no label or origin shows that a bar was observed, nothing is known: before the first window.
    shown = np.arange(windows.last[0], 100 - 1)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(after[shown])), [69 - shown[0], 70 - shown[0]])
    known = shown[np.isfinite(after[shown])]
    np.testing.assert_array_equal(after[known], windows.rows[known + 1, 0])
    assert np.isnan(after[-1])


def test_an_extrapolated_price_stays_above_zero(windows, fit):
    state = {**fit.state, "head.bias": np.full_like(fit.state["head.bias"], -1e6)}
    assert np.isfinite(QUICK.predict(state, windows.newest(2))).all()


def test_too_short_a_history_is_refused():
    windows = windows_of(walk(66, seed=1))
    with pytest.raises(DataError, match="too few to train"):
        QUICK.fit(windows.settled(by=START + timedelta(days=66)), [0], unwatched)


def test_a_horizon_without_outcomes_is_refused():
    windows = cut(candles_of(walk(300, seed=1)), QUICK.features, QUICK.lookback, (1, 100), QUICK.at_least)
    with pytest.raises(DataError, match="validation windows are too few"):
        QUICK.fit(windows.settled(by=CUTOFF), [0], unwatched)
