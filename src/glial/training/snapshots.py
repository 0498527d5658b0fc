"""Weights at several moments of one training, as members of a light ensemble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from glial.training.checkpoints import load_checkpoint

FOLDER = "snapshots"
Weights = dict[str, Tensor]


def kept_epochs(epoch: int, count: int) -> list[int]:
    """The epochs whose weights are held at the end of an epoch.

    They are the multiples of a power of two that is as small as leaves fewer than twice as many
    as are wanted. So which of them are held depends on nothing but the epoch: the last ``count``
    are spread evenly over the last half of training or more, whenever it ends.

    Args:
        epoch: Epochs done.
        count: Snapshots that are wanted.

    Example:
        >>> kept_epochs(3, 2), kept_epochs(11, 2), kept_epochs(12, 2)
        ([1, 2, 3], [4, 8], [4, 8, 12])
    """
    stride = 1
    while epoch // stride >= 2 * count:
        stride *= 2
    return list(range(stride, epoch + 1, stride))


class Snapshots:
    """Takes snapshots of the weights at the ends of epochs.

    Source:
        Huang, Li, Pleiss, Liu, Hopcroft, Weinberger (2017), "Snapshot ensembles: train 1, get M
        for free", arXiv 1704.00109; without cycles of the rate, as the checkpoints of one
        descent: Chen, Lundberg, Lee (2017), "Checkpoint ensembles", arXiv 1710.03282.

    Args:
        count: Snapshots that are wanted at the end; 0 takes none.
        folder: Where checkpoints go; None holds the snapshots in memory.

    Example:
        >>> import torch
        >>> snapshots = Snapshots(2, None)
        >>> for epoch in range(1, 6):
        ...     snapshots.take(epoch, lambda: {"w": torch.tensor(float(epoch))})
        >>> [weights["w"].item() for weights in snapshots.finish(5)]
        [2.0, 4.0]
    """

    def __init__(self, count: int, folder: Path | None) -> None:
        self.count = count
        self.folder = None if folder is None else folder / FOLDER
        self._held: dict[int, Weights] = {}

    def take(self, epoch: int, weights: Callable[[], Weights]) -> None:
        """Hold the weights of an epoch's end, if it is one that is kept; let go of others."""
        kept = kept_epochs(epoch, self.count) if self.count else []
        self._held = {other: held for other, held in self._held.items() if other in kept}
        if epoch in kept:
            self._held[epoch] = {name: value.cpu() for name, value in weights().items()}

    def unsaved(self) -> list[tuple[Path, Weights, dict[str, Any]]]:
        """The files that are not written yet; they are to be, before a later checkpoint is."""
        if self.folder is None:
            return []
        held, self._held = self._held, {}
        return [(self._path(epoch), held[epoch], {"epoch": epoch}) for epoch in held]

    def _path(self, epoch: int) -> Path:
        assert self.folder is not None  # noqa: S101 - narrows the type
        return self.folder / f"{epoch}.safetensors"

    def finish(self, epoch: int) -> list[Weights]:
        """Drop all but the snapshots that are wanted at the end of training.

        Args:
            epoch: Epochs done.

        Returns:
            Those that are held in memory, the oldest first.
        """
        wanted = kept_epochs(epoch, self.count)[-self.count :] if self.count else []
        if self.folder is None:
            return [self._held[one] for one in wanted if one in self._held]
        for path in self.folder.glob("*.safetensors"):
            if path not in [self._path(one) for one in wanted]:
                path.unlink()
        return []


def load_snapshots(folder: Path) -> list[Weights]:
    """The snapshots of a folder of checkpoints, the oldest first; none where there are none.

    Args:
        folder: The folder ``checkpoints`` of a run.

    Raises:
        InputError: If one of them is damaged.

    Example:
        >>> load_snapshots(Path("no such folder"))
        []
    """
    paths = [path for path in (folder / FOLDER).glob("*.safetensors") if path.stem.isdigit()]
    return [load_checkpoint(path)[0] for path in sorted(paths, key=lambda path: int(path.stem))]
