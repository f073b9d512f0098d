"""Fusion and calibration as models of a run: walked after their members, kept, drawn, refused where they cannot be."""

import json
import sys
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from coincast import cli
from coincast.audit import Pipeline
from coincast.backtest import backtest
from coincast.cli.modelling import choose_with_members
from coincast.combiner import combined
from coincast.errors import RecipeError
from coincast.feed import from_numpy
from coincast.fitted import fit
from coincast.recipe import recipes
from coincast.report import render
from coincast.report.weights import charts, heading
from coincast.runs import Run
from coincast.testing import market

CANDLES = market(500)
START = from_numpy(CANDLES.known_at[400])
SETTINGS = {
    "horizons": (1, 3),
    "models": {"fusion": {"members": ["ewma-t", "naive-conformal"]}, "calibrated": {"member": "fusion"}},
}
NAMES = ["naive-conformal", "ewma-t", "fusion", "calibrated"]
FILE = '[models.fusion]\nmembers = ["naive-conformal", "ewma-t"]\n[models.calibrated]\nmember = "ewma-t"\n'


def test_a_fusion_is_made_of_the_walks_of_its_members():
    conformal, ewma, fusion, calibrated = backtest(recipes(NAMES, SETTINGS), CANDLES, START)
    made = combined(fusion.recipe.model, [ewma.forecast, conformal.forecast], CANDLES)
    assert np.array_equal(fusion.forecast.values, made.values)
    assert (fusion.fitted, fusion.forecast.model) == ((), "fusion")
    assert fusion.forecast.recipe == fusion.recipe.digest
    assert np.array_equal(fusion.forecast.cutoff, fusion.forecast.origin)
    again = combined(calibrated.recipe.model, [fusion.forecast], CANDLES)
    assert np.array_equal(calibrated.forecast.values, again.values)


@pytest.mark.parametrize("names", [["fusion"], ["ewma-t", "fusion"], ["fusion", "ewma-t", "naive-conformal"]])
def test_a_member_that_is_missing_or_named_later_is_asked_for_before_anything_is_fitted(names):
    with pytest.raises(RecipeError, match=r"made of .*naive-conformal, not among the models before it.*--models"):
        backtest(recipes(names, SETTINGS), CANDLES, START)


def test_a_fusion_is_not_fitted_to_candles():
    [recipe] = recipes(["fusion"], SETTINGS)
    with pytest.raises(RecipeError, match="run or backtest with --models ewma-t,naive-conformal,fusion"):
        fit(recipe, CANDLES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A backtest from the command line."""
    folder = tmp_path_factory.mktemp("fusion")
    (folder / "recipe.toml").write_text(FILE)
    arguments = ["backtest", "--models", ",".join(NAMES), "--recipe", str(folder / "recipe.toml"), "--processes", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["coincast", *arguments, "--out", str(folder / "out"), "--json"])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 0
    return folder / "out"


def test_a_run_keeps_its_fusion_and_tells_its_weights(folder):
    document = json.loads((folder / "report.json").read_text())
    run = Run.load(folder)
    assert json.loads(json.dumps(run.document())) == document
    fusion = next(model for model in document["models"] if model["name"] == "fusion")
    assert fusion["recipe"]["model"] == {"members": ["naive-conformal", "ewma-t"], "rule": "boa"}
    assert fusion["cutoffs"] == []
    assert {h: list(weights) for h, weights in fusion["weights"].items()} == {
        h: ["naive-conformal", "ewma-t"] for h in ("1", "7")
    }
    for weights in fusion["weights"].values():
        assert sum(weights.values()) == pytest.approx(1)
    assert "weights" not in document["models"][-1]


def test_its_page_shows_whom_it_trusted(folder):
    run = Run.load(folder)
    page = render(run)
    weights = json.loads((folder / "report.json").read_text())["models"][2]["weights"]["1"]
    name = max(weights, key=weights.get)
    share = weights[name]
    assert heading(run) == f"fusion trusts {name} most by now: {100 * share:.0f}\N{NO-BREAK SPACE}% of the weight"
    assert heading(run) in page
    for chart, horizon in zip(charts(run), (1, 7), strict=True):
        assert f'id="chart-weights-fusion-{horizon}"' in page
        stacked = np.sum([trace["y"] for trace in chart.data], axis=0)
        np.testing.assert_allclose(stacked, 100)
        assert [trace["name"] for trace in chart.data] == ["naive-conformal", "ewma-t"]
        assert [trace["y"][0] for trace in chart.data] == [50, 50]


def test_without_a_fusion_there_is_nothing_to_show(folder):
    run = Run.load(folder)
    bare = replace(run, walks=run.walks[:2])
    assert (charts(bare), heading(bare)) == ([], None)


def test_training_a_fusion_is_refused_in_three_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["coincast", "train", "--model", "fusion", "--out", str(tmp_path / "model")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert len(told.strip().splitlines()) == 3
    assert "coincast run" in told
    assert not (tmp_path / "model").exists()


def test_an_audit_asks_for_the_members_first_and_knows_how_all_were_tuned(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text('[models.calibrated]\nmember = "fusion"\n')
    asked = choose_with_members("calibrated", "1d", file, None, "1")
    assert [recipe.model.name for recipe in asked] == ["garch-t", "har-t", "lstm-t", "fusion", "calibrated"]
    assert {recipe.horizons for recipe in asked} == {(1,)}
    *members, fusion = asked[:-1]
    word = Pipeline.of_recipe(fusion, CANDLES, START, members=members).declared
    assert (word.tuned_until, word.trials) == (date(2023, 12, 31), 1 + 12 + 55 + 80)
    other = [*members[:-1], replace(members[-1], model=replace(members[-1].model, units=8))]
    assert Pipeline.of_recipe(fusion, CANDLES, START, members=other).declared.trials is None
