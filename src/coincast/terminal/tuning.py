"""What a search found: the sentence, its best trials beside the default, what to do with the recipe."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..search import Sums
from ..space import Setting
from ..tuning import Tuning
from .marks import NOT_ADVICE, WIDE, bare

# Trials shown, the default besides.
SHOWN = 10
LEGEND = (
    "CRPS: as a share of the default's, averaged over horizons, lower is better; then at each horizon, and RMSE in"
    " units of that of no change."
)


def tuning(found: Tuning, recipe: Path, width: int) -> RenderableType:
    """All of a search that fits on a screen `width` characters wide."""
    parts: list[RenderableType] = [Text(found.headline), Text(""), _table(found, width), Text(LEGEND, style="dim")]
    if found.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importance.items())
        parts.append(Text(f"What told good trials from bad: {shares}.", style="dim"))
    name = found.search.recipe.model.name
    parts += [Text(""), Text(f"Judge it on the test: coincast run --recipe {recipe} --models naive,garch-t,{name}")]
    return Group(*parts, Text(NOT_ADVICE))


def _table(found: Tuning, width: int) -> Table:
    shown = found.ranking[:SHOWN]
    shown += [trial for trial in found.ranking[SHOWN:] if trial.number == 0]
    search = found.search
    table = bare(f"{search.recipe.model.name} on {search.candles.feed}, {found.span}")
    horizons = [str(h) for h in search.recipe.horizons] if width >= WIDE else []
    errors = [f"{name} {h}" for h in horizons for name in ("CRPS", "RMSE")]
    for name in ("trial", *search.space, "CRPS", *errors):
        table.add_column(name, justify="right", no_wrap=True)
    for trial in shown:
        name = str(trial.number) if trial.number else "default"
        settings = [_setting(value) for value in trial.settings.values()]
        table.add_row(name, *settings, f"{trial.ratio:.4f}", *_errors(found, trial.total, horizons))
    spared = ["-"] * len(search.space)
    table.add_row("naive", *spared, f"{found.naive_ratio:.4f}", *_errors(found, found.naive, horizons))
    return table


def _errors(found: Tuning, sums: Sums, horizons: list[str]) -> list[str]:
    own, naive = found.errors(sums), found.errors(found.naive)
    pairs = [(f"{own[h]['crps']:.5f}", f"{own[h]['rmse'] / naive[h]['rmse']:.3f}") for h in horizons]
    return [cell for pair in pairs for cell in pair]


def _setting(value: Setting) -> str:
    return value if isinstance(value, str) else f"{value:g}"
