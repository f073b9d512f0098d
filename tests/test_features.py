"""Features: right by a slow twin, and blind to the future."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincast.candles import PRICES, Candles
from coincast.errors import RecipeError
from coincast.features import FEATURES, Feature, compute, needs, register
from coincast.features import feature as features
from made import DAILY, HOURLY, START, candles_of, walk

NAMES = sorted(FEATURES)
OUTSIDE = needs(NAMES)


def beside(candles: Candles, levels: np.ndarray) -> Candles:
    """The candles and every outside series, a new value every third bar."""
    steps = levels[: (len(candles) + 2) // 3].repeat(3)[: len(candles)]
    return Candles(candles.feed, candles.frame.with_columns(pl.lit(pl.Series(name, steps)) for name in OUTSIDE))


def bars(count: int, seed: int, missing: tuple[int, ...] = ()) -> Candles:
    """A market with wicks and volume."""
    flat = candles_of(walk(count, seed), missing)
    random = np.random.default_rng(seed)
    wicks = pl.DataFrame(
        {"up": random.random(count) * 0.03, "down": random.random(count) * 0.03, "v": random.random(count)}
    )
    seen = pl.col("observed")
    frame = flat.frame.hstack(wicks).with_columns(
        open=pl.when(seen).then(pl.col("close").shift(1).fill_null(pl.col("close"))).otherwise("close")
    )
    frame = frame.with_columns(
        high=pl.when(seen).then(pl.max_horizontal("open", "close") * (1 + pl.col("up"))).otherwise("close"),
        low=pl.when(seen).then(pl.min_horizontal("open", "close") / (1 + pl.col("down"))).otherwise("close"),
        volume=pl.when(seen).then(1 + 9 * pl.col("v")).otherwise(0.0),
    )
    levels = 50 * np.exp(0.2 * np.random.default_rng(seed + 1).normal(size=count))
    return beside(Candles(flat.feed, frame.select(flat.frame.columns)), levels)


def spliced(past: Candles, future: Candles, known: int) -> Candles:
    """`past` for its first `known` bars, then the moves of `future`."""
    joined = past.frame[known - 1]["close"].item() / future.frame[known - 1]["close"].item()
    scaled = future.frame.with_columns(pl.col("open", "high", "low", "close") * joined)[known:]
    return Candles(past.feed, pl.concat([past.frame[:known], scaled]))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(seed=st.integers(0, 1000), known=st.integers(2, 119))
def test_no_feature_sees_the_future(name, seed, known):
    """Bit for bit. From two bars on: polars divides a single value by another road, with another last bit."""
    past = bars(120, seed, missing=(40, 41, 77))
    whole = compute(past, [name])[:known]
    other = spliced(past, bars(120, seed + 1), known)
    np.testing.assert_array_equal(compute(other, [name])[:known], whole)
    cut = past.until(START + known * past.feed.interval.delta)
    np.testing.assert_array_equal(compute(cut, [name]), whole)


PLANTED = {
    "the next close": (lambda _: pl.col("close").shift(-1), 0),
    "a score over the whole column": (lambda _: (pl.col("close") - pl.col("close").mean()) / pl.col("close").std(), 0),
    "a centred average": (lambda _: pl.col("close").rolling_mean(5, center=True), 4),
    "filling backwards": (
        lambda _: pl.when(pl.int_range(pl.len()) % 5 == 0).then("close").backward_fill(),
        0,
    ),
}


@pytest.mark.parametrize("leak", PLANTED)
def test_the_test_for_the_future_finds_a_planted_leak(leak, monkeypatch):
    expression, warm_up = PLANTED[leak]
    monkeypatch.setitem(FEATURES, "leak", Feature("leak", expression, warm_up, "looks ahead"))
    found = False
    for known in range(20, 119, 7):
        past = bars(120, 0)
        other = spliced(past, bars(120, 1), known)
        cut = past.until(START + known * past.feed.interval.delta)
        whole = compute(past, ["leak"])[:known]
        found |= not np.array_equal(compute(other, ["leak"])[:known], whole, equal_nan=True)
        found |= not np.array_equal(compute(cut, ["leak"]), whole, equal_nan=True)
    assert found


@pytest.mark.parametrize("name", NAMES)
def test_warm_up_is_blank_and_what_follows_has_values(name):
    values = compute(bars(150, 3, missing=(60, 61)), [name])[:, 0]
    warm_up = FEATURES[name].warm_up
    assert np.isnan(values[:warm_up]).all()
    assert np.isfinite(values[warm_up:]).all()


def reads(name: str) -> set[str]:
    """The columns of the candles a feature is made from."""
    return set(FEATURES[name].expression(DAILY.interval).meta.root_names())


@pytest.mark.parametrize("name", [name for name in NAMES if "time" not in reads(name)])
def test_a_ramp(name):
    """A price that grows by the same factor each bar: every feature settles or goes straight on."""
    growth = 1.01
    values = compute(beside(candles_of(100 * growth ** np.arange(200.0)), np.full(200, 50.0)), [name])[100:, 0]
    straight = np.allclose(np.diff(values), np.diff(values)[0], atol=1e-9)
    exponential = name == "close" and np.allclose(values[1:] / values[:-1], growth)
    assert straight or exponential


def with_ranges(candles):
    """The same bars, each of which goes from the close before it to its own."""
    opens = candles.frame.with_columns(open=pl.col("close").shift(1).fill_null(pl.col("close")))
    ends = (pl.col("open"), pl.col("close"))
    return Candles(candles.feed, opens.with_columns(high=pl.max_horizontal(*ends), low=pl.min_horizontal(*ends)))


@pytest.mark.parametrize("name", NAMES)
def test_an_impulse_is_felt_at_once_or_later_but_never_before(name):
    calm = np.full(200, 100.0)
    struck = calm.copy()
    struck[120] = 130.0
    before, after = (compute(beside(with_ranges(candles_of(c)), calm), [name])[:, 0] for c in (calm, struck))
    differs = np.flatnonzero(~np.isclose(before, after, equal_nan=True, atol=1e-12))
    if name.startswith("season"):
        assert differs[0] == 120 + (7 if name == "season_now" else 6), "a bar tells of the same weekday a week later"
    elif reads(name) & set(PRICES) and not reads(name) & set(OUTSIDE):
        assert differs[0] == 120
    else:
        assert not differs.size


def test_the_first_features_by_a_loop():
    candles = bars(80, 5, missing=(30,))
    close = candles.close
    returns = [math.nan] + [math.log(close[i] / close[i - 1]) for i in range(1, 80)]
    variance, volatility = returns[1] ** 2, [math.nan]
    for i in range(1, 80):
        # It starts at the first return, and the bar that nobody saw says nothing.
        variance = variance if i in {1, 30} else 0.94 * variance + 0.06 * returns[i] ** 2
        volatility.append(math.sqrt(variance) if i >= 20 else math.nan)
    found = compute(candles, ["volatility_94", "close", "log_return"])
    np.testing.assert_allclose(found, np.column_stack([volatility, close, returns]), rtol=1e-12, atol=1e-14)


def test_the_typical_range_by_a_loop():
    candles = bars(120, 6, missing=(90, 91))
    found, season, mix = compute(candles, ["typical_90", "season_now", "volatility_mix"]).T
    weight = total = 0.0
    for i in range(len(candles)):
        if candles.frame["observed"][i]:
            wide = math.log(candles.frame["high"][i] / candles.frame["low"][i]) ** 2 / (4 * math.log(2))
            total = 0.9 * total + math.log(wide + 1e-8) / 2 - season[i]
            weight = 0.9 * weight + 1
        if i >= 60:
            assert found[i] == pytest.approx(total / weight - math.log(mix[i]), rel=1e-9)


def test_a_lively_hour_is_no_lively_day():
    """Hours that are three times as wide each afternoon: the typical range hardly knows."""
    hours = 24 * 7 * 20
    lively = np.where(np.arange(hours) % 24 < 12, 0.003, 0.001)
    candles = with_ranges(candles_of(100 * np.exp(np.cumsum(lively * (-1.0) ** np.arange(hours))), feed=HOURLY))
    names = ["typical_70", "range_70", "volatility_mix"]
    typical, ranges, mix = compute(candles, names)[-24 * 7 :].T
    # The profile found is mixed with an even one, so a trace of the day is left.
    assert np.ptp(typical + np.log(mix)) < np.ptp(ranges + np.log(mix)) / 3


def test_a_bar_is_filled_where_it_is_missing_and_was_not_lent():
    candles = bars(40, 5, missing=(30, 31))
    assert np.flatnonzero(compute(candles, ["filled"])[:, 0]).tolist() == [30, 31]
    volume = pl.when(pl.int_range(40) == 31).then(7.0).otherwise("volume")
    lent = Candles(candles.feed, candles.frame.with_columns(volume=volume))
    assert np.flatnonzero(compute(lent, ["filled"])[:, 0]).tolist() == [30]


def test_a_feature_of_ones_own(monkeypatch):
    monkeypatch.setattr(features, "FEATURES", dict(FEATURES))
    span = register(Feature("span", lambda _: pl.col("high") - pl.col("low"), 2, "range, quote currency"))
    candles = bars(5, 0)
    expected = candles.frame["high"] - candles.frame["low"]
    np.testing.assert_array_equal(compute(candles, ["span"])[:, 0], [np.nan, np.nan, *expected[2:]])
    assert register(span) is span
    with pytest.raises(RecipeError, match="'span' is registered already"):
        register(replace(span, warm_up=3))


def test_an_unknown_feature_is_named_with_those_there_are():
    with pytest.raises(RecipeError, match=r"'moon_phase' is not registered.*close, .*log_return"):
        compute(candles_of([1.0, 2.0]), ["close", "moon_phase"])


def test_computing_changes_no_input_and_gives_what_may_be_written_to():
    candles = bars(30, 1)
    before = candles.digest
    values = compute(candles, NAMES)
    values[:] = 0
    assert Candles(candles.feed, candles.frame).digest == before
