"""The same seed gives the same bits: again, in two processes, after an interruption, in another process."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from quick import is_dear

from coincast.backtest import Walk, backtest
from coincast.fitted import predict
from coincast.workers import Processes

PREDICT = """
import hashlib, sys
from pathlib import Path
from coincast.fitted import Fitted, predict
from coincast.testing import market
for folder in sys.argv[2:]:
    values = predict(Fitted.load(Path(folder)), market(int(sys.argv[1]))).values
    print(hashlib.sha256(values.tobytes()).hexdigest())
"""


def demand_same(walks: list[Walk], others: list[Walk]) -> None:
    for walk, other in zip(walks, others, strict=True):
        name = walk.recipe.model.name
        assert other.recipe == walk.recipe
        assert np.array_equal(walk.forecast.values, other.forecast.values), name
        assert np.array_equal(walk.forecast.origin, other.forecast.origin), name
        assert np.array_equal(walk.forecast.cutoff, other.forecast.cutoff), name
        for fitted, again in zip(walk.fitted, other.fitted, strict=True):
            assert fitted.cutoff == again.cutoff
            assert fitted.state.keys() == again.state.keys(), name
            for key, value in fitted.state.items():
                assert value.shape == again.state[key].shape, (name, key)
                assert value.tobytes() == again.state[key].tobytes(), (name, key)


def test_two_processes_give_the_bits_of_one(walked):
    demand_same(walked.walks, backtest(walked.recipes, walked.candles, walked.start, Processes(2)))


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_walk_goes_on_where_it_stopped(walked, tmp_path, after):
    """What was kept is not done again, and what is read back from disk is what was written."""
    cheap = [walk for walk in walked.walks if not is_dear(walk)]
    recipes = [walk.recipe for walk in cheap]
    finished: list[int] = []
    kept: list[int] = []

    def stop(number: int, done: int, total: int, words: str) -> None:
        finished.append(number)
        if len(finished) > after:
            raise Interrupted

    with pytest.raises(Interrupted):
        backtest(recipes, walked.candles, walked.start, parts=tmp_path, monitor=stop)

    def note(number: int, done: int, total: int, words: str) -> None:
        if words == "kept":
            kept.append(number)

    resumed = backtest(recipes, walked.candles, walked.start, parts=tmp_path, monitor=note)
    assert sorted(kept) == sorted(finished[:after])
    demand_same(cheap, resumed)
    kept.clear()
    demand_same(cheap, backtest(recipes, walked.candles, walked.start, parts=tmp_path, monitor=note))
    assert len(kept) == sum(len(walk.fitted) for walk in cheap)


def test_other_candles_take_nothing_from_the_parts_of_these(walked, tmp_path):
    recipe = walked.recipes[1]
    backtest([recipe], walked.candles, walked.start, parts=tmp_path)
    kept = []
    other = walked.candles.until(walked.start + 200 * walked.candles.feed.interval.delta)
    backtest([recipe], other, walked.start, parts=tmp_path, monitor=lambda *news: kept.append(news[-1]))
    assert kept
    assert "kept" not in kept


def test_a_saved_model_forecasts_the_same_bits_in_another_process(walked, tmp_path):
    folders, expected = [], []
    for number, walk in enumerate(w for w in walked.walks if w.fitted):
        folders.append(str(tmp_path / str(number)))
        walk.fitted[-1].save(tmp_path / str(number))
        values = predict(walk.fitted[-1], walked.candles).values
        expected.append(hashlib.sha256(values.tobytes()).hexdigest())
    command = [sys.executable, "-c", PREDICT, str(len(walked.candles)), *folders]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == expected
