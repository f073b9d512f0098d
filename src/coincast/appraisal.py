"""Anyone's forecasts beside two references: no training of theirs, no more than a GARCH fit of ours.

A forecast is judged at the levels that were stated and at no others: its loss is twice the mean pinball loss of the
log-return over those levels. For a point forecast that is the absolute error, for many levels the CRPS (Laio and Tamea
2007, Hydrol. Earth Syst. Sci. 11). The references walk forward over the same origins, are reduced to the same levels
and judged by the same function, so all rows of a table stand on equal footing. Point forecasts are compared with
`naive`, others with `garch-t`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import scoringrules
from jaxtyping import Bool, Float

from .backtest import Block, blocks, silent, walk_block
from .candles import Candles, Times
from .coverage import Coverage, coverage
from .diagnosis import LagIllusion, lag_illusion
from .direction import Direction, direction
from .errors import DataError
from .feed import from_numpy, to_numpy
from .forecast import K
from .forecaster import Watch
from .hac import overlap
from .predictions import MEDIAN, SAME_TRUTH, Predictions, of_forecast
from .recipe import Recipe, pace, recipes
from .scores import mae, mape, mase, naive_scale, r2, rmse
from .summaries import Group, groups, with_reference
from .truth import closes_at
from .verdict import NAIVE, SAME_ERROR, Verdict, compare, direction_sentence, numbers_of, pronounce, target_of
from .windows import Windows
from .workers import Map, Monitor, serial

SCHEMA = "coincast-score/1"
REFERENCES = (NAIVE, "garch-t")
POINT = (MEDIAN,)
# Of more symmetric pairs than these only the bands nearest to the usual ones are counted.
FEW_BANDS = 10
USUAL_BANDS = (50, 80, 95)
_ROUNDING = 1e-9

Levels = tuple[float, ...]


@dataclass(frozen=True)
class Standing:
    """One model at one horizon over all its forecasts with a truth. None where a number is undefined.

    Args:
        model: its name.
        horizon: intervals ahead.
        n: forecasts judged.
        rmse: of the price, in quote currency.
        mae: of the price, in quote currency.
        mape: a fraction.
        mase: MAE in units of the one-step naive's before the first origin.
        r2: of the price level; a curiosity.
        r2_naive: the same of "no change".
        rmse_ratio: RMSE divided by that of "no change" over the same forecasts.
        direction: how often up and down were right; None for a model that never names one.
        crps: mean of twice the pinball loss over the stated levels, of the log-return.
        crps_skill: by reference, 1 - crps / the reference's over the origins both have.
        coverage: by stated band in percent.
    """

    model: str
    horizon: int
    n: int
    rmse: float
    mae: float
    mape: float
    mase: float | None
    r2: float | None
    r2_naive: float | None
    rmse_ratio: float | None
    direction: Direction | None
    crps: float | None
    crps_skill: Mapping[str, float]
    coverage: Mapping[float, Coverage]


@dataclass(frozen=True)
class Appraisal:
    """What predictions are worth beside the references.

    Args:
        candles: whose closes are the truth.
        predictions: what was judged.
        beside: of each model, the references on its own levels: what they are called in `scores`.
        notes: what was not judged and why, and what was taken for granted, in plain sentences.
        scores: a row a forecast, with the names of `scores.score` where they mean the same: `model, origin,
            target_time, horizon, price, truth, median, crps, actual, predicted`, and `hit90` for each stated band.
            Null is what could not be judged.
    """

    candles: Candles
    predictions: tuple[Predictions, ...]
    beside: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]
    scores: pl.DataFrame

    @cached_property
    def standings(self) -> list[Standing]:
        """The averages of every model and reference, by horizon."""
        origins = self.scores.drop_nulls("truth")["origin"].dt.replace_time_zone(None).to_numpy()
        scale = naive_scale(self.candles, from_numpy(origins.min()))
        skills = {model: self._skills(model) for model in self.beside}
        with np.errstate(over="ignore"):
            return [_standing(group, scale, skills.get(group.model, {})) for group in groups(self.scores)]

    def standing(self, model: str, horizon: int) -> Standing:
        """That of one model at one horizon."""
        return next(s for s in self.standings if (s.model, s.horizon) == (model, horizon))

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdict on each model and horizon, against `naive` for points and `garch-t` for others."""
        compared: list[Verdict] = []
        for p in self.predictions:
            reference = self._reference(p)
            rows = self.scores.filter(pl.col("model").is_in([p.model, *filter(None, [reference])]))
            compared += [v for v in compare(rows, [reference] if reference else []) if v.model == p.model]
        return pronounce(compared)

    @cached_property
    def illusions(self) -> list[LagIllusion]:
        """Whether each model forecasts or echoes."""
        theirs = pl.col("model").is_in([p.model for p in self.predictions])
        with np.errstate(over="ignore", invalid="ignore"):
            return lag_illusion(self.scores.filter(theirs).drop_nulls("median"), self.candles)

    @property
    def horizons(self) -> list[int]:
        """Those at which anything could be judged, ascending."""
        return sorted({s.horizon for s in self.standings})

    @property
    def headline(self) -> str:
        """What a person would say of the model that gains most on "no change" at the shortest horizon."""
        first = self.horizons[0]
        judged = {s.model: s for s in self.standings if s.horizon == first and s.model in self.beside}
        best = max(judged.values(), key=lambda s: s.crps_skill.get(NAIVE, -np.inf))
        verdict = next(v for v in self.verdicts if (v.model, v.horizon) == (best.model, first))
        stated = next(p for p in self.predictions if p.model == best.model)
        sentences = [_skill_sentence(verdict, stated), direction_sentence(best.direction)]
        if best.rmse_ratio is not None:
            leak = best.rmse_ratio < 1 - SAME_ERROR and verdict.word != "too short to tell"
            doubt = ": look for a leak first" if leak else ""
            sentences.append(f'Its RMSE was {best.rmse_ratio:.2f} times that of "no change"{doubt}.')
        return " ".join(sentences)

    def document(self) -> dict[str, Any]:
        """Everything as JSON would hold it."""
        names = list(dict.fromkeys(s.model for s in self.standings))
        levels = {p.model: p.levels for p in self.predictions}
        return {
            "schema": SCHEMA,
            "feed": str(self.candles.feed),
            "digest": self.candles.digest,
            "headline": self.headline,
            "notes": list(self.notes),
            "models": [
                {
                    "name": name,
                    "levels": levels[name],
                    "beside": self.beside[name],
                    "horizons": {str(s.horizon): self._judged(s) for s in self.standings if s.model == name},
                }
                for name in names
                if name in levels
            ],
            "references": [
                {
                    "name": name,
                    "horizons": {str(s.horizon): _metrics(s) for s in self.standings if s.model == name},
                }
                for name in names
                if name not in levels
            ],
        }

    def _judged(self, s: Standing) -> dict[str, Any]:
        v = next(v for v in self.verdicts if (v.model, v.horizon) == (s.model, s.horizon))
        illusion = next((i for i in self.illusions if (i.model, i.horizon) == (s.model, s.horizon)), None)
        return {
            **_metrics(s),
            "verdict": v.word,
            "reference": v.reference,
            "reason": v.reason,
            "p_better": v.p_better,
            "p_worse": v.p_worse,
            "best_shift": illusion.best_shift if illusion else None,
            "of_change": _finite(illusion.of_change) if illusion else None,
        }

    def _reference(self, p: Predictions) -> str | None:
        """What the verdict on a model compares it with: "no change" only where nothing else stands beside it."""
        beside = self.beside[p.model]
        names = sorted(beside, key=lambda name: name == NAIVE)
        return beside[names[0]] if names else None

    def _skills(self, model: str) -> dict[int, dict[str, float]]:
        """By horizon and reference, 1 - the model's loss / the reference's."""
        skills: dict[int, dict[str, float]] = {}
        for name, called in self.beside[model].items():
            both = with_reference(self.scores, called).filter(pl.col("model") == model).drop_nulls("reference_crps")
            sums = both.group_by("horizon").agg(pl.col("crps", "reference_crps").sum())
            for horizon, own, others in sums.iter_rows():
                if others > 0:
                    skills.setdefault(horizon, {})[name] = 1 - own / others
        return skills


def appraise(
    predictions: Sequence[Predictions],
    candles: Candles,
    *,
    references: Sequence[str] = REFERENCES,
    do: Map = serial,
    monitor: Monitor = silent,
) -> Appraisal:
    """Judge predictions by the closes of `candles`, beside references that are refitted along the way.

    What starts or ends at a bar that was not observed, or has no truth yet, is null and counted, never scored. A
    reference with too little past before some origins stands beside the later ones; with too little before all of
    them it is left out and said so. Crossing quantiles are judged as they were stated.

    Args:
        predictions: of models with different names.
        candles: of the same feed, with the past before the origins that references learn from.
        references: registered models to compare with.
        do: how the references' refits are done.
        monitor: told of the refits.

    Raises:
        DataError: the predictions are of another feed or share a name, or none of them can be judged.
    """
    _demand_comparable(predictions, candles)
    notes: list[str] = []
    theirs = [_apart(p, references, notes) for p in predictions]
    for p in theirs:
        notes += _left_out(p, candles)
    judged = [_score(p, candles) for p in theirs]
    _demand_truth(judged, theirs, candles)
    beside: dict[str, dict[str, str]] = {p.model: {} for p in theirs}
    wanted = {name: _wanted(name, theirs) for name in references}
    for walked in _walks(wanted, _Asked.of(judged, candles), do, monitor, notes):
        name, models = walked.model, wanted[walked.model][walked.levels]
        called = name if len(wanted[name]) == 1 else f"{name} beside {models[0]}"
        same = pl.concat([frame for frame in judged if frame["model"][0] in models], how="diagonal")
        rows = _score(replace(walked, model=called), candles)
        judged.append(rows.join(same, on=["origin", "target_time"], how="semi"))
        beside |= {model: {**beside[model], name: called} for model in models}
    return Appraisal(candles, tuple(theirs), beside, tuple(notes), pl.concat(judged, how="diagonal"))


def _demand_comparable(predictions: Sequence[Predictions], candles: Candles) -> None:
    names = [p.model for p in predictions]
    if not names or len(set(names)) != len(names):
        raise DataError(
            f"The models are {', '.join(names) or 'none'}.",
            "A table has one row for each model.",
            "Pass the predictions of at least one model, each under a name of its own.",
        )
    other = next((p for p in predictions if p.feed != candles.feed), None)
    if other is not None:
        raise DataError(
            f"{other.model} forecasts {other.feed}, the candles are of {candles.feed}.",
            "It would be judged by the truth of another market.",
            "Pass the candles it is about.",
        )


def _apart(p: Predictions, references: Sequence[str], notes: list[str]) -> Predictions:
    """Under a name that no reference has."""
    if p.model not in references:
        return p
    notes.append(f"A model is called {p.model}, as a reference is: it stands as {p.model} (theirs).")
    return replace(p, model=f"{p.model} (theirs)")


def _left_out(p: Predictions, candles: Candles) -> list[str]:
    """How many of its forecasts are not judged, by the first reason that holds, and how many are odd."""
    price, actual = (closes_at(times, candles, observed=True) for times in (p.origin, p.target_time))
    reasons = {
        "were made when their target had closed": p.horizon < 1,
        "start after the last bar": p.origin > candles.known_at[-1],
        "start where the candles have no observed bar": np.isnan(price),
        "await their truth": p.target_time > candles.known_at[-1],
        "are about a bar that was not observed": np.isnan(actual),
        "state a price that is not positive and has no log-return": (p.prices <= 0).any(axis=1),
    }
    left = np.ones(len(p), dtype=bool)
    notes = []
    for words, holds in reasons.items():
        if count := int((left & holds).sum()):
            notes.append(f"{p.model}: {count:,} of {len(p):,} forecasts {words}; they are not scored.")
        left &= ~holds
    notes += _other_truths(p, actual)
    if count := int((np.diff(p.prices) < 0).any(axis=1).sum()):
        notes.append(
            f"{p.model}: in {count:,} of {len(p):,} forecasts quantiles cross; each is judged at the level it was"
            " stated for, and a band whose ends are crossed holds nothing."
        )
    return notes


def _other_truths(p: Predictions, actual: Float[np.ndarray, " forecast"]) -> list[str]:
    """Whether the truths that were stated are those of these candles."""
    if p.stated is None:
        return []
    both = np.isfinite(p.stated) & np.isfinite(actual)
    count = int((np.abs(p.stated[both] / actual[both] - 1) > SAME_TRUTH).sum())
    if not count:
        return []
    usual = float(np.median(p.stated[both] / actual[both]))
    return [
        f"{p.model}: {count:,} of {int(both.sum()):,} truths that the frame states are not the close of the bar they"
        f" stand beside (in the median {usual:.4g} times it). They are not used; look for a shift of the bars, or other"
        " candles."
    ]


def _score(p: Predictions, candles: Candles) -> pl.DataFrame:
    """Every forecast judged by its own truth at its own levels; see `Appraisal.scores`."""
    price, actual = (closes_at(times, candles, observed=True) for times in (p.origin, p.target_time))
    known = np.isfinite(price) & np.isfinite(actual) & (p.horizon >= 1)
    truth = np.where(known, np.log(actual) - np.log(price), np.nan)
    returns = np.log(np.where(p.prices > 0, p.prices, np.nan)) - np.log(price)[:, None]
    losses = [scoringrules.quantile_score(truth, returns[:, k], level) for k, level in enumerate(p.levels)]
    columns = {
        "price": price,
        "truth": truth,
        "median": returns[:, p.levels.index(MEDIAN)],
        "crps": 2 * np.mean(losses, axis=0),
        "actual": np.where(known, actual, np.nan),
        "predicted": p.point,
    }
    utc = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "model": [p.model] * len(p),
            "origin": pl.Series(p.origin).cast(utc),
            "target_time": pl.Series(p.target_time).cast(utc),
            "horizon": pl.Series(p.horizon, dtype=pl.Int32),
            **{name: pl.Series(values, dtype=pl.Float64).fill_nan(None) for name, values in columns.items()},
            **_hits(p, columns["actual"]),
        }
    )


def _hits(p: Predictions, actual: Float[np.ndarray, " forecast"]) -> dict[str, pl.Series]:
    """Whether each band held; null without a truth, and for a forecast that is one price repeated."""
    judged = np.isfinite(actual) & (p.prices != p.prices[:, :1]).any(axis=1)
    hits = {}
    for band, (low, high) in bands(p.levels).items():
        held = (p.prices[:, low] <= actual) & (actual <= p.prices[:, high])
        hits[f"hit{band:g}"] = pl.select(pl.when(pl.Series(judged)).then(pl.Series(held))).to_series()
    return hits


def bands(levels: Levels) -> dict[float, tuple[int, int]]:
    """The symmetric pairs among levels, by the percent between them: the places of their ends, narrowest first.

    Of very many levels only the pairs nearest to the usual bands.
    """
    ends = {
        round(100 * (high - low), 1): (levels.index(low), levels.index(high))
        for low, high in itertools.combinations(levels, 2)
        if abs(low + high - 1) < _ROUNDING
    }
    if len(ends) > FEW_BANDS:
        ends = {near: ends[near] for near in (min(ends, key=lambda band: abs(band - usual)) for usual in USUAL_BANDS)}
    return dict(sorted(ends.items()))


def _demand_truth(judged: Sequence[pl.DataFrame], theirs: Sequence[Predictions], candles: Candles) -> None:
    if any(frame["crps"].count() for frame in judged):
        return
    times = np.concatenate([p.target_time for p in theirs])
    first, last = from_numpy(times.min()), from_numpy(times.max())
    why = " ".join(note for p in theirs for note in _left_out(p, candles))
    raise DataError(
        f"No forecast of {len(times):,} can be scored. {why}",
        f"They are about closes from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}; the last close of the candles is"
        f" that of {candles.end:%Y-%m-%d %H:%M}, their first bar opens {candles.start:%Y-%m-%d %H:%M}.",
        "Pass candles that hold the bars at the forecasts' origins and targets.",
    )


def _wanted(name: str, theirs: Sequence[Predictions]) -> dict[Levels, list[str]]:
    """At which levels a reference is wanted, and by which models; beside a point forecast only "no change" is.

    At levels that mirror each other its pinball losses average to its absolute error, so it stands there once.
    """
    wanted: dict[Levels, list[str]] = {}
    for p in theirs:
        mirrored = all(abs(low + high - 1) < _ROUNDING for low, high in zip(p.levels, p.levels[::-1], strict=True))
        if name == NAIVE or p.levels != POINT:
            wanted.setdefault(POINT if name == NAIVE and mirrored else p.levels, []).append(p.model)
    return wanted


@dataclass(frozen=True)
class _Asked:
    """What the references are to forecast: from these origins, this far ahead."""

    candles: Candles
    origins: Times
    horizons: tuple[int, ...]

    @classmethod
    def of(cls, judged: Sequence[pl.DataFrame], candles: Candles) -> _Asked:
        scored = pl.concat([frame.select("origin", "horizon", "truth") for frame in judged]).drop_nulls("truth")
        origins = scored["origin"].unique().sort().dt.replace_time_zone(None).to_numpy()
        return cls(candles, origins, tuple(scored["horizon"].unique().sort()))


@dataclass(frozen=True)
class _Stretch:
    """One refit of a reference, and the sets of levels to which its forecasts are reduced."""

    block: Block
    kinds: tuple[Levels, ...]

    @property
    def name(self) -> str:
        return self.block.recipe.model.name


def _walks(
    wanted: Mapping[str, Mapping[Levels, object]], asked: _Asked, do: Map, monitor: Monitor, notes: list[str]
) -> Iterator[Predictions]:
    """Each reference at each set of levels that it is wanted at."""
    stretches = [
        _Stretch(block, tuple(kinds))
        for name, kinds in wanted.items()
        if kinds
        for block in _blocks(name, asked, notes)
    ]
    done: dict[int, list[Predictions]] = {}
    with closing(do(_walk, stretches, monitor)) as results:
        for number, parts in results:
            done[number] = parts
            monitor(number, 1, 1, stretches[number].name)
    for name in wanted:
        mine = [done[number] for number, stretch in enumerate(stretches) if stretch.name == name]
        yield from (_joined(parts) for parts in zip(*mine, strict=True))


def _walk(stretch: _Stretch, watch: Watch) -> list[Predictions]:
    _, forecast = walk_block(stretch.block, watch)
    return [of_forecast(forecast, levels) for levels in stretch.kinds]


def _joined(parts: Sequence[Predictions]) -> Predictions:
    return replace(
        parts[0],
        origin=np.concatenate([p.origin for p in parts]),
        target_time=np.concatenate([p.target_time for p in parts]),
        prices=np.concatenate([p.prices for p in parts]),
    )


def _blocks(name: str, asked: _Asked, notes: list[str]) -> list[Block]:
    """A reference's refits over the origins asked for, from the first that has enough past."""
    [recipe] = recipes([name], {**pace(asked.candles.feed.interval), "horizons": asked.horizons})
    origins = _ready(recipe, asked)
    if not len(origins):
        notes.append(f"{name} is left out: no forecast has enough bars before it for {name} to learn from.")
        return []
    if len(origins) < len(asked.origins):
        notes.append(
            f"{name} has too little past before {from_numpy(origins[0]):%Y-%m-%d %H:%M}: it stands beside the"
            f" forecasts from {len(origins):,} of {len(asked.origins):,} origins."
        )
    whole = blocks([recipe], asked.candles, from_numpy(origins[0]))
    return [block for block in (_asked_alone(block, origins) for block in whole) if block is not None]


def _ready(recipe: Recipe, asked: _Asked) -> Times:
    """The origins at which the recipe's model has something to learn from."""
    try:
        first = recipe.windows(asked.candles).origin[0]
    except DataError:
        return asked.origins[:0]
    return asked.origins[asked.origins >= first + recipe.horizons[0] * asked.candles.feed.interval.step]


def _asked_alone(block: Block, origins: Times) -> Block | None:
    """The block with all it learns from, and of what it forecasts only the origins asked for; None without any."""
    origin = block.windows.origin
    start, end = to_numpy(block.cutoff), to_numpy(block.end)
    asked = np.isin(origin, origins[(origins >= start) & (origins < end)])
    return replace(block, windows=_only(block.windows, asked | (origin < start))) if asked.any() else None


def _only(windows: Windows, mask: Bool[np.ndarray, " window"]) -> Windows:
    return replace(windows, last=windows.last[mask], price=windows.price[mask], y=windows.y[mask])


def _standing(group: Group, scale: float | None, skills: Mapping[int, Mapping[str, float]]) -> Standing:
    rows = group.rows
    actual, predicted, price = (rows[name].to_numpy() for name in ("actual", "predicted", "price"))
    signed = rows.drop_nulls("median")
    error, unchanged = rmse(actual, predicted), rmse(actual, price)
    losses = rows["crps"].drop_nulls().to_numpy()
    return Standing(
        model=group.model,
        horizon=group.horizon,
        n=len(rows),
        rmse=error,
        mae=mae(actual, predicted),
        mape=mape(actual, predicted),
        mase=mase(actual, predicted, scale),
        r2=r2(actual, predicted),
        r2_naive=r2(actual, price),
        rmse_ratio=error / unchanged if unchanged else None,
        direction=direction(signed["truth"].to_numpy(), signed["median"].to_numpy(), overlap(signed)),
        crps=float(losses.mean()) if len(losses) else None,
        crps_skill=skills.get(group.horizon, {}),
        coverage={
            band: coverage(held["hit"].to_numpy(), band / 100, overlap(held)) for band, held in _held(rows) if len(held)
        },
    )


def _held(rows: pl.DataFrame) -> Iterator[tuple[float, pl.DataFrame]]:
    """The judged rows of each band in percent, whether it held as `hit`."""
    for name in rows.columns:
        if name.startswith("hit"):
            percent = float(name.removeprefix("hit"))
            band = int(percent) if percent.is_integer() else percent
            yield band, rows.drop_nulls(name).select("origin", "target_time", pl.col(name).alias("hit"))


def loss_of(levels: Levels) -> str:
    """What the loss over these levels is called."""
    if levels == POINT:
        return "absolute error"
    return "CRPS" if len(levels) >= K else "pinball loss"


def _skill_sentence(verdict: Verdict, p: Predictions) -> str:
    compared = verdict.comparison
    if compared is None:
        return f"Nothing can be said of {p.model}: {verdict.reason}."
    what = ("" if p.levels == POINT else "the spread of ") + target_of(verdict.horizon, p.feed)
    if verdict.word == "too short to tell":
        few = "1 forecast is" if compared.n == 1 else f"{compared.n:,} forecasts are"
        return f"{few} too few to tell whether {p.model} forecasts {what} well."
    numbers = ", ".join(numbers_of(verdict, loss_of(p.levels)))
    return (
        f"From {compared.n:,} origins, {p.model} forecast {what} {verdict.word} than {verdict.reference} ({numbers})."
    )


def _metrics(s: Standing) -> dict[str, Any]:
    named = {name: value for name, value in vars(s).items() if name not in {"model", "horizon"}}
    return {
        name: _finite(value) if isinstance(value, float) else value
        for name, value in {
            **named,
            "direction": dataclasses.asdict(s.direction) if s.direction else None,
            "coverage": {f"{band:g}": dataclasses.asdict(held) for band, held in s.coverage.items()},
        }.items()
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
