"""Outside series: joined by when they were public, fetched from sources of recorded shape, kept with every revision."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from coincast import files
from coincast.candles import Candles
from coincast.clean import clean, resample
from coincast.errors import DataError, ExchangeError, LookAheadError, OutputError, RecipeError
from coincast.external import LONGEST_SILENCE, OUTSIDE, Archive, Outside, download, fetch, join, read, register, web
from coincast.external.outside import PUBLIC
from coincast.features import FEATURES, compute
from coincast.feed import Interval
from coincast.worlds import ramp
from made import DAILY, HOURLY, START, candles_of, walk

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def outside_of(
    events: list[tuple[timedelta, timedelta, float]], name: str = "mood", coin: str | None = None
) -> Outside:
    """A series from (end after START, delay of publication, value)."""
    rows = [(START + ended, START + ended + delay, value) for ended, delay, value in events]
    return Outside(name, pl.DataFrame(rows, schema=PUBLIC, orient="row"), coin)


def daily(count: int, lag: timedelta = HOUR, first: int = 0, name: str = "mood") -> Outside:
    return outside_of([((first + day) * DAY, lag, float(first + day)) for day in range(count)], name)


# --- the join ---------------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.integers(-20, 70), st.integers(0, 40), st.floats(-1e6, 1e6)), min_size=1, max_size=20,
    unique_by=lambda event: event[0],
)  # fmt: skip


def slow_join(candles: Candles, outside: Outside) -> list[float]:
    """At each close, all that is public by then is looked through for what ended last."""
    found = []
    for known_at in candles.frame["time"].to_list():
        closed = known_at + candles.feed.interval.delta
        public = [(ended, value) for ended, available, value in outside.frame.iter_rows() if available <= closed]
        found.append(max(public)[1] if public else float("nan"))
    return found


def hours(count: int = 48) -> Candles:
    return candles_of(walk(count, 0), (5, 6, 30), HOURLY)


def drawn(events) -> Outside:
    """Late answers may overtake one another."""
    return outside_of(sorted((ended * HOUR, delay * HOUR, value) for ended, delay, value in events))


@given(EVENTS)
def test_the_join_equals_a_loop(events):
    outside, candles = drawn(events), hours()
    assume(outside.frame["available_at"].min() <= candles.end)
    joined = join(candles, outside)
    np.testing.assert_array_equal(joined.frame["mood"].to_numpy(), slow_join(candles, outside))
    assert joined.frame.drop("mood").equals(candles.frame)
    assert joined.outside == ("mood",)


@given(EVENTS, st.integers(1, 48))
def test_what_was_known_then_is_all_that_was_joined_then(events, count):
    outside, candles = drawn(events), hours()
    t = START + count * HOUR
    assume(outside.frame["available_at"].min() <= t)
    then = join(candles.until(t), outside.seen_by(t))
    assert then.frame.equals(join(candles, outside).until(t).frame)


@given(EVENTS)
def test_a_series_told_one_bar_later_is_one_bar_behind(events):
    outside, candles = drawn(events), hours()
    assume(outside.frame["available_at"].min() <= candles.end - HOUR)
    at_once, later = (join(candles, each).frame["mood"] for each in (outside, outside.delayed(HOUR)))
    np.testing.assert_array_equal(later[1:], at_once[:-1])


@given(EVENTS, st.sampled_from(["2h", "4h", "8h", "1d"]))
def test_joining_and_lengthening_bars_may_come_in_either_order(events, name):
    outside, candles = drawn(events), hours(96)
    assume(outside.frame["available_at"].min() <= candles.end)
    longer = Interval(name)
    joined = resample(join(candles, outside), longer)
    assert joined.frame.equals(join(resample(candles, longer), outside).frame)


def test_a_bar_that_closes_at_the_instant_of_publication_knows_it_and_one_before_does_not():
    candles = candles_of([1.0, 2.0, 3.0])
    on_time = outside_of([(timedelta(0), timedelta(0), 1.0), (DAY, DAY, 2.0)])
    assert join(candles, on_time).frame["mood"].to_list() == [1.0, 2.0, 2.0]
    late = on_time.delayed(timedelta(microseconds=1))
    assert join(candles, late).frame["mood"].to_list() == [1.0, 1.0, 2.0]


def test_nothing_is_known_before_it_ended():
    with pytest.raises(LookAheadError, match=r"available at 2018-12-31 23:00, before.*over at 2019-01-01 00:00"):
        outside_of([(timedelta(0), -HOUR, 1.0)])
    with pytest.raises(LookAheadError):
        daily(3, lag=HOUR).delayed(-2 * HOUR)
    assert daily(3, lag=HOUR).delayed(-HOUR).frame["available_at"].equals(daily(3).frame["ended_at"], check_names=False)


def test_outside_series_are_compared_by_identity():
    one = daily(3)
    assert one in [daily(3), one]
    assert one != daily(3)


def test_several_series_stand_side_by_side():
    candles = candles_of(walk(10, 0))
    joined = join(join(candles, daily(10)), daily(10, name="b"), daily(5, name="c", first=5))
    assert joined.outside == ("mood", "b", "c")
    assert joined.frame["c"].is_nan().to_list() == [True] * 5 + [False] * 5
    later = candles.start + 3 * DAY
    assert joined.since(later).frame.equals(joined.frame[3:])
    assert len({candles.digest, join(candles, daily(10)).digest, joined.digest}) == 3


@pytest.mark.parametrize(
    ("candles", "outside", "words"),
    [
        (join(candles_of(walk(9, 0)), daily(9)), daily(9), "mood is joined already"),
        (candles_of(walk(9, 0)), outside_of([(DAY, HOUR, 1.0)], coin="ETH"), "speaks of ETH, the candles are bin"),
        (candles_of(walk(9, 0)), daily(9, first=9), "starts 2019-01-10, the candles end 2019-01-10"),
        (candles_of(walk(90, 0)), daily(40), "nothing after 2019-02-09 01:00 for 14 days and more.*closes 2019-02-24"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined(candles, outside, words):
    with pytest.raises(DataError, match=words):
        join(candles, outside)


def test_old_news_is_refused_in_the_middle_too():
    days = [*range(30), *range(29 + LONGEST_SILENCE.days, 90)]
    held = outside_of([(day * DAY, HOUR, 1.0) for day in days])
    assert join(candles_of(walk(90, 0)), held).outside == ("mood",)
    with pytest.raises(DataError, match="Old news would be passed off as fresh"):
        join(candles_of(walk(90, 0)), outside_of([(day * DAY, HOUR, 1.0) for day in days if day != 29]))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (lambda f: f.drop("value"), "columns"),
        (lambda f: f.head(0), "has no value"),
        (lambda f: f.with_columns(value=pl.lit(float("nan"))), "empty or infinite"),
        (lambda f: f.with_columns(value=pl.lit(None, pl.Float64)), "empty or infinite"),
        (lambda f: f.reverse(), "out of order"),
        (lambda f: pl.concat([f.head(1), f]), "two values"),
    ],
)
def test_a_frame_that_breaks_the_rules(frame, words):
    with pytest.raises(DataError, match=words):
        Outside("mood", frame(daily(3).frame))


@pytest.mark.parametrize("name", ["close", "time", "observed", "../up", "Mood", "", "a b"])
def test_a_name_is_a_column_s_and_a_file_s(name):
    with pytest.raises(DataError, match="cannot be named"):
        daily(3, name=name)


def test_a_coin_is_part_of_a_file_s_name():
    for coin in ("../BTC", "btc", ""):
        with pytest.raises(DataError, match="is not made of A-Z and 0-9"):
            outside_of([(DAY, HOUR, 1.0)], coin=coin)


def test_candles_refuse_outside_values_that_are_no_numbers():
    candles = candles_of(walk(5, 0))
    with pytest.raises(DataError, match="outside series follow as Float64"):
        Candles(DAILY, candles.frame.with_columns(mood=pl.lit(1)))
    with pytest.raises(DataError, match="nulls in mood"):
        Candles(DAILY, candles.frame.with_columns(mood=pl.lit(None, pl.Float64)))


# --- features ---------------------------------------------------------------------------------------------------------


def test_a_feature_says_which_series_it_lacks():
    assert FEATURES["vix_level"].needs == ("vix",)
    assert FEATURES["close"].needs == FEATURES["week_sine"].needs == ()
    with pytest.raises(
        RecipeError, match=r"'vix_level' reads the outside series 'vix', .*coincast fetch vix` and add --outside vix"
    ):
        compute(candles_of(walk(5, 0)), ["close", "vix_level"])


# Realised variance is made from shorter bars, not fetched, and ranges stand in before it starts.
OUTSIDE_FEATURES = [name for name, feature in FEATURES.items() if set(feature.needs) & set(OUTSIDE)]


def test_every_series_is_read_by_a_feature_and_every_feature_has_its_series():
    assert {series for name in OUTSIDE_FEATURES for series in FEATURES[name].needs} == set(OUTSIDE)


@pytest.mark.parametrize("name", OUTSIDE_FEATURES)
@pytest.mark.parametrize("interval", ["1h", "1d", "3d", "1w"])
def test_a_feature_is_empty_before_its_series_starts_and_never_after(name, interval):
    candles = ramp(60, 0.01, f"simulated:BTC/USD:{interval}")
    third, span = candles.start + (candles.end - candles.start) / 3, candles.end - candles.start
    events = [(third - START + n * DAY, HOUR, 50.0 + n % 7) for n in range(span // DAY + 2)]
    joined = join(candles, *(outside_of(events, series) for series in FEATURES[name].needs))
    values = compute(joined, [name])[:, 0]
    known = np.isfinite(joined.frame[joined.outside[0]].to_numpy())
    assert 10 < known.sum() < 60
    np.testing.assert_array_equal(np.isfinite(values), known)


def slow_average(values: list[float], half_life: float) -> list[float]:
    weights = [0.5 ** (age / half_life) for age in range(len(values))]
    return [
        sum(w * v for w, v in zip(weights, reversed(values[: end + 1]), strict=False)) / sum(weights[: end + 1])
        for end in range(len(values))
    ]


def test_outside_features_by_a_loop():
    random = np.random.default_rng(0)
    series = {name: 50 * np.exp(random.normal(size=50) / 10) for name in OUTSIDE}
    candles = candles_of(walk(50, 0))
    joined = Candles(DAILY, candles.frame.with_columns(**series))
    found = dict(zip(OUTSIDE_FEATURES, compute(joined, OUTSIDE_FEATURES).T, strict=True))
    for name, values in series.items():
        week, month = (np.array(slow_average(list(values), half_life)) for half_life in (7, 30))
        expected = {
            f"{name}_growth": np.log(week / month),
            f"{name}_return": np.diff(np.log(values), prepend=np.log(values[0])),
            "vix_level": np.log(series["vix"] / np.array(slow_average(list(series["vix"]), 30))),
            "fear_greed": (series["fear_greed"] - 50) / 50,
            "mvrv": np.log(series["mvrv"]),
            "funding": series["funding"] / np.array(slow_average(list(series["funding"]), 30)),
        }
        for feature in expected.keys() & found.keys():
            np.testing.assert_allclose(found[feature], expected[feature], rtol=1e-9, atol=1e-12, err_msg=feature)


def test_a_default_rate_that_never_moves_and_one_of_zero():
    candles = candles_of(walk(50, 0)).frame
    for rate, expected in ((1e-4, 1.0), (0.0, 0.0), (-1e-4, -1.0)):
        joined = Candles(DAILY, candles.with_columns(funding=pl.lit(rate)))
        np.testing.assert_allclose(compute(joined, ["funding"])[:, 0], expected, atol=1e-5)


# --- sources ----------------------------------------------------------------------------------------------------------

NOW = datetime(2024, 3, 8, 12, 30, tzinfo=UTC)


class Source:
    """A server on loopback that answers by path, tells the time as it is told to, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers = {}
        self.now: datetime | None = NOW
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []

    @contextmanager
    def serve(self) -> Iterator[str]:
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
                source.asked.append((path, query))
                status, headers = source.faults.pop(0) if source.faults else (200, {})
                answer = source.answers[path]
                body = answer(query) if callable(answer) else answer
                self.send_response_only(status)
                if source.now:
                    self.send_header("Date", format_datetime(source.now, usegmt=True))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def source(monkeypatch) -> Iterator[Source]:
    """Pauses are noted and not waited for; `source.url` is where it is served."""
    source = Source()
    source.pauses = []
    monkeypatch.setattr(web.time, "sleep", source.pauses.append)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with source.serve() as url:
        source.url = url
        yield source


def stamp(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def chart(stamps: list[int], closes: list[float | None]) -> dict:
    """What Yahoo's chart answers, the keys we do not read left out but for some."""
    meta = {"currency": "USD", "symbol": "^GSPC", "gmtoffset": -18000, "exchangeTimezoneName": "America/New_York"}
    quote = dict.fromkeys(("open", "high", "low", "close", "volume"), closes)
    indicators = {"quote": [quote], "adjclose": [{"adjclose": closes}]}
    return {"chart": {"result": [{"meta": meta, "timestamp": stamps, "indicators": indicators}], "error": None}}


def in_pages(rows: list[dict]):
    """As Binance pages funding rates: oldest first, from `startTime` on, `limit` at most."""

    def answer(query: dict[str, str]) -> list[dict]:
        assert query["symbol"] == "ETHUSDT"
        since = [row for row in rows if row["fundingTime"] >= int(query["startTime"])]
        return since[: int(query["limit"])]

    return answer


def by_token(query: dict[str, str]) -> dict:
    """As Coin Metrics pages: a token for the next page until there is none."""
    assert {name: query[name] for name in ("assets", "metrics", "frequency")} == {
        "assets": "eth",
        "metrics": "AdrActCnt",
        "frequency": "1d",
    }
    first = {"asset": "eth", "time": "2024-03-05T00:00:00.000000000Z", "AdrActCnt": "480000"}
    if "next_page_token" not in query:
        return {"data": [first], "next_page_token": "0.MjAyNA", "next_page_url": "https://elsewhere.test/v4"}
    rest = [("2024-03-06", "490001"), ("2024-03-07", "470002"), ("2024-03-08", None)]
    return {"data": [{"asset": "eth", "time": f"{day}T00:00:00.000000000Z", "AdrActCnt": n} for day, n in rest]}


FEAR_GREED = {
    "name": "Fear and Greed Index",
    "data": [
        {
            "value": "82",
            "value_classification": "Extreme Greed",
            "timestamp": str(stamp(2024, 3, 8)),
            "time_until_update": "41400",
        },
        {"value": "78", "value_classification": "Extreme Greed", "timestamp": str(stamp(2024, 3, 7))},
    ],
    "metadata": {"error": None},
}
HASH_RATE = {
    "status": "ok",
    "name": "Hash Rate",
    "unit": "Hash Rate TH/s",
    "period": "day",
    "values": [{"x": stamp(2024, 3, 6), "y": 5.9e8}, {"x": stamp(2024, 3, 7), "y": 6.1e8}],
}
# Both sides of the change to summer time, on 2024-03-10; a holiday without a close; a session that is still running.
SESSIONS = chart(
    [stamp(2024, 3, 7, 14, 30), stamp(2024, 3, 8, 14, 30), stamp(2024, 3, 11, 13, 30), stamp(2024, 3, 12, 13, 30)],
    [5157.36, None, 5117.94, 5175.27],
)
FUTURES = chart([stamp(2024, 3, 7, 5), stamp(2024, 3, 8, 5), stamp(2024, 3, 8, 13, 20)], [2158.2, 2179.0, 2180.1])
VIX = b"DATE,OPEN,HIGH,LOW,CLOSE\n03/06/2024,14.39,14.73,14.11,14.50\n03/07/2024,14.33,14.66,14.13,14.44\n"
RATES = [
    {"symbol": "ETHUSDT", "fundingTime": 1709712000000 + 3, "fundingRate": "0.00039162", "markPrice": "3765.72"},
    {"symbol": "ETHUSDT", "fundingTime": 1709740800000, "fundingRate": "-0.00010000", "markPrice": ""},
]

# name: path, answer, the source's clock, what is told as (end of what it speaks of, value)
RECORDED = {
    "fear_greed": ("/fng/", FEAR_GREED, NOW, [((2024, 3, 7), 78.0), ((2024, 3, 8), 82.0)]),
    "funding": (
        "/fapi/v1/fundingRate",
        in_pages(RATES),
        NOW,
        [((2024, 3, 6, 8, 0, 0, 3000), 0.00039162), ((2024, 3, 6, 16), -0.0001)],
    ),
    "active_addresses": (
        "/v4/timeseries/asset-metrics",
        by_token,
        NOW,
        [((2024, 3, 6), 480000.0), ((2024, 3, 7), 490001.0), ((2024, 3, 8), 470002.0)],
    ),
    "hash_rate": ("/charts/hash-rate", HASH_RATE, NOW, [((2024, 3, 7), 5.9e8), ((2024, 3, 8), 6.1e8)]),
    "sp500": (
        "/v8/finance/chart/%5EGSPC",
        SESSIONS,
        datetime(2024, 3, 12, 15, tzinfo=UTC),
        [((2024, 3, 7, 21), 5157.36), ((2024, 3, 11, 20), 5117.94), ((2024, 3, 12, 20), 5175.27)],
    ),
    "gold": ("/v8/finance/chart/GC=F", FUTURES, NOW, [((2024, 3, 7, 22), 2158.2), ((2024, 3, 8, 22), 2180.1)]),
    "vix": (
        "/api/global/us_indices/daily_prices/VIX_History.csv",
        VIX,
        NOW,
        [((2024, 3, 6, 21, 15), 14.5), ((2024, 3, 7, 21, 15), 14.44)],
    ),
}
# The session of the last row is not over by the source's clock: it is told, and not kept.
RUNNING = ("sp500", "gold")


@pytest.mark.parametrize("name", RECORDED)
def test_an_answer_of_recorded_shape(name, source, tmp_path):
    path, answer, source.now, told = RECORDED[name]
    source.answers[path] = answer
    series = OUTSIDE[name]
    found, seen_at = download(name, "ETH", url=source.url)
    expected = [(datetime(*ended, tzinfo=UTC), datetime(*ended, tzinfo=UTC) + series.lag, v) for ended, v in told]
    assert found.frame.rows() == expected
    assert found.coin == ("ETH" if series.of_coin else None)
    assert seen_at == source.now
    kept = fetch(name, Archive(tmp_path), "ETH", source.url).outside
    assert kept.frame.rows() == (expected[:-1] if name in RUNNING else expected)


def test_funding_is_asked_page_by_page(source):
    stamps = [1_700_000_000_000 + n * 28_800_000 for n in range(2500)]
    rates = [{"symbol": "ETHUSDT", "fundingTime": t, "fundingRate": str(n)} for n, t in enumerate(stamps)]
    page = in_pages(rates)

    def answer(query):
        source.now += timedelta(minutes=1)
        return page(query)

    source.answers["/fapi/v1/fundingRate"] = answer
    found, seen_at = download("funding", "ETH", since=datetime(2023, 11, 1, tzinfo=UTC), url=source.url)
    assert found.frame["value"].to_list() == [float(n) for n in range(2500)]
    assert len(source.asked) == 3
    # The first page may have been written before what the last one tells.
    assert seen_at == NOW + timedelta(minutes=1)


def test_a_later_fetch_asks_for_the_newest_month_again(source, tmp_path):
    source.answers["/v4/timeseries/asset-metrics"] = by_token
    archive = Archive(tmp_path)
    assert fetch("active_addresses", archive, "ETH", source.url).added == 3
    assert fetch("active_addresses", archive, "ETH", source.url).added == 0
    starts = [query["start_time"] for _, query in source.asked]
    assert starts == ["2010-01-01"] * 2 + ["2024-02-07"] * 2


def test_a_source_that_tells_the_same_full_page_for_ever(source):
    page = [{"fundingTime": 1_700_000_000_000 + n, "fundingRate": "0.0001"} for n in range(1000)]
    source.answers["/fapi/v1/fundingRate"] = page
    with pytest.raises(DataError, match="a full page tells nothing new"):
        download("funding", "ETH", url=source.url)
    assert len(source.asked) == 2


@pytest.mark.parametrize("days", [["2024-03-05", "2024-03-06"], []])
def test_a_source_that_repeats_its_token_for_ever(days, source):
    data = [{"time": f"{day}T00:00:00.000000000Z", "AdrActCnt": "5"} for day in days]
    source.answers["/v4/timeseries/asset-metrics"] = {"data": data, "next_page_token": "0.MjAyNA"}
    with pytest.raises(DataError, match="tells nothing new"):
        download("active_addresses", "ETH", url=source.url)
    assert len(source.asked) == (2 if days else 1)


def test_a_page_without_a_value_is_no_end(source):
    """A metric may begin after its coin."""
    pages = {None: ("2024-03-05", None, "a"), "a": ("2024-03-06", None, "b"), "b": ("2024-03-07", "5", None)}

    def answer(query):
        day, count, token = pages[query.get("next_page_token")]
        return {"data": [{"time": f"{day}T00:00:00Z", "AdrActCnt": count}], "next_page_token": token}

    source.answers["/v4/timeseries/asset-metrics"] = answer
    assert download("active_addresses", "ETH", url=source.url)[0].frame["value"].to_list() == [5.0]


def test_restated_history_is_said_when_it_is_first_fetched(source, tmp_path):
    values = [{"x": stamp(2024, 3, 7) - 86_400 * day, "y": 1e8 + day} for day in range(100)]
    source.answers["/charts/hash-rate"] = {"values": values}
    archive = Archive(tmp_path)
    [note] = fetch("hash_rate", archive, url=source.url).notes
    # The last ends 2024-03-08, and of those after 2024-02-07 12:30 there are 30.
    assert note == (
        "blockchain.com charts restates hash_rate: 70 values from before 2024-02-07 were first fetched now."
        " They stand as public when they were due, but may differ from what was public then."
    )
    values[50]["y"] = 2e8
    source.now += HOUR
    again = fetch("hash_rate", archive, url=source.url)
    # What is restated from now on is available from now on.
    assert (again.added, again.notes) == (1, ())
    source.now += 45 * DAY
    values[:0] = [{"x": stamp(2024, 3, 7) + 86_400 * day, "y": 1e8} for day in range(40, 0, -1)]
    assert "15 values from before 2024-03-23" in fetch("hash_rate", archive, url=source.url).notes[0]


def test_a_series_that_is_never_restated_needs_no_note(source, tmp_path):
    source.answers["/fng/"] = FEAR_GREED
    source.now += 90 * DAY
    assert fetch("fear_greed", Archive(tmp_path), url=source.url).notes == ()


def test_a_failure_that_passes_is_tried_again_with_the_pause_asked_for(source):
    source.answers["/fng/"] = FEAR_GREED
    source.faults = [(429, {"Retry-After": "7"}), (503, {}), (502, {"Retry-After": "Fri, 08 Mar 2024 12:31:00 GMT"})]
    assert len(download("fear_greed", url=source.url)[0]) == 2
    assert source.pauses == [7.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("faults", "asked", "words"),
    [([(404, {})], 1, "answered 404"), ([(503, {"Retry-After": "9999"})] * 9, 4, "answered 503")],
)
def test_a_source_that_refuses(faults, asked, words, source):
    source.answers["/fng/"] = {}
    source.faults = faults
    with pytest.raises(ExchangeError, match=words):
        download("fear_greed", url=source.url)
    assert len(source.asked) == asked
    assert all(pause <= 60 for pause in source.pauses)


def test_a_source_that_is_not_there(source):
    with pytest.raises(ExchangeError, match=r"gave no answer: URLError.*Connection refused"):
        download("fear_greed", url="http://127.0.0.1:9")


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_no_redirection_leads_out_of_http(target, source):
    source.answers["/fng/"] = {}
    source.faults = [(302, {"Location": target})] * 9
    with pytest.raises(ExchangeError):
        download("fear_greed", url=source.url)


def test_an_answer_without_end_is_cut(source, monkeypatch):
    monkeypatch.setattr(web, "LARGEST", 100)
    source.answers["/fng/"] = b"x" * 101
    with pytest.raises(ExchangeError, match="more than 100 bytes"):
        download("fear_greed", url=source.url)


def test_a_source_that_does_not_tell_the_time(source):
    source.answers["/fng/"], source.now = FEAR_GREED, None
    assert abs(download("fear_greed", url=source.url)[1] - datetime.now(UTC)) < timedelta(minutes=1)


BROKEN = [b"", b"<html>Just a moment...</html>", b"[]", b"{}", b"null", b'"x"', b"\xff", b'{"data": 5, "chart": {}}']
BROKEN += [
    b'{"data": [{"value": "many", "timestamp": "x", "time": 5, "AdrActCnt": "y"}], "values": [{"x": 1e99, "y": 0}]}'
]
BROKEN += [
    b'{"chart": {"result": null}}',
    b"DATE,CLOSE\n13/40/2024,x\n",
    b'[{"fundingTime": null, "fundingRate": "0"}]',
]


@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize("name", RECORDED)
def test_an_answer_that_is_none(name, body, source):
    source.answers[RECORDED[name][0]] = body
    with pytest.raises(DataError):
        download(name, url=source.url)


# --- files ------------------------------------------------------------------------------------------------------------

FILES = {
    "fear_greed": ("fear_greed_1d", 2795),
    "funding": ("btcusdt_funding_daily_mean_1d", 2213),
    "active_addresses": ("btc_onchain_coinmetrics_1d", 3926),
    "transactions": ("btc_onchain_coinmetrics_2009_2019_1d", 3943),
    "mvrv": ("btc_onchain_coinmetrics_1d", 3926),
    "hash_rate": ("btc_hashrate_difficulty_1d", 6115),
    "sp500": ("sp500_yahoo_1d", 3960),
    "gold": ("gold_yahoo_1d", 3985),
    "dollar": ("dxy_1d", 2703),
    "vix": ("vix_cboe_1d", 3986),
}


def exog(study_data, name):
    return study_data / "exog" / f"{FILES[name][0]}.csv.gz"


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_study_data(name, study_data):
    path = exog(study_data, name)
    found = read(path, name)
    raw = pl.read_csv(path)
    column = next(column for column in OUTSIDE[name].columns if column in raw.columns)
    assert len(found) == FILES[name][1]
    assert found.frame["value"].to_list() == raw[column].cast(pl.Float64).to_list()
    days = [date.fromisoformat(label[:10]) for label in raw["time"]]
    closes = {"sp500": (16, 0), "vix": (16, 15), "gold": (17, 0), "dollar": (17, 0)}
    zone, hour, minute = (ZoneInfo("America/New_York"), *closes[name]) if name in closes else (UTC, 0, 0)
    ahead = DAY if name in ("funding", "active_addresses", "transactions", "mvrv", "hash_rate") else timedelta(0)
    expected = [datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone) + ahead for day in days]
    assert found.frame["ended_at"].to_list() == expected
    assert (found.frame["available_at"] - found.frame["ended_at"] == OUTSIDE[name].lag).all()


def test_two_publishers_label_the_hash_rate_of_a_day_alike(study_data):
    """Were one of them a day off, so would be what a bar is told."""
    other = pl.read_csv(study_data / "exog/btc_onchain_coinmetrics_1d.csv.gz").select("time", "HashRate")
    days = read(exog(study_data, "hash_rate"), "hash_rate").frame
    day = (pl.col("ended_at") - DAY).dt.date().cast(pl.String)
    both = days.with_columns(time=day).join(other, on="time")
    assert both.height == 3926
    apart = {days: (both["value"] / both["HashRate"].shift(days) - 1).abs().median() for days in (-1, 0, 1)}
    assert apart[0] < 1e-3 < 0.05 < min(apart[-1], apart[1])


# How many days before its own each daily bar's newest value is labelled, by each series' stated lag.
BEHIND = {"fear_greed": 0, "sp500": 0, "gold": 0, "dollar": 0}


@pytest.mark.parametrize("name", [name for name in FILES if name != "transactions"])
def test_real_days_as_pandas_joins_them(name, study_data):
    rows = files.read(study_data / "daily/btcusdt_binance_1d.csv.gz")
    candles = clean(rows, DAILY).candles.since(datetime(2019, 10, 1, tzinfo=UTC))
    found = join(candles, read(exog(study_data, name), name)).frame
    raw = pd.read_csv(exog(study_data, name))
    column = next(column for column in OUTSIDE[name].columns if column in raw)
    labels = pd.to_datetime(raw["time"].str[:10]) + BEHIND.get(name, 1) * DAY
    right = pd.DataFrame({"day": labels.astype("datetime64[us]"), "value": raw[column].astype(float)})
    left = pd.DataFrame({"day": found["time"].dt.replace_time_zone(None).to_list()}).astype("datetime64[us]")
    expected = pd.merge_asof(left, right.dropna(), on="day")
    np.testing.assert_array_equal(found[name].to_numpy(), expected["value"].to_numpy())


def served(name: str, path) -> object:
    """A file's rows in the shape the source answers with."""
    raw = pl.read_csv(path)
    days = raw["time"].str.slice(0, 10).to_list()
    midnights = [int(datetime.fromisoformat(f"{day}T00:00Z").timestamp()) for day in days]
    if name == "fear_greed":
        rows = zip(raw["fear_greed_index"], midnights, strict=True)
        return {"data": [{"value": str(v), "timestamp": str(at)} for v, at in reversed(list(rows))]}
    if name == "hash_rate":
        return {"values": [{"x": at, "y": v} for at, v in zip(midnights, raw["hashrate"], strict=True)]}
    if name == "active_addresses":
        return {
            "data": [
                {"time": f"{d}T00:00:00.000000000Z", "AdrActCnt": str(v)} for d, v in raw["time", "AdrActCnt"].rows()
            ]
        }
    if name == "vix":
        american = pl.Series("DATE", [f"{day[5:7]}/{day[8:]}/{day[:4]}" for day in days])
        return raw.select(american, pl.exclude("time").name.to_uppercase()).write_csv().encode()
    opens = [datetime.fromisoformat(f"{day}T09:30").replace(tzinfo=ZoneInfo("America/New_York")) for day in days]
    return chart([int(at.timestamp()) for at in opens], raw["close"].to_list())


@pytest.mark.parametrize("name", ["fear_greed", "hash_rate", "active_addresses", "vix", "sp500"])
def test_source_and_file_tell_the_same(name, study_data, source):
    path = exog(study_data, name)
    source.answers[RECORDED[name][0]] = served(name, path)
    found, _ = download(name, url=source.url)
    assert found.frame.equals(read(path, name).frame)


def test_google_trends_is_refused_with_the_reason(study_data):
    path = study_data / "exog/google_trends_bitcoin_monthly.csv.gz"
    with pytest.raises(RecipeError, match="leaks the future by construction"):
        read(path, "google_trends")


def test_an_unknown_series_is_answered_with_those_there_are():
    with pytest.raises(RecipeError, match="Did you mean 'fear_greed'"):
        download("fear_gred")
    with pytest.raises(RecipeError, match="Choose among fear_greed, funding"):
        download("moon_phase")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a table"),
        ("day,fear_greed\n2020-01-01,5\n", "has the columns day, fear_greed.*time or date"),
        ("time,mood\n2020-01-01,5\n", "None of them is fear_greed"),
        ("time,fear_greed\n01-02-2020,5\n", "row '01-02-2020'"),
        ("time,fear_greed\n2020-01-01T08:00:00Z,5\n", "A row is a day in UTC"),
        ("time,fear_greed\n2020-01-01T00:00:00+02:00,5\n", "A row is a day in UTC"),
        ("time,fear_greed\n2020-01-01,calm\n", "row '2020-01-01', 'calm'"),
        ("time,fear_greed\n2020-01-01,5\n2020-01-01,6\n", "two values"),
        ("time,fear_greed\n2020-01-01,\n", "has no value"),
    ],
)
def test_a_file_that_cannot_be_read(text, words, tmp_path):
    path = tmp_path / "mood.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read(path, "fear_greed")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        read(tmp_path / "none.csv", "fear_greed")


def test_a_hand_made_file(tmp_path):
    path = tmp_path / "mood.csv"
    path.write_text("date,fear_greed\n2020-01-02, 5 \n2020-01-01T00:00:00Z,nan\n2020-01-03,\n2020-01-04 00:00,7\n")
    expected = [(datetime(2020, 1, day, tzinfo=UTC), value) for day, value in ((2, 5.0), (4, 7.0))]
    assert read(path, "fear_greed").frame["ended_at", "value"].rows() == expected


def test_a_series_of_one_s_own(monkeypatch, tmp_path):
    monkeypatch.setattr("coincast.external.catalogue.OUTSIDE", dict(OUTSIDE))
    own = register(type(OUTSIDE["vix"])(**{**vars(OUTSIDE["vix"]), "name": "storms", "columns": ("storms",)}))
    assert register(own) is own
    with pytest.raises(RecipeError, match="'vix' is registered already"):
        register(type(own)(**{**vars(own), "name": "vix"}))
    path = tmp_path / "storms.csv"
    path.write_text("date,storms\n2020-01-02,5\n")
    archive = Archive(tmp_path)
    assert archive.add(read(path, "storms"), NOW) == 1
    assert archive.read("storms").frame.equals(read(path, "storms").frame)


def test_the_catalogue_says_what_each_is():
    for name, series in OUTSIDE.items():
        assert series.name == name
        assert all((series.says, series.source, series.licence, series.url.startswith("https://")))
        assert series.lag > timedelta(0)
        assert name in series.columns


# --- on disk ----------------------------------------------------------------------------------------------------------


def addresses(values: dict[int, float]) -> Outside:
    """Active addresses of days after START, public twelve hours after each."""
    return outside_of([(day * DAY, 12 * HOUR, value) for day, value in values.items()], "active_addresses", "BTC")


def at(days: float) -> datetime:
    return START + days * DAY


def test_the_first_value_counts_and_a_restated_one_is_kept(tmp_path):
    archive = Archive(tmp_path)
    assert archive.add(addresses({1: 10.0, 2: 20.0}), at(2.6)) == 2
    assert archive.add(addresses({1: 11.0, 2: 21.0, 3: 30.0}), at(3.6)) == 3
    assert archive.add(addresses({1: 11.0, 2: 20.0, 3: 30.0}), at(4.6)) == 1
    assert archive.read("active_addresses").frame["value"].to_list() == [10.0, 20.0, 30.0]
    told = archive.revisions("active_addresses").filter(pl.col("ended_at") == at(2))
    assert told["value"].to_list() == [20.0, 21.0, 20.0]
    assert told["available_at"].to_list() == [at(2.5), at(3.6), at(4.6)]
    assert archive.read("active_addresses", seen_by=at(3)).frame["value"].to_list() == [10.0, 20.0]
    with pytest.raises(DataError, match=r"holds no value.*coincast fetch active_addresses"):
        archive.read("active_addresses", seen_by=at(1))


def test_what_is_not_public_yet_is_not_kept(tmp_path):
    archive = Archive(tmp_path)
    assert archive.add(addresses({1: 10.0, 2: 20.0}), at(2.4)) == 1
    assert archive.add(addresses({1: 10.0, 2: 22.0}), at(2.5)) == 1
    assert archive.read("active_addresses").frame["value"].to_list() == [10.0, 22.0]


@settings(max_examples=8)
@given(st.permutations(list(range(12))), st.integers(1, 5))
def test_however_it_was_fetched_the_same_is_kept(tmp_path_factory, order, size):
    """Overlapping, repeated, out of order: as long as nothing is restated, the archive is the same."""
    archive = Archive(tmp_path_factory.mktemp("outside"))
    for first in order:
        days = range(first, min(first + size, 12))
        archive.add(addresses({day: day * 1.5 for day in days}), at(20 + first / 100))
    assert archive.read("active_addresses").frame.equals(addresses({day: day * 1.5 for day in range(12)}).frame)


def test_each_coin_has_its_own_file_and_the_market_one(tmp_path):
    archive = Archive(tmp_path)
    archive.add(addresses({1: 10.0}), NOW)
    archive.add(outside_of([(DAY, HOUR, 9.0)], "active_addresses", "ETH"), NOW)
    archive.add(daily(3, name="vix"), NOW)
    files = ["active_addresses-BTC.parquet", "active_addresses-ETH.parquet", "vix.parquet"]
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == files
    assert archive.read("active_addresses", "ETH").frame["value"].to_list() == [9.0]
    assert archive.read("vix", "ETH").coin is None


def test_nobody_reads_or_writes_outside_the_folder(tmp_path):
    archive = Archive(tmp_path / "inside")
    for ask in (archive.read, archive.revisions):
        with pytest.raises(DataError, match="not made of A-Z"):
            ask("funding", "../../BTC")
    with pytest.raises(RecipeError, match="no outside series"):
        archive.read("../vix")
    with pytest.raises(DataError, match="The coin '' is not"):
        archive.add(daily(3, name="funding"), NOW)
    assert not list(tmp_path.iterdir())


def test_one_writer_at_a_time(tmp_path):
    import filelock

    archive = Archive(tmp_path)
    with (
        filelock.FileLock(tmp_path / "vix.lock"),
        pytest.raises(OutputError, match=r"Someone else is writing .*vix\.parquet"),
    ):
        archive.add(daily(3, name="vix"), NOW)
    assert archive.add(daily(3, name="vix"), NOW) == 3


def test_a_disk_that_is_full_keeps_what_stood_there(tmp_path, monkeypatch):
    archive = Archive(tmp_path)
    archive.add(daily(3, name="vix"), NOW)
    before = (tmp_path / "vix.parquet").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("coincast.output.os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        archive.add(daily(5, name="vix"), NOW)
    assert (tmp_path / "vix.parquet").read_bytes() == before


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "vix.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"vix\.parquet cannot be read"):
        Archive(tmp_path).read("vix")
