"""Vectors of tokens, and the GRU that passes over padding, against torch's own."""

from __future__ import annotations

import pytest
import torch

from glial.nn import TokenVectors


def test_padding_has_zeros_and_learns_nothing() -> None:
    layer = TokenVectors(6, 4)
    layer(torch.tensor([[2, 3, 0, 0]])).sum().backward()
    assert not layer.weight[0].any()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any(dim=1).tolist() == [False, False, True, True, False, False]


def test_dropped_tokens_are_unknown_ones_and_padding_stays() -> None:
    torch.manual_seed(0)
    layer = TokenVectors(6, 4, dropout=0.25)
    tokens = torch.full((1, 10_000), 5)
    tokens[0, 8000:] = 0
    found = layer(tokens)[0]
    unknown = (found == layer.weight[1]).all(dim=1)
    assert unknown[:8000].float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert (found[:8000][~unknown[:8000]] == layer.weight[5]).all()
    assert not found[8000:].any()
    layer.eval()
    assert (layer(tokens)[0, :8000] == layer.weight[5]).all()
