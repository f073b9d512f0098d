"""The verdict: which of four words may be said of a model, and the sentences made of them.

A model is judged on CRPS against one named reference at the same origins. It is `better` only if a Diebold-Mariano
test says so after Holm's correction over every model and horizon of the table, and the sign holds in two thirds of the
years; `worse` is the mirror; else `no better`. On fewer than 250 origins nothing is said but that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float
from scipy.stats import t as student_t
from statsmodels.tsa.stattools import diebold_mariano_test

from .direction import Direction
from .feed import Feed
from .hac import hac_error, hac_lags, overlap
from .summaries import Summary, groups, with_reference

REFERENCES = ("garch-t", "naive-conformal")
SIGNIFICANCE = 0.05
ENOUGH_ORIGINS = 250
ENOUGH_IN_PERIOD = 90
FEWEST_PERIODS = 3
SHARE_OF_PERIODS = 2 / 3

PRICE_MODEL = "seed-lstm"
NAIVE = "naive"
# Two price forecasts whose RMSE differs by less than this share are called equal in words.
SAME_ERROR = 0.02

Word = Literal["better", "no better", "worse", "too short to tell"]


@dataclass(frozen=True)
class Comparison:
    """A model's losses against a reference's at the same times; negative is better. None where undefined.

    Args:
        n: pairs of losses.
        mean_difference: mean of loss - the reference's loss.
        low: lower end of its 95 % interval, from the same standard error as t.
        high: its upper end.
        t: Diebold-Mariano statistic with the Harvey-Leybourne-Newbold factor.
        p_better: one-sided p that the model's loss is not smaller.
        p_worse: one-sided p that it is not larger.
    """

    n: int
    mean_difference: float | None
    low: float | None = None
    high: float | None = None
    t: float | None = None
    p_better: float | None = None
    p_worse: float | None = None


def diebold_mariano(
    loss: Float[np.ndarray, " origin"],
    reference_loss: Float[np.ndarray, " origin"],
    horizon: int,
    lags: int | None = None,
) -> Comparison:
    """Are two series of losses equal on average?

    Diebold and Mariano (1995), J. Business & Economic Statistics 13; long-run variance with Bartlett weights and
    max(h - 1, ceil(n^(1/3))) lags; small-sample factor and Student-t law of Harvey, Leybourne and Newbold (1997),
    Int. J. Forecasting 13. Computed by statsmodels.

    Args:
        loss: in time order; NaN where unknown, and dropped in pairs.
        reference_loss: the same for the reference.
        horizon: intervals ahead.
        lags: of the long-run variance, if other than those above.
    """
    both = np.isfinite(loss) & np.isfinite(reference_loss)
    own, reference = loss[both], reference_loss[both]
    difference = own - reference
    n = len(difference)
    if not n:
        return Comparison(0, None)
    mean = float(difference.mean())
    lags = hac_lags(n, horizon) if lags is None else lags
    error = hac_error(difference, lags)
    # Differences that are equal but for rounding have no variance to judge their mean by.
    if n <= max(lags, horizon) + 1 or not error or np.ptp(difference) <= 1e-12 * np.abs(own).max():
        return Comparison(n, mean)
    test = diebold_mariano_test(
        np.zeros(n),
        own,
        reference,
        lags=lags,
        criterion=lambda _, losses: losses,
        harvey_adj=True,
        horizon=horizon,
    )
    reach = float(student_t.ppf(0.975, n - 1)) * error / float(test.harvey_adj_factor)
    return Comparison(
        n=n,
        mean_difference=mean,
        low=mean - reach,
        high=mean + reach,
        t=float(test.statistic),
        p_better=float(student_t.cdf(test.statistic, n - 1)),
        p_worse=float(student_t.sf(test.statistic, n - 1)),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values, each to be compared with 5 % as if it stood alone; None is left out.

    Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian J. Statistics 6. The k-th
    smallest of m is multiplied by m - k + 1, and none may be below one before it.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for passed, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - passed)))
        adjusted[place] = largest
    return adjusted


@dataclass(frozen=True)
class Period:
    """One calendar year or half-year: its origins and the mean difference to the reference's CRPS in it."""

    label: str
    n: int
    mean_difference: float


@dataclass(frozen=True)
class Verdict:
    """What may be said of a model at one horizon.

    Args:
        model: the forecaster's name.
        horizon: intervals ahead.
        word: the verdict; None if there is nothing to compare with.
        reason: why this word, or why none.
        reference: what it was compared with.
        skill: 1 - its CRPS / the reference's, over the origins both have.
        comparison: the Diebold-Mariano test on CRPS.
        p_better: its one-sided p after Holm.
        p_worse: the mirror.
        periods: years with at least 90 origins, or half-years if there are fewer than three such years.
    """

    model: str
    horizon: int
    word: Word | None
    reason: str
    reference: str | None = None
    skill: float | None = None
    comparison: Comparison | None = None
    p_better: float | None = None
    p_worse: float | None = None
    periods: tuple[Period, ...] = ()

    @property
    def p(self) -> float | None:
        """One-sided, after Holm: of being no better where it gained, of being no worse where it lost."""
        return self.p_better if (self.skill or 0.0) >= 0 else self.p_worse

    @property
    def wins(self) -> int:
        """Periods in which the model's CRPS was smaller."""
        return sum(period.mean_difference < 0 for period in self.periods)

    @property
    def losses(self) -> int:
        """Periods in which it was larger."""
        return sum(period.mean_difference > 0 for period in self.periods)


def judge(scores: pl.DataFrame, references: Sequence[str] = REFERENCES) -> list[Verdict]:
    """The verdict on every model and horizon of a table.

    Args:
        scores: rows of `score`, of every model of the table, one below the other.
        references: whom to compare with; a model is compared with the first that is in the scores and not itself.
    """
    return pronounce(compare(scores, references))


def compare(scores: pl.DataFrame, references: Sequence[str]) -> list[Verdict]:
    """Every model and horizon of a table beside its reference, no word said yet; the arguments are those of `judge`."""
    present = set(scores["model"])
    tables = {name: with_reference(scores, name) for name in references if name in present}
    return [_compare(group.model, group.horizon, tables) for group in groups(scores)]


def pronounce(compared: Sequence[Verdict]) -> list[Verdict]:
    """The words for all that was compared, of one table or of several, after Holm's correction over all of it."""
    comparisons = [verdict.comparison for verdict in compared]
    better = holm([c.p_better if c else None for c in comparisons])
    worse = holm([c.p_worse if c else None for c in comparisons])
    return [_pronounce(replace(v, p_better=b, p_worse=w)) for v, b, w in zip(compared, better, worse, strict=True)]


def _compare(model: str, horizon: int, tables: Mapping[str, pl.DataFrame]) -> Verdict:
    reference = next((name for name in tables if name != model), None)
    if reference is None:
        return Verdict(model, horizon, None, "it has no reference among the models")
    rows = (
        tables[reference]
        .filter(pl.col("model") == model, pl.col("horizon") == horizon)
        .drop_nulls("reference_crps")
        .sort("origin")
    )
    loss, reference_loss = rows["crps"].to_numpy(), rows["reference_crps"].to_numpy()
    return Verdict(
        model=model,
        horizon=horizon,
        word=None,
        reason="",
        reference=reference,
        skill=float(1 - loss.sum() / reference_loss.sum()) if reference_loss.sum() > 0 else None,
        comparison=diebold_mariano(loss, reference_loss, overlap(rows)),
        periods=_periods(rows),
    )


def _periods(rows: pl.DataFrame) -> tuple[Period, ...]:
    """Calendar years with enough origins; half-years with enough if those are fewer than three."""
    year = pl.col("origin").dt.year().cast(pl.String)
    half = pl.when(pl.col("origin").dt.month() <= 6).then(pl.lit(" first half")).otherwise(pl.lit(" second half"))
    years = _long_enough(rows, year)
    return years if len(years) >= FEWEST_PERIODS else _long_enough(rows, year + half)


def _long_enough(rows: pl.DataFrame, label: pl.Expr) -> tuple[Period, ...]:
    difference = pl.col("crps") - pl.col("reference_crps")
    table = (
        rows.group_by(label.alias("label"), maintain_order=True)
        .agg(pl.len().alias("n"), difference.mean().alias("mean_difference"))
        .filter(pl.col("n") >= ENOUGH_IN_PERIOD)
    )
    return tuple(Period(*row) for row in table.iter_rows())


def _pronounce(verdict: Verdict) -> Verdict:
    """The word that the numbers allow."""
    comparison = verdict.comparison
    if comparison is None:
        return verdict
    if comparison.n < ENOUGH_ORIGINS:
        return replace(
            verdict,
            word="too short to tell",
            reason=f"{comparison.n} origins shared with {verdict.reference}, {ENOUGH_ORIGINS} are needed",
        )
    if comparison.t is None:
        return replace(verdict, word="no better", reason=f"its CRPS does not vary against {verdict.reference}'s")
    word, reason = _weigh(verdict)
    return replace(verdict, word=word, reason=reason)


def _weigh(verdict: Verdict) -> tuple[Word, str]:
    sides: tuple[tuple[Word, float | None, int], ...] = (
        ("better", verdict.p_better, verdict.wins),
        ("worse", verdict.p_worse, verdict.losses),
    )
    for word, p, held in sides:
        if p is not None and p < SIGNIFICANCE:
            periods = f"{held} of {len(verdict.periods)} periods"
            if verdict.periods and held >= SHARE_OF_PERIODS * len(verdict.periods):
                return word, f"significant after Holm ({_p(p)}), and so in {periods}"
            return "no better", f"significantly {word} over all ({_p(p)}), but so in only {periods}"
    return "no better", "the difference is within chance"


def verdict_sentence(verdict: Verdict, summaries: Sequence[Summary], feed: Feed) -> str:
    """What a person would say: of the spread, of the direction, and of the price LSTM if it was in the run.

    Args:
        verdict: on the model the sentence is about.
        summaries: of all models; those of this model, `seed-lstm` and `naive` at the verdict's horizon are used.
        feed: which candles.
    """
    here = {summary.model: summary for summary in summaries if summary.horizon == verdict.horizon}
    sentences = [_spread_sentence(verdict, feed)]
    if verdict.model in here:
        sentences.append(direction_sentence(here[verdict.model].direction))
    if PRICE_MODEL in here and NAIVE in here:
        sentences.append(_price_sentence(here[PRICE_MODEL], here[NAIVE], feed))
    return " ".join(sentences)


def _spread_sentence(verdict: Verdict, feed: Feed) -> str:
    comparison, model = verdict.comparison, verdict.model
    if comparison is None:
        return f"Nothing can be said of {model}: {verdict.reason}."
    length = _length(comparison.n, feed)
    what = f"the spread of {target_of(verdict.horizon, feed)}"
    if verdict.word == "too short to tell":
        return f"{length} of {feed.symbol} are too short to tell whether {model} forecasts {what} well."
    numbers = ", ".join(numbers_of(verdict))
    return f"On {length} of {feed.symbol}, {model} forecast {what} {verdict.word} than {verdict.reference} ({numbers})."


def numbers_of(verdict: Verdict, loss: str = "CRPS") -> list[str]:
    """How much, how sure, how often; `loss` is what the score is called."""
    said = []
    if verdict.skill is not None:
        said.append(f"{loss} {_percent(abs(verdict.skill), 2)} {'lower' if verdict.skill >= 0 else 'higher'}")
    lower = verdict.skill is None or verdict.skill >= 0
    p = verdict.p_better if lower else verdict.p_worse
    if p is None:
        return said
    if p >= SIGNIFICANCE:
        return [*said, "within chance"]
    said.append(_p(p))
    if verdict.periods:
        kind = "half-years" if "half" in verdict.periods[0].label else "years"
        held = verdict.wins if lower else verdict.losses
        said.append(f"so in {held} of {len(verdict.periods)} {kind}")
    return said


def direction_sentence(direction: Direction | None) -> str:
    """Whether it knew up from down."""
    if direction is None:
        return "It does not say whether the price will rise or fall."
    share, majority = _percent(direction.share, 1), _percent(direction.majority, 1)
    if direction.beyond_chance:
        return f"It forecast the direction ({share} right, where always saying the same gets {majority})."
    return f"It did not forecast the direction ({share} right, within chance)."


def _price_sentence(price: Summary, naive: Summary, feed: Feed) -> str:
    simple = '"tomorrow = today"' if feed.interval.name == "1d" and price.horizon == 1 else '"no change"'
    if not naive.rmse:
        return f"The price never moved, so {price.model} cannot be compared with {simple}."
    ratio = price.rmse / naive.rmse
    if ratio > 1 + SAME_ERROR:
        return f"The price LSTM ({price.model}) lost to {simple}: its RMSE was {ratio:.2f} times as large."
    if ratio < 1 - SAME_ERROR:
        return f"The price LSTM ({price.model}) had {ratio:.2f} times the RMSE of {simple}: look for a leak first."
    return f"The price LSTM ({price.model}) was as far off as {simple}: its RMSE was {ratio:.2f} times as large."


def target_of(horizon: int, feed: Feed) -> str:
    """What a forecast that far ahead is about."""
    name = feed.interval.name
    if horizon == 1:
        return {"1d": "tomorrow's price", "1h": "the next hour's price"}.get(name, f"the price after the next {name}")
    return f"the price in {_length(horizon, feed)}"


def _length(count: int, feed: Feed) -> str:
    name = feed.interval.name
    unit = {"1d": "days", "1h": "hours", "1w": "weeks", "1m": "minutes"}.get(name, f"bars of {name}")
    return f"{count:,} {unit}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"
