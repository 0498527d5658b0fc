"""Layers for several networks that are trained as one: every tensor is [member, row, feature].

All members see the same rows, and one batched product does the work of all; they differ by
their starting weights and their dropout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MemberRows = Float[Tensor, "member row feature"]


class MemberScale(nn.Module):
    """One learned factor for each feature of each member, 1 at the start.

    Source:
        Holzmüller, Grinsztajn, Steinwart (2024), arXiv 2407.04491, section 3.2 (scaling layer).

    Example:
        >>> MemberScale(1, 2)(torch.tensor([[[3.0, 4.0]]])).tolist()
        [[[3.0, 4.0]]]
    """

    def __init__(self, num_members: int, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_members, 1, num_features))

    def forward(self, inputs: MemberRows) -> MemberRows:
        """The scaled features."""
        return inputs * self.weight


class MemberDense(nn.Module):
    r"""A dense layer for each member in NTK parametrisation: :math:`\frac{1}{\sqrt n} W x + b`.

    With the factor outside, weights are of size 1 at any width, and so one learning rate
    and one decay suit layers of all widths.

    Args:
        num_members: How many networks.
        num_inputs: Inputs n of each.
        num_outputs: Units of each.

    Source:
        Jacot, Gabriel, Hongler (2018), arXiv 1806.07572, eq. (1); the starts from data:
        Holzmüller, Grinsztajn, Steinwart (2024), arXiv 2407.04491, section 3.2.

    Example:
        >>> MemberDense(2, 3, 4)(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 4])
    """

    def __init__(self, num_members: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.factor = 1 / math.sqrt(num_inputs)
        self.weight = nn.Parameter(torch.randn(num_members, num_inputs, num_outputs))
        self.bias = nn.Parameter(torch.zeros(num_members, 1, num_outputs))

    def forward(
        self, inputs: Float[Tensor, "member row feature"]
    ) -> Float[Tensor, "member row unit"]:
        """The weighted sums."""
        return torch.baddbmm(self.bias, inputs, self.weight, alpha=self.factor)

    @torch.no_grad()
    def start(self, inputs: Float[Tensor, "member row feature"], *, num_points: int = 5) -> None:
        """Weights that give unit variance on these rows, biases that put kinks among them.

        A unit's bias is minus a random convex combination of its weighted sums on a few
        rows, so that the activation bends where the data are.

        Args:
            inputs: Training rows, as they reach this layer.
            num_points: Rows that each bias combines.
        """
        sums = torch.bmm(inputs, self.weight) * self.factor
        std = sums.std(dim=1, correction=0, keepdim=True)
        std = torch.where(std > 1e-6, std, 1.0)
        self.weight.div_(std)
        sums = sums / std
        members, rows, units = sums.shape
        chosen = torch.randint(rows, (members, num_points, units), device=sums.device)
        shares = torch.empty(members, num_points, units, device=sums.device).exponential_()
        shares = shares / shares.sum(dim=1, keepdim=True)
        self.bias.copy_(-(sums.gather(1, chosen) * shares).sum(dim=1, keepdim=True))


class MemberEmbeddings(nn.Module):
    """Vectors of categories for each member; code 0 is the bucket of unknown values.

    Args:
        num_members: How many networks.
        cardinalities: Number of codes of each category, code 0 included.
        size: Length of every vector.

    Example:
        >>> MemberEmbeddings(2, [3, 5], 8)(torch.tensor([[0, 4]])).shape
        torch.Size([2, 1, 16])
    """

    first: Tensor

    def __init__(self, num_members: int, cardinalities: Sequence[int], size: int) -> None:
        super().__init__()
        first = [sum(cardinalities[:i]) for i in range(len(cardinalities))]
        self.register_buffer("first", torch.tensor(first), persistent=False)
        self.weight = nn.Parameter(torch.randn(num_members, sum(cardinalities), size))
        with torch.no_grad():
            self.weight[:, first] = 0.0
        self.num_outputs = len(first) * size

    def forward(self, codes: Int[Tensor, "row category"]) -> Float[Tensor, "member row feature"]:
        """The vectors of a row's categories, one after the other."""
        places = (codes + self.first).flatten()
        vectors = self.weight.index_select(1, places)
        return vectors.reshape(self.weight.shape[0], codes.shape[0], self.num_outputs)


class PeriodicEmbeddings(nn.Module):
    r"""PBLD: each number as itself beside a linear map of cosines of it.

    .. math:: (x, \; W_2 \cos(2 \pi w_1 x + b_1) + b_2)

    Args:
        num_members: How many networks.
        num_features: Numbers in a row.
        num_waves: Cosines of each number.
        size: Length of each number's vector, itself included.
        sigma: Standard deviation of the frequencies at the start.

    Source:
        Gorishniy, Rubachev, Babenko (2022), "On embeddings for numerical features in tabular
        deep learning", arXiv 2203.05556, eq. (2); with biases and the direct connection:
        Holzmüller, Grinsztajn, Steinwart (2024), arXiv 2407.04491, section 3.2.

    Example:
        >>> PeriodicEmbeddings(2, 3)(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 12])
    """

    def __init__(
        self,
        num_members: int,
        num_features: int,
        *,
        num_waves: int = 16,
        size: int = 4,
        sigma: float = 0.1,
    ) -> None:
        super().__init__()
        count, bound = num_members * num_features, 1 / math.sqrt(num_waves)
        self.num_outputs = num_features * size
        self.frequency = nn.Parameter(sigma * torch.randn(count, 1, num_waves))
        self.phase = nn.Parameter(math.pi * _between(count, 1, num_waves))
        self.weight = nn.Parameter(bound * _between(count, num_waves, size - 1))
        self.bias = nn.Parameter(bound * _between(count, 1, size - 1))

    def forward(
        self, inputs: Float[Tensor, "member row number"]
    ) -> Float[Tensor, "member row feature"]:
        """The vectors of a row's numbers, then the numbers themselves."""
        members, rows, numbers = inputs.shape
        columns = inputs.transpose(1, 2).reshape(members * numbers, rows, 1)
        waves = torch.cos(torch.baddbmm(self.phase, columns, self.frequency, alpha=2 * math.pi))
        vectors = torch.baddbmm(self.bias, waves, self.weight)
        vectors = vectors.reshape(members, numbers, rows, -1).permute(0, 2, 1, 3)
        return torch.cat([vectors.reshape(members, rows, -1), inputs], dim=2)


def _between(*shape: int) -> Tensor:
    return 2 * torch.rand(shape) - 1
