"""Binance's formats against recorded payloads and its documentation."""

import gzip
import json

import polars as pl
import pytest
from played import bars_of, held, klines, shape, traded

from coincast.candles import SCHEMA, Candles
from coincast.exchanges.binance import Binance
from coincast.exchanges.replay import Replay
from coincast.exchanges.tape import Topic
from coincast.feed import Feed, Interval


def recorded_hours(folder) -> tuple[Candles, pl.DataFrame]:
    frame = pl.read_csv(folder / "wire/binance_spot_klines_full_columns_2025-05_2025-09.csv.gz")
    columns = frame.select(
        pl.from_epoch("open_time", time_unit="ms").dt.replace_time_zone("UTC").cast(SCHEMA["time"]).alias("time"),
        *("open", "high", "low", "close", "volume"),
        observed=True,
    )
    return Candles(Feed.parse("binance:BTC/USDT:1h"), columns.cast(dict(SCHEMA))), frame


def test_binance_klines_are_written_as_recorded(study_data):
    candles, frame = recorded_hours(study_data)
    recorded = json.loads((study_data / "wire/binance_spot_rest_klines.json").read_text())
    rows = klines(held(candles), interval="1h", startTime=int(frame["open_time"][0]), limit=1000)
    assert len(rows) == 1000
    assert {str(shape(row)) for row in rows} == {str(shape(row)) for row in recorded}
    assert {len(text.partition(".")[2]) for row in rows for text in row[1:6]} == {8}
    for row, truth in zip(rows, frame.iter_rows(), strict=False):
        assert (row[0], row[6]) == (truth[0], truth[6])
        assert [float(text) for text in row[1:6]] == list(truth[1:6])
        # What candles do not tell is made up, within what the bar allows.
        low, high, volume, turnover = (float(row[i]) for i in (3, 2, 5, 7))
        assert low * volume <= turnover <= high * volume
        assert 0 < float(row[9]) < volume
        assert float(row[10]) < turnover


def test_binance_events_are_written_as_recorded(study_data):
    with gzip.open(study_data / "wire/cryptofeed_binance_ws.txt.gz", "rt") as lines:
        texts = [line.partition(": ")[2] for line in lines if '@kline_1m","data' in line]
    recorded = [json.loads(text) for text in texts]
    tape = held(traded(3, 1))
    stream = Binance(tape).stream("stream.binance.com/stream", {"streams": "btcusdt@kline_1m"})
    ours = stream.tell(Topic("BTC/USDT", Interval("1m")), bars_of(traded(3, 1))[0], tape.now, closed=False)
    assert recorded
    for message in recorded:
        assert str(shape(ours)) == str(shape(message))
        kline = message["data"]["k"]
        assert kline["L"] - kline["f"] + 1 == kline["n"]
    kline = ours["data"]["k"]
    assert kline["L"] - kline["f"] + 1 == kline["n"]


def test_binance_streams_by_name_combined_and_on_request():
    tape = held(traded(90, 3))
    dialect = Binance(tape)
    minute, hour = Topic("BTC/USDT", Interval("1m")), Topic("BTC/USDT", Interval("1h"))
    assert dialect.stream("stream.binance.com/ws/btcusdt@kline_1m/btcusdt@kline_1h", {}).topics == {minute, hour}
    unknown = "nobody@kline_1h/btcusdt@kline_1s/btcusdt@trade"
    combined = dialect.stream("stream.binance.com/stream", {"streams": f"btcusdt@kline_1h/{unknown}"})
    assert combined.topics == {hour}
    assert combined.hear('{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}') == [{"result": None, "id": 1}]
    assert combined.hear('{"method":"UNSUBSCRIBE","params":["btcusdt@kline_1h"],"id":2}') == [{"result": None, "id": 2}]
    assert combined.topics == {minute}
    names = {"result": ["btcusdt@kline_1m"], "id": 3}
    assert combined.hear('{"method":"LIST_SUBSCRIPTIONS","id":3}') == [names]
    event = combined.tell(minute, bars_of(traded(90, 3))[0], tape.now, closed=True)
    assert (event["stream"], event["data"]["e"]) == ("btcusdt@kline_1m", "kline")
    for text in ("{", "[]", '"x"', '{"method":"DANCE","id":4}', '{"method":"SUBSCRIBE"}'):
        assert [set(reply) >= {"error"} for reply in combined.hear(text)] == [True]
    assert dialect.stream("stream.binance.com/elsewhere", {}) is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbol": ""}, -1102),
        ({"interval": ""}, -1102),
        ({"symbol": "BTCEUR"}, -1121),
        ({"symbol": "btcusdt"}, -1121),
        ({"interval": "7m"}, -1120),
        ({"interval": "1M"}, -1120),
        ({"limit": "many"}, -1100),
        ({"startTime": "-1"}, -1100),
        ({"endTime": "1e12"}, -1100),
    ],
)
def test_binance_refuses_bad_requests_with_its_codes(query, code):
    dialect = Binance(held(traded(30, 2)))
    answer = dialect.answer("api.binance.com/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"} | query)
    assert answer.status == 400
    assert json.loads(answer.text)["code"] == code


def test_binance_pages_go_from_the_start_asked_for_or_back_from_the_end():
    tape = held(traded(1500, 2))
    rows = bars_of(traded(1500, 2))
    opens = [bar.time for bar in rows]

    def times(**query: object) -> list[int]:
        return [row[0] for row in klines(tape, **query)]

    assert times() == opens[-500:]
    assert times(limit=5000) == opens[-1000:]
    assert times(startTime=opens[3]) == opens[3:503]
    assert times(startTime=opens[3] + 1, limit=2) == opens[4:6]
    assert times(endTime=opens[9], limit=4) == opens[6:10]
    assert times(startTime=opens[3], endTime=opens[5]) == opens[3:6]
    assert times(startTime=opens[5], endTime=opens[3]) == []


def test_binance_weighs_requests_and_bans_who_does_not_listen():
    dialect = Binance(held(traded(30, 2)))

    def ask(path: str = "klines") -> tuple[int, dict[str, str]]:
        query = {"symbol": "BTCUSDT", "interval": "1m", "limit": "1"}
        answer = dialect.answer(f"api.binance.com/api/v3/{path}", query)
        return answer.status, answer.headers

    assert ask("exchangeInfo")[1]["x-mbx-used-weight-1m"] == "20"
    assert ask()[1]["x-mbx-used-weight-1m"] == "22"
    statuses = [ask()[0] for _ in range(3000)]
    assert statuses == [200] * 2989 + [429] * 10 + [418]
    assert ask("ping")[0] == 418


def test_a_minute_later_binance_listens_again():
    dialect = Binance(Replay([traded(3000, 2)], speed=60_000).tape())
    query = {"symbol": "BTCUSDT", "interval": "1m", "limit": "1"}
    assert {dialect.answer("api.binance.com/api/v3/klines", query).status for _ in range(3100)} == {200}


def test_a_refusal_says_when_to_come_back_in_our_seconds():
    for fault, speed, wait in (
        ("429", 1, "60"),
        ("418", 1, "120"),
        ("429", 60, "1"),
        ("418", 10**4, "0"),
        ("429", 0, "0"),
    ):
        tape = Replay([traded(30, 2)], speed=speed).tape()
        answer = Binance(tape).refuse(fault)
        assert (str(answer.status), answer.headers["Retry-After"], json.loads(answer.text)["code"]) == (
            fault,
            wait,
            -1003,
        )
