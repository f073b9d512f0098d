"""What no test of a pipeline can show, and so must be said by its maker."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..errors import RecipeError
from ..recipe import refuse_unknown, typed

Never = Literal["never"]
Closed = Literal["by time", "handed closed", "last row dropped", "as it comes"]
# What may be claimed, and whether more of it is better.
CLAIMS: Mapping[str, bool] = {"rmse": False, "mae": False, "mape": False, "r2": True, "direction": True}


@dataclass(frozen=True)
class Declarations:
    """A maker's word on a pipeline; None is not declared, which is no answer.

    Args:
        universe: the symbols that were looked at before this one was shown; its own alone if no other was.
        universe_as_of: the day that list was drawn up.
        pretrained_until: the last day that any weight it starts with has seen, or "never".
        tuned_until: the last day that settings, features or the choice of model were tried on, or "never".
        trials: how many configurations were tried there, the shown one included.
        seeds: how many networks its forecast averages, 1 for a model without chance.
        closed: how it decides that the newest bar has closed, if it takes no `now`: "by time" of a clock,
            "handed closed" by its caller, "last row dropped" or "as it comes".
    """

    universe: tuple[str, ...] | None = None
    universe_as_of: date | None = None
    pretrained_until: date | Never | None = None
    tuned_until: date | Never | None = None
    trials: int | None = None
    seeds: int | None = None
    closed: Closed | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "seeds"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise RecipeError(
                    f"The declaration {name} is {count}.",
                    "What is shown is one of them, so there is at least one.",
                    f"Write {name} = 1 or more.",
                )


class Declared(NamedTuple):
    """A declarations file: what it declares and what it claims."""

    declared: Declarations
    claims: Mapping[str, float]


def read_declarations(path: Path) -> Declared:
    """A TOML file with the fields of `Declarations` as its keys, and claims in a table `[claims]`.

    Raises:
        RecipeError: it cannot be read, or a key or value is not known.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            f"The declarations {path} cannot be read ({error}).",
            "They are TOML.",
            f"Write a file with the keys {', '.join(field.name for field in fields(Declarations))}.",
        ) from error
    claims = said.pop("claims", {})
    refuse_unknown(said, Declarations, path.name)
    return Declared(typed(Declarations, said, path.name), checked_claims(claims))


def checked_claims(claims: Mapping[str, Any]) -> Mapping[str, float]:
    """Claims by name, as numbers.

    Raises:
        RecipeError: a name is none of `CLAIMS`, or its value is no number.
    """
    if not isinstance(claims, Mapping):
        raise RecipeError(f"The claims are {claims!r}.", "A claim is a name and a number.", "Write a table [claims].")
    for name, value in claims.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if name not in CLAIMS or not number:
            raise RecipeError(
                f"The claim {name} = {value!r} cannot be checked.",
                "A claim is one of these numbers of the forecasts shown, in the price's unit or as a fraction.",
                f"Claim {', '.join(CLAIMS)}.",
            )
    return {name: float(value) for name, value in claims.items()}
