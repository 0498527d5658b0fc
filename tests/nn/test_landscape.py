"""Surfaces of losses: by formulas, and by the laws that their directions obey."""

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.nn.landscape import (
    filter_normalized,
    loss_surface,
    on_plane,
    path_directions,
    put_weights,
    random_directions,
    weights_of,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_quadratic_is_its_formula():
    layer = nn.Linear(2, 1, bias=False)
    center, curvature = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 8.0])
    put_weights(layer, center)
    directions = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    x, y = [-1.0, 0.0, 2.0], [-0.5, 0.25]

    def loss():
        return 0.5 * (curvature * weights_of(layer).square()).sum()

    found = loss_surface(layer, loss, directions, x, y)
    for row, up in enumerate(y):
        for column, along in enumerate(x):
            one = 0.5 + 0.6 * along - 0.8 * up
            other = -1.0 + 0.8 * along + 0.6 * up
            assert found[row, column].item() == pytest.approx(one**2 + 4 * other**2, rel=1e-5)
    assert torch.equal(weights_of(layer), center)


def test_every_filter_is_as_long_as_its_own():
    model = network()
    start = 0
    for direction in random_directions(model, seed=3):
        start = 0
        for parameter in model.parameters():
            part = direction[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
            if parameter.ndim < 2:
                assert not part.any()
            else:
                torch.testing.assert_close(part.norm(dim=1), parameter.detach().norm(dim=1))
        assert start == direction.numel()


def test_kernels_are_filters_too():
    model = nn.Conv2d(2, 3, 3, bias=False)
    found = filter_normalized(model, torch.randn(54)).view(3, 2, 3, 3)
    torch.testing.assert_close(
        found.flatten(1).norm(dim=1), model.weight.detach().flatten(1).norm(dim=1)
    )


def test_scaling_rectifier_layers_changes_no_surface():
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 1, bias=False))
    rows, target = torch.randn(20, 3), torch.randn(20, 1)

    def surface():
        return loss_surface(
            model,
            lambda: (model(rows) - target).square().mean(),
            random_directions(model, seed=1),
            [-1.0, 0.0, 0.5],
            [-0.5, 1.0],
        )

    before = surface()
    with torch.no_grad():
        model[0].weight.mul_(10)
        model[2].weight.div_(10)
    torch.testing.assert_close(surface(), before, rtol=1e-4, atol=1e-5)


def test_path_directions_are_principal_components():
    from sklearn.decomposition import PCA

    path = torch.randn(12, 7).cumsum(dim=0)
    directions, shares = path_directions(path)
    oracle = PCA(n_components=2).fit((path - path[-1]).numpy())
    torch.testing.assert_close(
        (directions @ torch.from_numpy(oracle.components_).T).abs(), torch.eye(2), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        shares, torch.from_numpy(oracle.explained_variance_ratio_), atol=1e-5, rtol=0
    )


def test_points_of_a_plane_are_found_again():
    directions = torch.tensor([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, -3.0]])
    center = torch.tensor([1.0, 1.0, 1.0, 1.0])
    steps = torch.tensor([[0.5, -2.0], [0.0, 0.0], [3.0, 1.0]])
    torch.testing.assert_close(on_plane(center + steps @ directions, center, directions), steps)


@pytest.mark.parametrize(
    "path", [torch.randn(2, 3), torch.ones(4, 3), torch.full((4, 3), torch.inf)]
)
def test_no_path_is_refused(path):
    with pytest.raises(InputError, match="no path"):
        path_directions(path)


def test_weights_come_back_after_an_error():
    model = network()
    before = weights_of(model)

    def fails():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        loss_surface(model, fails, random_directions(model), [1.0], [1.0])
    assert torch.equal(weights_of(model), before)
