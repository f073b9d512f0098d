"""Two public tutorials, rebuilt from what is told of them: which layers, which columns, which rows were predicted.

`bidirectional` is the recipe of a bidirectional LSTM on closes and RSI that is fitted on every window and then predicts
the same windows; `same_day` that of a linear model of the day's price on the same day's high, low and moving average.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import MinMaxScaler

WINDOW, TEST_DAYS = 60, 16


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


def bidirectional(candles):
    for variable, start in zip((*MODEL.variables, *MODEL.optimizer.variables), STATE, strict=True):
        variable.assign(start)
    data = pd.DataFrame({"time": candles["time"], "close": candles["close"], "rsi": rsi(candles["close"])}).dropna()
    scaler = MinMaxScaler()
    scaled = scaler.fit_transform(data[["close", "rsi"]])
    X = np.stack([scaled[i - WINDOW : i] for i in range(WINDOW, len(scaled))])
    y = scaled[WINDOW:, 0]
    MODEL.fit(X, y, epochs=1, batch_size=128, shuffle=False, verbose=0)
    predicted = MODEL.predict(X, batch_size=512, verbose=0)[:, 0]
    lowest, highest = scaler.data_min_[0], scaler.data_max_[0]
    return pd.DataFrame({"ds": data["time"].iloc[WINDOW:], "prediction": lowest + predicted * (highest - lowest)})


def same_day(candles):
    data = candles[["time", "high", "low"]].assign(price=candles["close"])
    data["ma"] = data["price"].rolling(5).mean().bfill()
    train, test = data.iloc[:-TEST_DAYS], data.iloc[-TEST_DAYS:]
    columns = ["high", "low", "ma"]
    model = LinearRegression().fit(train[columns], train["price"])
    return pd.DataFrame({"ds": test["time"], "prediction": model.predict(test[columns])})
