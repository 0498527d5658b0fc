"""Toy data: what every toy promises about its points."""

import math
import typing

import pytest
import torch

from glial.serving.playground.toys import (
    ToyName,
    features_of,
    grid_of,
    make_toy,
    num_classes_of,
)

TOYS = typing.get_args(ToyName)


@pytest.mark.parametrize("name", TOYS)
def test_toys_are_whole_and_within_the_square(name):
    toy = make_toy(name, points=120, noise=0.0, train_share=0.25, seed=3)
    assert toy.places.shape == (120, 2)
    assert int(toy.is_train.sum()) == 30
    assert float(toy.places.abs().max()) <= 1.25
    if num_classes_of(name):
        assert sorted(set(toy.target.tolist())) == list(range(num_classes_of(name)))
        assert min(torch.bincount(toy.target)) > 30
    again = make_toy(name, points=120, noise=0.0, train_share=0.25, seed=3)
    assert torch.equal(toy.places, again.places)


def test_definitions_hold_without_noise():
    xor = make_toy("xor", points=80)
    assert torch.equal(xor.target.bool(), xor.places[:, 0] * xor.places[:, 1] < 0)
    circles = make_toy("circles", points=80)
    radius = circles.places.norm(dim=1)
    torch.testing.assert_close(radius, torch.where(circles.target == 0, 0.9, 0.4))
    plane = make_toy("plane", points=80)
    torch.testing.assert_close(plane.target, plane.places.mean(dim=1))


def test_noise_has_its_size():
    calm, noisy = (make_toy("circles", points=1000, noise=n, seed=1).places for n in (0.0, 0.2))
    assert float((noisy - calm).std()) == pytest.approx(0.2, rel=0.05)


def test_features_and_grid_by_hand():
    places = torch.tensor([[0.5, -2.0]])
    names = ["x1", "x2", "x1_squared", "x2_squared", "x1_x2", "sin_x1", "sin_x2"]
    wanted = [0.5, -2.0, 0.25, 4.0, -1.0, 1.0, math.sin(-2 * math.pi)]
    torch.testing.assert_close(features_of(places, names), torch.tensor([wanted]))
    grid = grid_of(5)
    assert grid[0].tolist() == pytest.approx([-1.0, 1.0])
    assert grid[12].tolist() == pytest.approx([0.0, 0.0])
    assert grid[-1].tolist() == pytest.approx([1.0, -1.0])
