"""Pipelines that behave badly, each in one way; audited as a user's own file is.

`chosen` behaves as the one whose place in `BY_VOLUME` the first bar's volume names, so that one process can be asked
about many of them.
"""

import ctypes
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from coincast.candles import Candles

CALLS = []
MEMORY = {}


def naive(candles, test_from=None):
    """What all of them would answer if they behaved."""
    step = candles["time"].iloc[1] - candles["time"].iloc[0]
    known = candles[candles["time"] + step >= test_from] if test_from else candles.iloc[100:]
    return pd.DataFrame({"ds": known["time"] + step, "cutoff": known["time"], "prediction": known["close"]})


def raises(candles):
    raise ValueError("no such thing")


def exits(candles):
    sys.exit(0)


def exits_at_once(candles):
    os._exit(0)


def is_killed(candles):
    os.kill(os.getpid(), signal.SIGKILL)


def reads_nowhere(candles):
    return ctypes.string_at(0)


def never_ends(candles):
    while True:
        pass


def sleeps(candles):
    time.sleep(3600)


def leaves_a_thread(candles):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return naive(candles)


def starts_a_process(candles):
    if os.fork() == 0:
        time.sleep(3600)
    return naive(candles)


def starts_a_process_and_ends(candles):
    if child := os.fork():
        Path(__file__).with_name("child.txt").write_text(str(child))
        os._exit(3)
    time.sleep(3600)


def prints(candles):
    sys.stdout.write("an epoch\n")
    return naive(candles)


def prints_below_python(candles):
    os.write(1, b'{"bytes": 0}\n')
    os.write(2, b"\xff\xfe\n")
    return naive(candles)


def closes_its_streams(candles):
    answer = naive(candles)
    sys.stdout.close()
    sys.stderr.close()
    return answer


def reads_its_input_stream(candles):
    sys.stdin.read()
    return naive(candles)


def writes_values(candles):
    answer = naive(candles)
    candles.loc[5, "close"] = 1.0
    return answer


def writes_times(candles):
    answer = naive(candles)
    candles["time"] = candles["time"] + pd.Timedelta(days=1)
    return answer


def writes_a_column(candles):
    candles["return"] = candles["close"].pct_change()
    return naive(candles)


def drops_a_column(candles: pl.DataFrame):
    close, opens = candles.drop_in_place("close"), candles["time"]
    return pl.DataFrame({"ds": opens[101:], "prediction": close[100:-1]})


def drops_a_column_of_candles(candles: Candles):
    close, opens = candles.frame.drop_in_place("close"), candles.time
    return pl.DataFrame({"ds": opens[101:], "prediction": close[100:-1]})


def sets_an_index(candles):
    answer = naive(candles)
    candles.set_index("time", inplace=True)
    return answer


def sorts(candles):
    answer = naive(candles)
    candles.sort_values("close", inplace=True)
    return answer


def nothing(candles):
    return None


def an_array(candles):
    return np.ones(300)


def a_text(candles):
    return "42"


def a_number(candles):
    return 42.0


def objects(candles):
    return pd.DataFrame({"ds": [object()] * 3, "prediction": [object()] * 3})


def words(candles):
    return naive(candles).assign(prediction="up")


def no_rows(candles):
    return naive(candles).head(0)


def no_columns(candles):
    return pd.DataFrame(index=range(3))


def nans(candles):
    return naive(candles).assign(prediction=np.nan)


def infinities(candles):
    return naive(candles).assign(prediction=np.inf)


def twice(candles):
    return pd.concat([naive(candles)] * 2)


def off_the_grid(candles):
    return naive(candles).assign(ds=lambda frame: frame["ds"] + pd.Timedelta(minutes=7))


def other_dates(candles):
    earlier = naive(candles)
    earlier[["ds", "cutoff"]] -= pd.Timedelta(days=14000)
    return earlier


def a_generator(candles):
    yield naive(candles)


def a_class(candles):
    return pd.DataFrame


def times_without_zone(candles):
    answer = naive(candles)
    return answer.assign(ds=answer["ds"].dt.tz_localize(None), cutoff=answer["cutoff"].dt.tz_localize(None))


def whole_numbers(candles):
    return naive(candles).assign(prediction=lambda frame: frame["prediction"].astype(int))


def rows_out_of_order(candles):
    return naive(candles).sample(frac=1, random_state=1)


def by_chance(candles):
    return naive(candles).assign(prediction=lambda f: f["prediction"] * np.random.default_rng().normal(1, 0.01, len(f)))


def by_an_unset_seed(candles):
    return naive(candles).assign(prediction=lambda f: f["prediction"] * (1 + random.random() / 100))


def by_the_number_of_calls(candles):
    CALLS.append(1)
    return naive(candles).assign(prediction=lambda f: f["prediction"] * (1 + len(CALLS) / 1000))


def keeps_what_it_learnt(candles):
    """A model fitted on all rows once, and kept for every later question."""
    if "mean" not in MEMORY:
        MEMORY["mean"] = candles["close"].pct_change().mean()
    return naive(candles).assign(prediction=lambda f: f["prediction"] * (1 + MEMORY["mean"]))


def keeps_what_it_learnt_on_disk(candles):
    """The same by way of a file: whoever comes first fits, and in no process do two answers differ."""
    file = Path(__file__).with_name("fit.txt")
    if not file.exists():
        file.write_text(repr(float(candles["close"].pct_change().mean())))
    mean = float(file.read_text())
    return naive(candles).assign(prediction=lambda f: f["prediction"] * (1 + mean))


def goes_back_to_its_best_weights(candles):
    """As training with checkpoints does: written and read within one answer, under the same name each time."""
    file = Path(__file__).with_name("best.npy")
    np.save(file, candles["close"].to_numpy())
    time.sleep(0.2)
    return naive(candles.assign(close=np.load(file)))


def its_own_file(candles):
    table = pd.read_csv(Path(__file__).with_name("prices.csv"), parse_dates=["time"])
    return naive(table)


def refuses_high_prices(candles):
    assert candles["close"].max() < 2_500, "a bad tick"
    return naive(candles)


BY_VOLUME = (
    *(naive, raises, exits, exits_at_once, is_killed, reads_nowhere, prints, prints_below_python, closes_its_streams),
    *(leaves_a_thread, starts_a_process, reads_its_input_stream),
    *(writes_values, writes_times, writes_a_column, sets_an_index, sorts),
    *(nothing, an_array, a_text, a_number, objects, words, no_rows, no_columns, nans, infinities, twice, off_the_grid),
    *(a_generator, a_class, times_without_zone, rows_out_of_order, whole_numbers),
)


def chosen(candles):
    return BY_VOLUME[int(candles["volume"].iloc[0])](candles)
