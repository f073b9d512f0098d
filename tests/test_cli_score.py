"""The command `score` as a person meets it, and its document."""

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from coincast import cli
from coincast.appraisal import appraise
from coincast.predictions import predictions
from coincast.sample import load
from coincast.terminal.score import appraisal
from test_cli import coincast

FRAMES = Path(__file__).parent / "frames"
DOCUMENT = (Path(__file__).parents[1] / "docs" / "score.md").read_text()


def cross_validation(first=880, horizons=(1,), **columns) -> pl.DataFrame:
    """Forecasts of the sample's closes as a cross-validation writes them; `columns` are factors of the last close."""
    candles = load("btc-1d").candles
    rows = [(row, ahead) for row in range(first, len(candles)) for ahead in horizons if row + ahead < len(candles)]
    origin, target = np.array([row for row, _ in rows]), np.array([row + ahead for row, ahead in rows])
    told = {name.replace("_", "-"): candles.close[origin] * factor for name, factor in columns.items()}
    return pl.DataFrame({"unique_id": "BTC", "ds": candles.time[target], "cutoff": candles.time[origin], **told})


@pytest.fixture
def frame(tmp_path) -> Path:
    written = cross_validation(LAST=1.0, LAST_lo_90=0.9, LAST_hi_90=1.1, UP=1.01)
    written.write_csv(tmp_path / "forecasts.csv")
    return tmp_path / "forecasts.csv"


@pytest.fixture
def candles(tmp_path) -> Path:
    load("btc-1d").candles.frame.drop("observed").write_csv(tmp_path / "candles.csv")
    return tmp_path / "candles.csv"


def test_a_frame_and_a_file_of_candles_are_all_it_needs(monkeypatch, capsys, frame, candles):
    assert coincast(monkeypatch, "score", str(frame), "--candles", str(candles)) == 0
    said = capsys.readouterr().out
    assert "From 365 origins, LAST forecast the spread of tomorrow's price" in " ".join(said.split())
    assert "1 x 1d ahead" in said
    for word in ("UP", "LAST", "naive", "garch-t", "x no change", "90 %", "worse"):
        assert word in said
    assert said.rstrip().endswith("An aid to decisions, not advice.")


def test_json_is_the_document_and_nothing_else(monkeypatch, capsys, frame):
    assert coincast(monkeypatch, "score", str(frame), "--sample", "btc-1d", "--json") == 0
    told = capsys.readouterr()
    assert told.err == ""
    document = json.loads(told.out)
    sample = load("btc-1d").candles
    found, taken = predictions(pl.read_csv(frame), sample.feed)
    expected = appraise(found, sample)
    assert document["headline"] == expected.headline
    assert document["notes"] == [*taken, *expected.notes]
    assert document["digest"] == sample.digest
    assert [model["name"] for model in document["models"]] == ["LAST", "UP"]
    assert document["models"][1]["horizons"]["1"]["rmse"] == expected.standing("UP", 1).rmse


def test_what_prophet_wrote_is_judged_from_the_cutoff_given(monkeypatch, capsys):
    arguments = ["score", str(FRAMES / "prophet.csv"), "--sample", "btc-1d", "--cutoff", "2021-01-07", "--json"]
    assert coincast(monkeypatch, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["models"][0]["horizons"]) == ["1", "2", "3", "4", "5", "6"]
    assert document["headline"].startswith("1 forecast is too few to tell")
    assert any("80 % interval" in note for note in document["notes"])


def test_of_many_horizons_some_are_shown():
    candles = load("btc-1d").candles
    found, _ = predictions(cross_validation(horizons=range(1, 15), LAST=1.0), candles.feed)
    drawn = printed(appraise(found, candles), 80)
    assert [int(h) for h in re.findall(r"^(\d+) x 1d ahead", drawn, flags=re.MULTILINE)] == [1, 8, 14]
    assert "14 horizons were judged, 3 are shown" in drawn


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_the_screen_and_holds_the_appraisal_s_numbers(width):
    candles = load("btc-1d").candles
    found, _ = predictions(cross_validation(LAST=1.0, LAST_lo_90=0.9, LAST_hi_90=1.1, UP=1.01), candles.feed)
    done = appraise(found, candles)
    drawn = printed(done, width)
    assert max(map(len, drawn.splitlines())) <= width
    [row] = [line.split() for line in drawn.splitlines() if line.startswith("UP ")]
    standing = done.standing("UP", 1)
    assert f"{standing.crps:.5f}" in row
    assert f"{standing.rmse_ratio:.3f}" in row
    assert (f"{100 * standing.mape:.2f}" in row) == (width == 140)
    [band] = [line.split() for line in drawn.splitlines() if line.startswith("LAST ")]
    assert f"{100 * done.standing('LAST', 1).coverage[90].share:.1f}" in band


def test_names_are_whole_on_a_narrow_screen():
    candles = load("btc-1d").candles
    bands = {f"LONG_NAME{end}_{band}": 1.0 for band in (80, 95) for end in ("_lo", "_hi")}
    written = cross_validation(LONG_NAME=1.0, **bands).rename(lambda name: name.replace("LONG-NAME", "garch-t"))
    found, _ = predictions(written, candles.feed)
    drawn = printed(appraise(found, candles), 80)
    assert "\ngarch-t (theirs) " in drawn
    assert "too short" in drawn or "no better" in drawn or "worse" in drawn


def printed(done, width) -> str:
    screen = io.StringIO()
    Console(width=width, file=screen).print(appraisal(done, width))
    return screen.getvalue()


REFUSED = {
    "no such frame": (["nowhere.csv", "--sample", "btc-1d"], "There is no file"),
    "no forecast": (["FRAME:ds,note\n2020-01-01,a\n", "--sample", "btc-1d"], "No forecast is recognised"),
    "other years": (["FRAME:ds,yhat\n2031-01-01,1\n", "--sample", "btc-1d"], "No forecast of 1 can be scored"),
    "two sources": (["FRAME:ds,yhat\n2020-01-01,1\n", "--sample", "btc-1d", "--candles", "b.csv"], "Both"),
    "no candles": (["FRAME:ds,yhat\n2020-01-01,1\n", "--candles", "nowhere.csv"], "There is no file nowhere.csv"),
    "no day": (["FRAME:ds,yhat\n2020-01-01,1\n", "--sample", "btc-1d", "--cutoff", "soon"], "'soon' is not a date"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_answered_in_three_sentences_and_exit_code_two(monkeypatch, capsys, tmp_path, case):
    arguments, found = REFUSED[case]
    if arguments[0].startswith("FRAME:"):
        (tmp_path / "frame.csv").write_text(arguments[0].removeprefix("FRAME:"))
        arguments = [str(tmp_path / "frame.csv"), *arguments[1:]]
    assert coincast(monkeypatch, "score", *arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"error: {found}") or f"error: {found}" in told.err
    assert len(told.err.strip().splitlines()) == 3
    assert "Traceback" not in told.err + told.out


def test_an_interruption_is_a_sentence(monkeypatch, capsys, frame):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("coincast.appraisal.appraise", stop)
    assert coincast(monkeypatch, "score", str(frame), "--sample", "btc-1d") == 130
    assert "Interrupted: nothing was scored." in capsys.readouterr().err


# --- the document -----------------------------------------------------------------------------------------------------


def test_the_example_of_the_document_prints_what_it_says(capsys):
    [example] = re.findall(r"^```python\n(.*?)^```\n", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    [expected] = re.findall(r"^prints\n\n```\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    exec(compile(example, "score.md", "exec"), {})
    assert capsys.readouterr().out.split() == expected.split()


def test_every_option_of_the_document_exists(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["coincast", "score", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    described = capsys.readouterr().out
    lines = re.findall(r"^coincast score (.*?)(?:  #.*)?$", DOCUMENT, flags=re.MULTILINE)
    assert len(lines) == 3
    for option in re.findall(r"--[\w-]+", " ".join([*lines, "--cutoff"])):
        assert option in described


@pytest.mark.parametrize(
    "columns",
    [
        line.split("|")[2]
        for line in DOCUMENT.splitlines()
        if re.match(r"\| (Prophet|darts|statsforecast|Chronos)", line)
    ],
)
def test_every_form_that_the_document_names_is_read(columns):
    """The table's names, put over numbers, are forecasts."""
    named = re.findall(r"`([^`(]+)`", columns)[0].split(", ")
    values = {name: [100.0 + place] for place, name in enumerate(named)}
    texts = {"unique_id": ["BTC"], "item_id": ["BTC"]}
    times = {name: ["2020-01-01"] for name in ("ds", "timestamp")} | {"cutoff": ["2019-12-31"]}
    keep = {name: (texts | times).get(name, value) for name, value in values.items()}
    if not {"ds", "timestamp"} & set(keep):
        keep["time"] = ["2020-01-01"]
    if "timestamp" in keep:
        keep |= {level: [100.0] for level in ("0.1", "0.5", "0.9")}
    [found], _ = predictions(pl.DataFrame(keep), load("btc-1d").candles.feed)
    assert len(found.levels) == 3
