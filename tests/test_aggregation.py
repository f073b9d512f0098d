"""Weights of experts: their regret keeps its bound on every sequence, also on one played by who sees the weights."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coincast.aggregation import Bernstein, anytime_rates, exponential_weights

ROUNDS, EXPERTS = st.integers(1, 60), st.integers(2, 6)
UNIT = st.floats(0, 1)


@st.composite
def losses(draw):
    return draw(arrays(float, (draw(ROUNDS), draw(EXPERTS)), elements=UNIT))


def regret(found, given_losses):
    """Of the weighted average against the best expert."""
    return (found[:-1] * given_losses).sum() - given_losses.sum(axis=0).min()


def known_horizon(rounds, experts):
    return np.full(rounds + 1, math.sqrt(8 * math.log(experts) / rounds))


@given(losses())
def test_with_the_number_of_rounds_known_the_regret_is_at_most_root_of_half_t_ln_k(sequence):
    rounds, experts = sequence.shape
    found = exponential_weights(sequence, known_horizon(rounds, experts))
    assert regret(found, sequence) <= math.sqrt(rounds * math.log(experts) / 2) + 1e-9


@given(losses())
def test_without_it_the_regret_is_at_most_twice_that_and_a_little(sequence):
    rounds, experts = sequence.shape
    found = exponential_weights(sequence, anytime_rates(rounds, experts))
    half = math.log(experts) / 2
    assert regret(found, sequence) <= 2 * math.sqrt(rounds * half) + math.sqrt(half / 4) + 1e-9


@pytest.mark.parametrize("experts", [2, 3, 10])
def test_who_sees_the_weights_and_strikes_the_heaviest_expert_cannot_break_a_bound(experts):
    rounds = 400
    for rates, factor in ((known_horizon(rounds, experts), 1), (anytime_rates(rounds, experts), 2)):
        played = np.zeros((rounds, experts))
        for number in range(rounds):
            weights = exponential_weights(played[:number], rates[: number + 1])[-1]
            played[number, weights.argmax()] = 1.0
        bound = factor * math.sqrt(rounds * math.log(experts) / 2) + math.sqrt(math.log(experts) / 8)
        found = regret(exponential_weights(played, rates), played)
        assert found <= bound
        # The same player takes more from weights that never learn than from a leader that is followed blindly.
        assert found > 0


def test_rates_that_are_far_too_low_break_the_bound():
    sequence = np.tile([0.0, 1.0], (400, 1))
    assert regret(exponential_weights(sequence, np.full(401, 1e-4)), sequence) > math.sqrt(400 * math.log(2) / 2)


# --- Bernstein --------------------------------------------------------------------------------------------------------


def bernstein_bound(variation, experts, rounds):
    log = math.log(experts)
    turns = (1 / 2 + 1 / (16 * log)) * math.log(max(1, rounds / (4 * log)))
    return (
        2 * np.sqrt(variation * (log + 1 / 4))
        + 2 * log
        + 1 / 2
        + (log + math.log(1 + turns / math.e)) * np.maximum(2, np.sqrt(variation / log))
    )


def play(sequence, weigh=lambda state: state.weights):
    """(cumulative regrets, states) of linear losses in [0, 1]; a function in their place is shown the weights."""
    state, total, states = None, 0.0, []
    for given_losses in sequence:
        state = state or Bernstein.start(len(given_losses))
        weights = weigh(state)
        regrets = weights @ given_losses - given_losses
        state, total = state.after(regrets), total + regrets
        states.append(state)
    return total, states


@settings(max_examples=150)
@given(losses())
def test_bernstein_s_second_order_bound_holds_against_every_expert(sequence):
    total, states = play(sequence)
    assert (total <= bernstein_bound(states[-1].variation, sequence.shape[1], len(sequence)) + 1e-9).all()


@pytest.mark.parametrize("experts", [2, 5])
def test_bernstein_keeps_it_against_who_sees_the_weights(experts):
    state, total, rounds = Bernstein.start(experts), np.zeros(experts), 1500
    for _ in range(rounds):
        struck = np.zeros(experts)
        struck[state.weights.argmax()] = 1.0
        regrets = state.weights @ struck - struck
        state, total = state.after(regrets), total + regrets
    assert (total <= bernstein_bound(state.variation, experts, rounds)).all()


def test_equal_weights_do_not_keep_it():
    sequence = np.tile([0.0, 1.0, 1.0], (1500, 1))
    total, states = play(sequence, weigh=lambda _: np.full(3, 1 / 3))
    assert (total > bernstein_bound(states[-1].variation, 3, 1500)).any()


@given(losses(), st.randoms(use_true_random=False))
def test_weights_are_a_distribution_and_know_no_order(sequence, random):
    order = list(range(sequence.shape[1]))
    random.shuffle(order)
    found = exponential_weights(sequence, anytime_rates(*sequence.shape))
    turned = exponential_weights(sequence[:, order], anytime_rates(*sequence.shape))
    bernstein = np.array([state.weights for state in play(sequence)[1]])
    bernstein_turned = np.array([state.weights for state in play(sequence[:, order])[1]])
    for weights, other in ((found, turned), (bernstein, bernstein_turned)):
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(other, weights[:, order], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_both_are_their_papers_formulas_written_out(seed):
    """One expert and one round at a time, with nothing but `math`; long enough for the rates to come apart."""
    rounds, experts = 120, 3
    sequence = np.random.default_rng(seed).uniform(size=(rounds, experts)) ** [3.0, 1.0, 0.1]
    cumulative, corrected, variation = [0.0] * experts, [0.0] * experts, [0.0] * experts
    found = exponential_weights(sequence, anytime_rates(rounds, experts))
    _, states = play(sequence)
    for number in range(rounds):
        powers = [math.exp(-math.sqrt(8 * math.log(experts) / (number + 1)) * loss) for loss in cumulative]
        np.testing.assert_allclose(found[number], [power / sum(powers) for power in powers], rtol=1e-9)
        before = [weight_rate(variation[k], experts) for k in range(experts)]
        masses = [before[k] * math.exp(before[k] * corrected[k]) for k in range(experts)]
        if number:
            np.testing.assert_allclose(states[number - 1].weights, np.divide(masses, sum(masses)), rtol=1e-9)
        average = sum(mass / sum(masses) * loss for mass, loss in zip(masses, sequence[number], strict=True))
        for k, loss in enumerate(sequence[number]):
            cumulative[k] += loss
            corrected[k] += (average - loss) - before[k] * (average - loss) ** 2
            variation[k] += (average - loss) ** 2
    assert np.ptp(states[-1].rates) > 0.02


def weight_rate(variation, experts):
    return min(0.5, math.sqrt(math.log(experts) / variation)) if variation > 0 else 0.5


def test_one_expert_alone_has_all_the_weight():
    assert Bernstein.start(1).after(np.zeros(1)).weights.tolist() == [1.0]
    assert exponential_weights(np.ones((3, 1)), anytime_rates(3, 1)).tolist() == [[1.0]] * 4
