from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn


class SmallConvolution(nn.Module):
    """A network with everything that convolutional ones have, its pooling to be left out."""

    def __init__(self, *, pools: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2) if pools else nn.Identity()
        self.second = nn.Conv2d(8, 6, 3)
        self.last = nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.pool(self.relu(self.norm(self.first(images))))
        outputs: torch.Tensor = self.head(self.mean(self.last(self.second(maps))).flatten(1))
        return outputs


@pytest.fixture
def convolution():
    torch.manual_seed(0)
    network = SmallConvolution().double().eval()
    network.norm.running_mean.normal_()
    network.norm.running_var.uniform_(0.5, 2)
    return network


@pytest.fixture
def smooth_convolution():
    torch.manual_seed(0)
    return SmallConvolution(pools=False).double().eval()


@pytest.fixture
def images():
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def classes():
    return torch.tensor([0, 1, 2, 3])


@pytest.fixture
def captum():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import captum.attr

        yield captum.attr
