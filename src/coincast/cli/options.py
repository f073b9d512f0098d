"""Options that several commands share: a command asks for `source: Source` and has every option of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ..errors import RecipeError

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file with models or features of yours.")]
StoreFolder = Annotated[
    Path, typer.Option("--store", envvar="COINCAST_STORE", help="Folder in which `fetch` keeps candles.")
]
# Exit code of a command whose answer is no.
NO = 1

STORE = Path("candles")
# In that folder: the outside series.
OUTSIDE_FOLDER = "outside"


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass replaced by that dataclass's fields, an option each."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        parameters += _options(groups[name]) if name in groups else [_option(name, hints[name], parameter.default)]

    @wraps(command)
    def expanded(**given: Any) -> None:
        built = {
            name: group(**{option.name: given.pop(option.name) for option in fields(group)})
            for name, group in groups.items()
        }
        command(**built, **given)

    # Where typer looks for the parameters of a command.
    expanded.__dict__["__signature__"] = inspect.Signature(parameters)
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_option(option.name, hints[option.name], option.default) for option in fields(group)]


def _option(name: str, hint: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def day(text: str, *, last: bool = False) -> datetime:
    """An option's time in UTC. `2017` and `2017-08` are its first day, or if it is the last day wanted, its end.

    Raises:
        RecipeError: it is not a date.
    """
    whole = text + "2000-01-01"[len(text) :] if text[:4].isdecimal() and len(text) in _MORE else text
    try:
        time = datetime.fromisoformat(whole)
    except ValueError as error:
        raise RecipeError(
            f"{text!r} is not a date.", "It bounds what is used.", "Write it as 2020-01-31 or 2020-01-31T12:00Z."
        ) from error
    if last and len(text) in _MORE:
        time = _MORE[len(text)](time)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def horizons_of(text: str) -> list[str | int]:
    """An option's intervals ahead: `1,7`, or `1-14` for every one from 1 to 14; what is neither is left as it is.

    Raises:
        RecipeError: a span does not go up.
    """
    parts = (part.strip() for part in text.split(","))
    return [h for part in parts for h in (_span(*map(int, part.split("-"))) if _SPAN.fullmatch(part) else [part])]


def _span(first: int, last: int) -> range:
    if first >= last:
        raise RecipeError(
            f"The horizons {first}-{last} do not go up.", "A span counts the intervals ahead.", "Write it as 1-14."
        )
    return range(first, last + 1)


_SPAN = re.compile(r"\d+-\d+", re.ASCII)


def share_of(text: str) -> float:
    """An option's share: `10%` or `0.1`.

    Raises:
        RecipeError: it is not a number.
    """
    number = text.strip().removesuffix("%")
    try:
        return float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError as error:
        raise RecipeError(
            f"{text!r} is not a share.", "How far a price may fall is one.", "Write it as 10% or 0.1."
        ) from error


# What follows a year, a month, a day, by how many characters they are written in.
_MORE: Mapping[int, Callable[[datetime], datetime]] = {
    4: lambda time: time.replace(year=time.year + 1),
    7: lambda time: (time + timedelta(days=31)).replace(day=1),
    10: lambda time: time + timedelta(days=1),
}
