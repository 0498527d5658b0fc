"""AlexNet, of one tower and of 2012, against published counts and plain functions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.alexnet import AlexNet, AlexNetLRN, AlexNetLRNSettings, AlexNetSettings


def small(name="alexnet", **settings):
    torch.manual_seed(0)
    if name == "alexnet":
        return AlexNet(AlexNetSettings(width=0.125, **settings), 3, 5)
    return AlexNetLRN(AlexNetLRNSettings(width=0.125, **settings), 3, 5)


def counted(name):
    with torch.device("meta"):
        network = build(name)
    return network, sum(p.numel() for p in network.parameters())


def test_parameters_of_one_tower_are_those_that_torchvision_publishes():
    network, found = counted("alexnet")
    convolutions = (3 * 121 + 1) * 64 + (64 * 25 + 1) * 192 + (192 * 9 + 1) * 384
    convolutions += (384 * 9 + 1) * 256 + (256 * 9 + 1) * 256
    dense = (256 * 36 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert found == convolutions + dense == 61_100_840
    state = network.state_dict()
    layers = [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
    assert set(state) == {f"{name}.{kind}" for name in layers for kind in ("weight", "bias")}
    assert state["features.3.weight"].shape == (192, 64, 5, 5)
    assert state["classifier.1.weight"].shape == (4096, 9216)


def test_parameters_of_2012_are_those_of_caffe():
    """Each unit of a grouped convolution sees half of the maps: 48 and 192."""
    network, found = counted("alexnet_lrn")
    convolutions = (3 * 121 + 1) * 96 + (48 * 25 + 1) * 256 + (256 * 9 + 1) * 384
    convolutions += (192 * 9 + 1) * 384 + (192 * 9 + 1) * 256
    dense = (256 * 36 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert found == convolutions + dense == 60_965_224
    state = network.state_dict()
    assert state["features.4.weight"].shape == (256, 48, 5, 5)
    assert state["features.10.weight"].shape == (384, 192, 3, 3)
    assert state["classifier.6.weight"].shape == (1000, 4096)
    assert AlexNetLRNSettings().input_size == (3, 227, 227)


def test_a_forward_pass_of_one_tower_is_that_of_plain_functions():
    network = small().eval()
    images = torch.randn(2, 3, 100, 90)
    hidden = images
    sizes = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
    for name, (stride, padding) in sizes.items():
        layer = network.features[name]
        hidden = functional.conv2d(hidden, layer.weight, layer.bias, stride, padding).relu()
        if name in (0, 3, 10):
            hidden = functional.max_pool2d(hidden, 3, 2)
    torch.testing.assert_close(network.features(images), hidden)
    hidden = functional.adaptive_avg_pool2d(hidden, 6).flatten(1)
    for name in (1, 4, 6):
        layer = network.classifier[name]
        hidden = hidden @ layer.weight.T + layer.bias
        hidden = hidden if name == 6 else hidden.relu()
    torch.testing.assert_close(network(images), hidden)


def test_a_forward_pass_of_2012_is_that_of_plain_functions():
    """Groups as two towers that are put together again, normalisation by the paper's sum."""
    network = small("alexnet_lrn").double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(10)  # so that the normalisation divides by much more than its 2
    images = 10 * torch.randn(2, 3, 227, 227, dtype=torch.float64)

    def normalised(maps):
        squares = functional.pad(maps.square(), (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
        return maps / (2 + 1e-4 * squares) ** 0.75

    def towers(maps, layer, padding):
        parts = [tensor.chunk(2) for tensor in (layer.weight, layer.bias)]
        halves = zip(maps.chunk(2, dim=1), *parts, strict=True)
        return torch.cat([functional.conv2d(m, w, b, 1, padding) for m, w, b in halves], dim=1)

    features = network.features
    hidden = functional.conv2d(images, features[0].weight, features[0].bias, 4).relu()
    assert hidden.shape[2:] == (55, 55)
    hidden = functional.max_pool2d(normalised(hidden), 3, 2)
    hidden = normalised(towers(hidden, features[4], 2).relu())
    assert hidden.shape[2:] == (27, 27)
    hidden = functional.max_pool2d(hidden, 3, 2)
    hidden = functional.conv2d(hidden, features[8].weight, features[8].bias, 1, 1).relu()
    hidden = towers(hidden, features[10], 1).relu()
    hidden = towers(hidden, features[12], 1).relu()
    assert hidden.shape[2:] == (13, 13)
    hidden = functional.max_pool2d(hidden, 3, 2)
    torch.testing.assert_close(network.features(images), hidden)
    hidden = hidden.flatten(1)  # 6 x 6 places: the mean over cells changes nothing
    for name in (0, 3, 6):
        layer = network.classifier[name]
        hidden = hidden @ layer.weight.T + layer.bias
        hidden = hidden if name == 6 else hidden.relu()
    torch.testing.assert_close(network(images), hidden)


def test_weights_of_2012_start_as_the_paper_says():
    network = small("alexnet_lrn")
    assert network.classifier[3].weight.std().item() == pytest.approx(0.01, rel=0.05)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    biases = [layer.bias.unique().tolist() for layer in layers]
    assert biases == [[0.0], [1.0], [0.0], [1.0], [1.0], [1.0], [1.0], [0.0]]


@pytest.mark.parametrize(("name", "side"), [("alexnet", 63), ("alexnet_lrn", 67)])
def test_maps_embeddings_and_the_head_fit_each_other(name, side):
    network = small(name).eval()
    for height, width, cells in ((side, side, (1, 1)), (side + 64, side, (3, 1))):
        images = torch.randn(2, 3, height, width)
        assert network.features(images).shape == (2, 32, *cells)
        assert network.embed(images).shape == (2, 512)
        assert torch.equal(network(images), network.classifier[6](network.embed(images)))
    assert network.num_features == 512
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


@pytest.mark.parametrize("name", ["alexnet", "alexnet_lrn"])
def test_every_parameter_is_in_one_group_and_the_head_in_the_last(name):
    network = small(name)
    groups = network.layer_groups()
    for parameter, _ in network.named_parameters():
        found = [i for i, g in enumerate(groups) for p in g if parameter.startswith(f"{p}.")]
        assert len(found) == 1
    assert [len(group) for group in groups] == [1, 1, 3, 1, 1, 1]
    assert groups[-1] == ["classifier.6"]


@pytest.mark.parametrize("name", ["alexnet", "alexnet_lrn"])
def test_units_are_dropped_in_training_only(name):
    images = torch.randn(2, 3, 67, 67)
    network = small(name)
    assert torch.equal(network.eval()(images), network.eval()(images))
    assert not torch.equal(network.train()(images), network.train()(images))
    still = small(name, dropout=0.0)
    torch.testing.assert_close(still.train()(images), still.eval()(images))


@pytest.mark.parametrize(("name", "side"), [("alexnet", 62), ("alexnet_lrn", 66)])
def test_images_that_are_too_small_are_refused(name, side):
    with pytest.raises(InputError, match=f"too small for the model '{name}'"):
        build(name, num_classes=2, images=[[3, side, 90]], width=0.125)
