"""Folders, archives, arrays and tables of paths: what they hold, and what is refused."""

from __future__ import annotations

import gzip
import logging
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import infer_columns, infer_task, read, read_source
from glial.data.archives import list_files, read_bytes

Put = Callable[..., Path]
DOT = np.full((3, 4), 7, dtype=np.uint8)


def zipped(folder: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, top + path.relative_to(folder).as_posix())
    return archive


def test_a_folder_per_class(put: Put, tmp_path: Path) -> None:
    for name in ("dog/2.png", "cat/10.PNG", "cat/2.Jpeg", "cat/deep/1.tiff"):
        put(f"pets/{name}", DOT)
    found = read_source(tmp_path / "pets")
    assert found.frame.columns == ["path", "label"]
    assert [Path(path).name for path in found.frame["path"]] == [
        "10.PNG",
        "2.Jpeg",
        "1.tiff",
        "2.png",
    ]
    assert found.frame["label"].to_list() == ["cat", "cat", "cat", "dog"]
    assert (found.target, found.val, found.test) == ("label", None, None)
    assert infer_columns(found.frame.drop("label"), {}) == {"path": "image"}


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
@pytest.mark.parametrize("top", ["", "photos/", "a/b/"])
def test_folders_of_splits_are_kept(put: Put, tmp_path: Path, val: str, top: str) -> None:
    for split, count in (("train", 3), (val, 2), ("test", 1)):
        for label in ("cat", "dog"):
            for number in range(count):
                put(f"pets/{top}{split}/{label}/{number}.png", DOT)
    found = read_source(tmp_path / "pets")
    assert found.val is not None
    assert found.test is not None
    assert [part.height for part in (found.frame, found.val, found.test)] == [6, 4, 2]
    assert found.val["label"].to_list() == ["cat", "cat", "dog", "dog"]
    assert found.whole().height == 12


@pytest.mark.parametrize("top", ["", "pets/"])
def test_an_archive_is_the_folder(put: Put, tmp_path: Path, top: str) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "test/dog/2.png"):
        put(f"pets/{name}", DOT)
    archive = zipped(tmp_path / "pets", tmp_path / "pets.zip", top)
    folder, packed = read_source(tmp_path / "pets"), read_source(archive)
    assert packed.frame["label"].to_list() == folder.frame["label"].to_list()
    assert packed.test is not None
    path = packed.test["path"][0]
    assert path == f"{archive}/{top}test/dog/2.png"
    assert read_bytes(path) == (tmp_path / "pets/test/dog/2.png").read_bytes()


def test_classes_that_are_called_like_splits_or_numbers(put: Put, tmp_path: Path) -> None:
    for label in ("test", "exam"):
        put(f"kinds/{label}/1.png", DOT)
    assert read_source(tmp_path / "kinds").frame["label"].to_list() == ["exam", "test"]
    for label in range(30):
        put(f"ages/{label}/1.png", DOT)
    frame = read_source(tmp_path / "ages").frame
    assert infer_task(frame, ["label"]) == "classification"


def test_a_flat_folder_has_no_labels_and_is_sorted(put: Put, tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "C.png"):
        put(f"new/{name}", DOT)
    found = read_source(tmp_path / "new")
    assert found.target is None
    assert [Path(path).name for path in found.frame["path"]] == ["C.png", "a.png", "b.png"]


def test_clutter_is_passed_over_and_other_files_are_named(put: Put, tmp_path: Path, caplog) -> None:
    for name in ("cat/1.png", "dog/1.png"):
        put(f"pets/{name}", DOT)
    for name in ("__MACOSX/cat/1.png", ".git/x.png", "cat/.hidden.png", "cat/Thumbs.db"):
        put(f"pets/{name}", b"x")
    put("pets/cat/notes.txt", b"x")
    with caplog.at_level(logging.WARNING, "glial"):
        assert read_source(tmp_path / "pets").frame.height == 2
    assert "cat/notes.txt" in caplog.text
    assert "Thumbs" not in caplog.text


def test_images_beside_splits_and_splits_without_labels_are_named(put, tmp_path, caplog) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "test/1.png", "assets/logo.png"):
        put(f"pets/{name}", DOT)
    with caplog.at_level(logging.WARNING, "glial"):
        found = read_source(tmp_path / "pets")
    assert found.frame.height == 2
    assert found.test is None
    assert "assets/logo.png" in caplog.text
    assert "test rows" in caplog.text


def test_links_that_lead_in_a_circle_are_refused(put: Put, tmp_path: Path) -> None:
    put("pets/cat/1.png", DOT)
    (tmp_path / "pets/cat/again").symlink_to(tmp_path / "pets")
    with pytest.raises(InputError, match="leads back"):
        read(tmp_path / "pets")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_may_not_be_read_are_named(put: Put, tmp_path: Path) -> None:
    folder = put("pets/cat/1.png", DOT).parent
    folder.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "pets")
    folder.chmod(0o700)


def test_links_to_other_folders_are_followed(put: Put, tmp_path: Path) -> None:
    put("store/1.png", DOT)
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets/cat").symlink_to(tmp_path / "store")
    assert list_files(tmp_path / "pets") == ["cat/1.png"]


def test_archives_that_are_none_or_hold_too_much(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(InputError, match="cannot be read as a zip"):
        read(tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", bytes(2_000_000))
        file.writestr("../../out/2.png", b"x")
    monkeypatch.setattr("glial.data.archives.MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(OSError, match="at most"):
        read_bytes(f"{tmp_path}/large.zip/a/1.png")
    assert read_bytes(f"{tmp_path}/large.zip/../../out/2.png") == b"x"
    assert not (tmp_path.parent / "out").exists()
    with pytest.raises(FileNotFoundError):
        read_bytes(f"{tmp_path}/large.zip/a/3.png")


def test_arrays_with_splits_of_their_own(tmp_path: Path) -> None:
    images = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    np.savez(tmp_path / "a.npz", train_x=images, train_y=[0, 1], test_x=images[:1], test_y=[1])
    found = read_source(tmp_path / "a.npz")
    assert found.target == "y"
    assert found.frame.schema == {"x": pl.Array(pl.UInt8, (4, 4)), "y": pl.Int64}
    assert found.test is not None
    assert found.test["x"].to_numpy().tolist() == images[:1].tolist()
    np.savez(tmp_path / "keras.npz", x_train=images, y_train=[0, 1], x_test=images, y_test=[0, 1])
    assert read(tmp_path / "keras.npz").height == 4


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5,), {"0": pl.Float64}),
        ((5, 2), {"0": pl.Float64, "1": pl.Float64}),
        ((5, 4, 6), {"x": pl.Array(pl.UInt8, (4, 6))}),
        ((5, 4, 6, 1), {"x": pl.Array(pl.UInt8, (4, 6))}),
        ((5, 1, 4, 6), {"x": pl.Array(pl.UInt8, (4, 6))}),
        ((5, 4, 6, 3), {"x": pl.Array(pl.UInt8, (4, 6, 3))}),
        ((5, 3, 4, 6), {"x": pl.Array(pl.UInt8, (4, 6, 3))}),
        ((5, 4, 6, 4), {"x": pl.Array(pl.UInt8, (4, 6, 3))}),
    ],
)
def test_axes_of_arrays(tmp_path: Path, shape, expected) -> None:
    np.savez(tmp_path / "a.npz", x=np.full(shape, 0.5))
    assert dict(read(tmp_path / "a.npz").schema) == expected


def test_channels_first_are_moved_and_alpha_is_laid_over_white(tmp_path: Path) -> None:
    first = np.arange(30, dtype=np.uint8).reshape(1, 3, 2, 5)
    np.savez(tmp_path / "a.npz", x=first)
    assert read(tmp_path / "a.npz")["x"].to_numpy()[0, 1, 2].tolist() == [7, 17, 27]
    np.savez(tmp_path / "b.npz", x=np.array([[[[100, 0, 0, 51]] * 2] * 2], dtype=np.uint8))
    assert read(tmp_path / "b.npz")["x"].to_numpy()[0, 0, 0].tolist() == [224, 204, 204]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "no inputs"),
        ({"x": np.zeros((2, 4, 4)), "y": np.zeros(3)}, "do not fit"),
        ({"x": np.zeros((2, 6, 6, 5))}, "neither a table nor images"),
        ({"x": np.full((2, 4, 4, 3), -1.0)}, "no pixels"),
        ({"x": np.array([object()])}, "cannot be read"),
        ({"x": np.zeros((0, 4, 4))}, "no rows"),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, arrays, message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.npz")


def test_arrays_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1000, 50, 50), dtype=np.uint8))
    monkeypatch.setattr("glial.data.images.arrays.MAX_BYTES", 1_000_000)
    with pytest.raises(InputError, match="cannot be read") as refused:
        read(tmp_path / "a.npz")
    assert "at most" in str(refused.value.got)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files(tmp_path: Path, ending: str) -> None:
    def write(name: str, values: np.ndarray) -> None:
        shape = struct.pack(f">{values.ndim}i", *values.shape)
        content = bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()
        path = tmp_path / f"{name}-ubyte{ending}"
        path.write_bytes(gzip.compress(content) if ending else content)

    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for part in ("train", "t10k"):
        write(f"{part}-images-idx3", images)
        write(f"{part}-labels-idx1", np.array([3, 5], dtype=np.uint8))
    found = read_source(tmp_path)
    assert found.target == "y"
    assert found.frame["x"].to_numpy().tolist() == images.tolist()
    assert found.test is not None
    assert found.test["y"].to_list() == [3, 5]
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be read as IDX"):
        read_source(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_paths_in_a_table_lead_from_where_it_lies(put: Put, tmp_path: Path, ending: str) -> None:
    for number in range(3):
        put(f"data/images/{number}.png", DOT)
    frame = pl.DataFrame(
        {
            "file": ["images/0.png", str(tmp_path / "data/images/1.png"), "images/2.png", None],
            "name": ["a.png", "b.png", "c.png", "d.png"],
            "y": [1, 2, 1, 2],
        }
    )
    path = tmp_path / f"data/table.{ending}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[ending](
        path
    )
    found = read(path)
    assert found["file"].to_list() == [str(tmp_path / f"data/images/{i}.png") for i in range(3)] + [
        None
    ]
    assert found["name"].to_list() == ["a.png", "b.png", "c.png", "d.png"]
    assert infer_columns(found.drop("y"), {}) == {"file": "image", "name": "category"}


def test_a_table_may_name_images_in_an_archive(put: Put, tmp_path: Path) -> None:
    put("pets/1.png", DOT)
    put("pets/2.png", DOT)
    zipped(tmp_path / "pets", tmp_path / "pets.zip")
    (tmp_path / "t.csv").write_text("file,y\npets.zip/1.png,1\npets.zip/2.png,2\n")
    found = read(tmp_path / "t.csv")
    assert infer_columns(found.drop("y"), {}) == {"file": "image"}
