"""What a model is: a frozen configuration that turns settled windows into a state, and a state into forecasts.

A model holds nothing it has learnt. `fit` returns named arrays, `predict` is a function of those arrays and of windows;
so every model is saved, loaded, compared and served in the same way, and none can be asked before it is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from .windows import Windows

State = Mapping[str, np.ndarray]
# Told as training goes on: (steps done, steps in all, a few words on how it stands).
Watch = Callable[[int, int, str], None]


@dataclass(frozen=True)
class History:
    """How a network's members converged; a member is one seed of one fold. NaN after a member has stopped.

    Args:
        train: training loss.
        validation: validation loss.
        learning_rate: learning rate of the epoch.
        best_epoch: the epoch whose weights were kept, counted from 0.
        converged: True if early stopping ended the training, False if the epochs ran out.
    """

    train: Float[np.ndarray, "member epoch"]
    validation: Float[np.ndarray, "member epoch"]
    learning_rate: Float[np.ndarray, "member epoch"]
    best_epoch: Int[np.ndarray, " member"]
    converged: Bool[np.ndarray, " member"]


class Fit(NamedTuple):
    """What one fold's training left: named arrays for `predict`, and the history if there was one."""

    state: State
    history: History | None = None


@runtime_checkable
class Forecaster(Protocol):
    """A model: a frozen dataclass of settings with a name, two functions and the windows they want."""

    name: ClassVar[str]

    @property
    def features(self) -> tuple[str, ...]:
        """Registered features, in the order the model reads them."""
        ...

    @property
    def lookback(self) -> int:
        """Bars of context before each origin."""
        ...

    @property
    def at_least(self) -> int:
        """Bars a window must hold to be usable; the rest of `lookback` may be NaN (before the first bar)."""
        ...

    @property
    def refit_days(self) -> int | None:
        """Days between refits in a backtest; 0 to be fitted once, None to follow the recipe."""
        ...

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """Learn from one fold.

        Args:
            fold: settled windows; nothing else may be learnt from.
            seeds: one network for each, where chance plays a part.
            watch: to be told of progress.
        """
        ...

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """K equally likely log-returns for each window and horizon, in any order. Bars beyond the origin are not there
        to be read: each window must be forecast from its own `lookback` bars alone, whatever stands beside it.
        """
        ...


def unwatched(done: int, total: int, words: str) -> None:
    """A `Watch` that tells nobody."""
