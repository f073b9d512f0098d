"""The encoders beside the LSTM: equal to Keras or to a slow twin, and blind to the bars after each."""

import os
from datetime import timedelta

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from coincast.forecaster import unwatched
from coincast.models.gru_t import GruT
from coincast.models.layers import GRU, LSTM, CausalConvolution
from coincast.models.lstm_attention import SPAN, Attention, LstmAttention
from coincast.models.tcn_t import Convolutions, TcnT
from coincast.windows import cut
from coincast.worlds import Law, draw

BARS, BATCH, INPUTS, UNITS = 70, 2, 3, 5
X = np.random.default_rng(1).normal(size=(BARS, BATCH, INPUTS)).astype(np.float32)
ENCODERS = [LSTM, GRU, Convolutions, Attention]


def made(encoder):
    return encoder(INPUTS, UNITS, jax.random.key(3))


def test_the_gru_is_keras():
    ours = made(GRU)
    random = np.random.default_rng(2)
    ours = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape, scale=0.5), jnp.float32), ours)
    peer = keras.Sequential([keras.Input((BARS, INPUTS)), keras.layers.GRU(UNITS, return_sequences=True)])
    peer.set_weights([ours.kernel, ours.recurrent, np.stack([ours.bias, ours.inner])])
    np.testing.assert_allclose(ours(X).swapaxes(0, 1), peer(X.swapaxes(0, 1)), atol=2e-6)


@pytest.mark.parametrize("dilation", [1, 4])
def test_the_convolution_is_keras(dilation):
    ours = CausalConvolution(INPUTS, UNITS, dilation, jax.random.key(0))
    layer = keras.layers.Conv1D(UNITS, 3, padding="causal", dilation_rate=dilation)
    peer = keras.Sequential([keras.Input((BARS, INPUTS)), layer])
    # Keras's last weight is of the bar itself, ours the first.
    peer.set_weights([ours.kernel[::-1], ours.bias])
    np.testing.assert_allclose(ours(X).swapaxes(0, 1), peer(X.swapaxes(0, 1)), atol=2e-6)


def test_attention_by_a_loop():
    ours = jax.tree.map(lambda leaf: leaf + 0.3 * jnp.sin(jnp.arange(leaf.size).reshape(leaf.shape)), made(Attention))
    states = np.asarray(ours.lstm(X), dtype=float)
    query, key, value = (states @ np.asarray(d.kernel) + np.asarray(d.bias) for d in (ours.query, ours.key, ours.value))
    found, listened = np.zeros(states.shape), np.zeros((BARS, SPAN, BATCH))
    for t, window in np.ndindex(BARS, BATCH):
        back = np.arange(t, max(t - SPAN, -1), -1)
        weights = np.exp(key[back, window] @ query[t, window] / UNITS**0.5 + np.asarray(ours.distance)[: len(back)])
        listened[t, : len(back), window] = weights / weights.sum()
        found[t, window] = listened[t, : len(back), window] @ value[back, window]
    np.testing.assert_allclose(ours.weights(X), listened, atol=2e-5)
    np.testing.assert_allclose(ours(X), states + found, atol=2e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_encoder_sees_the_bars_after_each(encoder):
    ours, other = made(encoder), X.copy()
    other[40:] += 1.0
    before, after = np.asarray(ours(X)), np.asarray(ours(other))
    np.testing.assert_array_equal(before[:40], after[:40])
    assert not np.isclose(before[40], after[40]).all()


def test_the_convolutions_remember_exactly_63_bars():
    ours = made(Convolutions)
    moved = np.asarray(jax.jacobian(lambda x: ours(x)[-1].sum())(jnp.asarray(X)))
    seen = np.flatnonzero(np.abs(moved).sum(axis=(1, 2)))
    assert len(seen) == seen[-1] - seen[0] + 1 == 63
    assert seen[-1] == BARS - 1


@pytest.mark.parametrize("kind", [GruT, TcnT, LstmAttention])
def test_each_learns_and_forecasts(kind):
    candles = draw(Law(volatility=0.03, dof=4, alpha=0.08, beta=0.9), 420, 0).candles
    model = kind(epochs=3, units=4, scored=32)
    windows = cut(candles, model.features, model.lookback, (1, 3), model.at_least)
    fit = model.fit(windows.settled(by=candles.start + timedelta(days=380)), [0, 1], unwatched)
    assert (fit.history.train[:, -1] < fit.history.train[:, 0]).all()
    assert np.isfinite(model.predict(fit.state, windows.newest(5))).all()
    if kind is LstmAttention:
        np.testing.assert_allclose(fit.state["attention"].sum(axis=1), 1, atol=1e-5)
        assert fit.state["attention"].shape == (2, SPAN)
