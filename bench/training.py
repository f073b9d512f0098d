"""The training engine: how fast, how near the machine's own limit, and how many networks make one program.

    python -m bench training

Times are the best of several blocks of batches, so that what else the machine does weighs little.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from coincast import training as engine
from coincast.candles import Candles
from coincast.clean import clean
from coincast.feed import Feed, from_numpy
from coincast.files import read
from coincast.forecaster import Watch, unwatched
from coincast.models.lstm_t import LstmT
from coincast.models.seed_lstm import UNITS, SeedLstm
from coincast.recipe import Recipe
from coincast.training import Dataset, Training
from coincast.windows import Windows
from coincast.workers import Processes

from .data import study_data

FILE = "daily/btcusd_bitstamp_coinbase_1d.csv.gz"
START, REFIT, SEEDS = datetime(2019, 1, 1, tzinfo=UTC), timedelta(days=90), tuple(range(8))


def main() -> None:
    peak = matmul_peak()
    print(f"matrix product of 1,024 x 1,024 floats, one thread: {peak:.0f} GFLOP/s\n")
    against_keras(peak)
    members_per_program()
    trials_per_program()
    another_rate()
    walk_forward()


def best(work: Callable[[], object], times: int = 12) -> float:
    """Seconds of the fastest of several calls, after one that compiles."""
    jax.block_until_ready(work())
    seconds = []
    for _ in range(times):
        began = perf_counter()
        jax.block_until_ready(work())
        seconds.append(perf_counter() - began)
    return min(seconds)


def matmul_peak() -> float:
    a = jnp.ones((1024, 1024))
    product = jax.jit(jnp.matmul)
    return 2 * 1024**3 / best(lambda: product(a, a)) / 1e9


def seconds_a_batch(training: Training, features: int, targets: int, members: int) -> float:
    """One batch of every member, forward, backward and update."""
    random = np.random.default_rng(0)
    bars = 4000
    y = random.normal(size=(bars, targets))
    dataset = Dataset(random.normal(size=(bars, features)), y, y, np.ones(targets))
    program = training.program
    state = engine._start(jnp.arange(members), program)
    there = engine._on_device(dataset, dataset.train, training)
    starts = engine._stack([engine.shuffled(dataset, training, seed, 0) for seed in range(members)])
    _, steps, block = next(engine._blocks(starts))
    live, rate = jnp.ones(members, dtype=bool), jnp.full(members, 1e-3)

    def work() -> object:
        return engine._advance(state, there, block, steps=steps, at=(0, 0), live=live, rate=rate, training=program)

    return best(work) / steps


def against_keras(peak: float) -> None:
    """seed-lstm's batch of 32 windows, beside Keras on the same engine underneath."""
    training = SeedLstm().training
    ours = seconds_a_batch(training, features=1, targets=1, members=1)
    # Two layers, forward and twice as much backward: inputs and the state before, times four gates.
    work = 3 * 2 * training.batch * 60 * 4 * UNITS * ((1 + UNITS) + (UNITS + UNITS)) / 1e9
    theirs = keras_seconds_a_batch(training.batch)
    print("seed-lstm, one batch of 32 windows of 60 closes:\n")
    print("| engine | ms a batch | windows/s | GFLOP/s | share of the peak |")
    print("|---|---|---|---|---|")
    for name, seconds in (("coincast", ours), ("Keras, JAX backend", theirs)):
        rate = work / seconds
        print(f"| {name} | {seconds * 1e3:.1f} | {training.batch / seconds:,.0f} | {rate:.0f} | {rate / peak:.0%} |")
    print()


def keras_seconds_a_batch(batch: int) -> float:
    import keras

    model = keras.Sequential(
        [
            keras.Input((60, 1)),
            keras.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dropout(0.2),
            keras.layers.LSTM(UNITS),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    random = np.random.default_rng(0)
    batches = 16
    x, y = random.uniform(size=(batches * batch, 60, 1)), random.uniform(size=(batches * batch, 1))
    return best(lambda: model.fit(x, y, batch_size=batch, epochs=1, verbose=0).history["loss"], times=4) / batches


def members_per_program() -> None:
    """lstm-t's batch, by how many networks train in one program. A fold's eight seeds are one."""
    model = LstmT()
    training = model._training(horizons=2, bars=4000)
    print("lstm-t, one batch of every network:\n")
    print("| networks | ms | targets/s |")
    print("|---|---|---|")
    for members in (8, 16, 32, 56):
        seconds = seconds_a_batch(training, len(model.inputs), 2, members)
        rate = members * training.batch * training.scored / seconds
        print(f"| {members} | {seconds * 1e3:.1f} | {rate:,.0f} |")
    print()


def trials_per_program() -> None:
    """seed-lstm's batch, by how many trials of a search would train in one program."""
    training = SeedLstm().training
    print("seed-lstm, one batch of every trial:\n")
    print("| trials | ms | ms a trial |")
    print("|---|---|---|")
    for members in (1, 2, 4, 8):
        seconds = seconds_a_batch(training, 1, 1, members)
        print(f"| {members} | {seconds * 1e3:.1f} | {seconds / members * 1e3:.1f} |")
    print()


def another_rate() -> None:
    """seed-lstm for three epochs on 850 bars, twice: what a trial costs whose form was compiled before."""
    jax.config.update("jax_enable_compilation_cache", False)
    random = np.random.default_rng(0)
    y = random.normal(size=(850, 1))
    late = np.arange(850)[:, None] >= 720
    dataset = Dataset(y, np.where(late, np.nan, y), np.where(late, y, np.nan), np.ones(1))
    seconds = []
    for rate in (1e-3, 3e-3):
        began = perf_counter()
        engine.train(SeedLstm(epochs=3, rate=rate).training, dataset, (0,), unwatched)
        seconds.append(perf_counter() - began)
    jax.config.update("jax_enable_compilation_cache", True)
    print("seed-lstm, three epochs: {:.1f} s; then at another learning rate: {:.1f} s\n".format(*seconds))


def walk_forward() -> None:
    """28 refits of eight seeds to 2025-09, two processes; compilation included. Nothing here is scored."""
    candles = clean(read(study_data() / FILE), Feed.parse("coinbase:BTC/USD:1d")).candles
    ends = np.arange(np.datetime64(START.replace(tzinfo=None), "us"), candles.known_at[-1], REFIT)
    cutoffs = [from_numpy(end) for end in ends]
    began = perf_counter()
    tasks = [(candles, cutoff) for cutoff in reversed(cutoffs)]
    epochs = [epochs for _, epochs in Processes(2)(_fit, tasks, lambda *_: None)]
    print(
        f"lstm-t on {len(candles):,} bars: {len(cutoffs)} refits x {len(SEEDS)} seeds trained in"
        f" {perf_counter() - began:.0f} s, two processes; {np.mean(epochs):.0f} epochs in the mean"
    )


def _fit(task: tuple[Candles, datetime], watch: Watch) -> Float[np.ndarray, ""]:
    candles, cutoff = task
    recipe = Recipe(LstmT(), (1, 7), seeds=SEEDS)
    fold: Windows = recipe.windows(candles.until(cutoff)).settled(by=cutoff)
    fit = recipe.model.fit(fold, SEEDS, watch)
    return np.isfinite(fit.history.validation).sum(axis=1).mean()
