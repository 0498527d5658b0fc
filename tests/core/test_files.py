"""Files are whole or not there; a folder is held by one process."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.core.files import (
    folder_lock,
    make_folder,
    read_json,
    to_json,
    write_atomic,
)


def test_text_and_bytes_are_written_and_replaced(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, "é")
    assert path.read_bytes() == "é".encode()
    write_atomic(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EDQUOT, errno.EROFS])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, failing, number
):
    path = tmp_path / "a"
    write_atomic(path, "old")

    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(InputError) as caught:
        write_atomic(path, "new")
    assert caught.value.got == os.strerror(number)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_atomic(path, "old")

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_text_that_is_not_unicode_is_refused(tmp_path):
    with pytest.raises(InputError):
        write_atomic(tmp_path / "a", "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["none/a", "x" * 300, "a\0b"])
def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match="cannot write"):
        write_atomic(tmp_path / name, "x")


@pytest.mark.parametrize("name", ["file", "file/inside", "x" * 300, "a\0b"])
def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        make_folder(tmp_path / name)


def test_numbers_that_are_not_finite_become_null():
    value = {"a": [math.nan, (math.inf, 1.5)], "b": {"c": -math.inf, "d": "é"}}
    assert json.loads(to_json(value)) == {"a": [None, [None, 1.5]], "b": {"c": None, "d": "é"}}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@pytest.mark.slow
@given(plain)
def test_json_goes_there_and_back(value):
    assert json.loads(to_json(value)) == value


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"[1] 2", b"9" * 5000])
def test_a_damaged_json_file_is_an_input_error(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_json(path)


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a.json is missing"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError):
        read_json(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from glial.core.files import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_folder_is_held_by_one_process_and_freed_when_it_is_killed(tmp_path):
    source = str(Path(sys.modules["glial.core.files"].__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    with process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="in use"), folder_lock(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    with folder_lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == []


def test_a_folder_is_held_once_within_a_process_and_freed_by_an_error(tmp_path):
    with folder_lock(tmp_path), pytest.raises(InputError, match="in use"), folder_lock(tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        _ = 1 / 0
    with folder_lock(tmp_path):
        pass


def test_a_folder_that_is_not_there_cannot_be_held(tmp_path):
    with pytest.raises(InputError), folder_lock(tmp_path / "none"):
        pass
