"""Anyone's forecasts beside the references: against other libraries, by hand, and beside our own scores."""

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.appraisal import appraise, bands
from coincast.backtest import backtest
from coincast.coverage import coverage
from coincast.errors import DataError
from coincast.feed import from_numpy
from coincast.forecast import LEVELS, K
from coincast.forecast import to_frame as long_frame
from coincast.hac import overlap
from coincast.predictions import Predictions, of_forecast, predictions, to_frame
from coincast.recipe import recipes
from coincast.sample import load
from coincast.scores import score
from coincast.verdict import diebold_mariano
from coincast.worlds import Law, draw
from made import DAILY, HOURLY, START, candles_of, walk

with warnings.catch_warnings():
    # Its docstrings hold LaTeX with single backslashes, which Python warns of when it first compiles them.
    warnings.simplefilter("ignore")
    from utilsforecast import losses

DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def candles():
    return load("btc-1d").candles


@pytest.fixture(scope="module")
def own(candles):
    """Our own forecasts of garch-t, one and three days ahead, from every day of the second half of 2020 on."""
    [recipe] = recipes(["garch-t"], {"horizons": (1, 3)})
    [walked] = backtest([recipe], candles, datetime(2020, 7, 1, tzinfo=UTC))
    return walked.forecast


def stated(candles, rows, prices, horizons=(1,), levels=(0.5,), model="theirs"):
    """Forecasts from the closes of these rows; `prices` are broadcast to (row, horizon, level)."""
    rows, ahead = np.asarray(rows)[:, None], np.asarray(horizons)
    shape = (rows.size, ahead.size, len(levels))
    full = np.broadcast_to(np.asarray(prices, dtype=float), shape)
    step = candles.feed.interval.step
    origin = np.broadcast_to(candles.known_at[rows], shape[:2])
    return Predictions(
        feed=candles.feed,
        model=model,
        levels=tuple(levels),
        origin=origin.ravel(),
        target_time=(origin + ahead * step).ravel(),
        prices=full.reshape(-1, len(levels)).copy(),
    )


def noisy(candles, rows, seed, horizons=(1,), levels=(0.1, 0.5, 0.9), model="theirs"):
    """Forecasts around the last close, wrong at random."""
    rng = np.random.default_rng(seed)
    centre = candles.close[np.asarray(rows)][:, None, None]
    spread = np.linspace(-0.04, 0.04, len(levels)) if len(levels) > 1 else 0.0
    return stated(
        candles, rows, centre * np.exp(spread + 0.01 * rng.normal(size=centre.shape)), horizons, levels, model
    )


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_at_all_levels_the_loss_is_our_crps(candles, own):
    """The forecasts of a run, written to a frame and judged as anyone's, have the scores the run gave them."""
    theirs, _ = predictions(long_frame(own), candles.feed)
    ours = score(own, candles)
    judged = appraise(theirs, candles, references=()).scores
    for name in ("crps", "median"):
        np.testing.assert_allclose(judged[name].to_numpy(), ours[name].to_numpy(), rtol=1e-9, atol=1e-14)
    for name in ("origin", "target_time", "horizon", "price", "truth", "actual"):
        assert judged[name].equals(ours[name]), name
    np.testing.assert_allclose(judged["predicted"], ours["predicted"], rtol=1e-12)


def test_a_point_s_loss_is_its_absolute_error():
    candles = candles_of([100, 110, 99, 105])
    judged = appraise([stated(candles, [0, 1, 2], np.array([[[121.0]], [[99.0]], [[90.0]]]))], candles).scores
    np.testing.assert_allclose(
        judged.filter(pl.col("model") == "theirs")["crps"],
        [np.log(121 / 110), 0.0, np.log(105 / 90)],
        atol=1e-15,
    )


def test_a_loss_by_hand():
    """The price goes from 100 to 110; 90, 100 and 120 were forecast at 10, 50 and 90 %."""
    candles = candles_of([100, 110])
    theirs = stated(candles, [0], [90.0, 100.0, 120.0], levels=(0.1, 0.5, 0.9))
    [row] = appraise([theirs], candles, references=()).scores.to_dicts()
    expected = 2 / 3 * (0.1 * np.log(11 / 9) + 0.5 * np.log(11 / 10) + 0.1 * np.log(12 / 11))
    assert row["crps"] == pytest.approx(expected, rel=1e-12)
    assert (row["price"], row["actual"], row["predicted"], row["hit80"]) == (100, 110, 100, True)
    assert row["truth"] == pytest.approx(np.log(1.1))
    assert row["median"] == pytest.approx(0, abs=1e-15)


@given(st.integers(0, 2**32 - 1), st.sets(st.integers(1, 49), min_size=1, max_size=8))
@settings(max_examples=25)
def test_the_loss_is_that_of_other_libraries(seed, picked):
    levels = tuple(sorted({k / 100 for k in picked} | {1 - k / 100 for k in picked} | {0.5}))
    candles = candles_of(walk(40, seed=seed % 1000))
    rng = np.random.default_rng(seed)
    prices = np.sort(candles.close[:30, None, None] * np.exp(0.05 * rng.normal(size=(30, 1, len(levels)))), axis=-1)
    theirs = stated(candles, range(30), prices, levels=levels)
    done = appraise([theirs], candles, references=("naive",))
    [standing] = [s for s in done.standings if s.model == "theirs"]
    names = [f"at{level}" for level in levels]
    returns = np.log(theirs.prices / candles.close[:30, None])
    truth = np.log(candles.close[1:31] / candles.close[:30])
    wide = pl.DataFrame({"unique_id": ["x"] * 30, "y": truth, **dict(zip(names, returns.T, strict=True))})
    mql = losses.mqloss(wide, {"theirs": names}, np.array(levels))["theirs"][0]
    assert standing.crps == pytest.approx(2 * mql, rel=1e-9)
    pinball = [scoringrules.quantile_score(truth, returns[:, k], level).mean() for k, level in enumerate(levels)]
    assert standing.crps == pytest.approx(2 * np.mean(pinball), rel=1e-9)


def test_errors_and_coverage_are_those_of_utilsforecast(candles):
    theirs = noisy(candles, range(900, 1200), seed=1, levels=(0.05, 0.1, 0.5, 0.9, 0.95))
    frame = to_frame(replace(theirs, stated=candles.close[901:1201])).drop("cutoff")
    standing = appraise([theirs], candles).standing("theirs", 1)
    for name in ("rmse", "mae", "mape"):
        peer = getattr(losses, name)(frame, models=["theirs"])["theirs"][0]
        assert getattr(standing, name) == pytest.approx(peer, rel=1e-12), name
    assert list(standing.coverage) == [80, 90]
    for band, held in standing.coverage.items():
        assert held.share == pytest.approx(losses.coverage(frame, ["theirs"], band)["theirs"][0]), band
    train = pl.DataFrame({"unique_id": [str(DAILY)] * 901, "y": candles.close[:901]})
    scaled = losses.mase(frame, ["theirs"], seasonality=1, train_df=train)["theirs"][0]
    assert standing.mase == pytest.approx(scaled, rel=1e-12)
    unchanged = losses.rmse(frame.with_columns(pl.Series("theirs", candles.close[900:1200])), ["theirs"])["theirs"][0]
    assert standing.rmse_ratio == pytest.approx(standing.rmse / unchanged, rel=1e-12)


# --- the references ---------------------------------------------------------------------------------------------------


def test_references_are_those_of_a_backtest_at_the_same_levels(candles):
    """The walk over all origins, reduced and judged one by one, is the slow twin."""
    levels, start = (0.05, 0.5, 0.95), datetime(2020, 6, 1, tzinfo=UTC)
    first = int(np.searchsorted(candles.known_at, np.datetime64("2020-06-01")))
    theirs = noisy(candles, range(first, len(candles)), seed=2, horizons=(1, 3), levels=levels)
    done = appraise([theirs], candles)
    whole = backtest(recipes(["naive", "garch-t"], {"horizons": (1, 3), "refit_every": 90}), candles, start)
    for walked, name in zip(whole, ("naive", "garch-t"), strict=True):
        rows = done.scores.filter(pl.col("model") == name).sort("horizon", "origin").drop_nulls("truth")
        forecast = walked.forecast
        expected = score(forecast, candles).sort("horizon", "origin")
        known = expected["truth"].is_not_null()
        assert rows["origin"].equals(expected.filter(known)["origin"])
        returns = np.stack([forecast.quantile(level) for level in levels], axis=-1)
        order = np.moveaxis(returns, 1, 0).reshape(-1, 3)[known.to_numpy()]
        truth = expected.filter(known)["truth"].to_numpy()
        by_hand = np.mean([scoringrules.quantile_score(truth, order[:, k], q) for k, q in enumerate(levels)], axis=0)
        np.testing.assert_allclose(rows["crps"], 2 * by_hand, rtol=1e-9, atol=1e-14)


def test_origins_far_apart_get_the_forecasts_that_a_walk_over_all_gives_them(candles):
    every, weekly = range(700, 1200), range(700, 1200, 7)
    all_of_them = appraise([noisy(candles, every, seed=3)], candles).scores
    some = appraise([noisy(candles, weekly, seed=3)], candles).scores
    for name in ("naive", "garch-t"):
        sparse = some.filter(pl.col("model") == name)
        assert len(sparse) == len(weekly)
        dense = all_of_them.filter(pl.col("model") == name).join(sparse, on=["origin", "horizon"], how="semi")
        assert dense.select("origin", "crps", "median").equals(sparse.select("origin", "crps", "median"))


def test_no_future_reaches_a_score(candles):
    """The bars after the last target may be anything."""
    theirs = noisy(candles, range(900, 1000), seed=4)
    short = candles.until(from_numpy(theirs.target_time.max()))
    assert appraise([theirs], candles).scores.equals(appraise([theirs], short).scores)


def test_refits_may_be_done_in_any_order(candles):
    def backwards(work, tasks, monitor):
        for number in reversed(range(len(tasks))):
            yield number, work(tasks[number], lambda *_: None)

    theirs = noisy(candles, range(700, 1100), seed=5)
    told = []
    there = appraise([theirs], candles, do=backwards, monitor=lambda *said: told.append(said))
    assert there.scores.equals(appraise([theirs], candles).scores)
    assert {said[3] for said in told} == {"naive", "garch-t"}


def test_points_are_compared_with_no_change_and_distributions_with_garch_t(candles):
    rows = range(900, 1200)
    done = appraise(
        [noisy(candles, rows, 6, levels=(0.5,), model="point"), noisy(candles, rows, 7, model="spread")], candles
    )
    assert {v.model: v.reference for v in done.verdicts} == {"point": "naive", "spread": "garch-t"}
    assert done.beside == {"point": {"naive": "naive"}, "spread": {"naive": "naive", "garch-t": "garch-t"}}
    assert done.scores["model"].unique(maintain_order=True).to_list() == ["point", "spread", "naive", "garch-t"]
    alone = appraise([noisy(candles, rows, 6, levels=(0.5,), model="point")], candles)
    assert alone.scores["model"].unique(maintain_order=True).to_list() == ["point", "naive"]


def test_a_verdict_is_the_test_of_the_two_losses(candles):
    rows = range(900, 1200)
    both = [noisy(candles, rows, 8, model="a"), noisy(candles, rows, 9, model="b")]
    done = appraise(both, candles)
    loss = {name: part["crps"].to_numpy() for (name,), part in done.scores.partition_by("model", as_dict=True).items()}
    p_values = []
    for verdict in done.verdicts:
        expected = diebold_mariano(loss[verdict.model], loss["garch-t"], 1)
        assert verdict.comparison == expected
        p_values.append(expected.p_worse)
        skill = done.standing(verdict.model, 1).crps_skill
        assert skill["garch-t"] == pytest.approx(1 - loss[verdict.model].mean() / loss["garch-t"].mean())
        assert skill["naive"] == pytest.approx(1 - loss[verdict.model].mean() / loss["naive"].mean())
    # Holm over the two models, and over nothing else: the references are not on trial.
    assert min(v.p_worse for v in done.verdicts) == pytest.approx(min(1, 2 * min(p_values)))


@pytest.mark.parametrize(("every", "waiting"), [(1, 7), (7, 1)])
def test_a_verdict_allows_for_targets_that_overlap_and_for_no_others(candles, every, waiting):
    done = appraise([noisy(candles, range(300, 1230, every), 26, horizons=(7,))], candles)
    loss = {name: part["crps"].to_numpy() for (name,), part in done.scores.partition_by("model", as_dict=True).items()}
    assert done.verdicts[0].comparison == diebold_mariano(loss["theirs"], loss["garch-t"], waiting)


def test_levels_of_two_kinds_stand_beside_references_of_their_own(candles):
    rows = range(900, 1000)
    narrow, wide = (0.25, 0.5, 0.75), (0.05, 0.25, 0.5, 0.75, 0.95)
    models = [noisy(candles, rows, 10, levels=narrow, model="a"), noisy(candles, rows, 11, levels=wide, model="b")]
    both = appraise(models, candles)
    assert both.beside["a"] == {"naive": "naive", "garch-t": "garch-t beside a"}
    assert both.beside["b"] == {"naive": "naive", "garch-t": "garch-t beside b"}
    for one in models:
        alone = appraise([one], candles)
        beside = both.scores.filter(pl.col("model") == f"garch-t beside {one.model}")
        assert beside["crps"].equals(alone.scores.filter(pl.col("model") == "garch-t")["crps"])
        assert both.standing(one.model, 1).crps_skill == alone.standing(one.model, 1).crps_skill


def test_at_levels_that_do_not_mirror_each_other_no_change_is_judged_at_those_levels():
    candles = candles_of(walk(30, seed=12))
    levels = (0.1, 0.5)
    theirs = stated(candles, range(5, 20), candles.close[5:20, None, None], levels=levels)
    done = appraise([theirs], candles, references=("naive",))
    losses_of = {name: part["crps"] for (name,), part in done.scores.partition_by("model", as_dict=True).items()}
    np.testing.assert_allclose(losses_of["naive"], losses_of["theirs"])


def test_a_model_called_like_a_reference_stands_apart(candles):
    done = appraise([noisy(candles, range(900, 960), 13, model="garch-t")], candles)
    assert [p.model for p in done.predictions] == ["garch-t (theirs)"]
    assert set(done.scores["model"]) == {"garch-t (theirs)", "naive", "garch-t"}
    assert "it stands as garch-t (theirs)" in done.notes[0]


def test_references_start_where_they_have_a_past(candles):
    done = appraise([noisy(candles, range(200, 300), 14)], candles)
    late = done.scores.filter(pl.col("model") == "garch-t")
    # A return needs two bars, garch-t 250 returns, and one of them must have been a label.
    assert late["origin"].min() == from_numpy(candles.known_at[251])
    assert done.verdicts[0].comparison.n == 300 - 251
    assert any("garch-t has too little past before 2018-04-26" in note for note in done.notes)


def test_without_a_past_garch_t_is_left_out_and_naive_takes_its_place(candles):
    done = appraise([noisy(candles, range(100, 200), 15)], candles.until(from_numpy(candles.known_at[210])))
    assert set(done.scores["model"]) == {"theirs", "naive"}
    assert done.verdicts[0].reference == "naive"
    assert any("garch-t is left out" in note for note in done.notes)


# --- what is not judged -----------------------------------------------------------------------------------------------


def test_what_cannot_be_judged_is_null_and_counted():
    closes = walk(30, seed=16)
    candles = candles_of(closes, missing=[12])
    origins = np.array([5, 9, 11, 12, 28, 29, 20, 21, -3])
    aheads = np.array([1, 0, 1, 1, 2, 1, -2, 1, 1])
    start = candles.known_at[0]
    theirs = Predictions(
        feed=DAILY,
        model="theirs",
        levels=(0.1, 0.5, 0.9),
        origin=start + origins * DAY,
        target_time=start + (origins + aheads) * DAY,
        prices=np.array([[9e3, 1e4, 2e4]] * 7 + [[-1.0, 1e4, 2e4], [9e3, 1e4, 2e4]]),
    )
    done = appraise([theirs], candles, references=("naive",))
    rows = done.scores.filter(pl.col("model") == "theirs")
    assert rows["crps"].is_not_null().to_list() == [True] + [False] * 8
    assert rows["truth"].is_not_null().to_list() == [True, *[False] * 6, True, False]
    assert [note for note in done.notes if note.startswith("theirs")] == [
        "theirs: 2 of 9 forecasts were made when their target had closed; they are not scored.",
        "theirs: 2 of 9 forecasts start where the candles have no observed bar; they are not scored.",
        "theirs: 2 of 9 forecasts await their truth; they are not scored.",
        "theirs: 1 of 9 forecasts are about a bar that was not observed; they are not scored.",
        "theirs: 1 of 9 forecasts state a price that is not positive and has no log-return; they are not scored.",
    ]
    assert done.standing("theirs", 1).n == 2
    assert {v.horizon for v in done.verdicts} == {1}


def test_crossing_quantiles_are_judged_as_they_were_stated():
    candles = candles_of([100, 110, 110])
    straight = stated(candles, [0, 1], [100.0, 105.0, 115.0], levels=(0.1, 0.5, 0.9))
    crossed = stated(candles, [0, 1], [115.0, 105.0, 100.0], levels=(0.1, 0.5, 0.9), model="crossed")
    done = appraise([straight, crossed], candles, references=())
    losses_of = {name: part["crps"][0] for (name,), part in done.scores.partition_by("model", as_dict=True).items()}
    by_hand = 0.9 * np.log(115 / 110) + 0.5 * np.log(110 / 105) + 0.9 * np.log(110 / 100)
    assert losses_of["crossed"] == pytest.approx(2 / 3 * by_hand)
    assert losses_of["crossed"] > losses_of["theirs"]
    assert done.scores["hit80"].to_list() == [True, True, False, False]
    assert "crossed: in 2 of 2 forecasts quantiles cross" in done.notes[0]


def test_one_price_repeated_is_no_band():
    candles = candles_of(walk(10, seed=17))
    theirs = stated(candles, [3, 4], np.array([[[1e4] * 3], [[9e3, 1e4, 2e4]]]), levels=(0.1, 0.5, 0.9))
    done = appraise([theirs], candles, references=())
    assert done.scores["hit80"].is_null().to_list() == [True, False]
    assert done.standing("theirs", 1).coverage[80].n == 1


@pytest.mark.parametrize("prices", [0.0, 0.01, -0.02, 1e300, 1e-300])
def test_what_is_no_price_is_scored_without_a_word_too_much(prices):
    """Returns handed over as prices are for the audit to name; here nothing breaks."""
    candles = candles_of(walk(400, seed=18))
    theirs = stated(candles, range(300, 399), candles.close[300:399, None, None], model="sound")
    odd = stated(candles, range(300, 399), prices, model="odd")
    done = appraise([theirs, odd], candles)
    document = json.dumps(done.document(), allow_nan=False)
    assert done.standing("odd", 1).rmse_ratio > 20
    assert (done.standing("odd", 1).crps is None) == (prices <= 0)
    assert "odd" in document
    if prices <= 0:
        assert any("99 of 99 forecasts state a price that is not positive" in note for note in done.notes)
        with pytest.raises(DataError, match="No forecast of 99 can be scored"):
            appraise([odd], candles)


def test_forecasts_that_meet_no_candle_are_refused_with_the_reason():
    candles = candles_of(walk(20, seed=19))
    late = stated(candles, range(5), 1e4)
    late = replace(late, origin=late.origin + 1000 * DAY, target_time=late.target_time + 1000 * DAY)
    with pytest.raises(DataError, match="5 of 5 forecasts start after the last bar") as error:
        appraise([late], candles)
    assert "2021-09-29" in error.value.why


def test_truths_that_are_not_the_closes_are_told_and_not_used():
    candles = candles_of(walk(300, seed=21))
    theirs = stated(candles, range(200, 298), candles.close[200:298, None, None])
    right, late = (replace(theirs, stated=candles.close[rows]) for rows in (slice(201, 299), slice(202, 300)))
    assert not [note for note in appraise([right], candles).notes if "truths" in note]
    done = appraise([late], candles)
    [note] = [note for note in done.notes if "truths" in note]
    assert "96 of 98 truths that the frame states are not the close" in note
    assert done.standing("theirs", 1) == appraise([right], candles).standing("theirs", 1)


def test_what_cannot_be_compared_is_refused():
    candles = candles_of(walk(20, seed=20))
    theirs = stated(candles, range(5), 1e4)
    with pytest.raises(DataError, match="theirs, theirs"):
        appraise([theirs, theirs], candles)
    with pytest.raises(DataError, match="none"):
        appraise([], candles)
    with pytest.raises(DataError, match="binance:BTC/USDT:1h"):
        appraise([theirs], candles_of(walk(20, seed=20), feed=HOURLY))


# --- averages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "horizon"), [(1, 1), (1, 7), (7, 7), (10, 7), (3, 7), (2, 24)])
def test_forecasts_overlap_as_often_as_they_wait_together(every, horizon):
    origins = [START + timedelta(days=every * k) for k in range(40)]
    targets = [origin + timedelta(days=horizon) for origin in origins]
    waiting = max(
        sum(origin <= now < target for origin, target in zip(origins, targets, strict=True)) for now in origins
    )
    rows = pl.DataFrame({"origin": origins, "target_time": targets})
    assert overlap(rows) == waiting == -(-horizon // every)


def test_forecasts_that_do_not_overlap_all_count(candles):
    """Every seventh day, seven days ahead: each is news."""
    rows = range(300, 1230, 7)
    theirs = noisy(candles, rows, 21, horizons=(7,))
    held = appraise([theirs], candles, references=()).standing("theirs", 7).coverage[80]
    low, actual, high = theirs.prices[:, 0], candles.close[np.array(rows) + 7], theirs.prices[:, 2]
    assert held == coverage((low <= actual) & (actual <= high), 0.8, 1)


def test_bands_are_the_pairs_that_mirror_each_other():
    assert bands((0.05, 0.1, 0.5, 0.9, 0.95)) == {80.0: (1, 3), 90.0: (0, 4)}
    assert bands((0.0025, 0.5, 0.9975)) == {99.5: (0, 2)}
    assert bands((0.1, 0.5)) == {}
    many = bands(tuple(float(level) for level in LEVELS))
    assert list(many) == [50.3, 80.4, 95.5]
    for band, (low, high) in many.items():
        assert LEVELS[high] - LEVELS[low] == pytest.approx(band / 100, abs=1e-3)
        assert low + high == K - 1


@pytest.mark.parametrize("count", [5, 10])
def test_few_bands_are_all_counted(count):
    half = [k / (2 * count + 2) for k in range(1, count + 1)]
    assert len(bands((*half, 0.5, *(1 - q for q in reversed(half))))) == count


def test_an_echo_is_called_an_echo(candles):
    late = stated(candles, range(900, 1200), candles.close[900:1200, None, None])
    [illusion] = appraise([late], candles).illusions
    assert (illusion.best_shift, illusion.with_origin, illusion.of_change) == (1, pytest.approx(1), None)


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_copy_of_the_last_price_is_no_better_and_the_truth_is_a_leak(candles):
    rows = np.arange(900, 1240)
    copy = appraise([stated(candles, rows, candles.close[rows, None, None], model="copy")], candles)
    assert copy.headline == (
        "From 340 origins, copy forecast tomorrow's price no better than naive (absolute error 0.00 % lower)."
        ' It does not say whether the price will rise or fall. Its RMSE was 1.00 times that of "no change".'
    )
    leak = appraise([stated(candles, rows, candles.close[rows + 1, None, None], model="leak")], candles)
    assert "leak forecast tomorrow's price better than naive (absolute error 100.00 % lower, p < 0.001" in leak.headline
    assert leak.headline.endswith('Its RMSE was 0.00 times that of "no change": look for a leak first.')


def test_a_narrow_band_is_worse_than_garch_t_and_few_forecasts_are_too_few(candles):
    rows = np.arange(900, 1240)
    ends = candles.close[rows, None, None] * np.array([0.999, 1, 1.001])
    narrow = stated(candles, rows, ends, levels=(0.05, 0.5, 0.95), model="narrow")
    done = appraise([narrow], candles)
    assert done.verdicts[0].word == "worse"
    assert "narrow forecast the spread of tomorrow's price worse than garch-t (pinball loss" in done.headline
    assert done.standing("narrow", 1).coverage[90].share < 0.2
    few = appraise([noisy(candles, range(1200, 1240), 22)], candles)
    assert few.headline.startswith("40 forecasts are too few to tell whether theirs forecasts the spread of tomorrow's")
    known = appraise([stated(candles, range(1200, 1240), candles.close[1201:1241, None, None], model="lucky")], candles)
    assert known.headline.endswith('Its RMSE was 0.00 times that of "no change".')


def test_the_headline_is_about_the_model_that_gains_most(candles):
    rows = np.arange(900, 1240)
    models = [
        stated(candles, rows, candles.close[rows, None, None] * 1.02, horizons=(1, 7), model="high"),
        stated(candles, rows, candles.close[rows, None, None] * 1.001, horizons=(1, 7), model="low"),
    ]
    done = appraise(models, candles)
    assert "low forecast tomorrow's price" in done.headline
    assert done.horizons == [1, 7]
    assert len(done.verdicts) == 4


def test_without_references_nothing_is_said_of_skill(candles):
    done = appraise([noisy(candles, range(900, 1200), 23)], candles, references=())
    assert done.headline.startswith("Nothing can be said of theirs: it has no reference among the models.")


def test_the_document_holds_every_number(candles):
    done = appraise([noisy(candles, range(900, 1200), 24, horizons=(1, 2))], candles)
    document = json.loads(json.dumps(done.document(), allow_nan=False))
    assert document["schema"] == "coincast-score/1"
    [model] = document["models"]
    assert (model["name"], model["levels"], list(model["horizons"])) == ("theirs", [0.1, 0.5, 0.9], ["1", "2"])
    told, standing = model["horizons"]["2"], done.standing("theirs", 2)
    for name in ("n", "rmse", "mae", "mape", "mase", "r2", "r2_naive", "rmse_ratio", "crps"):
        assert told[name] == getattr(standing, name)
    assert told["coverage"]["80"]["share"] == standing.coverage[80].share
    assert told["crps_skill"] == standing.crps_skill
    verdict = next(v for v in done.verdicts if v.horizon == 2)
    assert (told["verdict"], told["reference"], told["p_worse"]) == (verdict.word, "garch-t", verdict.p_worse)
    assert [reference["name"] for reference in document["references"]] == ["naive", "garch-t"]


# --- worlds in which the answer is known ------------------------------------------------------------------------------


def test_where_nothing_can_be_known_nothing_is_better(seed):
    """Twelve random walks, each with a forecast that guesses: `better` is said of it as rarely as chance allows."""
    words = []
    for world in range(12):
        candles = draw(Law(), 700, seed=seed + world).candles
        guess = noisy(candles, range(300, 690), seed + world, levels=(0.5,))
        words += [v.word for v in appraise([guess], candles).verdicts]
    assert words.count("better") <= 2


def test_the_law_itself_is_better_than_garch_t_where_volatility_has_a_season(seed):
    """What knows the season of the volatility beats garch-t, which cannot see it."""
    world = draw(Law(swing=0.8, period=20), 1100, seed=seed)
    start = from_numpy(world.candles.known_at[500])
    best = of_forecast(world.forecast(start, (1,)), (0.05, 0.25, 0.5, 0.75, 0.95))
    [verdict] = appraise([best], world.candles).verdicts
    assert (verdict.word, verdict.reference) == ("better", "garch-t")
    assert verdict.skill > 0.05


def test_one_horizon_or_many_the_scores_are_the_same(candles):
    many = noisy(candles, range(1000, 1100), 25, horizons=(1, 5))
    together = appraise([many], candles).scores
    for horizon in (1, 5):
        kept = many.horizon == horizon
        one = replace(many, origin=many.origin[kept], target_time=many.target_time[kept], prices=many.prices[kept])
        assert appraise([one], candles).scores.equals(together.filter(pl.col("horizon") == horizon))
