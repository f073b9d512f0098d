"""What may be trained on at a time: bars closed by then, and labels whose horizon had passed by then. Nothing else."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from quick import quick

from coincast.backtest import backtest
from coincast.errors import DataError, LookAheadError
from coincast.feed import from_numpy, to_numpy
from coincast.fitted import fit, fit_windows, predict
from coincast.models.naive import Naive
from coincast.recipe import Recipe
from coincast.testing import futures, market
from coincast.windows import Scaler, Windows, cut

CANDLES = market(160)
SPLITS = st.tuples(
    st.integers(1, 30),  # lookback
    st.lists(st.integers(1, 20), min_size=1, max_size=3, unique=True).map(sorted),  # horizons
    st.integers(40, 200),  # the bar at whose close is split, some after the last
)


def split(lookback: int, horizons: list[int], bar: int) -> tuple[Windows, Windows, np.datetime64]:
    windows = cut(CANDLES, ["log_return", "close"], lookback, horizons)
    by = CANDLES.known_at[0] + bar * CANDLES.feed.interval.step
    return windows, windows.settled(by=from_numpy(by)), by


def label_ends(windows: Windows) -> np.ndarray:
    """When each label that is there became known."""
    ends = windows.origin[:, None] + np.array(windows.horizons) * windows.feed.interval.step
    return ends[np.isfinite(windows.y)]


@settings(max_examples=60)
@given(SPLITS)
def test_settled_keeps_all_that_was_known_and_nothing_else(given_split):
    whole, known, by = split(*given_split)
    assert (label_ends(known) <= by).all()
    assert (known.known_at <= by).all()
    assert len(known.rows) == len(known.known_at) == (CANDLES.known_at <= by).sum()
    assert len(label_ends(known)) == (label_ends(whole) <= by).sum()
    assert np.isfinite(known.y).any(axis=1).all()


@settings(max_examples=60)
@given(SPLITS)
def test_settled_is_what_the_day_itself_would_have_given(given_split):
    """The twin that cannot look ahead: cut the candles of that day, and drop windows without a label."""
    lookback, horizons, bar = given_split
    _, known, by = split(lookback, horizons, bar)
    twin = cut(CANDLES.until(from_numpy(by)), ["log_return", "close"], lookback, horizons)
    labelled = np.isfinite(twin.y).any(axis=1)
    for name in ("last", "price", "y"):
        assert np.array_equal(getattr(known, name), getattr(twin, name)[labelled], equal_nan=True), name
    assert np.array_equal(known.rows, twin.rows, equal_nan=True)


@settings(max_examples=60)
@given(SPLITS, st.floats(0.05, 0.5))
def test_validation_starts_when_the_last_training_label_is_known(given_split, share):
    _, known, _ = split(*given_split)
    row = round(len(known) * (1 - share))
    assume(0 < row < len(known))
    training, validation = known.hold_out(share)
    first = validation.origin[0]
    assert (label_ends(training) <= first).all()
    assert (training.known_at <= first).all()
    assert not set(training.origin) & set(validation.origin)
    assert len(validation) == len(known) - row


@settings(max_examples=60)
@given(SPLITS)
def test_settling_twice_is_settling_at_the_earlier_time(given_split):
    whole, known, by = split(*given_split)
    earlier = from_numpy(by - 10 * CANDLES.feed.interval.step)
    for both in (known.settled(by=earlier), whole.settled(by=earlier).settled(by=from_numpy(by))):
        once = whole.settled(by=earlier)
        assert both.by == once.by == earlier
        assert np.array_equal(both.y, once.y, equal_nan=True)
        assert len(both.rows) == len(once.rows)


@pytest.mark.parametrize("scaler", [Scaler.standard, Scaler.min_max])
def test_a_scale_is_learnt_from_what_was_known(scaler):
    by = from_numpy(CANDLES.known_at[100])
    learnt = scaler(cut(CANDLES, ["close"], 5, (1,)).settled(by=by))
    for words, other in futures(CANDLES, 100):
        again = scaler(cut(other, ["close"], 5, (1,)).settled(by=by))
        assert np.array_equal(learnt.offset, again.offset), words
        assert np.array_equal(learnt.scale, again.scale), words
    close = CANDLES.close[:101]
    low, width = (close.min(), np.ptp(close)) if scaler == Scaler.min_max else (close.mean(), close.std())
    assert learnt.offset == pytest.approx([low], rel=1e-12)
    assert learnt.scale == pytest.approx([width], rel=1e-12)
    with pytest.raises(LookAheadError, match="may hold the future"):
        scaler(cut(CANDLES, ["close"], 5, (1,)))


@settings(max_examples=6)
@given(st.integers(300, 340), st.sampled_from(["naive-conformal", "ewma-t", "garch-t"]))
def test_labels_that_end_after_the_cutoff_are_never_learnt_from(bar, name):
    """The bits learnt are those learnt when every such label is blank."""
    candles = market(360)
    recipe = Recipe(quick(name), horizons=(1, 7))
    windows, cutoff = recipe.windows(candles), from_numpy(candles.known_at[bar])
    ends = windows.origin[:, None] + np.array(windows.horizons) * windows.feed.interval.step
    blanked = replace(windows, y=np.where(ends <= to_numpy(cutoff), windows.y, np.nan))
    learnt, blind = (fit_windows(recipe, each, cutoff).state for each in (windows, blanked))
    assert {key: value.tobytes() for key, value in learnt.items()} == {
        key: value.tobytes() for key, value in blind.items()
    }


class Witness(Naive):
    """Writes down what it is shown."""

    shown: ClassVar[list[np.ndarray]] = []

    def predict(self, state, windows):
        self.shown.append(windows.y)
        return super().predict(state, windows)


def test_no_model_is_shown_the_labels_of_what_it_forecasts():
    candles = market(200)
    Witness.shown.clear()
    backtest([Recipe(Witness(), refit_every=20)], candles, from_numpy(candles.known_at[100]))
    assert len(Witness.shown) == 5
    assert all(np.isnan(y).all() for y in Witness.shown)


def test_a_fitted_model_refuses_origins_before_its_cutoff():
    candles = market(200)
    fitted = fit(Recipe(quick("ewma-t")), candles)
    with pytest.raises(LookAheadError, match="has learnt until"):
        predict(fitted, candles, start=from_numpy(candles.known_at[-2]))
    with pytest.raises(LookAheadError, match="has learnt until"):
        fitted.predict(fitted.recipe.windows(candles).newest(2))
    assert len(predict(fitted, candles)) == 1


def test_nothing_settled_is_nothing_to_learn_from():
    candles = market(100)
    with pytest.raises(DataError, match="nothing was settled by"):
        fit(Recipe(quick("ewma-t"), horizons=(80,)), candles, from_numpy(candles.known_at[60]))
