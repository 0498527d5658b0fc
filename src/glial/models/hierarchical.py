"""Hierarchical clustering: the two nearest clusters are joined, again and again.

Source:
    Ward (1963), "Hierarchical grouping to optimize an objective function",
    doi:10.1080/01621459.1963.10500845; by scikit-learn's ``AgglomerativeClustering``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.functional.clustering import cut_tree
from glial.models.clusters import (
    LOOKED_AT,
    ClusteredSettings,
    PerRow,
    Refined,
    Rows,
    check_distinct,
    check_unweighted,
    some_of,
)
from glial.models.kept_rows import KeptRows, KeptRowsSettings
from glial.models.kmeans import best_count

Linkage = Literal["ward", "complete", "average", "single"]


class HierarchicalSettings(ClusteredSettings, KeptRowsSettings):
    """Hierarchical clustering; a new row belongs where the nearest training row does.

    Attributes:
        linkage: How near two clusters are: ``ward`` by how much joining them adds to the squared
            distances to their means, ``complete`` by their farthest rows, ``average`` by the mean
            distance of their rows, ``single`` by their nearest rows.

    Example:
        >>> HierarchicalSettings(num_clusters=2, kept_rows=4).build(3).merges.shape
        torch.Size([3, 2])
    """

    description: ClassVar[str] = "clusters of a tree of merges, cut where they are so many"
    source: ClassVar[str] = "Ward (1963), doi:10.1080/01621459.1963.10500845"

    name: Literal["hierarchical"] = "hierarchical"
    linkage: Linkage = "ward"

    def for_rows(self, rows: Rows, *, seed: int) -> HierarchicalSettings:
        """The number of clusters chosen, where it was left open.

        Args:
            rows: Training rows.
            seed: Is not used: nothing is drawn.
        """
        if self.num_clusters is not None:
            return self
        flat = rows.flatten(1)
        some = flat[some_of(flat, LOOKED_AT)].double().cpu().numpy()
        merges = _tree(some, self.linkage)[0]

        def label(count: int) -> NDArray[Any]:
            return cut_tree(merges, count).numpy()

        return self.model_copy(update={"num_clusters": best_count(some, label)})

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` of 8 rows."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return Hierarchical(self, shape)


class Hierarchical(KeptRows):
    """Kept rows, the tree of their merges, and where it is cut.

    Beside ``rows`` there are the buffers ``merges`` [merge, 2] (see
    `glial.functional.clustering.cut_tree`), ``heights`` [merge], how far apart the two were, and
    ``codes`` [kept].

    Args:
        settings: The settings.
        shape: Of one row.

    Example:
        >>> network = Hierarchical(HierarchicalSettings(num_clusters=2, kept_rows=4), (1,))
        >>> rows = torch.tensor([[0.0], [7.0], [1.0], [9.0]])
        >>> _ = network.refine(rows)
        >>> network.assign(rows), network.cut(3)
        (tensor([0, 1, 0, 1]), tensor([0, 1, 0, 2]))
    """

    merges: Tensor
    heights: Tensor
    codes: Tensor

    def __init__(self, settings: HierarchicalSettings, shape: tuple[int, ...]) -> None:
        count = settings.count_kept
        super().__init__(count, shape)
        self.settings = settings
        self.register_buffer("merges", torch.zeros(count - 1, 2, dtype=torch.int64))
        self.register_buffer("heights", torch.zeros(count - 1))
        self.register_buffer("codes", torch.zeros(count, dtype=torch.int64))

    @torch.no_grad()
    def refine(self, *rows: Rows, weight: PerRow | None = None) -> Refined:
        """Join rows to a tree, and cut it.

        Args:
            rows: The training rows.
            weight: None: every row counts alike.
        """
        check_unweighted(weight, "hierarchical")
        self.keep(rows[0], "hierarchical")
        check_distinct(self.rows, self.settings.count)
        merges, heights = _tree(self.rows.double().cpu().numpy(), self.settings.linkage)
        self.merges.copy_(merges)
        self.heights.copy_(heights)
        self.codes.copy_(self.cut(self.settings.count))
        return Refined(self.loss(self(rows[0]), rows[0]), settled=True)

    def cut(self, num_clusters: int) -> Int[Tensor, " kept"]:
        """The clusters of the kept rows where the tree is cut elsewhere.

        Args:
            num_clusters: How many.
        """
        return cut_tree(self.merges.cpu(), num_clusters)

    def assign(self, rows: Rows) -> Int[Tensor, " row"]:
        """The cluster of the nearest kept row."""
        return self.codes[self.nearest_kept(rows)[1]]


def _tree(rows: NDArray[Any], linkage: Linkage) -> tuple[Tensor, Tensor]:
    """Merges, and how far apart each two were."""
    from sklearn.cluster import AgglomerativeClustering

    fitted = AgglomerativeClustering(1, linkage=linkage, compute_distances=True).fit(rows)
    merges = torch.from_numpy(fitted.children_).to(torch.int64)
    return merges, torch.from_numpy(fitted.distances_).float()
