"""A gallery's work and what it concludes from it, the command, and the chapter that is written from a run."""

import itertools
import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
import typer
from bench.gallery import CHAPTER, KEPT, MARK, anchor, section, woven
from typer.testing import CliRunner

from coincast import cli
from coincast.cli import showing
from coincast.gallery import curator
from coincast.gallery.exhibit import middle
from coincast.gallery.faults import MISTAKES, mistake_named
from coincast.gallery.learners import Ridge
from made_gallery import candles, exhibit_of, score_of

FEW = ("same-bar", "tiny-test", "scaled-units", "survivors")


@cache
def few():
    """Four of them on the last two months of the sample, with two learners, and on a few small coins."""
    end = candles("btc-1d").end
    done = []
    with pytest.MonkeyPatch.context() as small:
        for name, count in {"COIN_BARS": 260, "COIN_TEST": 40, "COINS": 20}.items():
            small.setattr(curator, name, count)
        shown = curator.show(
            [mistake_named(name) for name in FEW],
            candles("btc-1d"),
            end - timedelta(days=60),
            [Ridge(penalties=(1e-4,)), Ridge(penalties=(1e-3,))],
            monitor=lambda count, total, words: done.append((count, total, words)),
        )
    return shown, done


def made(name="same-bar", **given):
    return exhibit_of(mistake_named(name), **given)


# --- what is concluded ------------------------------------------------------------------------------------------------


def test_a_report_is_better_only_beyond_every_run_of_the_sound_recipe():
    assert made(told=(0.039,)).better == ("MAPE",)
    assert made(told=(0.041,)).better == ()
    assert made(told=(0.041,), r2=0.91).better == ("R2",)
    assert made(told=(0.03,), r2=0.91).better == ("MAPE", "R2")
    assert made(told=(0.03, 0.05, 0.06), lived=(1.0, 1.0, 1.0)).better == (), "the median counts"
    assert made(told=(0.5,), ratio=None).better == ("RMSE",)


def test_it_falls_where_it_does_worse_live_than_was_reported():
    assert made(told=(0.03,), lived=(0.031,)).falls
    assert not made(told=(0.03,), lived=(0.03,)).falls
    assert made(told=(0.03,), lived=(0.01,), ratio=None).falls, "in another unit it cannot be lived with"


def test_the_sentence_says_a_loss_as_plainly_as_a_win():
    assert made(told=(0.03,)).sentence.startswith("The report gets better in MAPE: MAPE 3 % and R2 0.900 where")
    assert made(told=(0.07,)).sentence.startswith("It does not flatter here: MAPE 7 %")
    assert "Live the same code has MAPE 6 %" in made().sentence
    other = made(n=30, ratio=0.5).sentence
    assert (
        "over them its RMSE is 0.50 times that of 'no change', over its own the sound recipe's is 1.00 times" in other
    )
    assert "other bars" not in made().sentence


def test_a_claim_is_set_beside_no_change():
    kept = made("no-baseline", sound=(0.04,), told=(0.04,), lived=(0.04,))
    assert kept.sentence == (
        "The report says MAPE 4 % and R2 0.900; over the same bars 'no change' has MAPE 2 % and R2 0.950."
    )


def test_the_middle_is_the_median_of_each_number():
    scores = [score_of(0.1, r2=0.5, ratio=2.0), score_of(0.3, r2=0.7, ratio=None), score_of(0.2, r2=None, ratio=4.0)]
    found = middle(scores)
    assert found.own.mape == 0.2
    assert found.own.r2 == pytest.approx(0.6)
    assert found.no_change.rmse == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert middle([score_of(0.1, r2=None, ratio=None)]) == score_of(0.1, r2=None, ratio=None)


# --- what is done -----------------------------------------------------------------------------------------------------


def test_every_task_is_counted_once():
    shown, done = few()
    totals = {total for _, total, _ in done}
    # Two subjects for two learners, drawn coins for one; each mistake likewise; an audit each, and one without.
    assert totals == {2 + 1 + 3 * 2 + 1 + 5}
    counts = [count for count, _, _ in done]
    assert counts == sorted(counts)
    assert counts[-1] == totals.pop()
    assert {name for *_, name in done} >= set(FEW)
    assert shown.learners == 2


def test_each_exhibit_is_caught_and_sixty_forecasts_are_too_few_for_the_sound_recipe():
    shown, _ = few()
    assert [one.mistake.name for one in shown.exhibits] == list(FEW)
    for one in shown.exhibits:
        assert one.caught, one.mistake.name
    assert [one.fault for one in shown.audit.findings if one.kind.fails] == ["too few forecasts"]
    assert shown.sentence.startswith("4 mistakes: ")
    assert shown.sentence.endswith("the audit caught 4. The sound recipe does not pass.")
    passed = replace(shown, audit=replace(shown.audit, findings=()))
    assert passed.sentence.endswith("The sound recipe passes.")


def test_runs_are_those_of_each_learner():
    same_bar = few()[0].exhibits[0]
    assert len(same_bar.sound) == len(same_bar.wrong) == 2
    assert same_bar.sound[0].told.own.rmse != same_bar.sound[1].told.own.rmse
    for run in same_bar.sound:
        assert run.told.own == pytest.approx(run.lived.own, rel=1e-9)
    survivors = few()[0].exhibits[3]
    assert len(survivors.wrong) == 1
    assert survivors.wrong[0].told.n == survivors.wrong[0].lived.n / 2, "half of the coins are still listed"


def test_months_differ_and_the_note_says_how_much():
    sound = few()[0].classic.frame.drop_nulls("y")
    off = (sound["prediction"] / sound["y"] - 1).abs()
    months = [100 * off.slice(first, 30).mean() for first in range(0, len(off) - 29, 30)]
    note = few()[0].exhibits[1].note
    assert f"Cut into {len(months)} such months" in note
    assert f"{min(months):.2g} % in the best" in note
    assert f"{max(months):.2g} % in the worst" in note


def test_the_document_holds_every_run_and_is_json():
    document = json.loads(json.dumps(few()[0].document(), allow_nan=False))
    one = document["exhibits"][0]
    assert [score["mape"] for score in one["sound"]] == [run.told.own.mape for run in few()[0].exhibits[0].sound]
    assert one["caught_as"] == ["same-bar feature"]
    assert one["findings"][0]["fault"] == "same-bar feature"
    assert document["schema"] == "coincast-gallery/1"
    assert document["exhibits"][2]["reported"][0]["no_change"] is None


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def app():
    made = typer.Typer()
    made.command()(showing.gallery)
    return made


def test_the_command_answers_with_json_and_writes_the_page(app, tmp_path):
    page = tmp_path / "gallery.html"
    asked = ["--fault", "14", "--learner", "ridge", "--processes", "1", "--since", "2019", "--json"]
    answer = CliRunner().invoke(app, [*asked, "--test-from", "2020-12-01", "--html", str(page)])
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    assert [one["name"] for one in document["exhibits"]] == ["label-shift"]
    assert document["test_from"] == "2020-12-01T00:00:00+00:00"
    assert "</html>" in page.read_text()


@pytest.mark.parametrize(
    ("option", "value", "expected"), [("--fault", "nothing", "no mistake 'nothing'"), ("--learner", "svm", "'svm'")]
)
def test_a_name_that_is_not_there_is_refused_before_any_work(option, value, expected, app):
    answer = CliRunner().invoke(app, [option, value])
    assert expected in str(answer.exception)
    assert isinstance(answer.exception, cli.CoincastError)


# --- the chapter ------------------------------------------------------------------------------------------------------

TEXT = CHAPTER.read_text()


def test_the_chapter_holds_what_the_kept_runs_found():
    assert woven(TEXT) == TEXT, "run python -m bench.gallery"
    marks = {found[1] for found in MARK.findall(TEXT)}
    assert marks >= {f"mistake {mistake.name}" for mistake in MISTAKES}
    assert marks >= {"recipe", "sentence", "table lstm", "table ridge"}


def test_every_heading_is_the_mistake_s_and_every_link_leads_to_one():
    documents = json.loads(KEPT["lstm"].read_text())["exhibits"]
    headings = re.findall(r"^### (.*)$", TEXT, flags=re.MULTILINE)
    assert sorted(headings) == sorted(f"{mistake.number}. {mistake.title}" for mistake in MISTAKES)
    for one in documents:
        assert f"(#{anchor(one)})" in TEXT
        assert section(one) in TEXT
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", TEXT):
        assert (CHAPTER.parent / picture).stat().st_size < 300_000


def test_the_examples_run_and_print_what_the_chapter_says(capsys):
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    names = {"__name__": "__main__"}
    ran = 0
    for (language, body), (after, said) in itertools.pairwise(blocks):
        if language == "python" and after == "text":
            exec(compile(body, "docs/gallery.md", "exec"), names)
            assert capsys.readouterr().out == said
            ran += 1
    assert ran == 5
