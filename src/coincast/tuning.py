"""Settings chosen by experiment, on the past alone.

A search cuts the candles at the first day of the test before it does anything else, so it cannot see what its result
will be judged on. Every trial is walked forward over the last part of what is left, with a refit for each of a few
blocks, and judged by its CRPS as a share of the default settings', averaged over the horizons so that a far one, whose
errors are large, weighs no more than a near one. The default settings are trial 0, so the best is never worse where it
was chosen. A trial that does worse than the median of those before, from its second block on, is given up.

Parzen estimators: J. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 24 (2011); random search:
J. Bergstra and Y. Bengio, JMLR 13 (2012); the median rule: D. Golovin et al., "Google Vizier", KDD 2017. All by Optuna:
T. Akiba et al., KDD 2019. A rank test of each trial against the best would be a finer rule than the median, but cannot
speak after two to four blocks.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .candles import Candles
from .combiner import Combiner
from .errors import DataError, OutputError, RecipeError
from .forecaster import Forecaster, Watch, unwatched
from .output import make_folder, refusal, write
from .recipe import Recipe, recipe_of
from .search import FOLDS, SAMPLERS, Search, Sums, search_of
from .space import Choice, Setting, Space

if TYPE_CHECKING:
    import optuna

SCHEMA = "coincast-tuning/1"
# Trials before any is given up, and blocks that each is allowed.
STARTUP = 5
WARM_UP = 1


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Args:
        number: in the order they were tried; 0 is the default.
        settings: those searched.
        state: `complete`; `pruned`, given up after a few blocks; `failed`; `repeated`, tried before and not again.
        sums: of each block that was walked.
        ratio: CRPS over the default's, averaged over horizons, on the blocks that were walked; None if there are none.
        problem: why it failed.
    """

    number: int
    settings: Mapping[str, Setting]
    state: str
    sums: Sequence[Sums]
    ratio: float | None
    problem: str | None

    @property
    def total(self) -> Sums:
        """Over all blocks walked."""
        return np.sum(self.sums, axis=0)


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Args:
        search: what was searched, and on what it was judged.
        trials: all of them, in order.
        naive: the same sums of "no change", over all blocks.
        importance: the share of each setting in what tells good trials from bad; empty where few were finished.
    """

    search: Search
    trials: tuple[Trial, ...]
    naive: Sums
    importance: Mapping[str, float]

    @property
    def ranking(self) -> list[Trial]:
        """The trials that were walked to the end, lowest CRPS first; of equal ones the earlier first."""
        return sorted((t for t in self.trials if t.state == "complete"), key=lambda t: (t.ratio, t.number))

    @property
    def best(self) -> Trial:
        """The first of the ranking, which may be the default."""
        return self.ranking[0]

    @property
    def counts(self) -> Counter[str]:
        """Trials by state."""
        return Counter(trial.state for trial in self.trials)

    @property
    def budget(self) -> str:
        """How many settings were tried, in words."""
        spared = ", ".join(f"{n} {state}" for state, n in self.counts.items() if state != "complete")
        return f"{len(self.trials)} trials" + (f" ({spared})" if spared else "")

    @property
    def recipe(self) -> Recipe:
        """The recipe with the settings that were best."""
        return self.search.with_settings(self.best.settings)

    @property
    def gain(self) -> float:
        """By which share the best trial's CRPS was below the default's, where it was chosen."""
        return 1 - (self.best.ratio or 0.0)

    @property
    def span(self) -> str:
        """The days on which trials were judged, in words."""
        return f"{self.search.edges[0]:%Y-%m-%d} to {self.search.candles.end:%Y-%m-%d}"

    @property
    def headline(self) -> str:
        """What came of it, and how far to trust it."""
        name, span = self.search.recipe.model.name, self.span
        tried = len(self.trials) - self.counts["repeated"]
        if not self.best.number:
            return f"Of {self.budget}, none of {name} had a lower CRPS than the default settings from {span}."
        return (
            f"Of {self.budget}, number {self.best.number} of {name} had the lowest CRPS from {span}:"
            f" {100 * self.gain:.2f} % below the default settings'. It is the best of {tried}, chosen on"
            " these very days, so expect less on others."
        )

    @property
    def naive_ratio(self) -> float:
        """The CRPS of "no change" over the default's, averaged over horizons."""
        return _ratio([self.naive], [self.trials[0].total])

    def errors(self, sums: Sums) -> dict[str, dict[str, float]]:
        """Mean CRPS, and RMSE in quote currency, by horizon."""
        n, crps, squares = sums
        by_horizon = zip(self.search.recipe.horizons, crps / n, np.sqrt(squares / n), strict=True)
        return {str(h): {"crps": float(mean), "rmse": float(root)} for h, mean, root in by_horizon}

    def document(self) -> dict[str, Any]:
        """`tuning.json`: every number the table shows, and every trial."""
        return {
            "schema": SCHEMA,
            "headline": self.headline,
            "search": {"name": self.search.digest, **self.search.document()},
            "budget": {"trials": len(self.trials), **self.counts},
            "best": self.best.number,
            "gain": self.gain,
            "naive": {"crps_ratio": self.naive_ratio, "horizons": self.errors(self.naive)},
            "importance": dict(self.importance),
            "recipe": {"digest": self.recipe.digest, **self.recipe.document()},
            "trials": [self._trial(trial) for trial in self.trials],
        }

    def _trial(self, trial: Trial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "state": trial.state,
            "settings": dict(trial.settings),
            "crps_ratio": trial.ratio,
            "blocks": len(trial.sums),
            "horizons": self.errors(trial.total) if trial.sums else None,
            "problem": trial.problem,
        }

    def toml(self) -> str:
        """The best recipe as a file that `--recipe` takes, with what is to be known of it as comments."""
        recipe, settings = self.recipe, {**_unlike_default(self.recipe.model), **self.best.settings}
        says = [self.headline, f"Search {self.search.digest} on {self.search.candles.feed}, seed {self.search.seed}."]
        common = {name: getattr(recipe, name) for name in ("horizons", "refit_every", "seeds")}
        lines = [f"# {line}" for line in says] + _toml(common) + ["", f"[models.{recipe.model.name}]"]
        return "\n".join([*lines, *_toml(settings)]) + "\n"

    def save(self, folder: Path) -> None:
        """Write `tuning.json` and `recipe.toml` into a folder that is there.

        Raises:
            OutputError: they cannot be written.
        """
        document = json.dumps(self.document(), indent=2, allow_nan=False)
        write(folder / "tuning.json", f"{document}\n".encode())
        write(folder / "recipe.toml", self.toml().encode())


def tune(
    recipe: Recipe,
    candles: Candles,
    until: datetime,
    folder: Path,
    *,
    trials: int = 30,
    only: Sequence[str] = (),
    sampler: str = "tpe",
    seed: int = 0,
    watch: Watch = unwatched,
) -> Tuning:
    """Search the space that stands beside the recipe's model. Interrupted, it goes on from the last finished trial when
    called again, and ends as if it had never stopped; called again with more trials, it adds to those there are.

    Args:
        recipe: where it starts, and trial 0.
        candles: what comes after `until` is cut off and never looked at.
        until: the first origin of the test.
        folder: keeps finished trials, as a journal of Optuna's in `trials.log`.
        trials: in all, those kept in the folder included.
        only: the settings to search; none for all of the space.
        sampler: `tpe` or `random`.
        seed: of the sampler.
        watch: told of every block.

    Raises:
        RecipeError: Optuna is not installed, the model has no space, or there is no such setting or sampler.
        DataError: there are too few bars, or the default settings cannot be fitted to them.
        OutputError: the folder holds the trials of another search, or cannot be written.
    """
    search = search_of(recipe, candles.until(until), only, sampler, seed)
    kept = _journal(search, make_folder(folder) / "trials.log")
    study = _study(kept.trials)
    while (number := len(study.trials)) < trials:
        study.sampler = _sampler(search, number)
        if number == 0:
            study.enqueue_trial(search.default)
        _attempt(search, study, _Told(watch, number, trials))
        _keep(kept, study.trials[-1], folder)
    naive = recipe_of({"name": "naive", "horizons": recipe.horizons})
    sums = np.sum([search.judged(block) for block in search.blocks(naive)], axis=0)
    return Tuning(search, tuple(_trial(search, trial) for trial in study.trials), sums, _importance(study))


# --- one trial --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """Progress of one trial among all."""

    watch: Watch
    number: int
    trials: int

    def of_block(self, block: int) -> Watch:
        done, total = self.number * FOLDS + block, self.trials * FOLDS

        def tell(_done: int, _total: int, words: str) -> None:
            self.watch(done, total, f"trial {self.number + 1} of {self.trials}, refit {block + 1}: {words}")

        return tell


def _attempt(search: Search, study: optuna.Study, told: _Told) -> None:
    """Ask for settings, walk them forward block by block, tell how they did."""
    states = _optuna().trial.TrialState
    trial = study.ask(_distributions(search.space))
    settings = search.settings(trial.params)
    twin = next((t for t in study.trials[:-1] if search.settings(t.params) == settings), None)
    if twin:
        _repeat(study, trial, twin)
        return
    try:
        pruned = _walk(search, study, trial, search.with_settings(settings), told)
    except DataError as error:
        # The default must work; other settings may be impossible, which the sampler is to learn.
        if trial.number == 0:
            raise
        trial.set_user_attr("problem", error.found)
        pruned = True
    if pruned:
        study.tell(trial, state=states.PRUNED)
    else:
        study.tell(trial, _ratio(_sums(study.trials[-1]), _sums(study.trials[0])))


def _walk(search: Search, study: optuna.Study, trial: optuna.Trial, recipe: Recipe, told: _Told) -> bool:
    """Whether it was given up before its last block."""
    sums: list[Sums] = []
    for number, block in enumerate(search.blocks(recipe)):
        watch = told.of_block(number)
        watch(0, 1, recipe.model.name)
        sums.append(search.judged(block, watch))
        trial.set_user_attr("sums", [each.tolist() for each in sums])
        trial.report(_ratio(sums, _sums(study.trials[0])), number)
        if number + 1 < FOLDS and trial.should_prune():
            return True
    return False


def _repeat(study: optuna.Study, trial: optuna.Trial, twin: optuna.trial.FrozenTrial) -> None:
    """Tell what is known of these settings already."""
    for name, value in twin.user_attrs.items():
        trial.set_user_attr(name, value)
    trial.set_user_attr("twin", twin.number)
    for number, ratio in twin.intermediate_values.items():
        trial.report(ratio, number)
    study.tell(trial, twin.value if twin.state.name == "COMPLETE" else None, twin.state)


def _ratio(sums: Sequence[Sums], default: Sequence[Sums]) -> float:
    """CRPS over the default's on the same blocks, averaged over horizons."""
    own, others = (np.sum(each[: len(sums)], axis=0)[1] for each in (sums, default))
    return float(np.mean(own / others))


def _sums(trial: optuna.trial.FrozenTrial) -> list[Sums]:
    return [np.array(each) for each in trial.user_attrs.get("sums", ())]


def _trial(search: Search, trial: optuna.trial.FrozenTrial) -> Trial:
    problem = trial.user_attrs.get("problem")
    state = "repeated" if "twin" in trial.user_attrs else "failed" if problem else trial.state.name.lower()
    ratios = trial.intermediate_values
    last = ratios[max(ratios)] if ratios else None
    return Trial(trial.number, search.settings(trial.params), state, _sums(trial), last, problem)


# --- what Optuna keeps and draws --------------------------------------------------------------------------------------


def _optuna() -> ModuleType:
    try:
        library = importlib.import_module("optuna")
    except ImportError as error:
        raise RecipeError(
            "The package optuna is not installed.",
            "It keeps the trials and says what to try next.",
            "Install coincast[tune].",
        ) from error
    library.logging.set_verbosity(library.logging.ERROR)
    return library


def _journal(search: Search, file: Path) -> optuna.Study:
    """The finished trials on disk.

    Raises:
        OutputError: they are of another search, or cannot be read or written.
    """
    library, storages = _optuna(), importlib.import_module("optuna.storages")
    try:
        storage = storages.JournalStorage(storages.journal.JournalFileBackend(str(file)))
        for other in library.get_all_study_summaries(storage):
            if other.study_name != search.digest:
                _refuse_other(file.parent, other.user_attrs.get("search", {}), search.document())
        kept: optuna.Study = library.create_study(storage=storage, study_name=search.digest, load_if_exists=True)
        kept.set_user_attr("search", search.document())
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            f"{file} is not a journal of trials that can be read and written ({error}).",
            "Finished trials would be lost.",
            "Name another place with --out.",
        ) from error
    return kept


def _keep(kept: optuna.Study, trial: optuna.trial.FrozenTrial, folder: Path) -> None:
    try:
        kept.add_trial(trial)
    except OSError as error:
        raise refusal(folder, error) from error


def _refuse_other(folder: Path, other: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    differ = [name for name in own if other.get(name) != own[name]]
    raise OutputError(
        f"{folder} holds the trials of another search; it differs in {', '.join(differ)}.",
        "Trials that were not judged on the same days and in the same way cannot stand in one table.",
        "Name another place with --out, or ask for the same search again.",
    )


def _study(finished: Sequence[optuna.trial.FrozenTrial]) -> optuna.Study:
    """In memory, so that a trial that is interrupted leaves nothing behind."""
    library = _optuna()
    pruner = library.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARM_UP)
    study: optuna.Study = library.create_study(pruner=pruner)
    study.add_trials(finished)
    return study


def _sampler(search: Search, number: int) -> optuna.samplers.BaseSampler:
    """Seeded anew for each trial, so that it draws alike after an interruption."""
    [state] = np.random.SeedSequence([search.seed, number]).generate_state(1)
    return getattr(_optuna().samplers, SAMPLERS[search.sampler])(seed=int(state))


def _distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    of = _optuna().distributions
    return {
        name: of.CategoricalDistribution(values.values)
        if isinstance(values, Choice)
        else of.FloatDistribution(values.low, values.high, log=values.log)
        for name, values in space.items()
    }


def _importance(study: optuna.Study) -> dict[str, float]:
    """By the analysis of variance of the density of good trials: S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA",
    IJCAI 2023.
    """
    importance = importlib.import_module("optuna.importance")
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(complete) < 2 * STARTUP or len({trial.value for trial in complete}) == 1:
        return {}
    found: dict[str, float] = importance.get_param_importances(
        study, evaluator=importance.PedAnovaImportanceEvaluator()
    )
    return found


# --- the recipe as a file ---------------------------------------------------------------------------------------------


def _unlike_default(model: Forecaster | Combiner) -> dict[str, Any]:
    of: Any = model  # a dataclass, which the protocol cannot say
    fields = dataclasses.fields(of)
    return {field.name: value for field in fields if (value := getattr(model, field.name)) != field.default}


def _toml(settings: Mapping[str, Any]) -> list[str]:
    """Numbers, strings and lists of them, which TOML writes as JSON does."""
    return [f"{name} = {json.dumps(value, allow_nan=False)}" for name, value in settings.items()]
