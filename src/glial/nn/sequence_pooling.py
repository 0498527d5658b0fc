"""What stands for a whole sequence, of the vectors of its steps."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glial.functional import last_within, masked_max, masked_mean

PoolingName = Literal["last", "mean", "maximum", "attention"]


class SequencePool(nn.Module):
    """One vector of a sequence's vectors; padding has no part in it.

    Args:
        size: Numbers of a vector.
        how: The last step's vector, the ``mean``, each number's ``maximum``, or a mean whose
            weights are the softmax of v tanh(W h).

    Source:
        Yang et al. (2016), "Hierarchical attention networks for document classification",
        doi:10.18653/v1/N16-1174, equations 5 to 7 (attention).

    Example:
        >>> states = torch.tensor([[[1.0], [5.0], [3.0], [9.0]]])
        >>> [SequencePool(1, how)(states, torch.tensor([3])).item() for how in ("last", "maximum")]
        [3.0, 5.0]
    """

    def __init__(self, size: int, how: PoolingName = "attention") -> None:
        super().__init__()
        self.how = how
        if how == "attention":
            self.hidden = nn.Linear(size, size)
            self.score = nn.Linear(size, 1, bias=False)

    def weights(
        self, states: Float[Tensor, "row time size"], lengths: Int[Tensor, " row"]
    ) -> Float[Tensor, "row time"]:
        """What each step counts where ``how`` is ``attention``; all of a row add up to 1."""
        scores: Tensor = self.score(torch.tanh(self.hidden(states)))[..., 0]
        return scores.masked_fill(~steps_within(states, lengths), -torch.inf).softmax(dim=1)

    def forward(
        self, states: Float[Tensor, "row time size"], lengths: Int[Tensor, " row"]
    ) -> Float[Tensor, "row size"]:
        """The vector of each row.

        Args:
            states: A vector a step.
            lengths: Steps of each row that are no padding, at least 1.
        """
        if self.how == "last":
            return last_within(states, lengths, states[:, 0])
        if self.how == "mean":
            return masked_mean(states, steps_within(states, lengths))
        if self.how == "maximum":
            return masked_max(states, steps_within(states, lengths))
        return (self.weights(states, lengths)[:, :, None] * states).sum(dim=1)


def steps_within(
    states: Float[Tensor, "row time size"], lengths: Int[Tensor, " row"]
) -> Bool[Tensor, "row time"]:
    """Which steps are no padding.

    Example:
        >>> steps_within(torch.zeros(2, 3, 1), torch.tensor([3, 1])).int()
        tensor([[1, 1, 1],
                [1, 0, 0]], dtype=torch.int32)
    """
    return torch.arange(states.shape[1], device=states.device) < lengths[:, None]
