"""Numbers over time, and what is known of a tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Series:
    """A number over time.

    Attributes:
        steps: The update, from 1, that each value belongs to.
        values: As many numbers; one that is not finite is kept as it is.

    Example:
        >>> Series([1, 2, 4], [3.0, 2.0, 1.0]).last
        1.0
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: int, value: float, most: int = 200) -> None:
        """Keep one more value, and of too many every second."""
        self.steps.append(step)
        self.values.append(value)
        while len(self.values) > most:
            self.steps = [*self.steps[:-1:2], self.steps[-1]]
            self.values = [*self.values[:-1:2], self.values[-1]]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(zip(self.steps, self.values, strict=True))

    @property
    def first(self) -> float:
        """The first value; NaN where there is none."""
        return self.values[0] if self.values else math.nan

    @property
    def last(self) -> float:
        """The last value; NaN where there is none."""
        return self.values[-1] if self.values else math.nan

    def mean(self, share: float = 1.0, *, end: bool = True) -> float:
        """The mean over a share of the values, at the end or at the start; NaN of none."""
        count = max(1, math.ceil(share * len(self.values)))
        values = self.values[-count:] if end else self.values[:count]
        return sum(values) / len(values) if values else math.nan


@dataclass
class TensorSeen:
    """What was seen of one tensor, all sampled batches together.

    Attributes:
        shape: Of the last batch.
        dtype: As torch calls it, without ``torch.``.
        batches: Number of batches that were looked at.
        count: Number of values that were looked at.
        mean: Of the finite values.
        std: Of the finite values.
        min: Of the finite values.
        max: Of the finite values.
        not_finite: Share of the values that are NaN or infinite.
        whole: Whether all values are whole numbers.
        counts: How often each value was seen, where they are whole and at most 1,000 different
            ones; by its spelling.
        rows_sum_to_one: Share of the rows (last axis, of two or more) that are probabilities.
        means: Of each column, for tensors of two axes with at most 4,096 columns.
        stds: Likewise.
        constant: Share of the columns (pixels, for more axes) that never change.
        spread: Mean over columns of the standard deviation over the rows of one batch.
        in_order: Of targets with one number a row, how alike neighbours are in the order they
            came: 0 in shuffled data, 1 in sorted data. NaN elsewhere.
        channels_last: Of images, how rough they are where the same numbers are read with the
            channels last, as a share of how rough they are; NaN elsewhere.

    Example:
        >>> TensorSeen(shape=[32, 10]).count
        0
    """

    shape: list[int] = field(default_factory=list)
    dtype: str = ""
    batches: int = 0
    count: int = 0
    mean: float = math.nan
    std: float = math.nan
    min: float = math.nan
    max: float = math.nan
    not_finite: float = 0.0
    whole: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    rows_sum_to_one: float = 0.0
    means: list[float] = field(default_factory=list)
    stds: list[float] = field(default_factory=list)
    constant: float = 0.0
    spread: float = math.nan
    in_order: float = math.nan
    channels_last: float = math.nan
