"""Attention rollout: what each place of the input has reached, through all layers of attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.explanation.networks.gradients import Inputs, as_inputs
from glial.explanation.networks.reading import Opened, Reading, untouched


def attention_rollout(
    network: nn.Module, inputs: Inputs, *, discard: float = 0.0, query: int | None = None
) -> Tensor:
    """How much of each place stands in what the last layer of attention gives.

    Of each layer the mean over its heads, and half of what was there before; the layers are
    multiplied. It says where the network looks, and nothing about which class that speaks for.

    Args:
        network: A network with layers of attention over one sequence, Glial's, torch's or others
            that call ``scaled_dot_product_attention``; it is left as it was.
        inputs: What it is called with, a row per row.
        discard: Share of the smallest weights of each query that are left out.
        query: The place whose sources are told, such as 0 for a class token; None is the mean over
            all.

    Returns:
        Shares that add up to 1, [row, place].

    Raises:
        InputError: If no attention is found, or its layers are about different sequences.

    Source:
        Abnar and Zuidema (2020), "Quantifying attention flow in transformers", arXiv 2005.00928,
        section 3.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> attention_rollout(layer, torch.rand(1, 5, 8)).sum().item()  # doctest: +ELLIPSIS
        1.0...
    """
    opened = Opened(network, as_inputs(inputs))
    looking = _Looking()
    with untouched(network), torch.no_grad():
        opened.run(looking, opened.entries())
    sizes = {tuple(weights.shape[-2:]) for weights in looking.weights}
    if not looking.weights or len(sizes) > 1 or len(set(next(iter(sizes)))) > 1:
        raise InputError(
            "there is no attention that could be rolled out",
            expected="layers in which all places of one sequence look at one another",
            got=", ".join(f"{q} looking at {k}" for q, k in sorted(sizes)) or "none",
        )
    flow = None
    for weights in looking.weights:
        shares = weights.mean(dim=1)
        if discard:
            count = int(discard * shares.shape[-1])
            least = shares.argsort(dim=-1)[..., :count]
            shares = shares.scatter(-1, least, 0.0)
        shares = shares + torch.eye(shares.shape[-1], dtype=shares.dtype, device=shares.device)
        shares = shares / shares.sum(dim=-1, keepdim=True)
        flow = shares if flow is None else shares @ flow
    assert flow is not None  # noqa: S101 - there is a layer
    return flow.mean(dim=1) if query is None else flow[:, query]


class _Looking(Reading):
    """Keeps the weights of each call of attention, [row, head, query, place]."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def operation(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name == "scaled_dot_product_attention":
            self.weights.append(_weights(*args, **kwargs))
        elif name == "multi_head_attention_forward":
            asked = dict(kwargs, need_weights=True, average_attn_weights=False)
            self.weights.append(func(*args, **asked)[1])
        return func(*args, **kwargs)


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **rest: Any,
) -> Tensor:
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(dim=-1).nan_to_num()
