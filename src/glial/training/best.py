"""The best weights of a training, by its validation figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from glial.training.checkpoints import Progress, prefixed

Weights = dict[str, Tensor]


class BestWeights:
    """Holds the weights of the epoch that was best, and counts the epochs since.

    Args:
        score: The figure that decides, and whether lower is better.
        min_delta: What an improvement must exceed, to be one for the patience.

    Attributes:
        weights: The best weights; None before the first.

    Example:
        >>> import torch
        >>> best, progress = BestWeights(("loss", True), 0.0), Progress(epoch=1)
        >>> best.consider({"loss": 0.5}, progress, lambda: {"w": torch.ones(1)})
        >>> progress.best_epoch, progress.waited
        (1, 0)
    """

    def __init__(self, score: tuple[str, bool], min_delta: float) -> None:
        self._score, self._min_delta = score, min_delta
        self.weights: Weights | None = None
        self._is_saved = True

    def consider(
        self,
        figures: dict[str, float],
        progress: Progress,
        current: Callable[[], Weights],
        epoch: int | None = None,
    ) -> None:
        """Hold the weights if they are the best yet; equal scores go to the lower loss.

        Args:
            figures: What validation gave, ``loss`` among it.
            progress: Where training stands; it is told of what is better.
            current: Copies the weights.
            epoch: The epoch that they are of; by default the last one done.
        """
        progress.waited += 1
        name, lower = self._score
        if not (math.isfinite(figures.get("loss", math.nan)) and math.isfinite(figures[name])):
            return
        value = figures[name] if lower else -figures[name]
        # Small steps add up: they are measured from the last improvement that was large enough.
        if progress.reference is None or value < progress.reference - self._min_delta:
            progress.reference, progress.waited = value, 0
        key = [value, figures["loss"]]
        if progress.best is None or key < progress.best:
            progress.best, progress.best_epoch = key, epoch or progress.epoch
            self.weights, self._is_saved = current(), False

    def put_back(self, weights: Weights | None) -> None:
        """Go back to what was best before."""
        if weights is not self.weights:
            self.weights, self._is_saved = weights, weights is None

    def unsaved(
        self, folder: Path | None, progress: Progress
    ) -> list[tuple[Path, Weights, dict[str, Any]]]:
        """The best weights as a checkpoint, unless they are written already.

        Args:
            folder: Where checkpoints go.
            progress: Says which epoch they are of.
        """
        if self.weights is None or self._is_saved or folder is None:
            return []
        self._is_saved = True
        numbers = {"epoch": progress.best_epoch, "best": progress.best}
        path = folder / "best" / "checkpoint.safetensors"
        return [(path, prefixed("model", self.weights), numbers)]
