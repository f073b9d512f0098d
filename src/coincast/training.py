"""The one training loop.

A **member** is one network: one seed of one fold. The members of a fold are one program: `jax.vmap` over members,
`lax.fori_loop` over a block of batches. Between blocks stands plain Python, which shuffles, watches, answers Ctrl-C,
and ends when every member has stopped. A fold is always trained alone, so that it gives the same bits inside a
walk-forward as by itself on the day it is refitted live.

A batch is a set of **chunks**, runs of consecutive bars. The network is scored at the last `scored` bars of each; the
`context` bars before only fill its memory. With `scored=1` this is the classic many-to-one window, shuffled; with more
it is dense supervision, a target at every bar for the price of one pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from .errors import DataError
from .forecaster import History, Watch
from .threads import single_threaded
from .windows import Windows

# Batches in one compiled call: Python sees Ctrl-C between two of them.
BLOCK = 16
# Windows in one call of `respond`: shorter calls are filled up, since another shape may round differently.
AT_ONCE = 64
# Windows below which there is nothing to train and validate on.
LEAST = 10
# Bars on the device are filled up to this times a power of four, so that new data seldom means a new program.
ROOM = 4096


class Network(Protocol):
    """An Equinox module: a value whose arrays are its weights."""

    def __call__(
        self, chunk: Float[Array, "bar batch feature"], scored: int, key: PRNGKeyArray | None
    ) -> Float[Array, "scored batch ..."]:
        """What the network says at the last `scored` bars; with a key, as it does while learning (dropout)."""
        ...


Build = Callable[[PRNGKeyArray], Network]
# (outputs, targets) -> the loss of each target.
Loss = Callable[[Float[Array, "bar batch ..."], Float[Array, "bar batch target"]], Float[Array, "bar batch target"]]


@dataclass(frozen=True)
class Training:
    """What learns, and how.

    Args:
        build: makes the network from a random key.
        loss: the loss of each target; batches and epochs average it over the targets there are, by their weights.
        context: bars of each chunk that come before the first scored one.
        scored: bars of each chunk, its last ones, at which the network is scored; 1 for many-to-one windows.
        batch: chunks in a batch.
        epochs: rounds of training and validation at most.
        steps: batches in an epoch, their chunks evenly spaced; None for as many as it takes to lay chunks end to end.
        half_life: a training target that is older than the newest by this many bars counts half.
        rate: learning rate of Adam (Kingma and Ba 2015) at the start.
        beta2: how slowly Adam forgets past squares of the gradient.
        weight_decay: share of each weight taken away per unit of learning rate (AdamW, Loshchilov and Hutter 2019).
        clip: largest norm of a member's gradient; None for no limit.
        average: how slowly the weights that are judged and kept forget those before (Polyak and Juditsky 1992), with
            the warm-up min(average, (1 + t) / (10 + t)) after t batches; 0 to judge and keep the newest.
        patience: epochs without a better validation loss after which a member stops.
        tolerance: the weights kept are the latest whose validation loss was within this of the best. More than 0
            makes early stopping a guard against overfitting where a short validation span says no more than noise.
        plateau: epochs without a better validation loss after which a member's learning rate falls.
        factor: what the learning rate is then multiplied by.
    """

    build: Build
    loss: Loss
    context: int
    scored: int
    batch: int
    epochs: int
    rate: float
    steps: int | None = None
    half_life: float = np.inf
    beta2: float = 0.999
    weight_decay: float = 0.0
    clip: float | None = None
    average: float = 0.0
    patience: int = 10
    tolerance: float = 0.0
    plateau: int = 5
    factor: float = 0.5

    @property
    def program(self) -> Training:
        """The same, but for what no compiled program depends on: one program serves all settings that share this."""
        return replace(
            self, batch=0, epochs=0, rate=0.0, steps=0, half_life=0.0, patience=0, tolerance=0.0, plateau=0, factor=0.0
        )


@dataclass(frozen=True)
class Dataset:
    """One fold as the loop sees it. Nothing in it may be later than the fold's cutoff.

    Args:
        inputs: what the network reads, scaled; NaN only before a series' first usable bar and between two series.
        train: targets to learn from; NaN where there is none.
        validation: targets that choose the best epoch; NaN where there is none.
        importance: how much each column of targets counts.
        age: bars by which each bar is older than the newest training target; None to count them along one series.
        spans: the first bar of each series, and the one after its last; None for one series.

    Raises:
        DataError: an input is missing after the first usable bar.
    """

    inputs: Float[np.ndarray, "bar feature"]
    train: Float[np.ndarray, "bar target"]
    validation: Float[np.ndarray, "bar target"]
    importance: Float[np.ndarray, " target"]
    age: Float[np.ndarray, " bar"] | None = None
    spans: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        for first, end in self.series:
            usable = np.isfinite(self.inputs[first:end]).all(axis=1)
            if not usable.all() or not usable.size:
                raise DataError(
                    f"A feature has no value at bar {end - 1 - int(np.argmin(usable[::-1]))} of {len(self.inputs)}.",
                    "The network would read a hole as a number.",
                    "Use features that have a value at every bar after their warm-up.",
                )

    @cached_property
    def series(self) -> tuple[tuple[int, int], ...]:
        """The first usable bar of each series, and the one after its last."""
        usable = np.isfinite(self.inputs).all(axis=1)
        spans = self.spans or ((0, len(usable)),)
        return tuple((first + int(np.argmax(usable[first:end])), end) for first, end in spans)

    @property
    def bars_ago(self) -> Float[np.ndarray, " bar"]:
        """`age`, none below 0."""
        newest = np.isfinite(self.train).nonzero()[0].max(initial=0)
        age = newest - np.arange(len(self.inputs)) if self.age is None else self.age
        return np.maximum(age, 0)


def end_to_end(datasets: Sequence[Dataset], gap: int) -> Dataset:
    """Several series as one dataset, with `gap` blank bars after each, so that no chunk that begins in one scores bars
    of the next. Each must say its own `age`, since their newest bars need not be of one time.
    """

    def laid(name: str) -> np.ndarray:
        parts = [getattr(one, name) for one in datasets]
        blanks = [((0, gap), *((0, 0),) * (part.ndim - 1)) for part in parts]
        return np.concatenate(
            [np.pad(p, blank, constant_values=np.nan) for p, blank in zip(parts, blanks, strict=True)]
        )

    lengths = [len(one.inputs) for one in datasets]
    begins = np.cumsum([0, *(length + gap for length in lengths[:-1])]).tolist()
    return Dataset(
        inputs=laid("inputs"),
        train=laid("train"),
        validation=laid("validation"),
        importance=datasets[0].importance,
        age=np.nan_to_num(laid("age")),
        spans=tuple((begin, begin + length) for begin, length in zip(begins, lengths, strict=True)),
    )


def squared_error(
    outputs: Float[Array, "bar batch target"], targets: Float[Array, "bar batch target"]
) -> Float[Array, "bar batch target"]:
    """(output - target) squared; its mean is the MSE."""
    return (outputs - targets) ** 2


def train(training: Training, dataset: Dataset, seeds: Sequence[int], watch: Watch) -> tuple[PyTree, History]:
    """Train one network a seed on one fold.

    Args:
        training: what learns, and how.
        dataset: the fold.
        seeds: one member each; a seed alone decides a member's first weights, its batches and its dropout.
        watch: told of every epoch; what it raises ends the training.

    Returns:
        The networks that were kept, every array with a leading member axis, and how they got there.

    Raises:
        DataError: there are too few bars for one chunk, or a member's validation loss was never finite.
    """
    prepare()
    program = training.program
    learning = _on_device(dataset, dataset.train, training)
    judging = _on_device(dataset, dataset.validation, replace(training, half_life=np.inf))
    exam = _exam(dataset, training)
    members = _start(jnp.array(seeds), program)
    best, progress = members.network, _begin(len(seeds), training)
    records = []
    for epoch in range(training.epochs):
        starts = _stack([shuffled(dataset, training, seed, epoch) for seed in seeds])
        members, train_loss = _epoch(members, learning, starts, epoch=epoch, progress=progress, training=program)
        losses = _examine(members.average, judging, exam, program)
        records.append((train_loss, losses, progress.rate, progress.live))
        progress, kept = judge(progress, losses, epoch, training)
        best = _keep(jnp.array(kept), members.average, best)
        watch(epoch + 1, training.epochs, _words(progress))
        if not progress.live.any():
            break
    _demand_finite(progress, seeds)
    return best, _history(records, progress)


# --- which chunks -----------------------------------------------------------------------------------------------------


def shuffled(dataset: Dataset, training: Training, seed: int, epoch: int) -> Int[np.ndarray, "step batch"]:
    """Where each chunk of an epoch starts; -1 fills the last batch.

    Chunks are laid evenly over the training bars from a random phase and shuffled; the first and the last of a series
    are moved inwards, so that no chunk reads a bar after the last training target. With `scored=1` and `steps=None`
    every window comes once.

    Raises:
        DataError: there are too few bars for one chunk.
    """
    random = np.random.default_rng([seed, epoch])
    bounds = np.array(_learnable(dataset, training))
    if not bounds.size:
        _refuse_few(len(dataset.inputs), training)
    heads = _laid(bounds, training, random)
    heads = heads[_holds_any(dataset.train, heads, training.scored)]
    return _in_batches(random.permutation(heads) - training.context, training.batch)


def _learnable(dataset: Dataset, training: Training) -> list[tuple[int, int]]:
    """The bars of each series between which chunks are laid, the second one left out; no series too short for one."""
    bounds = []
    for first, end in dataset.series:
        bars = _labelled(dataset.train, first + training.context, end)
        if bars.size and bars[-1] - training.scored + 1 >= first + training.context:
            bounds.append((int(bars[0]), int(bars[-1]) + 1))
    return bounds


def _laid(
    bounds: Int[np.ndarray, "series 2"], training: Training, random: np.random.Generator
) -> Int[np.ndarray, " chunk"]:
    """Heads of chunks over the bars of each series: end to end, or as many as the batches need."""
    first, end = bounds[:, 0], bounds[:, 1]
    if training.steps is None:
        parts = [np.arange(a - random.integers(training.scored), b, training.scored) for a, b in bounds]
        which = np.repeat(np.arange(len(bounds)), [len(part) for part in parts])
        heads = np.concatenate(parts)
    else:
        count = training.steps * training.batch
        before = np.concatenate([[0], np.cumsum(end - first)])
        stride = before[-1] / count
        reach = (np.arange(count) + 1 + random.uniform()) * stride
        which = np.searchsorted(before[1:-1], reach - stride, side="right")
        heads = np.floor(first[which] - before[which] + reach - training.scored).astype(int)
    return heads.clip(first[which], end[which] - training.scored)


def _exam(dataset: Dataset, training: Training) -> Int[np.ndarray, "step batch"]:
    """Chunks that score every validation bar once; the last of a series may hang over its end, where nothing is."""
    heads = [
        np.arange(bars[0], bars[-1] + 1, training.scored)
        for first, end in dataset.series
        if (bars := _labelled(dataset.validation, first + training.context, end)).size
    ]
    if not heads:
        _refuse_few(len(dataset.inputs), training)
    return _in_batches(np.concatenate(heads) - training.context, training.batch)


def _labelled(targets: Float[np.ndarray, "bar target"], first: int, end: int) -> Int[np.ndarray, " labelled"]:
    return first + np.flatnonzero(np.isfinite(targets[first:end]).any(axis=1))


def _holds_any(
    targets: Float[np.ndarray, "bar target"], heads: Int[np.ndarray, " chunk"], scored: int
) -> Bool[np.ndarray, " chunk"]:
    count = np.concatenate([[0], np.isfinite(targets).any(axis=1).cumsum()])
    return count[heads + scored] > count[heads]


def _in_batches(starts: Int[np.ndarray, " chunk"], batch: int) -> Int[np.ndarray, "step batch"]:
    steps = -(-len(starts) // batch)
    filled = np.full(steps * batch, -1)
    filled[: len(starts)] = starts
    return filled.reshape(steps, batch)


def _refuse_few(bars: int, training: Training) -> None:
    raise DataError(
        f"{bars} bars are too few to train and validate on chunks of {training.context + training.scored} bars.",
        "A network that never sees a full chunk learns nothing.",
        "Pass a longer history or a later first test date.",
    )


# --- when to stop -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """Where each member stands after an epoch.

    Args:
        best: lowest validation loss so far.
        best_epoch: when the weights that are kept were reached, from 0; -1 if never.
        wait: epochs since the lowest loss.
        stalled: epochs since then or since the learning rate last fell.
        rate: learning rate of the next epoch.
        live: False once a member has stopped.
    """

    best: Float[np.ndarray, " member"]
    best_epoch: Int[np.ndarray, " member"]
    wait: Int[np.ndarray, " member"]
    stalled: Int[np.ndarray, " member"]
    rate: Float[np.ndarray, " member"]
    live: Bool[np.ndarray, " member"]


def _begin(members: int, training: Training) -> Progress:
    none = np.zeros(members, dtype=int)
    return Progress(
        best=np.full(members, np.inf),
        best_epoch=none - 1,
        wait=none,
        stalled=none,
        rate=np.full(members, training.rate),
        live=np.ones(members, dtype=bool),
    )


def judge(
    progress: Progress, losses: Float[np.ndarray, " member"], epoch: int, training: Training
) -> tuple[Progress, Bool[np.ndarray, " member"]]:
    """Early stopping and the fall of the learning rate, member by member, as Keras's `EarlyStopping` and
    `ReduceLROnPlateau` have them with `min_delta=0`, but for the tolerance.

    Returns:
        Where the members stand now, and which of them have weights to keep.
    """
    better = progress.live & (losses < progress.best)
    kept = better | (progress.live & (losses < progress.best + training.tolerance))
    wait = np.where(better, 0, progress.wait + 1)
    stalled = np.where(better, 0, progress.stalled + 1)
    falls = progress.live & (stalled >= training.plateau)
    judged = Progress(
        best=np.where(better, losses, progress.best),
        best_epoch=np.where(kept, epoch, progress.best_epoch),
        wait=wait,
        stalled=np.where(falls, 0, stalled),
        rate=np.where(falls, progress.rate * training.factor, progress.rate),
        live=progress.live & (wait < training.patience),
    )
    return judged, kept


def _words(progress: Progress) -> str:
    return f"{progress.live.sum()} of {len(progress.live)} learning, validation loss {np.mean(progress.best):.5g}"


def _demand_finite(progress: Progress, seeds: Sequence[int]) -> None:
    lost = [seed for seed, epoch in zip(seeds, progress.best_epoch, strict=True) if epoch < 0]
    if lost:
        raise DataError(
            f"The validation loss of seed {lost[0]} was never a finite number.",
            "A network that diverged from the start has nothing to say.",
            "Look for extreme values in the features, or lower the learning rate.",
        )


def _history(records: Sequence[tuple[np.ndarray, ...]], progress: Progress) -> History:
    train_loss, validation, rate, live = (np.stack(column, axis=1) for column in zip(*records, strict=True))
    return History(
        train=np.where(live, train_loss, np.nan),
        validation=np.where(live, validation, np.nan),
        learning_rate=np.where(live, rate, np.nan),
        best_epoch=progress.best_epoch,
        converged=~progress.live,
    )


# --- the compiled parts -----------------------------------------------------------------------------------------------


class _Bars(NamedTuple):
    """A fold on the device: holes are zeros, and a target that is not there has no weight."""

    inputs: Float[Array, "room feature"]
    targets: Float[Array, "room target"]
    weight: Float[Array, "room target"]


class _Members(NamedTuple):
    """Every array has a leading member axis."""

    network: PyTree
    average: PyTree
    moments: PyTree
    batches: Int[Array, " member"]
    key: PRNGKeyArray


def _on_device(dataset: Dataset, targets: Float[np.ndarray, "bar target"], training: Training) -> _Bars:
    room = ROOM
    while room < len(targets) + training.scored:
        room *= 4

    def filled(values: np.ndarray) -> Float[Array, "room ..."]:
        return jnp.array(np.pad(values, ((0, room - len(values)), (0, 0))), dtype=jnp.float32)

    there = np.isfinite(targets)
    weight = there * 0.5 ** (dataset.bars_ago / training.half_life)[:, None] * dataset.importance
    return _Bars(filled(np.nan_to_num(dataset.inputs)), filled(np.where(there, targets, 0.0)), filled(weight))


def _optimiser(training: Training) -> optax.GradientTransformation:
    clip = optax.identity() if training.clip is None else optax.clip_by_global_norm(training.clip)
    return optax.chain(clip, optax.scale_by_adam(b2=training.beta2), optax.add_decayed_weights(training.weight_decay))


@partial(jax.jit, static_argnames="training")
def _start(seeds: Int[Array, " member"], training: Training) -> _Members:
    def one(seed: Array) -> _Members:
        first, later = jax.random.split(jax.random.key(seed))
        network = training.build(first)
        return _Members(network, network, _optimiser(training).init(network), jnp.array(0), later)

    return jax.vmap(one)(seeds)


def _batch_loss(
    network: Network, bars: _Bars, starts: Int[Array, " batch"], key: PRNGKeyArray | None, training: Training
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean loss over the targets of a batch, and their weight."""
    rows = jnp.maximum(starts, 0) + jnp.arange(training.context + training.scored)[:, None]
    outputs = network(bars.inputs[rows], training.scored, key)
    rows = rows[-training.scored :]
    weight = jnp.where((starts >= 0)[:, None], bars.weight[rows], 0.0)
    losses = jnp.where(weight > 0, training.loss(outputs, bars.targets[rows]), 0.0)
    total = weight.sum()
    return (losses * weight).sum() / jnp.where(total > 0, total, 1.0), total


@partial(jax.jit, static_argnames="training")
def _advance(
    members: _Members,
    bars: _Bars,
    block: Int[Array, "member step batch"],
    *,
    steps: int,
    at: tuple[int, int],
    live: Bool[Array, " member"],
    rate: Float[Array, " member"],
    training: Training,
) -> tuple[_Members, Float[Array, "member 2"]]:
    """Learn from the first `steps` batches of the block that begins `at` an epoch and batch; also each member's summed
    loss and the weight of its targets.
    """
    optimiser = _optimiser(training)

    def one(
        member: _Members, starts: Array, step: Array, live: Array, rate: Array
    ) -> tuple[_Members, Float[Array, " 2"]]:
        key = jax.random.fold_in(jax.random.fold_in(member.key, at[0]), at[1] + step)
        slope = jax.value_and_grad(_batch_loss, has_aux=True)
        (value, total), gradient = slope(member.network, bars, starts, key, training)
        change, moments = optimiser.update(gradient, member.moments, member.network)
        network = jax.tree.map(lambda weight, move: weight - rate * move, member.network, change)
        batches = member.batches + 1
        memory = jnp.minimum(training.average, (1 + batches) / (10 + batches))
        average = jax.tree.map(lambda old, new: memory * old + (1 - memory) * new, member.average, network)
        moved = _Members(network, average, moments, batches, member.key)
        return _choose(live & (total > 0), moved, member), jnp.stack([value * total, total])

    def step(index: Array, carry: tuple[_Members, Array]) -> tuple[_Members, Array]:
        members, tally = carry
        batches = jax.vmap(one, in_axes=(0, 0, None, 0, 0))
        members, more = batches(members, block[:, index], index, live, rate)
        return members, tally + more

    return jax.lax.fori_loop(0, steps, step, (members, jnp.zeros((len(live), 2))))


@partial(jax.jit, static_argnames="training")
def _score(
    networks: PyTree, bars: _Bars, block: Int[Array, "step batch"], *, steps: int, training: Training
) -> Float[Array, "member 2"]:
    """Each member's summed loss and the weight of its targets over the first `steps` batches of a block."""

    def one(network: Network) -> Float[Array, " 2"]:
        def step(index: Array, tally: Array) -> Array:
            value, total = _batch_loss(network, bars, block[index], None, training)
            return tally + jnp.stack([value * total, total])

        return jax.lax.fori_loop(0, steps, step, jnp.zeros(2))

    return jax.vmap(one)(networks)


def _choose(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


@jax.jit
def _keep(better: Bool[Array, " member"], now: PyTree, before: PyTree) -> PyTree:
    return jax.vmap(_choose)(better, now, before)


# --- the loop around them ---------------------------------------------------------------------------------------------


def _epoch(
    members: _Members,
    bars: _Bars,
    starts: Int[np.ndarray, "member step batch"],
    *,
    epoch: int,
    progress: Progress,
    training: Training,
) -> tuple[_Members, Float[np.ndarray, " member"]]:
    """Every batch of an epoch, block by block; also the mean training loss of each member."""
    live, rate = jnp.array(progress.live), jnp.array(progress.rate, dtype=jnp.float32)
    tally = np.zeros((len(starts), 2))
    for done, steps, block in _blocks(starts):
        members, share = _advance(
            members, bars, block, steps=steps, at=(epoch, done), live=live, rate=rate, training=training
        )
        tally += np.asarray(share)
    return members, tally[:, 0] / tally[:, 1]


def _examine(
    networks: PyTree, bars: _Bars, exam: Int[np.ndarray, "step batch"], training: Training
) -> Float[np.ndarray, " member"]:
    """Each member's mean validation loss."""
    parts = [
        np.asarray(_score(networks, bars, block[0], steps=steps, training=training), dtype=float)
        for _, steps, block in _blocks(exam[None])
    ]
    tally = np.sum(parts, axis=0)
    return tally[:, 0] / tally[:, 1]


def _stack(starts: Sequence[Int[np.ndarray, "step batch"]]) -> Int[np.ndarray, "member step batch"]:
    """Members' phases differ, so their epochs may differ by a batch: fill up with empty ones."""
    steps = max(len(each) for each in starts)
    return np.stack([np.pad(each, ((0, steps - len(each)), (0, 0)), constant_values=-1) for each in starts])


def _blocks(
    starts: Int[np.ndarray, "member step batch"],
) -> Iterator[tuple[int, int, Int[np.ndarray, "member step batch"]]]:
    """(batches done before, batches in it, the block itself, filled up to one shape)."""
    for done in range(0, starts.shape[1], BLOCK):
        block = starts[:, done : done + BLOCK]
        steps = block.shape[1]
        yield done, steps, np.pad(block, ((0, 0), (0, BLOCK - steps), (0, 0)), constant_values=-1).astype(np.int32)


def split(fold: Windows, share: float) -> tuple[Windows, Windows]:
    """(training, validation) windows of a fold, as `Windows.hold_out` parts them.

    Raises:
        DataError: there are too few windows to part.
        LookAheadError: the windows were never settled.
    """
    fold.demand_settled()
    if len(fold) < LEAST:
        raise DataError(
            f"{len(fold)} windows are too few to train and validate on.",
            "A network that is not judged on later bars than it learnt from cannot be trusted.",
            "Pass a longer history or a later first test date.",
        )
    return fold.hold_out(share)


# --- after training ---------------------------------------------------------------------------------------------------


@jax.jit
def _respond(networks: PyTree, chunk: Float[Array, "bar batch feature"]) -> Float[Array, "member batch ..."]:
    return jax.vmap(lambda network: network(chunk, 1, None)[0])(networks)


def respond(networks: PyTree, x: Float[np.ndarray, "window bar feature"]) -> Float[np.ndarray, "member window ..."]:
    """What each member says at the last bar of each window. A window's answer has the same bits whatever stands beside
    it: windows go through in batches of one fixed shape.
    """
    prepare()
    answers = []
    for first in range(0, len(x), AT_ONCE):
        part = x[first : first + AT_ONCE]
        chunk = np.zeros((AT_ONCE, *x.shape[1:]), dtype=np.float32)
        chunk[: len(part)] = part
        answers.append(np.asarray(_respond(networks, chunk.swapaxes(0, 1)))[:, : len(part)])
    return np.concatenate(answers, axis=1)


def to_arrays(networks: PyTree) -> dict[str, np.ndarray]:
    """A network's arrays by name, `first.kernel`, for saving."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(networks)
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def from_arrays(build: Build, arrays: Mapping[str, np.ndarray]) -> PyTree:
    """The networks that `to_arrays` took apart; `build` tells their form."""
    return jax.tree_util.tree_map_with_path(lambda path, _: jnp.array(arrays[_name(path)]), _form(build))


@cache
def _form(build: Build) -> PyTree:
    return eqx.filter_eval_shape(build, jax.random.key(0))


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


@cache
def prepare() -> None:
    """Settle XLA's threads, and keep compiled programs between runs in `$COINCAST_CACHE` or the user's cache folder.

    Where that cannot be written, each process compiles anew.
    """
    single_threaded()
    root = os.environ.get("COINCAST_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "coincast"
    )
    folder = Path(root, "xla")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
