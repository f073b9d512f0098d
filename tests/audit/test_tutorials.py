"""Two public tutorials, rebuilt from their description in words, audited with the numbers they report."""

from pathlib import Path

import pytest

from coincast import load
from coincast.audit import Pipeline, audit

TUTORIALS = Path(__file__).with_name("tutorials.py")


@pytest.fixture(scope="module")
def bitcoin():
    return load("btc-1d").candles


def audited(name, claims, candles):
    pipeline = Pipeline.load(f"{TUTORIALS}:{name}")
    return audit(pipeline.with_word(pipeline.declared, claims), candles, timeout=120, processes=1)


def test_a_network_that_predicts_what_it_was_fitted_on(bitcoin):
    """BiLSTM and LSTM over 60 closes and RSIs, `fit(X, y)` and then `predict(X)`; RMSE 2350, MAE 1184 reported."""
    found = audited("bidirectional", {"rmse": 2350.0, "mae": 1184.0}, bitcoin)
    faults = {one.fault: one for one in found.findings}
    assert found.outcome == "failed"
    assert {"learnt from the future", "claim says nothing"} <= set(faults)
    assert "no skill beside no change" in faults
    assert faults["learnt from the future"].origin is not None


def test_a_linear_model_of_the_same_days_high_and_low(bitcoin):
    """Sixteen test days; RMSE 583, MAPE 0.76 %, R2 0.93 reported."""
    found = audited("same_day", {"rmse": 583.0, "mape": 0.0076, "r2": 0.93}, bitcoin)
    faults = {one.fault: one for one in found.findings}
    assert found.outcome == "failed"
    assert {"same-bar feature", "too few forecasts"} <= set(faults)
    leak = faults["same-bar feature"]
    assert leak.bar == leak.origin
