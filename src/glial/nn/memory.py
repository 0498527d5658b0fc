"""How long gated layers keep what they have seen, before they have learnt anything."""

from __future__ import annotations

import torch

from glial.core.errors import InputError
from glial.nn.recurrence import Recurrent


@torch.no_grad()
def remember(layer: Recurrent, steps: int) -> None:
    """Set the gates' biases so that units keep their state for from 1 to so many steps at first.

    A gate whose bias is ln(t - 1) keeps what it holds for about t steps; t is drawn uniformly for
    each unit. Of an LSTM the forget gate has this bias and the input gate its negative, of a GRU
    the update gate has it. A plain layer has no gates, and is refused.

    Args:
        layer: An `LSTM` or a `GRU`.
        steps: The most steps, at least 2: how far back a sequence's answer lies.

    Raises:
        InputError: If the layer has no gates, or there are too few steps.

    Source:
        Tallec and Ollivier (2018), "Can recurrent neural networks warp time?", arXiv 1804.11188,
        section 2.2.

    Example:
        >>> from glial.nn import LSTM
        >>> layer = LSTM(3, 50)
        >>> remember(layer, 100)
        >>> forgotten = 1 - layer.bias_ih_l0.chunk(4)[1].sigmoid()
        >>> bool(((1 / forgotten > 2) & (1 / forgotten < 101)).all())
        True
    """
    if layer.gates == 1 or steps < 2:
        raise InputError(
            "the layer cannot be told how long to remember",
            expected="an LSTM or a GRU, and at least 2 steps",
            got=f"{type(layer).__name__}, {steps} steps",
            do="choose another layer, or leave the memory out",
        )
    for suffix in layer.suffixes:
        of_inputs, of_states = (p.chunk(layer.gates) for p in layer.weights_of(suffix)[2:])
        spans = torch.empty_like(of_inputs[1]).uniform_(1, max(1, steps - 1))
        of_inputs[1].copy_(spans.log())
        of_states[1].zero_()
        if layer.mode == "LSTM":
            of_inputs[0].copy_(-spans.log())
            of_states[0].zero_()
