"""Moods: the Fear & Greed index of alternative.me."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from .series import Ask, Series, as_told, at_once


def _fear_greed(ask: Ask, _coin: str, _since: datetime) -> pl.DataFrame:
    """All of it: the source has no way to ask from a day on. Stamped with the midnight at which it is published."""
    answer = json.loads(ask("/fng/", {"limit": 0}))
    return as_told((datetime.fromtimestamp(int(day["timestamp"]), UTC), float(day["value"])) for day in answer["data"])


FEAR_GREED = Series(
    name="fear_greed",
    says="Crypto Fear & Greed index, 0 (extreme fear) to 100 (extreme greed), made of the days before",
    source="alternative.me",
    licence="free with a link to the source",
    url="https://api.alternative.me",
    lag=timedelta(hours=1),
    columns=("fear_greed", "fear_greed_index", "value"),
    ended=at_once,
    download=_fear_greed,
)
