"""DBSCAN: clusters are where rows lie close together, whatever their shape; the rest is noise.

Source:
    Ester, Kriegel, Sander, Xu (1996), "A density-based algorithm for discovering clusters in large
    spatial databases with noise", KDD; by scikit-learn's ``DBSCAN``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional.clustering import knee
from glial.functional.neighbours import nearest
from glial.models.clusters import PerRow, Refined, Rows
from glial.models.kept_rows import KeptRows, KeptRowsSettings

logger = logging.getLogger(__name__)
NOISE = -1


class DBSCANSettings(KeptRowsSettings):
    """DBSCAN; a new row belongs to the cluster of the nearest core row, if that is near enough.

    Attributes:
        eps: How far neighbours are apart at most, in scaled units; None is where the ordered
            distances of training rows to their ``min_rows``-th row, themselves counted, bend
            upwards.
        min_rows: A row with so many neighbours, itself counted, is a core of a cluster.

    Example:
        >>> DBSCANSettings(kept_rows=4).build(3).rows.shape
        torch.Size([4, 3])
    """

    description: ClassVar[str] = "clusters of any shape where rows are dense, and noise"
    source: ClassVar[str] = "Ester et al. (1996), KDD"
    default_rows: ClassVar[int] = 20_000

    name: Literal["dbscan"] = "dbscan"
    eps: float | None = Field(default=None, gt=0)
    min_rows: int = Field(default=10, ge=2)

    def for_rows(self, rows: Rows, *, seed: int) -> DBSCANSettings:
        """How far neighbours may be apart, where that was left open.

        Args:
            rows: Training rows.
            seed: Is not used: nothing is drawn.
        """
        flat = rows.flatten(1).double()
        if self.eps is not None or len(flat) < self.min_rows:
            return self
        far = nearest(flat, self.min_rows - 1, metric="euclidean")[0][:, -1].sort().values
        eps = float(f"{float(far[knee(far)]):.4g}") or 1.0
        logger.info("eps %g: where the distances to the %dth neighbour bend", eps, self.min_rows)
        return self.model_copy(update={"eps": eps})

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` of 8 rows, without `for_rows` of ``eps`` 0.5."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return DBSCAN(self, shape)


class DBSCAN(KeptRows):
    """Kept rows, and the cluster of each.

    Beside ``rows`` there are the buffers ``codes`` [kept], -1 of noise, and ``cores`` [kept].

    Args:
        settings: The settings.
        shape: Of one row.

    Example:
        >>> network = DBSCAN(DBSCANSettings(kept_rows=5, eps=1.0, min_rows=2), (1,))
        >>> _ = network.refine(torch.tensor([[0.0], [1.0], [5.0], [6.0], [9.0]]))
        >>> network.assign(torch.tensor([[0.2], [6.4], [9.0]]))
        tensor([ 0,  1, -1])
    """

    codes: Tensor
    cores: Tensor

    def __init__(self, settings: DBSCANSettings, shape: tuple[int, ...]) -> None:
        count = settings.count_kept
        super().__init__(count, shape)
        self.settings = settings
        self.eps = settings.eps or 0.5
        self.register_buffer("codes", torch.full((count,), NOISE))
        self.register_buffer("cores", torch.zeros(count, dtype=torch.bool))

    @torch.no_grad()
    def refine(self, *rows: Rows, weight: PerRow | None = None) -> Refined:
        """Find the cores, and what belongs to them.

        Args:
            rows: The training rows.
            weight: Of each: a row of weight 2 is two neighbours.
        """
        from sklearn import cluster

        numbers = self.keep(rows[0], "dbscan")
        held = None if weight is None else weight[numbers].double().cpu().numpy()
        fitted = cluster.DBSCAN(eps=self.eps, min_samples=self.settings.min_rows)
        fitted.fit(self.rows.double().cpu().numpy(), sample_weight=held)
        self.codes.copy_(torch.from_numpy(fitted.labels_))
        self.cores.zero_()
        self.cores[torch.from_numpy(fitted.core_sample_indices_).to(self.cores.device)] = True
        found, noise = int(self.codes.max()) + 1, int((self.codes == NOISE).sum())
        logger.info("dbscan: %d clusters, %d of %d rows are noise", found, noise, len(self.codes))
        if not found:
            logger.warning("every row is noise: set model.eps higher than %g", self.eps)
        return Refined(self.loss(self(rows[0]), rows[0], weight), settled=True)

    def nearest_kept(self, rows: Rows) -> tuple[PerRow, Int[Tensor, " row"]]:
        """The distance of each row to the nearest core, and which that is; without one, to any."""
        cores = self.cores.nonzero().flatten()
        if not len(cores):
            return super().nearest_kept(rows)
        distances, found = self.nearest_of(rows, self.rows[cores])
        return distances, cores[found]

    def assign(self, rows: Rows) -> Int[Tensor, " row"]:
        """The cluster of the nearest core, or -1 where that is farther than ``eps``."""
        distances, found = self.nearest_kept(rows)
        near = (distances <= self.eps * (1 + 1e-6)) & self.cores[found]
        return torch.where(near, self.codes[found], NOISE)
