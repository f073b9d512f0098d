"""Which models a page shows, in which order and hue, and what they are held against."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ..runs import Run
from ..summaries import Summary
from ..verdict import Verdict
from . import style

# A model further than this from its reference is off the scale of bars and charts of skill; its number is given.
REACH = 0.05


def hues(run: Run) -> Mapping[str, str]:
    """The hue of each model of the run."""
    return style.hues([walk.recipe.model.name for walk in run.walks])


def ranked(run: Run, horizon: int) -> list[str]:
    """The models that have a score, lowest CRPS first."""
    return [name for _, name in sorted((s.crps, s.model) for s in _scored(run, horizon) if s.crps is not None)]


def _scored(run: Run, horizon: int) -> list[Summary]:
    return [s for s in run.summaries if s.horizon == horizon]


def summary(run: Run, model: str, horizon: int) -> Summary | None:
    """One model's averages; None if it was not run."""
    return next((s for s in _scored(run, horizon) if s.model == model), None)


def judged(run: Run, model: str, horizon: int) -> pl.DataFrame:
    """One model's forecasts that have met their truth, in time order."""
    rows = run.scores.filter(pl.col("model") == model, pl.col("horizon") == horizon)
    return rows.drop_nulls("truth").sort("origin")


def reference(run: Run) -> str | None:
    """What the models are compared with; None if nothing of the kind is in the run."""
    return next((v.reference for v in run.verdicts if v.reference), None)


def challengers(run: Run, horizon: int) -> dict[str, Verdict]:
    """The verdicts on all models but the reference, best first."""
    rival = reference(run)
    verdicts = {v.model: v for v in run.verdicts if v.horizon == horizon and v.reference == rival}
    return {name: verdicts[name] for name in ranked(run, horizon) if name in verdicts and name != rival}


def on_scale(run: Run, horizon: int) -> list[str]:
    """The challengers whose skill is small enough to be told apart in one chart."""
    return [name for name, v in challengers(run, horizon).items() if v.skill is not None and abs(v.skill) <= REACH]
