"""The LSTM against Keras, ONNX Runtime and a plain loop: the same weights give the same numbers."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from coincast.models.layers import LSTM, Dense, dropout
from coincast.models.seed_lstm import Network

BARS, BATCH, INPUTS, UNITS = 60, 5, 3, 7


def built(form, *sizes):
    """A new layer or network."""
    return jax.jit(lambda key: form(*sizes, key))(jax.random.key(0))


@pytest.fixture
def layer():
    return built(LSTM, INPUTS, UNITS)


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(BARS, BATCH, INPUTS)).astype(np.float32)


@jax.jit
def outputs(layer, x):
    return layer(x)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def slow_lstm(layer, x):
    """The recurrence as the papers write it, bar by bar, in double precision."""
    kernel, recurrent, bias = (np.asarray(a, dtype=float) for a in (layer.kernel, layer.recurrent, layer.bias))
    units = len(recurrent)
    hidden, cell = np.zeros((x.shape[1], units)), np.zeros((x.shape[1], units))
    states = []
    for now in x.astype(float):
        a = now @ kernel + hidden @ recurrent + bias
        i, f, g, o = (a[:, k * units : (k + 1) * units] for k in range(4))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states)


def test_layer_equals_the_plain_loop(layer, x):
    np.testing.assert_allclose(outputs(layer, x), slow_lstm(layer, x), atol=2e-6)


def test_written_gradient_equals_automatic_differentiation(layer, x):
    def plain(layer, x):
        def step(carry, now):
            hidden, cell = carry
            i, f, g, o = jnp.split(now @ layer.kernel + hidden @ layer.recurrent + layer.bias, 4, axis=-1)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
            hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
            return (hidden, cell), hidden

        zero = jnp.zeros((x.shape[1], UNITS))
        return jax.lax.scan(step, (zero, zero), x)[1]

    weight = np.random.default_rng(2).normal(size=(BARS, BATCH, UNITS))

    @jax.jit
    def both(layer, x):
        ours = jax.grad(lambda layer, x: (layer(x) * weight).sum(), argnums=(0, 1))(layer, x)
        theirs = jax.grad(lambda layer, x: (plain(layer, x) * weight).sum(), argnums=(0, 1))(layer, x)
        return ours, theirs

    ours, theirs = both(layer, x)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def keras_outputs_and_gradients(model, weights, x, total):
    """What a Keras model says with these weights, and the gradients of total(outputs) with respect to them."""
    model.set_weights(weights)
    frozen = [v.value for v in model.non_trainable_variables]

    def scored(variables):
        outputs, _ = model.stateless_call(variables, frozen, x, training=False)
        return total(outputs), outputs

    gradients, outputs = jax.jit(jax.grad(scored, has_aux=True))([v.value for v in model.trainable_variables])
    return outputs, gradients


def our_outputs_and_gradients(network, total):
    """The same for a function of a network."""
    gradient, outputs = jax.jit(jax.grad(total, has_aux=True))(network)
    return outputs, gradient


def weights_of(*layers):
    """Arrays in the order Keras keeps them."""
    return [
        array
        for layer in layers
        for array in (
            (layer.kernel, layer.recurrent, layer.bias) if isinstance(layer, LSTM) else (layer.kernel, layer.bias)
        )
    ]


def test_layer_has_the_outputs_and_gradients_of_keras(layer, x):
    peer = keras.Sequential([keras.Input((BARS, INPUTS)), keras.layers.LSTM(UNITS, return_sequences=True)])
    weight = np.random.default_rng(2).normal(size=(BATCH, BARS, UNITS)).astype(np.float32)
    expected, gradients = keras_outputs_and_gradients(
        peer, weights_of(layer), x.swapaxes(0, 1), lambda y: (y * weight).sum()
    )

    def total(layer):
        y = layer(x).swapaxes(0, 1)
        return (y * weight).sum(), y

    our_outputs, ours = our_outputs_and_gradients(layer, total)
    np.testing.assert_allclose(our_outputs, expected, atol=2e-6)
    for a, b in zip(weights_of(ours), gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_seed_network_has_the_outputs_and_gradients_of_keras():
    network = built(Network)
    peer = keras.Sequential(
        [
            keras.Input((60, 1)),
            keras.layers.LSTM(50, return_sequences=True),
            keras.layers.Dropout(0.2),
            keras.layers.LSTM(50),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(4).uniform(size=(60, 32, 1)).astype(np.float32)
    truth = np.random.default_rng(5).uniform(size=(32, 1)).astype(np.float32)
    layers = network.first, network.second, network.head
    expected, gradients = keras_outputs_and_gradients(
        peer, weights_of(*layers), x.swapaxes(0, 1), lambda y: ((y - truth) ** 2).mean()
    )

    def total(network):
        y = network(x, 1, None)[0]
        return ((y - truth) ** 2).mean(), y

    our_outputs, ours = our_outputs_and_gradients(network, total)
    np.testing.assert_allclose(our_outputs, expected, atol=1e-6)
    for a, b in zip(weights_of(ours.first, ours.second, ours.head), gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_layer_starts_as_keras_starts():
    layer = built(LSTM, INPUTS, 50)
    limit = np.sqrt(6 / (INPUTS + 200))
    assert np.abs(layer.kernel).max() <= limit
    assert np.std(layer.kernel) == pytest.approx(limit / np.sqrt(3), rel=0.05)
    np.testing.assert_allclose(layer.recurrent @ layer.recurrent.T, np.eye(50), atol=1e-5)
    peer = keras.layers.LSTM(50)
    peer.build((None, 60, INPUTS))
    np.testing.assert_array_equal(layer.bias, peer.weights[2].value)


def onnx_lstm(layer):
    """A model of one ONNX LSTM node: its gates stand in the order input, output, forget, cell."""

    def iofc(array):
        i, f, c, o = np.split(np.asarray(array), 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    weights = {
        "W": iofc(layer.kernel).T[None],
        "R": iofc(layer.recurrent).T[None],
        "B": np.concatenate([iofc(layer.bias), np.zeros(4 * UNITS, dtype=np.float32)])[None],
    }
    node = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=UNITS)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [BARS, BATCH, INPUTS])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [BARS, 1, BATCH, UNITS])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_layer_has_the_outputs_of_onnxruntime(layer, x):
    session = onnxruntime.InferenceSession(onnx_lstm(layer).SerializeToString(), providers=["CPUExecutionProvider"])
    [y] = session.run(None, {"x": x})
    np.testing.assert_allclose(outputs(layer, x), y[:, 0], atol=2e-6)


def test_dense_has_the_outputs_of_keras():
    dense = built(Dense, 4, 2)
    peer = keras.layers.Dense(2)
    peer.build((None, 4))
    peer.set_weights([dense.kernel, dense.bias])
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_allclose(dense(x), peer(x), atol=1e-6)


def test_dropout_drops_the_share_and_keeps_the_mean():
    x = jnp.ones((200, 500))
    dropped = np.asarray(dropout(x, 0.2, jax.random.key(0)))
    assert set(np.unique(dropped)) == {0.0, np.float32(1.25)}
    # Five standard deviations of the share of 100,000 draws.
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / x.size))
    assert dropout(x, 0.2, None) is x
