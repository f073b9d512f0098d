"""How a pipeline behaves when it is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl

from ..predictions import Predictions
from .comparison import SAME, differences
from .findings import Finding
from .interview import Reply


def misbehaviour(reply: Reply, when: str = "") -> list[Finding]:
    """What an answer shows of its pipeline's conduct; `when` says what it had been asked, if that matters."""
    answer = reply.answer
    found = []
    if answer.conduct == "crashed":
        found.append(Finding("crashes", f"{when}It failed: {answer.words}."))
    if answer.conduct == "hung":
        found.append(Finding("hangs", f"{when}There was {answer.words}."))
    if reply.nonsense:
        found.append(Finding("nonsense", f"{when}{reply.nonsense}"))
    if answer.mutated:
        found.append(Finding("mutates its input", "The frame it was handed had other values or columns afterwards."))
    if answer.printed:
        first = answer.printed.splitlines()[0]
        found.append(Finding("prints", f"It printed {first!r}."))
    return found


def refusal(reply: Reply, asked: str) -> list[Finding]:
    """What it shows that a pipeline which answered once has no answer when asked otherwise."""
    if reply.answer.conduct == "crashed":
        return [Finding("refuses other candles", f"Asked with {asked} it failed: {reply.answer.words}.")]
    return misbehaviour(reply, f"Asked with {asked}: ")[:1]


def on_disk(kept: Collection[str]) -> list[Finding]:
    """What it hands on from one question to the next in files: a fit that is kept looks the same whatever comes after.

    Args:
        kept: files that it read and had written at an earlier question.
    """
    if not kept:
        return []
    return [
        Finding(
            "keeps files",
            f"It read {_named(kept)}, written at an earlier question: what it learnt then was not looked at.",
        )
    ]


def from_disk(found: Collection[str]) -> list[Finding]:
    """What a pipeline that starts from nothing, by its maker's word, reads nevertheless."""
    if not found:
        return []
    return [
        Finding("reads files", f"By its word it starts from nothing; it read {_named(found)}, which was there before.")
    ]


def _named(paths: Collection[str]) -> str:
    first, *others = paths
    return repr(Path(first).name) + (f" and {len(others)} more" if others else "")


def noise(base: Sequence[Predictions], again: Sequence[Predictions]) -> float:
    """The largest share by which a price differs when the same is asked again."""
    return float(differences(base, again)["moved"].to_numpy().max(initial=0.0))


def irreproducible(base: Reply, again: Sequence[Reply], reseeded: Reply) -> list[Finding]:
    """Whether the same question has another answer.

    Args:
        base: the first answer.
        again: to the same question, in every process, after other questions.
        reseeded: to the same question, with the generators of chance set otherwise.
    """
    *seeded, free = (noise(base.predictions, other.predictions) for other in (*again, reseeded))
    if max(seeded) > SAME or any(_count(other) != _count(base) for other in again):
        return [Finding("not reproducible", f"Asked the same again, its forecasts differ by {_share(max(seeded))}.")]
    if free > SAME:
        says = f"With other seeds of the random generators it found, its forecasts differ by {_share(free)}."
        return [Finding("not reproducible", says)]
    return []


def _count(reply: Reply) -> int:
    return sum(len(one) for one in reply.predictions)


def _share(share: float) -> str:
    return f"up to {100 * share:.3g} % of the price"


def unchanged_by_all(base: Sequence[Predictions], other: Sequence[Predictions]) -> bool:
    """Whether an entirely other market left every forecast as it was."""
    moved = differences(base, other)
    return moved.height > 0 and moved.filter(pl.col("moved") > SAME).is_empty()
