"""Matrix factorisation: what a user gives a thing is two levels and a product of two vectors.

Of more than two columns of categories every two multiply, as in a factorisation machine.

Source:
    Koren, Bell, Volinsky (2009), "Matrix factorization techniques for recommender systems",
    equation 4, doi:10.1109/MC.2009.263; Rendle (2010), "Factorization machines",
    doi:10.1109/ICDM.2010.127.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from pydantic import Field
from torch import Tensor, nn

from glial.models.settings import ModelSettings

FIRST_SPREAD = 0.1
RIDGE = 1.0  # weight of squared vectors against squared errors, both summed


class MatrixFactorizationSettings(ModelSettings):
    """A level for each value of each category, and products of their vectors.

    Attributes:
        size: Numbers of a vector.

    Example:
        >>> network = MatrixFactorizationSettings(size=2).build(0, 1, cardinalities=[4, 5])
        >>> network(torch.zeros(1, 0), torch.tensor([[1, 3]])).shape
        torch.Size([1, 1])
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    max_outputs: ClassVar[int | None] = 1
    takes_categories: ClassVar[bool] = True
    min_categories: ClassVar[int] = 2
    max_one_hot: ClassVar[int | None] = 0
    description: ClassVar[str] = "matrix factorisation: levels and products of vectors"
    source: ClassVar[str] = "Koren, Bell, Volinsky (2009), doi:10.1109/MC.2009.263"

    name: Literal["matrix_factorization"] = "matrix_factorization"
    size: int = Field(default=8, ge=1, le=4096)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam with a penalty on squared vectors, the smaller the more ratings there are.

        Example:
            >>> MatrixFactorizationSettings.train_defaults("regression", 1000)["l2"]
            0.001
        """
        return {
            "optimizer": "adam",
            "lr": 0.05,
            "batch_size": min(4096, max(32, 2 ** (num_rows // 100).bit_length())),
            "epochs": 50,
            "schedule": "cosine",
            "l2": RIDGE / max(1, num_rows),
        }

    def data_defaults(self) -> dict[str, Any]:
        """Every user and every thing is told apart, however many there are.

        Example:
            >>> MatrixFactorizationSettings().data_defaults()
            {'max_categories': 1000000}
        """
        return {"max_categories": 1_000_000}

    def build(
        self, num_inputs: int, num_outputs: int = 1, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The network."""
        self.check_sizes(num_inputs, num_outputs, cardinalities)
        return MatrixFactorization(self, num_inputs, cardinalities)


class MatrixFactorization(nn.Module):
    """A level of all, one of each category's value, and a product of vectors of every two.

    Code 0, a value that training never showed, has level and vector 0. Numbers add linearly.

    Parameters: ``bias`` [1], ``levels.<i>.weight`` [code, 1], ``vectors.<i>.weight`` [code, size],
    ``numbers.weight`` [1, number].

    Args:
        settings: The settings.
        num_inputs: Numbers in a row.
        cardinalities: Number of codes of each category.

    Example:
        >>> network = MatrixFactorization(MatrixFactorizationSettings(), 0, [3, 3])
        >>> network(torch.zeros(1, 0), torch.zeros(1, 2, dtype=torch.int64)).item()
        0.0
    """

    def __init__(
        self,
        settings: MatrixFactorizationSettings,
        num_inputs: int,
        cardinalities: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.numbers = nn.Linear(num_inputs, 1, bias=False) if num_inputs else None
        self.levels = nn.ModuleList(nn.Embedding(count, 1) for count in cardinalities)
        wide = cardinalities if len(cardinalities) > 1 else ()  # one alone has none to meet
        self.vectors = nn.ModuleList(nn.Embedding(count, settings.size) for count in wide)
        with torch.no_grad():
            for level in self.levels:
                level.get_parameter("weight").zero_()
            for vectors in self.vectors:
                weight = vectors.get_parameter("weight").normal_(0.0, FIRST_SPREAD)
                weight[0] = 0.0

    def forward(self, *parts: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row output"]:
        """What each row is given.

        Args:
            parts: Numbers [row, number] and codes [row, category]: those it has; before codes
                numbers stand even where there are none.
        """
        output = self.bias.expand(parts[0].shape[0], 1)
        if self.numbers is not None:
            output = output + self.numbers(parts[0])
        if self.levels:
            codes = parts[1]
            for number, level in enumerate(self.levels):
                output = output + level(codes[:, number])
        if self.vectors:
            told = [vectors(parts[1][:, number]) for number, vectors in enumerate(self.vectors)]
            output = output + _products(told)[:, None]
        return output


def _products(vectors: Sequence[Float[Tensor, "row number"]]) -> Float[Tensor, " row"]:
    """The sum of the inner products of every two vectors of a row (Rendle 2010, lemma 3.1)."""
    if len(vectors) == 2:
        return (vectors[0] * vectors[1]).sum(dim=1)
    stacked = torch.stack(list(vectors))
    whole, own = stacked.sum(dim=0).square(), stacked.square().sum(dim=0)
    return 0.5 * (whole - own).sum(dim=1)
