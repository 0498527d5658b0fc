"""Toy data in a plane: points that two or three classes lie among, or that have a height."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from glial.core.seeds import torch_generator

ToyName = Literal[
    "circles", "moons", "xor", "spirals", "blobs", "linear", "three", "plane", "bumps"
]
FeatureName = Literal["x1", "x2", "x1_squared", "x2_squared", "x1_x2", "sin_x1", "sin_x2"]

EXTENT = 1.25
_SPIRAL_TURNS = 1.25
_HILLS = ((-0.5, 0.5, 1.0), (0.55, 0.45, -1.0), (-0.45, -0.55, -1.0), (0.5, -0.5, 1.0))


@dataclass(frozen=True)
class Toy:
    """Points of a plane and what is asked about them.

    Attributes:
        places: Where they lie, about within -1 and 1, [point, 2].
        target: The class of each as 0, 1, ..., or its height.
        num_classes: How many classes there are; 0 where heights are asked for.
        is_train: Which are learnt from; the others only judge.

    Example:
        >>> toy = make_toy("xor", points=100, noise=0.0, train_share=0.5, seed=0)
        >>> toy.places.shape, toy.num_classes, int(toy.is_train.sum())
        (torch.Size([100, 2]), 2, 50)
    """

    places: Float[Tensor, "point 2"]
    target: Tensor
    num_classes: int
    is_train: Tensor


def _circles(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    target = torch.arange(count) % 2
    angle = 2 * math.pi * torch.rand(count, generator=source)
    radius = torch.where(target == 0, 0.9, 0.4)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), target


def _moons(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    target = torch.arange(count) % 2
    angle = math.pi * torch.rand(count, generator=source)
    upper = torch.stack([angle.cos(), angle.sin()], 1) * 0.65 + torch.tensor([-0.32, -0.15])
    return torch.where(target[:, None] == 0, upper, -upper), target


def _xor(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    places = 2 * torch.rand(count, 2, generator=source) - 1
    return places + 0.06 * places.sign(), (places[:, 0] * places[:, 1] < 0).long()


def _spirals(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    target = torch.arange(count) % 2
    along = torch.rand(count, generator=source).sqrt()
    angle = 2 * math.pi * _SPIRAL_TURNS * along + math.pi * target
    return along[:, None] * torch.stack([angle.cos(), angle.sin()], 1), target


def _blobs(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    target = torch.arange(count) % 2
    centers = torch.tensor([[-0.5, -0.5], [0.5, 0.5]])
    return centers[target] + 0.15 * torch.randn(count, 2, generator=source), target


def _linear(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    places = 2 * torch.rand(count, 2, generator=source) - 1
    return places, (places[:, 0] + 0.5 * places[:, 1] > 0).long()


def _three(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    target = torch.arange(count) % 3
    angle = 2 * math.pi * target / 3 + math.pi / 2
    centers = 0.6 * torch.stack([angle.cos(), angle.sin()], 1)
    return centers + 0.15 * torch.randn(count, 2, generator=source), target


def _plane(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    places = 2 * torch.rand(count, 2, generator=source) - 1
    return places, plane_height(places)


def _bumps(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    places = 2 * torch.rand(count, 2, generator=source) - 1
    return places, bumps_height(places)


_CLASSES: dict[str, tuple[Callable[..., tuple[Tensor, Tensor]], int]] = {
    "circles": (_circles, 2),
    "moons": (_moons, 2),
    "xor": (_xor, 2),
    "spirals": (_spirals, 2),
    "blobs": (_blobs, 2),
    "linear": (_linear, 2),
    "three": (_three, 3),
    "plane": (_plane, 0),
    "bumps": (_bumps, 0),
}


def plane_height(places: Float[Tensor, "point 2"]) -> Float[Tensor, " point"]:
    """The mean of both coordinates.

    Example:
        >>> plane_height(torch.tensor([[1.0, 0.5]]))
        tensor([0.7500])
    """
    return places.mean(dim=1)


def bumps_height(places: Float[Tensor, "point 2"]) -> Float[Tensor, " point"]:
    """Two hills and two hollows, each a Gaussian bell of width 0.3.

    Example:
        >>> round(bumps_height(torch.tensor([[-0.5, 0.5]])).item(), 2)
        1.0
    """
    height = torch.zeros(len(places))
    for x, y, top in _HILLS:
        distance = (places - torch.tensor([x, y])).square().sum(dim=1)
        height += top * torch.exp(-distance / (2 * 0.3**2))
    return height


def num_classes_of(name: ToyName) -> int:
    """How many classes a toy has; 0 where it asks for heights.

    Example:
        >>> num_classes_of("three"), num_classes_of("plane")
        (3, 0)
    """
    return _CLASSES[name][1]


def make_toy(
    name: ToyName, points: int, noise: float = 0.0, train_share: float = 0.5, seed: int = 0
) -> Toy:
    """Points of a toy, drawn with a seed.

    Args:
        name: Which toy.
        points: How many points.
        noise: Standard deviation of what is added to each coordinate of points with classes, or
            to heights.
        train_share: Share of the points that is learnt from; at least two on either side.
        seed: Of the draws. The split does not depend on the noise.

    Example:
        >>> calm = make_toy("moons", points=20, noise=0.0, train_share=0.5, seed=1)
        >>> noisy = make_toy("moons", points=20, noise=0.5, train_share=0.5, seed=1)
        >>> bool((calm.is_train == noisy.is_train).all()), torch.equal(calm.places, noisy.places)
        (True, False)
    """
    make, num_classes = _CLASSES[name]
    places, target = make(points, torch_generator(seed, "toy", name))
    source = torch_generator(seed, "toy noise", name)
    if num_classes:
        places = places + noise * torch.randn(points, 2, generator=source)
    else:
        target = target + noise * torch.randn(points, generator=source)
    order = torch.randperm(points, generator=torch_generator(seed, "toy split"))
    is_train = torch.zeros(points, dtype=torch.bool)
    is_train[order[: min(points - 2, max(2, round(train_share * points)))]] = True
    return Toy(places, target, num_classes, is_train)


_FEATURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x1": lambda x, y: x,
    "x2": lambda x, y: y,
    "x1_squared": lambda x, y: x * x,
    "x2_squared": lambda x, y: y * y,
    "x1_x2": lambda x, y: x * y,
    "sin_x1": lambda x, y: torch.sin(math.pi * x),
    "sin_x2": lambda x, y: torch.sin(math.pi * y),
}


def features_of(
    places: Float[Tensor, "point 2"], names: list[FeatureName]
) -> Float[Tensor, "point feature"]:
    """What the network sees of points: coordinates, and what is computed from them.

    Args:
        places: Points.
        names: Which features; sines are of the coordinate times pi.

    Example:
        >>> features_of(torch.tensor([[2.0, 3.0]]), ["x1", "x1_x2"])
        tensor([[2., 6.]])
    """
    x, y = places.unbind(1)
    return torch.stack([_FEATURES[name](x, y) for name in names], dim=1)


def grid_of(side: int) -> Float[Tensor, "place 2"]:
    """The middles of a square's cells, row by row from the top left.

    Args:
        side: Cells along each side of the square, which reaches from -1.25 to 1.25.

    Example:
        >>> grid_of(2).tolist()
        [[-0.625, 0.625], [0.625, 0.625], [-0.625, -0.625], [0.625, -0.625]]
    """
    middles = (torch.arange(side) + 0.5) / side * 2 * EXTENT - EXTENT
    down, right = torch.meshgrid(-middles, middles, indexing="ij")
    return torch.stack([right.reshape(-1), down.reshape(-1)], 1)
