"""Local response normalisation by the paper's formula and against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from glial.nn import LocalResponseNorm


def by_formula(maps, size, alpha, beta, k):
    """Section 3.3 of Krizhevsky et al. (2012), a channel at a time."""
    num_channels = maps.shape[1]
    normed = torch.empty_like(maps)
    for i in range(num_channels):
        first, last = max(0, i - size // 2), min(num_channels - 1, i + size // 2)
        total = sum(maps[:, j] ** 2 for j in range(first, last + 1))
        normed[:, i] = maps[:, i] / (k + alpha * total) ** beta
    return normed


@given(
    st.integers(1, 9),
    st.sampled_from([1, 3, 5, 7]),
    st.floats(0, 2),
    st.floats(0.1, 2),
    st.floats(0.5, 3),
)
def test_it_is_the_formula_of_the_paper(num_channels, size, alpha, beta, k):
    maps = torch.randn(2, num_channels, 3, 2, generator=torch.Generator().manual_seed(0))
    normed = LocalResponseNorm(size, alpha, beta, k)(maps)
    torch.testing.assert_close(normed, by_formula(maps, size, alpha, beta, k))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("sides", [(4,), (4, 3), (4, 3, 2)])
def test_torchs_layer_divides_alpha_by_the_neighbours(size, sides):
    maps = torch.randn(2, 6, *sides)
    ours, theirs = (
        LocalResponseNorm(size, 0.5, 0.75, 2.0),
        nn.LocalResponseNorm(size, 0.5 * size, 0.75, 2.0),
    )
    torch.testing.assert_close(ours(maps), theirs(maps))
    if size > 1:
        assert not torch.allclose(ours(maps), nn.LocalResponseNorm(size, 0.5, 0.75, 2.0)(maps))


def test_a_number_by_hand_with_the_papers_settings():
    maps = torch.full((1, 5, 1, 1), 100.0)
    # The middle channel has five neighbours of 10,000: 2 + 1e-4 * 50,000 = 7.
    assert LocalResponseNorm()(maps)[0, 2, 0, 0].item() == pytest.approx(100 / 7**0.75, rel=1e-5)
    assert LocalResponseNorm()(maps)[0, 0, 0, 0].item() == pytest.approx(100 / 5**0.75, rel=1e-5)


def test_it_has_no_parameters_takes_bfloat16_and_its_gradients_are_the_numeric_ones():
    layer = LocalResponseNorm(3, 0.5)
    assert list(layer.state_dict()) == []
    assert layer(torch.ones(1, 4, 2, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16
    maps = torch.randn(2, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (maps,), fast_mode=True)
