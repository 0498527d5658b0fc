"""t-SNE: training rows in a plane, neighbours beside one another.

Source:
    van der Maaten, Hinton (2008), "Visualizing data using t-SNE", JMLR 9, pages 2579 to 2605; by
    scikit-learn's ``TSNE``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional.neighbours import nearest
from glial.functional.planes import PERPLEXITY, laid_out
from glial.models.clusters import PerRow, Refined, Rows, check_unweighted
from glial.models.kept_rows import KeptRows, KeptRowsSettings

logger = logging.getLogger(__name__)
NEIGHBOURS = 10


class TSNESettings(KeptRowsSettings):
    """t-SNE of training rows; a new row stands where the nearest of them does.

    Attributes:
        dimensions: Numbers of an embedding.
        perplexity: About how many neighbours are looked at.

    Example:
        >>> TSNESettings(kept_rows=4).build(3).positions.shape
        torch.Size([4, 2])
    """

    tasks: ClassVar[tuple[str, ...]] = ("reduce",)
    description: ClassVar[str] = "rows in a plane, neighbours beside one another"
    source: ClassVar[str] = "van der Maaten, Hinton (2008), JMLR 9"

    name: Literal["tsne"] = "tsne"
    dimensions: int = Field(default=2, ge=1)
    perplexity: float = Field(default=PERPLEXITY, gt=1)

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` of 8 rows."""
        return TSNE(self, self.shape_of(num_inputs, num_outputs, cardinalities, images=images))


class TSNE(KeptRows):
    """Kept rows, and where each stands.

    Beside ``rows`` there is the buffer ``positions`` [kept, dimension].

    Args:
        settings: The settings.
        shape: Of one row.

    Example:
        >>> network = TSNE(TSNESettings(kept_rows=6), (2,))
        >>> rows = torch.arange(12.0).reshape(6, 2)
        >>> _ = network.refine(rows)
        >>> torch.equal(network.embed(rows), network.positions)
        True
    """

    positions: Tensor

    def __init__(self, settings: TSNESettings, shape: tuple[int, ...]) -> None:
        count = settings.count_kept
        super().__init__(count, shape)
        self.settings = settings
        self.register_buffer("positions", torch.zeros(count, settings.dimensions))
        self._has_said = False

    @torch.no_grad()
    def refine(self, *rows: Rows, weight: PerRow | None = None) -> Refined:
        """Lay the rows out; what is drawn hangs on torch's own generator.

        Args:
            rows: The training rows.
            weight: None: every row counts alike.
        """
        check_unweighted(weight, "tsne")
        self.keep(rows[0], "tsne")
        places = laid_out(
            self.rows.double().cpu().numpy(),
            dimensions=self.settings.dimensions,
            perplexity=self.settings.perplexity,
            seed=int(torch.randint(2**31, ())),
        )
        self.positions.copy_(torch.from_numpy(places))
        return Refined(self.loss(self(rows[0]), rows[0]), settled=True)

    def embed(self, rows: Rows) -> Float[Tensor, "row dimension"]:
        """Where the nearest kept row of each row stands."""
        distances, found = self.nearest_kept(rows)
        if not self._has_said and bool((distances > 0).any()):
            self._has_said = True
            logger.warning(
                "t-SNE has no map for new rows: each stands where the nearest fitted row does"
            )
        return self.positions[found]

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How many of a row's ten nearest kept rows are among the ten that stand nearest to it.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        count = min(NEIGHBOURS, len(self.rows) - 1)
        flat = rows.flatten(1).double()
        own = self.nearest_kept(rows)[1]
        # Of a kept row the first neighbour is itself, in both spaces; so it is of its stand-in.
        near = nearest(flat, count + 1, self.rows.double(), metric="euclidean")[1]
        seen = nearest(
            self.positions[own].double(), count + 1, self.positions.double(), metric="euclidean"
        )[1]
        both = (near[:, :, None] == seen[:, None]) & (near != own[:, None])[:, :, None]
        return {"neighbours_kept": both.any(dim=2).sum(dim=1).to(rows) / count}
