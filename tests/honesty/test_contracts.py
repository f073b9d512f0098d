"""A detector that never fires is no detector: every contract must catch the leak that is planted for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from coincast.features import FEATURES, Feature
from coincast.forecast import LEVELS
from coincast.forecaster import Fit, State, Watch
from coincast.models import MODELS
from coincast.testing import check_feature, check_model, futures, market
from coincast.windows import Windows

# --- features ---------------------------------------------------------------------------------------------------------

CLOSE = pl.col("close")
LEAKING_FEATURES = {
    "centred mean": (lambda _: CLOSE.rolling_mean(5, center=True), 2),
    "z-score over the whole column": (lambda _: (CLOSE - CLOSE.mean()) / CLOSE.std(), 0),
    "next close": (lambda _: CLOSE.shift(-1), 0),
    "next close, filled at the end": (lambda _: CLOSE.shift(-1).fill_null(CLOSE), 0),
    "lost bars filled from behind": (lambda _: pl.when("observed").then(CLOSE).backward_fill(), 0),
    "lost bars interpolated": (lambda _: pl.when("observed").then(CLOSE).interpolate(), 0),
    "clipped at a quantile of the whole column": (lambda _: CLOSE.clip(upper_bound=CLOSE.quantile(0.99)), 0),
    "rank in the whole column": (lambda _: CLOSE.rank(), 0),
    "share of the rows": (lambda _: pl.int_range(pl.len()) / pl.len(), 0),
    "smoothed back and forth": (lambda _: CLOSE.ewm_mean(alpha=0.2).reverse().ewm_mean(alpha=0.2).reverse(), 0),
    "next close, on hourly bars": (lambda interval: CLOSE.shift(-1) if interval.name == "1h" else CLOSE, 0),
    "extreme of the next bar's volume": (lambda _: CLOSE * (pl.col("volume").shift(-1) > 10), 0),
}
MOOD = pl.col("mood")
LEAKING_FEATURES |= {
    "next value of an outside series": (lambda _: MOOD.shift(-1), 0),
    "next value, filled at the end": (lambda _: MOOD.shift(-1).fill_null(MOOD), 0),
    "outside series joined by nearest time": (lambda _: (MOOD + MOOD.shift(-1).fill_null(MOOD)) / 2, 0),
    "outside series scaled by its largest value": (lambda _: MOOD / MOOD.max(), 0),
}


def planted_feature(monkeypatch, expression, warm_up) -> None:
    monkeypatch.setitem(FEATURES, "planted", Feature("planted", expression, warm_up, "planted"))
    check_feature("planted")


@pytest.mark.parametrize("leak", LEAKING_FEATURES)
def test_a_feature_that_sees_the_future_is_caught(leak, monkeypatch):
    with pytest.raises(AssertionError, match=r"^planted sees the future: its value at bar \d+ "):
        planted_feature(monkeypatch, *LEAKING_FEATURES[leak])


@pytest.mark.parametrize(
    "expression", [lambda _: CLOSE.rolling_mean(10), lambda _: pl.col("volume").log()], ids=["too short", "log of 0"]
)
def test_a_value_that_is_missing_after_the_warm_up_is_caught(expression, monkeypatch):
    with pytest.raises(AssertionError, match=r"declares a warm-up of 5 bars, but at bar \[\d+\] .* it has no value"):
        planted_feature(monkeypatch, expression, 5)


@pytest.mark.parametrize("expression", [lambda _: CLOSE + 0 * MOOD, lambda _: CLOSE + MOOD.is_null()])
def test_an_outside_series_that_is_named_and_not_read_is_caught(expression, monkeypatch):
    with pytest.raises(AssertionError, match="planted names the outside series mood and does not read it"):
        planted_feature(monkeypatch, expression, 0)


@pytest.mark.parametrize(
    "expression",
    [
        lambda _: CLOSE.rolling_mean(10),
        lambda _: CLOSE.log().diff().rolling_std(9),
        lambda _: CLOSE.cum_max(),
        lambda _: MOOD - MOOD.shift(3),
        lambda _: (CLOSE * MOOD / pl.col("tide")).ewm_mean(alpha=0.1),
    ],
)
def test_an_honest_feature_passes(expression, monkeypatch):
    planted_feature(monkeypatch, expression, 10)


# --- models -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Honest:
    """Quantiles of what followed in the past, moved by the mean return of the window."""

    name: ClassVar[str] = "honest"
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 20
    at_least: int = 20
    refit_days: int | None = None

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        return Fit(self.learn(fold))

    def learn(self, fold: Windows) -> State:
        fold.demand_settled()
        return {"values": np.nanquantile(fold.y, LEVELS, axis=0, method="hazen").T}

    def predict(self, state: State, windows: Windows) -> np.ndarray:
        return state["values"] + self.shift(windows)[:, None, None]

    def shift(self, windows: Windows) -> np.ndarray:
        return windows.x[..., 0].mean(axis=1)


class LearnsFromUnsettled(Honest):
    def learn(self, fold):
        return {"values": np.nanquantile(fold.y, LEVELS, axis=0, method="hazen").T}


class LearnsByChance(Honest):
    def learn(self, fold):
        return {"values": super().learn(fold)["values"] + 1e-9 * np.random.default_rng().normal()}


class ScalesItsFoldInPlace(Honest):
    def learn(self, fold):
        state = super().learn(fold)
        fold.y.flags.writeable = True
        fold.y[:] /= 2
        return state


class LooksBehindItsFold(Honest):
    """A fold's rows are a view: whoever looks behind it finds the bars that were cut off."""

    def learn(self, fold):
        return {"values": super().learn(fold)["values"] + np.nanmean(fold.rows.base)}


class KeepsALayer(Honest):
    def learn(self, fold):
        return {"values": super().learn(fold)["values"].view(np.recarray)}


class AnswersOneHorizon(Honest):
    def predict(self, state, windows):
        return super().predict(state, windows)[:, :1]


class IgnoresHorizons(Honest):
    def predict(self, state, windows):
        return np.repeat(super().predict(state, windows)[:, :1], len(windows.horizons), axis=1)


class DividesByZero(Honest):
    def shift(self, windows):
        quietest = np.abs(windows.x[..., 0]).min(axis=1)
        return np.where(quietest == 0, np.inf, quietest)


class DrawsAtPrediction(Honest):
    def shift(self, windows):
        return super().shift(windows) + 1e-9 * np.random.default_rng().normal(size=len(windows))


class CountsItsCalls(Honest):
    def learn(self, fold):
        return super().learn(fold) | {"calls": np.zeros(1)}

    def predict(self, state, windows):
        state["calls"][0] += 1
        return super().predict(state, windows)


class ReadsTheAnswer(Honest):
    def shift(self, windows):
        return np.nan_to_num(windows.y[:, 0])


class NormalisesTheBatch(Honest):
    def shift(self, windows):
        moves = super().shift(windows)
        return moves - moves.mean()


class SpeaksToItsNeighbour(Honest):
    def shift(self, windows):
        moves = super().shift(windows)
        return moves + np.concatenate([[0], moves[:-1]])


class StandardisesAllRows(Honest):
    def shift(self, windows):
        return (super().shift(windows) - np.nanmean(windows.rows)) / np.nanstd(windows.rows)


class ReadsTheNextRow(Honest):
    def shift(self, windows):
        return windows.rows[np.minimum(windows.last + 1, len(windows.rows) - 1), 0]


class RemembersEverything(Honest):
    def shift(self, windows):
        return np.array([np.nanmean(windows.rows[: last + 1]) for last in windows.last])


class LearnsBesideItsState(Honest):
    """What is not in the state does not outlive the process."""

    memory: ClassVar[list[State]] = []

    def learn(self, fold):
        self.memory.append(super().learn(fold))
        return self.memory[-1]

    def predict(self, state, windows):
        return super().predict(state, windows) * (1 if any(state is own for own in self.memory) else 2)


LEAKING_MODELS = {
    LearnsFromUnsettled: "learns from unsettled windows",
    LearnsByChance: "is not deterministic: with the same fold and seeds",
    ScalesItsFoldInPlace: r"\.fit changes its input: y",
    LooksBehindItsFold: "learns from the future: with the bars after 20",
    KeepsALayer: "not a plain array",
    AnswersOneHorizon: r"gave the shape \(\d+, 1, 199\), not \(\d+, 2, 199\)",
    IgnoresHorizons: "ignores the horizon",
    DividesByZero: "not finite",
    DrawsAtPrediction: "is not deterministic: asked twice",
    CountsItsCalls: r"\.predict changes its input: state calls",
    ReadsTheAnswer: "reads the labels",
    NormalisesTheBatch: "depends on the windows beside one: asked one at a time",
    SpeaksToItsNeighbour: "depends on the windows beside one",
    StandardisesAllRows: "sees the future: with the bars after 20",
    ReadsTheNextRow: "sees the future: with the bars after 20",
    RemembersEverything: "reads beyond its lookback of 20 bars",
    LearnsBesideItsState: "forecasts otherwise once saved and loaded",
}


@pytest.mark.parametrize("leak", LEAKING_MODELS, ids=lambda leak: leak.__name__)
def test_a_model_that_leaks_is_caught(leak, monkeypatch):
    monkeypatch.setitem(MODELS, "honest", leak)
    with pytest.raises(AssertionError, match=f"^honest.*{LEAKING_MODELS[leak]}"):
        check_model(leak())


def test_a_model_that_cannot_be_loaded_again_is_caught():
    with pytest.raises(AssertionError, match="honest is not registered"):
        check_model(Honest())


@pytest.mark.parametrize("horizons", [(1,), (1, 3), (2, 5, 9)])
def test_an_honest_model_passes(horizons, monkeypatch):
    monkeypatch.setitem(MODELS, "honest", Honest)
    check_model(Honest(), horizons=horizons, seeds=(3,))


@dataclass(frozen=True)
class ReadsAMood(Honest):
    """Moved by an outside series as well."""

    features: tuple[str, ...] = ("log_return", "mood")

    def shift(self, windows):
        return super().shift(windows) + windows.x[:, -1, 1] / 1000


class ReadsTomorrowsMood(ReadsAMood):
    def shift(self, windows):
        return windows.rows[np.minimum(windows.last + 1, len(windows.rows) - 1), 1]


def test_a_model_may_read_an_outside_series_and_not_its_next_value(monkeypatch):
    monkeypatch.setitem(FEATURES, "mood", Feature("mood", lambda _: MOOD, 0, "planted"))
    monkeypatch.setitem(MODELS, "honest", ReadsAMood)
    check_model(ReadsAMood())
    with pytest.raises(AssertionError, match="sees the future"):
        check_model(ReadsTomorrowsMood())


def test_every_other_future_of_an_outside_series_has_the_same_past():
    candles = market(80, outside=("mood", "tide"))
    others = dict(futures(candles, 50))
    assert "told of outside a bar later" in others
    for words, other in others.items():
        assert other.frame.head(51).equals(candles.frame.head(51)), words
        for name in candles.outside:
            assert not other.frame[name].equals(candles.frame[name]), (words, name)
    assert others["told of outside a bar later"].frame["mood"][51:].to_list() == candles.frame["mood"][50:-1].to_list()


def test_every_other_future_has_the_same_past():
    candles = market(80)
    for words, other in futures(candles, 50):
        assert other.frame.head(51).equals(candles.frame.head(51)), words
        assert not np.array_equal(other.close[51:], candles.close[51:]), words
    assert len(dict(futures(candles, 50))) == 5
    assert not dict(futures(candles, 79))
