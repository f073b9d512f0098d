"""The report: what it says is what the run holds, nothing else, and nothing in it can break out of it."""

import dataclasses
import html
import io
import itertools
import json
import math
import re
from functools import cache
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from coincast.clean import Repairs
from coincast.feed import from_numpy
from coincast.inference import confidence_sets
from coincast.report import render
from coincast.report.page import command_again, encode
from coincast.report.resample import bars, extremes
from coincast.report.scoreboard import score_tables
from coincast.report.statements import headings, linked
from coincast.report.style import MOST_MARKS, Axis, hues, percent, price, skill, spread
from coincast.report.words import bar_of, span
from coincast.terminal.run import result
from coincast.verdict import judge
from made import DAILY, HOURLY, candles_of, walk
from report_runs import BARS, MENDED, MISSING, SCALE, TEST_FROM, run_of, with_wicks

LARGEST_PAGE = 8_000_000


class Page(HTMLParser):
    """The page as a reader has it: elements with their attributes, visible text, and what scripts hold."""

    def __init__(self, document):
        super().__init__()
        self.elements, self.texts, self.scripts, self.within, self.rows = [], [], {}, [], []
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag not in ("meta", "link", "br", "rect", "path", "i"):
            self.within.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if self.within and self.within[-1][0] == tag:
            self.within.pop()

    def handle_data(self, data):
        inside = self.within[-1] if self.within else ("", {})
        if inside[0] == "script":
            self.scripts[inside[1].get("id", len(self.scripts))] = data
        elif inside[0] != "style" and data.strip():
            self.texts.append(re.sub(r"[ \n]+", " ", data).strip(" "))
            if self.rows and any(tag in ("td", "th") for tag, _ in self.within):
                self.rows[-1].append(self.texts[-1])

    @property
    def text(self):
        return " ".join(self.texts)

    @property
    def figures(self):
        def refuse(name):
            raise AssertionError(f"{name} in the page's JSON")

        return json.loads(self.scripts["figures"], parse_constant=refuse)

    def having(self, **wanted):
        keys = {key.rstrip("_").replace("_", "-"): value for key, value in wanted.items()}
        return [a for _, a in self.elements if all(a.get(key) == value for key, value in keys.items())]


@cache
def made(**settings):
    run = run_of(**settings)
    document = render(run)
    return run, document, Page(document)


RUNS = (
    {},
    {"models": ("naive",)},
    {"models": ("naive", "naive-conformal")},
    {"models": ("lstm-t", "garch-t"), "horizons": (1,)},
    {"bars": 155},
    {"bars": 160, "horizons": (24,)},
    {"bars": 165, "horizons": (1, 24)},
    {"feed": HOURLY, "source": "hours.csv", "is_sample": False},
)


@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_every_run_gives_a_page_that_needs_no_network_and_ends_with_the_warning(settings):
    _, document, page = made(**settings)
    assert len(document.encode()) <= LARGEST_PAGE
    assert page.texts[-1] == "An aid to decisions, not advice."
    addresses = [a[key] for _, a in page.elements for key in ("src", "href", "action", "data") if key in a]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    policy = page.having(http_equiv="Content-Security-Policy")[0]["content"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_every_chart_has_a_place_a_text_and_few_enough_marks(settings):
    _, _, page = made(**settings)
    assert {"fan", "history"} <= set(page.figures)
    places = {a["id"]: a for a in page.having(class_="chart")}
    assert set(places) == {f"chart-{name}" for name in page.figures}
    for name, figure in page.figures.items():
        assert places[f"chart-{name}"]["aria-label"].strip(), name
        assert re.search(r"\d", places[f"chart-{name}"]["aria-label"]), f"{name} has no number in its text"
        for trace in figure["data"]:
            assert len(trace["x"]) <= MOST_MARKS, name


@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_links_inside_the_page_lead_somewhere(settings):
    _, _, page = made(**settings)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in page.elements if a.get("href", "").startswith("#")} <= set(ids)


def test_the_verdict_opens_the_page_and_a_sample_says_first_how_old_it_is():
    run, _, page = made()
    first = page.text.index(run.preface[0])
    assert run.preface[0].startswith("Historical sample to 2020-08-22")
    verdict = page.text.index(f"On 444 days of {run.candles.feed.symbol}")
    assert first < verdict < page.text.index("coincast run --csv YOUR.csv") < page.text.index("as often as not")
    assert ("h1", {}) in page.elements


def test_candles_that_are_not_a_sample_come_without_that_warning():
    _, _, page = made(feed=HOURLY, source="hours.csv", is_sample=False)
    assert "Historical sample" not in page.text
    assert "YOUR.csv" not in page.text


def test_the_headline_is_whole_and_its_numbers_are_links():
    run, _, page = made()
    sentences = [linked(sentence, headings(run)) for sentence in run.headline.split("\n")]
    assert html.unescape(re.sub(r"<[^>]*>", "", " ".join(sentences))) == run.headline
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert links[:5] == ["#scores"] * 5
    assert "#echo" in links


def test_a_number_is_linked_whole_and_a_name_is_not():
    said = str(linked("On 1,826 days of 1INCH/USDT, lstm-t2 (CRPS 0.90 % lower, p < 0.001, 5 of 5 years).", ["scores"]))
    assert re.findall(r">([^<]*)</a>", said) == ["1,826", "0.90 %", "p &lt; 0.001", "5", "5"]
    assert 'href="#echo"' not in str(linked("The price LSTM (seed-lstm) lost 2.36 times.", ["scores"]))
    assert 'href="#echo"' in str(linked("The price LSTM (seed-lstm) lost 2.36 times.", ["scores", "echo"]))


def test_the_score_tables_hold_the_runs_own_numbers_best_first():
    run, _, page = made()
    models = {s.model for s in run.summaries}
    found = [row for row in page.rows if row and row[0] in models and {"▲", "=", "▼"} & set(row)]
    best_first = sorted(run.summaries, key=lambda s: (s.horizon, s.crps))
    assert [row[0] for row in found] == [s.model for s in best_first]
    naive = {s.horizon: s for s in run.summaries if s.model == "naive"}
    verdicts = {(v.model, v.horizon): v for v in run.verdicts}
    for row, s in zip(found, best_first, strict=True):
        assert row[2] == verdicts[s.model, s.horizon].word
        assert f"{s.crps:.5f}" in row
        assert float(row[row.index(f"× {s.rmse / naive[s.horizon].rmse:.2f}") - 1].replace(",", "")) == float(
            f"{s.rmse:.4g}"
        )
        assert f"{100 * s.mape:.2f}\N{NO-BREAK SPACE}%" in row
        shares = [f"{100 * s.coverage[band].share:.1f}\N{NO-BREAK SPACE}%" for band in (50, 80, 95) if s.coverage]
        assert shares == [cell for cell in row if cell in shares]
        assert row[-1] == f"{s.n:,}"


def test_the_bands_by_volatility_are_counted_from_the_scores():
    """Low, medium and high are thirds of RiskMetrics' volatility before the first origin, here by a loop."""
    run = run_of(["naive", "lstm-t", "garch-t"], missing=())
    r = np.diff(np.log(run.candles.close))
    variance, volatility = r[0] ** 2, [np.nan]
    for step in r:
        variance = 0.94 * variance + 0.06 * step**2
        volatility.append(math.sqrt(variance))
    known = np.array(volatility[20 : TEST_FROM + 1])
    borders = np.quantile(known, [1 / 3, 2 / 3])
    own = run.scores.filter(pl.col("model") == "lstm-t", pl.col("horizon") == 1).drop_nulls("truth")
    at = np.searchsorted(run.candles.known_at, own["origin"].dt.replace_time_zone(None).to_numpy())
    regime = np.searchsorted(borders, np.array(volatility)[at])
    told = next(m for m in run.document()["models"] if m["name"] == "lstm-t")["horizons"]["1"]["regimes"]
    for number, name in enumerate(("low", "medium", "high")):
        hits = own["hit80"].to_numpy()[regime == number]
        assert told[name]["n"] == len(hits) > 10
        assert told[name]["coverage"]["80"] == pytest.approx(hits.mean())
        assert percent(hits.mean()) in render(run)
    assert not any(row and row[0] == "naive" and "to" in row[-1] for row in Page(render(run)).rows)


def test_a_verdict_has_a_shape_beside_its_word():
    run, _, _ = made()
    rows = [row for table in score_tables(run) for row in table.rows]
    assert {row.word: row.shape for row in rows} == {"better": "▲", "no better": "=", "worse": "▼"}


def test_a_dot_says_who_may_be_the_best_and_moves_no_verdict():
    run, _, page = made()
    members = [(row.model, row.member) for row in score_tables(run)[0].rows]
    held = confidence_sets(run.scores.filter(pl.col("horizon") == 1))
    assert {model for model, member in members if member[0] == "●"} == {one.model for one in held if one.held}
    assert {member[0] for _, member in members} == {"●", "○"}
    assert len(page.having(class_="member")) == len(run.summaries)
    assert run.verdicts == judge(run.scores)
    said = {
        (m["name"], int(h)): v["confidence_set"] for m in run.document()["models"] for h, v in m["horizons"].items()
    }
    assert said == {key: {"held": one.held, "p": one.p, "n": one.n} for key, one in run.confidence_set.items()}
    short = run_of(["naive", "garch-t"], bars=300)
    assert [row.member[0] for row in score_tables(short)[0].rows] == ["–", "–"]


@pytest.mark.parametrize(("width", "dots"), [(96, 0), (102, 12)])
def test_a_screen_shows_the_dots_where_they_fit(width, dots):
    run, _, _ = made()
    console = Console(width=width, file=io.StringIO())
    console.print(result(run, None, width))
    tables = [line for line in console.file.getvalue().splitlines() if not line.startswith("set:")]
    assert sum(line.count("●") + line.count("○") for line in tables) == dots
    assert not any("…" in line for line in tables)


def test_the_interval_of_a_skill_is_that_of_the_losses_in_units_of_the_reference():
    run, _, _ = made()
    row = next(row for row in score_tables(run)[0].rows if row.model == "lstm-t")
    scores = run.scores.filter(pl.col("horizon") == 1).drop_nulls("crps")
    own, reference = (scores.filter(pl.col("model") == m)["crps"].to_numpy() for m in ("lstm-t", "garch-t"))
    c = next(v.comparison for v in run.verdicts if (v.model, v.horizon) == ("lstm-t", 1))
    assert row.skill[0] == skill(1 - own.mean() / reference.mean())
    assert row.skill[1] == f"{skill(-c.high / reference.mean())} to {skill(-c.low / reference.mean())}"
    low, high = row.bar.ends
    assert low < row.bar.at < high


def test_a_bar_beyond_its_room_ends_in_an_arrow():
    run, _, page = made()
    naive = next(row for row in score_tables(run)[0].rows if row.model == "naive")
    assert naive.bar.beyond == -1
    assert naive.bar.ends is None
    assert len(page.having(class_="beyond")) >= 2


def test_the_reference_is_called_so_and_judged_against_its_own():
    run, _, _ = made()
    row = next(row for row in score_tables(run)[0].rows if row.model == "garch-t")
    assert (row.skill[0], row.bar, row.against) == ("reference", None, "than naive-conformal")


def test_the_fan_is_the_newest_forecast_and_no_change_is_always_drawn():
    run, _, page = made()
    f = run.outlook
    traces = page.figures["fan"]["data"]
    last = float(f"{f.price[0]:.6g}")
    median = next(trace for trace in traces if trace.get("name") == "median")
    assert median["y"] == pytest.approx([last, *f.prices()[0]], rel=1e-5)
    naive = next(trace for trace in traces if trace.get("name") == "no change")
    assert naive["y"] == [last, last]
    assert naive["line"]["dash"] == "dash"
    areas = [trace for trace in traces if trace.get("fill") == "toself"]
    for trace, band in zip(areas, (95, 80, 50), strict=True):
        high, low = f.prices(0.5 + band / 200)[0], f.prices(0.5 - band / 200)[0]
        assert trace["y"] == pytest.approx([last, *high, *low[::-1], last], rel=1e-5)
        assert trace["line"]["width"] == 0
    labels = [note["text"] for note in page.figures["fan"]["layout"]["annotations"]]
    assert labels == ["95 %", "80 %", "50 %", "median", "no change"]
    assert "between, the band is interpolated" in page.text


def test_nothing_is_said_of_days_between_where_every_day_was_forecast():
    run = run_of(["naive", "garch-t"], bars=330, horizons=(1, 2, 3))
    text = Page(render(run)).text
    assert "It was forecast for each of the next 3 days." in text
    assert "interpolated" not in text


def test_the_fan_starts_at_the_last_candle_and_ends_where_the_longest_horizon_does():
    _, _, page = made()
    candles, median = page.figures["fan"]["data"][3], page.figures["fan"]["data"][-2]
    assert candles["type"] == "candlestick"
    assert candles["x"][-1] == median["x"][0] == "2020-08-22"
    assert median["x"][1:] == ["2020-08-23", "2020-08-29"]
    assert "29 August 2020" in page.text


@pytest.mark.parametrize("name", ["fan", "history"])
def test_missing_and_mended_candles_are_ringed(name):
    _, _, page = made()
    [ring] = [trace for trace in page.figures[name]["data"] if trace.get("name") == "mended or missing"]
    candles = next(trace for trace in page.figures[name]["data"] if trace["type"] == "candlestick")
    first = BARS - len(candles["x"])
    expected = sorted(row for row in (*MISSING, *MENDED) if row >= first)
    assert ring["x"] == [candles["x"][row - first] for row in expected]
    assert "circle-open" in ring["marker"]["symbol"]


def test_nothing_mended_nothing_ringed():
    run, _, _ = made()
    clean = dataclasses.replace(run.cleaned, repairs=Repairs(run.cleaned.repairs.frame.clear()))
    whole = run_of(missing=())
    page = Page(render(dataclasses.replace(whole, cleaned=dataclasses.replace(clean, candles=whole.candles))))
    assert not [t for f in page.figures.values() for t in f["data"] if t.get("name") == "mended or missing"]
    assert "None of the 600 candles was missing or had to be mended" in page.text


def test_misses_are_the_truths_outside_the_widest_band():
    run, _, page = made()
    name, horizon = run.outlook.model, 1
    rows = run.scores.filter(pl.col("model") == name, pl.col("horizon") == horizon).drop_nulls("truth")
    beyond = rows.filter((pl.col("truth") < pl.col("lo95")) | (pl.col("truth") > pl.col("hi95")))
    drawn = page.figures["bands"]["data"][-1]
    assert drawn["marker"]["color"] == "var(--vermilion)"
    assert drawn["y"] == pytest.approx([100 * math.expm1(r) for r in beyond["truth"]], rel=1e-5)
    assert f"{beyond.height} of {rows.height} fell outside" in page.text


def test_headings_are_statements_from_the_runs_own_numbers():
    run, _, page = made()
    said = headings(run)
    by = {(s.model, s.horizon): s for s in run.summaries}
    lstm, naive = by["seed-lstm", 1], by["naive", 1]
    assert said["scores"] == "Only lstm-t forecast the spread better than garch-t"
    assert f"R² {lstm.r2:.3f}" in said["echo"]
    assert f"{lstm.rmse / naive.rmse:.1f} times" in said["echo"]
    assert said["training"] == "7 of 9 networks stopped by themselves, the others ran out of epochs"
    assert percent(by["lstm-t", 1].coverage[95].share) in said["calibration"]
    assert said["calibration"].endswith("too narrow")
    assert said["time"] == "lstm-t was ahead of garch-t in 2 of 2 half-years"
    assert said["data"] == "Of 600 candles, 3 were missing and 2 were mended"
    worst = run.scores.filter(pl.col("model") == "lstm-t", pl.col("horizon") == 1).sort("crps").drop_nulls()[-1]
    day = from_numpy(worst["target_time"].dt.replace_time_zone(None).to_numpy()[0] - np.timedelta64(1, "D"))
    assert f"{day.day} {day:%B %Y}: {percent(math.expm1(worst['truth'][0]), sign=True)}" in said["errors"]
    for statement in said.values():
        assert statement in page.text


@pytest.mark.parametrize(
    ("words", "statement"),
    [
        (("better", "better"), "lstm-t and ewma-t forecast the spread better than garch-t"),
        (("no better", "worse"), "None of 2 models forecast the spread better than garch-t"),
        (("too short to tell", "too short to tell"), "Too few forecasts to tell any model from garch-t"),
    ],
)
def test_the_heading_over_the_scores_follows_the_verdicts(words, statement):
    run = run_of(("garch-t", "ewma-t", "lstm-t"))
    said = dict(zip(("lstm-t", "ewma-t"), words, strict=True))
    run.__dict__["verdicts"] = [dataclasses.replace(v, word=said.get(v.model, v.word)) for v in run.verdicts]
    assert headings(run)["scores"] == statement


def test_convergence_is_told_in_words():
    _, _, page = made()
    assert "8 networks: 1 refit, 8 seeds each. Best epoch 31 in the median (19 to 40)" in page.text
    assert "early stopping ended 7 of 8. Falls of the learning rate: 1." in page.text
    curve = page.figures["training-lstm-t"]["data"]
    thin, thick = ([t for t in curve if t["mode"] == "lines" and (t["line"]["width"] > 1) == w] for w in (False, True))
    assert (len(thin), len(thick)) == (16, 2)
    assert [len(t["x"]) for t in page.figures["training-seed-lstm"]["data"] if t["mode"] == "lines"] == [40, 40]


def test_what_comes_with_the_data_cannot_become_part_of_the_page():
    nasty = """x</script><script>alert(1)</script>"'><img src=x onerror=alert(1)>{{7*7}}&amp;.csv"""
    run = run_of(("naive", "garch-t"), source=nasty, is_sample=False)
    run = dataclasses.replace(run, versions={nasty: nasty})
    noted = dataclasses.replace(run.cleaned, repairs=Repairs(run.cleaned.repairs.frame, (nasty,)))
    document = render(dataclasses.replace(run, cleaned=noted))
    page, plain = Page(document), made(models=("naive", "garch-t"))[2]
    assert "<script>alert" not in document
    assert nasty in page.text
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == sum(tag == "script" for tag, _ in plain.elements)
    assert "img" not in tags


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_json_in_the_page_is_strict_and_cannot_close_its_element(value):
    text = encode({"value": value, "</script>": "<!--"})
    assert "<" not in text
    assert ">" not in text
    back = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert back["</script>"] == "<!--"


def test_a_number_that_is_none_becomes_null():
    assert encode([float("nan"), float("inf"), np.float64(1.23456789), np.int64(3)]) == "[null,null,1.23457,3]"


def plain_bars(candles, length):
    """Longer candles one by one, as one would by hand."""
    out = {}
    for row in candles.frame.iter_rows(named=True):
        key = int(row["time"].timestamp()) // int(length.total_seconds())
        if key not in out:
            out[key] = {**row, "missing": 0}
        bar = out[key]
        bar["high"], bar["low"] = max(bar["high"], row["high"]), min(bar["low"], row["low"])
        bar["close"], bar["missing"] = row["close"], bar["missing"] + (not row["observed"])
        bar["known_at"] = row["time"] + candles.feed.interval.delta
    return list(out.values())


@pytest.mark.parametrize("most", [30, 100, 399, 400])
def test_longer_candles_keep_open_high_low_and_close(most):
    candles = with_wicks(candles_of(walk(400, seed=2), missing=(7, 8, 200), feed=HOURLY))
    drawn = bars(candles, most)
    assert drawn.frame.height <= most
    assert drawn.joined == (most < 400)
    expected = plain_bars(candles, drawn.length)
    columns = ["time", "known_at", "open", "high", "low", "close", "missing"]
    assert drawn.frame.select(columns).rows() == [tuple(bar[name] for name in columns) for bar in expected]


def test_a_long_history_is_drawn_in_longer_candles_and_says_so():
    _, _, page = made(bars=2500, feed=HOURLY, models=("naive", "garch-t"), source="hours.csv", is_sample=False)
    candles = page.figures["history"]["data"][0]
    assert len(candles["x"]) == 1250
    assert "2,500 candles, drawn as 1,250 of 2 hours each." in page.text
    assert all(len(trace["x"]) <= MOST_MARKS for figure in page.figures.values() for trace in figure["data"])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40))
def test_thinning_keeps_the_lowest_and_highest_of_each_run(values, half):
    y = np.array(values)
    kept = extremes(y, 2 * half)
    assert (np.diff(kept) > 0).all()
    if len(y) <= 2 * half:
        assert len(kept) == len(y)
        return
    assert len(kept) <= 2 * half
    assert {y[kept].min(), y[kept].max()} == {y.min(), y.max()}
    edges = np.linspace(0, len(y), half + 1).astype(int)
    for start, end in itertools.pairwise(edges):
        inside = y[kept[(kept >= start) & (kept < end)]]
        assert (inside.min(), inside.max()) == (y[start:end].min(), y[start:end].max())


@given(st.lists(st.floats(-50, 500), min_size=1, max_size=12), st.floats(1, 30))
def test_labels_never_touch_and_keep_their_order(wanted, gap):
    put = spread(wanted, gap, height=400)
    order = np.argsort(wanted, kind="stable")
    steps = np.diff(np.array(put)[order])
    assert (steps >= gap - 1e-6).all()
    assert min(put) >= -1e-9
    if (len(wanted) - 1) * gap <= 400:
        assert max(put) <= 400 + 1e-6


def test_labels_that_do_not_touch_stay_where_they_are():
    assert spread([100, 20, 300], 15, 400) == [100, 20, 300]


def test_touching_labels_part_by_as_little_as_they_must():
    assert spread([100, 104], 15, 400) == [94.5, 109.5]


@pytest.mark.parametrize(
    ("low", "high", "is_log"), [(100, 299, False), (100, 301, True), (0.0002, 0.9, True), (0, 10, False)]
)
def test_a_price_axis_is_logarithmic_where_it_spans_more_than_a_factor_of_three(low, high, is_log):
    axis = Axis.of_prices([low, high], "USDT")
    assert axis.is_log is is_log
    assert ("log scale" in axis.title) is is_log
    ticks = axis.layout().get("tickvals")
    if is_log:
        assert len(ticks) >= 3
        assert all(axis.low <= tick <= axis.high for tick in ticks)


def test_a_model_keeps_its_hue_in_any_company():
    assert hues(["lstm-t", "mine"])["lstm-t"] == hues(["naive", "garch-t", "lstm-t"])["lstm-t"] == "blue"
    assert len(set(hues(["naive", "garch-t", "mine", "yours", "theirs"]).values())) == 5


@pytest.mark.parametrize(
    ("value", "text"),
    [(37368.12, "37,368"), (1234567.0, "1,234,600"), (0.000123456, "0.00012346"), (0.0, "0"), (None, "–")],
)
def test_prices_have_five_significant_digits(value, text):
    assert price(value) == text


def test_spans_and_bars_are_named_as_people_do():
    assert [span(n, HOURLY.interval) for n in (1, 24)] == ["1 hour", "24 hours"]
    candles = candles_of([1.0, 1.0])
    assert bar_of(candles.known_at[0], candles.feed.interval) == "1 January 2019"
    hours = candles_of([1.0, 1.0], feed=HOURLY)
    assert bar_of(hours.known_at[1], hours.feed.interval) == "1 January 2019 01:00"


def test_the_colophon_says_how_to_do_it_again():
    run, _, page = made()
    assert run.candles.digest in page.text
    for walked in run.walks:
        assert walked.recipe.digest in page.text
    assert command_again(run) in page.text
    assert command_again(run) == (
        "coincast run --sample btc-1d --since 2019-01-01 --until 2020-08-22 --test-from 2019-06-01"
        " --models naive,naive-conformal,ewma-t,garch-t,seed-lstm,lstm-t --horizon 1,7 --seed 0"
    )


def test_a_stored_run_is_asked_of_the_store_again():
    stored = dataclasses.replace(
        run_of(), source=f"{DAILY}@7#0123456789ab", is_sample=False, beside={"binance:ETH/USDT:1d": "ab"}
    )
    words = f"coincast run --feed '{DAILY}@7#0123456789ab' --beside binance:ETH/USDT:1d --since"
    assert command_again(stored).startswith(words)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """WCAG 2.2's contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def palette():
    css = resources.files("coincast.report").joinpath("style.css").read_text()
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    return {name: (light, dark) for name, light, dark in found}


def test_black_on_white_has_the_known_contrast():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_and_marks_can_be_told_from_the_paper(theme):
    colours = palette()
    words = {name for name in colours if name.endswith("-text")} | {"ink", "muted", "link"}
    marks = {
        "blue",
        "orange",
        "green",
        "purple",
        "sky",
        "yellow",
        "brown",
        "indigo",
        "wine",
        "grey",
        "slate",
        "vermilion",
        "candle",
    }
    assert marks | words <= set(colours)
    paper = colours["paper"][theme]
    for name in words | {"vermilion"}:
        assert contrast(colours[name][theme], paper) >= (4.5 if name != "vermilion" else 3), name
    for name in marks:
        assert contrast(colours[name][theme], paper) >= 3, name


def test_every_colour_a_chart_names_is_in_the_style_sheet():
    _, _, page = made()
    named = set(re.findall(r"var\(--([\w-]+)\)", page.scripts["figures"]))
    assert len(named) > 10
    assert named <= set(palette())


def test_the_scale_of_the_made_runs_is_what_their_bands_claim():
    run, _, _ = made()
    right = next(s for s in run.summaries if (s.model, s.horizon) == ("lstm-t", 1))
    returns = np.diff(np.log(run.candles.close))
    assert returns.std() == pytest.approx(SCALE * math.sqrt(2), rel=0.2)
    assert 0.9 < right.coverage[95].share < 0.97
