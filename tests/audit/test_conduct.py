"""However a pipeline behaves, the audit ends with a finding and never with a traceback."""

import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import polars as pl
import psutil
import pytest

from audit import misbehaving
from coincast.audit import Declarations, Pipeline, audit
from coincast.audit.conduct import misbehaviour
from coincast.audit.interview import Interview
from coincast.candles import Candles
from coincast.sandbox import Question
from coincast.worlds import Law, draw

FILE = Path(misbehaving.__file__)
CANDLES = draw(Law(), 420, seed=1).candles
QUESTION = Question(CANDLES, CANDLES.end, CANDLES.end)


def audited(target, timeout=30.0):
    pipeline = target if isinstance(target, Pipeline) else Pipeline.load(f"{FILE}:{target}")
    done = audit(pipeline, CANDLES, timeout=timeout, processes=1)
    assert done.sentence
    assert done.document()["outcome"] == done.outcome
    return done


def faults(done):
    return {one.fault for one in done.findings if one.kind.shown == "conduct"}


# --- asked once, many of one process ----------------------------------------------------------------------------------

ANSWERS = {
    "crashes": ["raises", "exits", "exits_at_once", "is_killed", "reads_nowhere"],
    "prints": ["prints", "prints_below_python"],
    "mutates its input": ["writes_values", "writes_times", "writes_a_column", "sets_an_index", "sorts"],
    "nonsense": [
        *("nothing", "an_array", "a_text", "a_number", "objects", "words", "no_rows", "no_columns", "nans"),
        *("infinities", "twice", "off_the_grid", "a_generator", "a_class"),
    ],
    "": [
        *(
            "naive",
            "closes_its_streams",
            "leaves_a_thread",
            "starts_a_process",
            "reads_its_input_stream",
            "times_without_zone",
        ),
        *("rows_out_of_order", "whole_numbers"),
    ],
}


@pytest.fixture(scope="module")
def interview():
    asked = Interview(Pipeline.load(f"{FILE}:chosen"), timeout=30.0, processes=1)
    yield asked
    asked.close()


def question_for(name):
    """The candles whose first volume chooses this one."""
    place = [function.__name__ for function in misbehaving.BY_VOLUME].index(name)
    here = pl.int_range(pl.len()) == 0
    volume = pl.when(here).then(float(place)).otherwise(pl.col("volume")).alias("volume")
    return QUESTION._replace(candles=Candles(CANDLES.feed, CANDLES.frame.with_columns(volume)))


@pytest.mark.parametrize(("fault", "name"), [(fault, name) for fault, names in ANSWERS.items() for name in names])
def test_one_answer_shows_one_fault(interview, fault, name):
    [reply] = interview.ask([question_for(name)], name)
    assert [one.fault for one in misbehaviour(reply)] == ([fault] if fault else [])
    assert bool(reply.predictions) == (fault in ("", "prints", "mutates its input"))


def test_after_all_of_them_the_honest_are_still_heard(interview):
    replies = interview.ask([question_for(name) for name in ("naive", "is_killed", "nans", "naive", "naive")], "again")
    assert [bool(reply.predictions) for reply in replies] == [True, False, False, True, True]


# --- audited whole ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("drops_a_column_of_candles", "mutates its input"),
        ("by_chance", "not reproducible"),
        ("by_an_unset_seed", "not reproducible"),
        ("by_the_number_of_calls", "not reproducible"),
        ("keeps_what_it_learnt", "not reproducible"),
    ],
)
def test_an_audit_names_the_fault_and_no_other(name, fault):
    """Chance and memory move every forecast; that is their fault, and no look into the future."""
    done = audited(name)
    assert done.outcome == "failed"
    assert {one.fault for one in done.findings if one.kind.fails} == {fault}


@pytest.mark.parametrize("name", ["never_ends", "sleeps"])
def test_what_does_not_end_is_ended(name):
    done = audited(name, timeout=2.0)
    assert faults(done) == {"hangs"}
    assert done.seconds < 30


def test_a_file_that_is_read_in_place_of_the_candles(tmp_path):
    table = CANDLES.frame.with_columns(pl.col("close") * 1.01)
    table.write_csv(tmp_path / "prices.csv")
    file = tmp_path / "misbehaving.py"
    file.write_text(FILE.read_text())
    done = audited(Pipeline.load(f"{file}:its_own_file"))
    assert {"reads something else"} == {one.fault for one in done.findings if one.kind.fails}


@pytest.fixture
def folder(tmp_path):
    """The pipelines in a folder of their own, where they may leave files."""
    (tmp_path / FILE.name).write_text(FILE.read_text())
    return tmp_path


def test_a_fit_kept_on_disk_is_told_and_passes_no_audit(folder):
    """Every later answer is the first one's, so no change of the future could show what that fit has seen."""
    done = audited(Pipeline.load(f"{folder / FILE.name}:keeps_what_it_learnt_on_disk"))
    assert done.outcome == "incomplete"
    [found] = [one for one in done.findings if one.fault == "keeps files"]
    assert "'fit.txt'" in found.says
    assert not [one for one in done.findings if one.kind.fails]


def test_a_fit_kept_from_an_earlier_audit_contradicts_that_it_starts_from_nothing(folder):
    pipeline = Pipeline.load(f"{folder / FILE.name}:keeps_what_it_learnt_on_disk")
    audited(pipeline)
    silent = audited(pipeline)
    assert not {"keeps files", "reads files"} & {one.fault for one in silent.findings}
    said = audited(pipeline.with_word(Declarations(pretrained_until="never"), {}))
    [found] = [one for one in said.findings if one.fault == "reads files"]
    assert "'fit.txt'" in found.says
    assert said.outcome == "incomplete"


def test_weights_written_and_read_within_one_answer_are_nothing_to_tell(folder):
    """Asked side by side, two processes would read each other's."""
    pipeline = Pipeline.load(f"{folder / FILE.name}:goes_back_to_its_best_weights")
    done = audit(pipeline, CANDLES, processes=2)
    assert not [one for one in done.findings if one.kind.fails or one.fault == "keeps files"]


def test_what_a_pipeline_started_is_ended_though_it_ended_before(folder):
    """In its place in the group of the sandbox, which is ended as a whole."""
    asked = Interview(Pipeline.load(f"{folder / FILE.name}:starts_a_process_and_ends"), timeout=30.0, processes=1)
    with closing(asked):
        [reply] = asked.ask([QUESTION], "once")
    assert "code 3" in reply.answer.words
    time.sleep(0.5)
    assert not lives(int((folder / "child.txt").read_text()))


def lives(process):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    return False


def test_forecasts_of_other_years():
    done = audited("other_dates")
    assert {"nonsense", "nothing to score"} == {one.fault for one in done.findings if one.kind.fails}


def test_what_refuses_unusual_prices_is_not_called_a_leak():
    """A check of the range of prices: nothing could be looked for, so it did not pass either."""
    done = audited("refuses_high_prices")
    assert done.outcome == "incomplete"
    assert faults(done) == {"refuses other candles", "not looked at"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise RuntimeError('no data today')", "no data today"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("import os; os._exit(3)", "code 3"),
        ("def forecast(candles:\n", "SyntaxError"),
        ("forecast = 3", "not a callable"),
        ("from math import pi as forecast", "not a callable"),
        ("def prophecy(candles): ...\nif prophecy is None:\n    forecast = prophecy", "forecast"),
        ("def forecast(): ...", "takes no candles"),
        ("import time; time.sleep(3600)", "no answer within"),
    ],
)
def test_a_file_that_cannot_be_asked(tmp_path, text, says):
    file = tmp_path / "pipeline.py"
    file.write_text(text)
    done = audited(Pipeline.load(f"{file}:forecast"), timeout=8.0)
    [found] = done.findings
    assert found.fault in ("crashes", "hangs")
    assert says in found.says


def test_a_function_that_holds_what_cannot_be_sent():
    lock = threading.Lock()

    def forecast(candles):
        with lock:
            return misbehaving.naive(candles)

    [found] = audited(Pipeline.of(forecast)).findings
    assert found.fault == "crashes"
    assert "lock" in found.says


def test_a_function_of_a_module_that_is_not_installed():
    """It is imported over there from where it was imported here."""
    done = audited(Pipeline.of(misbehaving.naive))
    assert done.source == "audit.misbehaving: naive"
    assert done.predictions
    assert not faults(done)
