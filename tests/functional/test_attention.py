"""Attention: torch's kernel, plain loops, and the laws of weights, windows and positions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glial.functional import (
    attend,
    attend_nearby,
    attention_weights,
    causal_mask,
    rotated,
    sinusoidal_positions,
    window_mask,
)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_weights_are_those_of_a_plain_loop() -> None:
    queries, keys, values = drawn(2, 3, 4, 5), drawn(2, 3, 6, 5) + 1, drawn(2, 3, 6, 7)
    weights = attention_weights(queries, keys)
    mixed = attend(queries, keys, values)
    for row, head, query in np.ndindex(2, 3, 4):
        scores = [float(queries[row, head, query] @ key) / 5**0.5 for key in keys[row, head]]
        shares = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(weights[row, head, query], shares)
        np.testing.assert_allclose(mixed[row, head, query], shares @ values[row, head].numpy())


def test_masked_places_get_nothing_and_who_sees_nothing_gives_zeros() -> None:
    queries, keys, values = drawn(1, 1, 2, 3), drawn(1, 1, 4, 3), drawn(1, 1, 4, 2)
    mask = torch.tensor([[True, False, True, True], [False] * 4])
    weights = attention_weights(queries, keys, mask)
    assert weights[0, 0, 0, 1] == 0
    assert math.isclose(weights[0, 0, 0].sum(), 1)
    assert not weights[0, 0, 1].any()
    mixed = attend(queries, keys, values, mask)
    torch.testing.assert_close(mixed, weights @ values)
    other = values.clone()
    other[0, 0, 1] = 1e6
    torch.testing.assert_close(attend(queries, keys, other, mask), mixed)


@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 3), st.integers(0, 3))
def test_masks_are_what_they_say(queries: int, more: int, before: int, after: int) -> None:
    places = queries + more
    causal, window = causal_mask(queries, places), window_mask(queries, places, before, after)
    for query, place in np.ndindex(queries, places):
        own = more + query
        assert causal[query, place] == (place <= own)
        assert window[query, place] == (own - before <= place <= own + after)


@given(st.integers(1, 12), st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_nearby_places_by_blocks_are_those_of_a_mask(
    length: int, before: int, after: int, padded: bool
) -> None:
    queries, keys, values = (drawn(2, 2, length, 4) * k for k in (1, 2, 3))
    mask = torch.arange(length) < torch.tensor([[length], [max(1, length // 2)]])
    allowed = window_mask(length, length, before, after)
    if padded:
        allowed = allowed & mask[:, None, None]
    found = attend_nearby(queries, keys, values, before, after, mask if padded else None)
    torch.testing.assert_close(found, attend(queries, keys, values, allowed))


def test_positions_are_the_papers() -> None:
    found = sinusoidal_positions(torch.arange(6), 8)
    for place, number in np.ndindex(6, 4):
        angle = place / 10_000 ** (2 * number / 8)
        assert math.isclose(found[place, number], math.sin(angle), abs_tol=1e-6)
        assert math.isclose(found[place, 4 + number], math.cos(angle), abs_tol=1e-6)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_products_of_turned_vectors_hang_on_distances(one: int, other: int, shift: int) -> None:
    query, key = drawn(1, 1, 1, 8), drawn(1, 1, 1, 8) + 0.5

    def product(first: int, second: int) -> float:
        turned = rotated(query, torch.tensor([first])), rotated(key, torch.tensor([second]))
        return float((turned[0] * turned[1]).sum())

    assert math.isclose(product(one, other), product(one + shift, other + shift), abs_tol=1e-4)
    assert math.isclose(rotated(query, torch.tensor([one])).norm(), query.norm(), rel_tol=1e-5)


def test_turned_vectors_are_complex_products() -> None:
    values = drawn(1, 1, 3, 6)
    angles = np.arange(3)[:, None] / 10_000 ** (np.arange(3) / 3)
    halves = values[0, 0].numpy()
    wanted = (halves[:, :3] + 1j * halves[:, 3:]) * np.exp(1j * angles)
    found = rotated(values, torch.arange(3))[0, 0].numpy()
    np.testing.assert_allclose(found, np.hstack([wanted.real, wanted.imag]), atol=1e-6)


@pytest.mark.slow
def test_nearby_places_cost_what_the_length_costs() -> None:
    """No tensor has length x length numbers: of 20,000 places that would be 1.6 GB a head."""
    from torch.utils.flop_counter import FlopCounterMode

    def cost(length: int) -> int:
        x = torch.randn(1, 1, length, 8)
        counter = FlopCounterMode(display=False)
        with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            attend_nearby(x, x, x, 16)
        return counter.get_total_flops()

    assert cost(20_000) < 2.1 * cost(10_000)
