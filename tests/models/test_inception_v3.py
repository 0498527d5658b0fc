"""Inception v3 against published counts, hand counts and plain functions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.nn import WithAuxiliary
from glial.training.freezing import belongs_to


def small(**settings):
    torch.manual_seed(0)
    images = [[3, 75, 75]]
    return build("inception_v3", num_outputs=5, images=images, **{"width": 0.125, **settings})


def published(**settings):
    with torch.device("meta"):
        return build("inception_v3", **settings)


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_as_many_as_those_of_the_published_weights():
    # Torchvision's documentation says 27,161,264; its auxiliary head is two convolutions, their
    # normalisations and a linear layer.
    head = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 768 * 1000 + 1000
    assert count(published()) == 27_161_264
    assert count(published(auxiliary=False)) == 27_161_264 - head == 23_834_568


def test_layers_are_those_of_the_paper():
    network = published(auxiliary=False)
    kinds = [type(module) for module in network.modules()]
    # The stem, and blocks of figures 5, 10, 6, 10 and 7: three, one, four, one and two of them.
    assert kinds.count(nn.Conv2d) == 5 + 3 * 7 + 4 + 4 * 10 + 6 + 2 * 9
    assert kinds.count(nn.Linear) == 1
    blocks = [m for name, m in network.named_children() if name.startswith("Mixed")]
    expected = [256, 288, 288, 768, 768, 768, 768, 768, 1280, 2048, 2048]
    assert [block.out_channels for block in blocks] == expected


def test_names_are_torchvisions():
    state = published().state_dict()
    shapes = {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Conv2d_4a_3x3.bn.bias": (192,),
        "Mixed_5b.branch1x1.conv.weight": (64, 192, 1, 1),
        "Mixed_5c.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_5d.branch_pool.conv.weight": (64, 288, 1, 1),
        "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
        "Mixed_6c.branch7x7dbl_4.conv.weight": (160, 160, 7, 1),
        "Mixed_7a.branch7x7x3_2.conv.weight": (192, 192, 1, 7),
        "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
        "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "AuxLogits.conv1.conv.weight": (768, 128, 5, 5),
        "AuxLogits.fc.weight": (1000, 768),
        "fc.weight": (1000, 2048),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert len(state) == 96 * 6 + 2 * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width", "high", "wide"), [(75, 75, 1, 1), (107, 139, 2, 3), (299, 299, 8, 8)]
)
def test_it_takes_images_of_any_size(height, width, high, wide):
    network = small().eval()
    images = torch.randn(1, 3, height, width)
    maps = network.features(images)
    assert maps.shape == (1, network.num_features, high, wide)
    torch.testing.assert_close(network.embed(images), maps.mean((2, 3)))
    torch.testing.assert_close(network(images), network.fc(network.embed(images)))


@pytest.mark.slow
@pytest.mark.parametrize("side", [75, 130])
def test_one_row_of_the_smallest_images_can_be_trained_on(side):
    found = small()(torch.randn(1, 3, side, side))
    assert isinstance(found, WithAuxiliary)
    assert found.auxiliary[0].shape == found.outputs.shape == (1, 5)
    assert found.weight == 0.4


def test_too_small_images_are_refused():
    with pytest.raises(InputError, match="too small"):
        build("inception_v3", num_outputs=5, images=[[3, 74, 90]])


def test_the_auxiliary_head_averages_as_published_where_maps_are_large_enough():
    network = small().eval()
    head, channels = network.AuxLogits, network.Mixed_6e.out_channels
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.5)
    maps = torch.randn(2, channels, 17, 17)
    # Windows of 5 x 5 places, 3 apart, by hand.
    starts = range(0, 13, 3)
    windows = [[maps[:, :, i : i + 5, j : j + 5].mean((2, 3)) for j in starts] for i in starts]
    parts = torch.stack([torch.stack(row, dim=2) for row in windows], dim=2)
    hidden = functional.conv2d(parts, head.conv0.conv.weight) / 1.001**0.5 + 0.5
    hidden = functional.conv2d(hidden.relu(), head.conv1.conv.weight) / 1.001**0.5 + 0.5
    expected = hidden.relu()[:, :, 0, 0] @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(maps), expected, atol=1e-5, rtol=1e-4)
    # Of maps that are the same everywhere every mean is the same, whatever their size.
    flat = torch.randn(2, channels, 1, 1)
    large = head(flat.expand(-1, -1, 17, 17))
    for high, wide in [(3, 3), (16, 30), (1, 2)]:
        torch.testing.assert_close(head(flat.expand(-1, -1, high, wide)), large)


def test_a_one_sided_block_sees_seven_places_high_and_wide():
    block = small().eval().Mixed_6b
    maps = torch.zeros(1, block.branch1x1.conv.in_channels, 31, 31).requires_grad_()
    for convolution in block.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.constant_(convolution.weight, 1.0)
    first, second = block.branch1x1.conv.out_channels, block.branch7x7_3.conv.out_channels
    outputs = block(maps + 1.0)
    outputs[0, first, 15, 15].backward()
    seen = maps.grad[0, 0] != 0
    assert seen.nonzero().min(0).values.tolist() == [12, 12]
    assert seen.nonzero().max(0).values.tolist() == [18, 18]
    maps.grad = None
    block(maps + 1.0)[0, first + second, 15, 15].backward()
    # Twice 7 x 7: 13 places high and wide.
    seen = maps.grad[0, 0] != 0
    assert seen.nonzero().min(0).values.tolist() == [9, 9]
    assert int(seen.sum()) == 13 * 13


def test_the_last_blocks_fork_at_the_end_of_a_branch():
    block = small().eval().Mixed_7c
    maps = torch.randn(2, block.branch1x1.conv.in_channels, 4, 4)
    hidden = block.branch3x3_1(maps)
    double = block.branch3x3dbl_2(block.branch3x3dbl_1(maps))
    expected = [
        block.branch1x1(maps),
        block.branch3x3_2a(hidden),
        block.branch3x3_2b(hidden),
        block.branch3x3dbl_3a(double),
        block.branch3x3dbl_3b(double),
        (block.branch_pool.conv(functional.avg_pool2d(maps, 3, 1, 1)) / 1.001**0.5).relu(),
    ]
    torch.testing.assert_close(block(maps), torch.cat(expected, 1), atol=1e-5, rtol=1e-4)


def test_without_the_auxiliary_head_outputs_are_the_same():
    network = small().eval()
    without = small(auxiliary=False)
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("AuxLogits")}
    without.load_state_dict(state)
    images = torch.randn(2, 3, 75, 75)
    assert isinstance(without(images), torch.Tensor)
    without = small(auxiliary=False).eval()
    without.load_state_dict(state)
    assert torch.equal(without(images), network(images))


def test_new_heads_are_put_everywhere_and_taken_away():
    network = small()
    network.reset_head(7)
    images = torch.randn(2, 3, 75, 75)
    found = network(images)
    assert found.auxiliary[0].shape == found.outputs.shape == (2, 7)
    network.remove_head()
    assert torch.equal(network.eval()(images), network.embed(images))


@pytest.mark.parametrize("auxiliary", [True, False])
def test_every_parameter_is_in_one_layer_group(auxiliary):
    network = small(auxiliary=auxiliary)
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        assert sum(belongs_to(name, group) for group in groups) == 1
    assert groups[-1] == [*(["AuxLogits"] if auxiliary else []), "fc"]
