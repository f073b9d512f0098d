"""What every test may ask for."""

import os
import secrets
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from coincast.threads import single_threaded

# As the command line does: with another number of threads BLAS rounds otherwise, and garch-t ends at other bits.
single_threaded()

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A first example may compile a network; how long one takes is measured in bench/, not here.
settings.register_profile("coincast", deadline=None)
settings.load_profile("coincast")

ROOT = Path(__file__).parents[1]


def pytest_configure() -> None:
    """Sampled proofs draw other worlds every day; the workers of one session draw the same."""
    os.environ.setdefault("COINCAST_SEED", str(secrets.randbelow(2**32)))


def pytest_terminal_summary(terminalreporter) -> None:
    terminalreporter.write_line(f"sampled proofs drawn with COINCAST_SEED={os.environ['COINCAST_SEED']}")


@pytest.fixture(scope="session")
def seed() -> int:
    """The session's seed: set COINCAST_SEED to what a failed session printed to see the failure again."""
    return int(os.environ["COINCAST_SEED"])


@pytest.fixture(scope="session")
def study_data() -> Path:
    """The folder of study data. Where it is missing the test is counted as skipped; CI demands it."""
    folder = Path(os.environ.get("COINCAST_DATA", ROOT / "../shared/data"))
    if not folder.is_dir():
        message = f"study data not found at {folder}: set COINCAST_DATA"
        if os.environ.get("COINCAST_DEMAND_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
