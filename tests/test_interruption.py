"""A run that is stopped stops at once, loses nothing it had finished, and ends in the same bits when called again."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

COINCAST = str(Path(sys.executable).with_name("coincast"))


def command(out: Path, recipe: Path, processes: int) -> list[str]:
    arguments = ["backtest", "--models", "ewma-t,garch-t", "--test-from", "2020-01-01", "--recipe", str(recipe)]
    return [COINCAST, *arguments, "--processes", str(processes), "--out", str(out), "--json"]


def finished_parts(out: Path) -> dict[str, int]:
    """When each finished part was written."""
    found = {}
    for file in (out / ".parts").glob("[!.]*/forecast.parquet"):
        with suppress(FileNotFoundError):
            found[file.parent.name] = file.stat().st_mtime_ns
    return found


def content(out: Path) -> tuple[bytes, dict]:
    report = json.loads((out / "report.json").read_text())
    del report["timing"]
    return (out / "forecasts.parquet").read_bytes(), report


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """Many short blocks."""
    file = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    file.write_text("refit_every = 40\n")
    return file


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, recipe) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(out, recipe, 1), check=True, capture_output=True)
    return out


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_stopped_and_called_again(how, code, tmp_path, recipe, undisturbed):
    out = tmp_path / "out"
    process = subprocess.Popen(command(out, recipe, 2), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    began = time.monotonic()
    while len(finished_parts(out)) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() - began < 120
        time.sleep(0.02)
    process.send_signal(how)
    told = process.communicate(timeout=20)[1]
    assert process.returncode == code
    assert "Traceback" not in told
    if how is signal.SIGINT:
        assert "goes on from there" in told
    assert not (out / "report.json").exists()
    kept = finished_parts(out)
    assert len(kept) > 2
    resumed = subprocess.Popen(command(out, recipe, 2), stdout=subprocess.DEVNULL)
    while resumed.poll() is None:
        now = finished_parts(out)
        assert all(now[name] == kept[name] for name in kept.keys() & now.keys()), "a finished part was done again"
        time.sleep(0.05)
    assert resumed.returncode == 0
    assert content(out) == content(undisturbed)
    assert not (out / ".parts").exists()
