"""Vectors of tokens, and the GRU that passes over padding, against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glial.nn import BidirectionalGRU, TokenVectors


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


@pytest.mark.parametrize("lengths", [[5, 5, 5], [5, 1, 3], [2, 1, 1]], ids=str)
def test_a_gru_equals_torch_on_packed_sequences(lengths: list[int]) -> None:
    torch.manual_seed(0)
    own, oracle = BidirectionalGRU(3, 4), nn.GRU(3, 4, batch_first=True, bidirectional=True)
    oracle.load_state_dict(own.state_dict())
    inputs, counts = torch.randn(3, 5, 3), torch.tensor(lengths)
    mask = (torch.arange(5) < counts[:, None])[:, :, None]
    found = own(inputs, counts) * mask
    packed = pack_padded_sequence(inputs, counts, batch_first=True, enforce_sorted=False)
    wanted = pad_packed_sequence(oracle(packed)[0], batch_first=True, total_length=5)[0]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    found.square().sum().backward()
    wanted.square().sum().backward()
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(
            parameter.grad, oracle.get_parameter(name).grad, rtol=1e-4, atol=1e-6
        )


def test_gradients_of_a_gru() -> None:
    torch.manual_seed(0)
    layer = BidirectionalGRU(2, 3).double()
    inputs = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 2])
    mask = (torch.arange(4) < lengths[:, None])[:, :, None]
    assert torch.autograd.gradcheck(lambda x: layer(x, lengths) * mask, inputs)
