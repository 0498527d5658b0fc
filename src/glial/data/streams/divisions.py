"""Which split a row of a large table belongs to: said of each row alone, with nothing held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.seeds import derive_seed, numpy_generator
from glial.data.settings import SplitSettings
from glial.data.splits import row_times
from glial.data.streams.chunks import Chunks

LEFT_OUT = 3
SAMPLED_TIMES = 1_000_000


@dataclass(frozen=True)
class Division:
    """How rows are divided among training (0), validation (1) and test (2).

    At random, a row's number decides; by group, a hash of the group's value; by time, where the
    time lies.

    Attributes:
        shares: Share of each split.
        seed: Seed of what is random.
        group: The column whose equal values stay together.
        time: The column by whose order rows are divided.
        ends: Last time of training and of validation.
        gap: Rows nearer than this to the split before are left out, as split 3.

    Example:
        >>> division = Division((0.5, 0.25, 0.25), seed=0)
        >>> np.bincount(division.of(pl.DataFrame({"a": range(1000)}), 0)).tolist()
        [513, 254, 233]
    """

    shares: tuple[float, float, float]
    seed: int
    group: str | None = None
    time: str | None = None
    ends: tuple[float, float] = (0.0, 0.0)
    gap: float = 0.0

    @property
    def columns(self) -> list[str]:
        """The columns that decide."""
        return [name for name in (self.group, self.time) if name is not None]

    def of(self, frame: pl.DataFrame, first: int) -> NDArray[np.int64]:
        """The split of each row.

        Args:
            frame: Rows that follow each other, with the columns that decide.
            first: Number of the first of them.
        """
        if self.time is not None:
            return self._by_time(row_times(frame, self.time, form="ymd")[0])
        if self.group is not None:
            return self._by_share(self._of_groups(frame[self.group]))
        numbers = np.arange(first, first + frame.height, dtype=np.uint64)
        return self._by_share(uniform(numbers, derive_seed(self.seed, "split")))

    def _by_share(self, places: NDArray[np.float64]) -> NDArray[np.int64]:
        inner = np.cumsum(self.shares)[:-1]
        part = np.searchsorted(inner, places, side="right").astype(np.int64)
        return np.minimum(part, max(i for i, share in enumerate(self.shares) if share > 0))

    def _of_groups(self, column: pl.Series) -> NDArray[np.float64]:
        words = column.cast(pl.String).fill_null("")
        values = words.unique(maintain_order=True)
        places = [derive_seed(self.seed, "split", value) / 2**63 for value in values]
        found = words.replace_strict(values, pl.Series(places, dtype=pl.Float64))
        return np.asarray(found.to_numpy())

    def _by_time(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        first, second = self.ends
        part = (times > first).astype(np.int64) + (times > second)
        near = ((part == 1) & (times < first + self.gap)) | (
            (part == 2) & (times < second + self.gap)
        )
        return np.where(near, LEFT_OUT, part)


def uniform(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) that depend on whole numbers and a seed alone.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators",
    SplitMix64's finaliser.

    Example:
        >>> round(float(uniform(np.arange(1000, dtype=np.uint64), seed=0).mean()), 1)
        0.5
    """
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)) * 2.0**-53)


def divide(chunks: Chunks, settings: SplitSettings, given: Sequence[bool], seed: int) -> Division:
    """How a plan divides the rows of a table in chunks.

    Args:
        chunks: The table.
        settings: Shares and method.
        given: Whether validation and test have rows of their own, so that none is kept back.
        seed: Seed of what is random.

    Raises:
        InputError: If the method needs all rows at once, or times cannot be ordered.

    Example:
        >>> from glial.data.streams import FrameChunks
        >>> chunks = FrameChunks(pl.DataFrame({"a": [1]}), 1)
        >>> divide(chunks, SplitSettings(), [True, True], 0).shares
        (1.0, 0.0, 0.0)
    """
    if settings.method == "stratified":
        raise InputError(
            "a streamed table cannot be split by classes in equal shares",
            expected="data.split.method random, group or time",
            got="stratified",
            do="set data.split.method=random: of many rows each split gets nearly equal shares",
        )
    val, test = (
        0.0 if own else share
        for own, share in zip(given, (settings.val, settings.test), strict=True)
    )
    total = settings.train + val + test
    shares = (settings.train / total, val / total, test / total)
    if settings.method == "time" or (settings.method == "auto" and settings.time is not None):
        return _divided_by_time(chunks, settings, shares, seed)
    by_group = settings.method in ("auto", "group")
    return Division(shares, seed, group=settings.group if by_group else None)


def _divided_by_time(
    chunks: Chunks, settings: SplitSettings, shares: tuple[float, float, float], seed: int
) -> Division:
    name = str(settings.time)
    total = sum(chunks.counts)
    found: list[NDArray[np.float64]] = []
    unit = 1.0
    for number, count in enumerate(chunks.counts):
        times, unit = row_times(chunks.read(number, [name]), name, form="ymd")
        if total > SAMPLED_TIMES:
            wanted = -(-count * SAMPLED_TIMES // total)
            times = numpy_generator(seed, "times", number).choice(times, wanted, replace=False)
        found.append(times)
    times = np.sort(np.concatenate(found))
    places: Any = np.cumsum(shares)[:-1] * len(times) - 1e-9
    # The last time of a split; where validation or test have no share, none is later.
    ends = [float(times[min(int(place), len(times) - 1)]) for place in places]
    for number in (0, 1):
        if sum(shares[number + 1 :]) == 0:
            ends[number] = np.inf
    return Division(shares, seed, time=name, ends=(ends[0], ends[1]), gap=settings.gap * unit)
