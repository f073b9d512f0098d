"""Kraken's formats against recorded payloads and its documentation."""

import json
import re
from datetime import UTC, datetime

import pytest
from played import bars_of, held, ohlc, shape, traded

from coincast.exchanges.kraken import Kraken
from coincast.exchanges.tape import Topic
from coincast.feed import Feed, Interval
from coincast.records import accept


def test_kraken_rows_are_written_as_recorded(study_data):
    recorded = json.loads((study_data / "wire/kraken_rest_ohlc_first24.json").read_text())["result"]["XBTUSDT"]
    rows = [[row[0] * 1000, *map(float, row[1:5]), float(row[6])] for row in recorded]
    feed = Feed.parse("kraken:BTC/USDT:1m")
    end = datetime.fromtimestamp(recorded[-1][0] + 60, UTC)
    records = accept(feed, rows, end, "kraken").records
    answer = ohlc(held(records, at=end))
    ours = answer["result"]["XBTUSDT"]
    assert len(ours) == len(recorded) == 24
    for row, truth in zip(ours, recorded, strict=True):
        assert str(shape(row)) == str(shape(truth))
        assert row[:5] == truth[:5]
        assert row[6] == truth[6]
        assert (row[5] == "0.0") == (truth[5] == "0.0")
        assert (row[7] == 0) == (truth[7] == 0)
    assert answer["error"] == []
    assert answer["result"]["last"] == recorded[-1][0]


def test_kraken_messages_are_written_as_documented(study_data):
    text = (study_data / "wire/kraken_ws_ohlc_session.txt").read_text().replace("|1|", "1")
    asking, acknowledged, update = (json.loads(part.strip()) for part in _parts(text))
    tape = held(traded(60, 1))
    stream = Kraken(tape).stream("ws.kraken.com/v2", {})
    asking["params"]["symbol"] = ["BTC/USDT"]
    ours, snapshot = stream.hear(json.dumps(asking | {"req_id": 1}))
    assert _sorted(shape(ours)) == _sorted(shape(acknowledged))
    bar = bars_of(traded(60, 1))[0]
    told = stream.tell(Topic("BTC/USDT", Interval("5m")), bar, tape.now, closed=True)
    assert _sorted(shape(told)) == _sorted(shape(update))
    assert len(told["timestamp"]) == len(update["timestamp"])
    for name in ("interval_begin", "timestamp"):
        assert len(told["data"][0][name]) == len(update["data"][0][name])
    assert snapshot["type"] == "snapshot"
    assert [row["interval_begin"] for row in snapshot["data"]] == sorted(
        {r["interval_begin"] for r in snapshot["data"]}
    )


def _parts(text: str) -> list[str]:
    return re.findall(r"^[><=] *(.+?)(?=^[<=]|\Z)", text, re.DOTALL | re.MULTILINE)


def _sorted(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def test_kraken_streams_on_request():
    tape = held(traded(90, 3))
    stream = Kraken(tape).stream("ws.kraken.com/v2", {})
    assert stream.greet()[0]["channel"] == "status"
    assert stream.idle() == []
    asking = {"method": "subscribe", "params": {"channel": "ohlc", "symbol": ["BTC/USDT", "X/Y"], "interval": 15}}
    acknowledged, snapshot, refused = stream.hear(json.dumps(asking))
    assert acknowledged["result"]["interval"] == 15
    assert [row["close"] for row in snapshot["data"]] == [
        bar.close for bar in tape.markets["BTC/USDT"].bars(Interval("15m"), tape.now)
    ]
    assert refused["error"] == "Currency pair not supported X/Y"
    assert stream.topics == {Topic("BTC/USDT", Interval("15m"))}
    assert stream.idle() == [{"channel": "heartbeat"}]
    assert [reply["method"] for reply in stream.hear('{"method":"ping","req_id":3}')] == ["pong"]
    (left,) = stream.hear(
        json.dumps(asking | {"method": "unsubscribe", "params": {**asking["params"], "symbol": ["BTC/USDT"]}})
    )
    assert left["success"]
    assert stream.topics == set()
    for text in ("{", "[]", '"x"', "{}", '{"method":"dance"}', '{"method":"subscribe","params":{"channel":"trade"}}'):
        assert [reply["success"] for reply in stream.hear(text)] == [False]
    assert Kraken(tape).stream("ws.kraken.com", {}) is None


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"pair": "XBTEUR"}, "EQuery:Unknown asset pair"),
        ({"interval": "2"}, "EGeneral:Invalid arguments"),
        ({"interval": "1m"}, "EGeneral:Invalid arguments"),
        ({"since": "yesterday"}, "EGeneral:Invalid arguments"),
    ],
)
def test_kraken_refuses_bad_requests_in_its_words(query, error):
    answer = Kraken(held(traded(30, 2))).answer("api.kraken.com/0/public/OHLC", {"pair": "XBTUSDT"} | query)
    assert (answer.status, json.loads(answer.text)) == (200, {"error": [error]})
