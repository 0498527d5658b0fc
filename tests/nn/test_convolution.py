"""Convolutions against torch's own, sizes against the layers themselves, receptive fields."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.nn import (
    DenseConcatenation,
    DepthwiseSeparableConv2d,
    LocalResponseNorm,
    ParallelBranches,
    ReceptiveField,
    Residual,
    SameConv2d,
    SqueezeExcitation,
    Subsample2d,
    conv_output_size,
    receptive_field,
    receptive_field_of,
    same_padding,
)

SIDE, KERNEL, STEP, DILATION = (st.integers(1, top) for top in (20, 7, 4, 3))


def of_layer(layer, *sides):
    return tuple(layer(torch.zeros(1, 1, *sides)).shape[2:])


@given(SIDE, KERNEL, STEP, st.integers(0, 4), DILATION)
def test_the_size_is_that_of_the_layer(size, kernel, stride, padding, dilation):
    layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    try:
        expected = of_layer(layer, size, size)
    except RuntimeError:
        with pytest.raises(InputError, match="larger than the padded image"):
            conv_output_size(size, kernel, stride, padding, dilation)
    else:
        assert conv_output_size((size, size), kernel, stride, padding, dilation) == expected
        assert conv_output_size(size, kernel, stride, padding, dilation) == expected[0]


@given(SIDE, KERNEL, STEP, st.integers(0, 3), DILATION, st.booleans())
def test_the_size_is_that_of_poolings_in_both_modes(size, kernel, stride, pad, dilation, ceil):
    assume(pad <= kernel // 2)
    layers = [nn.MaxPool2d(kernel, stride, pad, dilation, ceil_mode=ceil)]
    if dilation == 1:
        layers.append(nn.AvgPool2d(kernel, stride, pad, ceil_mode=ceil))
    for layer in layers:
        try:
            expected = of_layer(layer, size, size)[0]
        except RuntimeError:
            with pytest.raises(InputError):
                conv_output_size(size, kernel, stride, pad, dilation, ceil)
        else:
            assert conv_output_size(size, kernel, stride, pad, dilation, ceil) == expected


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@given(SIDE, SIDE, KERNEL, DILATION, st.sampled_from(["same", "valid"]))
def test_padding_by_name_is_torchs(height, width, kernel, dilation, padding):
    layer = nn.Conv2d(1, 1, kernel, padding=padding, dilation=dilation)
    assume(padding == "same" or min(height, width) > (kernel - 1) * dilation)
    sizes = conv_output_size((height, width), kernel, 1, padding, dilation)
    assert sizes == of_layer(layer, height, width)


def test_sizes_differ_by_side_and_paddings_by_end():
    layer = nn.Conv2d(1, 1, (3, 5), (1, 2), (0, 2), (2, 1))
    sizes = conv_output_size((9, 10), (3, 5), (1, 2), (0, 2), (2, 1))
    assert sizes == of_layer(layer, 9, 10) == (5, 5)
    # 6 + 0 + 1 pixels and a kernel of 3 at stride 2 start at 0, 2, 4.
    assert conv_output_size(6, 3, 2, (0, 1)) == 3
    assert conv_output_size((6, 6), 3, 2, [(0, 1), 0]) == (3, 2)
    with pytest.raises(InputError, match="one entry for each side"):
        conv_output_size((6, 6, 6), (3, 3))
    with pytest.raises(InputError, match="one entry for each side"):
        conv_output_size(6, (3, 3))


def same_by_hand(layer, images):
    """Every place's window, read from an image with enough zeros around it."""
    (kernel, _), (stride, _), (dilation, _) = layer.kernel_size, layer.stride, layer.dilation
    span, margin = (kernel - 1) * dilation + 1, 30
    around = functional.pad(images, [margin] * 4)
    starts = []
    for side in images.shape[2:]:
        places = (side + stride - 1) // stride
        missing = max((places - 1) * stride + span - side, 0)
        starts.append([margin - missing // 2 + place * stride for place in range(places)])
    rows = []
    for top in starts[0]:
        windows = [
            around[:, :, top : top + span : dilation, left : left + span : dilation]
            for left in starts[1]
        ]
        sums = [torch.einsum("rchw,ochw->ro", window, layer.weight) for window in windows]
        rows.append(torch.stack([total + layer.bias for total in sums], dim=2))
    return torch.stack(rows, dim=2)


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), DILATION)
def test_same_convolution_is_that_of_its_windows(height, width, kernel, stride, dilation):
    torch.manual_seed(0)
    layer = SameConv2d(2, 3, kernel, stride, dilation=dilation)
    images = torch.randn(2, 2, height, width)
    maps = layer(images)
    assert maps.shape[2:] == conv_output_size((height, width), kernel, stride, "same", dilation)
    assert maps.shape[2:] == (-(-height // stride), -(-width // stride))
    torch.testing.assert_close(maps, same_by_hand(layer, images), atol=1e-5, rtol=1e-5)


def test_the_odd_pixel_stands_at_the_end():
    layer = SameConv2d(1, 1, 2, bias=False)
    nn.init.ones_(layer.weight)
    assert layer(torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]])).flatten().tolist() == [15, 10, 12, 8]
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(225, 3, 2) == (1, 1)
    assert [same_padding(10, kernel) for kernel in (1, 3, 5)] == [(0, 0), (1, 1), (2, 2)]


def test_symmetric_padding_needs_no_copy_and_the_state_is_plain(monkeypatch):
    layer = SameConv2d(3, 4, 3, 2, groups=1)
    plain = nn.Conv2d(3, 4, 3, 2, 1)
    plain.load_state_dict(layer.state_dict(), strict=True)
    even, odd = torch.randn(1, 3, 8, 8), torch.randn(1, 3, 9, 9)
    assert not torch.allclose(layer(even), plain(even))
    monkeypatch.setattr(functional, "pad", None)
    torch.testing.assert_close(layer(odd), plain(odd))
    assert "padding=same" in repr(layer)


@pytest.mark.slow
def test_same_convolution_is_exported_with_any_number_of_rows():
    layer = SameConv2d(3, 4, 3, 2).eval()
    rows = torch.export.Dim("rows")
    program = torch.export.export(layer, (torch.zeros(2, 3, 8, 9),), dynamic_shapes=({0: rows},))
    images = torch.randn(5, 3, 8, 9)
    torch.testing.assert_close(program.module()(images), layer(images))


def test_a_separable_convolution_is_one_whose_kernels_are_products():
    torch.manual_seed(0)
    layer = DepthwiseSeparableConv2d(4, 6, 3, 2, padding=1, dilation=2)
    depthwise, pointwise = layer.depthwise, layer.pointwise
    weight = pointwise.weight * depthwise.weight.transpose(0, 1)
    bias = pointwise.bias + pointwise.weight[:, :, 0, 0] @ depthwise.bias
    images = torch.randn(2, 4, 11, 9)
    expected = functional.conv2d(images, weight, bias, 2, 1, 2)
    torch.testing.assert_close(layer(images), expected, atol=1e-5, rtol=1e-5)
    assert layer.depthwise.groups == 4


def test_a_separable_convolution_has_few_weights():
    def count(layer):
        return sum(weight.numel() for weight in layer.parameters())

    assert count(DepthwiseSeparableConv2d(32, 64, 3, bias=False)) == 9 * 32 + 32 * 64
    assert count(nn.Conv2d(32, 64, 3, bias=False)) == 9 * 32 * 64
    assert count(DepthwiseSeparableConv2d(32, 64, 3)) == 9 * 32 + 32 + 32 * 64 + 64
    between = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())
    layer = DepthwiseSeparableConv2d(8, 4, 3, 2, between=between)
    assert layer(torch.zeros(2, 8, 7, 8)).shape == (2, 4, 4, 4)


@st.composite
def chains(draw):
    """A few convolutions and poolings with positive weights, and an image that they take."""
    side = draw(st.integers(12, 40))
    layers, left = [], side
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "pool", "same", "subsample"]))
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        padding, dilation = draw(st.integers(0, kernel // 2)), draw(st.integers(1, 2))
        if kind == "same":
            layer = SameConv2d(1, 1, kernel, stride, dilation=dilation, bias=False)
        elif kind == "conv":
            layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False)
        elif kind == "pool":
            layer = nn.AvgPool2d(kernel, stride, padding)
        else:
            layer = Subsample2d(stride)
        if kind in {"conv", "pool"} and left + 2 * padding <= (kernel - 1) * dilation:
            continue
        layers.append(layer)
        left = layer(torch.zeros(1, 1, left, left)).shape[2]
    for layer in layers:
        for weight in layer.parameters():
            nn.init.ones_(weight)
    unit = draw(st.integers(0, left - 1)), draw(st.integers(0, left - 1))
    return nn.Sequential(*layers), side, unit


@pytest.mark.slow
@settings(max_examples=30)
@given(chains())
def test_the_field_is_that_of_the_gradients(chain):
    network, side, unit = chain
    field = receptive_field(network, (1, side, side))
    seen = receptive_field_of(network, torch.ones(1, 1, side, side), (0, *unit))
    inside = torch.zeros(side, side)
    rows, columns = field.pixels(unit)
    inside[rows.start : rows.stop, columns.start : columns.stop] = 1
    assert not seen[inside == 0].any()
    is_clear = (len(rows), len(columns)) == field.size
    for layer in network:
        kernel, stride = pair(layer.kernel_size)[0], pair(layer.stride)[0]
        is_clear &= pair(getattr(layer, "dilation", 1)) == (1, 1) and stride <= kernel
    if is_clear:  # the field lies within the image, and has no holes
        assert (seen > 0).equal(inside > 0)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


@pytest.mark.slow
def test_a_field_by_hand():
    """Two convolutions of 3 see 5 pixels; pooling 2 at stride 2 makes it 6; then 3 more of 2."""
    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1)]
    sizes = []
    for more in ([], [nn.MaxPool2d(2)], [nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, padding=1)]):
        sizes.append(receptive_field([*layers, *more], (1, 16, 16)).size)
    assert sizes == [(5, 5), (6, 6), (10, 10)]
    field = receptive_field([*layers, nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, padding=1)], (1, 16, 16))
    assert (field.stride, field.start, field.image) == ((2, 2), (-4, -4), (16, 16))
    assert field.pixels((0, 7)) == (range(6), range(10, 16))


def test_sides_have_fields_of_their_own_and_texts_have_one():
    layers = [nn.Conv2d(1, 1, (1, 5), (1, 2), (0, 2), (1, 3))]
    field = receptive_field(layers, (1, 9, 40))
    assert field == ReceptiveField((1, 13), (1, 2), (0, -2), (9, 40))
    field = receptive_field([nn.Conv1d(4, 8, 3), nn.MaxPool1d(2)], (4, 20))
    assert field == ReceptiveField((4,), (2,), (0,), (20,))


def test_branches_are_joined_and_means_over_the_image_see_all_of_it():
    three, five = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 5, padding=2)
    image = (2, 12, 10)
    assert receptive_field(ParallelBranches(three, five), image).size == (5, 5)
    assert receptive_field(Residual(nn.Sequential(three, five)), image).size == (7, 7)
    dense = receptive_field(DenseConcatenation(2, 4, 3), image)
    assert (dense.size, dense.start, dense.stride) == ((7, 7), (-3, -3), (1, 1))
    assert receptive_field([three, LocalResponseNorm()], image).size == (3, 3)
    for layer in (SqueezeExcitation(2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()):
        field = receptive_field([three, layer], image)
        assert (field.size, field.stride) == ((12, 10), (0, 0))
        assert field.pixels((3, 3)) == (range(12), range(10))
    assert receptive_field([three, nn.AdaptiveAvgPool2d((12, 10))], image).size == (3, 3)


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    receptive_field(network, (1, 8, 8))
    receptive_field_of(network, torch.randn(2, 1, 8, 8), (0, 1, 1))
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_what_a_class_sees_of_an_image():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 5))
    seen = receptive_field_of(network, torch.randn(3, 1, 8, 8), (4,))
    assert seen.shape == (8, 8)
    assert (seen > 0).all()
    for unit in ((5,), (0, 0, 0), ()):
        with pytest.raises(InputError, match="no such number"):
            receptive_field_of(network, torch.randn(3, 1, 8, 8), unit)


def test_an_output_without_an_image_is_refused():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images):
            return self.weight * 2

    with pytest.raises(InputError, match="does not hang on the image"):
        receptive_field(Fixed(), (1, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "stride"),
    [
        ("alexnet", 195, 32),
        ("vgg16", 212, 32),
        ("mobilenet_v1", 315, 32),
        ("inception_v3", 1311, 32),
    ],
)
def test_published_fields(name, size, stride):
    """The table of Araujo, Norris and Sim (2019), doi:10.23915/distill.00021."""

    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = build(name, width=0.125)

        def forward(self, images):
            return self.network.features(images)

    field = receptive_field(Maps(), (3, 320, 320))
    assert (field.size, field.stride) == ((size, size), (stride, stride))
