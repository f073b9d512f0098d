"""One thread a process: two such processes do more than one with two threads, and always the same to the bit."""

import os

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def single_threaded() -> None:
    """Hold this process, if NumPy, polars and JAX are not imported yet, and its children to one thread each."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
