"""Gram matrices and the losses of style transfer, against closed forms."""

from __future__ import annotations

import pytest
import torch

from glial.functional import content_loss, gram_matrix, style_loss, total_variation


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn(2, 5, 4, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def test_gram_matrix_is_the_mean_product_of_channels(maps):
    by_hand = torch.stack([row.reshape(5, -1) @ row.reshape(5, -1).T / 24 for row in maps])
    torch.testing.assert_close(gram_matrix(maps), by_hand)
    assert torch.linalg.eigvalsh(gram_matrix(maps)).min() >= -1e-12


def test_gram_matrix_forgets_where_things_are(maps):
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    moved = maps.flatten(2)[..., order].reshape(maps.shape)
    torch.testing.assert_close(gram_matrix(moved), gram_matrix(maps))
    twice = maps.repeat(1, 1, 2, 3)
    torch.testing.assert_close(gram_matrix(twice), gram_matrix(maps))


def test_style_loss_is_the_papers_for_images_of_one_size(maps):
    first, second = (row.reshape(5, -1) for row in maps)
    channels, places = first.shape
    whole = (first @ first.T - second @ second.T).square().sum()
    by_paper = whole / (4 * channels**2 * places**2)
    torch.testing.assert_close(style_loss(*gram_matrix(maps)[:, None])[0], by_paper)


def test_gradient_of_the_style_loss_is_the_papers(maps):
    """Equation 6, (F^T (G - A))^T / (N^2 M^2), for maps without a rectifier."""
    ours = maps[:1].clone().requires_grad_()
    target = gram_matrix(maps[1:])
    style_loss(gram_matrix(ours), target).sum().backward()
    flat = maps[0].reshape(5, -1)
    difference = 24 * (gram_matrix(maps[:1]) - target)[0]
    expected = (difference @ flat) / (5**2 * 24**2)
    torch.testing.assert_close(ours.grad[0].reshape(5, -1), expected)
    assert torch.autograd.gradcheck(
        lambda x: style_loss(gram_matrix(x), target), (ours,), fast_mode=True
    )


def test_gradient_of_the_content_loss_is_the_difference(maps):
    """Equation 2 of the paper."""
    ours = maps[:1].clone().requires_grad_()
    content_loss(ours, maps[1:]).sum().backward()
    torch.testing.assert_close(ours.grad, maps[:1] - maps[1:])


def test_total_variation_of_known_pictures():
    stripes = (torch.arange(6.0) % 2).expand(1, 1, 6, 6)
    chess = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(3, 3)[None, None]
    ramp = torch.linspace(0, 1, 6).expand(1, 1, 6, 6)
    found = [total_variation(image).item() for image in (0 * stripes, stripes, chess, ramp)]
    assert found == pytest.approx([0, 1, 2, 0.2])
