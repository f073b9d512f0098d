"""A run's receipt: what was forecast, from what, how well; on disk everything a referee needs to score it again.

forecasts.parquet      a row a model, origin and horizon: the K values, their truth, the model's cutoff and seeds
report.json            the same numbers the report shows; `docs/report-json.md` says what each is
candles.parquet        the bars it saw, and repairs.parquet: what was mended in them
models/NAME/CUTOFF/    every forecaster of the walk-forward, to be loaded and asked again
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from .backtest import Walk, backtest, members, silent
from .candles import Candles
from .clean import Cleaned, Repairs
from .combine import Fusion
from .combiner import Combiner
from .coverage import Coverage
from .errors import DataError, OutputError
from .feed import Feed, from_numpy
from .fitted import Fitted
from .forecast import Forecast, from_frame, to_frame
from .inference import Membership, confidence_sets
from .output import make_folder, new_folder, parquet, write
from .recipe import Recipe, recipe_of
from .sample import SAMPLES
from .scores import naive_scale, score
from .summaries import Summary, by_regime, summarise
from .verdict import REFERENCES, Verdict, judge, verdict_sentence
from .workers import Map, Monitor, serial

SCHEMA = "coincast-run/1"
BANDS = (50, 80, 95)
# Whose CRPS every other is set against: the point forecast first, then the verdict's references.
COMPARED = ("naive", *REFERENCES)
FRESH = "coincast run --csv YOUR.csv --symbol BTC/USDT --interval 1d"
LIBRARIES = ("coincast", "numpy", "polars", "jax", "equinox", "optax", "arch", "scipy", "statsmodels", "scoringrules")


@dataclass(frozen=True)
class Run:
    """What a walk-forward of several models said and how it was judged.

    Args:
        cleaned: the candles and what was mended in them.
        source: where they came from: a sample's name or a file's.
        is_sample: whether they ship with coincast and so end in the past.
        test_from: the first origin.
        walks: each model's refits and forecasts, all over the same origins.
        timing: seconds by stage.
        versions: of coincast and the libraries that shape its numbers.
        beside: other coins that were learnt from too, and the digests of their candles.
    """

    cleaned: Cleaned
    source: str
    is_sample: bool
    test_from: datetime
    walks: tuple[Walk, ...]
    timing: Mapping[str, float]
    versions: Mapping[str, str]
    beside: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def candles(self) -> Candles:
        """The bars it saw."""
        return self.cleaned.candles

    @cached_property
    def scores(self) -> pl.DataFrame:
        """Pointwise scores of every model, one below the other, as `scores.score` gives them."""
        return pl.concat([score(walk.forecast, self.candles) for walk in self.walks])

    @cached_property
    def summaries(self) -> list[Summary]:
        """The averages, by model and horizon."""
        return summarise(self.scores, naive_scale(self.candles, self.test_from), COMPARED)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdict on each model and horizon."""
        return judge(self.scores)

    @cached_property
    def regimes(self) -> pl.DataFrame:
        """Scores by how volatile the market was: `summaries.by_regime`, against the verdicts' reference."""
        return by_regime(self.scores, self.candles, next((v.reference for v in self.verdicts if v.reference), ""))

    @cached_property
    def confidence_set(self) -> Mapping[tuple[str, int], Membership]:
        """By model and horizon, whether it may be the best; a horizon of too few origins has no entries."""
        return {(one.model, one.horizon): one for one in confidence_sets(self.scores)}

    @cached_property
    def weights(self) -> Mapping[str, Float[np.ndarray, "origin horizon member"]]:
        """How each fusion of the run weighed its members, by its name."""
        fusions = [walk.recipe.model for walk in self.walks if isinstance(walk.recipe.model, Fusion)]
        return {fusion.name: fusion.weights(members(fusion, self.walks), self.candles) for fusion in fusions}

    @cached_property
    def ranking(self) -> list[str]:
        """The models that give a distribution, lowest CRPS one step ahead first."""
        first = self.walks[0].forecast.horizons[0]
        return [s.model for s in sorted(self.summaries, key=lambda s: s.crps) if s.horizon == first and s.pit]

    @cached_property
    def chosen(self) -> Walk:
        """The model whose forecast is shown: the first of the ranking."""
        name = next(iter(self.ranking), self.walks[0].recipe.model.name)
        return next(walk for walk in self.walks if walk.recipe.model.name == name)

    @cached_property
    def outlook(self) -> Forecast:
        """The chosen model's newest forecast, from the last bar it saw."""
        forecast = self.chosen.forecast
        return forecast.take(forecast.origin == forecast.origin[-1])

    @property
    def headline(self) -> str:
        """The verdict in words a person would say: on the best model one step ahead that is not a reference itself."""
        if not self.verdicts:
            return f"No forecast has met its truth yet: the test starts {self.test_from:%Y-%m-%d}."
        ranking = sorted(self.ranking, key=lambda name: name in REFERENCES)
        first = next(iter(ranking), self.walks[0].recipe.model.name)
        verdict = next(v for v in self.verdicts if v.model == first)
        return verdict_sentence(verdict, self.summaries, self.candles.feed)

    @property
    def preface(self) -> list[str]:
        """What must be said first of candles that ship inside: how old they are, and how to come by fresh ones."""
        if not self.is_sample:
            return []
        return [
            f"Historical sample to {self.candles.end - self.candles.feed.interval.delta:%Y-%m-%d}:"
            " the forecast is for the days after it, not for today.",
            f"Fresh candles: {FRESH}",
        ]

    def document(self) -> dict[str, Any]:
        """`report.json`: every number the report shows."""
        origins = self.walks[0].forecast.origin
        return {
            "schema": SCHEMA,
            "feed": str(self.candles.feed),
            "source": self.source,
            "is_sample": self.is_sample,
            "digest": self.candles.digest,
            "beside": dict(self.beside),
            "span": {
                "start": self.candles.start.isoformat(),
                "end": self.candles.end.isoformat(),
                "bars": len(self.candles),
                "test_from": from_numpy(origins[0]).isoformat(),
                "origins": len(origins),
            },
            "models": [self._model(walk) for walk in self.walks],
            "forecast": outlook_document(self.outlook),
            "repairs": self.cleaned.repairs.tally,
            "notes": self.cleaned.repairs.notes,
            "versions": dict(self.versions),
            "timing": {stage: round(seconds, 3) for stage, seconds in self.timing.items()},
        }

    def _model(self, walk: Walk) -> dict[str, Any]:
        name = walk.recipe.model.name
        verdicts = {v.horizon: v for v in self.verdicts if v.model == name}
        return {
            "name": name,
            "recipe": {"digest": walk.recipe.digest, **walk.recipe.document()},
            "cutoffs": [fitted.cutoff.isoformat() for fitted in walk.fitted],
            **self._final_weights(walk),
            "horizons": {
                str(s.horizon): {
                    **_metrics(s),
                    **_judgement(verdicts[s.horizon]),
                    "confidence_set": _membership(self.confidence_set.get((name, s.horizon))),
                    "regimes": _regimes(self.regimes, name, s.horizon),
                }
                for s in self.summaries
                if s.model == name
            },
        }

    def _final_weights(self, walk: Walk) -> dict[str, Any]:
        """What a fusion's members count in its newest forecast."""
        if not isinstance(walk.recipe.model, Fusion):
            return {}
        members, newest = walk.recipe.model.members, self.weights[walk.recipe.model.name][-1]
        horizons = enumerate(walk.forecast.horizons)
        return {"weights": {str(h): dict(zip(members, newest[n].tolist(), strict=True)) for n, h in horizons}}

    def forecasts(self) -> pl.DataFrame:
        """`forecasts.parquet`: `model, origin, target_time, horizon, price, values, truth, cutoff, seeds`."""
        frames = []
        for walk in self.walks:
            truth = self.scores.filter(pl.col("model") == walk.recipe.model.name).select("origin", "horizon", "truth")
            frame = to_frame(walk.forecast).join(truth, on=["origin", "horizon"], how="left", maintain_order="left")
            frames.append(frame.with_columns(pl.lit(pl.Series([list(walk.recipe.seeds)])).first().alias("seeds")))
        columns = ["model", "origin", "target_time", "horizon", "price", "values", "truth", "cutoff", "seeds"]
        return pl.concat(frames).select(columns)

    def save(self, folder: Path) -> None:
        """Write everything but the page into `folder`, replacing an earlier run's files.

        Raises:
            OutputError: the folder cannot be written.
        """
        write(folder / "candles.parquet", parquet(self.candles.frame))
        write(folder / "repairs.parquet", parquet(self.cleaned.repairs.frame))
        write(folder / "forecasts.parquet", parquet(self.forecasts()))
        self._save_models(folder / "models")
        write(folder / "report.json", (json.dumps(self.document(), indent=2, allow_nan=False) + "\n").encode())

    def _save_models(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with new_folder(folder) as half:
            for walk in self.walks:
                for fitted in walk.fitted:
                    fitted.save(half / walk.recipe.model.name / f"{fitted.cutoff:%Y-%m-%dT%H%M}")

    @classmethod
    def load(cls, folder: Path) -> Run:
        """What `save` wrote.

        Raises:
            DataError: the folder holds no run.
        """
        try:
            document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            feed = Feed.parse(document["feed"])
            candles = Candles(feed, pl.read_parquet(folder / "candles.parquet"))
            repairs = Repairs(pl.read_parquet(folder / "repairs.parquet"), tuple(document["notes"]))
            forecasts = pl.read_parquet(folder / "forecasts.parquet")
        except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{folder} holds no readable run ({error}).",
                "A report is drawn from what `coincast run` or `coincast backtest` left.",
                "Name the folder given as --out.",
            ) from error
        return cls(
            cleaned=Cleaned(candles, repairs),
            source=document["source"],
            is_sample=document["is_sample"],
            test_from=datetime.fromisoformat(document["span"]["test_from"]),
            walks=tuple(_walk(folder / "models", model["recipe"], forecasts, feed) for model in document["models"]),
            timing=document["timing"],
            versions=document["versions"],
            beside=document["beside"],
        )


def walk(
    cleaned: Cleaned,
    source: str,
    recipes: Sequence[Recipe],
    test_from: datetime,
    folder: Path,
    *,
    beside: Sequence[Candles] = (),
    do: Map = serial,
    monitor: Monitor = silent,
) -> Run:
    """Backtest, score and save into `folder`. Interrupted, it goes on from the last finished block when called again.
    Coins `beside` are learnt from too, by the models that can.

    Raises:
        OutputError: `folder` cannot be written, or holds models that no run left there.
        DataError: the test span holds no bar, or too few lie before it.
    """
    parts = _claim(folder) / ".parts"
    began = time.perf_counter()
    walks = backtest(recipes, cleaned.candles, test_from, do, beside=beside, parts=parts, monitor=monitor)
    walked = time.perf_counter()
    learnt_from = {str(candles.feed): candles.digest for candles in beside}
    run = Run(cleaned, source, source in SAMPLES, test_from, tuple(walks), {}, versions(), learnt_from)
    judged = len(run.summaries) + len(run.verdicts)
    timing = {"backtest": walked - began, "score": time.perf_counter() - walked} if judged else {}
    run = dataclasses.replace(run, timing=timing)
    run.save(folder)
    shutil.rmtree(parts, ignore_errors=True)
    return run


def _claim(folder: Path) -> Path:
    """The folder to write to, with nothing in it that would be lost."""
    if (folder / "models").exists() and not (folder / "forecasts.parquet").exists():
        raise OutputError(
            f"{folder} holds a folder `models` that no run left there.",
            "A run replaces it.",
            "Name another place with --out.",
        )
    return make_folder(folder)


def versions() -> dict[str, str]:
    """What is installed here of the libraries that shape a run's numbers."""
    return {name: version(name) for name in LIBRARIES}


def _walk(folder: Path, document: Mapping[str, Any], forecasts: pl.DataFrame, feed: Feed) -> Walk:
    recipe = recipe_of({key: value for key, value in document.items() if key != "digest"})
    name = recipe.model.name
    saved = [] if isinstance(recipe.model, Combiner) else sorted((folder / name).iterdir())
    frame = forecasts.filter(pl.col("model") == name)
    return Walk(recipe, tuple(Fitted.load(path) for path in saved), from_frame(frame, feed, recipe.digest))


def _metrics(s: Summary) -> dict[str, Any]:
    return {
        "n": s.n,
        "rmse": s.rmse,
        "mae": s.mae,
        "mape": s.mape,
        "smape": s.smape,
        "mase": s.mase,
        "r2": s.r2,
        "r2_naive": s.r2_naive,
        "direction": dataclasses.asdict(s.direction) if s.direction else None,
        "crps": s.crps,
        "crps_error": s.crps_error,
        "crps_skill": {name: s.crps_skill.get(name) for name in COMPARED},
        "pinball": {str(level): loss for level, loss in s.pinball.items()},
        "coverage": {str(band): s.coverage[band].share if band in s.coverage else None for band in BANDS},
        "coverage_tests": {str(band): _coverage_tests(held) for band, held in s.coverage.items()},
        "pit": dataclasses.asdict(s.pit) if s.pit else None,
    }


def _regimes(table: pl.DataFrame, model: str, horizon: int) -> dict[str, Any]:
    rows = table.filter(pl.col("model") == model, pl.col("horizon") == horizon)
    return {
        row["regime"]: {name: row[name] for name in ("n", "crps", "crps_skill")}
        | {"coverage": {str(band): row[f"coverage{band}"] for band in BANDS}}
        for row in rows.iter_rows(named=True)
    }


def _coverage_tests(held: Coverage) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(held).items() if name not in {"level", "n", "share"}}


def _judgement(v: Verdict) -> dict[str, Any]:
    compared = v.comparison
    test = {"t": compared.t, "p": compared.p_better, "n": compared.n} if compared else None
    return {
        "dm": {v.reference: test} if v.reference else {},
        "verdict": v.word,
        "reference": v.reference,
        "reason": v.reason,
        "p_better": v.p_better,
        "p_worse": v.p_worse,
    }


def _membership(one: Membership | None) -> dict[str, Any] | None:
    return {"held": one.held, "p": one.p, "n": one.n} if one else None


def outlook_document(forecast: Forecast) -> dict[str, Any]:
    """The first forecast of `forecast` in prices: median and bands at each horizon."""
    ends = {f"{side}{band}": 0.5 + sign * band / 200 for band in BANDS for side, sign in (("lo", -1), ("hi", 1))}
    horizons = {}
    for column, h in enumerate(forecast.horizons):
        prices = {"median": 0.5, **ends}
        horizons[str(h)] = {
            "target_time": from_numpy(forecast.target_time[0, column]).isoformat(),
            **{name: float(forecast.prices(level)[0, column]) for name, level in prices.items()},
        }
    return {
        "model": forecast.model,
        "origin": from_numpy(forecast.origin[0]).isoformat(),
        "price": float(forecast.price[0]),
        "horizons": horizons,
    }
