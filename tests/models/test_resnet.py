"""Residual networks against published counts, plain functions and hand-made blocks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.resnet import BasicBlock, Bottleneck, ResNet, ResNetSettings
from glial.nn.summary import summarize

# Parameters and billions of multiply-adds at 224 pixels, as torchvision publishes them.
PUBLISHED = {
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "resnet101": (44_549_160, 7.801),
    "resnet152": (60_192_808, 11.514),
}


def small(name="resnet18"):
    torch.manual_seed(0)
    return ResNet(ResNetSettings(name=name, width=0.125), 3, 5)


def spread_statistics(network):
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.uniform_(-1, 1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 2, generator=generator)
                module.bias.uniform_(-1, 1, generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_operations_and_layers_are_the_published_ones(name):
    with torch.device("meta"):
        network = build(name)
        summary = summarize(network, (torch.zeros(1, 3, 224, 224),))
    parameters, operations = PUBLISHED[name]
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert summary.flops / 2e9 == pytest.approx(operations, abs=0.006)
    layers = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in name
    ]
    assert f"resnet{len(layers)}" == name


def test_parameters_of_18_layers_are_those_of_a_hand_count():
    def block(before, after):
        return 9 * before * after + 9 * after * after + 2 * 2 * after

    def stage(before, after):
        downsample = before * after + 2 * after
        return block(before, after) + block(after, after) + downsample

    stem = 3 * 49 * 64 + 2 * 64
    stages = 2 * block(64, 64) + stage(64, 128) + stage(128, 256) + stage(256, 512)
    with torch.device("meta"):
        network = build("resnet18", num_classes=10)
    assert sum(p.numel() for p in network.parameters()) == stem + stages + 512 * 10 + 10


def test_names_are_those_of_published_weights():
    with torch.device("meta"):
        state = build("resnet50").state_dict()
    assert len(state) == 320  # 53 convolutions, 53 norms of five tensors, the head's two
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer3.5.bn3.running_var"].shape == (1024,)
    assert state["layer4.2.conv2.weight"].shape == (512, 512, 3, 3)
    assert state["fc.weight"].shape == (1000, 2048)


def test_a_forward_pass_is_that_of_plain_functions():
    network = small().eval()
    spread_statistics(network)
    state = network.state_dict()

    def normed(values, name):
        mean, var, scale, shift = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (values - mean) / (var + 1e-5).sqrt() * scale + shift

    def conv(values, name, stride, padding=1):
        return functional.conv2d(values, state[f"{name}.weight"], None, stride, padding)

    images = torch.randn(2, 3, 64, 48)
    hidden = normed(conv(images, "conv1", 2, 3), "bn1").relu()
    hidden = functional.max_pool2d(hidden, 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for number in (0, 1):
            name, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            inner = normed(conv(hidden, f"{name}.conv1", stride), f"{name}.bn1").relu()
            inner = normed(conv(inner, f"{name}.conv2", 1), f"{name}.bn2")
            # At a width of an eighth the second stage has as many channels as the first.
            if f"{name}.downsample.0.weight" in state:
                hidden = conv(hidden, f"{name}.downsample.0", stride, 0)
                hidden = normed(hidden, f"{name}.downsample.1")
            hidden = (inner + hidden).relu()
    assert hidden.shape == (2, 64, 2, 2)
    torch.testing.assert_close(network.features(images), hidden, atol=1e-3, rtol=1e-4)
    expected = hidden.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(network(images), expected, atol=1e-3, rtol=1e-4)


def test_a_bottleneck_is_that_of_plain_functions_with_its_stride_in_the_middle():
    torch.manual_seed(0)
    block = Bottleneck(6, 2, 2)
    with torch.no_grad():
        for norm in (block.bn1, block.bn2, block.bn3, block.downsample[1]):
            norm.eps = 0.0  # Statistics as they start: nothing is normalised.
        maps = torch.randn(1, 6, 5, 5)
        hidden = torch.einsum("nchw,oc->nohw", maps, block.conv1.weight[:, :, 0, 0]).relu()
        hidden = functional.conv2d(hidden, block.conv2.weight, padding=1)[:, :, ::2, ::2].relu()
        hidden = torch.einsum("nchw,oc->nohw", hidden, block.conv3.weight[:, :, 0, 0])
        weight = block.downsample[0].weight[:, :, 0, 0]
        past = torch.einsum("nchw,oc->nohw", maps[:, :, ::2, ::2], weight)
        found = block.eval()(maps)
    torch.testing.assert_close(found, (hidden + past).relu())


@pytest.mark.parametrize("block", [BasicBlock(8, 8, 1), Bottleneck(8, 2, 1)])
def test_a_block_whose_convolutions_give_nothing_is_the_identity(block):
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    maps = torch.rand(3, 8, 4, 4)
    assert torch.equal(block(maps), maps)
    assert torch.equal(block(-maps), torch.zeros_like(maps))  # the rectifier behind the sum
    assert block.downsample is None


def test_a_block_that_halves_the_maps_projects_what_came_in():
    block = BasicBlock(2, 3, 2).eval()
    nn.init.zeros_(block.conv2.weight)
    block.downsample[1].eps = 0.0
    maps = torch.randn(1, 2, 6, 6)
    weight = block.downsample[0].weight[:, :, 0, 0]
    expected = torch.einsum("nchw,oc->nohw", maps[:, :, ::2, ::2], weight).relu()
    torch.testing.assert_close(block(maps), expected)


@pytest.mark.parametrize(("name", "features"), [("resnet18", 64), ("resnet50", 256)])
def test_maps_embeddings_and_the_head_fit_each_other(name, features):
    network = small(name).eval()
    for height, width in ((33, 40), (96, 65)):
        images = torch.randn(2, 3, height, width)
        maps = network.features(images)
        assert maps.shape == (2, features, -(-height // 32), -(-width // 32))
        torch.testing.assert_close(network.embed(images), maps.mean((2, 3)))
        assert torch.equal(network(images), network.fc(network.embed(images)))
    assert network.num_features == features
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


def test_every_parameter_is_in_one_group_and_the_head_in_the_last():
    network = small("resnet50")
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        found = [i for i, group in enumerate(groups) for p in group if name.startswith(f"{p}.")]
        assert len(found) == 1
    assert groups[0] == ["conv1", "bn1"]
    assert groups[-1] == ["fc"]


def test_weights_start_with_the_variance_that_keeps_gradients():
    """He et al. (2015), equation 14: two by the number of outputs that an input reaches."""
    torch.manual_seed(0)
    network = ResNet(ResNetSettings(width=0.5), 3, 5)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            wanted = (2 / (module.out_channels * module.kernel_size[0] ** 2)) ** 0.5
            assert module.weight.std().item() == pytest.approx(wanted, rel=0.05), name


def test_two_rows_of_the_least_size_can_be_trained_on_and_less_is_refused():
    settings = ResNetSettings(width=0.125)
    network = settings.build(0, 2, images=[[1, 32, 32]]).train()
    network(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert network.conv1.weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="too small for the model 'resnet18'"):
        settings.build(0, 2, images=[[1, 31, 40]])
