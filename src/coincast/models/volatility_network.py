"""Networks that say how far today's volatility will be wrong: what all of them share.

A causal volatility s already forecasts most of what can be forecast. A network reads ratios of faster and slower
volatilities, the last shock, volume and the week, and bends that forecast: for each horizon h its head gives the law of
y / (s sqrt(h)), a Student-t unless a model says otherwise. It starts at location 0 and scale 1, at s itself, and is
trained at every bar (dense supervision), on the coins beside its own too where there are any. The forecast is the
average of the seeds' quantiles.

Averaged quantiles: Lichtendahl, Grushka-Cockayne and Winkler 2013, "Is it better to average probabilities or
quantiles?", Management Science 59. One network for many series: Montero-Manso and Hyndman 2021, "Principles and
algorithms for forecasting groups of time series: locality and globality", International Journal of Forecasting 37.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..forecaster import Fit, State, Watch
from ..space import Choice, Range, Space
from ..training import (
    AT_ONCE,
    Dataset,
    Training,
    end_to_end,
    from_arrays,
    respond,
    split,
    to_arrays,
    train,
)
from ..windows import Scaler, Windows
from .heads import Head, StudentT
from .layers import dropout
from .scaled import INPUTS, bars_in, expected_move


class Encoder(Protocol):
    """An Equinox module: what a network remembers at each bar of a chunk, from its beginning."""

    def __call__(self, x: Float[Array, "bar batch input"], /) -> Float[Array, "bar batch unit"]:
        """The memory after each bar."""
        ...


class Network(eqx.Module):
    """An encoder, dropout of whole units, and a linear head that also sees the bar's own inputs."""

    encoder: Encoder
    head: Float[Array, "unit horizon output"]
    skip: Float[Array, "input horizon output"]
    bias: Float[Array, "horizon output"]
    form: Head = eqx.field(static=True)
    dropout: float = eqx.field(static=True)
    location: float = eqx.field(static=True)

    def __call__(
        self, chunk: Float[Array, "bar batch input"], scored: int, key: PRNGKeyArray | None
    ) -> Float[Array, "scored batch horizon output"]:
        """The law's parameters at each of the last `scored` bars."""
        hidden = self.encoder(chunk)[-scored:]
        hidden = hidden * dropout(jnp.ones_like(hidden[:1]), self.dropout, key)
        raw = jnp.tensordot(hidden, self.head, 1) + jnp.tensordot(chunk[-scored:], self.skip, 1) + self.bias
        return self.form.law(raw, self.location)


class MakeEncoder(Protocol):
    """An encoder's class: its arguments make one with random weights."""

    def __call__(self, inputs: int, units: int, key: PRNGKeyArray) -> Encoder:
        """So many inputs to so many units."""
        ...


@dataclass(frozen=True)
class Build:
    """The network's form; called with a key, the network as it starts: all but at the given volatility."""

    encoder: MakeEncoder
    form: Head
    inputs: int
    units: int
    horizons: int
    dropout: float
    location: float

    def __call__(self, key: PRNGKeyArray) -> Network:
        """A network with random weights."""
        encoder_key, head_key = jax.random.split(key)
        outputs = self.form.outputs
        return Network(
            encoder=self.encoder(self.inputs, self.units, encoder_key),
            head=0.01 * jax.random.normal(head_key, (self.units, self.horizons, outputs)),
            skip=jnp.zeros((self.inputs, self.horizons, outputs)),
            bias=jnp.zeros((self.horizons, outputs)),
            form=self.form,
            dropout=self.dropout,
            location=self.location,
        )


@dataclass(frozen=True)
class VolatilityNetwork:
    """Quantiles around a causal volatility, bent by a network and averaged over seeds.

    Args:
        volatility: the feature that returns are divided by, per bar.
        inputs: the features the network reads.
        lookback: bars a forecast sees, and the first target of each chunk.
        at_least: bars without which no forecast is made.
        refit_days: days between refits in a backtest; None to follow the run.
        validation: days before the cutoff that choose the weights; never more than a third of the windows.
        units: size of the encoder.
        dropout: share of the units left out, the same ones along a chunk.
        location: what the head's location is multiplied by; less than 1 makes it learn slowly.
        shrinkage: what remains of a learnt location (and skew) in a forecast: they are learnt from far more noise than
            scales.
        inflation: what scales are multiplied by in a forecast: laws that fit best are too narrow for new data.
        batch: chunks in a batch at most.
        steps: batches in an epoch at least.
        half_life: days in which a past target loses half its weight.
        tolerance: as in `coincast.training.Training`, times the root of the targets that validate.
        scored, epochs, rate, beta2, weight_decay, clip, average, patience, plateau, factor: as there.
    """

    name: ClassVar[str]
    encoder: ClassVar[MakeEncoder]
    form: ClassVar[Head] = StudentT()
    space: ClassVar[Space] = {
        "units": Choice((8, 16, 24, 32)),
        "dropout": Choice((0.0, 0.15, 0.3, 0.45)),
        "weight_decay": Choice((0.0, 0.1, 0.3)),
        "rate": Range(5e-4, 1e-2, log=True),
        "half_life": Range(200.0, 5_000.0, log=True),
        "epochs": Choice((25, 50, 100)),
    }
    volatility: str = "volatility_mix"
    inputs: tuple[str, ...] = INPUTS
    lookback: int = 64
    at_least: int = 64
    refit_days: int | None = None
    validation: float = 180.0
    units: int = 16
    dropout: float = 0.3
    location: float = 0.3
    shrinkage: float = 0.5
    inflation: float = 1.03
    scored: int = 256
    batch: int = 16
    steps: int = 5
    epochs: int = 50
    half_life: float = 1000.0
    rate: float = 3e-3
    beta2: float = 0.99
    weight_decay: float = 0.1
    clip: float = 1.0
    average: float = 0.99
    patience: int = 20
    tolerance: float = 0.13
    plateau: int = 10
    factor: float = 0.5

    @property
    def features(self) -> tuple[str, ...]:
        """What the network reads, and the volatility last."""
        return (*self.inputs, self.volatility)

    def _build(self, horizons: int) -> Build:
        return Build(self.encoder, self.form, len(self.inputs), self.units, horizons, self.dropout, self.location)

    def _training(self, fold: Windows, validated: int) -> Training:
        """Chunks of `scored` bars, shorter where the training bars are few; an epoch lays them end to end."""
        bars = [len(windows) for windows in fold.panel]
        scored = max(1, min(self.scored, (max(bars) - self.lookback) // 2))
        chunks = -(-sum(bars) // scored)
        steps = max(self.steps, -(-chunks // self.batch))
        return Training(
            build=self._build(len(fold.horizons)),
            loss=self.form.loss,
            context=self.lookback - 1,
            scored=scored,
            batch=-(-chunks // steps),
            steps=steps,
            epochs=self.epochs,
            half_life=bars_in(self.half_life, fold.feed.interval),
            rate=self.rate,
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            clip=self.clip,
            average=self.average,
            patience=self.patience,
            tolerance=self.tolerance / validated**0.5,
            plateau=self.plateau,
            factor=self.factor,
        )

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """One network a seed.

        Raises:
            DataError: the fold has too few bars.
        """
        share = bars_in(self.validation, fold.feed.interval) / max(len(fold), 1)
        training, validation = split(fold, min(share, 1 / 3))
        scaler = Scaler.standard(training)
        early, late = ({windows.feed: windows for windows in part.panel} for part in (training, validation))
        settings = self._training(training, sum(len(windows) for windows in late.values()))
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
        """The seeds' quantiles, averaged, times the volatility at the origin and the root of the horizon."""
        network = from_arrays(self._build(len(windows.horizons)), state)
        scaler = Scaler(state["offset"], state["scale"])
        volatility = windows.rows[windows.last, -1]
        standardised = []
        for batch in windows.batches(AT_ONCE):
            answer = respond(network, scaler(batch.x)[..., :-1]).astype(float)
            standardised.append(self.form.quantiles(answer, self.shrinkage, self.inflation).mean(axis=0))
        return np.concatenate(standardised) * expected_move(volatility, windows.horizons)[:, :, None]
