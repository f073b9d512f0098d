"""An LSTM that says how far today's volatility will be wrong.

A causal volatility s already forecasts most of what can be forecast. The network reads ratios of faster and slower
volatilities, the last shock, volume and the week, and bends that forecast: for each horizon h it gives the location,
the scale and the degrees of freedom of a Student-t for y / (s sqrt(h)). It starts at location 0 and scale 1, at s
itself, and is trained by maximum likelihood at every bar (dense supervision). The forecast is the average of the seeds'
quantiles.

Student-t heads: Salinas et al. 2020, "DeepAR", International Journal of Forecasting 36. Averaged quantiles:
Lichtendahl, Grushka-Cockayne and Winkler 2013, "Is it better to average probabilities or quantiles?", Management
Science 59.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..student_t import quantiles
from ..training import (
    AT_ONCE,
    Dataset,
    Training,
    end_to_end,
    from_arrays,
    respond,
    split,
    student_t_nll,
    to_arrays,
    train,
)
from ..windows import Scaler, Windows
from .layers import LSTM, dropout
from .linear_t import INPUTS, expected_move

LEAST_DOF = 2.1


class Network(eqx.Module):
    """One LSTM layer, dropout of whole units, and a linear head that also sees the bar's own inputs."""

    lstm: LSTM
    head: Float[Array, "unit horizon 3"]
    skip: Float[Array, "input horizon 3"]
    bias: Float[Array, "horizon 3"]
    dropout: float = eqx.field(static=True)
    location: float = eqx.field(static=True)

    def __call__(
        self, chunk: Float[Array, "bar batch input"], scored: int, key: PRNGKeyArray | None
    ) -> Float[Array, "scored batch horizon 3"]:
        """Location, log of the scale, and degrees of freedom at each of the last `scored` bars."""
        hidden = self.lstm(chunk)[-scored:]
        hidden = hidden * dropout(jnp.ones_like(hidden[:1]), self.dropout, key)
        raw = jnp.tensordot(hidden, self.head, 1) + jnp.tensordot(chunk[-scored:], self.skip, 1) + self.bias
        location = self.location * raw[..., 0]
        log_scale = jnp.clip(raw[..., 1], -3.0, 3.0)
        dof = LEAST_DOF + jax.nn.softplus(raw[..., 2] + 1.0)
        return jnp.stack([location, log_scale, dof], axis=-1)


@dataclass(frozen=True)
class Build:
    """The network's form; called with a key, the network as it starts: all but at the given volatility."""

    inputs: int
    units: int
    horizons: int
    dropout: float
    location: float

    def __call__(self, key: PRNGKeyArray) -> Network:
        """A network with random weights."""
        lstm_key, head_key = jax.random.split(key)
        return Network(
            lstm=LSTM(self.inputs, self.units, lstm_key),
            head=0.01 * jax.random.normal(head_key, (self.units, self.horizons, 3)),
            skip=jnp.zeros((self.inputs, self.horizons, 3)),
            bias=jnp.zeros((self.horizons, 3)),
            dropout=self.dropout,
            location=self.location,
        )


@dataclass(frozen=True)
class LstmT:
    """Student-t quantiles around a causal volatility, bent by an LSTM and averaged over seeds.

    Args:
        volatility: the feature that returns are divided by, per bar.
        inputs: the features the network reads.
        lookback: bars a forecast sees, and the first target of each chunk.
        at_least: bars without which no forecast is made.
        refit_days: days between refits in a backtest; None to follow the run.
        validation: bars before the cutoff that choose the weights; never more than a third of the windows.
        units: size of the LSTM.
        dropout: share of the units left out, the same ones along a chunk.
        location: what the head's location is multiplied by; less than 1 makes it learn slowly.
        shrinkage: what remains of the learnt location in a forecast: means are learnt from far more noise than scales.
        inflation: what scales are multiplied by in a forecast: laws of greatest likelihood are too narrow for new data.
        scored, batch, steps, epochs, half_life, rate, beta2, weight_decay, clip, average, patience, tolerance, plateau,
            factor: as in `coincast.training.Training`.
    """

    name: ClassVar[str] = "lstm-t"
    volatility: str = "volatility_mix"
    inputs: tuple[str, ...] = INPUTS
    lookback: int = 64
    at_least: int = 64
    refit_days: int | None = None
    validation: int = 180
    units: int = 16
    dropout: float = 0.3
    location: float = 0.3
    shrinkage: float = 0.5
    inflation: float = 1.03
    scored: int = 256
    batch: int = 4
    steps: int = 5
    epochs: int = 50
    half_life: float = 1000.0
    rate: float = 3e-3
    beta2: float = 0.99
    weight_decay: float = 0.1
    clip: float = 1.0
    average: float = 0.99
    patience: int = 20
    tolerance: float = 0.01
    plateau: int = 10
    factor: float = 0.5

    @property
    def features(self) -> tuple[str, ...]:
        """What the network reads, and the volatility last."""
        return (*self.inputs, self.volatility)

    def _build(self, horizons: int) -> Build:
        return Build(len(self.inputs), self.units, horizons, self.dropout, self.location)

    def _training(self, horizons: int, bars: int) -> Training:
        """Chunks of `scored` bars, shorter where the training bars are few."""
        return Training(
            build=self._build(horizons),
            loss=student_t_nll,
            context=self.lookback - 1,
            scored=max(1, min(self.scored, (bars - self.lookback) // 2)),
            batch=self.batch,
            steps=self.steps,
            epochs=self.epochs,
            half_life=self.half_life,
            rate=self.rate,
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            clip=self.clip,
            average=self.average,
            patience=self.patience,
            tolerance=self.tolerance,
            plateau=self.plateau,
            factor=self.factor,
        )

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """One network a seed.

        Raises:
            DataError: the fold has too few bars.
        """
        training, validation = split(fold, min(self.validation / max(len(fold), 1), 1 / 3))
        scaler = Scaler.standard(training)
        settings = self._training(len(fold.horizons), max(len(windows) for windows in training.panel))
        early, late = ({windows.feed: windows for windows in part.panel} for part in (training, validation))
        datasets = [
            Dataset(
                inputs=scaler(windows.rows)[:, :-1],
                train=self._targets(windows, early.get(windows.feed)),
                validation=self._targets(windows, late.get(windows.feed)),
                # Overlapping returns over h bars hold 1 / h of the information.
                importance=1 / np.array(fold.horizons),
                age=(training.origin[-1] - windows.known_at) / fold.feed.interval.step,
            )
            for windows in fold.panel
        ]
        network, history = train(settings, end_to_end(datasets, settings.scored), seeds, watch)
        return Fit({**to_arrays(network), "offset": scaler.offset, "scale": scaler.scale}, history)

    def _targets(self, fold: Windows, part: Windows | None) -> Float[np.ndarray, "bar horizon"]:
        """The labels of a part of the fold in units of the volatility, along all bars of the fold."""
        laid = np.full((len(fold.rows), len(fold.horizons)), np.nan)
        if part is not None:
            laid[: len(part.rows)] = part.targets / expected_move(part.rows[:, -1], part.horizons)
        return laid

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """The seeds' Student-t quantiles, averaged, times the volatility at the origin and the root of the horizon."""
        network = from_arrays(self._build(len(windows.horizons)), state)
        scaler = Scaler(state["offset"], state["scale"])
        volatility = windows.rows[windows.last, -1]
        standardised = []
        for batch in windows.batches(AT_ONCE):
            answer = respond(network, scaler(batch.x)[..., :-1]).astype(float)
            location, scale = self.shrinkage * answer[..., 0], self.inflation * np.exp(answer[..., 1])
            values = location[..., None] + scale[..., None] * quantiles(answer[..., 2], LEVELS)
            standardised.append(values.mean(axis=0))
        return np.concatenate(standardised) * expected_move(volatility, windows.horizons)[:, :, None]
