"""Realised variance: the sum of shorter bars' ranges, told when the longer bar is known; and coins named beside."""

import json
import math
import sys

import numpy as np
import polars as pl
import pytest

from coincast import cli
from coincast.candles import Candles
from coincast.clean import resample
from coincast.errors import DataError
from coincast.features import compute
from coincast.feed import Feed, Interval
from coincast.perturbation import hide
from coincast.realised import NAME, with_realised
from coincast.report.page import command_again
from coincast.runs import Run
from coincast.worlds import Law, draw

WHOLE = draw(Law(volatility=0.01, dof=4), 24 * 60, 0, "simulated:COIN/USD:1h").candles
DAYS = resample(WHOLE, Interval("1d"))
# One hour in 27 lost, and ten of one day.
HOURS = hide(WHOLE, [*range(20, len(WHOLE), 27), *range(24 * 9, 24 * 9 + 10)])


def test_realised_variance_by_a_loop():
    told = with_realised(DAYS, HOURS).frame[NAME].to_numpy()
    frame, seen = HOURS.frame, HOURS.observed
    for day in range(len(DAYS)):
        within = np.flatnonzero((HOURS.time >= DAYS.time[day]) & (HOURS.time < DAYS.known_at[day]) & seen)
        total = sum(
            math.log(frame["high"][int(i)] / frame["low"][int(i)]) ** 2 / (4 * math.log(2)) + 1e-8 for i in within
        )
        expected = total * 24 / len(within) if len(within) >= 0.8 * 24 else math.nan
        np.testing.assert_allclose(told[day], expected, rtol=1e-12)


def test_a_day_tells_nothing_of_the_hours_after_it():
    known = 20
    changed = HOURS.frame.with_columns(
        high=pl.when((pl.int_range(pl.len()) < known * 24) | ~pl.col("observed"))
        .then("high")
        .otherwise(pl.col("high") * 1.5)
    )
    plain, moved = (with_realised(DAYS, hours).frame[NAME] for hours in (HOURS, Candles(HOURS.feed, changed)))
    assert plain[:known].equals(moved[:known])
    assert (plain[known:] < moved[known:]).all()


def test_where_there_is_none_the_range_stands_in():
    late = Candles(HOURS.feed, HOURS.frame[24 * 30 :])
    values = compute(with_realised(DAYS, late), ["realised_day", "range_day"])
    np.testing.assert_array_equal(values[:30, 0], values[:30, 1])
    assert not np.isclose(values[31:, 0], values[31:, 1]).any()


@pytest.mark.parametrize("feed", ["simulated:OTHER/USD:1h", "simulated:COIN/USD:1d"])
def test_other_coins_and_bars_as_long_are_refused(feed):
    other = Candles(Feed.parse(feed), (HOURS if feed.endswith("h") else DAYS).frame)
    with pytest.raises(DataError, match="cannot tell what happened within a bar"):
        with_realised(DAYS, other)


def coincast(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["coincast", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def files(tmp_path):
    """A market by days and by hours, and another coin, as CSV."""
    hours = draw(Law(volatility=0.01, dof=4), 24 * 130, 3, "simulated:COIN/USD:1h").candles
    other = draw(Law(volatility=0.05, dof=4), 130, 5).candles
    made = {"days": resample(hours, Interval("1d")), "hours": hours, "other": other}
    for name, candles in made.items():
        frame = candles.frame.filter("observed").select("time", "open", "high", "low", "close", "volume")
        frame.with_columns(pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(tmp_path / f"{name}.csv")
    return tmp_path


def command(files, *more: str) -> list[str]:
    own = ["--csv", str(files / "days.csv"), "--symbol", "COIN/USD", "--models", "har-t", "--test-from", "2010-06-25"]
    return ["backtest", *own, "--processes", "1", "--json", *more]


def crps(capsys) -> float:
    return json.loads(capsys.readouterr().out)["models"][0]["horizons"]["1"]["crps"]


def test_a_run_learns_from_the_coin_named_beside(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    assert coincast(monkeypatch, *command(files, "--out", "alone")) == 0
    alone = crps(capsys)
    assert coincast(monkeypatch, *command(files, "--out", "both", "--beside", f"OTHER/USD={files / 'other.csv'}")) == 0
    assert crps(capsys) != alone
    run = Run.load(files / "both")
    assert list(run.beside) == ["file:OTHER/USD:1d"]
    assert "--beside OTHER/USD=FILE" in command_again(run)


def test_a_run_reads_realised_variance_from_shorter_bars(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    settings = 'volatility = "realised_volatility_30d"\ninputs = ["realised_day", "realised_week", "realised_month"]\n'
    (files / "recipe.toml").write_text(f"[models.har-t]\n{settings}")
    asked = command(files, "--recipe", "recipe.toml")
    assert coincast(monkeypatch, *asked, "--out", "a") == 2
    assert "realised_variance" in capsys.readouterr().err
    assert coincast(monkeypatch, *asked, "--out", "b", "--finer", str(files / "hours.csv")) == 0
    assert crps(capsys) > 0
    assert "--finer FILE" in command_again(Run.load(files / "b"))


@pytest.mark.parametrize(
    ("beside", "words"),
    [("COIN/USD={}/days.csv", "twice"), ("OTHER/USD={}/hours.csv", "mixes bars")],
)
def test_the_same_coin_or_other_bars_beside_are_refused(files, monkeypatch, capsys, beside, words):
    monkeypatch.chdir(files)
    assert coincast(monkeypatch, *command(files, "--out", "no", "--beside", beside.format(files))) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (files / "no").exists()
