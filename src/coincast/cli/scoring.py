"""The command `score`: what forecasts of any other tool are worth beside two references."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, day, expand
from .printing import interruptible, progress, show
from .source import Source


@dataclass(frozen=True, kw_only=True)
class Truth(Source):
    """The candles that forecasts are judged by."""

    csv: Annotated[
        Path | None,
        typer.Option("--candles", "--csv", help="A CSV or Parquet file of candles, labelled by bar open."),
    ] = None
    symbol: Annotated[str | None, typer.Option("--symbol", help="What the file holds, as BASE/QUOTE.")] = "BASE/QUOTE"


@expand
def score(
    frame: Annotated[
        Path, typer.Argument(help="Forecasts as Nixtla, Prophet, darts, Chronos or a run wrote them: CSV or Parquet.")
    ],
    source: Truth,
    cutoff: Annotated[
        str | None, typer.Option("--cutoff", help="Last bar every forecast knew, if the frame does not say.")
    ] = None,
    json: Json = False,
) -> None:
    """Score anyone's forecasts beside naive and garch-t; nothing of theirs is trained or run."""
    from rich.console import Console

    from .. import terminal
    from ..appraisal import appraise
    from ..predictions import predictions, read

    table = read(frame)
    cleaned, _ = source.load()
    known = day(cutoff) if cutoff else None
    found, taken = predictions(table, cleaned.candles.feed, cutoff=known)
    with interruptible("Interrupted: nothing was scored."), progress("references", quiet=json) as tell:
        done = appraise(found, cleaned.candles, monitor=lambda number, _done, _total, words: tell(number + 1, 0, words))
    done = replace(done, notes=(*taken, *done.notes))
    show(terminal.appraisal(done, Console().width), done.document(), json)
