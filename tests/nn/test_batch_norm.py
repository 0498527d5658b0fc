"""Batch normalisation of maps: torch's own, but for one row of one place."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.nn.batch_norm import BatchNorm2d


def random_norm(kind):
    layer = kind(3)
    layer.running_mean = torch.tensor([1.0, -2.0, 0.5])
    layer.running_var = torch.tensor([4.0, 0.25, 1.0])
    layer.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    layer.bias = nn.Parameter(torch.tensor([0.0, 1.0, -1.0]))
    return layer


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 3, 1, 2), (4, 3, 5, 5)])
def test_maps_of_several_values_are_normalised_as_by_torch(training, shape):
    ours, torchs = (random_norm(kind).train(training) for kind in (BatchNorm2d, nn.BatchNorm2d))
    maps = torch.randn(shape)
    assert torch.equal(ours(maps), torchs(maps))
    assert torch.equal(ours.running_var, torchs.running_var)
    assert list(ours.state_dict()) == list(torchs.state_dict())


def test_a_single_value_is_normalised_by_running_statistics_and_leaves_them_as_they_are():
    layer = random_norm(BatchNorm2d)
    maps = torch.tensor([3.0, -1.0, 0.5]).reshape(1, 3, 1, 1).requires_grad_()
    found = layer(maps)
    # (3 - 1) / 2, then (-1 + 2) / 0.5 times 2 plus 1, then 0 times 3 less 1.
    torch.testing.assert_close(found.flatten(), torch.tensor([1.0, 5.0, -1.0]), atol=1e-4, rtol=0)
    assert layer.running_mean.tolist() == [1.0, -2.0, 0.5]
    found.sum().backward()
    expected = torch.tensor([0.5, 4.0, 3.0])
    torch.testing.assert_close(maps.grad.flatten(), expected, atol=1e-4, rtol=0)
