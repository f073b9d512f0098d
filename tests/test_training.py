"""The training loop: a plain twin, Keras's callbacks, and what may not change a single bit."""

import hashlib
import os

os.environ["KERAS_BACKEND"] = "jax"

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast import training as engine
from coincast.errors import DataError
from coincast.forecaster import unwatched
from coincast.models.layers import LSTM, Dense, dropout
from coincast.training import (
    Dataset,
    Progress,
    Training,
    from_arrays,
    judge,
    prepare,
    respond,
    shuffled,
    squared_error,
    to_arrays,
    train,
)


class Tiny(eqx.Module):
    lstm: LSTM
    head: Dense

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.lstm = LSTM(2, 4, first)
        self.head = Dense(4, 1, second)

    def __call__(self, chunk, scored, key):
        return self.head(dropout(self.lstm(chunk)[-scored:], 0.2, key))


class Dry(Tiny):
    """Without dropout, so that a twin needs no random numbers."""

    def __call__(self, chunk, scored, key):
        return super().__call__(chunk, scored, None)


DENSE = Training(
    build=Tiny,
    loss=squared_error,
    context=6,
    scored=5,
    batch=4,
    epochs=4,
    rate=0.01,
    half_life=30.0,
    weight_decay=0.1,
    clip=0.5,
    average=0.9,
)
CLASSIC = replace(DENSE, build=Dry, context=5, scored=1, batch=8, average=0.0)


def fold(bars=90, validating=20, first=3, seed=0):
    """A law that can be learnt: the target is half the last input, with a little noise, and some bars have none."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(bars, 2))
    inputs[:first] = np.nan
    targets = 0.5 * inputs[:, :1] + 0.1 * random.normal(size=(bars, 1))
    targets[random.choice(bars, 5, replace=False)] = np.nan
    train, validation = targets.copy(), targets.copy()
    train[bars - validating - 1 :] = np.nan
    validation[: bars - validating] = np.nan
    return Dataset(inputs, train, validation, np.ones(1))


def same(a, b):
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def one(networks, member):
    return jax.tree.map(lambda array: array[member], networks)


# --- the loop does what a plain loop does ---


def slow_train(training, dataset, seed):
    """One member, batch by batch; Adam (Kingma and Ba, algorithm 1), AdamW's decay and the average in NumPy."""
    network = jax.jit(training.build)(jax.random.split(jax.random.key(seed))[0])
    weights, form = jax.tree.flatten(network)
    weights = [np.asarray(w, dtype=float) for w in weights]
    average, m, v, t = weights, [0 * w for w in weights], [0 * w for w in weights], 0
    gradient = jax.jit(jax.grad(lambda n, x, y, weight: plain_loss(n, x, y, weight, training)))
    value = jax.jit(lambda n, x, y, weight: plain_loss(n, x, y, weight, training))
    validation, epochs = [], []
    for epoch in range(training.epochs):
        for starts in shuffled(dataset, training, seed, epoch):
            x, y, weight = gathered(dataset.inputs, dataset.train, starts[starts >= 0], training)
            g = [np.asarray(a, dtype=float) for a in jax.tree.leaves(gradient(form.unflatten(weights), x, y, weight))]
            norm = np.sqrt(sum((a**2).sum() for a in g))
            t += 1
            for k in range(len(weights)):
                a = g[k] * min(1, training.clip / norm)
                m[k] = 0.9 * m[k] + 0.1 * a
                v[k] = 0.999 * v[k] + 0.001 * a**2
                adam = m[k] / (1 - 0.9**t) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)
                weights[k] = weights[k] - training.rate * (adam + training.weight_decay * weights[k])
            memory = min(training.average, (1 + t) / (10 + t))
            average = [memory * old + (1 - memory) * new for old, new in zip(average, weights, strict=True)]
        bars = np.flatnonzero(np.isfinite(dataset.validation[:, 0]))
        losses = []
        for bar in bars:
            head = bars[0] + (bar - bars[0]) // training.scored * training.scored
            x = dataset.inputs[head - training.context : bar + 1, None].astype(np.float32)
            only = replace(training, scored=1)
            losses.append(value_at(value, form.unflatten(average), x, dataset.validation[bar], only))
        validation.append(np.mean(losses))
        epochs.append(average)
    return epochs[int(np.argmin(validation))], np.array(validation)


def plain_loss(network, x, y, weight, training):
    losses = jnp.where(weight > 0, training.loss(network(x, y.shape[0], None), y), 0)
    return (losses * weight).sum() / weight.sum()


def value_at(value, network, x, truth, training):
    y = truth[None, None].astype(np.float32)
    return float(value(network, x, y, np.ones(y.shape)))


def gathered(inputs, targets, starts, training):
    rows = starts + np.arange(training.context + training.scored)[:, None]
    y = targets[rows[-training.scored :]]
    newest = np.flatnonzero(np.isfinite(targets[:, 0]))[-1]
    weight = np.isfinite(y) * 0.5 ** ((newest - rows[-training.scored :]) / training.half_life)[..., None]
    return inputs[rows].astype(np.float32), np.nan_to_num(y).astype(np.float32), weight


@pytest.mark.parametrize("training", [CLASSIC, replace(DENSE, build=Dry)], ids=["classic", "dense"])
def test_members_learn_what_a_plain_loop_learns(training):
    dataset = fold()
    networks, history = train(replace(training, epochs=3), dataset, [4, 5], unwatched)
    for member, seed in enumerate([4, 5]):
        weights, validation = slow_train(replace(training, epochs=3), dataset, seed)
        np.testing.assert_allclose(history.validation[member], validation, rtol=1e-4)
        for ours, theirs in zip(jax.tree.leaves(one(networks, member)), weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_member_alone_is_the_member_among_others():
    """To 1e-5 of a weight: another number of members is another program and may round otherwise."""
    dataset = fold()
    together, _ = train(DENSE, dataset, [0, 1], unwatched)
    alone, _ = train(DENSE, dataset, [1], unwatched)
    for a, b in zip(jax.tree.leaves(one(together, 1)), jax.tree.leaves(one(alone, 0)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_law_is_learnt():
    dataset = fold(bars=400, validating=80)
    noise = 0.01
    _, history = train(replace(DENSE, epochs=40, rate=0.03, patience=40), dataset, [0, 1], unwatched)
    variance = np.nanvar(dataset.validation)
    losses = np.nanmin(history.validation, axis=1)
    assert ((0.7 * noise < losses) & (losses < noise + 0.1 * variance)).all()


# --- which chunks ---


@st.composite
def folds(draw):
    bars, first = draw(st.integers(30, 60)), draw(st.integers(0, 5))
    holes = draw(st.lists(st.integers(0, bars - 1), max_size=20))
    targets = np.zeros((bars, 1))
    targets[holes] = np.nan
    targets[bars - draw(st.integers(1, 4)) :] = np.nan
    inputs = np.zeros((bars, 1))
    inputs[:first] = np.nan
    return Dataset(inputs, targets, targets, np.ones(1))


@given(
    dataset=folds(),
    context=st.integers(0, 6),
    scored=st.integers(1, 6),
    batch=st.integers(1, 7),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_an_epoch_reads_every_target_and_nothing_after_the_last(dataset, context, scored, batch, seed):
    training = replace(DENSE, context=context, scored=scored, batch=batch)
    starts = shuffled(dataset, training, seed, 0)
    assert starts.shape[1] == batch
    starts = starts[starts >= 0]
    targets = np.flatnonzero(np.isfinite(dataset.train[:, 0]))
    targets = targets[targets >= dataset.series[0][0] + context]
    read = starts[:, None] + np.arange(context + scored)
    assert read.min() >= dataset.series[0][0]
    assert read.max() <= targets[-1]
    assert set(targets) <= set(read[:, context:].ravel())
    if scored == 1:
        assert sorted(read[:, context]) == list(targets)


@given(dataset=folds(), scored=st.integers(1, 6), steps=st.integers(1, 4), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_as_many_batches_as_asked_for_stay_within_the_training_bars(dataset, scored, steps, seed):
    training = replace(DENSE, context=6, scored=scored, batch=3, steps=steps)
    starts = shuffled(dataset, training, seed, 0)
    assert len(starts) <= steps
    starts = starts[starts >= 0]
    targets = np.flatnonzero(np.isfinite(dataset.train[:, 0]))
    targets = targets[targets >= dataset.series[0][0] + 6]
    assert starts.min() >= dataset.series[0][0]
    assert starts.max() + 6 + scored - 1 <= targets[-1]
    heads = np.sort(starts + 6)
    assert np.isfinite(dataset.train[heads[:, None] + np.arange(scored), 0]).any(axis=1).all()


def test_chunks_move_from_epoch_to_epoch():
    first, second = (shuffled(fold(), DENSE, 0, epoch) for epoch in (0, 1))
    assert set(first.ravel()) != set(second.ravel())
    assert np.array_equal(first, shuffled(fold(), DENSE, 0, 0))


# --- when to stop ---


def keras_judges(losses, training):
    """What Keras's two callbacks make of a sequence of validation losses: (rates, best epoch, last epoch)."""
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=training.rate), stop_training=False)
    model.get_weights = list
    model.set_weights = lambda weights: None
    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=training.patience, mode="min", restore_best_weights=True
    )
    plateau = keras.callbacks.ReduceLROnPlateau(
        "val_loss", factor=training.factor, patience=training.plateau, mode="min", min_delta=0
    )
    rates = []
    for callback in (stopping, plateau):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        rates.append(model.optimizer.learning_rate)
        stopping.on_epoch_end(epoch, {"val_loss": loss})
        plateau.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    return rates, stopping.best_epoch, len(rates)


@given(
    losses=st.lists(st.integers(0, 6).map(float), min_size=1, max_size=30),
    patience=st.integers(2, 6),
    plateau=st.integers(1, 4),
)
@settings(deadline=None, max_examples=200)
def test_stopping_and_plateau_are_keras(losses, patience, plateau):
    training = replace(DENSE, patience=patience, plateau=plateau, factor=0.5)
    rates, best_epoch, epochs = keras_judges(losses, training)
    progress = engine._begin(1, training)
    ours = []
    for epoch, loss in enumerate(losses):
        if not progress.live[0]:
            break
        ours.append(progress.rate[0])
        progress, _ = judge(progress, np.array([loss]), epoch, training)
    assert ours == pytest.approx(rates)
    assert progress.best_epoch[0] == best_epoch
    assert len(ours) == epochs


@given(losses=st.lists(st.integers(0, 20), min_size=1, max_size=30))
def test_kept_are_the_latest_weights_within_the_tolerance(losses):
    training = replace(DENSE, patience=100, plateau=100, tolerance=2.5)
    progress = engine._begin(1, training)
    for epoch, loss in enumerate(losses):
        progress, _ = judge(progress, np.array([float(loss)]), epoch, training)
    assert progress.best_epoch[0] == max(e for e, loss in enumerate(losses) if loss < min(losses) + 2.5)


def test_targets_weigh_by_age_and_by_column():
    targets = np.array([[1.0, np.nan], [1.0, 1.0], [np.nan, 1.0], [np.nan, np.nan]])
    dataset = Dataset(np.zeros((4, 1)), targets, targets, np.array([1.0, 0.5]))
    bars = engine._on_device(dataset, targets, replace(DENSE, half_life=2.0))
    halves = 0.5 ** np.array([1.0, 0.5, 0.0])
    expected = [[halves[0], 0], [halves[1], halves[1] / 2], [0, halves[2] / 2], [0, 0]]
    np.testing.assert_allclose(bars.weight[:4], expected, rtol=1e-6)
    assert not bars.weight[4:].any()


def test_a_loss_that_is_not_a_number_is_no_better():
    progress, better = judge(engine._begin(1, DENSE), np.array([np.nan]), 0, DENSE)
    assert not better[0]
    assert progress.best_epoch[0] == -1


def test_a_stopped_member_no_longer_changes():
    dataset = fold()
    members = engine._start(jnp.array([0, 1]), DENSE.program)
    bars = engine._on_device(dataset, dataset.train, DENSE)
    [(_, steps, block)] = engine._blocks(engine._stack([shuffled(dataset, DENSE, seed, 0) for seed in (0, 1)]))
    live, rate = jnp.array([True, False]), jnp.array([0.01, 0.01])
    after, _ = engine._advance(
        members, bars, block, steps=steps, at=(0, 0), live=live, rate=rate, training=DENSE.program
    )
    before, after = ((m.network, m.moments) for m in (members, after))
    assert same(one(before, 1), one(after, 1))
    assert not same(one(before, 0), one(after, 0))


def test_history_ends_where_a_member_stopped():
    training = replace(DENSE, epochs=30, patience=2, plateau=1, rate=0.3)
    _, history = train(training, fold(), [0, 1], unwatched)
    assert history.converged.all()
    for member in np.flatnonzero(history.converged):
        ran = np.isfinite(history.validation[member]).sum()
        assert ran == history.best_epoch[member] + 1 + training.patience
        assert np.isnan(history.train[member, ran:]).all()
        assert np.nanargmin(history.validation[member]) == history.best_epoch[member]


def test_kept_weights_are_those_of_the_best_epoch():
    dataset = fold()
    training = replace(DENSE, epochs=12, patience=12, rate=0.1)
    networks, history = train(training, dataset, [0, 1], unwatched)
    bars = engine._on_device(dataset, dataset.validation, replace(DENSE, half_life=np.inf))
    again = engine._examine(networks, bars, engine._exam(dataset, training), training.program)
    assert np.array_equal(again, history.validation[[0, 1], history.best_epoch])


# --- what may not change a single bit ---


def test_same_seed_same_bits_and_another_seed_other_weights():
    first, history = train(DENSE, fold(), [0, 1], unwatched)
    second, again = train(DENSE, fold(), [0, 1], unwatched)
    assert same(first, second)
    assert same(list(vars(history).values()), list(vars(again).values()))
    assert not same(one(first, 0), one(first, 1))


def test_another_process_gives_the_same_bits():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_training as t, hashlib\n"
        "networks, _ = t.train(t.DENSE, t.fold(), [0, 1], t.unwatched)\n"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in t.to_arrays(networks).values())).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    networks, _ = train(DENSE, fold(), [0, 1], unwatched)
    here = hashlib.sha256(b"".join(a.tobytes() for a in to_arrays(networks).values())).hexdigest()
    assert ran.stdout.strip() == here


def test_room_on_the_device_does_not_matter(monkeypatch):
    small, _ = train(DENSE, fold(), [0, 1], unwatched)
    monkeypatch.setattr(engine, "ROOM", 1024)
    large, _ = train(DENSE, fold(), [0, 1], unwatched)
    assert same(small, large)


def test_what_the_warm_up_holds_does_not_matter():
    dataset = fold(first=10)
    other = replace(dataset, inputs=dataset.inputs.copy())
    other.train[:16] = np.nan
    networks, _ = train(DENSE, other, [0, 1], unwatched)
    assert same(networks, train(DENSE, dataset, [0, 1], unwatched)[0])


@given(order=st.permutations(range(70)))
@settings(deadline=None, max_examples=10)
def test_an_answer_does_not_depend_on_what_stands_beside_it(order):
    prepare()
    networks = jax.jit(jax.vmap(Tiny))(jax.random.split(jax.random.key(0), 3))
    x = np.random.default_rng(0).normal(size=(70, 6, 2))
    together = respond(networks, x)
    assert np.array_equal(respond(networks, x[order]), together[:, order])
    assert np.array_equal(respond(networks, x[order[0]][None]), together[:, [order[0]]])


@jax.jit
def answer(network, chunk):
    return network(chunk, 1, None)


def test_answers_are_the_networks_own():
    networks = jax.jit(jax.vmap(Tiny))(jax.random.split(jax.random.key(0), 3))
    x = np.random.default_rng(0).normal(size=(5, 6, 2))
    for member in range(3):
        expected = answer(one(networks, member), x.swapaxes(0, 1).astype(np.float32))[0]
        np.testing.assert_allclose(respond(networks, x)[member], expected, atol=1e-6)


def test_networks_survive_being_taken_apart():
    networks = jax.jit(jax.vmap(Tiny))(jax.random.split(jax.random.key(0), 3))
    arrays = to_arrays(networks)
    assert list(arrays) == ["lstm.kernel", "lstm.recurrent", "lstm.bias", "head.kernel", "head.bias"]
    assert same(from_arrays(Tiny, arrays), networks)


# --- people ---


def test_watch_hears_every_epoch_and_its_interrupt_is_heard():
    heard = []

    def watch(done, total, words):
        heard.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(DENSE, fold(), [0, 1], watch)
    assert heard == [(1, DENSE.epochs), (2, DENSE.epochs)]


def test_control_c_ends_a_long_training_within_two_seconds():
    training = replace(DENSE, epochs=10**6, patience=10**6)
    train(replace(training, epochs=1), fold(bars=3000), [0, 1], unwatched)
    pressed = []

    def press():
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.5, press).start()
    with pytest.raises(KeyboardInterrupt):
        train(training, fold(bars=3000), [0, 1], unwatched)
    assert time.monotonic() - pressed[0] < 2


def test_too_few_bars_are_refused():
    with pytest.raises(DataError, match="too few to train"):
        train(DENSE, fold(bars=18, validating=5, first=3), [0], unwatched)


def test_no_validation_bar_is_refused():
    dataset = fold()
    with pytest.raises(DataError, match="too few to train"):
        train(DENSE, replace(dataset, validation=np.full_like(dataset.validation, np.nan)), [0], unwatched)


def test_a_hole_in_the_inputs_is_refused():
    inputs = fold().inputs.copy()
    inputs[50, 0] = np.nan
    with pytest.raises(DataError, match="no value at bar 50 of 90"):
        replace(fold(), inputs=inputs)


def test_a_training_that_diverges_is_refused():
    with pytest.raises(DataError, match="validation loss of seed 0 was never a finite number"):
        train(replace(DENSE, rate=1e38), fold(), [0, 1], unwatched)


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("COINCAST_CACHE", "/dev/null/nowhere")
    prepare.__wrapped__()
    assert jax.config.jax_compilation_cache_dir == before


def test_progress_starts_hopeful():
    progress = engine._begin(2, DENSE)
    assert isinstance(progress, Progress)
    assert progress.live.all()
    assert np.isinf(progress.best).all()
