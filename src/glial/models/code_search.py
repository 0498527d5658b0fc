"""Codes that a decoder makes given rows of, where nothing encodes them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

STEPS, LR = 60, 0.05
MOMENTUM, MEMORY, TINY = 0.9, 0.999, 1e-8


def nearest_codes(
    decode: Callable[[Tensor], Tensor],
    rows: Float[Tensor, "row ..."],
    candidates: Float[Tensor, "candidate latent"],
    *,
    steps: int = STEPS,
    lr: float = LR,
) -> Float[Tensor, "row latent"]:
    """For each row the code whose decoded row is near it: the nearest candidate, then descent.

    Each row is searched for by itself, with Adam's steps, and keeps the best code on its way.

    Args:
        decode: Codes to rows, [code, ...], differentiable.
        rows: The rows.
        candidates: Codes to begin from.
        steps: Of the descent.
        lr: Its rate.

    Source:
        Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs (2017), "Unsupervised anomaly detection
        with generative adversarial networks", arXiv 1703.05921, section 2.2.

    Example:
        >>> found = nearest_codes(lambda codes: 2 * codes, torch.tensor([[3.0]]), torch.zeros(1, 1))
        >>> abs(found.item() - 1.5) < 0.05
        True
    """
    flat = rows.detach().flatten(1)
    with torch.no_grad():
        made = decode(candidates).flatten(1)
        codes = candidates[torch.cdist(flat, made).argmin(dim=1)].clone()
    best, least = codes.clone(), flat.new_full((len(flat),), torch.inf)
    mean, square = torch.zeros_like(codes), torch.zeros_like(codes)
    for step in range(1, steps + 2):
        with torch.enable_grad():
            codes = codes.detach().requires_grad_()
            errors = (decode(codes).flatten(1) - flat).square().mean(dim=1)
            slope = torch.autograd.grad(errors.sum(), codes)[0]
        better = errors.detach() < least
        least = torch.where(better, errors.detach(), least)
        best = torch.where(better[:, None], codes.detach(), best)
        mean = MOMENTUM * mean + (1 - MOMENTUM) * slope
        square = MEMORY * square + (1 - MEMORY) * slope.square()
        scale = (square / (1 - MEMORY**step)).sqrt() + TINY
        codes = codes.detach() - lr * mean / (1 - MOMENTUM**step) / scale
    return best
