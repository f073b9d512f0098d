"""What a run is worth: every allocation counted as a try, in words, the same in JSON, on screen and on the page."""

import dataclasses
import io
import json
import math
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from coincast.cli.valuing import value
from coincast.errors import DataError, RecipeError
from coincast.report import render
from coincast.report.worth_section import FLOOR, capital, section
from coincast.runs import Run
from coincast.terminal.worth import worth as on_screen
from coincast.value import Costs, worth
from coincast.value.account import trade
from coincast.value.allocations import Momentum, SignWithThreshold, VolatilityTarget
from coincast.value.outcomes import HOLDING, NOTHING, outcomes, trials
from coincast.value.sharpe import Sharpe, annual, expected_maximum, lead, spread_of_luck
from coincast.value.words import one_of, sentences
from coincast.verdict import holm
from coincast.worlds import Law, draw
from made import DAILY, HOURLY, START, forecast_of
from report_runs import WIDTHS, run_of

ROOT = Path(__file__).parents[1]

SPREAD = [name for name in WIDTHS if name != "naive"]
RUNS = (
    {},
    {"models": ("naive",)},
    {"models": ("lstm-t", "garch-t"), "horizons": (7, 30)},
    {"bars": 151},
    {"bars": 153},
    {"bars": 160, "horizons": (24,)},
    {"feed": HOURLY, "source": "hours.csv", "is_sample": False},
)


@pytest.fixture(scope="module")
def run():
    return run_of()


@pytest.fixture(scope="module")
def found(run):
    return worth(run)


def test_holding_has_no_timing_though_funding_makes_its_share_drift(run):
    candles, forecasts = run.candles, [walked.forecast for walked in run.walks]
    made = outcomes(forecasts, candles, Costs(funding=0.001))
    held = next(one for one in made if one.allocation == HOLDING)
    assert np.ptp(held.account.weight[1:]) > 0
    assert held.timing_p is None


# --- the outcomes -----------------------------------------------------------------------------------------------------


def test_every_model_is_tried_with_every_allocation_it_allows(found):
    tried = [(one.allocation, one.model) for one in found.outcomes]
    assert tried[:3] == [("do-nothing", None), ("buy-and-hold", None), ("momentum", None)]
    expected = {("volatility-target", name) for name in SPREAD} | {("sign-with-threshold", name) for name in WIDTHS}
    assert set(tried[3:]) == expected
    assert len(tried) == 3 + len(SPREAD) + len(WIDTHS)
    assert found.trials == len(tried) - 1


def test_those_of_models_are_sorted_by_their_sharpe_ratio_and_the_idle_come_last(found):
    ratios = [one.account.sharpe.ratio if one.account.sharpe else -math.inf for one in found.outcomes[3:]]
    assert ratios == sorted(ratios, reverse=True)
    assert -math.inf in ratios


def test_the_books_are_those_of_the_allocation_on_that_forecast(run, found):
    forecasts = {walk.recipe.model.name: walk.forecast for walk in run.walks}
    for allocation in (VolatilityTarget(), SignWithThreshold(2 * 0.0012)):
        for name in SPREAD:
            one = one_of(found.outcomes, allocation.name, name)
            weights = allocation.weights(forecasts[name], run.candles)
            again = trade(weights, forecasts[name].origin, run.candles, Costs())
            assert one.account.equity.tolist() == again.equity.tolist()
    assert one_of(found.outcomes, HOLDING).account.trades == 1
    assert one_of(found.outcomes, NOTHING).account.equity.tolist() == [1.0] * 449
    assert one_of(found.outcomes, Momentum.name).account.trades > 1


def test_all_books_are_of_the_same_bars_missing_ones_included(run, found):
    for one in found.outcomes:
        assert len(one.account) == 600 - 151
        assert one.account.time[-1] == run.candles.known_at[-1]
    missing = np.flatnonzero(~run.candles.observed[151:])
    assert missing.size == 3
    for one in found.outcomes:
        assert not one.account.traded[missing].any()


def test_each_is_judged_as_one_of_all_tries(found):
    held = one_of(found.outcomes, HOLDING).account.returns
    hurdle = expected_maximum(spread_of_luck(449), found.trials)
    leads = {
        id(one): lead(one.account.returns, held) for one in found.outcomes if one.allocation not in (NOTHING, HOLDING)
    }
    adjusted = dict(zip(leads, holm([one.p if one else None for one in leads.values()]), strict=True))
    for one in found.outcomes:
        ratio = Sharpe.of(one.account.returns)
        assert one.deflated_sharpe == (ratio.probabilistic(hurdle) if ratio else None)
        assert one.probabilistic_sharpe == (ratio.probabilistic() if ratio else None)
        assert one.lead_p == (pytest.approx(adjusted[id(one)]) if adjusted.get(id(one)) is not None else None)


def test_the_shortest_horizon_is_acted_on():
    weekly = run_of(("lstm-t", "garch-t"), horizons=(7, 30))
    daily = run_of(("lstm-t", "garch-t"), horizons=(1, 7))
    assert (worth(weekly).horizon, worth(daily).horizon) == (7, 1)
    # The spread and the target both grow with the root of the horizon in these runs.
    books = [one_of(worth(run).outcomes, "volatility-target", "lstm-t").account.equity for run in (weekly, daily)]
    assert books[0] == pytest.approx(books[1])


def test_dearer_trades_leave_less_and_change_no_decision_of_a_target(run):
    cheap, dear = (worth(run, Costs(fee, 0.0)) for fee in (0.0, 0.01))
    for name in SPREAD:
        before, after = (one_of(w.outcomes, "volatility-target", name).account for w in (cheap, dear))
        assert after.gain < before.gain
        assert after.weight == pytest.approx(before.weight)
    signs = [one_of(w.outcomes, "sign-with-threshold", "seed-lstm").account.exposure for w in (cheap, dear)]
    assert signs[1] < signs[0]


# --- words ------------------------------------------------------------------------------------------------------------


def better(one, by):
    """The same outcome with returns raised by so much a bar."""
    equity = np.cumprod(1 + one.account.returns + by)
    return dataclasses.replace(one, account=dataclasses.replace(one.account, equity=equity))


def test_where_nothing_is_earned_it_is_said_so(found):
    assert (
        found.sentences[0]
        == "After costs of 0.12 % a trade, no allocation earned more than doing nothing beyond chance."
    )
    assert found.sentence == " ".join(found.sentences)


def test_one_and_several_that_earn_are_told_apart_from_holding(found):
    made = list(found.outcomes)
    rich = [better(one, 0.01) if one.allocation == HOLDING else one for one in made]
    first = sentences(rich, found.break_evens, found.costs, found.shown)[0]
    assert first == "After costs of 0.12 % a trade, only holding earned more than doing nothing beyond chance."
    rich = [better(one, 0.01) if one.allocation == "momentum" else one for one in made]
    first = sentences(rich, found.break_evens, found.costs, found.shown)[0]
    assert first.endswith(
        "only momentum earned more than doing nothing beyond chance, and not more than holding for the risk it took."
    )
    rich = [better(one, 0.01) if one.model is None and one.acted else one for one in made]
    first = sentences(rich, found.break_evens, found.costs, found.shown)[0]
    assert first.endswith(
        f"2 of {found.trials} allocations earned more than doing nothing beyond chance, none more than holding for the"
        " risk it took."
    )


def test_what_seems_to_beat_both_is_called_a_leak_to_look_for(found):
    made = [
        dataclasses.replace(better(one, 0.01), lead_p=0.001) if one.words == "volatility target by lstm-t" else one
        for one in found.outcomes
    ]
    first = sentences(made, found.break_evens, found.costs, found.shown)[0]
    assert "volatility target by lstm-t did better than doing nothing and, for the risk it took, than holding" in first
    assert f"the best of {found.trials} tries. Look for a leak" in first


def with_drawdown(one, worst, a_year):
    """The same outcome with an account that falls by `worst` at once and ends at that yearly return."""
    bars = len(one.account)
    equity = np.linspace(1 - worst, (1 + a_year) ** (bars / 365), bars)
    return dataclasses.replace(one, account=dataclasses.replace(one.account, equity=equity))


@pytest.mark.parametrize(
    ("less", "all_in", "says"),
    [
        ((0.31, 0.60), (0.54, 0.62), "lost 31 % at worst where holding lost 54 %, at about the same return: a choice"),
        ((0.31, 0.22), (0.54, 0.60), "at 22 % a year where holding made 60 %: a choice of risk, not a prediction."),
        ((0.31, -0.1), (0.54, 0.60), "at -10 % a year where holding made 60 %"),
        ((0.54, 0.22), (0.54, 0.60), "lost no less at worst than holding did: 54 % against 54 %."),
        ((0.60, 0.22), (0.54, 0.60), "lost no less at worst than holding did: 60 % against 54 %."),
    ],
)
def test_holding_less_is_called_a_choice_of_risk(found, less, all_in, says):
    put = {("volatility-target", found.shown): less, (HOLDING, None): all_in}
    made = [
        with_drawdown(one, *put[one.allocation, one.model]) if (one.allocation, one.model) in put else one
        for one in found.outcomes
    ]
    [said] = [s for s in sentences(made, found.break_evens, found.costs, found.shown) if "wild weeks" in s]
    assert said.startswith(f"Holding less in wild weeks (volatility target by {found.shown}) ")
    assert says in said


def test_of_less_than_a_year_no_year_is_told():
    short = worth(run_of(("garch-t",), bars=450))
    assert len(short.outcomes[0].account) == 299
    assert short.document()["allocations"][1]["annual_return"] is None
    put = {("volatility-target", "garch-t"): 0.1, (HOLDING, None): 0.5}
    made = [
        with_drawdown(one, put[one.allocation, one.model], 0.2) if (one.allocation, one.model) in put else one
        for one in short.outcomes
    ]
    made[1] = with_drawdown(made[1], 0.5, 1.0)
    [said] = [s for s in sentences(made, short.break_evens, short.costs, "garch-t") if "wild weeks" in s]
    assert re.search(r"at 16 % in all where holding made 76 %: a choice of risk", said)


def test_what_a_direction_would_have_to_be_is_said_beside_the_best_that_was(found):
    right = {one.model: one.direction for one in found.break_evens if one.direction}
    best = max(right, key=lambda name: right[name].share)
    needed = found.break_evens[0].needed
    assert found.sentences[-1] == (
        f"To pay for its trades a forecast of direction must be right {100 * needed:.1f} % of the time; the best here,"
        f" {best}, was right {100 * right[best].share:.1f} %, and always saying the same"
        f" {100 * right[best].majority:.1f} %."
    )
    assert worth(run_of(("naive", "garch-t"))).sentences[-1].endswith("; no model here names one.")
    assert (
        worth(run_of(("naive",)), Costs(0.2))
        .sentences[-1]
        .startswith("Not even a forecast of direction that is always")
    )


def test_too_few_bars_are_said_to_be_too_few():
    for bars in (151, 160, 300):
        short = worth(run_of(bars=bars))
        assert short.sentences == [
            f"{bars - 151:,} bars are too few to tell whether a forecast is worth acting on after costs of 0.12 % a"
            " trade."
        ]
        assert not any(one.beats_nothing or one.beats_holding for one in short.outcomes)


def test_no_word_is_advice(found):
    assert not re.search(r"\b(should|recommend|buy now|advise|invest)\b", json.dumps(found.document()), re.IGNORECASE)


# --- a market without and with something to find ----------------------------------------------------------------------


def knows_the_next_bar(bars=900):
    """A run of a model that has seen the bar after its origin, on a random walk."""
    candles = draw(Law(dof=5), bars, seed=6, feed=str(DAILY)).candles
    rows = np.arange(400, bars - 1)
    ahead = np.log(candles.close[rows + 1] / candles.close[rows])
    values = 0.5 * ahead[:, None, None] + 0.02 * np.linspace(-1, 1, 199)
    made = run_of(("garch-t",))
    walk = dataclasses.replace(made.walks[0], forecast=forecast_of(candles, rows, values, model="garch-t"))
    return dataclasses.replace(made, cleaned=dataclasses.replace(made.cleaned, candles=candles), walks=(walk,))


def test_a_forecast_that_knows_the_next_bar_is_suspected_first_and_then_believed_by_nobody():
    found = worth(knows_the_next_bar())
    sign = one_of(found.outcomes, "sign-with-threshold", "garch-t")
    assert sign.beats_nothing
    assert sign.beats_holding
    assert sign.lag.flagged
    assert found.sentences[0].startswith("What sign by garch-t earns is lost when it is filled a bar later")
    assert "Look for a leak before you believe it." in found.sentences[1]
    assert found.break_evens[0].pays


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_the_document_is_json_without_nan_for_every_run(settings):
    found = worth(run_of(**settings))
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["schema"] == "coincast-value/1"
    assert document["trials"] == len(document["allocations"]) - 1
    assert document["bars"] == len(found.outcomes[0].account)
    assert document["sentence"] == found.sentence
    assert document["costs"] == {"fee": 0.001, "slippage": 0.0002, "funding": 0.0, "one_way": pytest.approx(0.0012)}


def test_the_document_holds_the_books_own_numbers(run, found):
    document = found.document()
    assert document["digest"] == run.candles.digest
    assert datetime.fromisoformat(document["first"]) == START + timedelta(days=152)
    for said, one in zip(document["allocations"], found.outcomes, strict=True):
        assert (said["allocation"], said["model"]) == (one.allocation, one.model)
        for name in ("gain", "annual_return", "max_drawdown", "turnover", "exposure", "trades", "hit_rate"):
            assert said[name] == getattr(one.account, name), name
        ratio = one.account.sharpe
        assert said["sharpe"] == (pytest.approx(ratio.ratio * math.sqrt(365)) if ratio else None)
    assert {said["model"] for said in document["tails"]} == {said["model"] for said in document["stops"]} == set(SPREAD)
    against = {said["model"]: said["fz0_against"] for said in document["tails"]}
    # A price LSTM that expects a rise of more than its spread forecasts a loss in no case, not even the worst.
    assert against.pop("garch-t") is against.pop("seed-lstm") is None
    assert all(test["reference"] == "garch-t" and test["n"] == 444 for test in against.values())
    tail = next(one for one in document["tails"] if one["model"] == "lstm-t" and one["level"] == 0.05)
    assert tail["low"] < tail["share"] < tail["high"]


# --- on screen --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 96, 120])
@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_the_screen_says_it_all_and_nothing_is_cut_off(settings, width):
    found, screen = worth(run_of(**settings)), io.StringIO()
    Console(width=width, file=screen).print(on_screen(found, width))
    said = screen.getvalue()
    assert "…" not in said
    assert " ".join(said.split()).startswith(" ".join(found.sentence.split()))
    assert said.rstrip().endswith("An aid to decisions, not advice.")
    for one in found.outcomes:
        assert one.allocation.replace("-", " ") in said or not one.acted


def told(*arguments):
    app = typer.Typer()
    app.command()(value)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a real backtest leaves."""
    from coincast.backtest import silent
    from coincast.recipe import recipes
    from coincast.runs import walk
    from coincast.sample import SAMPLES, load

    out = tmp_path_factory.mktemp("run")
    walk(load("btc-1d"), "btc-1d", recipes(["naive", "ewma-t"]), SAMPLES["btc-1d"].test_from, out, monitor=silent)
    return out


def test_the_command_reads_what_a_run_left(folder):
    done = told(folder, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(worth(Run.load(folder)).document()))
    dearer = json.loads(told(folder, "--fee", 0.01, "--slippage", 0, "--funding", 0.001, "--json").stdout)
    assert dearer["costs"] == {"fee": 0.01, "slippage": 0.0, "funding": 0.001, "one_way": 0.01}
    assert dearer == json.loads(json.dumps(worth(Run.load(folder), Costs(0.01, 0.0, 0.001)).document()))
    shown = told(folder)
    assert shown.exit_code == 0
    assert "no model here names one." in " ".join(shown.stdout.split())


def test_bad_costs_and_no_run_are_answered_in_three_sentences(tmp_path, folder):
    assert isinstance(told(folder, "--fee", 1.5).exception, RecipeError)
    assert isinstance(told(tmp_path).exception, DataError)


# --- on the page ------------------------------------------------------------------------------------------------------


def test_the_page_opens_its_section_with_the_answer_and_shows_the_same_numbers(run, found):
    page = render(run)
    [body] = re.findall(r'<section id="worth">(.*?)</section>', page, flags=re.DOTALL)
    assert f"<h2>{found.sentences[0].removesuffix('.').replace(' %', chr(0xA0) + '%')}</h2>" in body
    rows = section(run, found).rows
    assert len(re.findall("<tr>", body)) == 1 + len(rows)
    for row, one in zip(rows, [one for one in found.outcomes if one.acted or one.model is None], strict=True):
        assert row.model == one.model
        assert row.allocation == one.allocation.replace("-", " ")
        if one.account.sharpe:
            ratio = annual(one.account.sharpe.ratio, run.candles.feed.interval)
            assert row.sharpe[0].replace("\N{MINUS SIGN}", "-") == f"{ratio:.2f}"
    assert "Never found a reason to trade: sign by naive" in body
    order = re.findall(r'<section id="(\w+)">', page)
    assert order.index("worth") == order.index("calibration") + 1
    contents = re.findall(r'<li><a href="#(\w+)">', page)
    assert contents == [place for place in order if place in contents]
    assert "worth" in contents


def test_the_chart_draws_capital_after_costs_do_nothing_always_there(run, found):
    chart = capital(run, found)
    drawn = {trace["name"]: trace for trace in chart.data}
    assert list(drawn) == ["do nothing", "momentum", "volatility target", "buy and hold"]
    assert set(drawn["do nothing"]["y"]) == {1.0}
    assert drawn["do nothing"]["line"]["dash"] == "dash"
    held = one_of(found.outcomes, HOLDING).account
    assert drawn["buy and hold"]["y"] == held.equity.tolist()
    assert drawn["buy and hold"]["x"][-1] == str(held.time[-1] - np.timedelta64(1, "D"))[:10]
    assert f"{held.equity[-1]:.2f} by buy and hold" in chart.alternative


def test_a_line_that_loses_nearly_all_leaves_the_chart_and_the_caption_says_so(run):
    ruined = worth(run, Costs(fee=0.2))
    momentum = one_of(ruined.outcomes, "momentum").account
    assert momentum.equity[-1] < FLOOR
    chart = capital(run, ruined)
    low, _ = chart.layout["yaxis"]["range"]
    assert 10**low > momentum.equity[-1]
    assert "lost more than 95" in chart.caption


@pytest.mark.parametrize("bars", [151, 152])
def test_a_run_of_one_bar_has_no_section(bars):
    run = run_of(("naive", "garch-t"), bars=bars)
    assert section(run, worth(run)) is None
    assert capital(run, worth(run)) is None
    assert '<section id="worth">' not in render(run)


def test_the_number_of_tries_grows_with_the_models(run):
    few = outcomes([walk.forecast for walk in run.walks[:2]], run.candles, Costs())
    assert trials(few) == 2 + 1 + 2


def test_the_document_s_example_says_what_it_shows(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "value.md").read_text()
    [example] = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "value.md", "exec"), {})
    shown = re.findall(r"^> (.*)$", text, flags=re.MULTILINE)
    assert capsys.readouterr().out.split() == " ".join(shown).split()


def test_the_document_names_every_key(found):
    text = (ROOT / "docs" / "value.md").read_text()
    document = found.document()
    for part in ("allocations", "directions", "tails", "stops"):
        keys = set(document[part][0]) - {
            "allocation",
            "model",
            "n",
            "low",
            "high",
            "kupiec_p",
            "christoffersen_p",
            "horizon",
        }
        assert {key for key in keys if f"`{key}`" not in text} == set(), part
