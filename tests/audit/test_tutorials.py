"""Two public tutorials, rebuilt from their description in words, audited with the numbers they report."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coincast import load
from coincast.audit import Pipeline, audit

BITCOIN = load("btc-1d").candles


def audited(name, claims, candles):
    pipeline = Pipeline.load(f"{Path(__file__).with_name(name)}:forecast")
    done = audit(pipeline.with_word(pipeline.declared, claims), candles, timeout=120, processes=1)
    assert done.outcome == "failed"
    return {one.fault: one for one in done.findings}


@pytest.mark.usefixtures("compiled_once")
def test_a_network_that_predicts_what_it_was_fitted_on():
    """BiLSTM and LSTM over 60 closes and RSIs, `fit(X, y)` and then `predict(X)`; RMSE 2350, MAE 1184 reported."""
    candles = BITCOIN.until(datetime(2018, 12, 31, tzinfo=UTC))
    faults = audited("tutorial_network.py", {"rmse": 2350.0, "mae": 1184.0}, candles)
    assert {"learnt from the future", "claim says nothing", "no skill beside no change"} <= set(faults)
    assert "64 ahead" in faults["learnt from the future"].says


def test_a_linear_model_of_the_same_days_high_and_low():
    """Sixteen test days; RMSE 583, MAPE 0.76 %, R2 0.93 reported."""
    faults = audited("tutorial_linear.py", {"rmse": 583.0, "mape": 0.0076, "r2": 0.93}, BITCOIN)
    assert {"same-bar feature", "too few forecasts"} <= set(faults)
    # The bar that is read opens when the forecast is made: it is the one that is forecast.
    assert faults["same-bar feature"].bar == faults["same-bar feature"].origin
