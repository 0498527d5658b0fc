"""VGG against published counts, plain functions and its own laws."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.vgg import VGG, VGGSettings

# Parameters as torchvision publishes them; the paper's table 2 has 133, 133, 138 and 144 million.
PUBLISHED = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}


def small(name="vgg11", **settings):
    torch.manual_seed(0)
    return VGG(VGGSettings(name=name, width=0.125, **settings), 3, 5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_layers_are_the_published_ones(name):
    with torch.device("meta"):
        network = build(name)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[name]
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(dense) == 3
    assert f"vgg{len(convolutions) + len(dense)}" == name.removesuffix("_bn")
    assert len(norms) == (len(convolutions) if name.endswith("_bn") else 0)


def test_parameters_of_16_layers_are_those_of_a_hand_count():
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum((9 * a + 1) * b for a, b in pairwise(channels))
    dense = (512 * 49 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert convolutions + dense == PUBLISHED["vgg16"]


def test_names_are_those_of_published_weights():
    with torch.device("meta"):
        state, normed = build("vgg16").state_dict(), build("vgg16_bn").state_dict()
    assert len(state) == 2 * (13 + 3)
    assert state["features.0.weight"].shape == (64, 3, 3, 3)
    assert state["features.28.weight"].shape == (512, 512, 3, 3)
    assert state["classifier.0.weight"].shape == (4096, 25088)
    assert state["classifier.6.bias"].shape == (1000,)
    assert len(normed) == 7 * 13 + 2 * 3
    assert normed["features.41.running_var"].shape == (512,)


def test_a_forward_pass_is_that_of_plain_functions():
    network = small().eval()
    state = network.state_dict()
    images = torch.randn(2, 3, 64, 40)
    hidden, names = images, iter(sorted({int(key.split(".")[1]) for key in state if "feat" in key}))
    for count in (1, 1, 2, 2, 2):
        for name in (next(names) for _ in range(count)):
            weight, bias = state[f"features.{name}.weight"], state[f"features.{name}.bias"]
            hidden = functional.conv2d(hidden, weight, bias, padding=1).relu()
        hidden = functional.max_pool2d(hidden, 2)
    assert hidden.shape == (2, 64, 2, 1)
    torch.testing.assert_close(network.features(images), hidden)
    hidden = functional.adaptive_avg_pool2d(hidden, 7).flatten(1)
    for name in (0, 3, 6):
        weight, bias = state[f"classifier.{name}.weight"], state[f"classifier.{name}.bias"]
        hidden = hidden @ weight.T + bias
        hidden = hidden if name == 6 else hidden.relu()
    torch.testing.assert_close(network(images), hidden)


def test_two_convolutions_see_five_by_five_places():
    """Section 2.3 of the paper: a change is seen two places away, and not three."""
    network = small("vgg13").eval()
    images = torch.zeros(2, 3, 32, 32)
    images[1, :, 16, 16] = 100.0
    before_pooling = network.features[:4]
    changed = (before_pooling(images)[0] != before_pooling(images)[1]).any(0).nonzero()
    assert changed.amin(0).tolist() == [14, 14]
    assert changed.amax(0).tolist() == [18, 18]


@pytest.mark.parametrize("name", ["vgg11", "vgg13_bn"])
def test_maps_embeddings_and_the_head_fit_each_other(name):
    network = small(name).eval()
    for height, width in ((32, 47), (96, 64)):
        images = torch.randn(2, 3, height, width)
        assert network.features(images).shape == (2, 64, height // 32, width // 32)
        assert network.embed(images).shape == (2, 512)
        assert torch.equal(network(images), network.classifier[6](network.embed(images)))
    assert network.num_features == 512
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


@pytest.mark.parametrize("name", ["vgg11", "vgg19_bn"])
def test_every_parameter_is_in_one_group_and_the_head_in_the_last(name):
    network = small(name)
    groups = network.layer_groups()
    for parameter, _ in network.named_parameters():
        found = [i for i, g in enumerate(groups) for p in g if parameter.startswith(f"{p}.")]
        assert len(found) == 1
    assert len(groups) == 5 + 3
    assert groups[-1] == ["classifier.6"]


def test_dropout_is_behind_the_hidden_dense_layers_in_training_only():
    network = small(dropout=0.5)
    images = torch.randn(2, 3, 32, 32)
    network.train()
    dropped = (network.embed(images) == 0).float().mean()
    network.eval()
    kept = (network.embed(images) == 0).float().mean()
    assert dropped > kept + 0.15  # half of about half of the units
    still = small(dropout=0.0)
    torch.testing.assert_close(still.train()(images), still.eval()(images))


def test_images_that_are_too_small_are_refused():
    with pytest.raises(InputError, match="too small for the model 'vgg11'"):
        VGGSettings(name="vgg11", width=0.125).build(0, 2, images=[[3, 31, 64]])
