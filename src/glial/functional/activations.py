"""Activation functions that torch lacks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def step(inputs: Float[Tensor, "*shape"], *, threshold: float = 0.0) -> Float[Tensor, "*shape"]:
    """The binary step: 1 at or above the threshold, else 0.

    Args:
        inputs: Weighted sums.
        threshold: The least input that fires.

    Returns:
        Zeros and ones. The derivative is zero wherever it exists, and zero is what flows
        back: a network cannot be trained through it by gradients.

    Source:
        McCulloch and Pitts (1943), "A logical calculus of the ideas immanent in nervous
        activity", doi:10.1007/BF02478259.

    Example:
        >>> import torch
        >>> step(torch.tensor([-1.0, 0.0, 2.0]))
        tensor([0., 1., 1.])
    """
    return (inputs >= threshold).to(inputs.dtype)


def smooth_clip(inputs: Float[Tensor, "*shape"], *, bound: float = 3.0) -> Float[Tensor, "*shape"]:
    r"""Values pressed smoothly into ``(-bound, bound)``, near zero unchanged.

    .. math:: \frac{x}{\sqrt{1 + (x / b)^2}}

    Args:
        inputs: Any values.
        bound: What large values tend to; positive.

    Returns:
        Strictly increasing in the input, odd, of slope 1 at zero; differentiable.

    Source:
        Holzmüller, Grinsztajn, Steinwart (2024), arXiv 2407.04491, section 3.1 (bound 3).

    Example:
        >>> import torch
        >>> smooth_clip(torch.tensor([0.0, 4.0, -4.0])).tolist()
        [0.0, 2.3999998569488525, -2.3999998569488525]
    """
    return inputs / (1 + (inputs / bound).square()).sqrt()
