"""Rational-quadratic splines against autograd and their own inverse."""

import pytest
import torch

from glial.functional import rational_quadratic_spline


def parameters(count=50, bins=6, scale=2.0, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return [
        scale * torch.randn(count, size, generator=draws, dtype=torch.float64)
        for size in (bins, bins, bins - 1)
    ]


def points(count=50):
    return torch.linspace(-6, 6, count, dtype=torch.float64)


def test_the_way_back_is_the_inverse():
    outputs, log_slope = rational_quadratic_spline(points(), *parameters())
    back, log_back = rational_quadratic_spline(outputs, *parameters(), inverse=True)
    torch.testing.assert_close(back, points())
    torch.testing.assert_close(log_back, -log_slope)


@pytest.mark.parametrize("inverse", [False, True])
def test_slope_is_autograds(inverse):
    inputs = points().requires_grad_()
    outputs, log_slope = rational_quadratic_spline(inputs, *parameters(), inverse=inverse)
    (slopes,) = torch.autograd.grad(outputs.sum(), inputs)
    torch.testing.assert_close(log_slope.exp(), slopes)


def test_gradients_of_parameters():
    given = [p[:4].requires_grad_() for p in parameters()]
    inputs = torch.tensor([-3.3, -0.2, 1.7, 4.9], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *p: rational_quadratic_spline(inputs, *p), given)


def test_it_rises_from_corner_to_corner():
    one = [p[:1].expand(1001, -1) for p in parameters(scale=4.0)]
    inputs = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    outputs, _ = rational_quadratic_spline(inputs, *one, bound=3.0)
    assert (outputs.diff() > 0).all()
    assert outputs[0].item() == -3.0
    assert outputs[-1].item() == pytest.approx(3.0)


def test_knots_by_hand():
    """Two bins: widths 1 and 3, heights 3 and 1 of a square from -2 to 2."""
    shares = torch.tensor([[1.0, 3.0]], dtype=torch.float64) / 4
    # undo the least size of bins
    widths = ((shares - 1e-3) / (1 - 2e-3)).log()
    heights, slopes = widths.flip(1), torch.zeros(1, 1, dtype=torch.float64)
    knot = torch.tensor([-1.0], dtype=torch.float64)
    outputs, log_slope = rational_quadratic_spline(knot, widths, heights, slopes, bound=2.0)
    assert outputs.item() == pytest.approx(1.0)
    assert log_slope.item() == pytest.approx(0.0)


def test_beyond_the_bound_it_is_the_identity():
    outside = torch.tensor([-9.0, 5.0, 7.5], dtype=torch.float64)
    for inverse in (False, True):
        outputs, log_slope = rational_quadratic_spline(
            outside, *(p[:3] for p in parameters()), inverse=inverse
        )
        assert torch.equal(outputs, outside)
        assert not log_slope.any()
