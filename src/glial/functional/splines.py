"""Monotonic splines: curved, always rising functions that can be turned round exactly."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LEAST_BIN, LEAST_SLOPE = 1e-3, 1e-3

Numbers = Float[Tensor, "*shape"]
OfBins = Float[Tensor, "*shape bin"]
OfEdges = Float[Tensor, "*shape edge"]


def rational_quadratic_spline(
    inputs: Numbers,
    widths: OfBins,
    heights: OfBins,
    slopes: OfEdges,
    *,
    bound: float = 5.0,
    inverse: bool = False,
) -> tuple[Numbers, Numbers]:
    """A rising function of each number from -bound to bound, the identity beyond.

    Args:
        inputs: The numbers.
        widths: Of each number's bins along its axis, before a softmax; fewer than 1000 bins.
        heights: Of the same along the other axis.
        slopes: At the inner edges, before a softplus; zeros are a slope of 1. One less than bins.
        bound: Where the function begins and ends, with a slope of 1.
        inverse: Go the way back.

    Returns:
        The function's values, and the logarithm of the slope of the way that was gone.

    Source:
        Durkan, Bekasov, Murray, Papamakarios (2019), "Neural spline flows", arXiv 1906.04032,
        section 3.1 and appendix A.

    Example:
        >>> even = torch.zeros(2, 4)
        >>> rational_quadratic_spline(torch.tensor([0.5, 9.0]), even, even, torch.zeros(2, 3))[0]
        tensor([0.5000, 9.0000])
    """
    left, wide = _bins(widths, bound)
    bottom, high = _bins(heights, bound)
    start = math.log(math.expm1(1 - LEAST_SLOPE))
    rises = functional.pad(LEAST_SLOPE + functional.softplus(slopes + start), (1, 1), value=1.0)
    inside = inputs.abs() < bound
    points = inputs.clamp(-bound, bound)
    edges = (bottom if inverse else left)[..., 1:].contiguous()
    index = torch.searchsorted(edges, points[..., None].contiguous(), right=True)

    def chosen(values: Tensor) -> Tensor:
        return values.gather(-1, index).squeeze(-1)

    x, width, y, height = chosen(left), chosen(wide), chosen(bottom), chosen(high)
    before, after = chosen(rises), rises.gather(-1, index + 1).squeeze(-1)
    mean = height / width
    bend = before + after - 2 * mean
    if inverse:
        risen = points - y
        a = risen * bend + height * (mean - before)
        b = height * before - risen * bend
        c = -mean * risen
        share = 2 * c / (-b - (b.square() - 4 * a * c).clamp_min(0).sqrt())
        outputs = x + share * width
    else:
        share = (points - x) / width
        risen = height * (mean * share.square() + before * share * (1 - share))
        outputs = y + risen / (mean + bend * share * (1 - share))
    middle = share * (1 - share)
    slope = mean.square() * (
        after * share.square() + 2 * mean * middle + before * (1 - share).square()
    )
    log_slope = slope.log() - 2 * (mean + bend * middle).log()
    log_slope = (-log_slope if inverse else log_slope).where(inside, 0.0)
    return outputs.where(inside, inputs), log_slope


def _bins(sizes: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Where bins begin, and their sizes."""
    shares = LEAST_BIN + (1 - LEAST_BIN * sizes.shape[-1]) * sizes.softmax(dim=-1)
    ends = shares.cumsum(dim=-1)[..., :-1]
    return 2 * bound * functional.pad(ends, (1, 0)) - bound, 2 * bound * shares
