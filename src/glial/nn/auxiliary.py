"""Outputs of a network that has further heads in training, which help its early layers to learn."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class WithAuxiliary(NamedTuple):
    """What a network with auxiliary heads gives in training; in evaluation it gives plain outputs.

    The loss of such a network is that of its outputs, and of each auxiliary head's times a weight.

    Attributes:
        outputs: Of the head, [row, output].
        auxiliary: Of each auxiliary head, likewise.
        weight: What the loss of each auxiliary head counts.

    Source:
        Szegedy et al. (2015), "Going deeper with convolutions", arXiv 1409.4842, section 5.

    Example:
        >>> import torch
        >>> WithAuxiliary(torch.zeros(2, 3), (torch.zeros(2, 3),), 0.3).outputs.shape
        torch.Size([2, 3])
    """

    outputs: Tensor
    auxiliary: tuple[Tensor, ...]
    weight: float
