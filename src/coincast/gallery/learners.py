"""What learns in the gallery, as the tutorial sees it; and the simplest there is, a ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

RowNumbers = Int[np.ndarray, " row"]


class Rows(NamedTuple):
    """Numbers of rows: those to learn from, those to stop or to choose by, those to forecast."""

    train: RowNumbers
    validation: RowNumbers
    test: RowNumbers


class Model(Protocol):
    """What was learnt."""

    def __call__(self, x: Float[np.ndarray, "window lookback feature"]) -> Float[np.ndarray, " window"]:
        """The scaled price that each window leads to."""
        ...


class Learner(Protocol):
    """How it is learnt. Its settings are its fields: the same settings and rows give the same model, bit for bit."""

    name: ClassVar[str]

    @property
    def hasty(self) -> Learner:
        """The same, learning for a moment only: for an audit, which asks some twenty times and wants no good answer."""
        ...

    def fit(
        self,
        inputs: Float[np.ndarray, "row feature"],
        target: Float[np.ndarray, " row"],
        rows: Rows,
        lookback: int,
    ) -> Model:
        """Learn the target of each training row from the window of rows that ends with it.

        Args:
            inputs: scaled; NaN only before the first whole row.
            target: scaled; rows where it is NaN teach nothing.
            rows: which to learn from and which to stop by; where none of these has a target, the former must serve.
            lookback: rows in a window.

        Raises:
            DataError: there are too few rows to learn from.
        """
        ...


def windows(
    inputs: Float[np.ndarray, "row feature"], rows: RowNumbers, lookback: int
) -> Float[np.ndarray, "window lookback feature"]:
    """For each of `rows` the `lookback` rows that end with it, oldest first."""
    return inputs[rows[:, None] + np.arange(1 - lookback, 1)]


def with_target(target: Float[np.ndarray, " row"], rows: Rows) -> tuple[RowNumbers, RowNumbers]:
    """The rows to learn from and to stop by whose target is known; the former twice where there are none to stop by."""
    train, validation = (part[np.isfinite(target[part])] for part in rows[:2])
    return train, validation if len(validation) else train


@dataclass(frozen=True)
class Ridge:
    """A linear regression on the window, its weights held small (Hoerl and Kennard 1970, Technometrics 12).

    It is pulled towards the last price, not towards zero: with weights of zero it says "no change". Nothing in it is
    random, so whatever a mistake does to its numbers is the mistake's doing.

    Args:
        penalties: of the squared weights, per training row; the one with the least validation error is taken.
    """

    name: ClassVar[str] = "ridge"
    penalties: tuple[float, ...] = tuple(10.0 ** (step / 8) for step in range(-56, -7))

    @property
    def hasty(self) -> Ridge:
        """Itself: it is quick."""
        return self

    def fit(
        self,
        inputs: Float[np.ndarray, "row feature"],
        target: Float[np.ndarray, " row"],
        rows: Rows,
        lookback: int,
    ) -> RidgeModel:
        """Solve for every penalty, keep the best."""
        train, judged = with_target(target, rows)
        x, y = _flat(windows(inputs, train, lookback)), target[train] - inputs[train, 0]
        judged_x, judged_y = _flat(windows(inputs, judged, lookback)), target[judged] - inputs[judged, 0]
        squares, products = x.T @ x, x.T @ y
        found = [_solved(squares, products, penalty * len(train)) for penalty in self.penalties]
        errors = [np.mean((judged_y - judged_x @ weights) ** 2) for weights in found]
        return RidgeModel(found[int(np.argmin(errors))])


@dataclass(frozen=True)
class RidgeModel:
    """A fitted ridge regression.

    Args:
        weights: of each value in a window, and last the constant.
    """

    weights: Float[np.ndarray, " value"]

    def __call__(self, x: Float[np.ndarray, "window lookback feature"]) -> Float[np.ndarray, " window"]:
        """The newest price of each window, and what the regression adds to it."""
        return np.asarray(x[:, -1, 0] + np.sum(_flat(x) * self.weights, axis=1))


def _flat(x: Float[np.ndarray, "window lookback feature"]) -> Float[np.ndarray, "window value"]:
    """Every window as one row, a one at its end for the constant."""
    return np.concatenate([x.reshape(len(x), -1), np.ones((len(x), 1))], axis=1)


def _solved(
    squares: Float[np.ndarray, "value value"], products: Float[np.ndarray, " value"], penalty: float
) -> Float[np.ndarray, " value"]:
    """The weights; the constant is not held."""
    held = penalty * np.eye(len(products))
    held[-1, -1] = 0.0
    return np.linalg.solve(squares + held, products)
