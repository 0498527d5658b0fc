"""Losses without labels: by hand, against plain loops, gradients, and what collapse costs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.functional.self_supervised import (
    covariance_penalty,
    hidden_error,
    nt_xent,
    variance_hinge,
    vicreg,
    view_similarities,
)

SEEDS = st.integers(0, 2**31 - 1)


def drawn(seed, rows=5, features=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, rows, features, generator=generator, dtype=torch.float64).unbind()


def plain_nt_xent(first, second, temperature):
    """Chen et al. (2020), equation (1) and algorithm 1, term by term."""
    views = [*first.tolist(), *second.tolist()]
    count = len(first)

    def similarity(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.hypot(*a) / math.hypot(*b)

    total = 0.0
    for i, view in enumerate(views):
        j = (i + count) % (2 * count)
        others = [
            math.exp(similarity(view, other) / temperature)
            for k, other in enumerate(views)
            if k != i
        ]
        total -= math.log(math.exp(similarity(view, views[j]) / temperature) / sum(others))
    return total / len(views)


@given(SEEDS, st.sampled_from([0.1, 0.5, 2.0]))
def test_nt_xent_is_the_papers_sum(seed, temperature):
    first, second = drawn(seed)
    expected = plain_nt_xent(first, second, temperature)
    assert nt_xent(first, second, temperature=temperature).item() == pytest.approx(expected)


def test_nt_xent_by_hand():
    # Partners are at right angles to the other pair: e / (e + 1 + 1) at temperature 1.
    pairs = torch.eye(2)
    expected = -math.log(math.e / (math.e + 2))
    assert nt_xent(pairs, 3 * pairs, temperature=1.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("rows", [2, 7])
def test_one_vector_for_all_rows_costs_what_guessing_costs(rows):
    same = torch.ones(rows, 4)
    assert nt_xent(same, same).item() == pytest.approx(math.log(2 * rows - 1))


def test_only_the_own_place_of_a_view_is_left_out():
    logits = view_similarities(*drawn(0))
    assert torch.equal(logits.isinf(), torch.eye(10, dtype=torch.bool))


def test_a_weighted_pair_counts_by_its_weight():
    first, second = drawn(1)
    each = [nt_xent(first, second, weight=one) for one in torch.eye(5, dtype=torch.float64)]
    weight = torch.tensor([1.0, 2.0, 0.0, 3.0, 4.0], dtype=torch.float64)
    expected = sum(w * loss for w, loss in zip(weight, each, strict=True)) / 10
    assert torch.allclose(nt_xent(first, second, weight=weight), expected)


def test_variance_and_covariance_by_hand():
    rows = torch.tensor([[0.0, 0.0], [0.2, 3.0], [0.4, 0.0]], dtype=torch.float64)
    # Deviations 0.2 and sqrt(3): the first is 0.8 short of 1, the second not at all.
    short = 1 - math.sqrt(0.04 + 1e-4)
    assert variance_hinge(rows).item() == pytest.approx(short / 2)
    # Centred: (-0.2, 0, 0.2) and (-1, 2, -1): their covariance is 0.
    assert covariance_penalty(rows).item() == pytest.approx(0.0)
    rows[2, 1] = 3.0  # centred (-2, 1, 1): covariance (0.4 + 0.2) / 2, twice its square, halved
    assert covariance_penalty(rows).item() == pytest.approx(0.09)


@given(SEEDS)
def test_covariances_are_torchs(seed):
    rows, _ = drawn(seed)
    covariance = torch.cov(rows.T)
    others = covariance[~torch.eye(3, dtype=torch.bool)]
    assert covariance_penalty(rows).item() == pytest.approx(others.square().sum().item() / 3)


def test_vicreg_is_its_three_terms():
    first, second = drawn(2)
    parts = {"invariance": 0.0, "variance": 0.0, "covariance": 0.0}
    apart = (first - second).square().mean()
    assert torch.allclose(vicreg(first, second, **{**parts, "invariance": 2.0}), 2 * apart)
    hinge = (variance_hinge(first) + variance_hinge(second)) / 2
    assert torch.allclose(vicreg(first, second, **{**parts, "variance": 3.0}), 3 * hinge)
    repeated = covariance_penalty(first) + covariance_penalty(second)
    assert torch.allclose(vicreg(first, second, **{**parts, "covariance": 1.0}), repeated)
    assert torch.allclose(vicreg(first, second), 25 * apart + 25 * hinge + repeated)


def test_one_vector_for_all_rows_costs_the_whole_variance():
    same = torch.ones(4, 8)
    assert vicreg(same, same).item() == pytest.approx(25 * (1 - 0.01))
    assert vicreg(same, same, variance=0.0).item() == 0.0


@pytest.mark.slow
def test_gradients_are_right_and_finite_where_all_is_one():
    first, second = (part.requires_grad_() for part in drawn(3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.3), (first, second))
    assert torch.autograd.gradcheck(vicreg, (first, second))
    same = torch.ones(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(vicreg(same, same) + nt_xent(same, same), same)
    assert gradient.isfinite().all()


def test_hidden_numbers_alone_count():
    target = torch.zeros(2, 1, 2, 2)
    hidden = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    outputs = torch.tensor([[[[1.0, 9.0], [9.0, 3.0]]], [[[9.0, 9.0], [9.0, 9.0]]]])
    assert hidden_error(outputs, target, hidden).tolist() == [5.0, 0.0]
    colours = hidden_error(outputs.expand(2, 3, 2, 2), target.expand(2, 3, 2, 2), hidden)
    assert colours.tolist() == [5.0, 0.0]
