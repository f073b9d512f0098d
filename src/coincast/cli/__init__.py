"""The command line: a command parses, calls one function, prints.

Each command imports what it needs when it runs, so that `coincast --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from ..errors import CoincastError
from ..threads import single_threaded
from . import auditing, checking, data, modelling, scoring, showing, tuning, valuing
from .stored import store

REFUSED = 2

app = typer.Typer(
    name="coincast",
    help="Honest forecasts of cryptocurrency prices: candles in, a verdict and a forecast out.",
    epilog="An aid to decisions, not advice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command in (
    data.fetch,
    checking.check,
    modelling.run,
    modelling.backtest,
    modelling.report,
    tuning.tune,
    modelling.train,
    modelling.forecast,
    auditing.audit,
    showing.gallery,
    scoring.score,
    valuing.value,
    modelling.models,
    modelling.features,
    data.replay,
):
    app.command()(_command)
app.add_typer(store)


def main() -> None:
    """Run a command; print an error a person can act on, never a traceback for bad input."""
    single_threaded()
    try:
        app()
    except CoincastError as error:
        typer.echo(f"error: {error.found}\n{error.why}\n{error.do}", err=True)
        sys.exit(REFUSED)
