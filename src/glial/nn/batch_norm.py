"""Batch normalisation of maps that takes a single row of a single place too."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that takes one row of maps of one place too, by its running statistics.

    Torch refuses a channel's single value in training mode, which the last stages of a network
    have where images are small and a batch is one row. Names and values are torch's.

    Source:
        Ioffe and Szegedy (2015), "Batch normalization", arXiv 1502.03167, algorithms 1 and 2.

    Example:
        >>> import torch
        >>> BatchNorm2d(2)(torch.ones(1, 2, 1, 1)).shape
        torch.Size([1, 2, 1, 1])
    """

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row channel height width"]:
        """Each channel less its mean, divided by its standard deviation, scaled and shifted."""
        if not self.training or maps[:, 0].numel() != 1:
            return super().forward(maps)
        return functional.batch_norm(
            maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )
