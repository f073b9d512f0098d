"""The classic recipe done soundly, and sixteen stages done wrong: what they compute, and what they know when."""

import inspect
from dataclasses import fields, replace
from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge as Peer
from sklearn.metrics import mean_absolute_percentage_error, mean_squared_error, r2_score
from sklearn.preprocessing import MinMaxScaler

from coincast.audit import FAULTS
from coincast.errors import DataError, RecipeError
from coincast.feed import from_numpy, to_numpy
from coincast.gallery import mistakes, tutorial
from coincast.gallery.faults import MISTAKES, mistake_named
from coincast.gallery.learners import Ridge, Rows, windows
from coincast.gallery.lstm import Lstm
from coincast.gallery.scene import Judged, Remembering, Scene, _at_closes, pooled
from coincast.gallery.tutorial import SOUND, Settings, Stages, forecast, learn
from coincast.perturbation import futures
from made import START, candles_of, walk
from made_gallery import AHEAD, drawn, scene

SUBJECTS = ("bars", "seven ahead", "days", "hours")
SHOWN = [mistake for mistake in MISTAKES if mistake.subject in SUBJECTS]
BY_NAME = {mistake.name: mistake for mistake in MISTAKES}


@cache
def shown(subject, name=None):
    """The scene, and what is told and lived there."""
    here = scene(subject)
    mistake = BY_NAME[name] if name else None
    return here, here.told(mistake), here.lived(mistake)


def table_of(closes, horizon=1):
    candles = candles_of(closes)
    return tutorial.clean(candles.frame, candles.end, horizon)


def settings_of(**changes):
    return replace(Settings(Ridge(), lookback=5), **changes)


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_sixteen_of_the_catalogue_are_there_once_each():
    assert [mistake.number for mistake in MISTAKES] == list(range(1, 17))
    assert len(BY_NAME) == 16
    assert {mistake.shown for mistake in MISTAKES} == {"perturbation", "scoring", "declaration"}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.name)
def test_a_mistake_is_another_function_in_the_place_of_one_stage(mistake):
    wrong = mistake.stages(SOUND)
    differing = [field.name for field in fields(Stages) if getattr(wrong, field.name) != getattr(SOUND, field.name)]
    assert differing == [mistake.change.stage]
    sound = getattr(tutorial, mistake.change.stage)
    parameters = [
        [parameter.name.lstrip("_") for parameter in inspect.signature(function).parameters.values()]
        for function in (sound, mistake.change.put)
    ]
    assert parameters[0] == [name for name in parameters[1] if name != "weights"]
    body = mistake.change.after.split('"""')[-1].strip().splitlines()
    assert len(body) <= 8, "a mistake is a few lines"
    assert mistake.change.before.startswith(f"def {mistake.change.stage}(")
    assert set(mistake.findings) <= set(FAULTS)
    assert mistake.shown in {FAULTS[name].shown for name in mistake.findings}


def test_a_mistake_is_found_by_name_and_by_number_and_nothing_else():
    assert mistake_named("4") is mistake_named(" Same-Bar ") is BY_NAME["same-bar"]
    for text in ("17", "same", ""):
        with pytest.raises(RecipeError) as refused:
            mistake_named(text)
        assert "16 pretrained" in refused.value.do


# --- the recipe -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_row_knows_the_close_of_its_origin_and_wants_its_own(horizon):
    table = table_of(np.arange(1.0, 11.0), horizon)
    inputs, wanted = tutorial.features(table)[:, 0], tutorial.target(table)
    assert len(wanted) == 10 + horizon
    assert np.array_equal(wanted[:10], np.arange(1.0, 11.0))
    assert np.isnan(wanted[10:]).all()
    assert np.array_equal(inputs[horizon:], np.arange(1.0, 11.0))
    origin = table.origin
    for row in range(horizon, 10 + horizon):
        assert from_numpy(origin[row]) == START + timedelta(days=int(inputs[row]))


def test_a_bar_that_has_not_closed_is_left_out():
    candles = candles_of(np.arange(1.0, 11.0))
    late = candles.end - timedelta(seconds=1)
    assert tutorial.clean(candles.frame, late, 1).known == 9
    assert mistakes.clean_as_it_comes(candles.frame, late, 1).known == 10


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_the_split_never_lets_a_label_past_an_origin(horizon):
    table = table_of(walk(120, seed=1), horizon)
    settings = settings_of(horizon=horizon)
    first = START + timedelta(days=80)
    rows = tutorial.split(table, first, settings)
    assert (table.closes(rows.train) <= table.origin[rows.validation[0]]).all()
    assert (table.closes(rows.validation) <= to_numpy(first)).all()
    assert (table.origin[rows.test] >= to_numpy(first)).all()
    assert from_numpy(table.origin[rows.test[0]]) == first
    assert rows.test[-1] == 120 + horizon - 1, "the newest row is forecast too"
    touching = mistakes.split_touching(table, first, settings)
    late = table.closes(np.concatenate([touching.train, touching.validation])) > to_numpy(first)
    assert late.sum() == horizon - 1


def test_the_scale_is_scikit_learn_s_of_the_training_rows():
    values = np.column_stack([walk(50, seed=2), walk(50, seed=3)])
    rows = Rows(np.arange(30), np.arange(30, 40), np.arange(40, 50))
    peer = MinMaxScaler().fit(values[:30])
    assert np.allclose(tutorial.scale(values, rows)(values), peer.transform(values), rtol=0, atol=1e-12)
    whole = MinMaxScaler().fit(values)
    assert np.allclose(mistakes.scale_everything(values, rows)(values), whole.transform(values), rtol=0, atol=1e-12)


def test_the_ridge_regression_is_scikit_learn_s():
    closes = walk(200, seed=4)
    inputs, target = closes[:-1, None] / 1e4, closes[1:] / 1e4
    rows = Rows(np.arange(19, 150), np.arange(150, 180), np.arange(180, 199))
    penalty = 1e-3
    model = Ridge(penalties=(penalty,)).fit(inputs, target, rows, 20)
    x = windows(inputs, rows.train, 20)
    peer = Peer(alpha=penalty * len(rows.train)).fit(x[..., 0], target[rows.train] - x[:, -1, 0])
    asked = windows(inputs, rows.test, 20)
    assert np.allclose(model(asked), asked[:, -1, 0] + peer.predict(asked[..., 0]), rtol=1e-8)


def test_the_penalty_is_the_one_with_the_least_validation_error():
    closes = walk(300, seed=5) / 1e4
    inputs, target = closes[:-1, None], closes[1:]
    rows = Rows(np.arange(29, 200), np.arange(200, 260), np.arange(260, 299))
    penalties = (1e-6, 1e-3, 1.0)
    x, wanted = windows(inputs, rows.validation, 30), target[rows.validation]
    each = [Ridge(penalties=(one,)).fit(inputs, target, rows, 30)(x) for one in penalties]
    best = min(each, key=lambda said: np.mean((said - wanted) ** 2))
    assert np.array_equal(Ridge(penalties=penalties).fit(inputs, target, rows, 30)(x), best)


def test_windows_are_the_rows_before_one_by_one():
    inputs = np.arange(40.0).reshape(20, 2)
    rows = np.array([4, 9, 19])
    slow = np.stack([np.stack([inputs[row - 4 + step] for step in range(5)]) for row in rows])
    assert np.array_equal(windows(inputs, rows, 5), slow)


def test_hours_make_days_by_hand():
    """Hours from 05:00 of one day to 17:00 of the third day after it: two whole days between."""
    hours = candles_of(np.arange(1.0, 85.0)).frame.with_columns(
        time=pl.datetime_range(START + timedelta(hours=5), START + timedelta(hours=88), "1h", eager=True)
    )
    table = tutorial.whole_days(hours, START + timedelta(hours=89), 1)
    assert table.rows["closes"].to_list() == [START + timedelta(days=day) for day in (2, 3, 4)]
    # The hour that closes at 24:00 is the 19th of the first day, the 43rd of the second, the 67th of the third.
    assert table.rows["close"].to_list() == [43.0, 67.0, None]


def test_the_sound_recipe_tells_the_closes_of_the_bars_it_names():
    here, told, _ = shown("seven ahead")
    by_time = dict(zip(here.candles.frame["time"], here.candles.close, strict=True))
    assert [by_time[time] for time in told["ds"]] == pytest.approx(told["y"].to_list(), rel=1e-12)
    assert (told["ds"] - told["cutoff"]).unique().to_list() == [timedelta(days=AHEAD)]
    assert told["cutoff"][0] + timedelta(days=1) == here.test_from


# --- reported and lived -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_sound_recipe_does_live_what_it_reports_to_the_bit(subject):
    here, told, lived = shown(subject)
    assert told.select("ds", "cutoff", "prediction").equals(lived.select("ds", "cutoff", "prediction"))
    assert here.judged(told).score.own == pytest.approx(here.judged(lived).score.own, rel=1e-12)


def test_so_does_the_network():
    here = scene("bars", Lstm().hasty)
    recent = replace(here, candles=here.candles.until(here.test_from + timedelta(days=40)))
    assert recent.told(None)["prediction"].equals(recent.lived(None)["prediction"])


@pytest.mark.parametrize("mistake", SHOWN, ids=lambda one: one.name)
def test_live_nothing_knows_a_bar_that_has_not_closed(mistake):
    """The same code, with whatever mistake, asked live in other futures: up to there it says the same."""
    here = scene(mistake.subject)
    origin = here.test_from + timedelta(days=60)
    short = replace(here, candles=here.candles.until(origin + timedelta(days=45)))
    bar = int(np.searchsorted(short.candles.known_at, to_numpy(origin)))
    others = dict(futures(short.candles, bar))
    base = short.lived(mistake)
    other = replace(short, candles=others["multiplied by 7"]).lived(mistake)
    day = short.candles.feed.interval.delta
    # Asked at noon it sees half of the bar that the label calls closed: the half is not in these candles.
    until = pl.col("cutoff") + day <= origin
    told = [frame.filter(until).select("ds", "cutoff", "prediction") for frame in (base, other)]
    assert told[0].height >= 1
    assert told[0].equals(told[1])


def test_a_leak_changes_what_is_reported_and_not_what_is_lived():
    """The control of the test above: in the same futures the report of a leaking recipe does change."""
    here = scene("bars")
    bar = int(np.searchsorted(here.candles.known_at, to_numpy(here.test_from))) + 60
    other = replace(here, candles=dict(futures(here.candles, bar))["multiplied by 7"])
    until = pl.col("cutoff") < from_numpy(here.candles.known_at[bar])
    for mistake in (BY_NAME["scaler"], BY_NAME["same-bar"], BY_NAME["centred-filter"]):
        told = [one.told(mistake).filter(until)["prediction"] for one in (here, other)]
        assert not told[0].equals(told[1]), mistake.name


def test_what_is_handed_over_live_is_what_had_closed():
    here = drawn(3, bars=300, tested=40)
    asked = _at_closes(here)
    assert [now for now, _ in asked] == [here.test_from + timedelta(days=day) for day in range(39)]
    for now, frame in asked:
        assert frame.equals(here.candles.until(now).frame)


def test_a_forming_bar_is_made_of_the_hours_so_far_by_hand():
    here, _, lived = shown("days", "unclosed-bar")
    hours = here.parts.frame
    for row in (0, 100, lived.height - 1):
        cutoff = lived["cutoff"][row]
        morning = hours.filter(pl.col("time") >= cutoff, pl.col("time") < cutoff + timedelta(hours=12))
        assert lived["last"][row] == morning["close"][-1]
        assert lived["ds"][row] == cutoff + timedelta(days=1)


def test_days_that_form_cannot_be_seen_without_their_parts():
    with pytest.raises(DataError, match="without shorter bars"):
        replace(scene("days"), parts=None).lived(BY_NAME["unclosed-bar"])


# --- what each mistake does -------------------------------------------------------------------------------------------


def told_and_lived(name):
    subject = BY_NAME[name].subject
    here, told, lived = shown(subject, name)
    return here.judged(shown(subject)[1]).score, here.judged(told).score, here.judged(lived).score


@pytest.mark.parametrize("name", ["same-bar", "centred-filter", "label-shift", "day-boundary"])
def test_the_plain_leaks_flatter_and_fall(name):
    sound, told, lived = told_and_lived(name)
    assert told.own.mape < 0.85 * sound.own.mape
    assert lived.own.mape > 1.05 * told.own.mape


def test_a_listener_of_another_zone_gains_what_the_hours_hold():
    """From origin 00:00 it knows the price of 05:00 (04:00 in summer): that share of the variance is gone."""
    here = scene("hours")
    close = np.log(here.candles.close)
    midnights = np.flatnonzero(here.candles.known_at.astype("datetime64[h]").astype(int) % 24 == 0)
    midnights = midnights[(here.candles.known_at[midnights] >= to_numpy(here.test_from))][:-1]
    early = np.sum((close[midnights + 5] - close[midnights]) ** 2)
    day = np.sum((close[midnights + 24] - close[midnights]) ** 2)
    sound, told, _ = told_and_lived("day-boundary")
    assert told.ratio / sound.ratio == pytest.approx(np.sqrt(1 - early / day), abs=0.05)


def test_a_label_shifted_back_copies_the_last_close():
    here, told, _ = shown("bars", "label-shift")
    judged = here.judged(told)
    assert np.allclose(judged.said, judged.last, rtol=1e-3)
    assert np.allclose(judged.stated[1:], judged.truth[:-1], rtol=1e-12)


def test_scaled_units_are_the_price_through_the_scaler():
    here, sound, _ = shown("bars")
    _, wrong, lived = shown("bars", "scaled-units")
    rows = learn(here.candles.frame, here.test_from, here.candles.end, stages=SOUND, settings=here.settings).rows
    closes = here.candles.close[rows.train]
    span, low = np.polyfit(wrong["prediction"].to_numpy(), sound["prediction"].to_numpy(), 1)
    assert low == pytest.approx(closes.min(), rel=1e-9)
    assert span == pytest.approx(np.ptp(closes), rel=1e-9)
    assert here.judged(wrong).score.no_change is None
    assert here.judged(lived).score.own.mape > 0.99


def test_a_path_reads_its_own_steps():
    class Doubling:
        def __call__(self, x):
            return 2 * x[:, -1, 0]

    path = mistakes.predict_a_month(Doubling(), np.ones((5, 3, 1)))
    assert path.shape == (1, mistakes.PATH)
    assert np.array_equal(path[0], 2.0 ** np.arange(1, mistakes.PATH + 1))


def test_a_shuffled_test_has_its_neighbours_in_training():
    table = table_of(walk(400, seed=6))
    rows = mistakes.split_shuffled(table, START, settings_of())
    every = np.sort(np.concatenate(rows))
    assert np.array_equal(every, np.arange(5, 400)), "every row once"
    learnt = set(rows.train) | set(rows.validation)
    share = np.mean([bool({row - 1, row + 1} & learnt) for row in rows.test])
    assert share > 0.9


def test_in_sample_rows_are_those_learnt_from():
    rows = mistakes.split_not_at_all(table_of(walk(100, seed=7)), START, settings_of())
    assert np.array_equal(np.concatenate([rows.train, rows.validation]), rows.test)


def test_weights_from_elsewhere_have_learnt_from_every_row():
    """A spike in the last bars of the test moves the published weights, and with them the first forecast."""
    here = drawn(8)
    pretrained = BY_NAME["pretrained"]
    last = pl.int_range(pl.len()) >= pl.len() - 30
    prices = [(pl.when(last).then(3 * pl.col(name)).otherwise(pl.col(name))).alias(name) for name in ("high", "close")]
    other = replace(here, candles=type(here.candles)(here.candles.feed, here.candles.frame.with_columns(prices)))
    first = [one.told(pretrained)["prediction"][0] for one in (here, other)]
    assert first[0] != first[1]
    sound = [one.told(None)["prediction"][0] for one in (here, other)]
    assert sound[0] == sound[1]


# --- scores and memory ------------------------------------------------------------------------------------------------


def test_scores_are_scikit_learn_s():
    truth, said, last = walk(60, seed=9), walk(60, seed=10), walk(60, seed=11)
    score = Judged(said, truth, truth, last).score
    assert score.own.rmse == pytest.approx(mean_squared_error(truth, said) ** 0.5)
    assert score.own.mape == pytest.approx(mean_absolute_percentage_error(truth, said))
    assert score.own.r2 == pytest.approx(r2_score(truth, said))
    assert score.ratio == pytest.approx((mean_squared_error(truth, said) / mean_squared_error(truth, last)) ** 0.5)


def test_several_coins_count_in_units_of_their_own():
    one = Judged(*(np.array(values) for values in ([1.0, 2.0], [1.0, 1.0], [1.0, 1.0], [1.0, 2.0])))
    large = Judged(*(1000 * column for column in one))
    both = pooled([one, large.over(1000.0)])
    assert both.n == 4
    assert both.own == one.score.own


def test_what_was_learnt_once_is_not_learnt_again_and_nothing_else_is_remembered():
    calls = []

    class Counting(Ridge):
        def fit(self, *given):
            calls.append(1)
            return super().fit(*given)

    remembering = Remembering(Counting())
    here = drawn(1).with_learner(remembering)
    told, lived = here.told(None), here.lived(None)
    assert len(calls) == 1
    assert told["prediction"].equals(lived["prediction"])
    for name in ("scaler", "centred-filter", "same-bar"):
        fresh = drawn(1).told(BY_NAME[name])
        assert here.told(BY_NAME[name])["prediction"].equals(fresh["prediction"])
    assert len(calls) == 4


def test_the_network_is_the_seed_s_and_learns():
    from jax import tree

    from coincast.gallery.lstm import _network_of
    from coincast.models.seed_lstm import Network
    from coincast.training import _form

    assert sum(leaf.size for leaf in tree.leaves(_form(_network_of(1)))) == sum(
        leaf.size for leaf in tree.leaves(_form(Network))
    )
    here = drawn(2, bars=500, tested=100)
    errors = [here.judged(here.with_learner(Lstm(epochs=epochs)).told(None)).score.own.rmse for epochs in (1, 40)]
    assert errors[1] < errors[0]


def test_too_few_candles_are_refused_in_words():
    here = drawn(1, bars=70, tested=5).with_learner(Lstm().hasty)
    with pytest.raises(DataError, match="too few"):
        here.told(None)


def test_a_forecast_needs_nothing_but_its_arguments():
    """As a student would call it."""
    candles = candles_of(walk(300, seed=12))
    told = forecast(candles.frame, START + timedelta(days=200), candles.end, stages=SOUND, settings=Settings(Ridge()))
    assert told.columns == ["ds", "cutoff", "y", "prediction"]
    assert told.height == 101
    assert told["y"].null_count() == 1, "tomorrow has no truth yet"
    learnt = learn(candles.frame, START + timedelta(days=200), candles.end, stages=SOUND, settings=Settings(Ridge()))
    assert isinstance(learnt.rows, Rows)
    assert isinstance(scene("bars"), Scene)
