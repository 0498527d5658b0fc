"""Data sets by name: bundled, made, or files whose checksum is right."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from glial.core.errors import InputError
from glial.data import (
    DATASETS,
    check_target,
    infer_columns,
    infer_task,
    list_datasets,
    load_dataset,
)
from glial.data import datasets as module
from glial.data.datasets import DatasetEntry, find_file

AT_HAND = [name for name, entry in DATASETS.items() if entry.kind != "file"]
CONTENT = gzip.compress(b"a,y\n1,0\n2,1\n", mtime=0)


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLIAL_DATA", raising=False)


@pytest.mark.parametrize("name", AT_HAND)
def test_each_can_be_learnt_from(name: str) -> None:
    frame, target, task = load_dataset(name)
    assert frame.height == DATASETS[name].rows
    assert infer_task(check_target(frame, [target], task), [target]) == task
    kinds = infer_columns(frame.drop(target), {})
    assert set(kinds.values()) <= {"number", "boolean", "constant"}
    assert frame.equals(load_dataset(name)[0])


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("iris", datasets.load_iris),
        ("wine", datasets.load_wine),
        ("breast-cancer", datasets.load_breast_cancer),
        ("digits", datasets.load_digits),
        ("diabetes", datasets.load_diabetes),
    ],
)
def test_bundled_ones_are_scikit_learns(name: str, loader: object) -> None:
    bunch = loader()  # type: ignore[operator]
    frame, target, task = load_dataset(name)
    np.testing.assert_array_equal(frame.drop(target).to_numpy(), bunch.data)
    wanted = bunch.target
    if task == "classification":
        wanted = np.asarray(bunch.target_names).astype(str)[wanted]
    assert frame[target].to_list() == wanted.tolist()


def test_the_list_says_all_of_each() -> None:
    rows = list_datasets()
    assert [row["name"] for row in rows] == list(DATASETS)
    for row in rows:
        assert row["target"]
        assert row["about"]
        assert row["source"]
        assert row["licence"]
    assert {row["name"] for row in rows if not row["at_hand"]} == {"adult", "california-housing"}


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'iris'"):
        load_dataset("irsi")


def test_a_file_that_is_not_at_hand_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match="set GLIAL_DATA to its folder"):
        load_dataset("adult")


def test_a_file_that_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "adult.csv.gz").write_bytes(CONTENT)
    monkeypatch.setenv("GLIAL_DATA", str(tmp_path))
    with pytest.raises(InputError, match="not the data set that was meant"):
        load_dataset("adult")


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["adult", "california-housing"])
def test_files_are_found_in_the_folder_named(
    name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIAL_DATA", str(shared_data))
    frame, target, task = load_dataset(name)
    assert frame.height == DATASETS[name].rows
    assert infer_task(frame, [target]) == task


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "t.csv.gz").write_bytes(CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def entry(url: str | None, content: bytes = CONTENT) -> DatasetEntry:
    return DatasetEntry(
        "file",
        "y",
        "classification",
        2,
        "a test",
        "nowhere",
        "none needed",
        "t.csv.gz",
        hashlib.sha256(content).hexdigest(),
        url,
    )


@pytest.mark.slow
def test_a_file_is_fetched_once_checked_and_kept(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = entry(f"{server}/t.csv.gz")
    monkeypatch.setitem(module.DATASETS, "t", wanted)
    assert load_dataset("t")[0].rows() == [("1", "0"), ("2", "1")]
    kept = tmp_path / "cache" / "t.csv.gz"
    assert kept.read_bytes() == CONTENT
    (tmp_path / "served" / "t.csv.gz").unlink()
    assert find_file("t", wanted) == kept


@pytest.mark.slow
def test_the_wrong_content_is_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the data set that was meant"):
        find_file("t", entry(f"{server}/t.csv.gz", b"other"))
    assert not (tmp_path / "cache" / "t.csv.gz").exists()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/missing", None])
def test_a_place_that_does_not_answer_is_named(server: str, path: str | None) -> None:
    url = f"{server}{path}" if path else "http://127.0.0.1:9/t"
    with pytest.raises(InputError, match="could not be fetched"):
        find_file("t", entry(url))
