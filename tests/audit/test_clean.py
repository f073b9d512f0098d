"""Pipelines without a fault pass, registered models among them: drawn by chance, others every day."""

from datetime import date

import pytest
from tests.audit.pipelines import drawn

from coincast.audit import Declarations, Pipeline, audit
from coincast.feed import from_numpy
from coincast.models import COMBINERS, MODELS, model_named
from coincast.recipe import Recipe
from coincast.worlds import Law, draw
from sampling import drawn_today

# Clean pipelines audited in a day's sample. One may fail: if one in a hundred does, two do at odds of 1 in 3,000.
SAMPLE = 3
NETWORKS = ("seed-lstm", "lstm-t", "lstm-skewt", "lstm-q", "lstm-attention", "gru-t", "tcn-t")
# Settings that make a registered model's fit quick.
QUICK = {
    "garch-t": {"simulations": 200},
    "gjr-skewt": {"simulations": 200},
    "egarch-skewt": {"simulations": 200},
    "boosted-q": {"trees": 5},
    "seed-lstm": {"epochs": 1, "batch": 128},
    **{name: {"epochs": 1, "units": 4, "scored": 16} for name in NETWORKS[1:]},
    "fusion": {"members": ("naive-conformal", "ewma-t")},
    "calibrated": {"member": "ewma-t"},
}
# Registered models audited in a day's sample.
MODELS_A_DAY = 6
MARKET = draw(Law(alpha=0.05, beta=0.9), 640, seed=3).candles
TEST_FROM = from_numpy(MARKET.known_at[370])


@pytest.mark.proof
def test_clean_pipelines_pass(seed, tmp_path):
    alarms = []
    for number in range(SAMPLE):
        case = drawn((seed + number) % 2**31)
        done = case.audit(tmp_path)
        if done.outcome != "passed":
            alarms.append(f"seed {case.seed}: {done.sentence} {dict(case.made)}")
    assert len(alarms) <= 1, f"COINCAST_SEED={seed}: {alarms}"


@pytest.mark.sampled
@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("name", drawn_today([*MODELS, *COMBINERS], MODELS_A_DAY))
def test_every_registered_model_passes(name):
    model = model_named(name)(**QUICK.get(name, {}))
    members = model.members if name in COMBINERS else ()
    *others, recipe = (
        Recipe(one, horizons=(1,), seeds=(0, 1) if name in NETWORKS else (0,))
        for one in (*(model_named(member)() for member in members), model)
    )
    pipeline = Pipeline.of_recipe(recipe, MARKET, TEST_FROM, members=others)
    word = Declarations(tuned_until=date(2009, 12, 31), trials=1)
    done = audit(pipeline.with_word(word, {}), MARKET, test_from=TEST_FROM, processes=1)
    assert done.outcome == "passed", [(one.fault, one.says) for one in done.findings]
    assert all(one.passed for one in done.experiments)
