"""K-means: centres, each the mean of the rows that are nearest to it.

Source:
    Lloyd (1982), "Least squares quantization in PCM", doi:10.1109/TIT.1982.1056489; starts: Arthur,
    Vassilvitskii (2007), "k-means++: the advantages of careful seeding", SODA.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from glial.functional.clustering import lloyd_step, nearest_centres, silhouettes
from glial.functional.metric_losses import pairwise_distances
from glial.models.clusters import (
    LOOKED_AT,
    MOST_CLUSTERS,
    ClusteredSettings,
    PerRow,
    Refined,
    RowNetwork,
    Rows,
    check_distinct,
    some_of,
)

logger = logging.getLogger(__name__)
START_STEPS = 10
CHOOSING_RESTARTS, CHOOSING_STEPS = 3, 300
Chosen = TypeVar("Chosen", bound=ClusteredSettings)


class KMeansSettings(ClusteredSettings):
    """K-means.

    Attributes:
        restarts: Starts that are tried on some rows; the best one is gone on with.

    Example:
        >>> KMeansSettings(num_clusters=3).build(2).centres.shape
        torch.Size([3, 2])
    """

    description: ClassVar[str] = "clusters around centres, each the mean of its rows"
    source: ClassVar[str] = "Lloyd (1982), doi:10.1109/TIT.1982.1056489"

    name: Literal["kmeans"] = "kmeans"
    restarts: int = Field(default=10, ge=1)

    def for_rows(self, rows: Rows, *, seed: int) -> KMeansSettings:
        """The number of clusters chosen, where it was left open.

        Args:
            rows: Training rows.
            seed: Seed of starts.
        """
        return with_best_count(self, rows, seed)

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_rows` of 8 clusters."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return KMeans(self, shape)


class KMeans(RowNetwork):
    """Centres; a row belongs to the nearest.

    Parameters: ``centres`` [cluster, number], which descend no gradient.

    Args:
        settings: The settings.
        shape: Of one row.

    Example:
        >>> network = KMeans(KMeansSettings(num_clusters=2), (1,))
        >>> rows = torch.tensor([[0.0], [1.0], [8.0], [9.0]])
        >>> network.start(rows)
        >>> while not network.refine(rows).settled:
        ...     pass
        >>> sorted(network.centres.flatten().tolist())
        [0.5, 8.5]
    """

    def __init__(self, settings: KMeansSettings, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.settings = settings
        self.centres = nn.Parameter(torch.randn(settings.count, self.size), requires_grad=False)

    @torch.no_grad()
    def start(self, rows: Rows) -> None:
        """Let centres begin where the best of some starts on these rows leaves them.

        Args:
            rows: Training rows.
        """
        flat = rows.flatten(1)
        count = len(self.centres)
        check_distinct(flat, count)
        seed = int(torch.randint(2**31, ()))
        centres, _ = started(
            flat.double().cpu().numpy(), count, self.settings.restarts, seed, START_STEPS
        )
        self.centres.copy_(torch.from_numpy(centres))

    @torch.no_grad()
    def refine(self, *rows: Rows, weight: PerRow | None = None) -> Refined:
        """One step of Lloyd's; the loss is the inertia a row, which never rises.

        Args:
            rows: The training rows.
            weight: Weight of each.
        """
        found = lloyd_step(rows[0].flatten(1), self.centres, weight)
        mean = found.inertia.mean() if weight is None else found.inertia @ weight / weight.sum()
        settled = torch.equal(found.centres, self.centres)
        self.centres.copy_(found.centres)
        return Refined(mean, settled)

    def forward(self, rows: Rows) -> Float[Tensor, "row number"]:
        """The centre of each row."""
        return self.centres[self.assign(rows)]

    def assign(self, rows: Rows) -> Int[Tensor, " row"]:
        """The nearest centre of each row."""
        return nearest_centres(rows.flatten(1), self.centres)[1]

    def embed(self, rows: Rows) -> Float[Tensor, "row cluster"]:
        """The distance of each row to every centre."""
        return pairwise_distances(rows.flatten(1), self.centres)


def with_best_count(settings: Chosen, rows: Rows, seed: int) -> Chosen:
    """Settings with the number of clusters of k-means that has the greatest silhouette.

    Args:
        settings: As they are; a number that was chosen stays.
        rows: Training rows.
        seed: Seed of starts.

    Example:
        >>> rows = torch.tensor([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]])
        >>> with_best_count(KMeansSettings(), rows, 0).num_clusters
        3
    """
    if settings.num_clusters is not None:
        return settings
    flat = rows.flatten(1)
    some = flat[some_of(flat, LOOKED_AT)].double().cpu().numpy()

    def label(count: int) -> NDArray[Any]:
        return started(some, count, CHOOSING_RESTARTS, seed, CHOOSING_STEPS)[1]

    return settings.model_copy(update={"num_clusters": best_count(some, label)})


def best_count(rows: NDArray[Any], label: Any) -> int:
    """The number of clusters with the greatest silhouette, which is said.

    Args:
        rows: Some rows, [row, number].
        label: The cluster of each, given their number.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]])
        >>> best_count(rows, lambda count: np.arange(6) * count // 6)
        3
    """
    most = min(MOST_CLUSTERS, len(np.unique(rows, axis=0)) - 1)
    found = silhouettes(rows, label, range(2, most + 1))
    known = {count: value for count, value in found.items() if not math.isnan(value)}
    if not known:
        return 1
    best = max(known, key=lambda count: known[count])
    told = ", ".join(f"{count}: {value:.3f}" for count, value in known.items())
    logger.info("%d clusters, by their silhouette on %d rows (%s)", best, len(rows), told)
    return best


def started(
    rows: NDArray[Any], count: int, restarts: int, seed: int, steps: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The centres of the best of some starts, and the cluster of each row.

    Args:
        rows: [row, number].
        count: How many clusters.
        restarts: How many starts.
        seed: Seed of them.
        steps: At most so many steps of each.

    Example:
        >>> rows = np.array([[0.0], [0.2], [5.0], [5.2]])
        >>> sorted(started(rows, 2, 3, 0, 10)[0].round(2).flatten().tolist())
        [0.1, 5.1]
    """
    from sklearn.cluster import KMeans as Fitted
    from sklearn.exceptions import ConvergenceWarning

    fitted = Fitted(count, n_init=restarts, max_iter=steps, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # steps go on in the training itself
        fitted.fit(rows)
    return fitted.cluster_centers_, fitted.labels_
