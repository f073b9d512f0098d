"""The Diebold-Mariano test against published examples, the rules of the verdict, and what chance may claim."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from coincast.feed import Feed
from coincast.forecast import LEVELS
from coincast.hac import hac_error, hac_lags
from coincast.scores import naive_scale, score
from coincast.summaries import summarise
from coincast.verdict import Comparison, Verdict, diebold_mariano, holm, judge, verdict_sentence
from made import DAILY, HOURLY, candles_of, forecast_of, walk

# --- Diebold-Mariano -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("horizon", "lags", "statistic", "p"), [(1, 0, -2.4905, 0.05513), (2, 1, -1.9194, 0.113)])
def test_the_example_of_the_dieboldmariano_package(horizon, lags, statistic, p):
    """Checked there against R's forecast::dm.test; the second with Bartlett weights. Squared errors, two-sided p."""
    first, second = np.array([0, 1, 2, 3, 4, 5.0]) ** 2, np.array([0, 2, 3, 3, 5, 6.0]) ** 2
    test = diebold_mariano(first, second, horizon, lags)
    assert test.t == pytest.approx(statistic, abs=5e-5)
    assert 2 * test.p_better == pytest.approx(p, abs=5e-4)
    assert test.p_worse == pytest.approx(1 - test.p_better)


def test_its_one_sided_example():
    actual = np.array([10, 20, 30, 40, 50])
    first, second = np.array([11, 21, 29, 42, 53]), np.array([13, 26, 24, 40, 59])
    test = diebold_mariano((first - actual) ** 2.0, (second - actual) ** 2.0, horizon=1, lags=0)
    assert (test.t, test.p_better) == (pytest.approx(-2.2229923, abs=5e-8), pytest.approx(0.0451557, abs=5e-8))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(20, 200), st.integers(1, 7))
def test_t_is_the_mean_over_its_error_times_the_small_sample_factor(seed, n, horizon):
    loss, reference = np.random.default_rng(seed).exponential(size=(2, n))
    test = diebold_mariano(loss, reference, horizon)
    difference = loss - reference
    factor = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    error = hac_error(difference, hac_lags(n, horizon))
    assert test.t == pytest.approx(factor * difference.mean() / error)
    assert (test.low < 0 < test.high) == (2 * min(test.p_better, test.p_worse) > 0.05)
    assert test.low + test.high == pytest.approx(2 * difference.mean())
    mirror = diebold_mariano(reference, loss, horizon)
    assert (mirror.t, mirror.p_worse) == (pytest.approx(-test.t), pytest.approx(test.p_better))


def test_the_factor_for_a_hundred_and_three():
    """statsmodels' own example: sqrt((101 - 6 + 0.06) / 100)."""
    loss, reference = np.random.default_rng(0).normal(size=(2, 100))
    error = hac_error(loss - reference, 5)
    assert diebold_mariano(loss, reference, 3).t == pytest.approx(
        0.974987 * (loss - reference).mean() / error, rel=1e-6
    )


def test_unknown_losses_are_dropped_in_pairs():
    loss, reference = np.random.default_rng(1).exponential(size=(2, 60))
    gaps, other_gaps = loss.copy(), reference.copy()
    gaps[::7] = np.nan
    other_gaps[3::11] = np.nan
    kept = np.isfinite(gaps) & np.isfinite(other_gaps)
    assert diebold_mariano(gaps, other_gaps, 2) == diebold_mariano(loss[kept], reference[kept], 2)
    assert diebold_mariano(gaps, other_gaps, 2).n == kept.sum() < 60


def test_nothing_to_test_is_said_and_not_guessed():
    same = np.random.default_rng(2).exponential(size=300)
    assert diebold_mariano(same, same, 1) == Comparison(300, 0.0)
    assert diebold_mariano(same + 0.5, same, 1).t is None
    assert diebold_mariano(np.ones(300), np.full(300, 2.0), 1) == Comparison(300, -1.0)
    assert diebold_mariano(np.ones(0), np.ones(0), 1) == Comparison(0, None)
    for n in range(1, 12):
        few = diebold_mariano(np.arange(float(n)), np.zeros(n), horizon=7)
        assert few.n == n
        assert few.t is None or n > 8


def test_holm_by_hand():
    assert holm([0.01, 0.04, None, 0.03]) == [pytest.approx(0.03), pytest.approx(0.06), None, pytest.approx(0.06)]
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([None]) == [None]
    assert holm([]) == []


@settings(max_examples=10)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def garch_like(rng, n):
    """Mean zero, heavy tails, clustered variance: what differences of CRPS look like under the null."""
    out, variance, shocks = np.empty(n), 1.0, rng.standard_t(5, n) * math.sqrt(3 / 5)
    for row, shock in enumerate(shocks):
        out[row] = math.sqrt(variance) * shock
        variance = 0.05 + 0.1 * out[row] ** 2 + 0.85 * variance
    return out


def test_equal_forecasters_differ_one_time_in_twenty_at_most():
    rng = np.random.default_rng(10)
    worlds = 300
    better = worse = 0
    for _ in range(worlds):
        test = diebold_mariano(garch_like(rng, 600), np.zeros(600), horizon=1)
        better += test.p_better < 0.05
        worse += test.p_worse < 0.05
    allowed = 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds)
    assert better / worlds <= allowed
    assert worse / worlds <= allowed


# --- the rules -----------------------------------------------------------------------------------------------------


def scores_of(days, start=datetime(2020, 1, 1, tzinfo=UTC), horizon=1, **losses):
    """A scored table that holds just what a verdict looks at: each model's CRPS, day by day."""
    origins = [start + timedelta(days=day) for day in range(days)]
    targets = [origin + timedelta(days=horizon) for origin in origins]
    return pl.concat(
        pl.DataFrame(
            {
                "model": name.replace("_", "-"),
                "origin": pl.Series(origins, dtype=pl.Datetime("us", "UTC")),
                "target_time": pl.Series(targets, dtype=pl.Datetime("us", "UTC")),
                "horizon": pl.Series([horizon] * days, dtype=pl.Int32),
                "truth": 0.0,
                "crps": np.broadcast_to(np.asarray(loss, dtype=float), days),
            }
        )
        for name, loss in losses.items()
    )


def noise(days, seed=0):
    return 0.02 + 0.005 * np.random.default_rng(seed).random(days)


def words(scores, **kwargs):
    return {verdict.model: verdict.word for verdict in judge(scores, **kwargs)}


def test_better_worse_and_no_better():
    base = noise(1461)
    wobble = 0.001 * np.random.default_rng(1).normal(size=1461)
    table = scores_of(1461, garch_t=base, lstm=base - 0.0002 + wobble, bad=base + 0.0002 + wobble, tie=base + wobble)
    verdicts = {verdict.model: verdict for verdict in judge(table)}
    assert [verdicts[name].word for name in ("lstm", "bad", "tie")] == ["better", "worse", "no better"]
    assert verdicts["lstm"].reference == "garch-t"
    assert verdicts["lstm"].skill == pytest.approx(1 - (base - 0.0002 + wobble).sum() / base.sum())
    assert [period.label for period in verdicts["lstm"].periods] == ["2020", "2021", "2022", "2023"]
    assert [period.n for period in verdicts["lstm"].periods] == [366, 365, 365, 365]
    assert verdicts["lstm"].p_better >= verdicts["lstm"].comparison.p_better
    assert verdicts["garch-t"].word is None
    assert "no reference" in verdicts["garch-t"].reason


def test_garch_is_judged_against_naive_conformal_and_all_are_if_it_is_absent():
    base = noise(400)
    wobble = 0.0005 * np.random.default_rng(2).normal(size=400)
    table = scores_of(400, garch_t=base - 0.0003 + wobble, naive_conformal=base, lstm=base - 0.0003 - wobble)
    assert {v.model: v.reference for v in judge(table)} == {
        "garch-t": "naive-conformal",
        "naive-conformal": "garch-t",
        "lstm": "garch-t",
    }
    assert words(table)["garch-t"] == "better"
    rest = table.filter(pl.col("model") != "garch-t")
    assert {v.model: v.reference for v in judge(rest)} == {"naive-conformal": None, "lstm": "naive-conformal"}
    alone = table.filter(pl.col("model") == "lstm")
    assert words(alone) == {"lstm": None}
    assert words(alone, references=("lstm",)) == {"lstm": None}


def test_under_250_shared_origins_nothing_else_is_said():
    base = noise(300)
    clear = base - 0.001 - 0.001 * np.random.default_rng(3).random(300)
    for days, word in ((249, "too short to tell"), (250, "better")):
        assert words(scores_of(days, garch_t=base[:days], lstm=clear[:days]))["lstm"] == word
    table = scores_of(300, garch_t=base, lstm=clear)
    unknown = (pl.col("model") == "garch-t") & (pl.col("origin") >= datetime(2020, 8, 1, tzinfo=UTC))
    gaps = table.with_columns(pl.when(~unknown).then("crps").alias("crps"))
    verdict = next(v for v in judge(gaps) if v.model == "lstm")
    assert (verdict.word, verdict.comparison.n) == ("too short to tell", 213)


def test_identical_forecasts_are_no_better():
    base = noise(400)
    verdict = next(v for v in judge(scores_of(400, garch_t=base, twin=base)) if v.model == "twin")
    assert (verdict.word, verdict.comparison.t, verdict.skill) == ("no better", None, 0)


def test_one_lucky_year_is_not_enough():
    base = noise(1096)
    gain = np.where(np.arange(1096) < 366, 0.002, -0.00005) + 0.0005 * np.random.default_rng(4).normal(size=1096)
    verdict = next(v for v in judge(scores_of(1096, garch_t=base, lstm=base - gain)) if v.model == "lstm")
    assert verdict.p_better < 0.001
    assert (verdict.word, verdict.wins, len(verdict.periods)) == ("no better", 1, 3)
    assert "only 1 of 3 periods" in verdict.reason


def test_two_of_three_years_are_enough():
    base = noise(1096)
    gain = np.where(np.arange(1096) < 731, 0.002, -0.00005) + 0.0005 * np.random.default_rng(5).normal(size=1096)
    assert words(scores_of(1096, garch_t=base, lstm=base - gain))["lstm"] == "better"


def test_half_years_where_there_are_fewer_than_three_years():
    base = noise(640)
    start = datetime(2020, 1, 20, tzinfo=UTC)
    table = scores_of(640, start=start, garch_t=base, lstm=base - 0.001 * np.random.default_rng(6).random(640))
    verdict = next(v for v in judge(table) if v.model == "lstm")
    labels = ["2020 first half", "2020 second half", "2021 first half", "2021 second half"]
    assert [period.label for period in verdict.periods] == labels
    # From 20 January: 163 days of the first half; the fourth has 640 - 163 - 184 - 181.
    assert [period.n for period in verdict.periods] == [163, 184, 181, 112]
    short = judge(table.filter(pl.col("origin") < datetime(2021, 9, 20, tzinfo=UTC)))
    assert len(next(v for v in short if v.model == "lstm").periods) == 3


def test_holm_counts_every_model_and_horizon_of_the_table():
    base = noise(800)
    rng = np.random.default_rng(7)
    losses = {f"m{i}": base + 0.001 * rng.normal(size=800) for i in range(8)}
    edge = 0.001 * rng.normal(size=800)
    edge += -edge.mean() - 2.3 * edge.std() / math.sqrt(800)
    one = scores_of(800, garch_t=base, lstm=base + edge)
    alone = next(v for v in judge(one) if v.model == "lstm")
    crowd = next(
        v
        for v in judge(pl.concat([one, scores_of(800, **losses), scores_of(800, horizon=7, **losses)]))
        if v.model == "lstm"
    )
    assert alone.comparison == crowd.comparison
    assert alone.p_better < 0.05 < crowd.p_better
    assert crowd.word == "no better"


def test_chance_is_called_better_one_time_in_twenty_at_most():
    """One model at horizons 1 and 7. Seven-day sums are the hardest case for Bartlett weights: there the test alone
    rejects in 7 to 8 % of such worlds, which Holm and the periods make up for.
    """
    rng = np.random.default_rng(17)
    worlds, better, worse = 120, 0, 0
    for _ in range(worlds):
        daily = 0.001 * garch_like(rng, 606)
        weekly = np.convolve(daily, np.ones(7), mode="valid")
        tables = [
            scores_of(len(gain), horizon=h, garch_t=0.02 + 0 * gain, model=0.02 + gain)
            for h, gain in ((1, daily), (7, weekly))
        ]
        said = {v.word for v in judge(pl.concat(tables))}
        better += "better" in said
        worse += "worse" in said
    allowed = 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds)
    assert better / worlds <= allowed
    assert worse / worlds <= allowed


def test_models_that_know_nothing_are_rarely_called_better():
    """Tables of four noisy copies of the reference: any `better` among them in at most 5 % + 2 s.e."""
    rng = np.random.default_rng(8)
    worlds, claims = 60, 0
    for _ in range(worlds):
        base = 0.02 + 0.01 * rng.random(500)
        copies = {f"copy{i}": base + 0.001 * rng.standard_t(5, 500) for i in range(4)}
        claims += "better" in words(scores_of(500, garch_t=base, **copies)).values()
    assert claims / worlds <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds)


# --- the sentences -------------------------------------------------------------------------------------------------


def run_of(bars=700, seed=1):
    """Four models on one random walk: the spread known, too wide, no band, and a price echo from three bars ago."""
    closes = walk(bars, seed)
    candles = candles_of(closes)
    rows = np.arange(100, bars)
    law = 0.03 * stats.t.ppf(LEVELS, 4)
    stale = np.log(closes[rows - 3] / closes[rows])[:, None, None]
    laws = {"lstm-t": law, "garch-t": 2 * law, "naive": 0 * law, "seed-lstm": stale + 0.5 * law}
    scores = pl.concat(score(forecast_of(candles, rows, v, (1, 7), name), candles) for name, v in laws.items())
    return scores, summarise(scores, naive_scale(candles, candles.end), ["garch-t"])


def test_the_sentences_of_a_run():
    scores, summaries = run_of()
    verdicts = {(v.model, v.horizon): v for v in judge(scores)}
    said = verdict_sentence(verdicts["lstm-t", 1], summaries, DAILY)
    skill = f"{100 * verdicts['lstm-t', 1].skill:.2f}"
    by_name = {(s.model, s.horizon): s for s in summaries}
    ratio = by_name["seed-lstm", 1].rmse / by_name["naive", 1].rmse
    assert said == (
        "On 599 days of BTC/USDT, lstm-t forecast the spread of tomorrow's price better than garch-t"
        f" (CRPS {skill} % lower, p < 0.001, so in 3 of 3 half-years)."
        " It does not say whether the price will rise or fall."
        f' The price LSTM (seed-lstm) lost to "tomorrow = today": its RMSE was {ratio:.2f} times as large.'
    )
    week = verdict_sentence(verdicts["seed-lstm", 7], summaries, DAILY)
    assert week.startswith("On 593 days of BTC/USDT, seed-lstm forecast the spread of the price in 7 days ")
    assert "It did not forecast the direction (" in week
    assert 'lost to "no change"' in week


ALLOWED = {"better", "no better", "worse", "too short to tell"}


def test_only_the_allowed_words_and_never_advice():
    scores, summaries = run_of()
    for verdict in judge(scores):
        assert verdict.word in ALLOWED | {None}
        said = verdict_sentence(verdict, summaries, DAILY)
        assert not re.search(r"\b(buy|sell|should|recommend|invest|profit|sure|guarantee|best)\b", said), said


def test_short_no_reference_and_other_intervals():
    short = Verdict("lstm-t", 1, "too short to tell", "", "garch-t", comparison=Comparison(124, 0.0))
    said = verdict_sentence(short, [], HOURLY)
    assert said == (
        "124 hours of BTC/USDT are too short to tell whether lstm-t forecasts the spread of the next hour's price well."
    )
    nothing = Verdict("lstm-t", 1, None, "it has no reference among the models")
    assert (
        verdict_sentence(nothing, [], HOURLY) == "Nothing can be said of lstm-t: it has no reference among the models."
    )
    four = Feed.parse("binance:ETH/USDT:4h")
    assert "the price in 6 bars of 4h well" in verdict_sentence(replace(short, horizon=6), [], four)
    assert "the price after the next 4h well" in verdict_sentence(short, [], four)


def test_a_price_model_that_ties_or_wins():
    _, summaries = run_of()
    verdict = Verdict("naive", 1, None, "it has no reference among the models")
    naive = next(s for s in summaries if (s.model, s.horizon) == ("naive", 1))

    def said(factor, base=naive):
        price = replace(base, model="seed-lstm", rmse=factor * base.rmse)
        return verdict_sentence(verdict, [base, price], DAILY)

    assert 'was as far off as "tomorrow = today"' in said(1.01)
    assert "0.80 times the RMSE of" in said(0.8)
    assert "look for a leak first" in said(0.8)
    assert "The price never moved" in said(1, replace(naive, rmse=0.0))
