"""`coincast audit` as a person meets it: exit codes, JSON, the page, and every way of asking wrongly."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from coincast import cli
from coincast.audit import FAULTS

SOUND = """
import pandas as pd

DAY = pd.Timedelta(days=1)

def still(candles, test_from):
    known = candles[candles.time + DAY >= test_from]
    return pd.DataFrame({"ds": known.time + DAY, "cutoff": known.time, "prediction": known.close})

def peeking(candles, test_from):
    known = candles.assign(tomorrow=candles.high.shift(-1)).dropna()
    known = known[known.time + DAY >= test_from]
    return pd.DataFrame({"ds": known.time + DAY, "cutoff": known.time, "prediction": known.tomorrow})
"""
WORD = """
universe = ["BTC/USDT"]
pretrained_until = "never"
tuned_until = "never"
seeds = 1
closed = "handed closed"
"""


@pytest.fixture
def pipeline(tmp_path) -> Path:
    file = tmp_path / "pipeline.py"
    file.write_text(SOUND)
    return file


def coincast(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["coincast", *arguments])
    monkeypatch.setenv("COLUMNS", "100")
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_an_honest_pipeline_with_its_word_passes(monkeypatch, pipeline, tmp_path, capsys):
    (tmp_path / "word.toml").write_text(WORD)
    page = tmp_path / "audit.html"
    arguments = ["audit", f"{pipeline}:still", "--declare", str(tmp_path / "word.toml"), "--html", str(page), "--json"]
    assert coincast(monkeypatch, *arguments) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert said.err == ""
    assert document["outcome"] == "passed"
    assert document["control"]["seen"] == document["control"]["of"] > 0
    assert all(one["changed"] == 0 for one in document["experiments"])
    assert page.read_text().startswith("<!doctype html>")


def test_without_its_word_it_is_incomplete(monkeypatch, pipeline, capsys):
    assert coincast(monkeypatch, "audit", f"{pipeline}:still", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "incomplete"
    assert {one["fault"] for one in document["findings"]} == {"not declared"}


def test_a_leak_fails_and_names_its_bar(monkeypatch, pipeline, tmp_path, capsys):
    word = tmp_path / "word.toml"
    word.write_text(WORD + "[claims]\nmape = 0.001\n")
    assert coincast(monkeypatch, "audit", f"{pipeline}:peeking", "--declare", str(word), "--json") == 1
    document = json.loads(capsys.readouterr().out)
    found = {one["fault"]: one for one in document["findings"]}
    assert document["outcome"] == "failed"
    leak = found["same-bar feature"]
    # The bar that opens at the origin is the one that was read.
    assert leak["bar"] == leak["origin"]
    assert leak["do"] == FAULTS["same-bar feature"].do
    assert "too good to be true" in found
    assert "mape 0.001 is claimed" in found["claim not borne out"]["says"]


def test_ctrl_c_is_heard_while_a_pipeline_works(tmp_path):
    """A process of its own, as from a terminal; its sandbox, which sleeps, ends with it."""
    (tmp_path / "slow.py").write_text(
        "import os, time\nfrom pathlib import Path\ndef forecast(candles):\n"
        "    Path(__file__).with_name('asked').write_text(str(os.getpid()))\n    time.sleep(600)\n"
    )
    command = [
        sys.executable,
        "-c",
        "from coincast.cli import main; main()",
        "audit",
        f"{tmp_path / 'slow.py'}:forecast",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "asked").is_file() or not (tmp_path / "asked").read_text():
            time.sleep(0.1)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == ""
    assert "Interrupted: nothing was concluded" in complaint
    assert not psutil.pid_exists(int((tmp_path / "asked").read_text()))


def test_people_read_the_same(monkeypatch, pipeline, capsys):
    assert coincast(monkeypatch, "audit", f"{pipeline}:peeking") == 1
    said = capsys.readouterr()
    assert "peeking failed" in said.out
    assert "Traceback" not in said.out + said.err
    assert "not advice" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no model 'nobody'"),
        (["missing.py:forecast"], "names no function in a file"),
        (["naive", "--declare", "missing.toml"], "cannot be read"),
        (["naive", "--declare", "{word}"], "has no key 'tuned_til'"),
        (["naive", "--declare", "{claim}"], "claim sharpe"),
        (["{pipeline}:still", "--horizon", "3"], "--recipe or --horizon"),
        (["{pipeline}"], "names a file and no function"),
        (["{pipeline}:predict"], "Its functions are still, peeking"),
        (["{pipeline}:still", "--test-from", "2030-01-01"], "the last bar closes"),
        (["{pipeline}:still", "--html", "{word}/audit.html"], "cannot be written"),
    ],
)
def test_asked_wrongly_it_says_what_to_do(monkeypatch, pipeline, tmp_path, capsys, arguments, words):
    (tmp_path / "word.toml").write_text('tuned_til = "never"\n')
    (tmp_path / "claim.toml").write_text("[claims]\nsharpe = 3\n")
    places = {"word": tmp_path / "word.toml", "claim": tmp_path / "claim.toml", "pipeline": pipeline}
    assert coincast(monkeypatch, "audit", *(one.format(**places) for one in arguments)) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
