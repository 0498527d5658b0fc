"""Normalisation that torch lacks, or has with another meaning of its numbers."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class LocalResponseNorm(nn.Module):
    r"""Each number divided by a measure of its neighbours in other channels at the same place.

    .. math:: b_i = a_i \Big/ \Big(k + \alpha \sum_{j = i - n/2}^{i + n/2} a_j^2\Big)^\beta

    Torch's layer of this name divides alpha by n: with the numbers of the paper it is another
    function. Channels that are not there count as zero.

    Args:
        size: Channels n of the neighbourhood; odd, so that as many lie on each side.
        alpha: Weight of their sum of squares.
        beta: The power.
        k: What is added to the sum.

    Source:
        Krizhevsky, Sutskever, Hinton (2012), "ImageNet classification with deep convolutional
        neural networks", section 3.3 (n = 5, alpha = 1e-4, beta = 0.75, k = 2).

    Example:
        >>> import torch
        >>> layer = LocalResponseNorm(3, alpha=1.0, beta=1.0, k=1.0)
        >>> layer(torch.ones(1, 3, 1, 1)).flatten()  # 1 / (1 + 2), 1 / (1 + 3), 1 / (1 + 2)
        tensor([0.3333, 0.2500, 0.3333])
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
    ) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(
        self, maps: Float[Tensor, "row channel place *places"]
    ) -> Float[Tensor, "row channel place *places"]:
        """The normalised maps."""
        # Torch's function has no bfloat16 on processors.
        before, after = self.size // 2, (self.size - 1) // 2
        edges = [0, 0] * (maps.ndim - 2) + [before, after]
        squares = functional.pad(maps.square(), edges)
        sums = squares[:, : maps.shape[1]]
        for first in range(1, self.size):
            sums = sums + squares[:, first : first + maps.shape[1]]
        return maps / (self.k + self.alpha * sums).pow(self.beta)

    def extra_repr(self) -> str:
        """The numbers, as the module's printed form shows them."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class PixelNorm(nn.Module):
    """Divides the channels of each place by their root mean square: nothing is learnt or counted.

    What a row becomes does not hang on the rows beside it, nor on those of training, so it is the
    same in training and afterwards.

    Args:
        eps: Is added to the mean square.

    Source:
        Karras et al. (2018), "Progressive growing of GANs", arXiv 1710.10196, section 4.2.

    Example:
        >>> import torch
        >>> PixelNorm(eps=0.0)(torch.tensor([[[[3.0]], [[4.0]]]])).flatten()
        tensor([0.8485, 1.1314])
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row channel height width"]:
        """The maps, with a mean square of 1 at each place."""
        return maps * (maps.square().mean(dim=1, keepdim=True) + self.eps).rsqrt()
