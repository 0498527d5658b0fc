"""Data sets by name: some that a dependency ships, some made, some found as files or fetched."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from glial.core.errors import InputError, unknown_name
from glial.core.files import cache_folder, make_folder, write_atomic
from glial.data.files import read_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetEntry:
    """A data set that can be named as a source.

    Attributes:
        kind: ``bundled`` with scikit-learn, ``made`` by a formula, or a ``file``.
        target: The column to predict.
        task: What is learnt.
        rows: Number of rows.
        about: One sentence.
        source: Where it comes from.
        licence: Under which it may be used.
        file: Name of the file in ``GLIAL_DATA`` or the cache.
        sha256: Checksum of that file.
        url: Where the file is fetched from; None where it must be brought.
    """

    kind: Literal["bundled", "made", "file"]
    target: str
    task: str
    rows: int
    about: str
    source: str
    licence: str
    file: str | None = None
    sha256: str | None = None
    url: str | None = None


_SKLEARN = "scikit-learn"
_UCI = "UCI Machine Learning Repository"
DATASETS: dict[str, DatasetEntry] = {
    "iris": DatasetEntry(
        "bundled",
        "species",
        "classification",
        150,
        "three kinds of iris by four lengths",
        f"Fisher 1936, in {_SKLEARN}",
        "public domain",
    ),
    "wine": DatasetEntry(
        "bundled",
        "cultivar",
        "classification",
        178,
        "three cultivars by chemistry",
        f"{_UCI}, in {_SKLEARN}",
        "CC BY 4.0",
    ),
    "breast-cancer": DatasetEntry(
        "bundled",
        "diagnosis",
        "classification",
        569,
        "malignant or benign, by cell nuclei",
        f"{_UCI}, in {_SKLEARN}",
        "CC BY 4.0",
    ),
    "digits": DatasetEntry(
        "bundled",
        "digit",
        "classification",
        1797,
        "handwritten digits, 8 x 8 pixels as columns",
        f"{_UCI}, in {_SKLEARN}",
        "CC BY 4.0",
    ),
    "diabetes": DatasetEntry(
        "bundled",
        "progression",
        "regression",
        442,
        "progression of diabetes after a year",
        f"Efron et al. 2004, in {_SKLEARN}",
        "public",
    ),
    "xor": DatasetEntry(
        "made",
        "xor",
        "classification",
        400,
        "exclusive or of two signs, with noise",
        "made by a formula",
        "none needed",
    ),
    "two-moons": DatasetEntry(
        "made",
        "moon",
        "classification",
        400,
        "two interleaved half circles",
        "made by a formula",
        "none needed",
    ),
    "blobs": DatasetEntry(
        "made",
        "blob",
        "classification",
        300,
        "three round clouds",
        "made by a formula",
        "none needed",
    ),
    "line": DatasetEntry(
        "made", "y", "regression", 200, "y = 3x - 2 with noise", "made by a formula", "none needed"
    ),
    "adult": DatasetEntry(
        "file",
        "income-per-year",
        "classification",
        32_561,
        "income above 50,000 dollars, by census",
        _UCI,
        "CC BY 4.0",
        "adult.csv.gz",
        "240f3031c672a3e5e0dc3e978c8e5bb0199a8feae567747ff516665ad93db32f",
    ),
    "california-housing": DatasetEntry(
        "file",
        "median_house_value",
        "regression",
        20_640,
        "house values of Californian districts in 1990",
        "Pace & Barry 1997",
        "none stated",
        "california-housing.csv.gz",
        "3766622d526f8c641d057af6d4a622a61b8b18c96bf587023804a6b855dad947",
    ),
}


def known_dataset(name: Any) -> DatasetEntry | None:
    """The entry of a name, or None where there is none, or a file or folder is called so.

    Example:
        >>> known_dataset("iris").target
        'species'
    """
    is_known = isinstance(name, str) and name in DATASETS
    return DATASETS[name] if is_known and not Path(name).exists() else None


def load_dataset(name: str) -> tuple[pl.DataFrame, str, str]:
    """A data set by name: its table, its target column and its task.

    Args:
        name: A name from ``glial datasets``.

    Raises:
        InputError: If the name is unknown, or its file is not at hand or not the right one.

    Example:
        >>> frame, target, task = load_dataset("xor")
        >>> frame.columns, target
        (['x1', 'x2', 'xor'], 'xor')
    """
    entry = DATASETS.get(name)
    if entry is None:
        raise unknown_name("data set", name, DATASETS)
    if entry.kind == "bundled":
        frame = _bundled(name, entry)
    elif entry.kind == "made":
        frame = _made(name)
    else:
        frame = read_file(find_file(name, entry))
    return frame, entry.target, entry.task


def list_datasets() -> list[dict[str, Any]]:
    """Every data set with what is known of it, and whether it is at hand.

    Example:
        >>> list_datasets()[0]["name"]
        'iris'
    """
    return [
        {
            "name": name,
            "task": entry.task,
            "target": entry.target,
            "rows": entry.rows,
            "at_hand": entry.kind != "file" or _present(entry) is not None,
            "about": entry.about,
            "source": entry.source,
            "licence": entry.licence,
        }
        for name, entry in DATASETS.items()
    ]


def _bundled(name: str, entry: DatasetEntry) -> pl.DataFrame:
    from sklearn import datasets

    loaders = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast-cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
        "diabetes": datasets.load_diabetes,
    }
    bunch = loaders[name]()
    columns = {
        str(column).replace(" (cm)", "").replace(" ", "_"): bunch.data[:, number]
        for number, column in enumerate(bunch.feature_names)
    }
    target = bunch.target
    if hasattr(bunch, "target_names") and entry.task == "classification":
        target = np.asarray(bunch.target_names).astype(str)[target]
    return pl.DataFrame({**columns, entry.target: target})


def _made(name: str) -> pl.DataFrame:
    draw = np.random.default_rng(20_261_121)
    if name == "xor":
        x = draw.uniform(-1, 1, (400, 2))
        labels = (x[:, 0] > 0) ^ (x[:, 1] > 0)
        x = x + np.sign(x) * 0.1
        return pl.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "xor": labels.astype(int)})
    if name == "two-moons":
        angle, lower = draw.uniform(0, np.pi, 400), draw.integers(0, 2, 400)
        x = np.where(lower, 1 - np.cos(angle), np.cos(angle)) + draw.normal(0, 0.1, 400)
        y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle)) + draw.normal(0, 0.1, 400)
        return pl.DataFrame({"x": x, "y": y, "moon": np.where(lower, "lower", "upper")})
    if name == "blobs":
        which = draw.integers(0, 3, 300)
        centres = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]])
        x = centres[which] + draw.normal(0, 0.8, (300, 2))
        return pl.DataFrame({"x": x[:, 0], "y": x[:, 1], "blob": np.array(["a", "b", "c"])[which]})
    x = draw.uniform(-1, 1, 200)
    return pl.DataFrame({"x": x, "y": 3 * x - 2 + draw.normal(0, 0.1, 200)})


def _present(entry: DatasetEntry) -> Path | None:
    places = [cache_folder()]
    if os.environ.get("GLIAL_DATA"):
        places.insert(0, Path(os.environ["GLIAL_DATA"]))
    paths = [place / str(entry.file) for place in places]
    return next((path for path in paths if path.is_file()), None)


def find_file(name: str, entry: DatasetEntry) -> Path:
    """The file of a data set: from ``GLIAL_DATA``, the cache, or fetched and checked.

    Raises:
        InputError: If it is not at hand and cannot be fetched, or its checksum is wrong.
    """
    found = _present(entry)
    if found is not None:
        _check(found.read_bytes(), entry, str(found))
        return found
    if entry.url is None:
        raise InputError(
            f"the data set {name!r} is not at hand",
            expected=f"the file {entry.file} in the folder that GLIAL_DATA names",
            got=os.environ.get("GLIAL_DATA", "GLIAL_DATA is not set"),
            do=f"bring the file ({entry.source}) and set GLIAL_DATA to its folder",
        )
    logger.info("fetching %s", entry.url)
    try:
        with urllib.request.urlopen(entry.url, timeout=60) as answer:
            content = answer.read()
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise InputError(
            f"the data set {name!r} could not be fetched",
            expected=f"an answer from {entry.url}",
            got=str(error),
            do=f"bring the file {entry.file} and set GLIAL_DATA to its folder",
        ) from error
    _check(content, entry, entry.url)
    make_folder(cache_folder())
    path = cache_folder() / str(entry.file)
    write_atomic(path, content)
    return path


def _check(content: bytes, entry: DatasetEntry, place: str) -> None:
    if entry.sha256 is None:
        return
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise InputError(
            f"{place} is not the data set that was meant",
            expected=f"sha256 {entry.sha256}",
            got=f"sha256 {found}",
            do="remove the file and fetch it again",
        )
