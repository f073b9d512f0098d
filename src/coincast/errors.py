"""Every error coincast raises on purpose, and what its caller does next.

    CoincastError            catch this one to catch them all; the command line prints it and exits with 2
    ├── DataError            candles or a file that cannot be used as they are: mend the data
    ├── RecipeError          a name, key or value that asks for something impossible: mend the request
    ├── OutputError          a result could not be written: free the place it should go to, nothing was half written
    ├── ExchangeError        an exchange could not be reached or refused: wait or choose another, what came is stored
    └── LookAheadError       something reached for the future: never catch it, it is a fault in the code that called

Each carries three sentences: what was found, why it matters, what to do.
"""

from __future__ import annotations


class CoincastError(Exception):
    """Something a person can act on.

    Args:
        found: what was met, with the value and the place.
        why: what would go wrong if we went on.
        do: the next step.
    """

    def __init__(self, found: str, why: str, do: str) -> None:
        super().__init__(found, why, do)
        self.found = found
        self.why = why
        self.do = do

    def __str__(self) -> str:
        return f"{self.found} {self.why} {self.do}"


class DataError(CoincastError):
    """Candles that break their own rules, or a file that holds none: mend the data and run again.

    Args:
        found: what was met, with the value and the place.
        why: what would go wrong if we went on.
        do: the next step.
        defect: its name among the defects `coincast check` knows, if it is one of them.
    """

    def __init__(self, found: str, why: str, do: str, defect: str | None = None) -> None:
        super().__init__(found, why, do)
        self.defect = defect


class RecipeError(CoincastError):
    """A model, feature, key or span that does not exist or cannot work: correct the request."""


class OutputError(CoincastError):
    """A result could not be written: make room or name another place. Nothing was left half written."""


class ExchangeError(CoincastError):
    """An exchange could not be reached or refused: wait, or choose another. What it had told before is stored.

    Args:
        found: what was met, with the value and the place.
        why: what would go wrong if we went on.
        do: the next step.
        passing: whether asking again may help.
        retry_after: how long the exchange asked to be left alone, in seconds of its clock; None if it did not say.
    """

    def __init__(self, found: str, why: str, do: str, *, passing: bool, retry_after: float | None = None) -> None:
        super().__init__(found, why, do)
        self.passing = passing
        self.retry_after = retry_after


class LookAheadError(CoincastError):
    """The future was about to leak into the past. Do not catch this: correct the code that asked."""
