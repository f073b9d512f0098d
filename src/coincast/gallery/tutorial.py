"""The classic recipe, done soundly: sixty closes in, the next close out.

A table has a row for each bar that is to be forecast. A row's features are what was known `horizon` bars before it
closes, at its origin; its target is its close. `learn` and `forecast` are the whole of it; each stage they call is a
function that a mistake of `mistakes.py` may take the place of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from ..candles import Times
from ..errors import DataError
from ..feed import to_numpy
from ..windows import Scaler
from .learners import Learner, Model, RowNumbers, Rows, windows

Values = Float[np.ndarray, "row column"]

# Rows with a whole window below which nothing is learnt.
LEAST = 50


@dataclass(frozen=True)
class Settings:
    """What the recipe leaves open.

    Args:
        learner: what learns.
        lookback: rows in a window.
        horizon: bars from a row's origin to its close.
        validation: share of the training rows, the latest ones, that the learner stops or chooses by.
    """

    learner: Learner
    lookback: int = 60
    horizon: int = 1
    validation: float = 0.15


@dataclass(frozen=True)
class Table:
    """A row for each bar, and empty ones for the `horizon` bars still to come.

    Args:
        candles: what it was made of: `time` (bar open, UTC), open, high, low, close, volume, observed.
        rows: `closes` (when the bar closes, UTC), open, high, low, close, volume, observed; null in bars still to come.
        horizon: bars from a row's origin to its close.
    """

    candles: pl.DataFrame
    rows: pl.DataFrame
    horizon: int

    @property
    def step(self) -> timedelta:
        """The length of a bar."""
        return length(self.rows["closes"])

    def closes(self, rows: RowNumbers) -> Times:
        """When the bars of these rows close, rows beyond the last one included; datetime64[us]."""
        first: datetime = self.rows["closes"][0]
        return to_numpy(first) + rows * np.timedelta64(self.step)

    @property
    def origin(self) -> Times:
        """When each row is forecast, datetime64[us]."""
        return self.closes(np.arange(len(self.rows)) - self.horizon)

    def usable(self, lookback: int) -> RowNumbers:
        """The rows with `lookback` rows of features, the empty ones included.

        Raises:
            DataError: they are too few.
        """
        return enough(np.arange(self.horizon + lookback - 1, len(self.rows)))

    @property
    def known(self) -> int:
        """How many rows are not empty."""
        return len(self.rows) - self.horizon


# --- the whole of it --------------------------------------------------------------------------------------------------


class Learnt(NamedTuple):
    """Everything up to a trained model."""

    table: Table
    scaler: Scaler
    scaled: Values
    rows: Rows
    model: Model


def learn(
    candles: pl.DataFrame, test_from: datetime | None, now: datetime, *, stages: Stages, settings: Settings
) -> Learnt:
    """Candles in, a trained model out. Of `values` and `scaled` the last column is the target."""
    table = stages.clean(candles, now, settings.horizon)
    values = np.column_stack([stages.features(table), stages.target(table)])
    rows = stages.split(table, test_from, settings)
    scaler = stages.scale(values, rows)
    scaled = scaler(values)
    model = stages.fit(scaled, rows, settings)
    return Learnt(table, scaler, scaled, rows, model)


def forecast(
    candles: pl.DataFrame, test_from: datetime | None, now: datetime, *, stages: Stages, settings: Settings
) -> pl.DataFrame:
    """Candles in, forecasts out: `ds, cutoff, y, prediction`."""
    table, scaler, scaled, rows, model = learn(candles, test_from, now, stages=stages, settings=settings)
    said = stages.predict(model, windows(scaled[:, :-1], rows.test, settings.lookback))
    return stages.report(table, rows.test, said, scaled, scaler)


def forecast_own_split(candles: pl.DataFrame, now: datetime, *, stages: Stages, settings: Settings) -> pl.DataFrame:
    """The same for a recipe that chooses its own test."""
    return forecast(candles, None, now, stages=stages, settings=settings)


# --- its stages -------------------------------------------------------------------------------------------------------


def clean(candles: pl.DataFrame, now: datetime, horizon: int) -> Table:
    """The bars that have closed by now."""
    return tabulate(candles.filter(pl.col("time") + length(candles["time"]) <= now), horizon)


def features(table: Table) -> Values:
    """The close known at each row's origin."""
    known = pl.col("close").shift(table.horizon)
    return table.rows.select(known).to_numpy()


def target(table: Table) -> Float[np.ndarray, " row"]:
    """Each row's own close, if there was such a bar."""
    closes = table.rows.select(pl.when("observed").then("close"))
    return closes.to_series().to_numpy()


def split(table: Table, test_from: datetime, settings: Settings) -> Rows:
    """Learn from rows that had closed by the first origin, forecast the rows whose origin is that or later."""
    usable = table.usable(settings.lookback)
    closed = enough(usable[table.closes(usable) <= to_numpy(test_from)])
    first = round(len(closed) * (1 - settings.validation))
    # The rows before the first one of validation reach into it.
    train = closed[: max(first - settings.horizon + 1, 1)]
    return Rows(train, closed[first:], usable[table.origin[usable] >= to_numpy(test_from)])


def scale(values: Values, rows: Rows) -> Scaler:
    """The smallest value of the training rows becomes 0, the largest 1."""
    return min_max(values[rows.train])


def fit(scaled: Values, rows: Rows, settings: Settings) -> Model:
    """Learn from the training rows, stop by the validation rows."""
    inputs, wanted = scaled[:, :-1], scaled[:, -1]
    return settings.learner.fit(inputs, wanted, rows, settings.lookback)


def predict(model: Model, x: Float[np.ndarray, "window lookback feature"]) -> Float[np.ndarray, "window step"]:
    """The one bar that each window leads to."""
    return model(x)[:, None]


def report(
    table: Table, rows: RowNumbers, said: Float[np.ndarray, "window step"], scaled: Values, scaler: Scaler
) -> pl.DataFrame:
    """Forecasts and truths as prices."""
    return tell(table, rows, prices(said, scaler), prices(scaled[:, -1], scaler))


def claim(_score: Score) -> Mapping[str, float]:
    """What is claimed of the forecasts: nothing that "no change" would not have to be shown beside."""
    return {}


def declare(symbol: str, test_from: date, _today: date) -> Mapping[str, Any]:
    """What no test can show."""
    return {
        "universe": (symbol,),
        "universe_as_of": test_from,
        "pretrained_until": "never",
        "tuned_until": "never",
        "trials": 1,
        "seeds": 1,
    }


@dataclass(frozen=True)
class Stages:
    """The stages, each a function; a mistake is one that is not these."""

    clean: Callable[[pl.DataFrame, datetime, int], Table] = clean
    features: Callable[[Table], Values] = features
    target: Callable[[Table], Float[np.ndarray, " row"]] = target
    split: Callable[[Table, Any, Settings], Rows] = split
    scale: Callable[[Values, Rows], Scaler] = scale
    fit: Callable[[Values, Rows, Settings], Model] = fit
    predict: Callable[[Model, np.ndarray], np.ndarray] = predict
    report: Callable[[Table, RowNumbers, np.ndarray, Values, Scaler], pl.DataFrame] = report
    claim: Callable[[Score], Mapping[str, float]] = claim
    declare: Callable[[str, date, date], Mapping[str, Any]] = declare


SOUND = Stages()


# --- what the stages share --------------------------------------------------------------------------------------------

_COLUMNS = ("open", "high", "low", "close", "volume", "observed")


def enough(rows: RowNumbers) -> RowNumbers:
    """The same rows.

    Raises:
        DataError: they are too few to learn from.
    """
    if len(rows) < LEAST:
        raise DataError(
            f"{len(rows)} rows with a whole window are too few to learn from.",
            "A model that has seen next to nothing has nothing to say.",
            "Pass a longer history or set a later --test-from.",
        )
    return rows


def length(times: pl.Series) -> timedelta:
    """The length of a bar, from the times of the first two.

    Raises:
        DataError: there are not two.
    """
    if len(times) < 2:
        raise DataError(
            f"{len(times)} closed bar{'s' * (len(times) != 1)} are too few.",
            "A bar's length is not known before the second, and there is nothing to learn from.",
            "Pass a longer history.",
        )
    return times[1] - times[0]


def tabulate(candles: pl.DataFrame, horizon: int) -> Table:
    """A row a candle, and the empty ones."""
    step = length(candles["time"])
    rows = candles.select(pl.col("time").alias("closes") + step, *_COLUMNS)
    last = rows["closes"][-1]
    ahead = pl.Series("closes", [last + (h + 1) * step for h in range(horizon)], dtype=rows.schema["closes"])
    return Table(candles, pl.concat([rows, ahead.to_frame()], how="diagonal"), horizon)


def whole_days(candles: pl.DataFrame, now: datetime, horizon: int) -> Table:
    """For bars shorter than a day, in the place of `clean`: the days, UTC, all of whose bars have closed by now."""
    step = length(candles["time"])
    closed = candles.filter(pl.col("time") + step <= now)
    prices = (pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"))
    rest = (pl.sum("volume"), pl.last("observed"), pl.len().alias("bars"))
    days = closed.group_by_dynamic("time", every="1d").agg(*prices, *rest)
    whole = days.filter(pl.col("bars") == timedelta(days=1) // step).drop("bars")
    return Table(closed, tabulate(whole, horizon).rows, horizon)


def min_max(values: Values) -> Scaler:
    """The scale that takes the columns of `values` to 0..1."""
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    return Scaler(low, np.where(high > low, high - low, 1.0))


def prices(scaled: Float[np.ndarray, "..."], scaler: Scaler) -> Float[np.ndarray, "..."]:
    """What is scaled like the target, in quote currency."""
    return scaled * scaler.scale[-1] + scaler.offset[-1]


def tell(
    table: Table, rows: RowNumbers, said: Float[np.ndarray, "window step"], truth: Float[np.ndarray, " row"]
) -> pl.DataFrame:
    """Forecasts as a frame: `ds` the open of the last candle in the bar that is forecast, `cutoff` of the last known.

    Args:
        table: whose rows are forecast.
        rows: the first bar of each forecast; there may be fewer forecasts than rows.
        said: how the price goes from there, bar by bar.
        truth: of every row; NaN where there is none yet.
    """
    asked = rows[: len(said), None] + np.arange(said.shape[1])
    origin = np.broadcast_to(rows[: len(said), None] - table.horizon, asked.shape)
    candle = np.timedelta64(length(table.candles["time"]))
    later = np.concatenate([truth, np.full(said.shape[1], np.nan)])
    return pl.DataFrame(
        {
            "ds": table.closes(asked.ravel()) - candle,
            "cutoff": table.closes(origin.ravel()) - candle,
            "y": later[asked.ravel()],
            "prediction": said.ravel(),
        }
    ).with_columns(pl.col("ds", "cutoff").dt.replace_time_zone("UTC"), pl.col("y").fill_nan(None))


class Errors(NamedTuple):
    """Of point forecasts.

    Args:
        rmse: in the unit they are in.
        mape: a fraction.
        r2: of the level; None if the truth never moved.
    """

    rmse: float
    mape: float
    r2: float | None


class Score(NamedTuple):
    """What a report says of point forecasts.

    Args:
        n: forecasts with a truth.
        own: their errors, by the truths they are reported with.
        no_change: those of the last price over the same forecasts; None if they are in another unit than the price.
    """

    n: int
    own: Errors
    no_change: Errors | None

    @property
    def ratio(self) -> float | None:
        """The RMSE as a multiple of that of "no change"."""
        return self.own.rmse / self.no_change.rmse if self.no_change and self.no_change.rmse else None
