"""One look through a table in chunks: how many rows each split has, and a sample of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.data.cells import missing
from glial.data.columns import check_finite
from glial.data.fingerprints import fingerprint
from glial.data.streams.chunks import Chunks
from glial.data.streams.divisions import Division

logger = logging.getLogger(__name__)

SAMPLED_CHUNKS = 512
MOST_VALUES = 10_000
ALL = Division((1.0, 0.0, 0.0), seed=0)


class SplitRows:
    """The rows of one split whose targets are known, in the chunks of their table.

    Args:
        chunks: The table.
        division: How its rows are divided.
        part: Number of the split.
        targets: The target columns.
        counts: Rows of the split in each chunk.

    Example:
        >>> from glial.data.streams import FrameChunks
        >>> chunks = FrameChunks(pl.DataFrame({"y": [1, None, 3]}), 2)
        >>> SplitRows(chunks, ALL, 0, ["y"], [1, 1]).read(0)["y"].to_list()
        [1]
    """

    def __init__(
        self,
        chunks: Chunks,
        division: Division,
        part: int,
        targets: Sequence[str],
        counts: Sequence[int],
    ) -> None:
        self.counts = counts
        self._chunks = chunks
        self._division = division
        self._part = part
        self._targets = list(targets)
        self._starts = np.cumsum([0, *chunks.counts])

    @property
    def num_rows(self) -> int:
        """Rows of the split."""
        return sum(self.counts)

    def read(self, number: int) -> pl.DataFrame:
        """The split's rows of a chunk."""
        frame = self._chunks.read(number)
        part = split_of(frame, self._targets, self._division, int(self._starts[number]))
        return frame.filter(pl.Series(part == self._part))


def split_of(
    frame: pl.DataFrame, targets: Sequence[str], division: Division, first: int
) -> NDArray[np.int64]:
    """The split of each row of a chunk; -1 where a target is missing.

    Example:
        >>> split_of(pl.DataFrame({"y": [1, None]}), ["y"], ALL, 0).tolist()
        [0, -1]
    """
    part = division.of(frame, first)
    for name in targets:
        part = np.where(missing(frame[name]).to_numpy(), -1, part)
    return part


@dataclass
class Survey:
    """What one look through a table found.

    Attributes:
        counts: Rows with a target in each chunk, for each split.
        samples: Rows of training and of validation, drawn at random.
        values: Each value of the single target among the training rows, and how often it occurs;
            None where there are several targets or very many values.
        mark: What tells this table from others.

    Example:
        >>> from glial.data.streams import FrameChunks
        >>> found = survey(FrameChunks(pl.DataFrame({"y": ["a", "b", "a"]}), 2), ["y"], ALL, [9, 9])
        >>> found.counts[0], found.samples[0].height, sorted(found.values.rows())
        ([2, 1], 3, [('a', 2), ('b', 1)])
    """

    counts: list[list[int]]
    samples: list[pl.DataFrame]
    values: pl.DataFrame | None
    mark: str


def survey(
    chunks: Chunks,
    targets: Sequence[str],
    division: Division,
    sampled: Sequence[int],
    *,
    weight: str | None = None,
    task: str | None = None,
    seed: int = 0,
) -> Survey:
    """Look through a table once.

    Of every chunk the columns are read that decide about rows, of at most 512 chunks all columns.

    Args:
        chunks: The table.
        targets: The target columns.
        division: How rows are divided.
        sampled: Rows to be drawn of training and of validation, about.
        weight: Column of row weights.
        task: The task, where it is decided.
        seed: Seed of the sample.

    Raises:
        InputError: If a chunk cannot be read, or a target is infinite.
    """
    looked_at = list(dict.fromkeys([*targets, *division.columns, *([weight] if weight else [])]))
    number_of_chunks = len(chunks.counts)
    order = numpy_generator(seed, "sampled chunks").permutation(number_of_chunks)
    drawn = set(order[:SAMPLED_CHUNKS].tolist())
    drawn_rows = sum(chunks.counts[number] for number in drawn)
    tell = share_logger(logger, f"looking through {chunks.name}")
    counts: list[list[int]] = [[], [], []]
    samples: list[list[pl.DataFrame]] = [[], []]
    values: pl.DataFrame | None = None
    counted = len(targets) == 1
    digest = hashlib.sha256(repr(list(chunks.schema.items())).encode())
    first = unknown = 0
    for number, count in enumerate(chunks.counts):
        tell(number / number_of_chunks)
        frame = chunks.read(number, None if number in drawn else looked_at)
        _check(frame, targets, weight, task, first)
        part = split_of(frame, targets, division, first)
        unknown += int((part == -1).sum())
        digest.update(fingerprint(frame.select(looked_at)).encode())
        for split in range(3):
            counts[split].append(int((part == split).sum()))
        if counted:
            values = _counted(values, frame[targets[0]].filter(pl.Series(part == 0)))
            counted = values.height <= MOST_VALUES
        for split in range(2) if number in drawn else ():
            rows = np.flatnonzero(part == split)
            share = max(division.shares[split], 1e-9)
            wanted = int(np.ceil(sampled[split] * len(rows) / (share * drawn_rows)))
            if wanted < len(rows):
                generator = numpy_generator(seed, "sample", split, number)
                rows = np.sort(generator.choice(rows, wanted, replace=False))
            samples[split].append(frame[rows])
        first += count
    if unknown:
        logger.warning("%d rows without a target are left out", unknown)
    if not any(counts[0]):
        raise InputError(
            "there are no rows to train on",
            expected="rows with a target, enough for each split",
            got=f"{first} rows, {unknown} of them without a target",
            do="check that the target is the right column",
        )
    found = [pl.concat(parts) for parts in samples]
    for sample in found:
        digest.update(fingerprint(sample).encode())
    return Survey(counts, found, values if counted else None, digest.hexdigest())


def _check(
    frame: pl.DataFrame, targets: Sequence[str], weight: str | None, task: str | None, first: int
) -> None:
    for name in targets:
        check_finite(frame[name], task, first)
    if weight is not None:
        values = frame[weight].cast(pl.Float64, strict=False).to_numpy()
        if not np.isfinite(values).all() or (values < 0).any():
            raise InputError(
                f"the weight column {weight!r} cannot be used",
                expected="a number of at least 0 in every row",
                got="a missing, negative or infinite weight",
                do="mend the column",
            )


def _counted(values: pl.DataFrame | None, column: pl.Series) -> pl.DataFrame:
    """Values and how often they occur, with those of one more chunk."""
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    found = column.alias("value").value_counts(name="count")
    found = found if values is None else pl.concat([values, found])
    return found.group_by("value", maintain_order=True).agg(pl.col("count").sum()).sort("value")
