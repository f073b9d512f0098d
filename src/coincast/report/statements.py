"""Headings that say what the charts under them show, written from the run's own numbers."""

from __future__ import annotations

import re
from collections.abc import Collection

from markupsafe import Markup, escape

from ..runs import Run
from ..verdict import NAIVE, PRICE_MODEL, SIGNIFICANCE
from .networks import histories
from .ranking import challengers, judged, reference, summary
from .style import change, percent, price
from .weights import heading as weights
from .words import bar_of, candles_of, listed, moment, span

# A coverage closer than this to what was promised is off only slightly, however sure that may be.
A_LITTLE = 0.01
_NUMBER = re.compile(r"(?:p [=<] )?(?<![\w.,-])\d(?:[\d.,]*\d)?(?: %)?(?![\w-])")


def opening(run: Run) -> list[Markup]:
    """The verdict in words, sentence by sentence, its numbers leading to where they are shown."""
    shown, said = headings(run), re.sub('"([^"]*)"', r"“\1”", run.headline)
    return [linked(sentence, shown) for sentence in re.split(r"(?<=[.)]) (?=[A-Z])", said)]


def linked(sentence: str, shown: Collection[str]) -> Markup:
    """A sentence whose numbers lead to the section they come from."""
    wanted = "echo" if PRICE_MODEL in sentence else "scores"
    place = wanted if wanted in shown else "scores"
    parts, end = [], 0
    for number in _NUMBER.finditer(sentence):
        link = Markup('<a href="#{}">{}</a>').format(place, number[0])
        parts += [escape(sentence[end : number.start()]), link]
        end = number.end()
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
    rival = reference(run)
    here = challengers(run, run.outlook.horizons[0])
    if rival is None or not here:
        return "Nothing to compare with: no reference model was run"
    if all(v.word == "too short to tell" for v in here.values()):
        return f"Too few forecasts to tell any model from {rival}"
    better = [name for name, v in here.items() if v.word == "better"]
    if not better:
        return (
            f"{f'None of {len(here)} models' if len(here) > 1 else 'Nothing'} forecast the spread better than {rival}"
        )
    only = "Only " if len(better) == 1 and len(here) > 1 else ""
    return f"{only}{listed(better)} forecast the spread better than {rival}"


def echo(run: Run) -> str | None:
    """The price LSTM's R2 beside its error; None if there is none in the run."""
    horizon = run.outlook.horizons[0]
    lstm, naive = summary(run, PRICE_MODEL, horizon), summary(run, NAIVE, horizon)
    if lstm is None or lstm.r2 is None or lstm.rmse is None:
        return None
    said = f"A price LSTM at R² {lstm.r2:.3f} looks convincing"
    if naive is None or not naive.rmse or naive.r2 is None:
        return said
    return f"{said}; its error is {lstm.rmse / naive.rmse:.1f} times that of “no change”, which has R² {naive.r2:.3f}"


def training(run: Run) -> str | None:
    """Whether the networks converged; None if there are none."""
    found = [history for own in histories(run).values() for history in own]
    stopped = [bool(converged) for history in found for converged in history.converged]
    if not stopped:
        return None
    if not any(stopped):
        return f"None of {len(stopped)} networks stopped early: each used all its epochs"
    if all(stopped):
        return (
            f"All {len(stopped)} networks stopped learning by themselves"
            if len(stopped) > 1
            else "The network converged"
        )
    return f"{sum(stopped)} of {len(stopped)} networks stopped by themselves, the others ran out of epochs"


def calibration(run: Run) -> str | None:
    """Whether the widest band of the model shown held as often as promised; None if it has none."""
    name = run.outlook.model
    found = summary(run, name, run.outlook.horizons[0])
    held = found.coverage.get(95) if found else None
    if held is None or held.share is None:
        return None
    share = f"{name}’s 95 % band held {percent(held.share)} of the time"
    if held.kupiec_p is None or held.kupiec_p >= SIGNIFICANCE:
        return f"{share}, as promised within chance"
    little = "slightly " if abs(held.share - held.level) < A_LITTLE else ""
    return f"{share}: {little}too {'narrow' if held.share < held.level else 'wide'}"


def time(run: Run) -> str | None:
    """In how many years the model shown, or else the best other, was ahead of the reference; None without one."""
    verdicts = challengers(run, run.outlook.horizons[0])
    v = verdicts.get(run.outlook.model) or next(iter(verdicts.values()), None)
    if v is None:
        return None
    if not v.periods:
        return "The test is too short to count years"
    kind = "half-years" if "half" in v.periods[0].label else "years"
    return f"{v.model} was ahead of {v.reference} in {v.wins} of {len(v.periods)} {kind}"


def errors(run: Run) -> str | None:
    """The largest miss; None if no truth is known yet."""
    name = run.outlook.model
    rows = judged(run, name, run.outlook.horizons[0]).sort("crps", descending=True)
    if rows.is_empty():
        return None
    worst = rows.row(0, named=True)
    what = f"The largest miss was {bar_of(worst['target_time'], run.candles.feed.interval)}: {change(worst['truth'])}"
    if worst["lo95"] is None:
        return what
    side, edge = ("down", "lo95") if worst["truth"] < worst["median"] else ("up", "hi95")
    return f"{what}, where the 95 % band of {name} reached {side} to {change(worst[edge])}"


def data(run: Run) -> str:
    """How much was missing or had to be mended."""
    bars, missing = f"{len(run.candles):,} candles", int((~run.candles.observed).sum())
    seen = run.candles.frame.filter("observed")
    mended = seen.join(run.cleaned.repairs.frame.drop_nulls("put"), on="time", how="semi").height
    if not missing and not mended:
        return f"None of the {bars} was missing or had to be mended"
    return f"Of {bars}, {missing:,} were missing and {mended:,} were mended"


def dateline(run: Run) -> str:
    """What was looked at, in one line."""
    interval, origins = run.candles.feed.interval, run.walks[0].forecast.origin
    return (
        f"{run.candles.feed.symbol} on {run.candles.feed.exchange}: {len(run.candles):,} {candles_of(interval)} from"
        f" {moment(run.candles.start, interval)} to {bar_of(run.candles.end, interval)}. From the close of"
        f" {bar_of(origins[0], interval)} on, each model forecast {len(origins):,} times, knowing only what had"
        " closed by then. Times are UTC; a candle is named by its opening."
    )


def headings(run: Run) -> dict[str, str]:
    """The statement over each section, by its place in the page; a section without one has nothing to show."""
    statements = {
        "scores": scores(run),
        "echo": echo(run),
        "training": training(run),
        "weights": weights(run),
        "calibration": calibration(run),
        "time": time(run),
        "errors": errors(run),
        "data": data(run),
        "colophon": "Everything to do it again",
    }
    return {place: statement for place, statement in statements.items() if statement}
