"""Sharpness against the Hessian itself, drift against formulas."""

import pytest
import torch
from torch import nn

from glial.functional import activation_shift, largest_curvature


def test_the_curvature_of_a_network_is_its_hessians_eigenvalue():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    names = [name for name, _ in network.named_parameters()]
    sizes = [p.shape for p in network.parameters()]

    def loss(flat):
        parts = torch.split(flat, [size.numel() for size in sizes])
        values = {n: p.reshape(s) for n, p, s in zip(names, parts, sizes, strict=True)}
        return (torch.func.functional_call(network, values, (x,)) - y).square().mean()

    flat = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))
    expected = eigenvalues[eigenvalues.abs().argmax()].item()
    now = (network(x) - y).square().mean()
    found = largest_curvature(now, list(network.parameters()), max_steps=2000, tolerance=1e-9)
    assert found == pytest.approx(expected, rel=1e-4)


def test_curvature_has_its_sign_and_a_line_has_none():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    assert largest_curvature(w[0] ** 2 - 4 * w[1] ** 2, [w]) == pytest.approx(-8, rel=1e-3)
    assert largest_curvature(w.sum(), [w]) == 0.0
    unused = torch.ones(3, requires_grad=True)
    assert largest_curvature((w**2).sum(), [w, unused]) == pytest.approx(2)


def test_descent_is_stable_below_two_over_the_curvature_and_not_above():
    scales = torch.tensor([1.0, 5.0])

    def far(rate):
        w = torch.ones(2, requires_grad=True)
        for _ in range(200):
            (slope,) = torch.autograd.grad((scales * w**2).sum(), w)
            w = (w - rate * slope).detach().requires_grad_()
        return w.norm().item()

    w = torch.ones(2, requires_grad=True)
    limit = 2 / largest_curvature((scales * w**2).sum(), [w])
    assert far(0.95 * limit) < 1e-3
    assert far(1.05 * limit) > 1e3


def test_shift_by_formula():
    rows = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0))
    same = activation_shift(rows, rows.flip(0))
    torch.testing.assert_close(same, torch.zeros(3), rtol=0, atol=1e-5)
    moved = activation_shift(rows, rows * torch.tensor([1.0, 3.0, 1.0]) + torch.tensor([0, 0, 2]))
    torch.testing.assert_close(moved, torch.tensor([0.0, 2.0, 2.0]), atol=0.03, rtol=0)
    assert activation_shift(torch.ones(4, 1), torch.ones(4, 1)).item() == 0
    assert activation_shift(torch.ones(4, 1), torch.zeros(4, 1)).item() == float("inf")
