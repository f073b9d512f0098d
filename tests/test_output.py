"""What is written is whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from coincast.errors import OutputError
from coincast.output import make_folder, new_folder, vacant, write


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path):
    write(tmp_path / "a.json", b"old")
    write(tmp_path / "a.json", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"new")]


def test_write_into_a_missing_folder_says_what_to_do(tmp_path: Path):
    with pytest.raises(OutputError, match="another place"):
        write(tmp_path / "no" / "a.json", b"x")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch):
    write(tmp_path / "a.json", b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path / "a.json", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"old")]


def test_a_rename_is_on_the_disk_before_it_is_told(tmp_path: Path, monkeypatch):
    synced, sync = [], os.fsync

    def watch(descriptor):
        status = os.fstat(descriptor)
        synced.append("folder" if stat.S_ISDIR(status.st_mode) else status.st_size)
        names = {path.name for path in tmp_path.iterdir()}
        assert ("a.json" in names) == (synced[-1] == "folder")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", watch)
    write(tmp_path / "a.json", b"four")
    assert synced == [4, "folder"]


@pytest.fixture
def unsettled(monkeypatch):
    """No folder can be brought to the disk."""
    sync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(5, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", refuse)


@pytest.mark.usefixtures("unsettled")
def test_a_file_that_stands_and_may_not_outlast_a_power_cut_is_said_to(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a\.json is written, but .*Input/output error.* power cut") as caught:
        write(tmp_path / "a.json", b"new")
    assert "cannot be written" not in str(caught.value)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"new")]


@pytest.mark.usefixtures("unsettled")
def test_so_is_a_folder(tmp_path: Path):
    with pytest.raises(OutputError, match="model is written, but"), new_folder(tmp_path / "model") as half:
        (half / "a").write_bytes(b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "a").read_bytes() == b"x"


def test_making_a_folder_leaves_nothing_in_it(tmp_path: Path):
    assert list(make_folder(tmp_path / "a" / "b").iterdir()) == []


def test_new_folder_vanishes_with_its_error(tmp_path: Path):
    def fill_and_fail() -> None:
        with new_folder(tmp_path / "model") as half:
            write(half / "a", b"x")
            raise KeyError

    with pytest.raises(KeyError):
        fill_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_new_folder_does_not_replace_what_is_there(tmp_path: Path):
    write(make_folder(tmp_path / "model") / "mine", b"x")
    with pytest.raises(OutputError), new_folder(tmp_path / "model") as half:
        write(half / "a", b"x")
    assert (tmp_path / "model" / "mine").read_bytes() == b"x"
    with pytest.raises(OutputError, match="holds something"):
        vacant(tmp_path / "model")
    vacant(tmp_path / "elsewhere")


def test_a_file_where_the_folder_should_be(tmp_path: Path):
    write(tmp_path / "out", b"x")
    with pytest.raises(OutputError):
        make_folder(tmp_path / "out")
