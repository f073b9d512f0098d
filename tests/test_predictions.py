"""Frames as the tools themselves write them.

Those in `frames/` were written by statsforecast 2.1.1 (cross_validation), prophet 1.5.0 (predict, cross_validation) and
darts 0.41.0 (quantiles and a point forecast of a TimeSeries, to_dataframe), run on the closes of the sample btc-1d. The
names of the others are those in the sources of neuralforecast (losses/pytorch.py, core.py), chronos-forecasting
(base.py, predict_df) and AutoGluon (TimeSeriesDataFrame of predictions).
"""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.errors import DataError
from coincast.feed import Feed
from coincast.forecast import LEVELS, K, to_frame
from coincast.predictions import BANDS, Predictions, of_forecast, predictions, read
from coincast.predictions import to_frame as nixtla_frame
from coincast.sample import load
from made import DAILY, HOURLY, candles_of, forecast_of, walk

FRAMES = Path(__file__).parent / "frames"
WEEKLY = Feed.parse("binance:BTC/USDT:1w")
DAY = np.timedelta64(1, "D")


def days(count: int, start: str = "2020-01-01") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq="D")


def plain(count: int = 5, **columns) -> pd.DataFrame:
    return pd.DataFrame({"ds": days(count), **(columns or {"prediction": np.arange(count) + 100.0})})


@pytest.fixture(scope="module")
def close_at():
    """The close of the sample's bar that opens on a day."""
    candles = load("btc-1d").candles
    return dict(zip(candles.time.astype("datetime64[D]"), candles.close, strict=True))


# --- what the tools wrote ---------------------------------------------------------------------------------------------


def test_a_cross_validation_of_statsforecast(close_at):
    raw = pd.read_csv(FRAMES / "statsforecast.csv", parse_dates=["ds", "cutoff"])
    (drift, naive), notes = predictions(raw, DAILY)
    assert (drift.model, naive.model) == ("RWD", "Naive")
    assert drift.levels == naive.levels == (0.025, 0.1, 0.5, 0.9, 0.975)
    columns = ["RWD-lo-95", "RWD-lo-80", "RWD", "RWD-hi-80", "RWD-hi-95"]
    np.testing.assert_array_equal(drift.prices, raw[columns].to_numpy())
    np.testing.assert_array_equal(drift.point, raw["RWD"])
    assert set(drift.horizon) == {1, 2}
    np.testing.assert_array_equal(drift.origin, raw["cutoff"].to_numpy().astype("datetime64[us]") + DAY)
    np.testing.assert_array_equal(drift.target_time, raw["ds"].to_numpy().astype("datetime64[us]") + DAY)
    np.testing.assert_array_equal(drift.stated, [close_at[day] for day in raw["ds"].to_numpy().astype("datetime64[D]")])
    # Its Naive says "no change": what the bar named by the cutoff closed at is what was known at the origin.
    np.testing.assert_array_equal(
        naive.point, [close_at[day] for day in raw["cutoff"].to_numpy().astype("datetime64[D]")]
    )
    assert notes == [f"The times in {name!r} carry no zone; they were read as UTC." for name in ("ds", "cutoff")]


def test_predictions_of_prophet_leave_its_components_aside():
    raw = pd.read_csv(FRAMES / "prophet.csv")
    [found], notes = predictions(raw, DAILY, cutoff=datetime(2021, 1, 7, tzinfo=UTC))
    assert (found.model, found.levels, found.stated) == ("yhat", (0.1, 0.5, 0.9), None)
    np.testing.assert_array_equal(found.prices, raw[["yhat_lower", "yhat", "yhat_upper"]])
    np.testing.assert_array_equal(found.horizon, [1, 2, 3, 4, 5, 6])
    assert "yhat_lower and yhat_upper are read as the ends of an 80 % interval, as Prophet sets them." in notes


def test_a_cross_validation_of_prophet(close_at):
    raw = pd.read_csv(FRAMES / "prophet_cross_validation.csv", parse_dates=["ds", "cutoff"])
    [found], _ = predictions(raw, DAILY)
    np.testing.assert_array_equal(found.horizon, [1, 2, 3] * 4)
    np.testing.assert_array_equal(found.stated, raw["y"])
    np.testing.assert_array_equal(found.stated, [close_at[d] for d in raw["ds"].to_numpy().astype("datetime64[D]")])
    # extra_output_columns=["trend"] adds a component, which is no forecast of its own.
    assert [p.model for p in predictions(raw.assign(trend=1.0), DAILY)[0]] == ["yhat"]


@pytest.mark.parametrize("name", ["time", None])
def test_quantiles_of_darts_stand_beside_a_time_index(name):
    raw = pd.read_csv(FRAMES / "darts_quantiles.csv", index_col="time", parse_dates=True)
    raw.index.name = name
    [found], notes = predictions(raw, DAILY, cutoff=datetime(2021, 1, 7, tzinfo=UTC))
    assert (found.model, found.levels) == ("close", (0.05, 0.1, 0.5, 0.9, 0.95))
    np.testing.assert_array_equal(found.prices, raw)
    np.testing.assert_array_equal(found.horizon, [1, 2, 3, 4, 5, 6])
    assert len(notes) == 1


def test_a_point_forecast_of_darts_is_the_only_column_of_numbers():
    raw = pd.read_csv(FRAMES / "darts_point.csv", index_col="time", parse_dates=True)
    [found], notes = predictions(raw, DAILY)
    assert (found.model, found.levels) == ("close", (0.5,))
    np.testing.assert_array_equal(found.horizon, 1)
    assert "all are taken as made one bar ahead" in notes[1]


def test_samples_of_darts_are_no_quantiles():
    raw = pd.DataFrame({f"close_s{k}": np.arange(3.0) for k in range(5)}, index=pd.Index(days(3), name="time"))
    with pytest.raises(DataError, match="sample paths") as error:
        predictions(raw, DAILY)
    assert "quantile([0.05, 0.5, 0.95])" in error.value.do


def test_quantiles_of_chronos():
    raw = pd.DataFrame(
        {
            "item_id": "BTC",
            "timestamp": days(3),
            "target_name": "target",
            "predictions": [101.0, 102.0, 103.0],
            **{str(q): np.array([100.0, 101.0, 102.0]) + 10 * q for q in (0.1, 0.5, 0.9)},
        }
    )
    [found], notes = predictions(raw, DAILY)
    assert (found.model, found.levels) == ("predictions", (0.1, 0.5, 0.9))
    np.testing.assert_array_equal(found.point, [105.0, 106.0, 107.0])
    assert "'predictions': the median stands beside it, so the mean was left aside." in notes
    [without], _ = predictions(raw.drop(columns="0.5"), DAILY)
    np.testing.assert_array_equal(without.point, raw["predictions"])


def test_quantiles_of_autogluon_have_their_keys_in_the_index():
    index = pd.MultiIndex.from_product([["BTC"], days(3)], names=["item_id", "timestamp"])
    raw = pd.DataFrame({"mean": 101.0, "0.1": 90.0, "0.5": 100.0, "0.9": 110.0}, index=index)
    [found], _ = predictions(raw, DAILY, cutoff=datetime(2019, 12, 31, tzinfo=UTC))
    assert found.levels == (0.1, 0.5, 0.9)
    np.testing.assert_array_equal(found.prices, np.tile([90.0, 100.0, 110.0], (3, 1)))
    np.testing.assert_array_equal(found.horizon, [1, 2, 3])


@pytest.mark.parametrize(
    ("columns", "levels"),
    [
        (("NHITS", "NHITS-lo-90", "NHITS-hi-90"), (0.05, 0.5, 0.95)),
        (("NHITS-median", "NHITS-lo-80.0", "NHITS-hi-80.0"), (0.1, 0.5, 0.9)),
        (("NHITS-median", "NHITS-lo-99.9", "NHITS-hi-99.9"), (0.0005, 0.5, 0.9995)),
        (("NHITS_ql0.1", "NHITS_ql0.5", "NHITS_ql0.9"), (0.1, 0.5, 0.9)),
        (("NHITS", "NHITS-lo-90"), (0.05, 0.5)),
        (("q0.25", "q0.5", "q0.75"), (0.25, 0.5, 0.75)),
    ],
)
def test_levels_are_told_by_the_names_of_columns(columns, levels):
    prices = {name: np.full(5, 100.0 + k) for k, name in enumerate(columns)}
    [found], _ = predictions(plain(**prices).assign(unique_id="BTC", cutoff=days(5, "2019-12-31")), DAILY)
    assert found.levels == levels
    assert found.model == ("predictions" if columns[0].startswith("q") else "NHITS")


def test_the_median_of_a_distribution_is_preferred_to_its_mean():
    """A DistributionLoss of neuralforecast writes NHITS, its mean, beside NHITS-median."""
    raw = plain(NHITS=[9.0] * 5, **{"NHITS-median": [8.0] * 5, "NHITS-lo-90": [7.0] * 5, "NHITS-hi-90": [10.0] * 5})
    [found], notes = predictions(raw.assign(unique_id="BTC"), DAILY)
    np.testing.assert_array_equal(found.point, 8.0)
    assert any("'NHITS': the median stands beside it" in note for note in notes)


def test_points_and_intervals_share_a_long_frame():
    raw = plain(MLP=[9.0] * 5, NHITS=[8.0] * 5, **{"NHITS-lo-90": [7.0] * 5, "NHITS-hi-90": [10.0] * 5})
    found, _ = predictions(raw.assign(unique_id="BTC", cutoff=days(5, "2019-12-31"), y=1.0), DAILY)
    assert {p.model: p.levels for p in found} == {"NHITS": (0.05, 0.5, 0.95), "MLP": (0.5,)}


# --- frames of no tool ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["ds", "time", "Date", "timestamp", "datetime"])
@pytest.mark.parametrize("price", ["prediction", "forecast", "yhat", "close_pred", "Predicted", "my_lstm"])
def test_plain_names_are_understood(time, price):
    raw = plain(**{price: np.arange(5) + 100.0}).rename(columns={"ds": time})
    [found], _ = predictions(raw, DAILY)
    np.testing.assert_array_equal(found.point, raw[price])
    assert found.model == price


def test_columns_that_hold_no_numbers_are_no_forecasts():
    raw = plain(prediction=[2.0] * 5).assign(y=days(5), horizon=1, cutoff=days(5, "2019-12-31"))
    listed = pl.from_pandas(raw).with_columns(pl.Series("M-lo-90", [[1.0]] * 5))
    [found], _ = predictions(listed, DAILY)
    assert (found.model, found.levels, found.stated) == ("prediction", (0.5,), None)
    nested = listed.with_columns(pl.col("prediction").reshape((5, 1)))
    with pytest.raises(DataError, match="No forecast is recognised"):
        predictions(nested, DAILY)


def test_candles_beside_a_forecast_are_not_taken_for_it():
    raw = plain(open=[1.0] * 5, high=[1.0] * 5, low=[1.0] * 5, close=[1.0] * 5, prediction=[2.0] * 5)
    [found], _ = predictions(raw, DAILY)
    np.testing.assert_array_equal(found.point, 2.0)


def test_a_series_of_pandas_is_a_forecast_too():
    [found], _ = predictions(pd.Series(np.arange(5.0) + 1, index=days(5), name="prediction"), DAILY)
    np.testing.assert_array_equal(found.target_time, days(5).to_numpy().astype("datetime64[us]") + DAY)


def test_any_kind_of_table_is_the_same_frame():
    raw = plain(y=np.arange(5) + 1.0, prediction=np.arange(5) + 100.0).assign(cutoff=days(5, "2019-12-31"))
    arrow = pa.Table.from_pandas(raw, preserve_index=False)
    text = pl.read_csv(raw.to_csv(index=False).encode())
    frames = [raw, pl.from_arrow(arrow), arrow, text, raw.set_index("ds"), {name: list(raw[name]) for name in raw}]
    first, *others = [predictions(frame, DAILY)[0][0] for frame in frames]
    for other in others:
        for name in ("origin", "target_time", "prices", "stated"):
            np.testing.assert_array_equal(getattr(other, name), getattr(first, name))


def test_the_frame_is_not_changed():
    raw = plain(prediction=np.arange(5) + 100.0)
    before = raw.copy()
    predictions(raw, DAILY)
    pd.testing.assert_frame_equal(raw, before)


def test_times_with_a_zone_are_brought_to_utc():
    raw = plain(prediction=np.arange(5) + 100.0)
    shifted = raw.assign(ds=raw["ds"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    (here, _), (there, notes) = predictions(raw, DAILY), predictions(shifted, DAILY)
    np.testing.assert_array_equal(here[0].target_time, there[0].target_time)
    assert not any("zone" in note for note in notes)


def test_a_cutoff_inside_a_bar_names_that_bar():
    """Binance writes the close of a bar as 23:59:59.999; the cutoffs of Prophet may fall anywhere."""
    raw = plain(prediction=np.arange(5) + 100.0).assign(cutoff=days(5) - pd.Timedelta("1ms"))
    [found], notes = predictions(raw, DAILY)
    np.testing.assert_array_equal(found.horizon, 1)
    assert any("inside a bar" in note for note in notes)


def test_cutoffs_of_the_frame_come_before_the_one_given():
    raw = plain(prediction=np.arange(5) + 100.0).assign(cutoff=days(5, "2019-12-31"))
    [found], notes = predictions(raw, DAILY, cutoff=datetime(2019, 1, 1, tzinfo=UTC))
    np.testing.assert_array_equal(found.horizon, 1)
    assert any("was not used" in note for note in notes)


def test_a_target_that_was_known_already_is_kept_for_the_audit():
    raw = plain(prediction=np.arange(5) + 100.0).assign(cutoff=days(5))
    [found], _ = predictions(raw, DAILY)
    np.testing.assert_array_equal(found.horizon, 0)


@pytest.mark.parametrize(
    ("feed", "opens", "closes"),
    [
        (HOURLY, "2020-01-01T13:00", "2020-01-01T14:00"),
        (WEEKLY, "2020-01-06", "2020-01-13"),
    ],
)
def test_a_bar_is_named_by_its_open_in_every_interval(feed, opens, closes):
    [found], _ = predictions(pl.DataFrame({"ds": [opens], "yhat": [1.0]}), feed)
    assert found.target_time[0] == np.datetime64(closes)
    assert found.origin[0] == np.datetime64(opens)


# --- our own ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own():
    candles = candles_of(walk(60, seed=4))
    values = 0.03 * np.sort(np.random.default_rng(5).standard_normal((40, 2, K)), axis=-1)
    return forecast_of(candles, range(10, 50), values, horizons=(1, 7))


def test_our_own_frame_keeps_all_its_values(own):
    frame = pl.concat([to_frame(own), to_frame(own).with_columns(pl.lit("other").alias("model"))])
    (found, other), notes = predictions(frame, own.feed)
    assert (found.model, other.model, notes) == ("model", "other", [])
    assert found.levels == tuple(LEVELS)
    assert found.levels[K // 2] == 0.5
    np.testing.assert_allclose(found.prices.reshape(40, 2, K), own.price[:, None, None] * np.exp(own.values))
    np.testing.assert_array_equal(found.horizon.reshape(40, 2), np.tile([1, 7], (40, 1)))
    np.testing.assert_array_equal(found.origin.reshape(40, 2)[:, 0], own.origin)


def test_a_forecast_is_reduced_to_its_quantiles(own):
    reduced = of_forecast(own)
    assert reduced.levels == BANDS
    for column, level in enumerate(BANDS):
        np.testing.assert_allclose(reduced.prices[:, column].reshape(40, 2), own.prices(level), rtol=1e-14)
    np.testing.assert_array_equal(reduced.target_time.reshape(40, 2), own.target_time)
    np.testing.assert_array_equal(of_forecast(own, (0.5,)).point.reshape(40, 2), own.prices())


LEVEL = st.integers(1, 9999).map(lambda k: k / 10_000)


@given(st.sets(LEVEL.filter(lambda level: level != 0.5), max_size=6), st.randoms(), st.booleans())
def test_what_is_written_in_nixtlas_form_is_read_again(levels, random, truth):
    ascending = tuple(sorted({*levels, 0.5}))
    rows = [(origin, ahead) for origin in range(6) for ahead in (1, 2, 5)]
    random.shuffle(rows)
    start = np.datetime64("2020-03-01", "us")
    written = Predictions(
        feed=DAILY,
        model="A-B_c 1",
        levels=ascending,
        origin=start + np.array([origin for origin, _ in rows]) * DAY,
        target_time=start + np.array([origin + ahead for origin, ahead in rows]) * DAY,
        prices=np.random.default_rng(len(levels)).uniform(1, 9, (len(rows), len(ascending))),
        stated=np.arange(len(rows)) + 0.5 if truth else None,
    )
    [found], _ = predictions(nixtla_frame(written), DAILY)
    assert found.model == written.model
    np.testing.assert_allclose(found.levels, ascending, rtol=1e-8)
    for name in ("origin", "target_time", "prices", "horizon"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
    assert (found.stated is not None) == truth
    if truth:
        np.testing.assert_array_equal(found.stated, written.stated)


def test_nixtlas_form_has_nixtlas_names(own):
    frame = nixtla_frame(of_forecast(own, (0.05, 0.1, 0.5, 0.9, 0.95)))
    names = ["unique_id", "ds", "cutoff", "model", "model-lo-90", "model-lo-80", "model-hi-80", "model-hi-90"]
    assert frame.columns == names
    assert frame["ds"][0] - frame["cutoff"][0] == timedelta(days=1)
    assert frame["cutoff"][0].replace(tzinfo=UTC) == own.start - timedelta(days=1)


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_are_told_by_their_content(tmp_path):
    raw = pl.read_csv(FRAMES / "statsforecast.csv")
    raw.write_parquet(tmp_path / "a")
    raw.write_ipc(tmp_path / "b")
    (tmp_path / "c").write_bytes(gzip.compress(raw.write_csv().encode()))
    for name in "abc":
        assert read(tmp_path / name).equals(raw)


@pytest.mark.parametrize("content", [b"PAR1 and no more", b"ARROW1 and no more", b"", b"a,b\n1,2,3\n"])
def test_files_that_hold_no_table_are_refused(tmp_path, content):
    (tmp_path / "frame").write_bytes(content)
    with pytest.raises(DataError, match="frame is not a table"):
        read(tmp_path / "frame")
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "nothing")


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = {
    "no time": (pd.DataFrame({"prediction": [1.0]}), "No column for the time"),
    "no forecast": (plain(note=["a"] * 5), "No forecast is recognised"),
    "two unknown columns": (plain(a=[1.0] * 5, b=[1.0] * 5), "No forecast is recognised"),
    "two series": (plain(prediction=[1.0] * 5).assign(unique_id=list("aabbb")), "names 2 series: a, b"),
    "two targets": (plain(prediction=[1.0] * 5).assign(target_name=list("aabbb")), "names 2 series"),
    "a price that is not a number": (plain(prediction=[1.0, np.nan, 1, 1, np.nan]), "nan.*2020-01-02.*2 such"),
    "a price without end": (plain(prediction=[1.0, np.inf, 1, 1, 1]), "inf at level 0.5"),
    "a price in words": (plain(prediction=["1", "2", "up", "4", "5"]).assign(cutoff=days(5)), "recognised"),
    "a time off the grid": (plain().assign(ds=days(5) + pd.Timedelta("1h")), "2020-01-01 01:00.*5 such rows"),
    "a time that is none": (plain().assign(ds=["soon"] * 5), "could not be read"),
    "a time that is missing": (plain().assign(ds=[*days(4), pd.NaT]), "cannot be read as a table"),
    "a time that is true": (plain().assign(ds=[True] * 5), "holds Boolean"),
    "a number of rows for times": (plain().assign(ds=range(5)), "could not be read"),
    "the same forecast twice": (pd.concat([plain(), plain()]), "twice"),
    "a middle in words": (
        plain(M=["11.2 USD"] * 5, **{"M-lo-90": [1.0] * 5, "M-hi-90": [2.0] * 5}),
        "'M' holds String and no numbers",
    ),
    "an interval without a middle": (plain(**{"M-lo-90": [1.0] * 5, "M-hi-90": [2.0] * 5}), "and no median"),
    "a level twice": (plain(**{"M_q0.1": [1.0] * 5, "M-lo-80": [1.0] * 5, "M": [1.0] * 5}), "both state the level 0.1"),
    "no row": (plain(0), "no row"),
    "a number": (3, "A int cannot be read"),
    "nothing": (None, "holds no row"),
    "a list": ([1.0, 2.0], "No column for the time"),
    "columns of other lengths": ({"ds": [1, 2], "prediction": [1.0]}, "A dict cannot be read"),
    "one name twice": (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "A DataFrame cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_frame_that_cannot_be_meant_is_refused_in_three_sentences(case):
    frame, found = REFUSED[case]
    with pytest.raises(DataError, match=f"(?s).*{found}") as error:
        predictions(frame, DAILY)
    assert all(sentence.endswith(".") for sentence in (error.value.found, error.value.why, error.value.do))


def test_a_run_s_frame_with_torn_values_is_refused(own):
    torn = to_frame(own).with_columns(pl.col("values").arr.head(7))
    with pytest.raises(DataError, match="does not hold 199 numbers"):
        predictions(torn, own.feed)


@pytest.mark.parametrize("levels", [(), (0.1, 0.9), (0.5, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0)])
def test_levels_ascend_within_zero_and_one_and_hold_the_median(levels):
    time = np.array(["2020-01-01"], dtype="datetime64[us]")
    with pytest.raises(DataError, match="states the levels"):
        Predictions(DAILY, "M", levels, time, time + DAY, np.ones((1, len(levels))))


def test_prices_of_another_shape_are_refused():
    time = np.array(["2020-01-01"], dtype="datetime64[us]")
    with pytest.raises(DataError, match="shape"):
        Predictions(DAILY, "M", (0.5,), time, time + DAY, np.ones((2, 1)))


def test_predictions_are_not_written_to():
    [found], _ = predictions(plain(y=[1.0] * 5, prediction=[1.0] * 5), DAILY)
    for array in (found.origin, found.target_time, found.prices, found.stated):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
