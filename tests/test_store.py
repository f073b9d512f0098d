"""The store keeps every word it was told, in any order of telling, through crashes, and for many readers."""

import errno
import itertools
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench.proof.kill_store import PREPARED, batches, killed_at_random, killed_at_step
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coincast import output
from coincast import store as store_module
from coincast.errors import CoincastError, DataError, OutputError
from coincast.feed import Feed
from coincast.store import MANIFEST, Hole, Segment, Snapshot, Store
from told import FEED, HOUR, START, Told, news, records_of, tellings, told, told_in, without_returns

some = st.lists(tellings, max_size=8)
COMPACT = "compact"


class Twin:
    """What a store should hold after each commit, kept as lists."""

    def __init__(self) -> None:
        self.snapshots: list[list[Told]] = [[]]
        # A row that a later telling makes a repetition is not read, stays, and may be read again after a third one.
        self.disk: list[Told] = []

    def append(self, heard: list[Told]) -> int:
        held = self.snapshots[-1]
        new = set(news([*held, *news(heard)])) - set(held)
        if new:
            self.disk += new
            self.snapshots.append(news(self.disk))
        return len(new)

    def compacted(self, number: int) -> None:
        self.snapshots += [self.snapshots[-1]] * (number + 1 - len(self.snapshots))


@contextmanager
def new_store():
    with tempfile.TemporaryDirectory() as folder:
        yield Store(Path(folder, "store"))


def appended(store: Store, *batches) -> Store:
    with store.writer(FEED) as writer:
        for batch in batches:
            writer.append(records_of(batch))
    return store


def files(store: Store) -> set[str]:
    return {file.name for file in store.folder(FEED).iterdir()} - {".lock", MANIFEST}


def named(store: Store) -> set[str]:
    return {segment.file for segment in store.snapshot(FEED).segments}


@settings(max_examples=60)
@given(st.lists(some | st.just(COMPACT), max_size=6), st.integers(1, 3))
@example([[told(0, 100.0, 1)], [told(0, 99.0), told(0, 100.0)], [told(0, 99.0, volume=2.0)]], 1)
def test_the_store_is_its_slow_twin(work, most):
    twin = Twin()
    with pytest.MonkeyPatch.context() as patch, new_store() as store:
        patch.setattr(store_module, "MOST_SEGMENTS", most)
        for batch in work:
            with store.writer(FEED) as writer:
                if batch == COMPACT:
                    writer.compact()
                    twin.compacted(store.snapshot(FEED).number)
                    assert len(store.snapshot(FEED).segments) <= 2
                else:
                    assert writer.append(records_of(batch)) == twin.append(batch)
        held = store.snapshot(FEED)
        years = [segment.first.year for segment in held.segments]
        assert all(years.count(year) <= most for year in years)
        assert held.number == len(twin.snapshots) - 1
        for number, expected in enumerate(twin.snapshots):
            assert told_in(store.read(FEED, snapshot=number)) == expected
        assert told_in(store.read(FEED)) == twin.snapshots[-1]
        assert store.verify(FEED) == []
        assert files(store) == named(store) if held.number else True


@settings(max_examples=40)
@given(some.map(without_returns), st.randoms(use_true_random=False))
def test_any_order_and_portions_end_in_the_same_store(heard, random):
    again = [*heard, *heard[::2]]
    random.shuffle(again)
    cut = random.randrange(len(again) + 1)
    with new_store() as store:
        appended(store, again[:cut], again[cut:], again)
        assert store.read(FEED).digest == records_of(heard).digest


@settings(max_examples=40)
@given(st.lists(some, max_size=3), st.none() | st.integers(-1, 7), st.none() | st.integers(-1, 7), st.integers(0, 59))
def test_a_span_is_the_bars_that_open_and_close_in_it(work, since, until, minutes):
    bounds = [None if n is None else START + n * HOUR + timedelta(minutes=minutes) for n in (since, until)]
    with new_store() as store:
        appended(store, *work)
        found = told_in(store.read(FEED, *bounds))
        since, until = bounds
        everything = told_in(store.read(FEED))
        assert found == [
            t for t in everything if (since is None or t.time >= since) and (until is None or t.time + HOUR <= until)
        ]
        if since and until:
            assert [Hole(t, t + HOUR) for t in missing(everything, since, until)] == [
                Hole(hole.start + i * HOUR, hole.start + (i + 1) * HOUR)
                for hole in store.holes(FEED, since, until)
                for i in range((hole.end - hole.start) // HOUR)
            ]


def missing(heard: list[Told], since: datetime, until: datetime) -> list[datetime]:
    grid = [START + n * HOUR for n in range(-3, 12)]
    return [t for t in grid if since <= t and t + HOUR <= until and t not in {u.time for u in heard}]


def test_holes_are_as_long_as_they_can_be(tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0), told(3, 99.0), told(4, 99.0)])
    assert store.holes(FEED, START - 2 * HOUR, START + 6 * HOUR) == [
        Hole(START - 2 * HOUR, START),
        Hole(START + HOUR, START + 3 * HOUR),
        Hole(START + 5 * HOUR, START + 6 * HOUR),
    ]
    assert Store(tmp_path / "empty").holes(FEED, START, START + HOUR) == [Hole(START, START + HOUR)]
    assert store.holes(FEED, START + HOUR, START) == []


def test_an_empty_place_is_an_empty_store(tmp_path):
    store = Store(tmp_path / "nothing")
    assert (store.feeds(), len(store.read(FEED)), store.verify(FEED)) == ([], 0, [])
    assert store.snapshot(FEED) == Snapshot(FEED)
    assert not store.root.exists()


def test_what_a_snapshot_says(tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0), told(1, 99.0)], [told(4, 99.0)])
    held = store.snapshot(FEED)
    assert (held.number, held.rows, held.first, held.last) == (2, 3, START, START + 4 * HOUR)
    assert store.feeds() == [FEED]
    assert store.folder(FEED) == tmp_path / "binance" / "BTC_USDT" / "1h"
    assert named(store) == {"2023-000001.parquet", "2024-000002.parquet"}
    for number in (-1, 3):
        with pytest.raises(DataError, match=f"no snapshot {number}; the last is 2"):
            store.read(FEED, snapshot=number)


def test_one_writer_a_feed(tmp_path):
    store, other = Store(tmp_path), Feed.parse("binance:ETH/USDT:1h")
    with store.writer(FEED):
        with pytest.raises(OutputError, match="Another writer has binance:BTC/USDT:1h"), store.writer(FEED):
            pass
        code = f"from coincast.store import *; Store(Path({str(tmp_path)!r})).writer(Feed.parse('{FEED}')).__enter__()"
        elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "OutputError: Another writer has binance:BTC/USDT:1h" in elsewhere.stderr
        with store.writer(other):
            pass
    with store.writer(FEED):
        pass


def test_records_of_another_feed_are_refused(tmp_path):
    with Store(tmp_path).writer(Feed.parse("binance:ETH/USDT:1h")) as writer, pytest.raises(DataError, match="ETH"):
        writer.append(records_of([told(0, 99.0)]))


symbols = st.from_regex(r"\A[A-Za-z0-9.]{1,4}/[A-Za-z0-9.]{1,4}(:[A-Za-z0-9.\-]{1,4})?\Z") | st.sampled_from(
    ["../..", "./.", "../..:..", "BTC/USDT:USDT", "BTC/USD:BTC-240329"]
)


@given(symbols, symbols)
def test_every_symbol_has_a_folder_of_its_own_inside_the_store(one, other):
    store = Store(Path("/store"))
    folders = [store.folder(Feed("binance", symbol, FEED.interval)) for symbol in (one, other)]
    for folder in folders:
        assert Path(os.path.normpath(folder)) == folder
        assert folder.parent.parent == Path("/store/binance")
    assert (folders[0] == folders[1]) == (one == other)


@settings(max_examples=20)
@given(st.lists(symbols, unique_by=str.lower, max_size=4))
def test_what_is_stored_can_be_listed(listed):
    with new_store() as store:
        feeds = [Feed("binance", symbol, FEED.interval) for symbol in listed]
        for feed in feeds:
            store.folder(feed).mkdir(parents=True)
            (store.folder(feed) / MANIFEST).write_bytes(Snapshot(feed).encode())
        (store.root / "outside").mkdir(parents=True, exist_ok=True)
        stray = store.root / "Not A" / "feed" / "1h"
        stray.mkdir(parents=True)
        (stray / MANIFEST).touch()
        assert store.feeds() == sorted(feeds, key=str)


def test_a_folder_of_another_feed_is_refused(tmp_path):
    store, other = appended(Store(tmp_path), [told(0, 99.0)]), Feed.parse("binance:ETH/USDT:1h")
    shutil.copytree(store.folder(FEED), store.folder(other))
    with pytest.raises(DataError, match="is of binance:BTC/USDT:1h, not of binance:ETH/USDT:1h"):
        store.read(other)
    with pytest.raises(DataError, match="not of"), store.writer(other):
        pass


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: b"",
        lambda text: b"\xff\xfe",
        lambda text: b"[]",
        lambda text: b"[" * 100_000,
        lambda text: text.replace(b"2023-000001", b"../../2023-000001"),
        lambda text: text.replace(b"+00:00", b""),
        lambda text: text.replace(b'"rows": 1', b'"rows": "one"'),
        lambda text: text.replace(b'"sha256"', b'"md5"'),
        lambda text: text.replace(b"binance:BTC/USDT:1h", b"nowhere"),
        lambda text: text.replace(b'"binance:BTC/USDT:1h"', b"5"),
        lambda text: text.replace(b'"number": 1', b'"number": 1e999'),
        lambda text: text.replace(b'"number": 1', b'"number": NaN'),
        lambda text: text.replace(b'"rows": 1', b'"rows": -1e999'),
        lambda text: text.replace(b'"2023-12-31T22:00:00+00:00"', b'"0001-01-01T00:00:00+23:59"'),
        lambda text: text.replace(b'"2023-12-31T22:00:00+00:00"', b"5"),
    ],
)
def test_a_damaged_manifest_is_said_and_never_written_over(damage, tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0)])
    file = store.folder(FEED) / MANIFEST
    content = damage(file.read_bytes())
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"snapshot\.json cannot be read"):
        store.read(FEED)
    with pytest.raises(DataError), store.writer(FEED):
        pass
    assert len(store.verify(FEED)) == 1
    assert file.read_bytes() == content
    assert (store.folder(FEED) / "2023-000001.parquet").exists()


def test_verify_finds_every_flipped_byte_and_every_file_that_is_missing(tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0)], [told(3, 99.0)])
    file = store.folder(FEED) / "2023-000001.parquet"
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        [finding] = store.verify(FEED)
        assert "2023-000001.parquet" in finding
        assert "2024" not in finding
    file.write_bytes(whole[:40])
    assert told_in(store.read(FEED, since=START + 2 * HOUR)) == [told(3, 99.0)]
    refused = [lambda writer: store.read(FEED), lambda writer: writer.append(records_of([told(0, 101.0)]))]
    for damage, found in ((lambda: None, "is not as it was written"), (file.unlink, "cannot be read")):
        damage()
        for act in refused:
            with store.writer(FEED) as writer, pytest.raises(DataError, match=rf"2023-000001\.parquet {found}"):
                act(writer)
        assert found in store.verify(FEED)[0]


def test_verify_holds_the_manifest_against_the_rows(tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0)])
    file = store.folder(FEED) / MANIFEST
    file.write_bytes(file.read_bytes().replace(b'"rows": 1', b'"rows": 2'))
    assert store.verify(FEED) == ["2023-000001.parquet does not hold the rows the manifest says."]
    file.write_bytes(file.read_bytes().replace(b'"rows": 2', b'"rows": 1').replace(b'"number": 1', b'"number": 0'))
    assert store.verify(FEED) == ["2023-000001.parquet has rows of commits that were never made."]


def test_compaction_never_makes_damage_look_sound(tmp_path):
    store = appended(Store(tmp_path), [told(3, 99.0)], [told(4, 99.0)])
    file = store.folder(FEED) / "2024-000001.parquet"
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    with store.writer(FEED) as writer:
        with pytest.raises(DataError, match="not as it was written"):
            writer.compact()
        assert files(store) == named(store) == {"2024-000001.parquet", "2024-000002.parquet"}
        file.unlink()
        with pytest.raises(DataError, match="cannot be read"):
            writer.compact()
    assert store.snapshot(FEED).number == 2


def test_compacting_twice_changes_nothing(tmp_path):
    store = appended(Store(tmp_path), [told(3, 99.0)], [told(4, 99.0)])
    with store.writer(FEED) as writer:
        writer.compact()
        once = store.snapshot(FEED)
        writer.compact()
    assert store.snapshot(FEED) == once
    assert [segment.file for segment in once.segments] == ["2024-000003.parquet"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: told_in(store.read(FEED)),
        lambda store: store.holes(FEED, START, START + 9 * HOUR),
        lambda store: store.verify(FEED),
    ],
)
def test_a_reader_whose_file_was_joined_away_starts_again(ask, tmp_path, monkeypatch):
    store = appended(Store(tmp_path), [told(3, 99.0)], [told(4, 99.0)])
    expected, asked = ask(store), [store.snapshot(FEED)]
    with store.writer(FEED) as writer:
        writer.compact()
    now = Store.snapshot
    monkeypatch.setattr(Store, "snapshot", lambda self, feed: asked.pop() if asked else now(self, feed))
    assert ask(store) == expected
    assert not asked


def test_readers_see_whole_commits_while_a_writer_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MOST_SEGMENTS", 2)
    store = Store(tmp_path)
    work = [[told(bar, 99.0), told(bar + 1, 101.0)] for bar in range(0, 60, 2)]
    wholes = {records_of(itertools.chain(*work[:n])).digest for n in range(len(work) + 1)}
    seen, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(store.read(FEED).digest)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    appended(store, *work)
    done.set()
    for reader in readers:
        reader.join()
    assert len(set(seen)) > 2
    assert set(seen) <= wholes


def test_what_a_killed_writer_left_is_not_read_and_is_removed(tmp_path):
    store = appended(Store(tmp_path), [told(3, 99.0)])
    for name in ("2024-000002.parquet", ".2024-000003.parquet.77.part"):
        (store.folder(FEED) / name).write_bytes(b"half")
    (store.folder(FEED) / "notes.txt").write_bytes(b"mine")
    assert told_in(store.read(FEED)) == [told(3, 99.0)]
    assert store.verify(FEED) == []
    with store.writer(FEED) as writer:
        writer.append(records_of([told(4, 99.0)]))
    assert files(store) - named(store) == {"notes.txt"}
    assert told_in(store.read(FEED)) == [told(3, 99.0), told(4, 99.0)]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_full_disk_at_any_step_loses_nothing(step, tmp_path, monkeypatch):
    store = appended(Store(tmp_path), [told(0, 99.0)], [told(3, 99.0)])
    before, rename, calls = store.snapshot(FEED), Path.replace, []

    def full(self, target):
        calls.append(target)
        if len(calls) == step:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    batch = records_of([told(1, 99.0), told(4, 99.0)])
    with store.writer(FEED) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", full)
            with pytest.raises(OutputError, match="No space left on device"):
                writer.append(batch)
        assert store.snapshot(FEED) == before
        assert files(store) == named(store)
        assert writer.append(batch) == 2
    assert len(calls) == step


@pytest.mark.parametrize(("step", "kept"), [(1, False), (2, True)])
def test_a_folder_that_cannot_be_brought_to_the_disk_is_said_as_it_is(step, kept, tmp_path, monkeypatch):
    store = appended(Store(tmp_path), [told(0, 99.0)])
    sync, calls = os.fsync, []

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            calls.append(descriptor)
            if len(calls) == step:
                raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    with store.writer(FEED) as writer:
        monkeypatch.setattr(os, "fsync", refuse)
        file = r"snapshot\.json" if kept else r"2024-000002\.parquet"
        with pytest.raises(OutputError, match=rf"{file} is written, but its folder could not be brought to the disk"):
            writer.append(records_of([told(3, 99.0)]))
    assert told_in(store.read(FEED)) == [told(0, 99.0), *([told(3, 99.0)] if kept else [])]
    assert store.verify(FEED) == []
    assert files(store) == named(store)


def test_joined_segments_stay_until_the_manifest_is_on_the_disk(tmp_path, monkeypatch):
    """Else a power cut that brings the old manifest back would find nothing that it names."""
    store = appended(Store(tmp_path), [told(3, 99.0)], [told(4, 99.0)])
    old, calls, settled = named(store), [], output._settle

    def refuse(path):
        calls.append(path.name)
        if path.name == MANIFEST:
            raise OutputError("it", "may", "vanish")
        settled(path)

    with store.writer(FEED) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(output, "_settle", refuse)
            with pytest.raises(OutputError, match="it may vanish"):
                writer.compact()
        assert calls == ["2024-000003.parquet", MANIFEST]
        assert named(store) == {"2024-000003.parquet"}
        assert files(store) == named(store) | old
    with store.writer(FEED):
        assert files(store) == named(store)


def test_cleaning_up_never_hides_why_a_commit_failed(tmp_path, monkeypatch):
    store = appended(Store(tmp_path), [told(0, 99.0)])

    def full(self, target):
        store.folder(FEED).joinpath(MANIFEST).write_bytes(b"damaged meanwhile")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with store.writer(FEED) as writer, pytest.raises(OutputError, match="No space left on device"):
        writer.append(records_of([told(3, 99.0)]))


def test_a_folder_that_cannot_be_looked_through_is_said(tmp_path, monkeypatch):
    store = appended(Store(tmp_path), [told(0, 99.0)])

    def refuse(self):
        raise OSError(errno.EIO, "Input/output error")

    with store.writer(FEED) as writer:
        monkeypatch.setattr(Path, "iterdir", refuse)
        assert writer.append(records_of([told(3, 99.0)])) == 1
    with pytest.raises(OutputError, match="Input/output error"), store.writer(FEED):
        pass


A, B, A_AGAIN = told(0, 99.0, after=0), told(0, 101.0, after=1), told(0, 99.0, after=2)


@pytest.mark.parametrize("order", list(itertools.permutations([A, B, A_AGAIN])))
def test_a_return_is_kept_unless_it_was_taken_for_a_repetition(order, tmp_path):
    """A row once on the disk stays there: of the six orders only one leaves no trace of the return."""
    store = appended(Store(tmp_path), *([one] for one in order))
    assert told_in(store.read(FEED)) == ([A, B] if order == (A, A_AGAIN, B) else [A, B, A_AGAIN])


def test_a_file_larger_than_the_system_allows_loses_nothing(tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0)])
    before, (soft, hard) = store.snapshot(FEED), resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.writer(FEED) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(OutputError, match="cannot be written"):
                writer.append(records_of([told(3, 99.0)]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.snapshot(FEED) == before
    assert files(store) == named(store)


@contextmanager
def as_nobody():
    """Root may write anywhere; nobody may not."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_store_is_read_and_not_written():
    with tempfile.TemporaryDirectory() as folder:
        store = appended(Store(Path(folder)), [told(0, 99.0)])
        (store.folder(FEED) / ".lock").unlink()
        Path(folder).chmod(0o755)
        store.folder(FEED).chmod(0o555)
        try:
            with as_nobody():
                assert len(store.read(FEED)) == 1
                with pytest.raises(OutputError, match="Permission denied"), store.writer(FEED):
                    pass
                with pytest.raises(OutputError, match="Permission denied"), store.writer(Feed.parse("a:B/C:1h")):
                    pass
        finally:
            store.folder(FEED).chmod(0o755)


def test_a_file_where_the_store_should_be(tmp_path):
    (tmp_path / "store").write_bytes(b"")
    store = Store(tmp_path / "store")
    with pytest.raises(OutputError), store.writer(FEED):
        pass
    with pytest.raises(CoincastError):
        store.read(FEED)


def test_the_manifest_is_plain_json(tmp_path):
    store = appended(Store(tmp_path), [told(0, 99.0)])
    document = json.loads((store.folder(FEED) / MANIFEST).read_text())
    [segment] = document.pop("segments")
    assert document == {"feed": str(FEED), "number": 1}
    assert len(segment.pop("sha256")) == 64
    time = "2023-12-31T22:00:00+00:00"
    assert segment == {"file": "2023-000001.parquet", "rows": 1, "first": time, "last": time}


@given(
    st.lists(st.tuples(st.integers(1, 9_999_999), st.datetimes(timezones=st.just(UTC))), max_size=3),
    st.integers(0, 9_999_999),
)
def test_a_snapshot_survives_its_own_spelling(segments, number):
    snapshot = Snapshot(FEED, number, tuple(Segment(f"2024-{n:06}.parquet", n, t, t, "0" * 64) for n, t in segments))
    assert Snapshot.decode(snapshot.encode()) == snapshot


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
A_SEGMENT = {"file": "2024-000001.parquet", "rows": 1, "first": START.isoformat(), "last": START.isoformat()}
A_SEGMENT |= {"sha256": "0" * 64}


@settings(max_examples=200)
@given(st.sampled_from(["feed", "number", "segments", *A_SEGMENT]), JSON)
def test_a_manifest_with_anything_in_it_is_read_or_refused(name, value):
    segment = A_SEGMENT | {name: value} if name in A_SEGMENT else A_SEGMENT
    document = {"feed": str(FEED), "number": 1, "segments": [segment]} | ({} if name in A_SEGMENT else {name: value})
    with suppress(ValueError):
        assert Snapshot.decode(json.dumps(document).encode()).feed == FEED


@pytest.mark.proof
def test_killed_at_random_moments(tmp_path, seed):
    killed_at_random(tmp_path, seed, kills=3)


@pytest.mark.proof
def test_killed_before_a_file_operation(tmp_path, seed):
    assert killed_at_step(tmp_path, 1 + seed % 60)


def test_the_killed_writers_cross_a_year_and_join_segments(tmp_path):
    years = [batch.frame["time"].dt.year().to_list() for batch in batches()]
    assert {year for batch in years for year in batch} == {2023, 2024}
    assert sum(2024 in batch for batch in years[:PREPARED]) <= store_module.MOST_SEGMENTS
    assert sum(2024 in batch for batch in years) > store_module.MOST_SEGMENTS
