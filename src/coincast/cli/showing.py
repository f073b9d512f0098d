"""The command `gallery`: the classic mistakes of price forecasting, switched on one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import RecipeError
from .modelling import cores, start_of
from .options import Json, expand
from .printing import interruptible, progress, show
from .source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..gallery.learners import Learner


@expand
def gallery(
    source: Source,
    fault: Annotated[
        str | None, typer.Option("--fault", help="Show one mistake in full, by its name or number.")
    ] = None,
    learner: Annotated[
        str, typer.Option("--learner", help="What learns: lstm, or ridge, a linear regression without chance.")
    ] = "lstm",
    networks: Annotated[
        int, typer.Option("--networks", min=1, help="Networks, each from another seed; numbers are their medians.")
    ] = 3,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Epochs a network learns at most.")] = None,
    test_from: Annotated[str | None, typer.Option("--test-from", help="First day forecast.")] = None,
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Worker processes; one a core.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the gallery here, as a page.")] = None,
    json: Json = False,
) -> None:
    """Switch on the classic mistakes: the report gets better, the audit sees it, the live score does not."""
    from rich.console import Console

    from ..gallery import curator
    from ..gallery.faults import MISTAKES, mistake_named
    from ..output import make_folder, write
    from ..report.gallery_page import render_gallery
    from ..terminal.gallery import gallery as seen
    from ..workers import Processes

    wanted = [mistake_named(fault)] if fault else MISTAKES
    learners = _learners(learner, networks, epochs)
    if html:
        make_folder(html.parent)
    cleaned, words = source.load()
    start = start_of(cleaned, words, test_from)
    with (
        interruptible("Interrupted: nothing was concluded and nothing written."),
        progress("gallery", quiet=json) as monitor,
    ):
        do = Processes(processes or cores())
        shown = curator.show(wanted, cleaned.candles, start, learners, do=do, monitor=monitor)
    if html:
        write(html, render_gallery(shown).encode())
    show(seen(shown, Console().width), shown.document(), json)


def _learners(name: str, networks: int, epochs: int | None) -> Sequence[Learner]:
    """What learns, once a seed."""
    from ..gallery.learners import Ridge
    from ..gallery.lstm import Lstm

    if name == Ridge.name:
        return [Ridge()]
    if name != Lstm.name:
        raise RecipeError(
            f"There is no learner {name!r} in the gallery.",
            "Each mistake is made by the code around it.",
            f"Choose {Lstm.name} or {Ridge.name}.",
        )
    one = Lstm(epochs=epochs) if epochs else Lstm()
    return [replace(one, seed=seed) for seed in range(networks)]
