"""One thread of arithmetic a process: two such processes do more than one with two threads, and always the same."""

import os

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    # The size of XLA's pool of threads, which do not compute but wait for one another: with as many as there are
    # cores, a loop within a loop was seen to wait for a thread that never came free.
    "NPROC": "16",
}


def single_threaded() -> None:
    """Hold this process and its children to one thread each, as far as their libraries have not started yet."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
