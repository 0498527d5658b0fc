"""Inception v4 against published counts, hand counts and plain functions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.models import build
from glial.training.freezing import belongs_to


def small(**settings):
    torch.manual_seed(0)
    images = [[3, 75, 75]]
    return build("inception_v4", num_outputs=5, images=images, **{"width": 0.125, **settings})


def published():
    with torch.device("meta"):
        return build("inception_v4")


def test_parameters_are_as_many_as_those_of_the_published_weights():
    # The table of timm's results says 42.68 million; with their names counted, 42,679,816.
    assert sum(p.numel() for p in published().parameters()) == 42_679_816


def test_layers_are_those_of_the_paper():
    network = published()
    kinds = [type(module) for module in network.modules()]
    # The stem of figure 3, then A, reduction A, B, reduction B and C of figures 4 to 8.
    stem = 3 + 1 + 6 + 1
    assert kinds.count(nn.Conv2d) == stem + 4 * 7 + 4 + 7 * 10 + 6 + 3 * 10
    assert kinds.count(nn.Linear) == 1
    outputs = [block.out_channels for block in network.features[3:]]
    assert outputs == [160, 192, 384] + [384] * 4 + [1024] * 8 + [1536] * 4


@pytest.mark.slow
def test_names_are_timms():
    state = published().state_dict()
    shapes = {
        "features.0.conv.weight": (32, 3, 3, 3),
        "features.3.conv.conv.weight": (96, 64, 3, 3),
        "features.4.branch1.2.conv.weight": (64, 64, 7, 1),
        "features.5.conv.bn.running_mean": (192,),
        "features.6.branch0.conv.weight": (96, 384, 1, 1),
        "features.9.branch3.1.conv.weight": (96, 384, 1, 1),
        "features.10.branch1.2.conv.weight": (256, 224, 3, 3),
        "features.11.branch2.1.conv.weight": (192, 192, 7, 1),
        "features.18.branch1.1.conv.weight": (256, 256, 1, 7),
        "features.19.branch1_0.conv.weight": (384, 1536, 1, 1),
        "features.20.branch2_2.conv.weight": (512, 448, 1, 3),
        "features.21.branch2_3b.conv.weight": (256, 512, 3, 1),
        "features.21.branch3.1.conv.weight": (256, 1536, 1, 1),
        "last_linear.weight": (1000, 1536),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert len(state) == 149 * 6 + 2


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
    torch.testing.assert_close(network(images), network.last_linear(network.embed(images)))


def test_one_row_of_the_smallest_images_can_be_trained_on():
    assert small()(torch.randn(1, 3, 75, 75)).shape == (1, 5)
    with pytest.raises(InputError, match="too small"):
        build("inception_v4", num_outputs=5, images=[[3, 74, 90]])


def test_means_count_only_places_that_are_there():
    branch = small().eval().features[6].branch3
    flat = torch.randn(1, branch[1].conv.in_channels, 1, 1).expand(-1, -1, 5, 5)
    torch.testing.assert_close(branch(flat), branch[1](flat))


@pytest.mark.parametrize(("number", "names"), [(3, ["maxpool", "conv"]), (5, ["conv", "maxpool"])])
def test_the_stem_pools_and_convolves_side_by_side(number, names):
    block = small().eval().features[number]
    maps = torch.randn(2, block.conv.conv.in_channels, 9, 9)
    expected = torch.cat([getattr(block, name)(maps) for name in names], 1)
    assert torch.equal(block(maps), expected)


def test_the_last_blocks_fork_at_the_end_of_a_branch():
    block = small().eval().features[19]
    maps = torch.randn(2, block.branch0.conv.in_channels, 4, 4)
    hidden = block.branch1_0(maps)
    deeper = block.branch2_2(block.branch2_1(block.branch2_0(maps)))
    expected = [
        block.branch0(maps),
        block.branch1_1a(hidden),
        block.branch1_1b(hidden),
        block.branch2_3a(deeper),
        block.branch2_3b(deeper),
        block.branch3(maps),
    ]
    assert torch.equal(block(maps), torch.cat(expected, 1))


def test_a_new_head_is_put_and_taken_away():
    network = small()
    network.reset_head(7)
    images = torch.randn(2, 3, 75, 75)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network.eval()(images), network.embed(images))


@pytest.mark.slow
def test_every_parameter_is_in_one_layer_group():
    network = small()
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        assert sum(belongs_to(name, group) for group in groups) == 1
    assert groups[-1] == ["last_linear"]
    # The stem, A with its reduction, B with its reduction, C, the head.
    assert [len(group) for group in groups] == [6, 5, 8, 3, 1]
