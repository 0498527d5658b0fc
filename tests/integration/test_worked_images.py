"""Worked examples of convolution and pooling that textbooks give, each with its right number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.nn import BlurPool2d, GlobalPool2d, SameConv2d, Subsample2d, conv_output_size

X = [[3.0, 9.0, 4.0], [11.0, 1.0, 8.0], [2.0, 13.0, 7.0]]
SUMS = [[12.0, 9.0], [15.0, 20.0]]


def convolution(kernel, *sizes):
    weight = torch.tensor(kernel)
    layer = nn.Conv2d(1, 1, weight.shape, *sizes, bias=False)
    layer.weight.data = weight[None, None]
    return layer


def side_of(layer, side):
    return layer(torch.zeros(1, 1, side, side)).shape[2]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_kernel_follows_from_the_four_printed_sums():
    windows = np.array([np.array(X)[i : i + 2, j : j + 2].ravel() for i in (0, 1) for j in (0, 1)])
    assert np.linalg.matrix_rank(windows) == 4
    assert np.linalg.solve(windows, np.ravel(SUMS)) == pytest.approx([0, 0, 1, 1])


def test_a_layer_does_not_flip_its_kernel_and_a_convolution_of_mathematics_does():
    image, kernel = torch.tensor(X), [[0.0, 0.0], [1.0, 1.0]]
    maps = convolution(kernel)(image[None, None])[0, 0]
    assert maps.tolist() == SUMS == signal.correlate2d(X, kernel, "valid").tolist()
    assert maps.tolist() == [
        [3 * 0 + 9 * 0 + 11 * 1 + 1 * 1, 9 * 0 + 4 * 0 + 1 * 1 + 8 * 1],
        [11 * 0 + 1 * 0 + 2 * 1 + 13 * 1, 1 * 0 + 8 * 0 + 13 * 1 + 7 * 1],
    ]
    flipped = convolution(kernel[::-1])(image[None, None])[0, 0]
    assert flipped.tolist() == signal.convolve2d(X, kernel, "valid").tolist()
    assert flipped.tolist() == [[12, 13], [12, 9]]


def test_three_pixels_under_a_filter_of_two():
    assert conv_output_size((3, 3), 2) == (2, 2) == (side_of(nn.Conv2d(1, 1, 2), 3),) * 2


def test_a_filter_larger_than_the_image_needs_padding():
    assert conv_output_size((5 + 2, 5 + 2), 7) == conv_output_size((5, 5), 7, padding=1) == (1, 1)
    assert side_of(nn.Conv2d(1, 1, 7, padding=1), 5) == 1
    assert functional.pad(torch.zeros(1, 1, 5, 5), [1, 1, 1, 1]).shape[2:] == (7, 7)
    with pytest.raises(InputError, match="larger than the padded image"):
        conv_output_size((5, 5), 7)
    with pytest.raises(RuntimeError):
        nn.Conv2d(1, 1, 7)(torch.zeros(1, 1, 5, 5))


def test_twelve_pixels_under_a_filter_of_three_give_ten():
    assert conv_output_size((12, 12), 3, stride=1, padding=0) == (10, 10)
    assert side_of(nn.Conv2d(1, 1, 3), 12) == 10


def test_windows_of_a_large_image_overlap():
    """They slide; an image cut into parts of 3 x 3 would have 100 x 100 of them."""
    assert conv_output_size((300, 300), 3) == (298, 298)
    assert side_of(nn.Conv2d(1, 1, 3), 300) == 298
    assert conv_output_size((300, 300), 3, stride=3) == (100, 100)
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1.0
    assert int(convolution([[1.0] * 3] * 3)(image).sum()) == 9  # one pixel lies in nine windows


def test_the_output_size_is_rounded_down():
    """floor((n - f + 2p) / s) + 1, for all sizes that a layer takes."""
    for n, f, p, s in itertools.product(range(1, 11), range(1, 6), range(3), range(1, 5)):
        if n + 2 * p < f:
            continue
        layer = nn.Conv2d(1, 1, f, s, p, device="meta")
        size = layer(torch.zeros(1, 1, n, n, device="meta")).shape[2]
        assert size == (n - f + 2 * p) // s + 1 == conv_output_size(n, f, s, p)
    assert (12 - 3) / 2 + 1 == 5.5
    assert conv_output_size(12, 3, stride=2) == 5


def test_valid_padding_gives_n_minus_f_plus_one():
    for n, f in itertools.product(range(1, 12), range(1, 8)):
        if f <= n:
            assert conv_output_size(n, f, padding="valid") == n - f + 1
            assert side_of(nn.Conv2d(1, 1, f, padding="valid"), n) == n - f + 1


def test_same_padding_goes_around_the_input_and_keeps_the_size():
    for n, f in itertools.product(range(1, 12), (1, 3, 5, 7)):
        padding = (f - 1) // 2
        assert conv_output_size(n, f, padding=padding) == n
        assert conv_output_size(n, f, padding="same") == n == side_of(SameConv2d(1, 1, f), n)
    image = torch.ones(1, 1, 4, 4)
    sums = convolution([[1.0] * 3] * 3, 1, "same")(image)[0, 0]
    # A corner sees four pixels and five zeros: the zeros are around the image, not the sums.
    assert sums[0].tolist() == [4, 6, 6, 4]
    assert sums[1].tolist() == [6, 9, 9, 6]


@given(st.integers(1, 20))
def test_only_a_kernel_of_one_keeps_the_size_without_padding(n):
    assert conv_output_size(n, 1) == n == side_of(nn.Conv2d(1, 1, 1), n)
    if n > 1:
        assert conv_output_size(n, 2) < n
        assert conv_output_size(n, 1, stride=2) < n  # a stride shrinks, whatever the kernel
        assert conv_output_size(n, 3, padding=1) == n  # and padding keeps the size


def test_a_larger_stride_gives_a_smaller_map():
    sizes = [side_of(nn.Conv2d(1, 1, 3, stride), 21) for stride in (1, 2, 3, 4)]
    assert sizes == [19, 10, 7, 5] == [conv_output_size(21, 3, stride) for stride in (1, 2, 3, 4)]
    image = torch.randn(1, 1, 9, 9)
    every, other = (convolution([[1.0, 2.0], [3.0, 4.0]], step)(image) for step in (1, 2))
    assert torch.equal(other, every[:, :, ::2, ::2])


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2)])
def test_pooling_of_two_halves_height_and_width_and_each_map_alone(pool):
    assert pool(torch.zeros(1, 5, 4, 4)).shape == (1, 5, 2, 2)
    assert conv_output_size((4, 4), 2, stride=2) == (2, 2)
    assert pool(torch.zeros(1, 5, 28, 20)).shape == (1, 5, 14, 10)


def test_poolings_by_hand_and_the_mean_is_not_rounded():
    image = torch.tensor([[[[1.0, 2.0, 5.0, 0.0], [3.0, 5.0, 1.0, 1.0]]]])
    assert nn.AvgPool2d(2)(image).flatten().tolist() == [2.75, 1.75]
    assert nn.MaxPool2d(2)(image).flatten().tolist() == [5.0, 5.0]
    assert nn.MaxPool2d(2).stride == 2  # its own size, and not the stride of a layer before it


def test_an_element_wise_product_of_three_by_three():
    a, b = torch.randn(3, 3), torch.randn(3, 3)
    c = a * b
    assert all(c[i, j] == a[i, j] * b[i, j] for i in range(3) for j in range(3))


def test_pixels_of_a_photograph_between_zero_and_one_or_around_zero():
    pixels = torch.randint(0, 256, (3, 224, 224), dtype=torch.uint8)
    pixels[0, 0, :2] = torch.tensor([0, 255])
    unit, signed = pixels / 255, pixels / 127.5 - 1
    assert (unit.min().item(), unit.max().item()) == (0, 1)
    assert (signed.min().item(), signed.max().item()) == (-1, 1)
    assert build("alexnet", width=0.125).eval()(unit[None]).shape == (1, 1000)


@pytest.mark.parametrize(
    ("name", "convolutions", "dense"),
    [("alexnet", 5, 3), ("vgg16", 13, 3), ("vgg19", 16, 3)],
)
def test_layers_that_are_counted(name, convolutions, dense):
    layers = list(build(name, width=0.125).modules())
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == convolutions
    assert sum(isinstance(layer, nn.Linear) for layer in layers) == dense


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_convolution_moves_with_the_image(down, right):
    """Equivariant, not invariant: exactly where edges are joined, else away from the edges."""
    torch.manual_seed(0)
    image = torch.randn(1, 2, 12, 12)
    moved = image.roll((down, right), (2, 3))
    joined = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    torch.testing.assert_close(joined(moved), joined(image).roll((down, right), (2, 3)))
    if (down, right) != (0, 0):
        assert not torch.allclose(joined(moved), joined(image))
    plain = nn.Conv2d(2, 3, 3, padding=1)
    inner = (..., slice(6, -6), slice(6, -6))
    image = torch.randn(1, 2, 24, 24)
    moved = image.roll((down, right), (2, 3))
    torch.testing.assert_close(plain(moved)[inner], plain(image).roll((down, right), (2, 3))[inner])


def test_pooling_makes_it_nearly_invariant_and_a_mean_over_all_places_exactly():
    torch.manual_seed(0)
    smooth = BlurPool2d(1, 5)(BlurPool2d(1, 5)(torch.randn(8, 2, 32, 32)))
    moved = smooth.roll(1, 3)
    layer = nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular")

    def change(network):
        before, after = network(smooth), network(moved)
        return ((before - after).square().sum() / before.square().sum()).item()

    pooled = nn.Sequential(layer, nn.ReLU(), nn.MaxPool2d(4))
    assert 0 < change(pooled) < change(nn.Sequential(layer, nn.ReLU())) / 2
    assert change(nn.Sequential(layer, nn.ReLU(), GlobalPool2d())) < 1e-10


def test_a_stride_ends_exact_equivariance_but_for_shifts_of_its_multiples():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.MaxPool2d(2)
    )
    image = torch.randn(1, 1, 16, 16)
    maps = network(image)
    torch.testing.assert_close(network(image.roll(2, 3)), maps.roll(1, 3))
    odd = network(image.roll(1, 3))
    assert not any(torch.allclose(odd, maps.roll(places, 3), atol=1e-3) for places in range(8))


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.LPPool2d(2, 2)])
def test_pooling_has_no_parameters_and_makes_the_dense_layer_behind_it_smaller(pool):
    assert count(pool) == 0
    convolution = nn.Conv2d(1, 4, 3, padding=1)
    plain = nn.Sequential(convolution, nn.Flatten(), nn.Linear(4 * 8 * 8, 10))
    pooled = nn.Sequential(convolution, pool, nn.Flatten(), nn.Linear(4 * 4 * 4, 10))
    assert count(plain) == 40 + 2560 + 10
    assert count(pooled) == 40 + 640 + 10
    assert pooled(torch.zeros(2, 1, 8, 8)).shape == plain(torch.zeros(2, 1, 8, 8)).shape


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_flattening_keeps_every_number(channels, height, width):
    maps = torch.randn(2, channels, height, width)
    flat = nn.Flatten()(maps)
    assert flat.shape == (2, channels * height * width)
    assert torch.equal(flat.reshape(maps.shape), maps)
    assert count(nn.Flatten()) == 0


def test_subsampling_keeps_every_third_pixel_and_does_not_drop_it():
    kept = Subsample2d(3)(torch.arange(9.0).expand(1, 1, 9, 9))
    assert kept[0, 0, 0].tolist() == [0, 3, 6]


def test_global_pooling_gives_one_number_a_channel():
    maps = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert GlobalPool2d()(maps).tolist() == [[7.5, 23.5]]
    assert GlobalPool2d("max")(maps).tolist() == [[15, 31]]


def test_a_convolution_has_few_parameters_by_sharing_and_by_locality_and_not_by_fewer_units():
    """28 x 28 pixels to as many units: dense, local without sharing, and a convolution."""
    units = 28 * 28
    dense = nn.Linear(units, units)
    layer = nn.Conv2d(1, 1, 3, padding=1)
    assert layer(torch.zeros(1, 1, 28, 28)).numel() == units == dense.out_features
    assert count(dense) == units * units + units == 615_440
    only_local = units * (3 * 3 + 1)
    assert count(layer) == only_local // units == 10
    assert layer(torch.zeros(1, 1, 99, 99)).shape[2:] == (99, 99)  # whatever the image's size
