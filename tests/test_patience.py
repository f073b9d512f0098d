"""Who waits hears Ctrl-C, whatever handler polars has set; and gets what was waited for."""

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import polars as pl
import pytest

from coincast.patience import as_they_end, result_of


def test_an_interrupt_is_heard_while_nothing_ends():
    pl.DataFrame({"a": [1]}).lazy().select(pl.col("a") + 1).collect()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        result_of(Future())
    assert time.monotonic() - began < 5


def test_futures_come_as_they_end():
    with ThreadPoolExecutor(2) as pool:
        gate = threading.Event()
        late, early = pool.submit(gate.wait), pool.submit(int, 7)
        ends = as_they_end([late, early])
        assert next(ends) is early
        gate.set()
        assert list(ends) == [late]


def test_its_error_is_that_of_the_work():
    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        result_of(pool.submit(divmod, 1, 0))
