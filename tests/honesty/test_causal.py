"""A forecast made at time t is a function of candles closed by t: features, models, the whole walk-forward."""

import numpy as np
import pytest
from quick import LIKE_LSTM_T, is_dear, quick

from coincast.backtest import backtest
from coincast.candles import Candles
from coincast.features import FEATURES, compute
from coincast.feed import from_numpy
from coincast.fitted import fit, predict
from coincast.models import MODELS
from coincast.testing import check_feature, check_model, futures, market
from coincast.windows import labels
from coincast.worlds import ramp
from sampling import drawn_today


@pytest.mark.parametrize("name", FEATURES)
def test_feature_knows_no_future(name):
    check_feature(name)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LIKE_LSTM_T])
def test_model_keeps_its_contract(name):
    check_model(quick(name))


@pytest.mark.sampled
@pytest.mark.parametrize("name", drawn_today(sorted(LIKE_LSTM_T), 2))
def test_so_does_each_network_that_learns_as_another_does(name):
    check_model(quick(name))


# --- off by one? ------------------------------------------------------------------------------------------------------


def test_on_a_ramp_every_label_is_the_horizon_times_the_slope():
    horizons = (1, 2, 7, 30)
    candles = ramp(100, 0.01)
    found = labels(candles, horizons)
    for column, h in enumerate(horizons):
        np.testing.assert_allclose(found[:-h, column], 0.01 * h, rtol=0, atol=1e-15)
        assert np.isnan(found[-h:, column]).all()
    np.testing.assert_allclose(compute(candles, ["log_return"])[1:, 0], 0.01, rtol=0, atol=1e-15)


@pytest.mark.parametrize("h", [1, 3, 7])
def test_one_close_moves_the_labels_that_start_and_end_there_and_no_other(h):
    candles = market(120)
    bar = 60
    assert candles.observed[[bar - h, bar, bar + 1, bar + h]].all()
    frame = candles.frame.to_dict(as_series=False)
    frame["close"][bar] *= 1.5
    frame["high"][bar] *= 1.5
    spiked = Candles(candles.feed, type(candles.frame)(frame, schema=candles.frame.schema))
    before, after = (labels(each, (h,))[:, 0] for each in (candles, spiked))
    changed = np.flatnonzero((before != after) & ~(np.isnan(before) & np.isnan(after)))
    assert changed.tolist() == [bar - h, bar]
    assert after[bar - h] - before[bar - h] == pytest.approx(np.log(1.5), abs=1e-12)


# --- the walk-forward -------------------------------------------------------------------------------------------------

CUT = 560


def demand_same_until(limit, walks, other, cause) -> None:
    """Every forecast from origins up to then has the same bits."""
    for walk, changed in zip(walks, other, strict=True):
        kept, found = (each.forecast.take(each.forecast.origin <= limit) for each in (walk, changed))
        assert len(kept) > 100
        assert np.array_equal(kept.origin, found.origin)
        assert np.array_equal(kept.cutoff, found.cutoff)
        same = (kept.values == found.values).all(axis=(1, 2))
        assert same.all(), f"{kept.model} leaks: {cause} moved its forecast from {kept.origin[~same][0]}"


@pytest.mark.parametrize("words", ["cut off", "multiplied by 7", "reversed", "mirrored at the last price"])
def test_the_walk_forward_knows_no_future(walked, words):
    """The bar is in the middle of a block, so that the block before it was trained with labels next to the cut."""
    other = dict(futures(walked.candles, CUT))[words]
    # One process trains a network's blocks again for each of these; the dear ones are tried with one future only.
    chosen = [w for w in walked.walks if words == "reversed" or not is_dear(w)]
    again = backtest([w.recipe for w in chosen], other, walked.start)
    demand_same_until(walked.candles.known_at[CUT], chosen, again, f"later bars {words}")


def test_a_walk_forward_that_is_cut_short_ends_with_the_same_forecasts(walked):
    """Four bars after a refit (the test starts at bar 420 and refits every 80 bars), its model serves those four."""
    limit = walked.candles.known_at[420 + 80 + 4]
    chosen = [w for w in walked.walks if not is_dear(w)]
    again = backtest([w.recipe for w in chosen], walked.candles.until(from_numpy(limit)), walked.start)
    assert all(len(set(walk.forecast.cutoff)) == 2 for walk in again if walk.fitted)
    for walk, whole in zip(again, chosen, strict=True):
        n = len(walk.forecast)
        assert np.array_equal(walk.forecast.values, whole.forecast.values[:n])
        assert np.array_equal(walk.forecast.cutoff, whole.forecast.cutoff[:n])


def test_live_is_the_backtest(walked):
    """Fit at a refit's cutoff with the candles of that day; forecast from a later day with the candles of that day."""
    for walk in (w for w in walked.walks if w.fitted):
        cutoff = from_numpy(walk.forecast.cutoff[-1])
        number = int(np.flatnonzero(walk.forecast.origin > walk.forecast.cutoff[-1])[20])
        today = from_numpy(walk.forecast.origin[number])
        fitted = fit(walk.recipe, walked.candles.until(cutoff))
        live = predict(fitted, walked.candles.until(today))
        assert live.origin == walk.forecast.origin[number]
        assert live.price == walk.forecast.price[number]
        assert np.array_equal(live.values[0], walk.forecast.values[number]), walk.recipe.model.name
