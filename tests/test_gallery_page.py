"""The gallery on the screen and as a page: what they say is what was found, nothing in them can break out of them."""

import io
import re
from dataclasses import replace
from functools import cache

import pytest
from rich.console import Console

import test_report_chromium as chromium
from coincast.gallery.faults import MISTAKES
from coincast.report.gallery_page import overview as chart_of
from coincast.report.gallery_page import render_gallery
from coincast.terminal.gallery import gallery as seen
from made_audits import HOSTILE
from made_gallery import exhibit_of, gallery_of
from test_report import Page

executable, browser = chromium.executable, chromium.browser


@cache
def page():
    return Page(render_gallery(gallery_of()))


def plain(text):
    return " ".join(text.split())


def screen(shown, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(seen(shown, width))
    return console.export_text()


# --- the screen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_nothing_in_it_is_cut_off(width):
    said = screen(gallery_of(), width)
    assert plain(gallery_of().sentence) in plain(said)
    assert all(len(line.rstrip()) <= width for line in said.splitlines())
    assert "…" not in said
    for one in gallery_of().exhibits:
        [line] = re.findall(rf"^.*\b{one.mistake.name}\b.*$", said, flags=re.MULTILINE)
        assert one.mistake.findings[0] in line
        assert "4.5 %" in line
        assert "3 %" in line
        assert "6 %" in line
    assert ("R2 told" in said) == (width == 120)


def test_what_was_not_caught_is_said():
    one = exhibit_of(MISTAKES[0])
    missed = replace(one, audit=replace(one.audit, findings=()))
    shown = replace(gallery_of(MISTAKES[:2]), exhibits=(missed, exhibit_of(MISTAKES[1])))
    assert "not caught" in screen(shown, 80)
    assert "the audit caught 1" in shown.sentence


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.name)
def test_one_of_them_is_shown_with_its_code_its_numbers_and_its_audit(mistake):
    shown = gallery_of([mistake])
    [one] = shown.exhibits
    said = screen(shown, 220)
    for sign, code in (("-", mistake.change.before), ("+", mistake.change.after)):
        for line in code.splitlines():
            assert f"{sign} {line}".rstrip() in said
    for words in (mistake.title, mistake.says, mistake.exercise, one.sentence, one.note, one.caught[0].says):
        assert plain(words) in plain(said)


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_needs_no_network_and_lets_nothing_break_out_of_it():
    addresses = [a[key] for _, a in page().elements for key in ("src", "href", "action", "data") if key in a]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert page().having(http_equiv="Content-Security-Policy")[0]["content"].startswith("default-src 'none';")
    assert sum(tag == "script" for tag, _ in page().elements) == 3
    assert HOSTILE in page().text, "as words"
    assert page().texts[-1] == "An aid to decisions, not advice."


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.name)
def test_the_page_tells_each_mistake(mistake):
    text = page().text
    assert f"{mistake.number}. {mistake.title}" in text
    assert plain(mistake.change.before) in text
    assert plain(mistake.change.after) in text
    assert mistake.exercise.replace("'no change'", "“no change”") in text


def test_the_overview_places_every_score_and_keeps_far_ones_at_the_edge():
    shown = gallery_of()
    chart = chart_of(shown)
    sound, told, lived = chart.data
    assert sound["x"] == lived["x"] == [1.0] * 16
    scaled = [one.mistake.name for one in shown.exhibits].index("scaled-units")
    assert told["y"] == [row for row in range(16) if row != scaled], "scaled units have no place among prices"
    at = dict(zip(told["y"], told["x"], strict=True))
    assert at[0] == pytest.approx(0.1)
    far = [one.mistake.name for one in shown.exhibits].index("one-path")
    assert at[far] == max(told["x"])
    assert at[far] <= chart.layout["xaxis"]["range"][1]
    assert "one-path 1.00, 25.00, 1.00" in chart.alternative


def test_the_autopsy_is_of_the_classic_and_left_out_without_it():
    assert "Forecast or echo?" in page().text
    [illusion] = gallery_of().autopsy.illusions[:1]
    assert illusion.best_shift == 2, "a forecast made of the last price but one is two bars late"
    without = replace(gallery_of(), classic=None)
    assert "Forecast or echo?" not in Page(render_gallery(without)).text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", chromium.WIDTHS)
def test_the_page_is_drawn_without_a_complaint(browser, tmp_path, scheme, size):
    file = tmp_path / "gallery.html"
    file.write_text(render_gallery(gallery_of()), encoding="utf-8")
    with chromium.Opened(browser, file, scheme, size) as opened:
        assert opened.complaints == []
        assert opened.requests == [file.as_uri()]
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name in ("overview", "echo", "echo-close"):
            assert opened.page.locator(f"#chart-{name} svg.main-svg").count() > 0
