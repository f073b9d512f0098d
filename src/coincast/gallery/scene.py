"""What a mistake is shown on, what its author would report there, and what its code does as it would run live."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from ..audit import Declarations, Pipeline
from ..candles import Candles
from ..errors import DataError
from ..feed import from_numpy, to_numpy
from ..scores import mape, r2, rmse
from . import mistakes
from .faults import Mistake
from .learners import Learner, Model, Rows, windows
from .tutorial import SOUND, Errors, Learnt, Score, Settings, Stages, Table, forecast, forecast_own_split, learn

HALF_A_DAY = timedelta(hours=12)
# Truths that differ from the price by more than this factor are in another unit.
ANOTHER_UNIT = 3.0


class Judged(NamedTuple):
    """Forecasts and what they are judged by.

    Args:
        said: the forecasts.
        stated: the truths as their author has them.
        truth: the closes they name.
        last: the last price that was known.
    """

    said: Float[np.ndarray, " forecast"]
    stated: Float[np.ndarray, " forecast"]
    truth: Float[np.ndarray, " forecast"]
    last: Float[np.ndarray, " forecast"]

    @property
    def score(self) -> Score:
        """By the truths as stated."""
        other = np.median(self.stated / self.truth)
        same_unit = 1 / ANOTHER_UNIT < other < ANOTHER_UNIT
        no_change = _errors(self.truth, self.last) if same_unit else None
        return Score(len(self.said), _errors(self.stated, self.said), no_change)

    def over(self, price: float) -> Judged:
        """The same in units of this price."""
        return Judged(*(column / price for column in self))


def _errors(truth: Float[np.ndarray, " forecast"], said: Float[np.ndarray, " forecast"]) -> Errors:
    return Errors(rmse(truth, said), mape(truth, said), r2(truth, said))


@dataclass(frozen=True)
class Scene:
    """Candles with the recipe as it should be.

    Args:
        candles: all of them, those of the test included.
        test_from: the first origin.
        settings: of the recipe.
        stages: of the recipe.
        parts: shorter bars that the candles were joined from, if they are to be seen while they form.
    """

    candles: Candles
    test_from: datetime
    settings: Settings
    stages: Stages = SOUND
    parts: Candles | None = None

    def told(self, mistake: Mistake | None) -> pl.DataFrame:
        """The forecasts that its author would report: `ds, cutoff, y, prediction`."""
        function = self._function(mistake, self._weights(mistake, self.candles))
        asked = {} if mistake and mistake.splits_itself else {"test_from": self.test_from}
        return function(self.candles.frame, now=self.candles.end, **asked).drop_nulls("y")

    def lived(self, mistake: Mistake | None) -> pl.DataFrame:
        """What the same code says as it would run live: `ds, cutoff, y, prediction, last`.

        It learns at the first origin, from what was known then, and is asked again at each close (or as its mistake
        wants it), every time with what was known then and nothing else. `y` is what came true, `last` the newest price
        it was handed.
        """
        known = self.candles.until(self.test_from)
        weights = self._weights(mistake, known)
        stages = mistake.stages(self.stages, weights) if mistake else self.stages
        learnt = learn(known.frame, self.test_from, self.test_from, stages=stages, settings=self.settings)
        asked = _at_noon(self) if mistake and mistake.asked == "at noon" else _at_closes(self)
        if mistake and mistake.asked == "once a month":
            asked = asked[:: mistakes.PATH]
        answers = [
            answer(learnt, frame, now, stages, self.settings).with_columns(last=pl.lit(frame["close"][-1]))
            for now, frame in asked
        ]
        return self._with_truth(pl.concat(answers))

    def judged(self, frame: pl.DataFrame) -> Judged:
        """The forecasts of a frame that `told` or `lived` made whose bar has closed."""
        truth = self._truth_at(frame["ds"])
        last = frame["last"].to_numpy() if "last" in frame.columns else self._close_at(frame["cutoff"])
        said, stated = frame["prediction"].to_numpy(), frame["y"].to_numpy()
        kept = np.isfinite(truth) & np.isfinite(last) & np.isfinite(stated)
        return Judged(said[kept], stated[kept], truth[kept], last[kept])

    def pipeline(self, mistake: Mistake | None) -> Pipeline:
        """The code as an audit takes it, with its author's claims and declarations."""
        stages = mistake.stages(self.stages) if mistake else self.stages
        function = self._function(mistake, self._weights(mistake, self.candles))
        symbol, today = self.candles.feed.symbol, self.candles.end.date()
        declared = dict(stages.declare(symbol, self.test_from.date(), today))
        if mistake and mistake.comes_trained:
            declared["pretrained_until"] = today
        score = self.judged(self.told(mistake)).score
        return Pipeline.of(
            function,
            name=mistake.name if mistake else "the tutorial",
            declared=Declarations(**declared),
            claims=stages.claim(score),
        )

    def _function(self, mistake: Mistake | None, weights: Model | None) -> partial[pl.DataFrame]:
        stages = mistake.stages(self.stages, weights) if mistake else self.stages
        whole = forecast_own_split if mistake and mistake.splits_itself else forecast
        return partial(whole, stages=stages, settings=self.settings)

    def _weights(self, mistake: Mistake | None, candles: Candles) -> Model | None:
        """What someone has learnt from all these candles and published."""
        if mistake is None or not mistake.comes_trained:
            return None
        stages = replace(self.stages, fit=mistakes.train_elsewhere)
        learnt = learn(candles.frame, self.test_from, candles.end, stages=stages, settings=self.settings)
        return learnt.model

    def with_learner(self, learner: Learner) -> Scene:
        """The same with another learner."""
        return replace(self, settings=replace(self.settings, learner=learner))

    @property
    def first_price(self) -> float:
        """The close at the first origin."""
        return float(self.candles.until(self.test_from).close[-1])

    @property
    def growth(self) -> float:
        """The last close as a multiple of that."""
        return float(self.candles.close[-1] / self.first_price)

    @cached_property
    def table(self) -> Table:
        """The rows that there are to forecast."""
        return self.stages.clean(self.candles.frame, self.candles.end, self.settings.horizon)

    def _close_at(self, opens: pl.Series) -> Float[np.ndarray, " forecast"]:
        """The closes of the bars that open then; NaN where there is none."""
        candles, wanted = self.candles, opens.dt.replace_time_zone(None).to_numpy()
        rows = np.searchsorted(candles.time, wanted).clip(max=len(candles) - 1)
        return np.where(candles.time[rows] == wanted, candles.close[rows], np.nan)

    def _truth_at(self, opens: pl.Series) -> Float[np.ndarray, " forecast"]:
        """The same; NaN where the bar was not observed, too."""
        missing = self.candles.time[~self.candles.observed]
        return np.where(np.isin(opens.dt.replace_time_zone(None).to_numpy(), missing), np.nan, self._close_at(opens))

    def _with_truth(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(y=pl.Series(self._truth_at(frame["ds"]))).filter(pl.col("y").is_finite())


def answer(learnt: Learnt, candles: pl.DataFrame, now: datetime, stages: Stages, settings: Settings) -> pl.DataFrame:
    """What a model that was learnt before says of the newest row of these candles."""
    table = stages.clean(candles, now, settings.horizon)
    scaled = learnt.scaler(np.column_stack([stages.features(table), stages.target(table)]))
    row = np.array([len(scaled) - 1])
    said = stages.predict(learnt.model, windows(scaled[:, :-1], row, settings.lookback))
    return stages.report(table, row, said, scaled, learnt.scaler)


def _at_closes(scene: Scene) -> list[tuple[datetime, pl.DataFrame]]:
    """At each origin whose truth is known, what was known then."""
    table, frame = scene.table, scene.candles.frame
    origins = table.origin[: table.known]
    step = scene.candles.feed.interval.delta
    return [
        (origin, frame.filter(pl.col("time") <= origin - step))
        for origin in map(from_numpy, origins[origins >= to_numpy(scene.test_from)])
    ]


def _at_noon(scene: Scene) -> list[tuple[datetime, pl.DataFrame]]:
    """Twelve hours after each close, what was known then: the bars, and the one that is still forming."""
    if scene.parts is None:
        raise DataError(
            f"{scene.candles.feed} is given without shorter bars.",
            "Nobody knows how its bars stood while they formed.",
            "Pass the bars they were joined from.",
        )
    asked = []
    for origin, known in _at_closes(scene):
        now = origin + HALF_A_DAY
        forming = _joined(scene.parts.frame.filter(pl.col("time") >= origin, pl.col("time") < now), origin)
        asked.append((now, pl.concat([known, forming.select(known.columns)])))
    return asked


def _joined(parts: pl.DataFrame, opens: datetime) -> pl.DataFrame:
    """One bar of all these."""
    return parts.select(
        pl.lit(opens).cast(parts.schema["time"]).alias("time"),
        pl.first("open"),
        pl.max("high"),
        pl.min("low"),
        pl.last("close"),
        pl.sum("volume"),
        pl.all_horizontal(pl.col("observed").any()).alias("observed"),
    )


@dataclass(frozen=True)
class Remembering:
    """A learner that does not learn the same twice.

    Args:
        learner: who learns.
        memory: by a digest of what it was given, what it has learnt.
    """

    learner: Learner
    memory: dict[str, Model] = field(default_factory=dict)
    name: ClassVar[str] = "remembering"

    @property
    def hasty(self) -> Learner:
        """The learner's own."""
        return self.learner.hasty

    def fit(
        self,
        inputs: Float[np.ndarray, "row feature"],
        target: Float[np.ndarray, " row"],
        rows: Rows,
        lookback: int,
    ) -> Model:
        """What the learner learns."""
        end = max(int(part.max(initial=-1)) for part in rows[:2]) + 1
        sha = hashlib.sha256(f"{self.learner} {lookback} {inputs.shape[1]}".encode())
        for array in (inputs[:end], target[:end], *rows[:2]):
            sha.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        digest = sha.hexdigest()
        if digest not in self.memory:
            self.memory[digest] = self.learner.fit(inputs, target, rows, lookback)
        return self.memory[digest]


def pooled(judged: Sequence[Judged]) -> Score:
    """One score over several series, each already in units of its own."""
    return Judged(*(np.concatenate(column) for column in zip(*judged, strict=True))).score
