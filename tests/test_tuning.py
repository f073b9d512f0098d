"""The search: what it may see, how trials are judged, that it goes on where it stopped, that it finds what is there."""

import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from scipy.stats import norm

from coincast.errors import CoincastError, DataError, OutputError, RecipeError
from coincast.fitted import fit, predict
from coincast.forecast import LEVELS
from coincast.forecaster import Fit
from coincast.models import MODELS, model_named, register
from coincast.models.naive import Naive
from coincast.models.seed_lstm import Network, SeedLstm
from coincast.recipe import Recipe, read_settings, recipe_of, recipes
from coincast.sample import load
from coincast.search import FOLDS, search_of
from coincast.space import Choice, Range
from coincast.terminal.tuning import tuning
from coincast.tuning import tune
from made import START, candles_of, walk
from test_cli import coincast

HORIZONS = (1, 3)
# How fast the planted market forgets, and how fast the toy does unless told otherwise.
TRUE_DECAY = 0.8
OWN_DECAY = 0.9812345


@dataclass(frozen=True)
class Toy:
    """A normal law whose variance is the exponential average of squared returns."""

    name: ClassVar[str] = "toy"
    space: ClassVar = {"decay": Range(0.5, 0.99), "wider": Choice((1.0, 1.2))}
    fits: ClassVar[list[float]] = []
    decay: float = OWN_DECAY
    wider: float = 1.0
    features: tuple[str, ...] = ("log_return",)
    lookback: int = 60
    at_least: int = 60
    refit_days: int | None = None

    def fit(self, fold, seeds: Sequence[int], watch) -> Fit:
        self.fits.append(self.decay)
        return Fit({"fitted": np.ones(1)})

    def predict(self, state, windows):
        weights = self.decay ** np.arange(self.lookback - 1, -1, -1)
        variance = (windows.x[..., 0] ** 2 * weights).sum(axis=1) / weights.sum()
        scale = self.wider * np.sqrt(variance[:, None] * np.array(windows.horizons))
        return scale[:, :, None] * norm.ppf(LEVELS)


@dataclass(frozen=True)
class Picky(Toy):
    """Cannot be fitted with some settings."""

    name: ClassVar[str] = "picky"
    space: ClassVar = {"wider": Choice((1.0, 2.0, 3.0))}

    def fit(self, fold, seeds: Sequence[int], watch) -> Fit:
        if self.wider > 1:
            raise DataError("Too wide.", "It cannot be.", "Narrow it.")
        return super().fit(fold, seeds, watch)


@pytest.fixture(autouse=True)
def toys():
    for kind in (Toy, Picky):
        register(kind)
    Toy.fits.clear()
    yield
    for kind in (Toy, Picky):
        del MODELS[kind.name]


def forgetful(bars: int, seed: int) -> np.ndarray:
    """Closes whose variance is the exponential average of their squared returns: the toy is true at `TRUE_DECAY`."""
    random = np.random.default_rng(seed)
    variance, steps = 1e-3, []
    for z in random.standard_normal(bars):
        steps.append(np.sqrt(variance) * z)
        # A trickle from outside keeps it from dying out.
        variance = TRUE_DECAY * variance + (1 - TRUE_DECAY) * steps[-1] ** 2 + 2e-6
    return 10_000 * np.exp(np.cumsum(steps))


CANDLES = candles_of(forgetful(500, seed=6), missing=[200, 430])
UNTIL = START + timedelta(days=460)
RECIPE = Recipe(Toy(), HORIZONS)


def searched(folder, recipe=RECIPE, candles=CANDLES, until=UNTIL, trials=12, **how):
    return tune(recipe, candles, until, folder, trials=trials, **how)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("found"))


def test_the_default_settings_are_trial_0_to_the_last_digit(found):
    first = found.trials[0]
    assert first.settings == {"decay": OWN_DECAY, "wider": 1.0}
    assert (first.state, first.ratio) == ("complete", 1.0)
    assert all(len(str(trial.settings["decay"])) <= 5 for trial in found.trials[1:])


def test_nothing_from_the_test_on_is_looked_at(found, tmp_path):
    later = CANDLES.known_at > np.datetime64(UNTIL.replace(tzinfo=None))
    assert later.sum() == 40
    garbage = {name: np.where(later, 1e-9, CANDLES.frame[name].to_numpy()) for name in ("open", "high", "low", "close")}
    other = replace(CANDLES, frame=CANDLES.frame.with_columns(**{name: pl.Series(v) for name, v in garbage.items()}))
    assert other.digest != CANDLES.digest
    for candles, folder in ((other, "garbage"), (CANDLES.until(UNTIL), "cut")):
        again = searched(tmp_path / folder, candles=candles)
        assert json.dumps(again.document()) == json.dumps(found.document())
        assert again.toml() == found.toml()


def test_a_trial_is_judged_by_a_walk_forward_with_refits(found):
    """The slow twin: every block by `fit` and `predict`, CRPS as twice the mean pinball loss."""
    search, best = found.search, found.best
    known = CANDLES.until(UNTIL)
    log_close = np.log(known.close)
    losses = {"own": {h: [] for h in HORIZONS}, "default": {h: [] for h in HORIZONS}}
    origins = 0
    for cutoff, end in pairwise(search.edges):
        for whose, recipe in (("own", found.recipe), ("default", RECIPE)):
            forecast = predict(fit(recipe, known, cutoff), known, start=cutoff)
            forecast = forecast.take(forecast.origin < np.datetime64(end.replace(tzinfo=None)))
            origins += len(forecast) * (whose == "own")
            for row, origin in enumerate(forecast.origin):
                bar = int(np.flatnonzero(known.known_at == origin)[0])
                for column, h in enumerate(HORIZONS):
                    if bar + h < len(known) and known.observed[bar + h]:
                        miss = log_close[bar + h] - log_close[bar] - forecast.values[row, column]
                        losses[whose][h].append(2 * np.mean(np.maximum(LEVELS * miss, (LEVELS - 1) * miss)))
    assert origins == round(0.3 * known.observed.sum())
    ratio = np.mean([np.mean(losses["own"][h]) / np.mean(losses["default"][h]) for h in HORIZONS])
    assert best.ratio == pytest.approx(ratio, rel=1e-9)
    told = found.errors(best.total)
    for h in HORIZONS:
        assert told[str(h)]["crps"] == pytest.approx(np.mean(losses["own"][h]), rel=1e-9)


def test_naive_beside_it_is_no_change(found):
    known = CANDLES.until(UNTIL)
    first = int(np.searchsorted(known.known_at, np.datetime64(found.search.edges[0].replace(tzinfo=None))))
    bars = np.arange(first, len(known) - 1)
    bars = bars[known.observed[bars] & known.observed[bars + 1]]
    move = known.close[bars + 1] - known.close[bars]
    told = found.errors(found.naive)["1"]
    shares = [found.naive[1][column] / found.trials[0].total[1][column] for column in range(len(HORIZONS))]
    assert found.document()["naive"]["crps_ratio"] == pytest.approx(np.mean(shares))
    assert told["rmse"] == pytest.approx(np.sqrt(np.mean(move**2)))
    assert told["crps"] == pytest.approx(np.mean(np.abs(np.log(known.close[bars + 1] / known.close[bars]))))


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_planted_optimum_is_found(sampler, tmp_path):
    candles = candles_of(forgetful(2000, seed=5))
    done = searched(tmp_path, candles=candles, until=candles.end, trials=25, sampler=sampler)
    assert done.best.settings["decay"] == pytest.approx(TRUE_DECAY, abs=0.08)
    assert done.best.settings["wider"] == 1.0
    assert done.gain > 0.01
    if done.importance:
        assert max(done.importance, key=done.importance.get) == "decay"


def test_the_best_is_said_to_be_the_best_of_as_many_as_were_tried(tmp_path):
    done = searched(tmp_path, recipe=Recipe(Toy(decay=TRUE_DECAY, wider=1.2), HORIZONS), trials=6, only=["wider"])
    assert done.best.settings == {"wider": 1.0}
    assert "Of 6 trials (4 repeated)" in done.headline
    assert "the best of 2, chosen on these very days" in done.headline


def test_where_nothing_is_better_the_default_stays(tmp_path):
    true = Recipe(Toy(decay=TRUE_DECAY), HORIZONS)
    done = searched(tmp_path, recipe=true, trials=2, only=["wider"])
    assert done.best.number == 0
    assert done.gain == 0
    assert "none of toy" in done.headline
    assert done.recipe == true


def test_interrupted_it_goes_on_and_ends_the_same(found, tmp_path):
    class Enough(Exception):
        pass

    def stop(done, total, words):
        if done == 7 * FOLDS + 1:
            raise Enough

    with pytest.raises(Enough):
        searched(tmp_path, watch=stop)
    Toy.fits.clear()
    again = searched(tmp_path)
    assert again.document() == found.document()
    walked = sum(len(trial.sums) for trial in again.trials[7:])
    assert len(Toy.fits) == walked


def test_more_trials_add_to_those_there_are(found, tmp_path):
    searched(tmp_path, trials=5)
    assert searched(tmp_path).document() == found.document()
    assert len(searched(tmp_path, trials=3).trials) == len(found.trials)


def test_a_trial_is_given_up_where_it_does_worse_than_the_median(tmp_path):
    done = searched(tmp_path, trials=20, sampler="random")
    default = np.cumsum(done.trials[0].sums, axis=0)[:, 1]
    running = {t.number: (np.cumsum(t.sums, axis=0)[:, 1] / default[: len(t.sums)]).mean(axis=1) for t in done.trials}
    complete = []
    for trial in done.trials:
        for block in range(1, FOLDS - 1):
            if trial.state == "repeated" or len(complete) < 5 or block >= len(trial.sums):
                break
            worse = running[trial.number][: block + 1].min() > median(running[n][block] for n in complete)
            assert worse == (trial.state == "pruned" and len(trial.sums) == block + 1)
        complete += [trial.number] * (trial.state == "complete")
    assert 0 < done.counts["pruned"] < len(done.trials) - 5
    assert f"{done.counts['pruned']} pruned" in done.headline


def test_settings_tried_before_are_not_tried_again(tmp_path):
    done = searched(tmp_path, trials=8, only=["wider"])
    assert len(Toy.fits) == 2 * FOLDS
    assert done.counts == {"complete": 2, "repeated": 6}
    assert "8 trials (6 repeated)" in done.headline


def test_settings_that_cannot_be_fitted_are_passed_over(tmp_path):
    done = searched(tmp_path, recipe=Recipe(Picky(), HORIZONS), trials=6)
    assert {trial.settings["wider"] for trial in done.trials if trial.state == "failed"} == {2.0, 3.0}
    assert done.best.number == 0
    assert "Too wide." in json.dumps(done.document())


def test_a_default_that_cannot_be_fitted_is_refused(tmp_path):
    with pytest.raises(DataError, match="Too wide"):
        searched(tmp_path, recipe=Recipe(Picky(wider=2.0), HORIZONS))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"sampler": "random"}, "sampler"),
        ({"until": UNTIL - timedelta(days=1)}, "digest, validation, until"),
        ({"recipe": Recipe(Toy(), (1, 2))}, "recipe"),
        ({"candles": candles_of(forgetful(500, seed=4))}, "digest"),
        ({"only": ["decay"]}, "space"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(change, named, tmp_path):
    searched(tmp_path, trials=1)
    kept = (tmp_path / "trials.log").read_bytes()
    with pytest.raises(OutputError, match=f"differs in .*{named}"):
        searched(tmp_path, trials=1, **change)
    assert (tmp_path / "trials.log").read_bytes() == kept


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "trials.log").write_text("nothing of the kind\n")
    with pytest.raises(OutputError, match="not a journal"):
        searched(tmp_path)


@pytest.mark.parametrize(
    ("recipe", "how", "match"),
    [
        (Recipe(Naive(), HORIZONS), {}, "naive has no space"),
        (RECIPE, {"only": ["decoy"]}, "Did you mean 'decay'"),
        (RECIPE, {"sampler": "tpi"}, "Did you mean 'tpe'"),
        (Recipe(Toy(), (1, 60)), {}, "too few to tune on"),
        (Recipe(Toy(lookback=400, at_least=400), HORIZONS), {}, "first window of toy"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(recipe, how, match, tmp_path):
    with pytest.raises(CoincastError, match=match):
        searched(tmp_path, recipe=recipe, **how)


def test_a_space_of_settings_that_are_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(Toy, "space", {"decays": Range(0, 1)})
    with pytest.raises(RecipeError, match="no key 'decays'"):
        searched(tmp_path)


def test_without_optuna_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RecipeError, match=r"coincast\[tune\]"):
        searched(tmp_path)


@pytest.mark.parametrize("name", [name for name in MODELS if getattr(model_named(name), "space", {})])
def test_every_space_holds_its_model_s_default_and_values_that_it_takes(name):
    kind = model_named(name)
    model = kind()
    assert set(kind.space) <= {field.name for field in fields(kind)}
    for setting, values in kind.space.items():
        own = getattr(model, setting)
        assert values.including(own) == values, f"{setting} = {own} lies outside"
        for value in values.values if isinstance(values, Choice) else (values.low, values.high):
            changed = recipe_of({"name": name, "model": {setting: value}}).model
            assert getattr(changed, setting) == value
            assert type(getattr(changed, setting)) is type(own)


def test_an_own_setting_outside_the_space_widens_it():
    widened = search_of(Recipe(Toy(decay=0.3, wider=7.0)), CANDLES).space
    assert widened == {"decay": Range(0.3, 0.99), "wider": Choice((1.0, 1.2, 7.0))}


def test_the_recipe_file_is_the_best_recipe(found, tmp_path):
    found.save(tmp_path)
    text = (tmp_path / "recipe.toml").read_text()
    [again] = recipes(["toy"], read_settings(tmp_path / "recipe.toml"))
    assert again == found.recipe
    assert f"# Of {found.budget}" in text
    assert "expect less" in text


# --- networks ---------------------------------------------------------------------------------------------------------


def test_networks_of_equal_form_are_one_program(tmp_path):
    from coincast.training import _advance

    recipe = Recipe(SeedLstm(units=4, layers=1, epochs=1), HORIZONS, seeds=(0,))
    candles = candles_of(walk(300, seed=1))
    searched(tmp_path, recipe=recipe, candles=candles, until=candles.end, trials=1, only=["rate"])
    programs = _advance._cache_size()
    done = searched(tmp_path, recipe=recipe, candles=candles, until=candles.end, trials=2, only=["rate"])
    assert _advance._cache_size() == programs
    assert len({trial.ratio for trial in done.trials}) == 2


@pytest.mark.parametrize(("units", "layers"), [(16, 1), (50, 2), (8, 3)])
def test_the_classic_network_may_have_other_layers(units, layers):
    import jax

    model = SeedLstm(units=units, layers=layers)
    form = jax.eval_shape(model.build, jax.random.key(0))
    gates = 4 * units
    expected = gates * (1 + units + 1) + (layers - 1) * gates * (2 * units + 1) + units + 1
    assert sum(leaf.size for leaf in jax.tree.leaves(form)) == expected
    if (units, layers) == (50, 2):
        assert jax.tree.structure(form) == jax.tree.structure(jax.eval_shape(Network, jax.random.key(0)))


@pytest.mark.parametrize("layers", [0, 4])
def test_layers_without_a_name_are_refused(layers):
    with pytest.raises(RecipeError, match=f"{layers} layers"):
        recipe_of({"name": "seed-lstm", "model": {"layers": layers}})


# --- the command ------------------------------------------------------------------------------------------------------

COMMAND = ["tune", "--model", "range-t", "--horizon", "1", "--test-from", "2019-01-01", "--trials", "3"]


def test_the_command_leaves_a_recipe_that_run_takes(tmp_path, monkeypatch, capsys):
    out = tmp_path / "tuned"
    assert coincast(monkeypatch, *COMMAND, "--out", str(out)) == 0
    told = capsys.readouterr().out
    assert "Of 3 trials" in told
    assert "default" in told
    document = json.loads((out / "tuning.json").read_text())
    backtest = ["backtest", "--models", "range-t", "--recipe", str(out / "recipe.toml"), "--processes", "1"]
    where = ["--test-from", "2020-12-01", "--out", str(tmp_path / "out"), "--json"]
    assert coincast(monkeypatch, *backtest, *where) == 0
    [model] = json.loads(capsys.readouterr().out)["models"]
    assert model["recipe"] == document["recipe"]
    assert coincast(monkeypatch, *COMMAND, "--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out) == document
    assert document["budget"]["trials"] == 3
    assert document["search"]["until"] == "2019-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--model", "rangy-t"], "range-t"),
        (["--model", "naive"], "no space"),
        (["--only", "half-life"], "half_life"),
        (["--sampler", "grid"], "tpe, random"),
        (["--test-from", "2017-08-26"], "Pass a longer history"),
    ],
)
def test_a_wrong_request_is_answered_in_three_sentences(wrong, says, tmp_path, monkeypatch, capsys):
    assert coincast(monkeypatch, *COMMAND, "--out", str(tmp_path), *wrong) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_ctrl_c_is_answered_in_a_sentence(tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("coincast.tuning._attempt", interrupt)
    assert coincast(monkeypatch, *COMMAND, "--out", str(tmp_path)) == 130
    assert "goes on from there" in capsys.readouterr().err
    assert not (tmp_path / "recipe.toml").exists()


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_the_screen_and_ranks_the_trials(width, found, tmp_path):
    console = Console(width=width, file=io.StringIO())
    console.print(tuning(found, tmp_path / "recipe.toml", width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    ratios = [trial.ratio for trial in found.ranking]
    assert ratios == sorted(ratios)
    rows = [line.split() for line in lines if line.split() and line.split()[0] in {"default", str(found.best.number)}]
    assert rows[0][0] == str(found.best.number)
    assert f"{found.best.ratio:.4f}" in rows[0]
    assert any(row[0] == "default" for row in rows)
    [naive] = [line.split() for line in lines if line.startswith("  naive")]
    assert naive[3] == f"{found.naive_ratio:.4f}"
    assert (width < 100) or naive[5] == "1.000"


def test_the_sample_has_enough_days_before_its_test():
    candles = load("btc-1d").candles
    assert len(search_of(recipes(["lstm-t"])[0], candles.until(START + timedelta(days=365))).edges) == FOLDS + 1


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_names_every_space_and_its_example_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[1] / "docs" / "tuning.md").read_text()
    for name in (name for name in MODELS if getattr(model_named(name), "space", {})):
        if name not in {"toy", "picky"}:
            assert f"| `{name}` | {', '.join(f'`{setting}`' for setting in model_named(name).space)} |" in page
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, "tuning.md", "exec"), {"__name__": "tuning"})
    assert "Of 8 trials" in capsys.readouterr().out
