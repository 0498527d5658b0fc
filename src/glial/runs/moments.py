"""The moments that series are forecast from, to learn and to judge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.data.series import WindowForm
from glial.data.settings import DataSettings

MOMENTS_OF_SERIES = 200


@dataclass(frozen=True)
class Edges:
    """Where the parts of each series end, [series]: those to learn from, to validate and to test.

    Example:
        >>> Edges.of(np.array([0]), np.array([100]), DataSettings(), 6).train
        array([70])
    """

    start: NDArray[np.int64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        data: DataSettings,
        horizon: int,
        least: int = 1,
    ) -> Edges:
        """The last parts of each series are kept back, at least one horizon each.

        Args:
            start: Where each series begins.
            end: Where its known values end.
            data: The plan's ``data`` part: shares of its split.
            horizon: Steps that are forecast.
            least: Steps before a moment that can be learnt from; a series that would have no
                such moment left keeps nothing back.
        """
        counts = end - start
        kept = []
        for share in (data.split.val, data.split.test):
            size = np.maximum(horizon, np.rint(share * counts).astype(np.int64))
            kept.append(size if share else np.zeros_like(counts))
        val, test = kept
        val = np.where(counts - val - test >= least + horizon, val, 0)
        test = np.where(counts - val - test >= least + horizon, test, 0)
        return cls(start, end - test - val, end - test, end)

    def moments(self, split: str, form: WindowForm, stride: int | str = 1) -> Tensor:
        """The moments that a split's values are forecast from: all of its horizon is in the split.

        Args:
            split: ``train``, ``val`` or ``test``.
            form: What a window is.
            stride: Steps from one to the next; ``auto`` for some hundreds of each series.
        """
        firsts = {"train": self.start + form.least, "val": self.train, "test": self.val}
        lasts = {"train": self.train, "val": self.val, "test": self.test}
        return moments_between(firsts[split], lasts[split], form.horizon, stride)


def moments_between(
    firsts: NDArray[np.int64], lasts: NDArray[np.int64], horizon: int, stride: int | str
) -> Tensor:
    """The moments from firsts on whose horizons end by lasts, of every series.

    Example:
        >>> moments_between(np.array([3]), np.array([10]), 2, 2).tolist()
        [3, 5, 7]
    """
    found = []
    for first, last in zip(firsts, lasts, strict=True):
        count = int(last) - horizon + 1 - int(first)
        step = max(1, math.ceil(count / MOMENTS_OF_SERIES)) if stride == "auto" else int(stride)
        found.append(torch.arange(int(first), max(int(first), int(last) - horizon + 1), step))
    return torch.cat(found)
