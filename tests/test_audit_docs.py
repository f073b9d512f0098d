"""The document on audits says what the program does: every example in it runs, every key and fault in it exists."""

import dataclasses
import os
import re
import sys
import warnings
from datetime import UTC, date, datetime
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from coincast import cli, load
from coincast.audit import FAULTS, Declarations, Pipeline, audit, read_declarations
from coincast.audit.declarations import CLAIMS

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "audit.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
FILES = {body[2 : body.index("\n")]: body for _, body in BLOCKS if re.match(r"# [\w.]+\n", body)}
SAID = [body for language, body in BLOCKS if language == "text"]
TEST_FROM = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every file that the document shows, as a reader would save them."""
    path = tmp_path_factory.mktemp("shown")
    for name, body in FILES.items():
        (path / name).write_text(body)
    return path


def plain(text):
    return re.sub(r"\s+", " ", text)


def command(arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["coincast", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.mark.parametrize(("name", "said"), [("pipeline.py", SAID[0]), ("mended.py", SAID[1])], ids=["leaks", "mended"])
def test_the_command_line_says_what_the_document_shows(name, said, folder, monkeypatch, capsys):
    arguments = ["audit", f"{folder / name}:forecast", "--processes", "2"]
    assert command([*arguments, "--html", str(folder / "audit.html")], monkeypatch) == 1
    shown = plain(capsys.readouterr().out)
    for part in said.strip().split("\n\n"):
        for line in re.split(r"\n    (?=[A-Z])", part):
            assert plain(line).strip() in shown
    assert "</html>" in (folder / "audit.html").read_text()


def shown_test(body, folder):
    """The test that the document shows, as if it stood in that folder."""
    scope = {"__file__": str(folder / "test_pipeline.py")}
    exec(compile(body, "test_pipeline.py", "exec"), scope)
    return scope["test_the_pipeline_does_not_see_the_future"]


def test_with_its_word_the_mended_pipeline_passes(folder):
    shown_test(FILES["test_pipeline.py"], folder)()


def test_the_test_shown_fails_on_the_pipeline_that_leaks(folder):
    leaking = shown_test(FILES["test_pipeline.py"].replace("mended.py", "pipeline.py"), folder)
    with pytest.raises(AssertionError, match="failed: a scale"):
        leaking()


def test_the_notebook_example_runs(capsys):
    [shown] = [body for language, body in BLOCKS if language == "python" and "def last_price" in body]
    scope = {"__name__": "__main__"}
    exec(compile(shown, "notebook", "exec"), scope)
    said = capsys.readouterr().out
    assert scope["found"].sentence in said
    assert "claim says nothing" in said
    assert scope["page"].startswith("<!doctype html>")


# --- saved models -----------------------------------------------------------------------------------------------------


def learnable(lags=10):
    """Windows of log-returns known before the test, and the return after each."""
    close = load("btc-1d").candles.until(TEST_FROM).close
    returns = np.diff(np.log(close))
    return np.lib.stride_tricks.sliding_window_view(returns, lags)[:-1], returns[lags:]


@pytest.fixture(scope="module")
def saved(folder):
    """Both predictors, saved beside their wrappers."""
    windows, after = learnable()
    joblib.dump(Ridge().fit(windows, after), folder / "model.joblib")
    save_keras(folder / "model.keras")
    shared = FILES["saved_sklearn.py"]
    rest = shared[shared.index("def forecast") :]
    imports = "import numpy as np\nimport pandas as pd\n\nLAGS = 10\n"
    (folder / "saved_keras.py").write_text(FILES["saved_keras.py"] + imports + rest)
    return folder


def save_keras(path, lags=10):
    """A small LSTM as it was drawn: what its weights are makes no difference to who may see what."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((lags, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how Keras asks NumPy for an array of JAX
        model.save(path)


@pytest.mark.parametrize("name", ["saved_sklearn.py", "saved_keras.py"])
def test_a_saved_predictor_is_asked_through_its_wrapper(name, saved):
    found = audited(saved / name, Declarations(pretrained_until=date(2019, 12, 31)))
    assert not [one for one in found.findings if one.kind.fails]
    assert found.control[0] == found.control[1] > 0
    [told] = found.predictions
    assert told.model == "saved"
    assert len(np.unique(told.point)) > 300


def test_a_wrapper_that_cuts_its_windows_a_bar_late_is_caught(saved):
    late = saved / "late.py"
    right = (saved / "saved_sklearn.py").read_text()
    late.write_text(right.replace("LAGS)[1:]", "LAGS)[2:]").replace("candles[LAGS:]", "candles[LAGS:-1]"))
    found = audited(late, Declarations())
    assert found.outcome == "failed"
    assert found.worst_first[0].fault == "same-bar feature"


def test_weights_that_have_seen_the_test_are_a_matter_of_their_maker_s_word(saved):
    found = audited(saved / "saved_sklearn.py", Declarations(pretrained_until=date(2020, 6, 30)))
    assert [one.fault for one in found.findings if one.kind.fails] == ["trained on its own test"]


def recent():
    return load("btc-1d").candles.since(datetime(2019, 1, 1, tzinfo=UTC))


def audited(file, declared):
    return audit(Pipeline.load(f"{file}:forecast").with_word(declared, {}), recent(), test_from=TEST_FROM)


def test_the_polars_example_has_a_band_that_is_scored(folder):
    found = audited(folder / "moving.py", Declarations())
    assert not [one for one in found.findings if one.kind.fails]
    assert found.predictions[0].levels == (0.05, 0.5, 0.95)
    assert set(found.appraisal.standing("Moving", 1).coverage) == {90}


# --- the words --------------------------------------------------------------------------------------------------------


def test_the_declarations_shown_are_all_there_are(folder):
    declared, claims = read_declarations(folder / "declared.toml")
    assert all(getattr(declared, field.name) is not None for field in dataclasses.fields(Declarations))
    assert set(claims) == set(CLAIMS)


def test_the_reference_it_points_to_holds_every_fault():
    reference = (ROOT / "docs" / "reference.md").read_text()
    assert "reference.md#faults" in DOCUMENT
    for name, kind in FAULTS.items():
        assert f"| {name}{'' if kind.fails else ' (remark)'} |" in reference.split("\n## Faults\n")[1]
        assert kind.do in reference


def test_every_option_named_exists(capsys, monkeypatch):
    assert command(["audit", "--help"], monkeypatch) == 0
    described = capsys.readouterr().out
    options = set(re.findall(r"--[a-z][\w-]+", DOCUMENT)) - {"--plugin"}
    assert options
    assert [one for one in options if one not in described] == []


def test_every_example_compiles():
    shown = [body for language, body in BLOCKS if language == "python"]
    assert len(shown) >= 10
    for body in shown:
        compile(body, "docs/audit.md", "exec")
