"""The network of the classic tutorial as a learner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from ..forecaster import unwatched
from ..models.seed_lstm import Network
from ..training import Build, Dataset, Training, from_arrays, respond, squared_error, to_arrays, train
from .learners import RowNumbers, Rows, with_target


@dataclass(frozen=True)
class Lstm:
    """The network of `seed-lstm`: LSTM(50) - dropout - LSTM(50) - dropout - dense, Adam on the mean squared error.

    It is asked about one window at a time, as the classic is. To be quick it learns from chunks with a target at every
    row that has `lookback` - 1 others before it in the chunk, and not from one target a window; an epoch is then a few
    steps of Adam, which is why these are larger and its patience longer.

    Args:
        seed: of its first weights, its batches and its dropout.
        scored: targets in a chunk.
        epochs, batch, rate, patience, plateau: as in `coincast.training.Training`.
    """

    name: ClassVar[str] = "lstm"
    seed: int = 0
    scored: int = 40
    epochs: int = 100
    batch: int = 4
    rate: float = 5e-3
    patience: int = 60
    plateau: int = 30

    @property
    def hasty(self) -> Lstm:
        """The same for a few steps, at a rate that falls each time the validation loss does not: what is looked at
        there then shows in the weights, however early the end.
        """
        return replace(self, epochs=8, batch=32, plateau=1)

    def fit(
        self,
        inputs: Float[np.ndarray, "row feature"],
        target: Float[np.ndarray, " row"],
        rows: Rows,
        lookback: int,
    ) -> LstmModel:
        """Train until the validation loss stalls, keep the weights it was lowest with."""
        learnt, judged = with_target(target, rows)
        end = int(max(learnt.max(), judged.max())) + 1
        dataset = Dataset(
            inputs=inputs[:end],
            train=_only(target[:end], learnt),
            validation=_only(target[:end], judged),
            importance=np.ones(1),
        )
        network, _ = train(self._training(inputs.shape[1], lookback), dataset, [self.seed], unwatched)
        return LstmModel(inputs.shape[1], to_arrays(network))

    def _training(self, features: int, lookback: int) -> Training:
        return Training(
            build=_network_of(features),
            loss=squared_error,
            context=lookback - 1,
            scored=self.scored,
            batch=self.batch,
            epochs=self.epochs,
            rate=self.rate,
            patience=self.patience,
            plateau=self.plateau,
        )


@dataclass(frozen=True)
class LstmModel:
    """A trained network.

    Args:
        features: it reads of each row.
        weights: its arrays by name.
    """

    features: int
    weights: dict[str, np.ndarray]

    def __call__(self, x: Float[np.ndarray, "window lookback feature"]) -> Float[np.ndarray, " window"]:
        """What it says after each window, from zero state."""
        network = from_arrays(_network_of(self.features), self.weights)
        return respond(network, x)[0, :, 0].astype(float)


@cache
def _network_of(features: int) -> Build:
    """One and the same function for equal arguments, so that equal trainings share a compiled program."""
    return partial(Network, inputs=features)


def _only(target: Float[np.ndarray, " row"], rows: RowNumbers) -> Float[np.ndarray, "row 1"]:
    """The target in these rows, NaN in the others."""
    kept = np.full((len(target), 1), np.nan)
    kept[rows, 0] = target[rows]
    return kept
