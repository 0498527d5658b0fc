"""Principal components: the directions in which rows vary most.

Source:
    Pearson (1901), doi:10.1080/14786440109462720; Hotelling (1933), doi:10.1037/h0071325; by
    scikit-learn's ``PCA``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from glial.models.clusters import (
    FittedSettings,
    PerRow,
    Refined,
    RowNetwork,
    Rows,
    check_unweighted,
)

logger = logging.getLogger(__name__)


class PCASettings(FittedSettings):
    """Principal components.

    Attributes:
        num_components: How many; None is as few as hold ``variance`` of some training rows.
        variance: Share of the variance that is to be held, where the number was left open.
        whiten: Whether each number of an embedding is divided by its standard deviation.

    Example:
        >>> PCASettings(num_components=2).build(5).embed(torch.zeros(3, 5)).shape
        torch.Size([3, 2])
    """

    tasks: ClassVar[tuple[str, ...]] = ("reduce",)
    description: ClassVar[str] = "principal components: the directions of most variance"
    source: ClassVar[str] = "Pearson (1901), doi:10.1080/14786440109462720"

    name: Literal["pca"] = "pca"
    num_components: int | None = Field(default=None, ge=1)
    variance: float = Field(default=0.9, gt=0, lt=1)
    whiten: bool = False

    def for_rows(self, rows: Rows, *, seed: int) -> PCASettings:
        """The number of components chosen, where it was left open.

        Args:
            rows: Training rows.
            seed: Is not used: nothing is drawn.
        """
        if self.num_components is not None:
            return self
        shares = _fitted(rows.flatten(1).double().cpu().numpy(), None).explained_variance_ratio_
        few = 1 + int((np.cumsum(np.nan_to_num(shares)) < self.variance).sum())
        count = min(few, len(shares))
        logger.info("%d components hold %.1f %% of the variance", count, 100 * shares[:count].sum())
        return self.model_copy(update={"num_components": count})

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_rows` of one component."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return PCA(self, shape)


class PCA(RowNetwork):
    """A mean and directions.

    Parameters: ``mean`` [number] and ``components`` [component, number], orthogonal and of length
    1, the one of most variance first; they descend no gradient. Buffers: ``variances`` and
    ``shares`` [component], of the whole variance.

    Args:
        settings: The settings.
        shape: Of one row.

    Example:
        >>> network = PCA(PCASettings(num_components=1), (2,))
        >>> _ = network.refine(torch.tensor([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]]))
        >>> network.components.abs(), network.shares
        (tensor([[0.7071, 0.7071]]), tensor([1.]))
    """

    variances: Tensor
    shares: Tensor

    def __init__(self, settings: PCASettings, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.settings = settings
        count = min(settings.num_components or 1, self.size)
        self.mean = nn.Parameter(torch.zeros(self.size), requires_grad=False)
        drawn = nn.init.orthogonal_(torch.empty(count, self.size))
        self.components = nn.Parameter(drawn, requires_grad=False)
        self.register_buffer("variances", torch.ones(count))
        self.register_buffer("shares", torch.zeros(count))

    @torch.no_grad()
    def refine(self, *rows: Rows, weight: PerRow | None = None) -> Refined:
        """Compute the components.

        Args:
            rows: The training rows.
            weight: None: every row counts alike.
        """
        check_unweighted(weight, "pca")
        flat = rows[0].flatten(1)
        count = min(len(self.components), *flat.shape)
        fitted = _fitted(flat.double().cpu().numpy(), count)
        self.mean.copy_(torch.from_numpy(fitted.mean_))
        self.components[:count] = torch.from_numpy(fitted.components_).to(self.components)
        self.variances.zero_()[:count] = torch.from_numpy(fitted.explained_variance_).to(self.mean)
        shares = torch.from_numpy(np.nan_to_num(fitted.explained_variance_ratio_))
        self.shares.zero_()[:count] = shares.to(self.mean)
        logger.info("%d components hold %.1f %% of the variance", count, 100 * float(shares.sum()))
        return Refined(self.loss(self(rows[0]), rows[0]), settled=True)

    def embed(self, rows: Rows) -> Float[Tensor, "row component"]:
        """The coordinates of rows along the components."""
        values = (rows.flatten(1) - self.mean) @ self.components.T
        return values / self._units if self.settings.whiten else values

    def forward(self, rows: Rows) -> Float[Tensor, "row number"]:
        """The rows as their coordinates give them back."""
        values = (rows.flatten(1) - self.mean) @ self.components.T
        return self.mean + values @ self.components

    def reconstruct(self, rows: Rows) -> Rows:
        """The rows as their coordinates give them back, in their own shape."""
        given: Tensor = self(rows)
        return given.reshape(rows.shape)

    def loss(self, outputs: Rows, target: Rows, weight: PerRow | None = None) -> Tensor:
        """The mean squared error a number.

        Args:
            outputs: Rows given back.
            target: The rows.
            weight: Of each row.
        """
        return super().loss(outputs, target, weight) / self.size

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error a number, of each row.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        return {"reconstruction_error": (self(rows) - rows.flatten(1)).square().mean(dim=1)}

    @property
    def _units(self) -> Tensor:
        return self.variances.clamp_min(torch.finfo(self.variances.dtype).eps).sqrt()


def _fitted(rows: NDArray[Any], count: int | None) -> Any:
    """Scikit-learn's analysis, exact, by the covariance where rows are many."""
    from sklearn import decomposition

    tall = len(rows) > 2 * rows.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):  # rows that do not vary at all
        solver = "covariance_eigh" if tall else "full"
        return decomposition.PCA(count, svd_solver=solver).fit(rows)
