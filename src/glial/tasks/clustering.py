"""Putting rows into clusters without names, and judging them by classes where some are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.functional.clustering import matched_accuracy, silhouette
from glial.tasks.labels import Labels
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss
from glial.tasks.unlabelled import Generation

logger = logging.getLogger(__name__)
SILHOUETTE_ROWS = 2000


class Clustering(Generation):
    """Learn which rows belong together.

    Outputs are the cluster of each row, -1 of none, and the network's figures. A column of classes
    may be named: nothing is learnt from it, the clusters are judged by it.

    Args:
        settings: The plan's ``task`` part.
        judge: The column of classes, where there is one.
        figures: The names of the figures.
        trivial: What a trivial predictor's figures are, where there is one.

    Example:
        >>> task = Clustering(TaskSettings(), figures=["distance"])
        >>> task.decode(torch.tensor([[2.0, 0.5]])).frame().rows()
        [(2, 0.5)]
    """

    name = "cluster"

    def __init__(
        self,
        settings: TaskSettings,
        *,
        judge: str | None = None,
        figures: Sequence[str] = (),
        trivial: dict[str, float] | None = None,
    ) -> None:
        super().__init__(None, [], settings, figures=figures, trivial=trivial)
        self.targets = [] if judge is None else [judge]

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> Clustering:
        """The task of training rows.

        Args:
            frame: The training rows.
            targets: A column of classes to be judged by, or none. One in which hardly a value
                comes twice judges nothing.
            settings: The plan's ``task`` part.
            loss: Is not used: the network says what it learns.
        """
        if targets and 2 * len(Labels.of(frame[targets[0]]).names) > frame.height:
            logger.warning(
                "the target %r is left aside: hardly a value comes twice, so it names no classes",
                targets[0],
            )
        return cls(settings, judge=targets[0] if targets else None)

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The cluster of each row, and its figures."""
        values = outputs.double().numpy()
        told = dict(zip(self.figures, values[:, 1:].T, strict=True))
        return Decoded({"prediction": values[:, 0].astype(np.int64), **told})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """How well clusters agree with the classes, where the rows have them, and the figures.

        Those are the names of scikit-learn's ``adjusted_rand_score`` and
        ``normalized_mutual_info_score``, and ``cluster_accuracy``, the share of rows in the right
        class if each cluster is named after one, see
        `glial.functional.clustering.matched_accuracy`. Rows of no cluster are one more to the
        first two, and wrong to the third; ``noise_share`` tells how many they are.
        """
        codes = outputs[:, 0].long()
        found = self._agreement(codes, frame)
        found["num_clusters"] = float(len(torch.unique(codes[codes >= 0])))
        if bool((codes < 0).any()):
            found["noise_share"] = float((codes < 0).double().mean())
        return {**found, **super().scores(outputs[:, 1:], frame, weight)}

    def _agreement(self, codes: Tensor, frame: pl.DataFrame) -> dict[str, float]:
        """How far clusters and classes are the same."""
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

        judge = [name for name in self.targets if name in frame.columns]
        if not judge:
            return {}
        labels = Labels.of(frame[judge[0]])
        if 2 * len(labels.names) > frame.height:
            return {}
        truth = torch.from_numpy(labels.codes(frame[judge[0]]))
        given = codes.cpu()
        return {
            "adjusted_rand_score": float(adjusted_rand_score(truth, given)),
            "normalized_mutual_info_score": float(normalized_mutual_info_score(truth, given)),
            "cluster_accuracy": matched_accuracy(truth, given),
        }

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """One cluster of all rows, and no figures."""
        return torch.cat([torch.zeros(num_rows, 1), super().trivial_outputs(num_rows)], dim=1)

    def state(self) -> dict[str, Any]:
        """What was fitted."""
        return {
            "task": self.name,
            "targets": self.targets,
            "figures": self.figures,
            "trivial": self.trivial,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Clustering:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        judge = held.targets[0] if held.targets else None
        return cls(settings, judge=judge, figures=held.figures, trivial=held.trivial)


def shape_scores(vectors: Tensor, codes: Tensor, *, seed: int = 0) -> dict[str, float]:
    """How tight clusters are, and how far apart, whatever found them.

    Args:
        vectors: Rows, [row, number].
        codes: The cluster of each, below 0 of none; such rows are left out.
        seed: Draws the rows that the silhouette looks at, where there are many.

    Returns:
        ``inertia``, the sum of the squared distances of rows to the mean of their cluster, and
        ``silhouette`` of at most 2,000 rows; it is left out where there are not two clusters.

    Example:
        >>> rows = torch.tensor([[0.0], [2.0], [9.0], [9.0]])
        >>> shape_scores(rows, torch.tensor([0, 0, 1, 1]))["inertia"]
        2.0
    """
    kept = codes >= 0
    rows, names = vectors[kept].double().cpu(), codes[kept].cpu()
    found = torch.unique(names, return_inverse=True)[1]
    count = int(found.max()) + 1 if len(found) else 0
    sums = torch.zeros(count, rows.shape[1], dtype=torch.float64).index_add_(0, found, rows)
    means = sums / found.bincount(minlength=count)[:, None]
    told = {"inertia": float((rows - means[found]).square().sum())}
    if len(rows) > SILHOUETTE_ROWS:
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        rows, found = rows[order[:SILHOUETTE_ROWS]], found[order[:SILHOUETTE_ROWS]]
    value = silhouette(rows.numpy(), found.numpy())
    return told if np.isnan(value) else {**told, "silhouette": value}


class _State(BaseModel):
    """What ``decoding.json`` holds of the task."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["cluster"]
    targets: list[str] = Field(max_length=1)
    figures: list[str]
    trivial: dict[str, float]
