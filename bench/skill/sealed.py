"""The declared endpoints (`endpoints.toml`) on the sealed zone, 2024-01-01 to 2025-09-30.

    python -m bench.skill sealed

Run when choices are frozen, never to choose: every run is an opening, and is written into `bench/sealed.md`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from . import daily, hourly, panel
from .study import RESULTS, Fused, Row, Study, lines, table

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC)


def run() -> Iterator[str]:
    """A table an endpoint: what is declared, all that it is made of, and all that the study compares it with."""
    declared = tomllib.loads((RESULTS / "endpoints.toml").read_text())
    yield from _tables([declared["daily"]], daily.study(START, END), daily.ROWS, daily.FUSIONS, daily.REFERENCES)
    by_hours = [declared["hourly"], declared["hourly-day"]]
    yield from _tables(by_hours, hourly.study(START, END), hourly.ROWS, hourly.FUSIONS, hourly.REFERENCES)
    yield f"\n{_title(declared['panel'])}\n"
    yield from panel.run(START, END)


def _tables(
    endpoints: Sequence[Mapping[str, Any]],
    study: Study,
    rows: Sequence[Row],
    fusions: Sequence[Fused],
    references: Sequence[str],
) -> Iterator[str]:
    judged = [fused for fused in fusions if fused[0] in {endpoint["model"] for endpoint in endpoints}]
    needed = {*references, *(member for _, _, members in judged for member in members)}
    told = study.climb([row for row in rows if row.label in needed], judged)
    found = lines(told, study.candles["bare"], references)
    for endpoint in endpoints:
        yield f"\n{_title(endpoint)}, {found[0].n} origins\n\n{table(found, endpoint['horizon'])}"


def _title(endpoint: Mapping[str, Any]) -> str:
    return f"{endpoint['question']}: {endpoint['model']} against {endpoint['reference']}, {endpoint['feed']}"
