"""A series without its defects, as far as they can be undone without guessing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from ..clean import KINDS, clean
from ..errors import DataError
from ..rows import COLUMNS, Rows
from .findings import Quality

# What cleaning tells of and a copy leaves as it is.
_LEFT = frozenset({"gap", "zero volume", "stale"})


@dataclass(frozen=True)
class Mended:
    """A corrected copy.

    Args:
        rows: the bars that can be stood by, in order, each once, labelled by their open in UTC. None is made up: a
            bar that is missing stays missing.
        did: what was done, in plain sentences.
    """

    rows: Rows
    did: tuple[str, ...]


def mend(rows: Rows, quality: Quality, now: datetime | None = None) -> Mended:
    """The rows as `quality` says they should be.

    Args:
        rows: what was examined.
        quality: what `examine` found in them.
        now: as it was given to `examine`.

    Raises:
        DataError: there are no candles to be had from the rows.
    """
    if quality.cleaned is None:
        worst = quality.worst_first[0]
        raise DataError(worst.says, "There is nothing to write a corrected copy from.", worst.do, worst.defect)
    stays = [found for found in quality.findings if found.refuses]
    if stays:
        raise DataError(stays[0].says, "No copy can undo that.", stays[0].do, stays[0].defect)
    did = [note.says for note in rows.notes]
    no_volume = rows.frame["volume"].null_count() == len(rows)
    for found in quality.findings:
        if found.mend is not None:
            rows = found.mend(rows)
            did.append(found.did)
    cleaned = clean(rows, quality.cleaned.candles.feed, now)
    kept = cleaned.candles.frame.filter("observed").select(COLUMNS)
    if no_volume:
        kept = kept.with_columns(volume=pl.lit(None, pl.Float64()))
    tally = {kind: count for kind, count in cleaned.repairs.tally.items() if kind not in _LEFT}
    did += [f"{kind}: {count:,}. {KINDS[kind]}" for kind, count in tally.items()]
    return Mended(Rows(kept), tuple(did))
