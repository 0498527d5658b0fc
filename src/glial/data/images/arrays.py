"""Arrays of images: ``.npz`` files, and the IDX files in which MNIST is published."""

from __future__ import annotations

import gzip
import io
import logging
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.archives import SPLIT_NAMES, read_bytes
from glial.data.images.decoding import UnreadableImageError, to_bytes

logger = logging.getLogger(__name__)

INPUT, TARGET = "x", "y"
MAX_BYTES = 8 << 30
_IDX = re.compile(r"^(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?$", re.I)
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_npz(path: Path) -> dict[str, pl.DataFrame]:
    """The rows of each split of an ``.npz`` file.

    Args:
        path: A file with the arrays ``x`` and ``y``, or ``<split>_x`` and ``<split>_y`` (also
            ``x_<split>`` and ``y_<split>``); targets may be missing.

    Returns:
        ``train``, and ``val`` and ``test`` where it has them: tables of
        :func:`inputs_of_array` and the target ``y``.

    Raises:
        InputError: If the file cannot be read, holds Python objects or other names.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, x=np.zeros((2, 4, 4), dtype=np.uint8), y=[0, 1])
        >>> read_npz(path)["train"].dtypes
        [Array(UInt8, shape=(4, 4)), Int64]
    """
    try:
        _check_unpacked(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="an .npz file of plain arrays",
            got=" ".join(str(error).split())[:200],
            do="write it with numpy.savez, without Python objects",
        ) from error
    return _tables(path, arrays)


def _check_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"{size:,} bytes when unpacked, where at most {MAX_BYTES:,} are read")


def _tables(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, pl.DataFrame]:
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        place = _place(name)
        if place is None:
            logger.warning("the array %r of %s is left aside", name, path)
        else:
            parts.setdefault(place[0], {})[place[1]] = array
    parts = {split: part for split, part in parts.items() if INPUT in part}
    if not parts:
        raise InputError(
            f"{path} has no inputs that can be told by their names",
            expected="x and y, or train_x, train_y, test_x, test_y",
            got=", ".join(arrays) or "no arrays",
            do="rename the arrays",
        )
    if "train" not in parts:
        parts = {"train": parts.pop(next(iter(parts))), **parts}
    return {
        split: _table(part[INPUT], part.get(TARGET), f"{split} of {path}")
        for split, part in parts.items()
    }


def _place(name: str) -> tuple[str, str] | None:
    """The split of an array's name, and whether it holds inputs or targets."""
    words = name.lower().split("_")
    ends = [word for word in words if word in (INPUT, TARGET)]
    splits = [SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES]
    if len(ends) != 1 or len(ends) + len(splits) != len(words):
        return None
    return (splits[0] if splits else "train"), ends[0]


def _table(inputs: NDArray[Any], target: NDArray[Any] | None, where: str) -> pl.DataFrame:
    columns = inputs_of_array(inputs, INPUT)
    if target is not None:
        target = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
        if target.ndim != 1 or len(target) != len(inputs):
            raise InputError(
                f"the targets in {where} do not fit the inputs",
                expected=f"[{len(inputs)}]",
                got=str(list(target.shape)),
                do="give one target a row",
            )
        columns.append(pl.Series(TARGET, target.astype(target.dtype.newbyteorder("="))))
    return pl.DataFrame(columns)


def inputs_of_array(array: NDArray[Any], name: str) -> list[pl.Series]:
    """An array of inputs as columns: numbers for one or two axes, images for three or four.

    Three axes whose numbers cannot all be pixels are sequences, [row, time, number].

    Args:
        array: [row], [row, number], [row, height, width], [row, time, number], [row, height,
            width, channel] or [row, channel, height, width], with 1, 3 or 4 channels.
        name: Name of a column of images; columns of numbers are called by their place.

    Raises:
        InputError: If it has other axes, or images hold numbers that are no pixels.

    Example:
        >>> inputs_of_array(np.zeros((2, 3, 8, 8)), "x")[0].dtype
        Array(UInt8, shape=(8, 8, 3))
    """
    if array.ndim in (1, 2) and array.dtype.kind in "biufUS":
        matrix = array[:, None] if array.ndim == 1 else array
        matrix = matrix.astype(matrix.dtype.newbyteorder("="))
        return [pl.Series(str(i), matrix[:, i].copy()) for i in range(matrix.shape[1])]
    images = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
    if images.ndim == 4 and images.shape[3] not in (3, 4) and images.shape[1] in (1, 3, 4):
        images = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, 3)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (3, 4)):
        raise InputError(
            "the inputs are neither a table nor images",
            expected="[row, number], [row, height, width] or [row, height, width, channel] with "
            "1, 3 or 4 channels",
            got=f"{list(array.shape)} of {array.dtype}",
            do="reshape the array",
        )
    try:
        pixels = to_bytes(images)
    except UnreadableImageError as error:
        if array.ndim == 3 and array.dtype.kind in "iuf":
            return [pl.Series(name, array.astype(np.float64))]
        raise InputError(
            "the images hold numbers that are no pixels",
            expected="0 to 255, 16 bits from 0 to 65535, or fractions from 0 to 1",
            got=str(error),
            do="scale them",
        ) from error
    if images.ndim == 4 and images.shape[3] == 4:
        share = pixels[..., 3:].astype(np.uint16)
        white = pixels[..., :3] * share + 255 * (255 - share)
        pixels = ((white + 127) // 255).astype(np.uint8)
    return [pl.Series(name, np.ascontiguousarray(pixels))]


def has_idx_files(files: Sequence[str]) -> bool:
    """Whether among some files there are images in the IDX format.

    Example:
        >>> has_idx_files(["train-images-idx3-ubyte.gz"]), has_idx_files(["a.png"])
        (True, False)
    """
    return any(_IDX.match(PurePosixPath(name).name) for name in files)


def read_idx_folder(root: Path, files: Sequence[str]) -> dict[str, pl.DataFrame]:
    """The rows of each split of a folder of IDX files, as MNIST and Fashion-MNIST are published.

    Args:
        root: The folder or zip archive.
        files: Its files, among them ``train-images-idx3-ubyte`` (also ``.gz``), and the same
            with ``labels``, and with ``t10k`` for the test rows.

    Raises:
        InputError: If a file is damaged, or there are no images to train on.

    Source:
        LeCun, Cortes, Burges (1998), "The MNIST database of handwritten digits".
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name in files:
        found = _IDX.match(PurePosixPath(name).name)
        if found:
            split = "train" if found[1].lower() == "train" else "test"
            kind = INPUT if found[2].lower() == "images" else TARGET
            arrays[f"{split}_{kind}"] = _read_idx(str(root / name))
    return _tables(root, arrays)


def _read_idx(path: str) -> NDArray[Any]:
    try:
        content = read_bytes(path)
        if path.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(MAX_BYTES)
        kind, axes = content[2], content[3]
        shape = np.frombuffer(content, ">i4", axes, 4).tolist()
        values = np.frombuffer(content, _IDX_TYPES[kind], math.prod(shape), 4 + 4 * axes)
        return values.astype(values.dtype.newbyteorder("=")).reshape(shape)
    except (OSError, EOFError, KeyError, IndexError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as IDX",
            expected="a whole file in the IDX format",
            got=" ".join(str(error).split())[:200] or type(error).__name__,
            do="fetch it again",
        ) from error
