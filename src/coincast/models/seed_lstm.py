"""The classic: sixty closes in, tomorrow's close out, by two LSTM layers.

The recipe of countless notebooks and of the task this project began with: closes scaled to 0..1, LSTM(50), dropout,
LSTM(50), dropout, one number; mean squared error on the price. It is here as it is, so that the tables can show what it
is worth beside `naive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import DataError, RecipeError
from ..forecast import LEVELS, K
from ..forecaster import Fit, State, Watch
from ..space import Choice, Range, Space
from ..training import Dataset, Training, from_arrays, respond, split, squared_error, to_arrays, train
from ..windows import Scaler, Windows
from .layers import LSTM, Dense, dropout

UNITS = 50
LAYERS = 2
DROPOUT = 0.2
# Each is named in what is saved.
MOST_LAYERS = 3


class Network(eqx.Module):
    """LSTM(50) - dropout .2 - LSTM(50) - dropout .2 - dense(1), or as many units and layers, up to three, as asked."""

    first: LSTM
    second: LSTM | None
    third: LSTM | None
    head: Dense
    dropout: float = eqx.field(static=True)

    def __init__(
        self, key: PRNGKeyArray, inputs: int = 1, units: int = UNITS, layers: int = LAYERS, dropout: float = DROPOUT
    ) -> None:
        *keys, head = jax.random.split(key, layers + 1)
        self.first = LSTM(inputs, units, keys[0])
        self.second = LSTM(units, units, keys[1]) if layers > 1 else None
        self.third = LSTM(units, units, keys[2]) if layers > 2 else None
        self.head = Dense(units, 1, head)
        self.dropout = dropout

    def __call__(
        self, chunk: Float[Array, "bar batch input"], scored: int, key: PRNGKeyArray | None
    ) -> Float[Array, "scored batch 1"]:
        """The next scaled close after each of the last `scored` bars; dropout only with a key."""
        *below, last = (layer for layer in (self.first, self.second, self.third) if layer is not None)
        keys = [None] * (len(below) + 1) if key is None else jax.random.split(key, len(below) + 1)
        hidden = chunk
        for layer, after in zip(below, keys[:-1], strict=True):
            hidden = dropout(layer(hidden), self.dropout, after)
        return self.head(dropout(last(hidden)[-scored:], self.dropout, keys[-1]))


@dataclass(frozen=True)
class Build:
    """The network's form; called with a key, the network as it starts."""

    units: int
    layers: int
    dropout: float

    def __call__(self, key: PRNGKeyArray) -> Network:
        """A network with random weights."""
        return Network(key, units=self.units, layers=self.layers, dropout=self.dropout)


@dataclass(frozen=True)
class SeedLstm:
    """The next close from the last sixty, and further closes by feeding forecasts back.

    One network, from the first of a run's seeds. Closes are scaled to 0..1 by the training bars alone; the latest
    `validation` share of the windows stops the training and gives the errors that make a distribution of the point:
    at each horizon, the quantiles of the validation residuals less their median, so that the forecast's median is what
    the network said.

    Args:
        features: the one column the network reads.
        lookback: closes in a window.
        at_least: closes without which no forecast is made.
        refit_days: days between refits in a backtest.
        validation: share of the windows, the latest ones, that validates.
        units: size of each LSTM.
        layers: LSTMs on top of each other, 1 to 3.
        dropout: share of each one's outputs left out while learning.
        epochs, batch, rate, patience, plateau, factor: as in `coincast.training.Training`.

    Raises:
        RecipeError: another number of layers.
    """

    name: ClassVar[str] = "seed-lstm"
    space: ClassVar[Space] = {
        "units": Choice((16, 32, UNITS, 64)),
        "layers": Choice((1, LAYERS, MOST_LAYERS)),
        "rate": Range(2e-4, 1e-2, log=True),
    }
    features: tuple[str, ...] = ("close",)
    lookback: int = 60
    at_least: int = 60
    refit_days: int | None = 365
    validation: float = 0.15
    units: int = UNITS
    layers: int = LAYERS
    dropout: float = DROPOUT
    epochs: int = 100
    batch: int = 32
    rate: float = 1e-3
    patience: int = 10
    plateau: int = 5
    factor: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= MOST_LAYERS:
            raise RecipeError(
                f"seed-lstm cannot have {self.layers} layers.",
                "Its layers are saved by name, and there are names for three.",
                f"Set layers to a number from 1 to {MOST_LAYERS}.",
            )

    @property
    def build(self) -> Build:
        """The network's form."""
        return Build(self.units, self.layers, self.dropout)

    @property
    def training(self) -> Training:
        """Adam on the mean squared error of many-to-one windows."""
        return Training(
            build=self.build,
            loss=squared_error,
            context=self.lookback - 1,
            scored=1,
            batch=self.batch,
            epochs=self.epochs,
            rate=self.rate,
            patience=self.patience,
            plateau=self.plateau,
            factor=self.factor,
        )

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """One network, trained on the earlier windows and judged on the later ones.

        Raises:
            DataError: the fold has too few bars.
        """
        training, validation = split(fold, self.validation)
        scaler = Scaler.min_max(training)
        following = next_bar(scaler(fold.rows), fold)
        dataset = Dataset(scaler(fold.rows), _only(following, training), _only(following, validation), np.ones(1))
        network, history = train(self.training, dataset, seeds[:1], watch)
        state = {**to_arrays(network), "offset": scaler.offset, "scale": scaler.scale}
        errors = _spread(validation.y - self._point(state, validation))
        return Fit({**state, "errors": errors}, history)

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """The point forecast's log-return plus the validation errors of its horizon."""
        return self._point(state, windows)[:, :, None] + state["errors"]

    def _point(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon"]:
        """ln(forecast close / price), h closes ahead by h steps, each reading the forecasts before it."""
        scaler = Scaler(state["offset"], state["scale"])
        network = from_arrays(self.build, {name: state[name] for name in state if "." in name})
        x = scaler(windows.x)
        path = []
        for _ in range(max(windows.horizons)):
            path.append(respond(network, x)[0].astype(float))
            x = np.concatenate([x[:, 1:], path[-1][:, None]], axis=1)
        ahead = scaler.inverse(np.concatenate(path, axis=1)[:, np.array(windows.horizons) - 1, None])[..., 0]
        # A price cannot be negative, though an extrapolated one may be.
        return np.log(np.maximum(ahead / windows.price[:, None], 0.01))


def _spread(residuals: Float[np.ndarray, "window horizon"]) -> Float[np.ndarray, "horizon K"]:
    """The residuals' quantiles at each horizon, less their median."""
    if not np.isfinite(residuals).any(axis=0).all():
        raise DataError(
            f"{len(residuals)} validation windows are too few: at some horizon none has an outcome yet.",
            "The network's errors there, and so its distribution, would be unknown.",
            "Pass a longer history or shorten the horizon.",
        )
    quantiles = np.nanquantile(residuals, LEVELS, axis=0, method="hazen").T
    return quantiles - quantiles[:, [K // 2]]


def next_bar(values: Float[np.ndarray, "bar feature"], fold: Windows) -> Float[np.ndarray, "bar feature"]:
    """The values of the bar after each; NaN where that bar is unknown or was not observed."""
    observed = np.zeros(len(values), dtype=bool)
    observed[fold.last] = True
    for column, h in enumerate(fold.horizons):
        observed[fold.last[np.isfinite(fold.y[:, column])] + h] = True
    after = np.full(values.shape, np.nan)
    after[:-1] = np.where(observed[1:, None], values[1:], np.nan)
    return after


def _only(targets: Float[np.ndarray, "bar 1"], windows: Windows) -> Float[np.ndarray, "bar 1"]:
    """The targets at these windows' origins whose bar after was known by then too."""
    kept = np.full(targets.shape, np.nan)
    known = windows.last[windows.last + 1 < len(windows.rows)]
    kept[known] = targets[known]
    return kept
