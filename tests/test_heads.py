"""Heads: every law is a law, its loss is its own, its quantiles are those of scipy, and it starts where it should."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from coincast.forecast import LEVELS
from coincast.models.heads import KNOTS, MEDIAN, Quantiles, SkewedT, StudentT, student_t_nll

HEADS = pytest.mark.parametrize("head", [StudentT(), SkewedT(), Quantiles()], ids=lambda head: type(head).__name__)
SHOWN = [0, 9, 49, 99, 149, 189, 198]


def numbers(head, seed, size=(7,)):
    return np.random.default_rng(seed).normal(scale=2.0, size=(*size, head.outputs))


def test_student_t_loss_is_scipys_density():
    random = np.random.default_rng(0)
    location, log_scale, dof = random.normal(size=100), random.normal(size=100), 2.1 + random.exponential(5, size=100)
    y = random.normal(size=100) * 3
    ours = student_t_nll(jnp.stack([location, log_scale, dof], axis=-1), y)
    np.testing.assert_allclose(ours, -stats.t.logpdf(y, dof, location, np.exp(log_scale)), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("head", [StudentT(), SkewedT()], ids=lambda head: type(head).__name__)
def test_the_loss_is_the_density_whose_quantiles_are_told(head):
    """exp(-loss) is integrated up to each quantile, by scipy."""
    raw = np.array([0.4, -0.3, 1.5, 0.6][: head.outputs])
    law = np.asarray(head.law(raw, 0.3), dtype=float)

    def density(y):
        return float(np.exp(-head.loss(law, jnp.float32(y))))

    told = head.quantiles(law[None], 1.0, 1.0)[0, SHOWN]
    spans = pairwise([-np.inf, *told])
    shares = np.cumsum([integrate.quad(density, *span, limit=200)[0] for span in spans])
    np.testing.assert_allclose(shares, LEVELS[SHOWN], atol=2e-5)


def test_a_skewed_t_without_skew_is_students():
    raw = np.concatenate([numbers(StudentT(), 1), np.zeros((7, 1))], axis=-1)
    even, skewed = StudentT().law(raw[..., :3], 0.3), SkewedT().law(raw, 0.3)
    np.testing.assert_allclose(SkewedT().loss(skewed, 0.7), StudentT().loss(even, 0.7), rtol=1e-6)
    np.testing.assert_allclose(
        SkewedT().quantiles(np.asarray(skewed, dtype=float), 0.5, 1.03),
        StudentT().quantiles(np.asarray(even, dtype=float), 0.5, 1.03),
        rtol=1e-9,
        atol=1e-9,
    )


def test_quantiles_are_learnt_by_the_crps():
    """Over all levels twice the pinball loss is the CRPS; fifteen levels tell it within a few percent, as scipy has it
    of Student's t with four degrees of freedom.
    """
    law = np.asarray(Quantiles().law(np.zeros(15), 0.3))
    for y in (-6.0, -1.0, 0.0, 0.5, 3.0):
        below, _ = integrate.quad(lambda q: stats.t.cdf(q, 4) ** 2, -np.inf, y)
        above, _ = integrate.quad(lambda q: stats.t.sf(q, 4) ** 2, y, np.inf)
        assert float(Quantiles().loss(law, jnp.float32(y))) == pytest.approx(below + above, rel=0.05)


def test_learnt_quantiles_are_met_and_start_at_students_t():
    start = Quantiles().quantiles(np.asarray(Quantiles().law(np.zeros(15), 0.3), dtype=float), 0.5, 1.0)
    np.testing.assert_allclose(start, stats.t.ppf(LEVELS, 4), rtol=1e-5, atol=1e-6)
    law = np.asarray(Quantiles().law(numbers(Quantiles(), 2), 0.3), dtype=float)
    np.testing.assert_allclose(Quantiles().quantiles(law, 1.0, 1.0)[:, np.isin(LEVELS, KNOTS)], law, rtol=1e-9)


@HEADS
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 30))
def test_every_law_has_quantiles_that_do_not_cross(head, seed, scale):
    law = np.asarray(head.law(scale * numbers(head, seed), 0.3), dtype=float)
    told = head.quantiles(law, 0.5, 1.03)
    assert told.shape == (7, len(LEVELS))
    assert np.isfinite(told).all()
    assert (np.diff(told) > 0).all()


@HEADS
def test_shrinkage_moves_the_middle_and_inflation_the_width(head):
    law = np.asarray(head.law(numbers(head, 3), 0.3), dtype=float)
    whole, wide = head.quantiles(law, 1.0, 1.0), head.quantiles(law, 1.0, 2.0)
    middle = {Quantiles: lambda: law[:, MEDIAN]}.get(type(head), lambda: law[:, 0])()[:, None]
    np.testing.assert_allclose(wide - middle, 2 * (whole - middle), rtol=1e-9, atol=1e-12)
    none = head.quantiles(law, 0.0, 1.0)[:, 99]
    np.testing.assert_allclose(none, 0.0, atol=1e-9)
