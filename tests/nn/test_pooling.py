"""Poolings by hand, against torch's and by their laws."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from glial.functional import blur_kernel, places_within, subsample2d
from glial.nn import (
    AntiAliasedMaxPool2d,
    BlurPool2d,
    GeneralizedMeanPool2d,
    GlobalPool2d,
    L2NormPool2d,
    SpatialPyramidPool,
    Subsample2d,
    SumPool2d,
    conv_output_size,
)

POOLINGS = [
    SumPool2d(2),
    L2NormPool2d(2),
    GlobalPool2d(),
    GlobalPool2d("max"),
    SpatialPyramidPool((1, 2)),
    Subsample2d(2),
    BlurPool2d(),
    AntiAliasedMaxPool2d(),
]


def random_maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@settings(max_examples=20)
@given(st.integers(4, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.booleans())
def test_sums_and_roots_are_those_of_the_windows(side, kernel, stride, padding, ceil_mode):
    assume(padding <= kernel // 2)
    maps = random_maps(2, 3, side, side + 1)
    sums = SumPool2d(kernel, stride, padding, ceil_mode)(maps)
    roots = L2NormPool2d(kernel, stride, padding, ceil_mode)(maps)
    size = conv_output_size((side, side + 1), kernel, stride, padding, 1, ceil_mode)
    assert sums.shape[2:] == roots.shape[2:] == size
    around = functional.pad(maps, [padding, padding + stride, padding, padding + stride])
    windows = around.unfold(2, kernel, stride).unfold(3, kernel, stride)
    windows = windows[:, :, : size[0], : size[1]]
    torch.testing.assert_close(sums, windows.sum((4, 5)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(roots, windows.square().sum((4, 5)).sqrt(), atol=1e-5, rtol=1e-5)


def test_the_sum_is_the_mean_times_the_number_of_pixels():
    maps = random_maps(2, 3, 8, 6)
    torch.testing.assert_close(SumPool2d((2, 3))(maps), 6 * nn.AvgPool2d((2, 3))(maps))
    torch.testing.assert_close(L2NormPool2d(2)(maps), nn.LPPool2d(2, 2)(maps))


def test_a_window_that_is_not_full_has_only_its_own_pixels():
    ones = torch.ones(1, 1, 3, 3)
    ours = L2NormPool2d(2, ceil_mode=True)(ones)
    theirs = nn.LPPool2d(2, 2, ceil_mode=True)(ones)
    root = 2**0.5
    torch.testing.assert_close(ours[0, 0], torch.tensor([[2.0, root], [root, 1.0]]))
    assert theirs[0, 0, 1, 1].item() == 2.0


def test_the_root_of_zeros_has_a_gradient_of_zero():
    maps = torch.zeros(1, 1, 2, 2, requires_grad=True)
    L2NormPool2d(2)(maps).sum().backward()
    assert torch.equal(maps.grad, torch.zeros(1, 1, 2, 2))
    maps = torch.tensor([[[[3.0, 0.0], [0.0, 4.0]]]], requires_grad=True)
    L2NormPool2d(2)(maps).sum().backward()
    torch.testing.assert_close(maps.grad, torch.tensor([[[[0.6, 0.0], [0.0, 0.8]]]]))


def test_the_generalised_mean_goes_from_the_mean_to_the_largest():
    maps = random_maps(2, 3, 6, 6).sigmoid()
    mean, largest = maps.mean((2, 3)), maps.amax((2, 3))
    torch.testing.assert_close(GeneralizedMeanPool2d(1.0)(maps)[:, :, 0, 0], mean)
    by_power = [GeneralizedMeanPool2d(power)(maps)[:, :, 0, 0] for power in (1.0, 2.0, 3.0, 8.0)]
    assert all((low < high).all() for low, high in pairwise(by_power))
    assert (by_power[-1] < largest).all()
    torch.testing.assert_close(
        GeneralizedMeanPool2d(100.0)(maps)[:, :, 0, 0], largest, atol=0, rtol=0.05
    )
    torch.testing.assert_close(by_power[1], (maps.square().sum((2, 3)) / 36).sqrt())
    windows = GeneralizedMeanPool2d(2.0, 2)(maps)
    torch.testing.assert_close(windows, L2NormPool2d(2)(maps) / 2)


def test_the_power_is_learnt_and_may_be_one_a_channel():
    layer = GeneralizedMeanPool2d(channels=3).double()
    maps = random_maps(2, 3, 4, 4).sigmoid().double().requires_grad_()

    def pooled(values, power):
        return torch.func.functional_call(layer, {"power": power}, (values,))

    power = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pooled, (maps, power), fast_mode=True)
    assert [tuple(value.shape) for value in layer.state_dict().values()] == [(3,)]
    one = GeneralizedMeanPool2d(4.0).double()
    torch.testing.assert_close(pooled(maps, power)[:, 2], one(maps)[:, 2])


def test_zeros_and_negative_numbers_have_a_generalised_mean_and_finite_gradients():
    maps = torch.tensor([[[[-1.0, 0.0], [0.0, 0.0]]]], requires_grad=True)
    layer = GeneralizedMeanPool2d()
    means = layer(maps)
    means.sum().backward()
    assert means.item() == pytest.approx(1e-6, rel=1e-3)
    assert maps.grad.isfinite().all()
    assert layer.power.grad.isfinite().all()


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(["average", "max"]))
def test_padding_does_not_count_in_global_pooling(height, width, kind):
    maps = random_maps(1, 3, 6, 6)
    pool = GlobalPool2d(kind)
    alone = pool(maps[:, :, :height, :width])
    padded = maps.clone()
    padded[:, :, height:], padded[:, :, :, width:] = 50.0, 50.0
    sizes = torch.tensor([[height, width]])
    torch.testing.assert_close(pool(padded, sizes), alone)
    torch.testing.assert_close(pool(padded, places_within(sizes, 6, 6)), alone)


def test_global_pooling_is_over_the_whole_map_of_any_size():
    for sides in ((1, 1), (7, 7), (3, 11)):
        maps = random_maps(2, 4, *sides)
        torch.testing.assert_close(GlobalPool2d()(maps), nn.AdaptiveAvgPool2d(1)(maps)[:, :, 0, 0])
        torch.testing.assert_close(
            GlobalPool2d("max")(maps), nn.AdaptiveMaxPool2d(1)(maps)[:, :, 0, 0]
        )
    nowhere = torch.zeros(2, 5, 5, dtype=torch.bool)
    assert not GlobalPool2d("max")(torch.ones(2, 3, 5, 5), nowhere).any()


def test_a_pyramid_by_hand_and_of_one_length_for_all_sizes():
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert SpatialPyramidPool((1, 2))(maps).tolist() == [[15, 5, 7, 13, 15]]
    average = SpatialPyramidPool((2, 1), "average")(maps)
    assert average.tolist() == [[2.5, 4.5, 10.5, 12.5, 7.5]]
    pool = SpatialPyramidPool()
    shapes = {pool(torch.zeros(2, 3, *sides)).shape for sides in ((4, 4), (13, 13), (10, 7))}
    assert shapes == {(2, 3 * 21)}
    assert pool.num_cells == 1 + 4 + 16


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_subsampling_keeps_every_nth_pixel(height, width, step):
    maps = random_maps(1, 2, height, width)
    kept = Subsample2d(step)(maps)
    assert kept.shape[2:] == (-(-height // step), -(-width // step))
    for row in range(kept.shape[2]):
        for column in range(kept.shape[3]):
            assert torch.equal(kept[:, :, row, column], maps[:, :, row * step, column * step])


def test_the_blur_is_pascals_triangle():
    assert (blur_kernel(2) * 4).tolist() == [[1, 1], [1, 1]]
    assert (blur_kernel(5)[2] * 256).tolist() == [6, 24, 36, 24, 6]
    for size in range(1, 8):
        assert blur_kernel(size).sum().item() == pytest.approx(1)


@given(st.integers(4, 9), st.integers(4, 9), st.sampled_from([1, 2, 3]), st.sampled_from([1, 3, 5]))
def test_blur_pooling_is_a_blur_and_then_subsampling(height, width, stride, size):
    maps = random_maps(2, 2, height, width)
    around = functional.pad(maps, [size // 2] * 4, mode="reflect")
    windows = around.unfold(2, size, 1).unfold(3, size, 1)
    blurred = (windows * blur_kernel(size)).sum((4, 5))
    pooled = BlurPool2d(stride, size)(maps)
    torch.testing.assert_close(pooled, subsample2d(blurred, stride), atol=1e-5, rtol=1e-5)
    constant = BlurPool2d(stride, size)(torch.full((1, 1, height, width), 3.0))
    torch.testing.assert_close(constant, torch.full_like(constant, 3.0))


def test_blur_keeps_a_pattern_finer_than_the_step_from_coming_out_as_another():
    stripes = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 1, 16, 16)
    inner = (0, 0, slice(1, -1), slice(1, -1))
    assert Subsample2d(2)(stripes)[inner].unique().tolist() == [0.0]
    assert Subsample2d(2)(stripes.roll(1, 3))[inner].unique().tolist() == [1.0]
    for shifted in (stripes, stripes.roll(1, 3)):
        assert BlurPool2d()(shifted)[inner].unique().tolist() == [0.5]


def test_anti_aliased_max_pooling_changes_less_with_a_shift():
    maps = random_maps(8, 4, 33, 33)
    shifted = maps.roll(1, 3)
    changes = []
    for pool in (nn.MaxPool2d(2), AntiAliasedMaxPool2d()):
        before, after = (pool(values)[:, :, 2:-2, 2:-2] for values in (maps, shifted))
        changes.append(((before - after).square().mean() / before.var()).item())
    assert changes[1] < changes[0] / 2


@pytest.mark.parametrize("pool", POOLINGS, ids=lambda pool: type(pool).__name__)
def test_poolings_have_no_parameters_and_see_each_map_alone(pool):
    assert list(pool.state_dict()) == []
    maps = random_maps(2, 3, 8, 8)
    whole = pool(maps)
    each = torch.cat([pool(maps[:, i : i + 1]) for i in range(3)], dim=1)
    if isinstance(pool, SpatialPyramidPool):
        assert whole.sort().values.equal(each.sort().values)
    else:
        torch.testing.assert_close(whole, each)
    assert pool(maps.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("pool", POOLINGS, ids=lambda pool: type(pool).__name__)
def test_gradients_are_the_numeric_ones(pool):
    maps = random_maps(2, 2, 5, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(pool, (maps,), fast_mode=True)
