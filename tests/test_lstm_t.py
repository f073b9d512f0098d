"""The Student-t network: its inputs by hand, its start, its quantiles, and a law it must find."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import jax
import numpy as np
import pytest
from scipy import stats

from coincast.errors import DataError
from coincast.features import compute
from coincast.forecast import LEVELS
from coincast.forecaster import unwatched
from coincast.models.heads import StudentT
from coincast.models.layers import LSTM
from coincast.models.lstm_t import LstmT
from coincast.models.scaled import INPUTS
from coincast.models.volatility_network import Build
from coincast.training import from_arrays
from coincast.windows import Scaler, cut
from coincast.worlds import Law, draw

QUICK = LstmT(epochs=3, units=4, scored=32)
HORIZONS = (1, 3)


@pytest.fixture(scope="module")
def candles():
    return draw(Law(volatility=0.03, dof=4, alpha=0.08, beta=0.9), 420, 0).candles


@pytest.fixture(scope="module")
def windows(candles):
    return cut(candles, QUICK.features, QUICK.lookback, HORIZONS, QUICK.at_least)


@pytest.fixture(scope="module")
def cutoff(candles):
    return candles.start + timedelta(days=380)


@pytest.fixture(scope="module")
def fit(windows, cutoff):
    return QUICK.fit(windows.settled(by=cutoff), [0, 1], unwatched)


# --- inputs ---


def average(values, decay):
    """At each bar the mean of all values so far, each weighted by decay to the power of its age."""
    out = np.empty(len(values))
    for t in range(len(values)):
        weights = decay ** np.arange(t, -1, -1.0)
        out[t] = (weights * values[: t + 1]).sum() / weights.sum()
    return out


def by_hand(candles):
    """Every input as a loop over bars would make it."""
    frame = candles.frame
    close, high, low = (frame[name].to_numpy() for name in ("close", "high", "low"))
    returns = np.diff(np.log(close))
    ranges = np.log(high / low) ** 2 / (4 * np.log(2))

    def of_returns(decay):
        return np.concatenate([[np.nan], np.log(average(returns**2, decay) + 1e-8) / 2])

    def of_ranges(decay):
        return np.log((average(ranges, decay) if decay else ranges) + 1e-8) / 2

    mix = (of_ranges(0.8) + of_returns(0.97)) / 2
    shock = np.full(len(close), np.nan)
    shock[1:] = np.clip(returns / np.exp(mix[:-1]), -5, 5)
    volume = np.log1p(frame["volume"].to_numpy())
    surprise = np.full(len(close), np.nan)
    surprise[1:] = np.clip(volume[1:] - average(volume, 0.9)[:-1], -2, 2)
    opens = [time + timedelta(days=1) for time in frame["time"]]
    angle = np.array([2 * np.pi * time.weekday() / 7 for time in opens])
    ratios = [of_returns(d) - mix for d in (0.7, 0.94, 0.985)] + [of_ranges(d) - mix for d in (0.0, 0.7, 0.9, 0.985)]
    columns = [shock, np.abs(shock), *(np.clip(ratio, -2.5, 2.5) for ratio in ratios), surprise]
    columns += [np.sin(angle), np.cos(angle), np.array([time.weekday() >= 5 for time in opens], dtype=float)]
    columns += [np.array([time.weekday() == day for time in opens], dtype=float) for day in (5, 0)]
    week = weeks(ranges + 1e-8)
    columns += [np.log(week[:-7]), np.log(week[1:-6]), np.log(week[1:-6])]
    columns += [
        [np.log(np.mean(ranges[max(t - d, 0) : t + 1] + 1e-8)) / 2 for t in range(len(close))] for d in (0, 6, 29)
    ]
    return np.stack([*columns, np.exp(mix)], axis=1)


def weeks(variance):
    """How wide each weekday is beside the average one, told seven days later; 1 for the first week."""
    usual = average(variance, 7 / 8)
    width = np.sqrt(variance[1:] / usual[:-1])
    raw = np.ones(8)
    for t in range(len(width)):
        same = width[t::-7]
        weights = 0.5 ** (np.arange(len(same)) / 26)
        raw = np.append(raw, ((weights * same).sum() + 4) / (weights.sum() + 4))
    even = [raw[t] / np.sqrt(np.mean(raw[t - 6 : t + 1] ** 2)) for t in range(8, len(raw))]
    return np.concatenate([np.ones(8), even])


def test_inputs_are_what_a_loop_over_bars_makes(candles):
    values = compute(candles, QUICK.features)
    assert np.isnan(values[:60, :10]).all()
    np.testing.assert_allclose(values[60:], by_hand(candles)[60:], rtol=1e-9, atol=1e-9)


def test_the_last_feature_is_the_volatility():
    assert QUICK.features == (*INPUTS, "volatility_mix")


# --- the network ---


@partial(jax.jit, static_argnames=("build", "scored"))
def heard(build, x, scored, key=None):
    """What a new network says."""
    return build(jax.random.key(0))(x, scored, key)


def test_network_starts_at_the_volatility():
    x = np.random.default_rng(0).normal(size=(64, 50, 3)).astype(np.float32)
    build = Build(LSTM, StudentT(), inputs=3, units=8, horizons=2, dropout=0.3, location=0.3)
    location, log_scale, dof = np.moveaxis(np.asarray(heard(build, x, 1)[0]), -1, 0)
    assert np.abs(location).max() < 0.02
    assert np.abs(log_scale).max() < 0.05
    np.testing.assert_allclose(dof, 2.1 + np.log1p(np.e), atol=0.05)


def test_dropout_leaves_out_the_same_units_along_a_chunk():
    build = Build(LSTM, StudentT(), inputs=3, units=8, horizons=1, dropout=0.5, location=0.3)
    x = np.ones((128, 1, 3), dtype=np.float32)
    noisy, calm = (np.asarray(heard(build, x, 30, key)) for key in (jax.random.key(1), None))
    # Under a constant input the hidden state comes to rest; what is heard of it would flicker with a mask a bar.
    assert np.abs(noisy - noisy[-1]).max() < 0.05 * np.abs(noisy - calm).max()


@jax.jit
def answer(network, x):
    return network(x, 1, None)


def test_forecast_is_the_average_of_the_seeds_quantiles(windows, fit):
    asked = windows.newest(3)
    values = QUICK.predict(fit.state, asked)
    networks = from_arrays(
        Build(LSTM, StudentT(), len(INPUTS), QUICK.units, 2, QUICK.dropout, QUICK.location), fit.state
    )
    scaler = Scaler(fit.state["offset"], fit.state["scale"])
    for row, last in enumerate(asked.last):
        x = scaler(windows.rows[last - QUICK.lookback + 1 : last + 1])[:, None, :-1].astype(np.float32)
        expected = []
        for member in range(2):
            network = jax.tree.map(lambda array, member=member: array[member], networks)
            location, log_scale, dof = np.moveaxis(np.asarray(answer(network, x)[0, 0], dtype=float), -1, 0)
            z = stats.t.ppf(LEVELS, dof[:, None])
            expected.append(QUICK.shrinkage * location[:, None] + QUICK.inflation * np.exp(log_scale)[:, None] * z)
        volatility = windows.rows[last, -1] * np.sqrt(HORIZONS)
        np.testing.assert_allclose(values[row], np.mean(expected, axis=0) * volatility[:, None], rtol=1e-4, atol=1e-7)


# --- learning ---


def test_nothing_after_the_cutoff_is_read(windows, fit, cutoff):
    bar = np.searchsorted(windows.known_at, np.datetime64(cutoff.replace(tzinfo=None)), side="right")
    rows, y = windows.rows.copy(), windows.y.copy()
    rows[bar:] = np.nan
    y[windows.last[:, None] + np.array(HORIZONS) >= bar] = np.nan
    again = QUICK.fit(replace(windows, rows=rows, y=y).settled(by=cutoff), [0, 1], unwatched)
    assert all(np.array_equal(fit.state[name], again.state[name]) for name in fit.state)


def test_scaler_does_not_see_the_validation_part(windows, fit, cutoff):
    settled = windows.settled(by=cutoff)
    training, _ = settled.hold_out(1 / 3)
    np.testing.assert_array_equal(fit.state["offset"], np.nanmean(training.rows, axis=0))


def test_the_law_of_a_market_is_found():
    """Constant volatility, Student-t shocks: the bands of an unseen year hold what they promise."""
    candles = draw(Law(volatility=0.03, dof=4), 1500, 1).candles
    model = LstmT(epochs=30, units=4, rate=0.01, average=0.9)
    windows = cut(candles, model.features, model.lookback, HORIZONS, model.at_least)
    cutoff = candles.start + timedelta(days=1100)
    fit = model.fit(windows.settled(by=cutoff), [0, 1], unwatched)
    asked = windows.between(cutoff, candles.end)
    values = np.sort(model.predict(fit.state, asked), axis=-1)
    for column in range(len(HORIZONS)):
        truth = asked.y[:, column]
        known = np.isfinite(truth)
        for share, allowed in ((0.5, 0.09), (0.8, 0.07), (0.95, 0.04)):
            low, high = np.quantile(values[known, column], [(1 - share) / 2, (1 + share) / 2], axis=-1, method="hazen")
            inside = ((truth[known] >= low) & (truth[known] <= high)).mean()
            assert inside == pytest.approx(share, abs=allowed)


def test_too_short_a_history_is_refused():
    candles = draw(Law(), 128, 0).candles
    windows = cut(candles, QUICK.features, QUICK.lookback, (1,), QUICK.at_least)
    with pytest.raises(DataError, match="too few to train"):
        QUICK.fit(windows.settled(by=candles.end), [0], unwatched)
