"""DBSCAN: clusters are where rows lie close together, whatever their shape; the rest is noise.

Source:
    Ester, Kriegel, Sander, Xu (1996), "A density-based algorithm for discovering clusters in large
    spatial databases with noise", KDD; by scikit-learn's ``DBSCAN``.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional.clustering import knee
from glial.models.clusters import PerRow, Refined, Rows
from glial.models.kept_rows import KeptRows, KeptRowsSettings

logger = logging.getLogger(__name__)
NOISE = -1
TRIED_DISTANCES, MOST_RATIO, MOST_NOISE = 24, 1e6, 0.2


class DBSCANSettings(KeptRowsSettings):
    """DBSCAN; a new row belongs to the cluster of the nearest core row, if that is near enough.

    Attributes:
        eps: How far neighbours are apart at most, in scaled units; None looks at up to 2,048
            training rows, see `steady_eps`.
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
        flat = rows.flatten(1).double().cpu()
        if self.eps is not None or len(flat) < self.min_rows:
            return self
        eps, why = steady_eps(flat, self.min_rows)
        logger.info("eps %g: %s", eps, why)
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


def steady_eps(rows: Float[Tensor, "row number"], min_rows: int) -> tuple[float, str]:
    """A distance of neighbours that a little more or less would not matter to, and why.

    Of 24 distances, in even ratios from the median to the greatest of rows to their
    ``min_rows``-th row, themselves counted, it is the middle of the longest stretch on which there
    are the same two clusters or more, and a fifth of the rows at most is noise. Without a stretch
    of two it is where those distances, in order, bend upwards.

    Args:
        rows: Rows.
        min_rows: As of `DBSCANSettings`.

    Example:
        >>> rows = torch.tensor([0.0, 0.1, 0.2, 5.0, 5.1, 5.2], dtype=torch.float64)[:, None]
        >>> eps, why = steady_eps(rows, 2)
        >>> 0.09 < eps < 4.8, why
        (True, '2 clusters on the longest stretch of distances')
    """
    from sklearn import cluster

    apart = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    far = apart.sort(dim=1).values[:, min_rows - 1].sort().values
    high = float(far[-1])
    if not high:
        return 1.0, "rows that are the same"
    low = max(float(far.median()), high / MOST_RATIO)
    grid = torch.logspace(math.log10(low), math.log10(high), TRIED_DISTANCES, dtype=far.dtype)
    counts = []
    for eps in grid.tolist():
        fitted = cluster.DBSCAN(eps=eps, min_samples=min_rows, metric="precomputed")
        codes = fitted.fit(apart.numpy()).labels_
        counts.append(0 if (codes == NOISE).mean() > MOST_NOISE else int(codes.max()) + 1)
    stretches = []
    for count, stretch in itertools.groupby(enumerate(counts), key=lambda pair: pair[1]):
        places = [place for place, _ in stretch]
        if count > 1 and len(places) > 1:
            stretches.append((len(places), places[(len(places) - 1) // 2], count))
    if stretches:
        _, place, count = max(stretches, key=lambda stretch: stretch[0])
        why = f"{count} clusters on the longest stretch of distances"
        return float(f"{float(grid[place]):.4g}"), why
    eps = float(f"{float(far[knee(far)]) or high:.4g}")
    return eps, f"where the distances to neighbour {min_rows - 1} bend"
