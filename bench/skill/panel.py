"""Twelve coins by days, three left out in turn: networks that forecast coins they never saw, origins of 2021-2023.

    python -m bench.skill panel

The reference is `garch-t`, fitted on each coin itself, from the first refit for which the coin has a year behind it.
So is one `har-t`, to be averaged with those that never saw the coin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from coincast.backtest import backtest, silent, transfer
from coincast.calibrate import Calibrated
from coincast.combine import Fusion
from coincast.combiner import combined
from coincast.forecast import Forecast
from coincast.forecaster import Watch
from coincast.recipe import Recipe, recipes
from coincast.scores import score
from coincast.summaries import with_reference
from coincast.verdict import diebold_mariano
from coincast.workers import Processes

from ..daily import FILE, candles_of
from .daily import COINS, END, coin
from .study import FIVE, outside

START = datetime(2021, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
SEEDS = tuple(range(4))
# Every coin is left out once; the groups mix old and new, large and small.
GROUPS = (("ada", "doge", "uni"), ("avax", "eth", "xlm"), ("bch", "dot", "xrp"), ("bnb", "link", "ltc"))
LEARNERS = (*FIVE, "har-t")
OWN = "har-t of its own"
ALL = "fusion of all"
FUSIONS = {"fusion of lstm-t and har-t": ("lstm-t", "har-t"), ALL: (*LEARNERS, OWN)}
CALIBRATED = f"{ALL}, calibrated"


def recipe(model: str) -> Recipe:
    [found] = recipes([model], {"horizons": (1,), "refit_every": 90, "seeds": SEEDS})
    return found


class Group(NamedTuple):
    """Coins left out together, and when they are judged."""

    names: Sequence[str]
    test_from: datetime
    end: datetime


def left_out(group: Group, _: Watch) -> list[Forecast]:
    """Of the coins of a group: what each learner says, what `har-t` and `garch-t` say that know them, and fusions."""
    names, test_from, end = group
    bitcoin = candles_of(FILE, "coinbase:BTC/USD:1d", end).candles
    seen = [bitcoin, *(coin(name, end) for name in COINS if name not in names)]
    unseen = [coin(name, end) for name in names]
    told = [transfer(recipe(model), seen, unseen, test_from) for model in LEARNERS]
    out = []
    for candles, *forecasts in zip(unseen, *told, strict=True):
        first = max(test_from, candles.start + YEAR)
        own, garch = (walk.forecast for walk in backtest([recipe("har-t"), recipe("garch-t")], candles, first))
        known = [*(_since(forecast, first) for forecast in forecasts), replace(own, model=OWN)]
        by_name = {forecast.model: forecast for forecast in known}
        fused = {
            label: replace(
                combined(Fusion(members, "equal"), [by_name[name] for name in members], candles), model=label
            )
            for label, members in FUSIONS.items()
        }
        calibrated = replace(combined(Calibrated(ALL), [fused[ALL]], candles), model=CALIBRATED)
        out += [*known, *fused.values(), calibrated, garch]
    return out


def _since(forecast: Forecast, first: datetime) -> Forecast:
    return forecast.take(forecast.origin >= np.datetime64(first.replace(tzinfo=None)))


def run(test_from: datetime = START, end: datetime = END) -> list[str]:
    """The table's lines: the panel's bars before `end`, judged from `test_from`."""
    groups = [Group(names, test_from, end) for names in GROUPS]
    told = [forecast for _, group in Processes(2)(left_out, groups, silent) for forecast in group]
    by_coin = {name.upper(): coin(name, end) for name in COINS}
    scores = pl.concat(
        score(forecast, by_coin[forecast.feed.base]).with_columns(coin=pl.lit(forecast.feed.base)) for forecast in told
    )
    return list(_rows(scores))


def _rows(scores: pl.DataFrame) -> Iterator[str]:
    judged = [
        with_reference(part, "garch-t").drop_nulls("reference_crps")
        for _, part in scores.group_by("coin", maintain_order=True)
    ]
    rows = pl.concat(judged)
    names = sorted(rows["coin"].unique())
    fixed = ("never seen", "pooled", "days clustered, t", "ahead on", "80 / 95 % held", "outside 99 % on a coin")
    yield "| " + " | ".join((*fixed, *names)) + " |"
    yield "|" + "---|" * (len(fixed) + len(names))
    for model in (*LEARNERS, OWN, *FUSIONS, CALIBRATED):
        own = rows.filter(pl.col("model") == model)
        days = (
            own.group_by("origin")
            .agg((pl.col("crps") - pl.col("reference_crps")).mean().alias("d"))
            .sort("origin")["d"]
        )
        t = diebold_mariano(1 + days.to_numpy(), np.ones(len(days)), 1).t
        change = {
            str(name): float(part["crps"].sum() / part["reference_crps"].sum() - 1)
            for (name,), part in own.group_by("coin")
        }
        pooled = float(own["crps"].sum() / own["reference_crps"].sum() - 1)
        ahead = sum(value < 0 for value in change.values())
        held = f"{100 * own['hit80'].mean():.1f} / {100 * own['hit95'].mean():.1f}"
        off = "; ".join(outside(own.sort("coin", "origin"), pl.col("coin"), 1))
        cells = [f"{100 * pooled:+.2f} %", f"{t:+.1f}", f"{ahead} of {len(names)}", held, off]
        yield "| " + " | ".join([model, *cells, *(f"{100 * change[name]:+.2f} %" for name in names)]) + " |"
