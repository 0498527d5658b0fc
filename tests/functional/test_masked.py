"""Means, maxima and reversals over sequences: rows cut short one by one are the oracle."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.functional import masked_max, masked_mean, reversed_within

lengths_of_rows = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def drawn(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(sum(lengths))
    values = torch.randn(len(lengths), 6, 3, dtype=torch.float64, generator=generator)
    return values, torch.arange(6) < torch.tensor(lengths)[:, None]


@given(lengths_of_rows)
def test_pooling_a_row_is_pooling_what_is_no_padding(lengths: list[int]) -> None:
    values, mask = drawn(lengths)
    for row, length in enumerate(lengths):
        part = values[row, :length]
        torch.testing.assert_close(masked_mean(values, mask)[row], part.mean(dim=0))
        torch.testing.assert_close(masked_max(values, mask)[row], part.amax(dim=0))


@given(lengths_of_rows)
def test_reversal_turns_each_text_round_and_leaves_its_padding(lengths: list[int]) -> None:
    values, _ = drawn(lengths)
    turned = reversed_within(values, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert torch.equal(turned[row, :length], values[row, :length].flip(0))
        assert torch.equal(turned[row, length:], values[row, length:])
    assert torch.equal(reversed_within(turned, torch.tensor(lengths)), values)


def test_what_stands_in_padding_does_not_matter_even_if_it_is_no_number() -> None:
    values, mask = drawn([2, 3])
    spoilt = values.masked_fill(~mask[:, :, None], torch.nan)
    assert torch.equal(masked_mean(spoilt, mask), masked_mean(values, mask))
    assert torch.equal(masked_max(spoilt, mask), masked_max(values, mask))


def test_nothing_pools_to_zero() -> None:
    values, mask = torch.ones(1, 2, 3), torch.zeros(1, 2, dtype=torch.bool)
    assert not masked_mean(values, mask).any()
    assert not masked_max(values, mask).any()


def test_gradients() -> None:
    values, mask = drawn([2, 5])
    values.requires_grad_()
    lengths = torch.tensor([2, 5])
    assert torch.autograd.gradcheck(lambda v: masked_mean(v, mask), values)
    assert torch.autograd.gradcheck(lambda v: masked_max(v, mask), values)
    assert torch.autograd.gradcheck(lambda v: reversed_within(v, lengths), values)
