"""The loss by which numbers become quantiles."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from glial.functional.losses import Reduction, reduce


def quantile_loss(
    outputs: Float[Tensor, "*shape quantile"],
    target: Float[Tensor, "*shape"],
    quantiles: Float[Tensor, " quantile"],
    *,
    weight: Float[Tensor, "*shape"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    r"""The pinball loss, :math:`\max(q (y - f), (q - 1) (y - f))`, the mean over quantiles.

    Its expectation is least where a share q of the targets lies below the output.

    Args:
        outputs: What stands for each quantile.
        target: The numbers.
        quantiles: The shares, each between 0 and 1.
        weight: Weight of each number.
        reduction: What is returned of the numbers' losses.

    Source:
        Koenker and Bassett (1978), "Regression quantiles", doi:10.2307/1913643, eq. (2.1).

    Example:
        >>> import torch
        >>> outputs, quantiles = torch.tensor([[0.0, 0.0]]), torch.tensor([0.1, 0.5])
        >>> quantile_loss(outputs, torch.tensor([2.0]), quantiles).item()  # (0.2 + 1) / 2
        0.6000000238418579
    """
    error = target[..., None] - outputs
    shares = quantiles.to(outputs)
    losses = (shares * error).maximum((shares - 1) * error).mean(dim=-1)
    return reduce(losses, weight, reduction)
