"""Scores against closed forms, other programs and slow twins."""

import math
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coincast.errors import DataError
from coincast.feed import from_numpy
from coincast.forecast import LEVELS, K
from coincast.hac import hac_error, hac_lags
from coincast.scores import BANDS, PINBALL, crps, mae, mape, mase, naive_scale, r2, rmse, score, smape
from coincast.summaries import by_regime, by_year, summarise
from coincast.truth import truth
from made import DAILY, HOURLY, candles_of, forecast_of, walk

# Log-returns of every size a market can make, with ties among them now and then.
RETURNS = st.integers(-9000, 9000).map(lambda basis_points: basis_points / 10_000)
LAWS = st.lists(RETURNS, min_size=1, max_size=K).map(lambda some: np.sort(np.resize(some, K)))


def scored_once(values, move):
    """The one row of a forecast of `values` where the price moved by the log-return `move`, and that move."""
    candles = candles_of([1.0, math.exp(move)])
    return score(forecast_of(candles, [0], values), candles).row(0, named=True)


def pinball(move, value, level):
    """Koenker and Bassett's check function, as written."""
    return (level if move >= value else level - 1) * (move - value)


# --- the truth -----------------------------------------------------------------------------------------------------


def test_truth_on_a_ramp_is_the_horizon_times_the_slope():
    candles = candles_of(np.exp(0.01 * np.arange(30)))
    forecast = forecast_of(candles, range(10, 20), 0.0, horizons=(1, 7))
    np.testing.assert_allclose(truth(forecast, candles), np.tile([0.01, 0.07], (10, 1)), rtol=1e-12)


def test_truth_is_nan_where_unknown_or_not_observed():
    candles = candles_of([1, 2, 4, 8, 16, 32], missing=[3])
    known = truth(forecast_of(candles, [0, 1, 2, 4, 5], 0.0, horizons=(1, 2, 9)), candles)
    two = math.log(2)
    expected = [[two, 2 * two], [two, math.nan], [math.nan, 2 * two], [two, math.nan], [math.nan, math.nan]]
    np.testing.assert_allclose(known[:, :2], expected)
    assert np.isnan(known[:, 2]).all()


def test_rows_are_found_by_time_not_by_position():
    closes = walk(40, seed=1)
    candles = candles_of(closes)
    forecast = forecast_of(candles, range(25, 35), np.linspace(-0.1, 0.1, K), horizons=(1, 3))
    later = candles.since(from_numpy(candles.time[20]))
    assert score(forecast, candles).equals(score(forecast, later))
    early = candles.until(from_numpy(candles.known_at[34]))
    assert score(forecast, early)["truth"].null_count() == 4
    backwards = forecast_of(candles, range(34, 24, -1), np.linspace(-0.1, 0.1, K), horizons=(1, 3))
    assert score(backwards, candles).sort("origin", "horizon").equals(score(forecast, candles))


def test_candles_of_another_market_are_refused():
    closes = [1.0, 2.0, 3.0]
    candles = candles_of(closes)
    forecast = forecast_of(candles, [1], 0.0)
    with pytest.raises(DataError, match="another market"):
        score(forecast, candles_of(closes, feed=HOURLY))
    with pytest.raises(DataError, match=r"started from 2\.0, where these candles closed at 2\.5"):
        score(forecast, candles_of([1.0, 2.5, 3.0]))
    with pytest.raises(DataError, match="where a forecast starts"):
        score(forecast, candles.until(from_numpy(candles.known_at[0])))
    with pytest.raises(DataError, match="where a forecast starts"):
        score(forecast, candles.since(from_numpy(candles.time[2])))


# --- one forecast --------------------------------------------------------------------------------------------------

# K mid-quantiles stand for a law with an error of their own: below a ten-thousandth of the CRPS for these three, a
# tenth of the smallest difference between models that anyone has measured.
CLOSED_FORMS = [
    (stats.norm(), 0.0, (math.sqrt(2) - 1) / math.sqrt(math.pi)),
    (stats.t(5.2, 13.8, 2.3), 11.1, 1.658226),
    (stats.t(4), 0.7, 0.4387929),
]


@pytest.mark.parametrize(("law", "move", "expected"), CLOSED_FORMS)
def test_crps_of_known_laws(law, move, expected):
    """Gneiting and Raftery (2007) for the normal; R's scoringRules for the Student-t."""
    assert scored_once(law.ppf(LEVELS), move)["crps"] == pytest.approx(expected, rel=1e-4)


def test_crps_of_a_ten_member_ensemble():
    """The example in scoringrules' own tests, which took it from R's scoringRules."""
    members = [1.7812118, 0.5863797, 0.7038174, -0.7743998, -0.2751647]
    members += [1.1863249, 1.2990966, -0.3242982, -0.5968781, 0.9064937]
    found = crps(np.array([[-0.6042506]]), np.sort(members)[None, None])
    assert found.item() == pytest.approx(0.6126602, abs=5e-8)


@given(value=RETURNS, move=RETURNS)
def test_crps_of_a_point_is_its_absolute_error(value, move):
    row = scored_once(value, move)
    assert row["crps"] == pytest.approx(abs(row["truth"] - value), abs=1e-14)
    assert [row[name] for name in ("pit", "hit50", "hit80", "hit95", "lo95", "hi95")] == [None] * 6


@given(values=LAWS, move=RETURNS)
def test_crps_is_twice_the_mean_pinball_at_the_middle_levels(values, move):
    row = scored_once(values, move)
    losses = [pinball(row["truth"], value, level) for value, level in zip(values, LEVELS, strict=True)]
    assert row["crps"] == pytest.approx(2 * math.fsum(losses) / K, abs=1e-14)


@given(values=LAWS, move=RETURNS)
def test_crps_is_the_integral_over_the_step_function(values, move):
    row = scored_once(values, move)
    edges = np.sort([*values, row["truth"]])
    steps = [(np.mean(values <= z) - (row["truth"] <= z)) ** 2 for z in edges[:-1]]
    assert row["crps"] == pytest.approx(float(np.dot(steps, np.diff(edges))), abs=1e-13)


def test_the_twin_of_pinball_agrees_with_scoringrules_examples():
    assert pinball(0.3, 0.5, 0.2) == pytest.approx(0.16)
    assert pinball(0.3, 0.1, 0.2) == pytest.approx(0.04)


@given(values=LAWS, move=RETURNS)
def test_pinball_and_bands_are_those_of_hazens_quantiles(values, move):
    row = scored_once(values, move)
    for level in PINBALL:
        value = np.quantile(values, level / 100, method="hazen")
        assert row[f"pinball{level:02d}"] == pytest.approx(pinball(row["truth"], value, level / 100), abs=1e-15)
    if values[0] < values[-1]:
        for band in (50, 80, 95):
            low, high = (np.quantile(values, 0.5 + side * band / 200, method="hazen") for side in (-1, 1))
            assert (row[f"lo{band}"], row[f"hi{band}"]) == (low, high)
            assert row[f"hit{band}"] == (low <= row["truth"] <= high)


@given(steps=st.lists(st.floats(1e-4, 0.01), min_size=K, max_size=K), move=st.floats(-0.5, 0.5))
def test_pit_is_the_inverse_of_the_quantile(steps, move):
    values = np.cumsum(steps) - np.sum(steps) / 2
    row = scored_once(values, move)
    assert row["pit"] == pytest.approx(np.interp(row["truth"], values, LEVELS), abs=1e-9)
    for band in (50, 80, 95):
        near = min(abs(row["pit"] - 0.5 + band / 200), abs(row["pit"] - 0.5 - band / 200)) < 1e-9
        assert near or row[f"hit{band}"] == (abs(row["pit"] - 0.5) <= band / 200)


def test_pit_of_a_truth_that_many_values_equal_is_the_middle_of_their_levels():
    values = np.sort(np.r_[np.full(99, -0.1), np.zeros(50), np.full(50, 0.1)])
    assert scored_once(values, 0.0)["pit"] == pytest.approx((99 + 149) / 2 / K)


def test_prices_are_as_traded():
    candles = candles_of([3.3, 7.7, 5.1])
    row = score(forecast_of(candles, [0], np.linspace(-1, 1, K), horizons=(2,)), candles).row(0, named=True)
    assert (row["price"], row["actual"], row["predicted"]) == (3.3, 5.1, 3.3)
    assert row["target_time"] == candles.end


def test_a_forecast_without_a_truth_keeps_its_row_and_has_no_score():
    candles = candles_of([1.0, 2.0])
    row = score(forecast_of(candles, [1], np.linspace(-1, 1, K)), candles).row(0, named=True)
    assert row["median"] == 0
    assert row["lo50"] == pytest.approx(-row["hi50"])
    unknown = ["truth", "crps", "pit", "actual", "hit50", "hit80", "hit95", *(f"pinball{q:02d}" for q in PINBALL)]
    assert [row[name] for name in unknown] == [None] * len(unknown)


# --- averages ------------------------------------------------------------------------------------------------------


def test_mase_of_sktimes_example():
    past = np.array([5, 0.5, 4, 6, 3, 5, 2])
    actual, predicted = np.array([3, -0.5, 2, 7, 2]), np.array([2.5, 0.0, 2, 8, 1.25])
    assert mase(actual, predicted, float(np.abs(np.diff(past)).mean())) == pytest.approx(0.18333333, abs=1e-8)


def test_point_metrics_by_hand():
    actual, predicted = np.array([100.0, 200.0]), np.array([110.0, 160.0])
    assert rmse(actual, predicted) == pytest.approx(math.sqrt(850))
    assert mae(actual, predicted) == 25
    assert mape(actual, predicted) == pytest.approx(0.15)
    assert smape(actual, predicted) == pytest.approx((20 / 210 + 80 / 360) / 2)
    assert r2(actual, predicted) == pytest.approx(1 - 1700 / 5000)
    assert r2(np.ones(2), predicted) is None
    assert mase(actual, predicted, None) is None


@given(st.lists(st.floats(1, 1e6), min_size=3, max_size=30).filter(lambda closes: len(set(closes)) > 1))
def test_naive_has_mase_one_in_sample(closes):
    candles = candles_of(closes)
    scores = score(forecast_of(candles, range(len(closes)), 0.0), candles)
    [summary] = summarise(scores, naive_scale(candles, candles.end), [])
    assert summary.mase == pytest.approx(1, rel=1e-9)
    assert summary.direction is None
    assert (dict(summary.coverage), summary.pit) == ({}, None)


def test_naive_scale_looks_at_observed_bars_known_by_then():
    candles = candles_of([1, 2, 4, 4, 8, 100], missing=[3])
    assert naive_scale(candles, from_numpy(candles.known_at[4])) == pytest.approx(1.5)
    assert naive_scale(candles, from_numpy(candles.known_at[0])) is None
    assert naive_scale(candles_of([5, 5, 5]), candles.end) is None


def table(closes, rows, spread, horizons=(1, 3), feed=DAILY):
    """Three models on the same origins, one below the other, and the candles they were scored by."""
    candles = candles_of(closes, feed=feed)
    law = stats.t.ppf(LEVELS, 4)
    made = {"naive": 0 * law, "wide": 2 * spread * law, "right": spread * law + spread / 100}
    forecasts = [forecast_of(candles, rows, law, horizons, name) for name, law in made.items()]
    return pl.concat(score(forecast, candles) for forecast in forecasts), candles


def test_every_average_is_that_of_a_loop():
    scores, candles = table(walk(400, seed=2), range(100, 400), 0.03)
    scale = naive_scale(candles, from_numpy(candles.known_at[100]))
    summaries = summarise(scores, scale, ["wide", "absent"])
    assert [(s.model, s.horizon) for s in summaries] == [(m, h) for m in ("naive", "wide", "right") for h in (1, 3)]
    for s in summaries:
        rows = [r for r in scores.iter_rows(named=True) if (r["model"], r["horizon"]) == (s.model, s.horizon)]
        rows = [r for r in rows if r["truth"] is not None]
        errors = [r["actual"] - r["predicted"] for r in rows]
        assert s.n == len(rows) == 300 - s.horizon
        assert s.rmse == pytest.approx(math.sqrt(sum(e * e for e in errors) / s.n))
        assert s.mase == pytest.approx(sum(map(abs, errors)) / s.n / scale)
        assert s.crps == pytest.approx(sum(r["crps"] for r in rows) / s.n)
        assert s.pinball[25] == pytest.approx(sum(r["pinball25"] for r in rows) / s.n)
        for band, held in s.coverage.items():
            assert held.share == pytest.approx(sum(r[f"hit{band}"] for r in rows) / s.n)
            assert held.low < held.share < held.high
    by_name = {(s.model, s.horizon): s for s in summaries}
    right, wide = by_name["right", 1], by_name["wide", 1]
    assert right.crps_skill == {"wide": pytest.approx(1 - right.crps / wide.crps)}
    assert wide.crps_skill == {}
    assert right.coverage[80].kupiec_p > 0.05 > wide.coverage[80].kupiec_p
    assert right.pit.p > 0.05 > wide.pit.p
    assert sum(right.pit.counts) == right.pit.n == right.n


def test_nothing_but_rmse_and_mae_changes_with_the_unit_of_the_price():
    closes = walk(200, seed=3)
    small, large = (
        summarise(scores, naive_scale(candles, candles.end), ["wide"])
        for scores, candles in (table(factor * closes, range(50, 180), 0.03) for factor in (1, 1000))
    )
    for one, other in zip(small, large, strict=True):
        expected = asdict(one) | {"rmse": 1000 * one.rmse, "mae": 1000 * one.mae}
        for name, value in asdict(other).items():
            if isinstance(value, float):
                assert value == pytest.approx(expected[name], rel=1e-9), name
        assert {b: c.share for b, c in one.coverage.items()} == {b: c.share for b, c in other.coverage.items()}


def test_skill_compares_only_origins_that_both_have():
    scores, _ = table(walk(60, seed=4), range(20, 50), 0.03, horizons=(1,))
    late = scores["origin"][10]
    partial = scores.filter((pl.col("model") != "wide") | (pl.col("origin") >= late))
    right = next(s for s in summarise(partial, 1.0, ["wide"]) if s.model == "right")
    means = {
        name: scores.filter(pl.col("model") == name, pl.col("origin") >= late)["crps"].mean()
        for name in ("right", "wide")
    }
    assert right.crps_skill["wide"] == pytest.approx(1 - means["right"] / means["wide"])


def test_a_model_without_a_single_truth_has_no_summary():
    candles = candles_of([1.0, 2.0, 3.0])
    assert summarise(score(forecast_of(candles, [2], 0.0), candles), 1.0, ["naive"]) == []


def test_a_price_that_never_moves_has_scores_and_no_ratio():
    scores, candles = table(np.full(40, 7.0), range(10, 30), 0.03)
    for s in summarise(scores, naive_scale(candles, candles.end), ["naive"]):
        assert (s.mase, s.r2, s.direction, dict(s.crps_skill)) == (None, None, None, {})
        assert s.crps >= 0


@settings(max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=8, max_size=60), st.integers(0, 7))
def test_hac_error_is_statsmodels(series, lags):
    values = np.array(series)
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    assert hac_error(values, lags) == pytest.approx(float(fit.bse[0]), rel=1e-6, abs=1e-9)


def test_hac_lags_and_the_error_of_too_few():
    assert [hac_lags(1000, 1), hac_lags(1000, 24), hac_lags(1001, 1)] == [10, 23, 11]
    assert hac_error(np.ones(1), 1) is None
    assert hac_error(np.ones(5), 2) == 0


# --- groups --------------------------------------------------------------------------------------------------------


def test_by_year_is_a_loop_over_the_years_of_the_origins():
    scores, _ = table(walk(900, seed=5), range(100, 900), 0.03)
    yearly = by_year(scores, "wide")
    for r in yearly.iter_rows(named=True):
        same = pl.col("horizon") == r["horizon"], pl.col("origin").dt.year() == r["year"], pl.col("truth").is_not_null()
        own, other = (scores.filter(pl.col("model") == name, *same) for name in (r["model"], "wide"))
        assert r["n"] == own.height
        assert r["rmse"] == pytest.approx(math.sqrt(((own["actual"] - own["predicted"]) ** 2).mean()))
        assert r["crps_skill"] == pytest.approx(1 - own["crps"].mean() / other["crps"].mean(), abs=1e-12)
        for band in BANDS:
            assert r[f"coverage{band}"] == own[f"hit{band}"].mean()
    assert sorted(set(yearly["year"])) == [2019, 2020, 2021]
    assert yearly["n"].sum() == 3 * (799 + 797)
    assert by_year(scores, "absent")["crps_skill"].null_count() == yearly.height


def test_regimes_are_cut_by_what_was_known_at_the_first_origin():
    calm = walk(300, seed=6, scale=0.01)
    wild = calm[-1] * walk(300, seed=7, scale=0.08) / 10_000
    scores, candles = table(np.r_[calm, wild], range(200, 590), 0.03, horizons=(1,))
    regimes = by_regime(scores, candles, "wide").filter(pl.col("model") == "right")
    counts = dict(regimes.select("regime", "n").iter_rows())
    assert set(counts) == {"low", "medium", "high"}
    assert sum(counts.values()) == 390
    # All of the wild half and a third or so of the calm one: its borders were not moved by what came later.
    assert counts["high"] > 280
    before = by_regime(scores.filter(pl.col("origin") < from_numpy(candles.known_at[290])), candles, "wide")
    quiet = candles.until(from_numpy(candles.known_at[291]))
    same = score(forecast_of(quiet, range(200, 290), 0.0, (1,), "naive"), quiet)
    counted = by_regime(same, quiet, "absent").select("regime", "n")
    assert counted.rows() == before.filter(pl.col("model") == "naive").select("regime", "n").rows()


def test_regimes_without_a_past_are_empty():
    scores, candles = table(walk(30, seed=8), range(2, 25), 0.03)
    assert by_regime(scores, candles, "wide").is_empty()
