"""Every mistake of the gallery is found by an audit and called what it is; the recipe without one passes."""

from dataclasses import replace

import pytest

from coincast.audit import audit
from coincast.gallery.faults import MISTAKES
from coincast.gallery.learners import Ridge
from coincast.gallery.lstm import Lstm
from made_gallery import drawn, scene
from sampling import drawn_today

BY_NAME = {mistake.name: mistake for mistake in MISTAKES}
# Leaks that no market can hide, one a kind: on a new one every session.
ANYWHERE = ("scaler", "same-bar", "label-shift")


def audited(shown, mistake):
    found = audit(shown.pipeline(mistake), shown.candles, test_from=shown.test_from, processes=1)
    assert not found.blind, "a planted leak is seen"
    return found


def assert_caught(found, mistake):
    assert found.outcome == "failed"
    names = [one.fault for one in found.worst_first]
    assert set(names) & set(mistake.findings), f"{mistake.name} was called {names}"


@pytest.mark.parametrize("subject", ["bars", "seven ahead", "days", "hours"])
def test_the_sound_recipe_passes(subject):
    found = audited(scene(subject, Ridge()), None)
    assert found.outcome == "passed", [one.says for one in found.worst_first]
    assert not [one for one in found.findings if one.kind.fails]


@pytest.mark.sampled
@pytest.mark.parametrize("name", drawn_today([name for name in BY_NAME if name != "test-stopping"], 8))
def test_a_mistake_is_called_what_it_is(name):
    mistake = BY_NAME[name]
    # Of several coins one is enough to declare a list.
    subject = "bars" if mistake.subject == "markets" else mistake.subject
    assert_caught(audited(scene(subject, Ridge()), mistake), mistake)


def test_stopping_by_the_test_shows_in_a_network_and_the_sound_network_passes():
    """Of a ridge regression the test only chooses among penalties; a network's epochs it chooses finely."""
    here = drawn(5, bars=440, tested=270).with_learner(Lstm().hasty)
    assert_caught(audited(here, BY_NAME["test-stopping"]), BY_NAME["test-stopping"])
    assert audited(here, None).outcome == "passed"


@pytest.mark.parametrize("name", ANYWHERE)
def test_it_is_so_on_a_market_that_was_drawn_for_this_session(name, seed):
    mistake = BY_NAME[name]
    assert_caught(audited(drawn(seed + mistake.number), mistake), mistake)


def test_the_sound_recipe_passes_there_too(seed):
    here = drawn(seed)
    ahead = replace(here, settings=replace(here.settings, horizon=3))
    assert audited(ahead, None).outcome == "passed"
