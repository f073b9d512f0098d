"""The volatility layer against published figures, and `garch-t` against the library that estimated them.

The figures are those of arch's documentation for the S&P 500, 1999 to 2018, daily returns in percent, whose prices arch
ships (`arch.data.sp500`).
"""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from arch import arch_model
from arch.data import sp500

from coincast.feed import from_numpy
from coincast.forecast import LEVELS
from coincast.forecaster import unwatched
from coincast.models import garch
from coincast.models.garch import EgarchSkewT, GarchT, GjrSkewT
from coincast.windows import cut
from coincast.worlds import Law, draw
from made import candles_of


@cache
def returns():
    return 100 * sp500.load()["Adj Close"].pct_change().dropna()


@cache
def fitted(**settings):
    return arch_model(returns(), **settings).fit(disp="off")


def test_the_data_are_those_of_the_example():
    assert len(returns()) == 5030


def test_garch():
    result = fitted()
    expected = {"mu": 0.0564, "omega": 0.0175, "alpha[1]": 0.1022, "beta[1]": 0.8852}
    assert dict(result.params) == {name: pytest.approx(value, abs=5e-5) for name, value in expected.items()}
    assert result.loglikelihood == pytest.approx(-6936.72, abs=5e-3)


def test_gjr():
    result = fitted(p=1, o=1, q=1)
    assert result.params["gamma[1]"] == pytest.approx(0.1831, abs=5e-5)
    assert result.params["beta[1]"] == pytest.approx(0.8922, abs=5e-5)
    assert result.loglikelihood == pytest.approx(-6822.88, abs=5e-3)


def test_tarch_normal_and_student_t():
    assert fitted(p=1, o=1, q=1, power=1.0).loglikelihood == pytest.approx(-6799.18, abs=5e-3)
    heavy = fitted(p=1, o=1, q=1, power=1.0, dist="StudentsT")
    assert heavy.loglikelihood == pytest.approx(-6722.15, abs=5e-3)
    assert heavy.params["nu"] == pytest.approx(7.955, abs=5e-3)


FAMILY = pytest.mark.parametrize("model", [GarchT(), GjrSkewT(), EgarchSkewT()], ids=lambda model: model.name)


@FAMILY
def test_a_garch_filters_as_arch_does(model):
    """The variance of the day after, with arch's parameters, from the whole series and from windows cut short."""
    result = fitted(**model.form)
    p = {**{name: float(result.params[key]) for name, key in model.estimated.items()}, "usual": 1.0}
    arch_variance = result.forecast(horizon=1, reindex=False).variance.to_numpy().item()
    assert model.next_variance(p, returns().to_numpy()[None]).item() == pytest.approx(arch_variance, rel=1e-9)
    bars = np.arange(2000, 5030, 500)
    windows = np.stack([returns().to_numpy()[bar - 1500 : bar] for bar in bars])
    np.testing.assert_allclose(
        model.next_variance(p, windows), result.conditional_volatility.iloc[bars] ** 2, rtol=1e-5
    )


@FAMILY
def test_the_errors_of_a_garch_have_mean_0_and_variance_1(model):
    p = {"nu": 6.0, "eta": 6.0, "lambda": -0.2}
    for z in (model.quantiles(p), model.draws(p, 30)):
        assert np.mean(z) == pytest.approx(0, abs=0.01)
        assert np.var(z) == pytest.approx(1, abs=0.05)
    below = np.mean(model.draws(p, 30)[..., None] < model.quantiles(p)[[20, 100, 180]], axis=(0, 1))
    np.testing.assert_allclose(below, LEVELS[[20, 100, 180]], atol=0.01)


def test_garch_t_forecasts_variance_as_the_formula_says():
    """v[h] = v + (alpha + beta)^(h-1) (v[1] - v) with v the unconditional variance: simulated by garch-t within 2 %."""
    parameters = {"mu": 0.0, "omega": 0.05, "alpha": 0.08, "beta": 0.9, "nu": 8.0}
    model = GarchT(simulations=40_000)
    draws = model.draws(parameters, 7)
    start, level, decay = 6.0, 0.05 / 0.02, 0.98
    for h in (1, 3, 7):
        expected = sum(level + decay**step * (start - level) for step in range(h))
        *_, simulated = (sums.var() for sums in model.sums(parameters, np.array([start]), draws[:h]))
        assert simulated == pytest.approx(expected, rel=0.02)


def test_a_window_with_little_past_is_filtered_as_if_alone():
    """What stands beside it in a batch, longer or shorter, changes no bit."""
    parameters = {"mu": 0.05, "omega": 0.02, "alpha": 0.1, "beta": 0.88, "usual": 1.5}
    batch = np.stack([returns().to_numpy()[k : k + 100] for k in (0, 400, 800)])
    batch[1, :70] = np.nan
    batch[2, :40] = np.nan
    together = GarchT().next_variance(parameters, batch)
    for row, found in zip(batch, together, strict=True):
        assert GarchT().next_variance(parameters, row[None]).item() == found
        known = row[~np.isnan(row)]
        assert GarchT().next_variance(parameters, known[None]).item() == pytest.approx(found, rel=1e-12)


def learnt(model, closes, missing=()):
    """What a model learns from all of these closes."""
    candles = candles_of(closes, missing)
    windows = cut(candles, model.features, model.lookback, (1,), model.at_least)
    return model.fit(windows.settled(by=candles.end), (0,), unwatched).state


@FAMILY
def test_bars_that_were_filled_in_are_no_quiet_days(model):
    """Two months without a bar change no estimate; taken for days on which nothing moved, they would."""
    r = returns().to_numpy()[-1000:] / 100
    closes = 1000 * np.exp(np.cumsum(r))
    gap = np.insert(closes, 700, np.full(60, closes[699]))
    alone, marked, quiet = learnt(model, closes), learnt(model, gap, range(700, 760)), learnt(model, gap)
    for name, value in alone.items():
        assert marked[name] == pytest.approx(value, rel=1e-6), name
    # Two months without a move leave the search without an end: where it stops is the machine's choice, but not there.
    assert quiet["omega"] != pytest.approx(alone["omega"], rel=0.5)


@FAMILY
def test_a_hole_longer_than_its_memory_leaves_a_garch_what_it_knew(model):
    """Its window then holds a single return, or none; bands are as wide as before, not as that return happens to be."""
    closes = 1000 * np.exp(np.cumsum(returns().to_numpy()[-1000:] / 100))
    candles = candles_of(np.insert(closes, 700, np.full(1600, closes[699])), range(700, 2300))
    windows = cut(candles, model.features, model.lookback, (1,), model.at_least)
    after = windows.newest(300)
    state = model.fit(windows.settled(by=from_numpy(after.origin[0])), (0,), unwatched).state
    assert {name: state[name] for name in state} == {
        name: pytest.approx(value, rel=1e-6) for name, value in learnt(model, closes[:701]).items()
    }
    width = np.subtract(*model.predict(state, after)[:, 0, [179, 19]].T)
    usual = np.subtract(*np.quantile(np.diff(np.log(closes[:700])), [0.9, 0.1]))
    assert ((usual / 4 < width[:20]) & (width[:20] < 4 * usual)).all()


def test_a_search_that_goes_astray_is_begun_again():
    """From where arch starts, EGARCH was seen to end at a mean of 25 million percent here."""
    candles = draw(Law(dof=4), 1000, seed=3362292471).candles.until(datetime(2012, 1, 2, tzinfo=UTC))
    state = learnt(EgarchSkewT(), candles.close)
    assert state["converged"]
    assert abs(state["mu"]) < 0.5
    windows = cut(candles, EgarchSkewT.features, 1500, (1,), 250)
    width = np.subtract(*EgarchSkewT().predict(state, windows.newest(1))[0, 0, [179, 19]])
    assert width == pytest.approx(2 * 1.3 * np.diff(np.log(candles.close)).std(), rel=0.3)


@FAMILY
def test_a_search_that_ends_nowhere_leaves_what_is_likeliest(model, monkeypatch):
    """Stopped after a single step, it says so, and is no less likely than a market as most are."""
    monkeypatch.setattr(garch, "SEARCH", {"maxiter": 1})
    percent = returns().to_numpy()[-1000:]
    state = learnt(model, 1000 * np.exp(np.cumsum(np.r_[0.0, percent / 100])))
    assert not state["converged"]
    here = arch_model(percent, mean="Constant", rescale=False, **model.form)
    plain = model.plain(percent.mean(), percent.var())
    likelihoods = [here.fix([p[name] for name in model.estimated]).loglikelihood for p in (state, plain)]
    assert likelihoods[0] >= likelihoods[1]
