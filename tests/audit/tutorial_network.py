"""A public tutorial, rebuilt from what is told of it: a bidirectional LSTM and another on windows of closes and RSI.

It is fitted on every window and then predicts the same windows.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pandas as pd
from sklearn.preprocessing import MinMaxScaler

WINDOW = 60


def rsi(close: pd.Series, days: int = 14) -> pd.Series:
    change = close.diff()
    gain, loss = change.clip(lower=0).rolling(days).mean(), -change.clip(upper=0).rolling(days).mean()
    return 100 - 100 / (1 + gain / loss)


def network() -> keras.Model:
    """The tutorial's two layers with far fewer units; built once a process, since building compiles it."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((WINDOW, 2)),
            keras.layers.Bidirectional(keras.layers.LSTM(8, return_sequences=True)),
            keras.layers.LSTM(4),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


MODEL = network()
STATE = [np.array(one) for one in (*MODEL.variables, *MODEL.optimizer.variables)]


def forecast(candles):
    for variable, start in zip((*MODEL.variables, *MODEL.optimizer.variables), STATE, strict=True):
        variable.assign(start)
    data = pd.DataFrame({"time": candles["time"], "close": candles["close"], "rsi": rsi(candles["close"])}).dropna()
    scaler = MinMaxScaler()
    scaled = scaler.fit_transform(data[["close", "rsi"]])
    X = np.stack([scaled[i - WINDOW : i] for i in range(WINDOW, len(scaled))])
    y = scaled[WINDOW:, 0]
    MODEL.fit(X, y, epochs=1, batch_size=256, shuffle=False, verbose=0)
    predicted = MODEL.predict(X, batch_size=512, verbose=0)[:, 0]
    lowest, highest = scaler.data_min_[0], scaler.data_max_[0]
    return pd.DataFrame({"ds": data["time"].iloc[WINDOW:], "prediction": lowest + predicted * (highest - lowest)})
