"""Headings that say what the charts under them show, written from the run's own numbers."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from markupsafe import Markup, escape

from ..forecaster import History
from ..runs import Run
from ..verdict import NAIVE, PRICE_MODEL
from .diagnostics import names_by_crps, reference, summary_of
from .style import change, percent, price
from .words import bar_of, candles_of, listed, moment, span

_NUMBER = re.compile(r"(?<![\w.,-])\d[\d.,]*\d?(?: %)?(?![\w-])")


def linked(sentence: str) -> Markup:
    """A verdict sentence whose numbers lead to where they are shown."""
    if "price LSTM" in sentence:
        place = "echo"
    elif "direction" in sentence:
        place = "scores"
    else:
        place = "time" if "period" in sentence else "scores"
    parts, end = [], 0
    for found in _NUMBER.finditer(sentence):
        number = found[0].rstrip(".,")
        parts.append(escape(sentence[end : found.start()]))
        parts.append(Markup('<a href="#{}">{}</a>').format(place, number))
        end = found.start() + len(number)
    return Markup("").join([*parts, escape(sentence[end:])])


def fan(run: Run) -> str:
    """Where half of the outcomes lie at the longest horizon."""
    f = run.outlook
    low, high = (price(float(f.prices(q)[0, -1])) for q in (0.25, 0.75))
    return (
        f"From {price(float(f.price[0]))} {f.feed.quote}, the next {span(f.horizons[-1], f.feed.interval)} should end"
        f" between {low} and {high} as often as not"
    )


def scores(run: Run) -> str:
    """Who is better than the reference, in words."""
    rival, horizon = reference(run), run.outlook.horizons[0]
    if rival is None:
        return "Nothing to compare with: no reference model was run"
    here = [v for v in run.verdicts if v.horizon == horizon and v.reference == rival]
    if here and all(v.word == "too short to tell" for v in here):
        return f"Too few forecasts to tell any model from {rival}"
    better = [v.model for v in here if v.word == "better"]
    if not better:
        others = f"None of {len(here)} models" if len(here) > 1 else f"{here[0].model} did not"
        return f"{others} forecast the spread better than {rival}"
    only = "Only " if len(better) == 1 and len(here) > 1 else ""
    return f"{only}{listed(better)} forecast the spread better than {rival}"


def echo(run: Run) -> str:
    """The price LSTM's R2 beside its error."""
    horizon = run.outlook.horizons[0]
    s = summary_of(run, PRICE_MODEL, horizon)
    naive = next((n for n in run.summaries if (n.model, n.horizon) == (NAIVE, horizon)), None)
    if s.r2 is None or s.rmse is None or naive is None or not naive.rmse or naive.r2 is None:
        return f"What {PRICE_MODEL} said, and what the price did"
    return (
        f"A price LSTM at R² {s.r2:.3f} looks convincing; its error is {s.rmse / naive.rmse:.1f} times that of"
        f" “no change”, which has R² {naive.r2:.3f}"
    )


def training(run: Run) -> str:
    """Whether the networks converged."""
    histories = [f.history for walk in run.walks for f in walk.fitted if f.history is not None]
    networks = sum(len(h.best_epoch) for h in histories)
    stopped = sum(int(h.converged.sum()) for h in histories)
    if stopped == networks:
        return f"All {networks} networks stopped learning by themselves" if networks > 1 else "The network converged"
    return f"{stopped} of {networks} networks stopped learning by themselves, the others ran out of epochs"


def convergence(run: Run) -> list[tuple[str, str]]:
    """How each model's networks learned, in words."""
    return [
        (walk.recipe.model.name, _converged(histories))
        for walk in run.walks
        if (histories := [f.history for f in walk.fitted if f.history is not None])
    ]


def _converged(histories: list[History]) -> str:
    best = np.concatenate([h.best_epoch for h in histories]) + 1
    stopped = np.concatenate([h.converged for h in histories])
    epochs = np.concatenate([np.isfinite(h.validation).sum(axis=1) for h in histories])
    decays = np.concatenate([_decays(h) for h in histories])
    first, kept, train = (
        np.median(np.concatenate([losses(h) for h in histories]))
        for losses in (lambda h: h.validation[:, 0], lambda h: _at_best(h, h.validation), lambda h: _at_best(h, h.train))
    )
    return (
        f"{_networks(histories)}. The weights kept are those of epoch {_range(best)}, training went on to"
        f" epoch {_range(epochs)}, and early stopping ended {int(stopped.sum())} of {len(stopped)}; the learning rate"
        f" fell {_range(decays)} times. Validation loss {kept:.3g} at the weights kept, {first:.3g} after the first"
        f" epoch; training loss {train:.3g}, with dropout on."
    )


def _networks(histories: list[History]) -> str:
    members, refits = len(histories[0].best_epoch), len(histories)
    if members == refits == 1:
        return "one network, trained once"
    return f"{sum(len(h.best_epoch) for h in histories)} networks ({refits} refits of {members} seeds)"


def _at_best(history: History, losses: np.ndarray) -> np.ndarray:
    return losses[np.arange(len(history.best_epoch)), history.best_epoch]


def _decays(history: History) -> np.ndarray:
    rates = history.learning_rate
    return np.nansum(np.diff(rates, axis=1) < -1e-3 * rates[:, :-1], axis=1)


def _range(values: np.ndarray) -> str:
    low, middle, high = (int(v) for v in np.quantile(values, [0, 0.5, 1], method="nearest"))
    return str(low) if low == high else f"{middle} in the median ({low} to {high})"


def calibration(run: Run) -> str:
    """Whether the widest band of the model shown held as often as promised."""
    name, horizon = run.outlook.model, run.outlook.horizons[0]
    held = summary_of(run, name, horizon).coverage.get(95)
    if held is None or held.share is None:
        return f"{name} gives no bands to judge"
    share = f"{name}’s 95 % band held {percent(held.share)} of the time"
    if held.kupiec_p is None or held.kupiec_p >= 0.05:
        return f"{share}, as promised within chance"
    return f"{share}: {'too narrow' if held.share < held.level else 'too wide'}"


def time(run: Run) -> str:
    """In how many years the model shown, or the best other than the reference, was ahead of the reference."""
    horizon, rival = run.outlook.horizons[0], reference(run)
    names = [run.outlook.model, *names_by_crps(run, horizon)]
    judged = {v.model: v for v in run.verdicts if v.horizon == horizon and v.reference == rival and v.periods}
    v = next((judged[name] for name in names if name in judged), None)
    if v is None:
        return "Too short a test to look at years"
    kind = "half-years" if "half" in v.periods[0].label else "years"
    return f"{v.model} was ahead of {rival} in {v.wins} of {len(v.periods)} {kind}"


def errors(run: Run) -> str:
    """The largest miss."""
    name, horizon, interval = run.outlook.model, run.outlook.horizons[0], run.candles.feed.interval
    rows = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon).drop_nulls("crps")
    if rows.is_empty():
        return "No forecast has met its truth yet"
    worst = rows.sort("crps", descending=True).row(0, named=True)
    what = f"The largest miss was {bar_of(worst['target_time'], interval)}: {change(worst['truth'])}"
    if worst["lo95"] is None:
        return what
    side, edge = ("down", "lo95") if worst["truth"] < worst["median"] else ("up", "hi95")
    return f"{what}, where the 95 % band of {name} reached {side} to {change(worst[edge])}"


def data(run: Run) -> str:
    """How much had to be mended."""
    bars, missing = len(run.candles), int((~run.candles.observed).sum())
    repairs = sum(run.cleaned.repairs.tally.values())
    if not repairs and not missing:
        return f"None of the {bars:,} candles had to be mended"
    were = f"{missing:,} of {bars:,} candles were missing" if missing else f"none of {bars:,} candles is missing"
    return f"{repairs:,} repairs; {were}"


def dateline(run: Run) -> str:
    """What was looked at, in one line."""
    interval, origins = run.candles.feed.interval, run.walks[0].forecast.origin
    return (
        f"{run.candles.feed.symbol} on {run.candles.feed.exchange}: {len(run.candles):,} {candles_of(interval)} from"
        f" {moment(run.candles.start)} to {bar_of(run.candles.end, interval)}. From the close of"
        f" {bar_of(origins[0], interval)} on, each model forecast {len(origins):,} times, knowing only what had closed by"
        " then. Times are UTC; a candle is named by its opening."
    )


def headings(run: Run) -> dict[str, str]:
    """The statement over each section, by its place in the page."""
    return {
        "scores": scores(run),
        **({"echo": echo(run)} if any(s.model == PRICE_MODEL for s in run.summaries) else {}),
        **({"training": training(run)} if any(f.history for walk in run.walks for f in walk.fitted) else {}),
        "calibration": calibration(run),
        "time": time(run),
        "errors": errors(run),
        "data": data(run),
        "colophon": "Everything to do it again",
    }
