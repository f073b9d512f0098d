"""The command line as a person meets it: bad input is answered in three sentences, nothing is half written."""

import gzip
import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scoringrules

from coincast import cli
from coincast.sample import SAMPLES

HEADER = "time,open,high,low,close,volume\n"
CHEAP = ["--models", "naive,naive-conformal,ewma-t", "--test-from", "2020-07-01", "--processes", "1"]


def coincast(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["coincast", *arguments])
    monkeypatch.setenv("COLUMNS", "100")
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def bars(count: int, *, start: str = "2020-01-01", change=lambda lines: lines) -> str:
    times = [datetime.fromisoformat(start) + timedelta(days=day) for day in range(count)]
    lines = [
        f"{t:%Y-%m-%dT%H:%M},{100 + i % 7},{103 + i % 7},{99 + i % 7},{101 + i % 7},{10 + i}"
        for i, t in enumerate(times)
    ]
    return HEADER + "\n".join(change(lines)) + "\n"


def swapped(position: int, column: int, value: str):
    def change(lines: list[str]) -> list[str]:
        cells = lines[position].split(",")
        cells[column] = value
        return [*lines[:position], ",".join(cells), *lines[position + 1 :]]

    return change


BAD_FILES = {
    "empty": ("", "empty"),
    "header only": (HEADER, "no"),
    "wrong columns": ("a,b,c\n1,2,3\n", "column"),
    "close only": ("time,close\n2020-01-01,1\n2020-01-02,2\n", "open"),
    "text in numbers": (bars(400, change=swapped(30, 4, "cheap")), "cheap"),
    "bad times": (bars(400, change=swapped(30, 0, "someday")), "someday"),
    "mixed time zones": (
        HEADER + "2020-01-01T00:00:00+01:00,1,1,1,1,1\n2020-01-02T00:00:00,1,1,1,1,1\n",
        "zone",
    ),
    "mixed intervals": (
        bars(40)
        + "".join(f"2020-03-01T{h:02d}:00,1,1,1,1,1\n" for h in range(24))
        + bars(40, start="2020-04-01")[len(HEADER) :],
        "interval",
    ),
    "nothing but nonsense prices": (
        HEADER + "".join(f"2020-01-{d:02d},nan,inf,-1,nan,1\n" for d in range(1, 29)),
        "close",
    ),
    "too few rows": (bars(30), "few"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used(case, tmp_path: Path, monkeypatch, capsys):
    content, said = BAD_FILES[case]
    file, out = tmp_path / "candles.csv", tmp_path / "out"
    file.write_text(content)
    arguments = [
        "run",
        "--csv",
        str(file),
        "--symbol",
        "BTC/USDT",
        "--out",
        str(out),
        "--models",
        "garch-t",
        "--processes",
        "1",
    ]
    assert coincast(monkeypatch, *arguments) == 2
    told = capsys.readouterr().err
    assert said in told.lower()
    assert told.startswith("error: ")
    assert len(told.strip().splitlines()) == 3
    assert "Traceback" not in told
    assert not list(out.glob("*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--csv", "absent.csv", "--symbol", "BTC/USDT"], "absent.csv"),
        (["run", "--csv", ".", "--symbol", "BTC/USDT"], "folder"),
        (["run", "--sample", "doge-1d"], "doge-1d"),
        (["run", "--models", "lstm-x"], "lstm-x"),
        (["run", "--models", ""], "none"),
        (["run", "--recipe", "absent.toml"], "absent.toml"),
        (["run", "--horizon", "7,1"], "ascending"),
        (["run", "--horizon", "week"], "week"),
        (["run", "--horizon", "14-1"], "14-1"),
        (["run", "--test-from", "2031-01-01"], "2031-01-01"),
        (["run", "--test-from", "2017-08-20", "--models", "garch-t"], "2017-08-20"),
        (["run", "--test-from", "yesterday"], "yesterday"),
        (["run", "--since", "2031-01-01"], "2031"),
        (["run", "--plugin", "absent.py"], "absent.py"),
        (["forecast", "--model", "absent"], "absent"),
        (["report", "absent"], "absent"),
        (["backtest", "--csv", "absent.csv"], "--symbol"),
        (["check", "--sample", "btc-1d", "--csv", "absent.csv"], "Both"),
    ],
)
def test_a_request_that_cannot_be_met(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert coincast(monkeypatch, *arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 3
    assert not list(tmp_path.rglob("*.json"))


def test_an_output_folder_that_cannot_be_made(tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("a file")
    assert coincast(monkeypatch, "run", *CHEAP, "--out", str(tmp_path / "taken")) == 2
    assert "another place" in capsys.readouterr().err


def test_models_of_someone_else_are_not_replaced(tmp_path, monkeypatch, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine").write_text("precious")
    assert coincast(monkeypatch, "backtest", *CHEAP, "--out", str(tmp_path)) == 2
    assert (tmp_path / "models" / "mine").read_text() == "precious"


def test_a_stated_interval_must_be_the_file_s(tmp_path, monkeypatch, capsys):
    (tmp_path / "c.csv").write_text(bars(400))
    assert coincast(monkeypatch, "check", "--csv", str(tmp_path / "c.csv"), "--symbol", "A/B", "--interval", "1h") == 2
    assert "1d apart" in capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A small run, made as a person would make it: by the installed command, in a process of its own."""
    out = tmp_path_factory.mktemp("run")
    command = [str(Path(sys.executable).with_name("coincast")), "backtest", *CHEAP, "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads((out / "report.json").read_text())
    assert not done.stderr
    return out


def test_a_referee_can_score_the_run_without_our_code(finished: Path):
    rows = pl.read_parquet(finished / "forecasts.parquet")
    assert rows.columns == ["model", "origin", "target_time", "horizon", "price", "values", "truth", "cutoff", "seeds"]
    report = json.loads((finished / "report.json").read_text())
    for model in report["models"]:
        for horizon, said in model["horizons"].items():
            judged = rows.filter(
                pl.col("model") == model["name"], pl.col("horizon") == int(horizon), pl.col("truth").is_not_null()
            )
            crps = scoringrules.crps_ensemble(judged["truth"].to_numpy(), judged["values"].to_numpy(), estimator="qd")
            assert len(judged) == said["n"]
            assert said["crps"] == pytest.approx(crps.mean(), rel=1e-12)


def test_truths_are_the_sample_s_own_closes(finished: Path):
    [sample] = [s for s in SAMPLES.values() if s.name == "btc-1d"]
    found = pl.read_csv(gzip.decompress(sample.content()), try_parse_dates=True)
    close = dict(zip(found["date"].dt.offset_by("2d").cast(pl.String), found["close"], strict=True))
    rows = pl.read_parquet(finished / "forecasts.parquet").drop_nulls("truth")
    known = [close[f"{t:%Y-%m-%d}"] for t in rows["target_time"]]
    assert (rows["price"] * rows["truth"].exp()).to_list() == pytest.approx(known)


def test_the_same_models_forecast_the_same_bits_in_a_new_process(finished: Path, monkeypatch, capsys):
    newest = sorted((finished / "models" / "ewma-t").iterdir())[-1]
    assert coincast(monkeypatch, "forecast", "--model", str(newest), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    rows = pl.read_parquet(finished / "forecasts.parquet").filter(pl.col("model") == "ewma-t").tail(2)
    assert said["model"] == "ewma-t"
    half = [0.25, 0.75]
    for horizon, row in zip(("1", "7"), rows.iter_rows(named=True), strict=True):
        prices = row["price"] * np.exp(np.quantile(row["values"], half, method="hazen"))
        assert [said["horizons"][horizon][end] for end in ("lo50", "hi50")] == prices.tolist()


def test_train_then_forecast(tmp_path, monkeypatch, capsys):
    model = tmp_path / "model"
    assert coincast(monkeypatch, "train", "--model", "garch-t", "--until", "2020-06-30", "--out", str(model)) == 0
    assert sorted(p.name for p in model.iterdir()) == ["model.json", "model.safetensors"]
    assert coincast(monkeypatch, "train", "--model", "garch-t", "--out", str(model)) == 2
    assert coincast(monkeypatch, "forecast", "--model", str(model)) == 0
    assert "37,371" in capsys.readouterr().out
    assert coincast(monkeypatch, "forecast", "--model", str(model), "--sample", "btc-1h") == 2
    assert coincast(monkeypatch, "forecast", "--model", str(model), "--until", "2019-12-31") == 2


def test_what_may_happen_on_the_way_is_told_of_a_model_that_forecasts_every_day(tmp_path, monkeypatch, capsys):
    model, gaps = tmp_path / "model", tmp_path / "gaps"
    assert coincast(monkeypatch, "train", "--model", "ewma-t", "--horizon", "1-7", "--out", str(model)) == 0
    assert coincast(monkeypatch, "train", "--model", "ewma-t", "--horizon", "1, 3-4", "--out", str(gaps)) == 0
    asked = ["--touch", "40000", "--touch", "35000", "--drawdown", "10%"]
    capsys.readouterr()
    assert coincast(monkeypatch, "forecast", "--model", str(model), *asked) == 0
    told = capsys.readouterr().out
    assert "40,000 USDT or above (+7.0 %)" in told
    assert "10 % or more under the highest close" in told
    assert coincast(monkeypatch, "forecast", "--model", str(model), *asked, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    way = said["on_the_way"]
    assert list(said["horizons"]) == list(way["touch"][0]["at_a_close"]) == [str(h) for h in range(1, 8)]
    last = way["touch"][0]["at_a_close"]["7"]
    assert f"{100 * last:.0f} %" in told
    assert way["touch"][0]["at_a_close"]["1"] < last < way["touch"][0]["at_any_time"]["7"]
    assert coincast(monkeypatch, "forecast", "--model", str(gaps), *asked) == 2
    assert "1, 3, 4 bars ahead" in capsys.readouterr().err
    for wrong in (["--drawdown", "deep"], ["--drawdown", "120%"], ["--touch", "0"]):
        assert coincast(monkeypatch, "forecast", "--model", str(model), *wrong) == 2


def test_check_says_what_was_done(monkeypatch, capsys):
    assert coincast(monkeypatch, "check", "--sample", "btc-1d", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bars"], said["grade"], said["findings"]) == (1246, "A", [])


def test_models_and_features_are_listed(monkeypatch, capsys):
    assert coincast(monkeypatch, "models", "--json") == 0
    assert "garch-t" in json.loads(capsys.readouterr().out)
    assert coincast(monkeypatch, "features", "--json") == 0
    assert "log_return" in json.loads(capsys.readouterr().out)
