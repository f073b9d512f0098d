"""The page and the screen of an audit: what they say is what was found, nothing in them can break out of it."""

import re
from datetime import timedelta
from functools import cache

import pytest
from rich.console import Console

from coincast import terminal
from coincast.audit import FAULTS
from coincast.report import render_audit
from coincast.report.audit_page import control, faults, headings
from coincast.report.leaks import AROUND, cuts, leak, near, reach
from coincast.report.standings import claim_rows, standing_tables
from coincast.report.style import MOST_MARKS
from made import HOURLY
from made_audits import CUTS, FIRST, HOSTILE, audit_of, crashed
from test_report import Page

DAY = timedelta(days=1)
LARGEST_PAGE = 8_000_000


@cache
def made(**settings):
    audit = audit_of(**settings)
    document = render_audit(audit)
    return audit, document, Page(document)


CASES = (
    {},
    {"faults": (), "moved": 0},
    {"faults": ("not declared",), "moved": 0, "levels": (0.5,)},
    {"faults": ("scale from the future",), "moved": 1000, "horizons": (1, 7), "claims": (("r2", 0.99), ("rmse", 1.0))},
    {"feed": HOURLY},
    {"faults": (), "moved": 0, "error": "It gave no answer."},
)


@pytest.fixture(
    params=range(len(CASES) + 1), ids=lambda number: str(CASES[number]) if number < len(CASES) else "crashed"
)
def any_page(request):
    if request.param == len(CASES):
        return Page(render_audit(crashed()))
    return made(**CASES[request.param])[2]


def test_the_page_needs_no_network_and_lets_nothing_break_out_of_it(any_page):
    page = any_page
    addresses = [a[key] for _, a in page.elements for key in ("src", "href", "action", "data") if key in a]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert page.having(http_equiv="Content-Security-Policy")[0]["content"].startswith("default-src 'none';")
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    assert HOSTILE in page.text
    assert page.texts[-1] == "An aid to decisions, not advice."


def test_every_chart_has_a_place_a_text_and_few_enough_marks(any_page):
    page = any_page
    places = {a["id"]: a for a in page.having(class_="chart")}
    assert set(places) == {f"chart-{name}" for name in page.figures}
    for name, figure in page.figures.items():
        assert re.search(r"\d", places[f"chart-{name}"]["aria-label"]), f"{name} has no number in its text"
        assert all(len(trace["x"]) <= MOST_MARKS for trace in figure["data"])


def test_the_page_opens_with_the_outcome_and_then_the_gravest_fault():
    audit, document, page = made()
    assert len(document.encode()) <= LARGEST_PAGE
    places = [
        page.text.index(words) for words in (audit.sentence, "Finding 0", "Finding 1", "Finding 4", "see 6 of 6")[:4]
    ]
    assert places == sorted(places)
    assert page.having(id="findings")
    order = [a["id"] for tag, a in page.elements if tag == "section"]
    assert order == ["outcome", "findings", "picture", "tried", "scores", "declared", "colophon"]


def test_each_fault_is_told_once_with_its_mend_and_how_it_came_to_light():
    audit, _, page = made()
    entries = faults(audit)
    assert [(one.name, one.fails, len(one.told)) for one in entries] == [
        ("same-bar feature", True, 1),
        ("too good to be true", True, 1),
        ("bands do not hold", False, 2),
        ("prints", False, 1),
    ]
    for one in entries:
        assert FAULTS[one.name].do.replace("'no change'", "“no change”") in page.text
    assert headings(audit)["findings"] == "2 faults and 2 remarks, with what to do about each"
    assert "fault, came to light by changing bars it must not know" in page.text
    # The 401st bar of 2019 and after opens on 5 February 2020; the forecast from the close before knew it.
    assert entries[0].told[0][1] == "See the forecast from the close of 5 February 2020 and the bar of 6 February 2020."


def test_every_fault_there_is_can_be_told():
    page = Page(render_audit(audit_of(tuple(FAULTS))))
    told = [one.name for one in faults(audit_of(tuple(FAULTS)))]
    assert sorted([*told, "not declared"]) == sorted(FAULTS)
    assert all(name in page.text for name in told)


def test_of_many_findings_of_one_kind_the_others_are_counted():
    [entry] = faults(audit_of(("bands do not hold",) * 7))
    assert (len(entry.told), entry.more) == (4, 3)


def test_scores_of_forecasts_that_saw_ahead_are_called_void():
    assert headings(made()[0])["scores"] == "Its scores say nothing: its forecasts knew what came after them"
    honest = audit_of((), moved=0)
    assert headings(honest)["scores"] == "What its forecasts are worth beside “no change”"
    word = re.compile(r'class="word(?: [\w-]+)?" title')
    assert set(word.findall(made()[1])) == {'class="word" title'}
    assert set(word.findall(render_audit(honest))) == {'class="word" title', 'class="word better" title'}


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_lane_a_cut_from_the_first_forecast_that_moved():
    audit, _, page = made(moved=3)
    found = cuts(audit.experiments)
    assert [cut.compared for cut in found] == [row - FIRST + 1 for row in CUTS]
    assert [cut.known_until - cut.first for cut in found] == [0 * DAY, 2 * DAY, 2 * DAY, 2 * DAY]
    drawn = page.figures["reach"]
    red = [trace for trace in drawn["data"] if trace["name"] == "moved"]
    grey = drawn["layout"]["shapes"]
    assert [trace["x"][1] for trace in red] == [shape["x0"] for shape in grey]
    assert drawn["layout"]["yaxis2"]["ticktext"] == [f"{cut.known_until:%Y-%m-%d}" for cut in found]
    assert [row["hovertemplate"].split("<br>")[1] for row in red] == [
        f"{min(3, cut.compared)} of {cut.compared} forecasts moved<extra></extra>" for cut in found
    ]


def test_experiments_at_one_cut_share_a_lane():
    audit = audit_of()
    twice = [*audit.experiments, *audit_of(moved=5).experiments]
    assert [(cut.changed, (cut.known_until - cut.first) // DAY) for cut in cuts(twice)] == [
        (1, 0),
        (5, 4),
        (5, 4),
        (5, 4),
    ]


def test_where_nothing_moved_no_lane_is_red_and_the_page_says_so():
    audit, _, page = made(faults=(), moved=0)
    assert "moved" not in {trace["name"] for trace in page.figures["reach"]["data"]}
    assert "near" not in page.figures
    assert "No forecast moved with bars that came after it" in page.text
    assert "None of 4 other futures changed a forecast" in page.text
    assert headings(audit)["findings"] == ""


def test_where_nothing_could_be_compared_there_is_no_picture():
    page = made(faults=(), moved=0, error="It gave no answer.")[2]
    assert page.figures == {}
    assert len(page.scripts) == 2, "Plotly is carried though nothing is drawn"
    assert "No other future could be tried" in page.text
    assert page.text.count("It gave no answer.") == len(CUTS)


def test_the_leak_from_close_by_is_the_forecast_and_the_bar_of_the_finding():
    audit = made()[0]
    found = leak(audit, DAY)
    assert (found.origin, found.bar) == (audit.findings[0].origin, audit.findings[0].bar)
    chart = near(audit, audit.candles, audit.predictions)
    closes, others, its = chart.data
    assert len(closes["x"]) == 2 * AROUND + 4
    assert its["x"] == [f"{found.origin - DAY:%Y-%m-%d}", f"{found.bar:%Y-%m-%d}", None]
    assert len(others["x"]) == 3 * (len(closes["x"]) - 1)
    [band, rule] = chart.layout["shapes"]
    assert (band["x0"], band["x1"]) == (
        f"{found.bar - DAY / 2:%Y-%m-%d %H:%M}",
        f"{found.bar + DAY / 2:%Y-%m-%d %H:%M}",
    )
    assert rule["x0"] == f"{found.origin - DAY:%Y-%m-%d %H:%M}"


def test_a_fault_that_shows_in_no_one_place_is_not_drawn_from_close_by():
    audit = audit_of(("scale from the future",))
    assert leak(audit, DAY) is None
    assert near(audit, audit.candles, audit.predictions) is None


def test_a_long_test_is_drawn_with_few_marks_and_both_ends():
    chart = reach(audit_of(), made()[0].candles, made()[0].predictions)
    assert chart.data[0]["x"][-1] == "2020-11-30"
    assert len(chart.data[0]["x"]) < MOST_MARKS


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_table_holds_the_appraisal_s_numbers():
    audit = made(faults=(), moved=0)[0]
    [table] = standing_tables(audit.appraisal)
    own, naive = table.rows
    standing = audit.appraisal.standing(HOSTILE, 1)
    assert (table.ahead, table.bands) == ("1 day", (90.0,))
    assert (own.model, naive.model, own.n) == (HOSTILE, "naive", f"{standing.n:,}")
    assert own.rmse == (f"{standing.rmse:,.1f}", "1.00× no change")
    assert own.coverage[0][0].startswith(f"{100 * standing.coverage[90].share:.1f}")
    assert naive.coverage == (("–", ""),)


def test_claims_stand_beside_what_was_reached_and_what_no_change_has():
    audit = audit_of((), claims={"r2": 0.987654, "mape": 0.0213, "rmse": 123.456, "mae": 1.0, "direction": 0.61})
    standing = audit.appraisal.standing(HOSTILE, 1)
    rows = {row.name: row for row in claim_rows(audit.appraisal, audit.claims)}
    assert [row.claimed.replace("\N{NO-BREAK SPACE}", " ") for row in rows.values()] == [
        "0.9877",
        "2.13 %",
        "123.5",
        "1.000",
        "61.0 %",
    ]
    # These forecasts hold the last price, so all but the direction they never name are those of no change.
    assert all(row.reached == row.no_change for row in rows.values())
    assert rows["R²"].reached == f"{standing.r2:.4f}"
    assert rows["direction right"].reached == "–"


def test_a_planted_leak_that_goes_unseen_is_no_comfort():
    assert "shows in 6 of 6 experiments" in control(audit_of())
    assert "shows in only 4 of 6 experiments. A leak could hide." in control(audit_of(seen=4))
    assert control(crashed()).endswith("would be found could not be tried.")


def test_what_is_declared_and_what_is_not():
    _, _, page = made()
    assert f"BTC/USDT and {HOSTILE}" in page.text
    assert "1 May 2019" in page.text
    assert "1 thing that no test can show is not declared" in page.text
    assert "seeds : how many networks there are." in page.text
    assert "All that no test can show is declared" in made(faults=(), moved=0)[2].text


def test_intraday_cuts_carry_the_time_of_day():
    assert made(feed=HOURLY)[2].figures["reach"]["layout"]["yaxis2"]["ticktext"][0] == "2019-01-13 13:00"


# --- the screen -------------------------------------------------------------------------------------------------------


def said(audit, width):
    console = Console(width=width, record=True)
    with console.capture() as shown:
        console.print(terminal.audit(audit, width))
    return shown.get()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_screen_says_it_at_any_width(width):
    audit = audit_of(moved=2)
    text = said(audit, width)
    assert max(map(len, text.splitlines())) <= width
    plain = re.sub(r"\s+", " ", text)
    assert plain.startswith(audit.sentence)
    for words in ("✕ same-bar feature Finding 0", "○ prints", "4 of 4 other futures changed a forecast", "6 of 6"):
        assert words in plain
    assert plain.count("bands do not hold") == 1
    assert plain.index("Its scores say nothing") < plain.index(audit.appraisal.headline)
    assert plain.index(audit.appraisal.headline) < plain.index("1 x 1d ahead")
    assert plain.rstrip().endswith("An aid to decisions, not advice.")


def test_a_pass_is_short_and_lists_no_experiment():
    text = said(audit_of((), moved=0), 80)
    assert "None of 4 other futures changed a forecast" in text
    assert "raised" not in text
    assert "Its scores say nothing" not in text


def test_a_crash_is_a_fault_with_the_place_and_no_scores():
    text = said(crashed(), 80)
    assert "✕ crashes" in text
    assert HOSTILE in text
    assert "other futures" not in text
