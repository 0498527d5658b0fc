"""Attention layers: torch's of many heads, plain loops for the scores, and the laws of caches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.nn import Attention, KeysAndValues, MultiHeadAttention


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def made(**options: Any) -> MultiHeadAttention:
    torch.manual_seed(0)
    layer = MultiHeadAttention(8, 2, **options).eval()
    nn.init.normal_(layer.in_proj_bias)
    return layer


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_it_is_torchs(causal: bool, cross: bool) -> None:
    own, peer = made(causal=causal and not cross), nn.MultiheadAttention(8, 2, batch_first=True)
    peer.load_state_dict(own.state_dict())
    vectors, others = drawn(3, 5, 8), drawn(3, 7, 8) + 1
    seen = others if cross else vectors
    mask = torch.arange(seen.shape[1]) < torch.tensor([[seen.shape[1]], [2], [3]])
    shape = torch.ones(5, 5).triu(1).bool() if causal and not cross else None
    wanted, weights = peer(
        vectors, seen, seen, key_padding_mask=~mask, attn_mask=shape, average_attn_weights=False
    )
    given = (vectors, others if cross else None, mask)
    torch.testing.assert_close(own(*given), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own.weights(*given), weights, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own.weights(*given).sum(-1), torch.ones(3, 2, 5))


@pytest.mark.parametrize("options", [{}, {"rotary": True}, {"window": 2}], ids=str)
def test_a_place_at_a_time_is_all_at_once(options: dict[str, Any]) -> None:
    layer, vectors = made(causal=True, **options), drawn(3, 7, 8)
    memory, found = KeysAndValues(), []
    for part in vectors.split([3, 1, 1, 2], dim=1):
        found.append(layer(part, memory=memory))
    torch.testing.assert_close(torch.cat(found, 1), layer(vectors), atol=1e-5, rtol=1e-5)
    assert memory.length == 7
    again = memory.select(torch.tensor([2, 0]))
    last = layer(vectors[[2, 0], -1:], memory=again)
    other = layer(torch.cat([vectors, vectors[:, -1:]], 1)[[2, 0]])[:, -1:]
    torch.testing.assert_close(last, other, atol=1e-5, rtol=1e-5)
    assert memory.length == 7


@pytest.mark.parametrize("causal", [False, True])
def test_only_the_window_is_seen(causal: bool) -> None:
    layer, vectors = made(causal=causal, window=2), drawn(1, 9, 8)
    for place in range(9):
        other = vectors.clone()
        other[0, place] += 1
        moved = (layer(other) - layer(vectors)).abs().amax(dim=2)[0] > 1e-6
        for asked in range(9):
            assert moved[asked] == (place <= asked if causal else True) * (abs(asked - place) <= 2)


def test_padding_and_order() -> None:
    layer, vectors = made(), drawn(2, 6, 8)
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    alone = layer(vectors[:1, :4])
    torch.testing.assert_close(layer(vectors, mask=mask)[:1, :4], alone, atol=1e-6, rtol=1e-6)
    order = torch.tensor([3, 1, 0, 2, 5, 4])
    torch.testing.assert_close(layer(vectors[:, order]), layer(vectors)[:, order])
    turning = made(rotary=True)
    assert not torch.allclose(turning(vectors[:, order]), turning(vectors)[:, order], atol=1e-3)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="heads"):
        MultiHeadAttention(9, 2)
    with pytest.raises(InputError, match="heads"):
        MultiHeadAttention(6, 2, rotary=True)
    with pytest.raises(InputError, match="score"):
        Attention(4, 3)


@pytest.mark.parametrize("score", ["dot", "scaled_dot", "general", "additive"])
def test_scores_are_those_of_a_plain_loop(score: Any) -> None:
    torch.manual_seed(0)
    keys_of = 4 if "dot" in score else 3
    layer = Attention(4, keys_of, score=score, units=5)
    queries, keys = drawn(2, 3, 4), drawn(2, 6, keys_of)
    w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    mask = torch.arange(6) < torch.tensor([[6], [2]])
    mixed, weights = layer(queries, keys, mask)
    for row, number in np.ndindex(2, 3):
        q, scores = queries[row, number].numpy(), []
        for k in keys[row].numpy():
            if score == "additive":
                hidden = np.tanh(w["query.weight"] @ q + w["key.weight"] @ k + w["key.bias"])
                scores.append(float((w["value.weight"] @ hidden)[0]))
            elif score == "general":
                scores.append(float(q @ w["weight.weight"] @ k))
            else:
                scores.append(float(q @ k) / (2 if score == "scaled_dot" else 1))
        shares = np.exp(scores) * mask[row].numpy()
        shares = shares / shares.sum()
        np.testing.assert_allclose(weights[row, number].detach(), shares, atol=1e-6)
        np.testing.assert_allclose(
            mixed[row, number].detach(), shares @ keys[row].numpy(), atol=1e-5
        )
