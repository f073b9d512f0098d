"""The audit's parts, one by one: what is changed, how answers are compared, where cuts fall, what words weigh."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coincast.appraisal import appraise
from coincast.audit.causality import INNER, Ground, changes, cuts
from coincast.audit.comparison import SAME, compare, differences
from coincast.audit.declarations import Declarations, checked_claims, read_declarations
from coincast.audit.evidence import beside_no_change, form, in_a_random_walk, unit, worth
from coincast.audit.word import held_against
from coincast.candles import PRICES, Candles
from coincast.errors import RecipeError
from coincast.feed import from_numpy
from coincast.perturbation import DEARER, another_market, forming, futures, raised, reordered, with_gaps_of
from coincast.predictions import MEDIAN, Predictions
from coincast.sandbox import Question, Signature
from coincast.worlds import Law, draw, hide

VALUES = (*PRICES, "volume")
WORLD = draw(Law(), 400, seed=4).candles

# --- other futures ----------------------------------------------------------------------------------------------------


@st.composite
def gapped_markets(draw_one):
    """Candles of any interval with bars missing alone and in stretches, and a bar of them that is not the last."""
    interval = draw_one(st.sampled_from(["15m", "1h", "4h", "1d"]))
    bars = draw_one(st.integers(5, 60))
    whole = draw(Law(dof=3), bars, draw_one(st.integers(0, 99)), f"simulated:COIN/USD:{interval}").candles
    lost = draw_one(st.sets(st.integers(1, bars - 1), max_size=bars // 2))
    return hide(whole, sorted(lost)), draw_one(st.integers(0, bars - 2))


def same_past(other: Candles, candles: Candles, bar: int) -> bool:
    return other.frame.head(bar + 1).equals(candles.frame.head(bar + 1))


def missing(candles: Candles) -> list[int]:
    return np.flatnonzero(~candles.observed).tolist()


@settings(max_examples=25)
@given(gapped_markets())
def test_raised_bars_lie_above_all_that_was_seen_and_the_past_stays(case):
    candles, bar = case
    other = raised(candles, bar + 1)
    assert same_past(other, candles, bar)
    assert missing(other) == missing(candles)
    told = np.flatnonzero(candles.observed[bar + 1 :]) + bar + 1
    assert (other.frame["low"].to_numpy()[told] > candles.frame["high"].to_numpy().max()).all()


@settings(max_examples=25)
@given(gapped_markets(), st.integers(0, 60))
def test_a_raised_stretch_ends_where_it_should(case, length):
    candles, bar = case
    last = bar + 1 + length
    other = raised(candles, bar + 1, last)
    assert same_past(other, candles, bar)
    after = np.arange(len(candles)) > last
    seen = candles.observed & after
    assert np.array_equal(other.close[seen], candles.close[seen])


@settings(max_examples=25)
@given(gapped_markets())
def test_reordered_bars_are_the_same_set(case):
    candles, bar = case
    other = reordered(candles, bar + 1)
    assert same_past(other, candles, bar)
    assert missing(other) == missing(candles)
    for name in VALUES:
        told, before = (one.frame.filter("observed")[name].sort() for one in (other, candles))
        assert told.equals(before)
    assert reordered(other, bar + 1).frame.equals(candles.frame)


@settings(max_examples=25)
@given(gapped_markets())
def test_another_market_is_dearer_as_volatile_and_at_the_same_times(case):
    candles, _ = case
    other = another_market(candles)
    assert other.frame["time"].equals(candles.frame["time"])
    assert missing(other) == missing(candles)
    assert other.close[0] == pytest.approx(DEARER * candles.close[0])
    assert not np.isclose(np.diff(np.log(other.close)), np.diff(np.log(candles.close))).all() or len(candles) < 4


def test_another_market_is_as_volatile():
    candles = draw(Law(volatility=0.02), 4000, seed=8).candles
    here, there = (np.std(np.diff(np.log(one.close))) for one in (candles, another_market(candles)))
    assert there == pytest.approx(here, rel=0.1)


@settings(max_examples=25)
@given(gapped_markets())
def test_a_forming_bar_follows_all_others(case):
    candles, _ = case
    other = forming(candles)
    assert len(other) == len(candles) + 1
    assert other.frame.head(len(candles)).equals(candles.frame)
    assert other.observed[-1]
    assert other.close[-1] > candles.frame["high"].to_numpy().max()


@settings(max_examples=25)
@given(gapped_markets())
def test_gaps_are_where_they_were_whatever_the_future(case):
    candles, bar = case
    for _, other in futures(candles, bar):
        gapped = with_gaps_of(candles, other)
        assert same_past(gapped, candles, bar)
        assert missing(gapped) == [row for row in missing(candles) if row < len(other)]


def test_lent_bars_stay_lent():
    """A second venue's bar has a volume: it is not missing, only not observed."""
    frame = WORLD.frame.with_columns(observed=pl.int_range(pl.len()) % 7 != 3)
    candles = Candles(WORLD.feed, frame)
    for other in (raised(candles, 50), reordered(candles, 50), another_market(candles)):
        assert np.array_equal(other.observed, candles.observed)
        assert (other.frame["volume"] > 0).all()


# --- comparing answers ------------------------------------------------------------------------------------------------


def predicted(candles, rows, prices, horizon=1, levels=(MEDIAN,), stated=None, model="theirs"):
    rows = np.asarray(rows)
    origin = candles.known_at[rows]
    prices = np.asarray(prices, dtype=float).reshape(len(rows), len(levels))
    target = origin + horizon * candles.feed.interval.step
    return Predictions(candles.feed, model, levels, origin, target, prices.copy(), stated)


ROWS = np.arange(100, 380)


def test_only_what_both_answers_hold_is_compared_and_by_the_largest_change():
    levels = (0.1, MEDIAN, 0.9)
    prices = np.tile([90.0, 100.0, 110.0], (len(ROWS), 1))
    other = prices[10:].copy()
    other[3, 2] *= 1.5
    base, changed = predicted(WORLD, ROWS, prices, levels=levels), predicted(WORLD, ROWS[10:], other, levels=levels)
    found = differences([base], [changed])
    assert found.height == len(ROWS) - 10
    assert found["moved"].max() == pytest.approx(0.5)
    assert found.filter(pl.col("moved") > 0)["origin"].to_list() == [
        from_numpy(WORLD.known_at[113]).replace(tzinfo=None)
    ]
    assert differences([base], []).is_empty()
    # A model may be called after what it chose; of several each is compared with its namesake.
    renamed = replace(changed, model="another")
    assert differences([base], [renamed]).height == len(changed)
    assert differences([base, replace(base, model="third")], [renamed]).is_empty()


def test_forecasts_after_the_change_may_differ_and_those_before_may_not():
    close = WORLD.close[ROWS]
    until = from_numpy(WORLD.known_at[200])
    late = compare(
        "x", until, [predicted(WORLD, ROWS, close)], [predicted(WORLD, ROWS, close * np.where(ROWS > 200, 2, 1))]
    )
    early = compare(
        "x", until, [predicted(WORLD, ROWS, close)], [predicted(WORLD, ROWS, close * np.where(ROWS == 150, 2, 1))]
    )
    assert (late.compared, late.changed, late.passed) == (101, 0, True)
    assert (early.changed, early.passed, early.largest) == (1, False, pytest.approx(1.0))
    assert early.first == from_numpy(WORLD.known_at[150])
    none = compare("x", until, [predicted(WORLD, ROWS, close)], [], error="it crashed")
    assert (none.compared, none.passed, none.error) == (0, None, "it crashed")


@pytest.mark.parametrize(("share", "changed"), [(SAME / 2, 0), (SAME * 2, len(ROWS))])
def test_rounding_is_no_change(share, changed):
    close = WORLD.close[ROWS]
    base, other = predicted(WORLD, ROWS, close), predicted(WORLD, ROWS, close * (1 + share))
    assert compare("x", WORLD.end, [base], [other]).changed == changed


def test_another_number_of_levels_is_a_change():
    close = WORLD.close[ROWS]
    bands = predicted(WORLD, ROWS, np.stack([close * 0.9, close, close * 1.1], axis=1), levels=(0.1, MEDIAN, 0.9))
    assert compare("x", WORLD.end, [predicted(WORLD, ROWS, close)], [bands]).changed == len(ROWS)


# --- where the future is changed --------------------------------------------------------------------------------------


def ground_of(candles, rows):
    question = Question(candles, from_numpy(candles.known_at[rows[0]]), candles.end)
    return Ground(question, (predicted(candles, rows, candles.close[rows]),))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["15m", "1h", "4h", "1d"]), st.integers(0, 99), st.data())
def test_cuts_fall_on_origins_the_first_among_them_and_before_bars_that_tell(interval, seed, data):
    whole = draw(Law(), 300, seed, f"simulated:COIN/USD:{interval}").candles
    candles = hide(whole, sorted(data.draw(st.sets(st.integers(1, 299), max_size=60))))
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, 298), min_size=1, max_size=250))))
    found = cuts(ground_of(candles, rows))
    assert found[0] == rows[0]
    assert set(found) <= set(rows)
    assert len(found) <= INNER + 4
    moves = np.where(candles.observed[rows + 1], np.abs(np.log(candles.close[rows + 1] / candles.close[rows])), 0.0)
    telling = rows[(moves > 0) & (moves >= np.median(moves))]
    if telling.size:
        # One more is the bar that moved the price most, whatever the next one did.
        assert len(set(found[1:]) - set(telling)) <= 1
        assert candles.observed[telling].all() or not candles.observed[found].all()


def test_cuts_of_hours_are_spread_over_the_day():
    candles = draw(Law(), 24 * 60, 3, "simulated:COIN/USD:1h").candles
    found = cuts(ground_of(candles, np.arange(500, 1400)))
    hours = {from_numpy(candles.known_at[bar]).hour for bar in found}
    assert len(hours) >= 4
    assert min(hours) < 6


def test_no_change_touches_what_was_known():
    """Lent bars, missing ones and outside series among it."""
    random = np.random.default_rng(2)
    whole = hide(draw(Law(), 300, seed=6).candles, sorted(random.choice(np.arange(1, 300), 30, replace=False).tolist()))
    lent = pl.int_range(pl.len()).is_in(random.choice(300, 20).tolist()) & pl.col("observed")
    candles = Candles(
        whole.feed, whole.frame.with_columns(observed=pl.col("observed") & ~lent, mood=pl.col("close") / 7)
    )
    asked = changes(ground_of(candles, np.arange(150, 290)), Signature("pandas", frozenset({"test_from", "now"})))
    assert len(asked) >= INNER + 3
    for change in asked:
        known = candles.until(change.until).frame
        other = change.question.candles
        assert other.frame.head(known.height).equals(known), change.words
        assert np.array_equal(other.observed[: len(candles)], candles.observed[: len(other)]), change.words
        assert not other.frame.equals(candles.frame), change.words


def test_nothing_is_cut_where_nothing_follows():
    assert not len(cuts(ground_of(WORLD, np.array([len(WORLD) - 1]))))


# --- words ------------------------------------------------------------------------------------------------------------

FEED = WORLD.feed
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
ASKS_NOTHING, ASKS_NOW = Signature("pandas", frozenset()), Signature("pandas", frozenset({"now"}))
WORD = Declarations(
    universe=(FEED.symbol,), pretrained_until="never", tuned_until="never", trials=1, seeds=1, closed="by time"
)


def weighed(declared, signature=ASKS_NOTHING, p_better=()):
    return [one.fault for one in held_against(declared, FEED, FIRST, signature, p_better)]


def test_a_whole_word_weighs_nothing():
    assert not weighed(WORD)
    assert not weighed(replace(WORD, closed=None), ASKS_NOW)
    assert not weighed(replace(WORD, trials=None))


@pytest.mark.parametrize(
    ("field", "says"),
    [("universe", "COIN/USD"), ("pretrained_until", "weights"), ("tuned_until", "settings"), ("seeds", "networks")],
)
def test_what_is_missing_is_asked_for(field, says):
    found = held_against(replace(WORD, **{field: None}), FEED, FIRST, ASKS_NOTHING, ())
    asked = [one.says for one in found if one.says.startswith(field)]
    assert {one.fault for one in found} == {"not declared"}
    assert says in asked[0]


def test_a_list_drawn_up_later_leaves_out_the_dead():
    several = replace(WORD, universe=("A/USD", FEED.symbol))
    assert weighed(several) == ["not declared"]
    assert weighed(replace(several, universe_as_of=date(2019, 12, 31))) == []
    assert weighed(replace(several, universe_as_of=date(2020, 1, 2))) == ["survivors only"]


@pytest.mark.parametrize(
    ("until", "found"), [(date(2019, 12, 31), []), (date(2020, 1, 1), ["trained on its own test"])]
)
def test_weights_must_end_before_the_first_forecast(until, found):
    assert weighed(replace(WORD, pretrained_until=until)) == found


@pytest.mark.parametrize(
    ("until", "trials", "p", "found"),
    [
        (date(2021, 1, 1), 10, 0.02, ["tuned on its own test"]),
        (date(2021, 1, 1), 2, 0.02, []),
        (date(2021, 1, 1), 10, 0.2, []),
        (date(2021, 1, 1), 10, None, []),
        (date(2019, 1, 1), 10, 0.02, []),
    ],
)
def test_a_p_must_survive_the_number_of_trials(until, trials, p, found):
    """Bonferroni: ten trials make of 0.02 a 0.2."""
    assert weighed(replace(WORD, tuned_until=until, trials=trials), p_better=[p]) == found


@pytest.mark.parametrize("closed", ["last row dropped", "as it comes"])
def test_a_bar_is_closed_by_time_alone(closed):
    assert weighed(replace(WORD, closed=closed)) == ["closed by luck"]
    assert weighed(replace(WORD, closed=closed), ASKS_NOW) == []


def test_a_file_of_declarations(tmp_path):
    file = tmp_path / "word.toml"
    file.write_text(
        'universe = ["BTC/USDT", "ETH/USDT"]\nuniverse_as_of = 2019-12-31\npretrained_until = "never"\n'
        'tuned_until = 2019-06-30\ntrials = 12\nseeds = 5\nclosed = "by time"\n[claims]\nr2 = 0.98\nmape = 0.02\n'
    )
    word, claims = read_declarations(file)
    assert word == Declarations(
        universe=("BTC/USDT", "ETH/USDT"),
        universe_as_of=date(2019, 12, 31),
        pretrained_until="never",
        tuned_until=date(2019, 6, 30),
        trials=12,
        seeds=5,
        closed="by time",
    )
    assert claims == {"r2": 0.98, "mape": 0.02}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds = 0", "at least one"),
        ("trials = -3", "at least one"),
        ("sedes = 5", "seeds"),
        ('closed = "perhaps"', "closed"),
        ('pretrained_until = "always"', "pretrained_until"),
        ("[claims]\nsharpe = 3.0", "sharpe"),
        ('[claims]\nr2 = "high"', "r2"),
        ("[claims]\nr2 = true", "r2"),
        ("seeds = ", "TOML"),
    ],
)
def test_a_file_that_says_something_else(tmp_path, text, says):
    file = tmp_path / "word.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=says):
        read_declarations(file)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_declarations(tmp_path / "none.toml")


def test_claims_are_numbers():
    assert checked_claims({"rmse": 3}) == {"rmse": 3.0}


# --- scores -----------------------------------------------------------------------------------------------------------


def faults(found):
    return [one.fault for one in found]


def test_sound_forecasts_are_in_form():
    assert not form(predicted(WORLD, ROWS, WORLD.close[ROWS]), WORLD)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_thousands_are_another_unit(factor):
    here, there = predicted(WORLD, ROWS, WORLD.close[ROWS] * factor), another_market(WORLD)
    other = predicted(there, ROWS, there.close[ROWS] * factor)
    assert faults(unit([here], WORLD, [other], there)) == ["not prices"]
    assert faults(unit([here], WORLD, [], there)) == ["not prices"]


@given(st.floats(-4, 5), st.sampled_from(["scaled", "return"]))
def test_what_does_not_grow_with_prices_is_no_price(power, kind):
    """Scaled prices of a coin that costs about one look like prices, until all prices are far higher."""
    scale = 10**power / WORLD.close[0]
    frame = WORLD.frame.with_columns(pl.col(*PRICES) * scale)
    here = Candles(WORLD.feed, frame)
    there = another_market(here)

    def said(candles):
        close = candles.close
        kinds = {
            "scaled": (close - close[:100].min()) / np.ptp(close[:100]),
            "return": np.append(np.diff(close) / close[:-1], 0.01),
        }
        return predicted(candles, ROWS, kinds[kind][ROWS])

    assert faults(unit([said(here)], here, [said(there)], there)) == ["not prices"]


@given(st.floats(-4, 5), st.floats(0.05, 20))
def test_a_bad_forecast_is_still_a_price(power, off):
    frame = WORLD.frame.with_columns(pl.col(*PRICES) * (10**power / WORLD.close[0]))
    here = Candles(WORLD.feed, frame)
    there = another_market(here)
    answers = [predicted(one, ROWS, np.full(len(ROWS), off * np.median(one.close))) for one in (here, there)]
    assert not unit([answers[0]], here, [answers[1]], there)


@pytest.mark.parametrize(("shift", "says"), [(-1, "1 bars earlier"), (2, "2 bars later")])
def test_a_truth_of_another_bar_is_named(shift, says):
    stated = WORLD.close[ROWS + 1 + shift]
    [found] = form(predicted(WORLD, ROWS, WORLD.close[ROWS], stated=stated), WORLD)
    assert found.fault == "truth misplaced"
    assert says in found.says


def test_truths_may_be_rounded_and_a_few_may_be_wrong():
    stated = np.round(WORLD.close[ROWS + 1], 0)
    stated[5] *= 3
    stated[7] = np.nan
    assert not form(predicted(WORLD, ROWS, WORLD.close[ROWS], stated=stated), WORLD)


def test_a_target_that_had_closed():
    assert "target known already" in faults(form(predicted(WORLD, ROWS, WORLD.close[ROWS], horizon=0), WORLD))


def test_a_path_and_a_tiny_test():
    origin = np.full(30, WORLD.known_at[200])
    target = origin + np.arange(1, 31) * FEED.interval.step
    path = Predictions(FEED, "path", (MEDIAN,), origin, target, np.full((30, 1), 1000.0))
    assert faults(form(path, WORLD)) == ["one path without bands", "too few forecasts"]
    assert faults(form(predicted(WORLD, ROWS[:249], WORLD.close[ROWS[:249]]), WORLD)) == ["too few forecasts"]


def test_forecasts_of_other_years():
    long_ago = predicted(WORLD, ROWS, WORLD.close[ROWS])
    shifted = replace(
        long_ago,
        origin=long_ago.origin - np.timedelta64(9000, "D"),
        target_time=long_ago.target_time - np.timedelta64(9000, "D"),
    )
    assert faults(form(shifted, WORLD)) == ["nonsense"]


def test_knowing_half_of_each_move_halves_the_error():
    close = WORLD.close
    half = np.sqrt(close[ROWS] * close[ROWS + 1])
    beside = beside_no_change(predicted(WORLD, ROWS, half), WORLD)
    assert beside.ratio == pytest.approx(0.5)
    assert beside.skilled
    assert faults(in_a_random_walk([predicted(WORLD, ROWS, half)], WORLD)) == ["skill where there is none"]
    assert not in_a_random_walk([predicted(WORLD, ROWS, close[ROWS] * 1.001)], WORLD)


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({}, []),
        ({"r2": 0.9}, ["claim says nothing"]),
        ({"direction": 0.5}, ["claim not borne out"]),
        ({"rmse": 1e-3}, ["claim not borne out", "claim says nothing"]),
    ],
)
def test_claims_of_a_forecast_that_is_the_last_price(claims, found):
    still = predicted(WORLD, ROWS, WORLD.close[ROWS])
    assert faults(worth(appraise([still], WORLD), still, claims)) == found


def test_claims_that_hold():
    """Who knows a fifth of each move may say what that reaches, rounded; and is taken for a leak."""
    close = WORLD.close
    fifth = predicted(WORLD, ROWS, close[ROWS] * (close[ROWS + 1] / close[ROWS]) ** 0.2)
    appraisal = appraise([fifth], WORLD)
    reached = appraisal.standing("theirs", 1)
    honest = {"rmse": reached.rmse * 0.99, "mae": reached.mae, "mape": reached.mape, "r2": reached.r2, "direction": 1.0}
    assert faults(worth(appraisal, fifth, honest)) == ["too good to be true"]
    flattering = {"rmse": reached.rmse * 0.9, "mape": reached.mape * 0.9}
    assert faults(worth(appraisal, fifth, flattering)) == ["too good to be true", *["claim not borne out"] * 2]


def test_bands_that_hold_too_little():
    close = WORLD.close[ROWS]
    narrow = np.stack([close * 0.999, close, close * 1.001], axis=1)
    bands = predicted(WORLD, ROWS, narrow, levels=(0.1, MEDIAN, 0.9))
    found = worth(appraise([bands], WORLD, references=["naive"]), bands, {})
    assert faults(found) == ["bands do not hold"]
    assert not found[0].kind.fails
