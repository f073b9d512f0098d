"""Recipes: what is misspelt is refused by name, what is read back is the same recipe."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincast.errors import RecipeError
from coincast.feed import INTERVALS, Interval
from coincast.models import COMBINERS, MODELS
from coincast.recipe import load_plugin, pace, read_settings, recipe_of, recipes


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"name": "garch-tt"}, "Did you mean 'garch-t'"),
        ({"name": "garch-t", "model": {"lookbak": 3}}, "Did you mean 'lookback'"),
        ({"name": "garch-t", "model": {"lookback": "long"}}, "garch-t: lookback = 'long'"),
        ({"name": "garch-t", "horizon": [1]}, "Did you mean 'horizons'"),
        ({"name": "garch-t", "horizons": [7, 1]}, "ascending"),
        ({"name": "garch-t", "horizons": [0]}, "from 1"),
        ({"name": "garch-t", "horizons": []}, "ascending"),
        ({"name": "garch-t", "refit_every": 0}, "refit_every is 0"),
        ({"name": "garch-t", "seeds": []}, "seeds are ()"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(document, said):
    with pytest.raises(RecipeError) as error:
        recipe_of(document)
    assert said in str(error.value)


@given(
    name=st.sampled_from(sorted({**MODELS, **COMBINERS})),
    horizons=st.sets(st.integers(1, 30), min_size=1),
    refit=st.integers(1, 999),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=9),
)
def test_a_recipe_survives_json_and_its_digest_tells_it_from_others(name, horizons, refit, seeds):
    recipe = recipe_of({"name": name, "horizons": sorted(horizons), "refit_every": refit, "seeds": seeds})
    again = recipe_of(json.loads(json.dumps(recipe.document())))
    assert again == recipe
    assert again.digest == recipe.digest
    assert recipe_of({**recipe.document(), "refit_every": refit + 1}).digest != recipe.digest


def test_a_file_sets_all_models_or_one(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text("horizons = [1, 3]\n[models.garch-t]\nlookback = 500\n")
    garch, naive = recipes(["garch-t", "naive"], read_settings(file))
    assert garch.horizons == naive.horizons == (1, 3)
    assert (garch.model.lookback, naive.model.lookback) == (500, 1)


def test_a_file_that_is_not_toml(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text("horizons = [1,")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_settings(file)


@pytest.mark.parametrize("names", [[], ["naive", "naive"]])
def test_models_are_named_once(names):
    with pytest.raises(RecipeError, match="each once"):
        recipes(names)


def test_a_table_for_a_model_that_does_not_exist():
    with pytest.raises(RecipeError, match="'lstm-tt'"):
        recipes(["naive"], {"models": {"lstm-tt": {}}})


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_has_a_pace(interval):
    [recipe] = recipes(["naive"], pace(Interval(interval)))
    assert recipe.horizons[0] == 1


def test_a_plugin_that_does_not_run_is_told_apart_from_one_that_is_not_there(tmp_path):
    broken = tmp_path / "broken_model.py"
    broken.write_text("import nothing_of_the_kind\n")
    with pytest.raises(RecipeError, match="nothing_of_the_kind"):
        load_plugin(broken)
    with pytest.raises(RecipeError, match="not a Python file"):
        load_plugin(tmp_path / "absent.py")


@pytest.mark.parametrize("content", ["models = 3\n", "[models]\nlookback = 3\n"])
def test_models_are_tables(content, tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(content)
    with pytest.raises(RecipeError, match="tables"):
        read_settings(file)
