"""Documents say what the program does: examples run, every command, feature and model is named."""

import doctest
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import coincast
from coincast import cli
from coincast.features import needs
from coincast.models import COMBINERS, MODELS
from coincast.recipe import load_plugin, read_settings, recipes
from coincast.testing import check_model

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_example_from_python_runs(capsys):
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "garch-t" in said


def test_the_model_of_one_s_own_passes_the_contract_and_appears_in_the_table(tmp_path, monkeypatch, capsys):
    plugin = tmp_path / "last_month.py"
    plugin.write_text(BLOCKS[1])
    load_plugin(plugin)
    try:
        check_model(MODELS["last-month"]())
        arguments = [
            "coincast",
            "backtest",
            "--plugin",
            str(plugin),
            "--models",
            "naive,last-month",
            "--processes",
            "1",
        ]
        monkeypatch.setattr(sys, "argv", [*arguments, "--test-from", "2020-12-01", "--out", str(tmp_path / "out")])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        assert "last-month" in capsys.readouterr().out
    finally:
        del MODELS["last-month"]


def test_the_recipe_in_the_readme_is_one(tmp_path):
    [content] = re.findall(r"^```toml\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    file = tmp_path / "recipe.toml"
    file.write_text(content)
    [recipe] = recipes(["lstm-t"], read_settings(file))
    assert (recipe.horizons, recipe.seeds, recipe.model.units) == ((1, 7), (0, 1, 2, 3), 24)


def test_the_recipe_of_the_best_is_one(tmp_path):
    skill = (ROOT / "docs" / "skill.md").read_text()
    [content] = re.findall(r"^```toml\n(.*?)^```", skill, flags=re.MULTILINE | re.DOTALL)
    [names] = re.findall(r"--models ([\w,-]+)$", skill, flags=re.MULTILINE)
    file = tmp_path / "recipe.toml"
    file.write_text(content)
    *networks, regression, fusion = recipes(names.split(",")[1:], read_settings(file))
    assert fusion.model.members == tuple(recipe.model.name for recipe in (*networks, regression))
    assert needs(regression.model.features) == ("realised_variance",)


def test_every_command_in_the_readme_exists_with_its_options(capsys, monkeypatch):
    shown = "\n".join(re.findall(r"^```\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^coincast (\w+) (.*?)(?:  #.*)?$", shown, flags=re.MULTILINE)
    assert {name for name, _ in lines} >= {"check", "run", "train", "forecast"}
    for name, rest in lines:
        monkeypatch.setattr(sys, "argv", ["coincast", name, "--help"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        described = capsys.readouterr().out
        for option in re.findall(r"--[\w-]+", rest):
            assert option in described, f"coincast {name} has no {option}"


def test_the_reference_is_what_the_program_says(monkeypatch):
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "reference.md").read_text()
    assert written == module.text(), "run python docs/make_reference.py"


@pytest.mark.parametrize("name", sorted({**MODELS, **COMBINERS}))
def test_the_readme_names_every_model(name):
    assert f"`{name}`" in README


def test_the_package_s_own_example():
    assert doctest.testmod(coincast).failed == 0


def test_every_exported_name_is_there():
    for name in dir(coincast):
        assert getattr(coincast, name) is not None


def test_every_file_in_the_way_of_a_candle_exists():
    table = (ROOT / "docs" / "how-it-works.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py|[\w]+/)`", table))
    missing = [n for n in named if not (ROOT / "src/coincast" / n).exists() and not (ROOT / n).exists()]
    assert not missing
