"""Quantiles of Student's t against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coincast.forecast import LEVELS
from coincast.student_t import LEAST_DOF, quantiles


@given(dof=st.floats(LEAST_DOF, 1e6))
def test_quantiles_are_scipys(dof):
    np.testing.assert_allclose(quantiles(np.array([dof]), LEVELS)[0], stats.t.ppf(LEVELS, dof), rtol=0, atol=1e-11)


def test_outer_levels_are_scipys():
    levels = np.array([0.001, 0.999])
    dof = np.linspace(LEAST_DOF, 20, 200)
    np.testing.assert_allclose(quantiles(dof, levels), stats.t.ppf(levels, dof[:, None]), rtol=1e-11)


def test_shape_follows_the_degrees_of_freedom():
    assert quantiles(np.full((3, 2), 5.0), LEVELS).shape == (3, 2, len(LEVELS))


def test_quantiles_ascend():
    assert (np.diff(quantiles(np.array([LEAST_DOF, 3.0, 1e9]), LEVELS)) > 0).all()


def test_a_normal_law_is_the_limit():
    assert quantiles(np.array([1e12]), LEVELS)[0, -1] == pytest.approx(stats.norm.ppf(LEVELS[-1]), rel=1e-9)
