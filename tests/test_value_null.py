"""Where nothing can be earned nothing is: a twentieth of `bench/proof/null_profit.py`, in other markets every day.

The whole proof asks for 5 % over all allocations; a sample drawn daily alarms at odds of one in ten thousand.
"""

from dataclasses import replace

import numpy as np
import pytest
from bench.proof.null_profit import NULL, PEEKED, USUAL, fair, null_checks, one_world, pool
from bench.proof.null_worlds import seeds
from scipy.stats import binom

from coincast.worlds import Law, draw

SHARE, UNLIKELY = 20, 1e-4


@pytest.mark.proof
@pytest.mark.parametrize("name", NULL)
def test_every_allocation_earns_minus_its_costs(name, seed):
    worlds = [NULL[name].results(world) for world in seeds(seed, NULL[name].worlds // SHARE)]
    assert len(pool(worlds)) > 4
    for check in null_checks(name, worlds, UNLIKELY):
        if "profit" in check.what or "suspected" in check.what:
            assert check.holds, f"{check}, COINCAST_SEED={seed}"
        else:
            assert binom.sf(check.found - 1, len(worlds), 0.05) > UNLIKELY, f"{check}, COINCAST_SEED={seed}"


def test_a_fee_that_is_not_charged_stands_out(seed):
    """The books of free trades, told as if they had been paid for: a profit before costs that cannot be."""
    study = replace(NULL["random walk"], costs=replace(USUAL, fee=0.05), models=NULL["random walk"].models[1:2])
    worlds = [study.results(world) for world in seeds(seed, 4)]
    forgotten = [[replace(one, earned=one.earned + one.paid) for one in world] for world in worlds]
    momentum = next(one for one in pool(forgotten) if one.name == "momentum")
    honest = next(one for one in pool(worlds) if one.name == "momentum")
    assert momentum.earned - honest.earned == pytest.approx(honest.paid)
    assert honest.paid > 0.001


def test_a_fill_in_its_own_bar_is_suspected(seed):
    for world in seeds(seed, 2):
        assert next(one for one in PEEKED.results(world) if one.name == "sign by peeks").flagged


def test_a_fair_market_has_the_same_bars_and_no_drift():
    candles = draw(Law(dof=4), 20_000, seed=1).candles
    found = fair(candles)
    assert found.feed == candles.feed
    moves = found.close[1:] / found.close[:-1] - 1
    assert abs(moves.mean()) < 3 * moves.std() / np.sqrt(len(moves))
    assert (np.sign(moves) == np.sign(np.diff(candles.close))).all()
    assert found.frame["open"][1:].to_list() == found.close[:-1].tolist()


def test_a_task_names_its_study():
    name = "same bar"
    assert one_world((name, 5), lambda *_: None) == PEEKED.results(5)
