"""Forecasts as others write them: prices at the levels they chose to state.

Read from the frames that forecasting tools write. In all of them `ds` (or `timestamp`, `time`, `date`, the index)
labels the bar a forecast is about by its open, and `cutoff` the last bar it knew, by its open too:

    Nixtla              unique_id, ds, cutoff, y, NHITS, NHITS-lo-90, NHITS-hi-90, AutoARIMA ...
    Prophet             ds, yhat, yhat_lower, yhat_upper, and y, cutoff after cross-validation
    darts               close_q0.05, close_q0.50, close_q0.95 beside a time index
    Chronos, AutoGluon  item_id, timestamp, predictions or mean, 0.1, 0.5, 0.9
    coincast            forecasts.parquet of a run
    anything else       a time, and a column called prediction, forecast, yhat, close_pred or the like
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from .candles import Times
from .errors import DataError
from .feed import Feed, from_numpy, to_numpy
from .files import content_of
from .forecast import LEVELS, Forecast, K
from .rows import Note
from .tables import table_of, times_of

MEDIAN = 0.5
# The ends of the bands of 50, 80 and 95 %, and the median between them.
BANDS = (0.025, 0.1, 0.25, MEDIAN, 0.75, 0.9, 0.975)

_IDS = ("unique_id", "item_id", "target_name", "symbol", "ticker")
_TIMES = ("ds", "timestamp", "time", "date", "datetime", "index")
_TRUTHS = ("y", "actual", "target")
_POINTS = (
    *("prediction", "predictions", "predicted", "forecast", "forecasts", "yhat", "y_hat", "y_pred"),
    *("close_pred", "pred_close", "mean", "median"),
)
# What pandas and CSV files make of an index without a name, and what counts the steps ahead.
_COUNTERS = ("index", "level_0", "", "unnamed: 0", "horizon", "step")
# Prophet's interval, unless its maker set interval_width, which no column tells.
_PROPHET = {"yhat_lower": 0.1, "yhat_upper": 0.9}
_BAND = re.compile(r"(.+)-(lo|hi)-(\d+(?:\.\d+)?)")
_QUANTILE = re.compile(r"(?:(.+)_ql?|q)?(0?\.\d+)")
_MIDDLE = "-median"
# A stochastic series of darts, before its quantiles are taken.
_SAMPLE = re.compile(r"(.+)_s\d+")
# The model of a frame whose columns are called after levels alone.
_NAMELESS = "predictions"
_OWN = {"model", "origin", "target_time", "price", "values"}
# Levels are computed from names such as lo-90; digits beyond these are rounding.
_DIGITS = 10

# A stated truth is a close if it differs by no larger share: it may be rounded.
SAME_TRUTH = 1e-3
# Of each model, the column that states each level.
Columns = dict[str, dict[float, str]]


@dataclass(frozen=True)
class Predictions:
    """What one model said of one feed: a row a forecast, in any order of origins and horizons.

    Nothing is made up between the levels that were stated, and nothing is judged here.

    Args:
        feed: which candles.
        model: its name.
        levels: what the columns of `prices` are quantiles of, ascending; a point forecast is the median alone.
        origin: the last close each forecast knew, datetime64[us].
        target_time: when the price it is about becomes known, datetime64[us].
        prices: in quote currency, as they were stated: quantiles may cross.
        stated: the truth at each target as its maker states it, NaN where it does not; None if it states none.

    Raises:
        DataError: a price is not finite, two forecasts are of one origin and target, or the levels have no median.
    """

    feed: Feed
    model: str
    levels: tuple[float, ...]
    origin: Times
    target_time: Times
    prices: Float[np.ndarray, "forecast level"]
    stated: Float[np.ndarray, " forecast"] | None = None

    def __post_init__(self) -> None:
        self._demand_levels()
        self._demand_prices()
        self._demand_distinct()
        for array in (self.origin, self.target_time, self.prices, self.stated):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.origin)

    @cached_property
    def horizon(self) -> Int[np.ndarray, " forecast"]:
        """Whole intervals from origin to target; below 1 where the target was known already."""
        return np.asarray((self.target_time - self.origin) // self.feed.interval.step).astype(np.int64)

    @property
    def point(self) -> Float[np.ndarray, " forecast"]:
        """The stated median."""
        return self.prices[:, self.levels.index(MEDIAN)]

    def _demand_levels(self) -> None:
        ascending = list(self.levels) == sorted(set(self.levels))
        if not ascending or MEDIAN not in self.levels or not 0 < self.levels[0] <= self.levels[-1] < 1:
            raise DataError(
                f"{self.model} states the levels {', '.join(f'{level:g}' for level in self.levels)}.",
                "A forecast is judged by its median, and by quantiles at levels between 0 and 1.",
                "State each level once, in ascending order, with a median or point forecast (level 0.5) among them.",
            )

    def _demand_prices(self) -> None:
        shape = (len(self.origin), len(self.levels))
        if self.prices.shape != shape or self.target_time.shape != self.origin.shape or not len(self.origin):
            raise DataError(
                f"{self.model} has prices of shape {self.prices.shape} for {shape}.",
                "Nobody can say which forecast they belong to.",
                "Pass one row for each forecast and one column for each level, and at least one forecast.",
            )
        bad = np.argwhere(~np.isfinite(self.prices))
        if bad.size:
            row, column = bad[0]
            raise DataError(
                f"{self.model} states {self.prices[row, column]} at level {self.levels[column]:g} for"
                f" {_label(self.target_time[row] - self.feed.interval.step)}{_more(len(bad), 'such value')}.",
                "A forecast that is missing on some days cannot be judged over all of them.",
                "Forecast every row, or leave the row out.",
            )

    def _demand_distinct(self) -> None:
        pairs = pl.DataFrame({"origin": self.origin, "target_time": self.target_time})
        twice = pairs.is_duplicated().arg_true()
        if len(twice):
            step = self.feed.interval.step
            raise DataError(
                f"{self.model} forecasts the bar {_label(self.target_time[twice[0]] - step)} twice from the bar"
                f" {_label(self.origin[twice[0]] - step)}{_more(len(twice), 'such row')}.",
                "Nobody can say which of the two was meant.",
                "Keep one forecast for each cutoff and ds.",
            )


def of_forecast(forecast: Forecast, levels: Sequence[float] = BANDS) -> Predictions:
    """One of our own forecasts, reduced to its quantiles at these levels."""
    ends = np.quantile(forecast.values, levels, axis=-1, method="hazen")
    prices = forecast.price[:, None, None] * np.exp(np.moveaxis(ends, 0, -1))
    return Predictions(
        feed=forecast.feed,
        model=forecast.model,
        levels=tuple(float(level) for level in levels),
        origin=np.repeat(forecast.origin, len(forecast.horizons)),
        target_time=forecast.target_time.ravel(),
        prices=prices.reshape(-1, len(levels)),
    )


def to_frame(predictions: Predictions) -> pl.DataFrame:
    """The same in Nixtla's form: `unique_id, ds, cutoff, y, model, model-lo-90, model-hi-90 ...`, times without zone.

    `y` only where the maker stated truths; the bands widest first.
    """
    step = predictions.feed.interval.step
    columns: dict[str, object] = {
        "unique_id": [str(predictions.feed)] * len(predictions),
        "ds": predictions.target_time - step,
        "cutoff": predictions.origin - step,
    }
    if predictions.stated is not None:
        columns["y"] = predictions.stated
    columns[predictions.model] = predictions.point
    for level, prices in zip(predictions.levels, predictions.prices.T, strict=True):
        if level != MEDIAN:
            side = "lo" if level < MEDIAN else "hi"
            columns[f"{predictions.model}-{side}-{abs(100 - 200 * level):.{_DIGITS}g}"] = prices
    return pl.DataFrame(columns)


def read(path: str | Path) -> pl.DataFrame:
    """A frame of forecasts from a Parquet, feather or CSV file (plain or gzipped), told by its content.

    Raises:
        DataError: the file is not there or holds no table.
    """
    content = content_of(Path(path))
    try:
        if content.startswith(b"PAR1"):
            return pl.read_parquet(io.BytesIO(content))
        if content.startswith(b"ARROW1"):
            return pl.read_ipc(io.BytesIO(content))
        return pl.read_csv(content, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(
            f"{path} is not a table: {_first_line(error)}.",
            "Its forecasts cannot be read.",
            "Save them as Parquet, feather or CSV in UTF-8.",
        ) from None


def predictions(frame: object, feed: Feed, *, cutoff: datetime | None = None) -> tuple[list[Predictions], list[str]]:
    """The forecasts of every model in a frame.

    Args:
        frame: a polars, pandas or Arrow table in one of the forms named above; pandas may hold ids and times in its
            index. Times without a zone are read as UTC.
        feed: the candles they are about.
        cutoff: the open of the last bar that every forecast knew, for a frame that does not say; without it each is
            taken as made one bar ahead of its target.

    Returns:
        One `Predictions` a model, those that state levels first; and what was taken for granted, in plain sentences.

    Raises:
        DataError: no forecast is recognised, a value is no finite price or no time on the feed's grid, there are
            several series, or one forecast stands twice.
    """
    table = _table(frame)
    _demand_one_series(table)
    if set(table.columns) >= _OWN:
        return _own(table, feed), []
    notes: list[str] = []
    target_time = _opens(table, _time_column(table), feed, notes) + feed.interval.step
    origin = _origins(table, feed, target_time, cutoff, notes)
    models = _columns(table, notes)
    truths = [name for name in table.columns if name.lower() in _TRUTHS and _may_hold_numbers(table[name])]
    stated = _numbers(table[truths[0]]) if truths else None
    return [
        Predictions(
            feed=feed,
            model=model,
            levels=tuple(sorted(columns)),
            origin=origin,
            target_time=target_time,
            prices=np.stack([_numbers(table[columns[level]]) for level in sorted(columns)], axis=1),
            stated=stated,
        )
        for model, columns in models.items()
    ], list(dict.fromkeys(notes))


def _table(frame: object) -> pl.DataFrame:
    try:
        table = table_of(frame)
    except (pl.exceptions.PolarsError, AttributeError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"A {type(frame).__name__} cannot be read as a table of forecasts ({_first_line(error)}).",
            "A forecast is a row with a time and a price.",
            "Pass a polars or pandas table without holes, with columns such as ds, cutoff, prediction.",
        ) from error
    if table.is_empty():
        raise DataError("The frame holds no row.", "There is nothing to judge.", "Pass at least one forecast.")
    return table


def _demand_one_series(table: pl.DataFrame) -> None:
    for name in table.columns:
        if name.lower() in _IDS and table[name].n_unique() > 1:
            several = ", ".join(map(str, table[name].unique(maintain_order=True).head(3)))
            raise DataError(
                f"The column {name!r} names {table[name].n_unique():,} series: {several} ...",
                "Forecasts are judged by the candles of one feed.",
                "Keep the rows of one of them.",
            )


def _own(table: pl.DataFrame, feed: Feed) -> list[Predictions]:
    """A run's forecasts.parquet: all values of each forecast are kept."""
    try:
        parts = table.with_columns(pl.col("values").cast(pl.Array(pl.Float64(), K))).partition_by(
            "model", maintain_order=True
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"The column 'values' does not hold {K} numbers a row ({_first_line(error)}).",
            "A forecast of a run is that many equally likely log-returns.",
            "Pass forecasts.parquet as a run left it.",
        ) from None
    return [
        Predictions(
            feed=feed,
            model=part["model"][0],
            levels=tuple(float(level) for level in LEVELS),
            origin=_opens(part, "origin", feed, []),
            target_time=_opens(part, "target_time", feed, []),
            prices=_numbers(part["price"])[:, None] * np.exp(part["values"].to_numpy()),
        )
        for part in parts
    ]


def _time_column(table: pl.DataFrame) -> str:
    for wanted in _TIMES:
        for name in table.columns:
            # An index that only counts rows is no time.
            if name.lower() == wanted and (wanted != "index" or table[name].dtype.is_temporal()):
                return name
    raise DataError(
        f"No column for the time of a forecast among {_listed(table.columns)}.",
        "Without it nobody can say which bar a forecast is about.",
        "Name it ds: the open of the bar that is forecast.",
    )


def _opens(table: pl.DataFrame, name: str, feed: Feed, notes: list[str]) -> Times:
    """A column of times, every one the open of a bar."""
    times = _read_times(table[name], notes)
    off = np.flatnonzero((times - to_numpy(feed.interval.grid)) % feed.interval.step != np.timedelta64(0))
    if off.size:
        raise DataError(
            f"{name} is {_label(times[off[0]])} in row {off[0]}{_more(len(off), 'such row')}: no {feed.interval} bar"
            " opens then.",
            "A forecast is about the close of a bar, and a bar is named by its open in UTC.",
            "Write the open of the bar that is forecast.",
        )
    return times


def _read_times(column: pl.Series, notes: list[str]) -> Times:
    readable = column.dtype.is_temporal() or column.dtype.is_numeric() or column.dtype == pl.String
    if not readable or column.dtype in (pl.Duration, pl.Time):
        raise DataError(
            f"The column {column.name!r} holds {column.dtype}.",
            "It should say which bar each forecast is about.",
            "Write times like 2020-01-31 or 2020-01-31T13:00:00Z.",
        )
    said: list[Note] = []
    nothing_blank = pl.repeat(False, len(column), eager=True)
    times = times_of(column, nothing_blank, None, lambda row: f"row {row}", said)
    notes += [note.says for note in said]
    return times.dt.replace_time_zone(None).to_numpy()


def _origins(table: pl.DataFrame, feed: Feed, target_time: Times, cutoff: datetime | None, notes: list[str]) -> Times:
    """When the last bar that each forecast knew had closed."""
    step, grid = feed.interval.step, to_numpy(feed.interval.grid)
    column = next((name for name in table.columns if name.lower() == "cutoff"), None)
    if column is not None:
        if cutoff is not None:
            notes.append(f"The frame states its own cutoffs in {column!r}; the one given was not used.")
        times = _read_times(table[column], notes)
        opens = grid + (times - grid) // step * step
        if (opens != times).any():
            notes.append(f"Some cutoffs lie inside a bar: that {feed.interval} bar is taken for the last one known.")
        return opens + step
    if cutoff is not None:
        open_ = to_numpy(feed.interval.floor(cutoff))
        return np.full(len(target_time), open_ + step)
    notes.append(
        "The frame does not say when each forecast was made: all are taken as made one bar ahead. Give the cutoff if"
        " they are one path from one origin."
    )
    return target_time - step


def _columns(table: pl.DataFrame, notes: list[str]) -> Columns:
    """Which column states what: of each model, the column of each level.

    Raises:
        DataError: there is no forecast, a model states no median, or two columns state the same.
    """
    models, left = _by_level(table)
    means = []
    for model, columns in models.items():
        point = _point(model, left)
        if point is not None and columns.setdefault(MEDIAN, point) != point:
            means.append(point)
    used = {name for columns in models.values() for name in columns.values()}
    left = [name for name in left if name not in used and name not in means]
    models |= _points(table, models, left)
    _demand_medians(models, table)
    if any("yhat_lower" in columns.values() or "yhat_upper" in columns.values() for columns in models.values()):
        notes.append("yhat_lower and yhat_upper are read as the ends of an 80 % interval, as Prophet sets them.")
    if means:
        notes.append(f"{_listed(means)}: the median stands beside it, so the mean was left aside.")
    return models


def _by_level(table: pl.DataFrame) -> tuple[Columns, list[str]]:
    """The columns whose names tell a level, and the numeric ones whose names do not."""
    models: Columns = {}
    left = []
    known = {_time_column(table), "cutoff", *_IDS, *_TRUTHS, *_COUNTERS}
    for name in table.columns:
        told = _level(name) if _may_hold_numbers(table[name]) else None
        if told is None:
            if not known & {name, name.lower()} and table[name].dtype.is_numeric():
                left.append(name)
            continue
        model, level = told
        other = models.setdefault(model, {}).setdefault(level, name)
        if other != name:
            raise DataError(
                f"The columns {other!r} and {name!r} both state the level {level:g}.",
                "Nobody can say which of them is meant.",
                "Keep one of them.",
            )
    return models, left


def _level(name: str) -> tuple[str, float] | None:
    """The model and the level that a column's name tells."""
    if name in _PROPHET:
        return "yhat", _PROPHET[name]
    if name.endswith(_MIDDLE):
        return name.removesuffix(_MIDDLE), MEDIAN
    if (band := _BAND.fullmatch(name)) and float(band[3]) < 100:
        half = float(band[3]) / 200
        return band[1], round(MEDIAN - half if band[2] == "lo" else MEDIAN + half, _DIGITS)
    if (quantile := _QUANTILE.fullmatch(name)) and float(quantile[2]) > 0:
        return quantile[1] or _NAMELESS, float(quantile[2])
    return None


def _point(model: str, left: Iterable[str]) -> str | None:
    """The column of a model's point forecast."""
    if model in left:
        return model
    return next((name for name in left if name.lower() in _POINTS), None) if model == _NAMELESS else None


def _points(table: pl.DataFrame, models: Mapping[str, object], left: Sequence[str]) -> Columns:
    """The models that state a point alone, among the columns left."""
    named = [name for name in left if name.lower() in _POINTS]
    if models:
        # Beside the intervals of one model a long frame may hold the points of another.
        long = {"unique_id", "cutoff"} & set(table.columns) and not {"yhat", _NAMELESS} & set(models)
        return {name: {MEDIAN: name} for name in left} if long else {}
    if named or len(left) == 1 or {"unique_id", "cutoff"} & set(table.columns):
        return {name: {MEDIAN: name} for name in named or left}
    return {}


def _demand_medians(models: Columns, table: pl.DataFrame) -> None:
    names = table.columns
    if not models and any(_SAMPLE.fullmatch(name) for name in names):
        raise DataError(
            f"The columns {_listed(names)} are sample paths.",
            "Forecasts are judged at stated levels, and which levels samples stand for is for their maker to say.",
            "Take quantiles first; in darts: series.quantile([0.05, 0.5, 0.95]).to_dataframe().",
        )
    if not models:
        raise DataError(
            f"No forecast is recognised among the columns {_listed(names)}.",
            "A column of prices must be named so that nobody has to guess.",
            "Name the forecast prediction, or write it as ds, cutoff, MODEL, MODEL-lo-90, MODEL-hi-90.",
        )
    for model, columns in models.items():
        if MEDIAN not in columns and model in names:
            raise DataError(
                f"The column {model!r} holds {table[model].dtype} and no numbers.",
                "It should state the median of each forecast, a price.",
                "Write numbers.",
            )
        if MEDIAN not in columns:
            raise DataError(
                f"{model} states {_listed(list(columns.values()))} and no median.",
                "An interval alone does not say where in it the price is expected, and nothing is made up.",
                f"Add a column {model} or {model}-median, or 0.5 beside columns called after levels.",
            )


def _may_hold_numbers(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)


def _numbers(column: pl.Series) -> Float[np.ndarray, " forecast"]:
    """NaN for what is missing; and for what is no number."""
    return column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()


def _label(time: np.datetime64) -> str:
    return f"{from_numpy(time):%Y-%m-%d %H:%M}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _more(count: int, what: str) -> str:
    return f" ({count:,} {what}s)" if count > 1 else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    return f"{shown} and {len(names) - 12:,} more" if len(names) > 12 else shown
