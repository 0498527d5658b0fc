"""DenseNet against published counts, plain functions and the names of old weights."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.densenet import DenseNetSettings
from glial.training.freezing import belongs_to


def small(**settings):
    torch.manual_seed(0)
    return build("densenet121", num_outputs=5, images=[[3, 32, 32]], **{"width": 0.125, **settings})


def published(name):
    with torch.device("meta"):
        return build(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "features"),
    # Parameters: torchvision's documentation. Features: 64 channels, 32 more a layer, halved
    # between blocks.
    [
        ("densenet121", 7_978_856, 1024),
        ("densenet169", 14_149_480, 1664),
        ("densenet201", 20_013_928, 1920),
    ],
)
def test_parameters_and_layers_are_as_many_as_published(name, parameters, features):
    network = published(name)
    assert sum(p.numel() for p in network.parameters()) == parameters
    weighted = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(weighted) == int(name.removeprefix("densenet"))
    assert network.num_features == features


def test_names_are_torchvisions():
    state = published("densenet121").state_dict()
    shapes = {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.norm0.bias": (64,),
        "features.denseblock1.denselayer1.norm1.weight": (64,),
        "features.denseblock1.denselayer2.conv1.weight": (128, 96, 1, 1),
        "features.denseblock3.denselayer24.conv2.weight": (32, 128, 3, 3),
        "features.transition1.norm.running_var": (256,),
        "features.transition3.conv.weight": (512, 1024, 1, 1),
        "features.norm5.weight": (1024,),
        "classifier.weight": (1000, 1024),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    # 120 convolutions, as many normalisations and one more, of five values each, and the head.
    assert len(state) == 120 + 121 * 5 + 2


def test_weights_with_the_names_of_old_are_taken():
    torch.manual_seed(1)
    settings = DenseNetSettings(width=0.125)
    network = settings.build(0, 5, images=[[3, 32, 32]])
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.5, 1.5)
    # Published files have names such as "denselayer1.norm.1.weight", and no counts of batches.
    old = {
        re.sub(r"(layer\d+\.\w{4})([12])\.", r"\1.\2.", name): value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock4.denselayer16.conv.2.weight" in old
    assert "features.transition1.norm.weight" in old
    fresh = settings.build(0, 5, images=[[3, 32, 32]])
    fresh.load_state_dict(settings.converted(old, fresh), strict=True)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(fresh.eval()(images), network.eval()(images))
    state = network.state_dict()
    assert list(settings.converted(state, fresh)) == list(state)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width", "high", "wide"), [(29, 29, 1, 1), (64, 97, 2, 3), (224, 224, 7, 7)]
)
def test_it_takes_images_of_any_size(height, width, high, wide):
    network = small().eval()
    images = torch.randn(1, 3, height, width)
    maps = network.features(images)
    assert maps.shape == (1, network.num_features, high, wide)
    torch.testing.assert_close(network.embed(images), maps.clamp(min=0).mean((2, 3)))
    torch.testing.assert_close(network(images), network.classifier(network.embed(images)))


def test_one_row_of_the_smallest_images_can_be_trained_on():
    assert small()(torch.randn(1, 3, 29, 29)).shape == (1, 5)
    with pytest.raises(InputError, match="too small"):
        build("densenet121", num_outputs=5, images=[[3, 40, 28]])


def test_a_dense_layer_leaves_what_it_was_given_and_adds_to_it():
    block = small().features.denseblock1.eval()
    before = block.denselayer1.norm1.num_features
    growth = block.denselayer1.conv2.out_channels
    maps = torch.randn(2, before, 6, 6)
    outputs = block(maps)
    assert outputs.shape == (2, before + 6 * growth, 6, 6)
    assert torch.equal(outputs[:, :before], maps)
    # The third layer sees the maps and what the first two added, and adds the third part.
    layer, seen = block.denselayer3, outputs[:, : before + 2 * growth]
    scale = (1 + 1e-5) ** 0.5
    hidden = functional.conv2d((seen / scale).relu(), layer.conv1.weight)
    added = functional.conv2d((hidden / scale).relu(), layer.conv2.weight, padding=1)
    found = outputs[:, before + 2 * growth : before + 3 * growth]
    torch.testing.assert_close(found, added, atol=1e-5, rtol=1e-4)
    nn.init.zeros_(layer.conv2.weight)
    assert not block(maps)[:, before + 2 * growth : before + 3 * growth].any()


def test_the_forward_pass_does_not_change_what_it_is_given():
    network = small()
    block = network.features.denseblock2
    maps = torch.randn(2, block.denselayer1.norm1.num_features, 5, 5)
    copy = maps.clone()
    block(maps)
    assert torch.equal(maps, copy)


def test_a_transition_halves_channels_height_and_width():
    transition = small().eval().features.transition2
    channels = transition.norm.num_features
    maps = torch.randn(2, channels, 7, 8)
    found = transition(maps)
    assert found.shape == (2, channels // 2, 3, 4)
    hidden = functional.conv2d((maps / (1 + 1e-5) ** 0.5).relu(), transition.conv.weight)
    expected = functional.avg_pool2d(hidden, 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_dropout_drops_from_what_layers_add():
    torch.manual_seed(0)
    layer = small(dropout=0.5).features.denseblock1.denselayer1.train()
    maps = torch.randn(4, layer.norm1.num_features, 16, 16)
    added = layer(maps)[:, maps.shape[1] :]
    assert float((added == 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert not (layer.eval()(maps)[:, maps.shape[1] :] == 0).any()


def test_a_new_head_is_put_and_taken_away():
    network = small()
    network.reset_head(7)
    images = torch.randn(2, 3, 32, 32)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network.eval()(images), network.embed(images))


def test_every_parameter_is_in_one_layer_group():
    network = small()
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        assert sum(belongs_to(name, group) for group in groups) == 1
    assert groups[-1] == ["classifier"]
