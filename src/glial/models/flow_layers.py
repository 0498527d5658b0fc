"""Layers of normalising flows: each can be turned round, and says how it stretches space.

A layer is called with numbers [row, number] and what is told of the rows [row, feature] or None; it
gives numbers and the logarithm of the determinant of its Jacobian, [row]. ``inverse`` goes back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.functional.splines import rational_quadratic_spline

Numbers = Float[Tensor, "row number"]
Told = Float[Tensor, "row feature"] | None
OfRow = Float[Tensor, " row"]

LEAST_DEVIATION = 1e-3
MOST_LOG_SCALE = 2.0


class ActNorm(nn.Module):
    """Each number scaled and shifted, at first to mean 0 and variance 1.

    Parameters: ``log_scale`` and ``shift``.

    Args:
        size: Numbers of a row.

    Source:
        Kingma, Dhariwal (2018), "Glow", arXiv 1807.03039, section 3.1.

    Example:
        >>> layer = ActNorm(1)
        >>> layer.start(torch.tensor([[1.0], [3.0]]))
        >>> layer(torch.tensor([[1.0], [3.0]]))
        (tensor([[-1.],
                [ 1.]], grad_fn=<MulBackward0>), tensor([0., 0.], grad_fn=<ExpandBackward0>))
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(size))
        self.shift = nn.Parameter(torch.zeros(size))

    @torch.no_grad()
    def start(self, rows: Numbers) -> None:
        """Take the mean and the deviation of rows."""
        deviation = rows.std(dim=0, correction=0).clamp_min(LEAST_DEVIATION)
        self.log_scale.copy_(-deviation.log())
        self.shift.copy_(-rows.mean(dim=0))

    def forward(self, rows: Numbers, told: Told = None) -> tuple[Numbers, OfRow]:
        """The scaled rows."""
        return (rows + self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(rows))

    def inverse(self, rows: Numbers, told: Told = None) -> Numbers:
        """The way back."""
        return rows * (-self.log_scale).exp() - self.shift


class Mixing(nn.Module):
    """All numbers in another order and, where it learns, mixed: x L U behind a permutation.

    Parameters: ``lower``, ``upper``, ``log_diagonal``. Buffer: ``order``.

    Args:
        size: Numbers of a row.
        seed: Seed of the order; two numbers change places.
        learns: Whether they are mixed; else only their order changes.

    Source:
        Kingma, Dhariwal (2018), arXiv 1807.03039, section 3.2.

    Example:
        >>> Mixing(2, seed=0)(torch.tensor([[1.0, 2.0]]))[0].tolist()
        [[2.0, 1.0]]
    """

    order: Tensor
    back: Tensor

    def __init__(self, size: int, seed: int, *, learns: bool = True) -> None:
        super().__init__()
        order = list(range(size))[::-1]
        if size > 2:
            random.Random(seed).shuffle(order)
        self.register_buffer("order", torch.tensor(order))
        self.register_buffer(
            "back", torch.tensor(sorted(range(size), key=order.__getitem__)), persistent=False
        )
        self.lower = nn.Parameter(torch.zeros(size, size)) if learns and size > 1 else None
        self.upper = nn.Parameter(torch.zeros(size, size)) if learns and size > 1 else None
        self.log_diagonal = nn.Parameter(torch.zeros(size)) if learns and size > 1 else None

    def _factors(self) -> tuple[Tensor, Tensor] | None:
        if self.lower is None or self.upper is None or self.log_diagonal is None:
            return None
        ones = torch.ones_like(self.log_diagonal).diag()
        return self.lower.tril(-1) + ones, self.upper.triu(1) + self.log_diagonal.exp().diag()

    def forward(self, rows: Numbers, told: Told = None) -> tuple[Numbers, OfRow]:
        """The mixed rows."""
        rows = rows[:, self.order]
        factors = self._factors()
        if factors is None or self.log_diagonal is None:
            return rows, rows.new_zeros(len(rows))
        return rows @ factors[0] @ factors[1], self.log_diagonal.sum().expand(len(rows))

    def inverse(self, rows: Numbers, told: Told = None) -> Numbers:
        """The way back."""
        factors = self._factors()
        if factors is not None:
            solve = torch.linalg.solve_triangular
            rows = solve(factors[1], rows, upper=True, left=False)
            rows = solve(factors[0], rows, upper=False, left=False, unitriangular=True)
        return rows[:, self.back]


class Coupling(nn.Module):
    """The last half of the numbers, changed as a network of the first half says.

    Parameters: ``conditioner.<i>.*``.

    Args:
        size: Numbers of a row.
        hidden_sizes: Units of the network's hidden layers.
        kind: ``spline`` bends each number, ``affine`` scales and shifts it.
        num_told: Features that are told of each row.
        bins: Of splines.

    Source:
        Dinh, Sohl-Dickstein, Bengio (2017), "Density estimation using Real NVP", arXiv 1605.08803,
        section 3.2; splines: Durkan et al. (2019), arXiv 1906.04032.

    Example:
        >>> layer = Coupling(3, [8], "spline")
        >>> rows = torch.tensor([[1.0, 2.0, 3.0]])
        >>> changed, log_determinant = layer(rows)
        >>> torch.allclose(layer.inverse(changed), rows, atol=1e-5), log_determinant.shape
        (True, torch.Size([1]))
    """

    def __init__(
        self,
        size: int,
        hidden_sizes: Sequence[int],
        kind: Literal["affine", "spline"],
        num_told: int = 0,
        bins: int = 8,
    ) -> None:
        super().__init__()
        self.kept = size // 2
        self.kind, self.bins = kind, bins
        # Of a single number nothing is kept: a constant stands in its place.
        self._constant = self.kept + num_told == 0
        before = max(1, self.kept + num_told)
        layers: list[nn.Module] = []
        for units in hidden_sizes:
            layers += [nn.Linear(before, units), nn.ReLU()]
            before = units
        each = 2 if kind == "affine" else 3 * bins - 1
        self.conditioner = nn.Sequential(*layers, nn.Linear(before, each * (size - self.kept)))

    def forward(self, rows: Numbers, told: Told = None) -> tuple[Numbers, OfRow]:
        """The changed rows."""
        return self._changed(rows, told, inverse=False)

    def inverse(self, rows: Numbers, told: Told = None) -> Numbers:
        """The way back."""
        return self._changed(rows, told, inverse=True)[0]

    def _changed(
        self, rows: Tensor, told: Tensor | None, *, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        kept, changed = rows[:, : self.kept], rows[:, self.kept :]
        seen = kept if told is None else torch.cat([kept, told], dim=1)
        if self._constant:
            seen = torch.ones_like(rows[:, :1])
        said = self.conditioner(seen).reshape(*changed.shape, -1)
        if self.kind == "spline":
            parts = said.split([self.bins, self.bins, self.bins - 1], dim=2)
            changed, log_slope = rational_quadratic_spline(changed, *parts, inverse=inverse)
        else:
            log_slope = MOST_LOG_SCALE * torch.tanh(said[:, :, 0] / MOST_LOG_SCALE)
            shift = said[:, :, 1]
            if inverse:
                changed, log_slope = (changed - shift) * (-log_slope).exp(), -log_slope
            else:
                changed = changed * log_slope.exp() + shift
        return torch.cat([kept, changed], dim=1), log_slope.sum(dim=1)
