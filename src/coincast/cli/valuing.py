"""The command `value`: what a run's forecasts are worth after costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .modelling import load_plugins
from .options import Json, Plugins
from .printing import show


def value(
    out: Annotated[Path, typer.Argument(help="Folder of an earlier run or backtest.")] = Path("out"),
    fee: Annotated[float, typer.Option("--fee", help="Of what is traded, one way: 0.001 is 0.1 %.")] = 0.001,
    slippage: Annotated[float, typer.Option("--slippage", help="Lost to worse prices, one way.")] = 0.0002,
    funding: Annotated[float, typer.Option("--funding", help="Of what is held, a day; longs pay it.")] = 0.0,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Say what a run's forecasts are worth to somebody who acts on them; it may be nothing."""
    from rich.console import Console

    from .. import terminal
    from ..runs import Run
    from ..value import Costs, worth

    load_plugins(plugin)
    costs = Costs(fee, slippage, funding)
    found = worth(Run.load(out), costs)
    show(terminal.worth(found, Console().width), found.document(), json)
