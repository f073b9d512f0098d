"""One answer of a public data source over HTTP, with the source's own clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPException
from urllib import request
from urllib.error import HTTPError

from ..errors import ExchangeError

TIMEOUT = 30.0
PAUSES = (1.0, 2.0, 4.0)
LONGEST_PAUSE = 60.0
LARGEST = 64 * 2**20
_AGENT = "Mozilla/5.0 (compatible; coincast)"
_PASSING = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Answer:
    """A body, and when the source sent it by its own clock."""

    body: bytes
    at: datetime


def get(url: str) -> Answer:
    """What a source answers. Failures that pass are tried again, with the pause the source asks for.

    Raises:
        ExchangeError: it could not be reached, refused, or answered with more than `LARGEST` bytes.
    """
    for pause in PAUSES:
        try:
            return _ask(url)
        except ExchangeError as error:
            if not error.passing:
                raise
            time.sleep(min(error.retry_after or pause, LONGEST_PAUSE))
    return _ask(url)


def _ask(url: str) -> Answer:
    try:
        with _opener().open(url, timeout=TIMEOUT) as response:
            body, at = response.read(LARGEST + 1), _clock(response.headers)
    except HTTPError as error:
        error.close()
        words, passing = f"it answered {error.code} {error.reason}", error.code in _PASSING
        raise _refusal(url, words, passing, _asked_pause(error.headers)) from error
    except (OSError, HTTPException) as error:
        raise _refusal(url, f"{type(error).__name__}: {error}", passing=True) from error
    if len(body) > LARGEST:
        raise _refusal(url, f"it answered with more than {LARGEST} bytes", passing=False)
    return Answer(body, at)


@cache
def _opener() -> request.OpenerDirector:
    """Speaks HTTP and HTTPS only: a redirection to a file or to FTP ends in an error."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", _AGENT)]
    return opener


def _clock(headers: Message) -> datetime:
    """The time of the answer; this machine's where the source does not say."""
    try:
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC)


def _asked_pause(headers: Message) -> float | None:
    """Seconds; None where the source does not say or names a date."""
    asked = headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None


def _refusal(url: str, words: str, passing: bool, retry_after: float | None = None) -> ExchangeError:
    return ExchangeError(
        f"{url} gave no answer: {words}.",
        "Without it the series ends where it was fetched last; what is stored stays.",
        "Wait and fetch again, or read the series from a file.",
        passing=passing,
        retry_after=retry_after,
    )
