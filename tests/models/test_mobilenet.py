"""The three MobileNets against published counts, plain functions and hand-made blocks."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import MODELS, build
from glial.models.mobilenet_v1 import MobileNetV1Settings, SeparableBlock
from glial.models.mobilenet_v2 import InvertedResidual, MobileNetV2Settings
from glial.models.mobilenet_v3 import Block, Bottleneck, MobileNetV3Settings, squeezed
from glial.nn import SqueezeExcitation
from glial.nn.summary import summarize

# Parameters, and millions of multiply-adds at 224 pixels: of the first as timm counts the former
# and the paper's table 8 says the latter, of the others as torchvision publishes both.
PUBLISHED = {
    "mobilenet_v1": (4_231_976, 569),
    "mobilenet_v2": (3_504_872, 301),
    "mobilenet_v3_small": (2_542_856, 57),
    "mobilenet_v3_large": (5_483_032, 217),
}
FEATURES = {  # numbers that the maps and the embedding have at an eighth of the width
    "mobilenet_v1": (128, 128),
    "mobilenet_v2": (160, 160),
    "mobilenet_v3_small": (72, 128),
    "mobilenet_v3_large": (120, 160),
}


def small(name, **settings):
    torch.manual_seed(0)
    kind = MODELS.resolve(name)
    return kind(name=name, width=0.125, **settings).build(0, 5, images=[[3, 64, 64]])


def spread_statistics(network):
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.uniform_(-1, 1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 2, generator=generator)
                module.bias.uniform_(-1, 1, generator=generator)


def normed(values, state, name, epsilon=1e-5):
    mean, var, scale, shift = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (values - mean) / (var + epsilon).sqrt() * scale + shift


def filtered(values, weight, stride):
    """Each channel by its own kernel of odd side, one channel after another."""
    maps = [
        functional.conv2d(values[:, [i]], kernel[None], None, stride, weight.shape[-1] // 2)
        for i, kernel in enumerate(weight)
    ]
    return torch.cat(maps, dim=1)


def mixed(values, weight):
    return torch.einsum("nchw,oc->nohw", values, weight[:, :, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_operations_are_the_published_ones(name):
    with torch.device("meta"):
        network = build(name)
        summary = summarize(network, (torch.zeros(1, 3, 224, 224),))
    parameters, operations = PUBLISHED[name]
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert summary.flops / 2e6 == pytest.approx(operations, abs=0.6)


@pytest.mark.parametrize(
    ("name", "convolutions", "dense", "squeezes"),
    [
        ("mobilenet_v1", 1 + 13 * 2, 1, 0),  # 28 layers, says section 3.2 of the paper
        ("mobilenet_v2", 1 + 2 + 16 * 3 + 1, 1, 0),
        ("mobilenet_v3_small", 1 + 2 + 10 * 3 + 1, 2, 9),
        ("mobilenet_v3_large", 1 + 2 + 14 * 3 + 1, 2, 8),
    ],
)
def test_layers_are_those_of_the_papers_tables(name, convolutions, dense, squeezes):
    with torch.device("meta"):
        modules = list(build(name).modules())
    found = [
        sum(isinstance(module, kind) for module in modules)
        for kind in (nn.Conv2d, nn.Linear, SqueezeExcitation)
    ]
    assert found == [convolutions + 2 * squeezes, dense, squeezes]


def test_parameters_of_the_first_one_are_those_of_a_hand_count():
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    blocks = sum(9 * a + 2 * a + a * b + 2 * b for a, b in pairwise(widths))
    with torch.device("meta"):
        network = build("mobilenet_v1", num_classes=10)
    stem, head = 27 * 32 + 2 * 32, 1024 * 10 + 10
    assert sum(p.numel() for p in network.parameters()) == stem + blocks + head


@pytest.mark.parametrize(
    ("name", "count", "shapes"),
    [
        (
            "mobilenet_v1",
            27 * 6 + 2,
            {
                "conv_stem.weight": (32, 3, 3, 3),
                "blocks.3.5.conv_dw.weight": (512, 1, 3, 3),
                "blocks.4.0.bn1.bias": (512,),
                "blocks.4.1.conv_pw.weight": (1024, 1024, 1, 1),
                "classifier.weight": (1000, 1024),
            },
        ),
        (
            "mobilenet_v2",
            52 * 6 + 2,
            {
                "features.0.0.weight": (32, 3, 3, 3),
                "features.1.conv.0.0.weight": (32, 1, 3, 3),
                "features.1.conv.1.weight": (16, 32, 1, 1),
                "features.2.conv.1.0.weight": (96, 1, 3, 3),
                "features.17.conv.3.running_var": (320,),
                "features.18.1.bias": (1280,),
                "classifier.1.weight": (1000, 1280),
            },
        ),
        (
            "mobilenet_v3_small",
            34 * 6 + 9 * 4 + 4,
            {
                "features.1.block.1.fc1.weight": (8, 16, 1, 1),
                "features.4.block.2.fc2.bias": (96,),
                "features.11.block.1.0.weight": (576, 1, 5, 5),
                "classifier.0.weight": (1024, 576),
                "classifier.3.weight": (1000, 1024),
            },
        ),
        (
            "mobilenet_v3_large",
            46 * 6 + 8 * 4 + 4,
            {
                "features.4.block.2.fc1.weight": (24, 72, 1, 1),
                "features.8.block.0.1.weight": (200,),
                "features.15.block.3.0.weight": (160, 960, 1, 1),
                "features.16.0.weight": (960, 160, 1, 1),
                "classifier.3.bias": (1000,),
            },
        ),
    ],
)
def test_names_are_those_of_published_weights(name, count, shapes):
    with torch.device("meta"):
        state = build(name).state_dict()
    assert len(state) == count  # a convolution and its norm have six tensors
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_a_forward_pass_of_the_first_one_is_that_of_plain_functions():
    network = small("mobilenet_v1").eval()
    spread_statistics(network)
    state = network.state_dict()
    images = torch.randn(2, 3, 40, 64)
    hidden = functional.conv2d(images, state["conv_stem.weight"], None, 2, 1)
    hidden = normed(hidden, state, "bn1").clamp(0, 6)
    for stage, count in enumerate([1, 2, 2, 6, 2]):
        for number in range(count):
            name, stride = f"blocks.{stage}.{number}", 2 if stage and not number else 1
            hidden = filtered(hidden, state[f"{name}.conv_dw.weight"], stride)
            hidden = normed(hidden, state, f"{name}.bn1").clamp(0, 6)
            hidden = mixed(hidden, state[f"{name}.conv_pw.weight"])
            hidden = normed(hidden, state, f"{name}.bn2").clamp(0, 6)
    torch.testing.assert_close(network.features(images), hidden, atol=1e-4, rtol=1e-4)
    expected = hidden.mean((2, 3)) @ state["classifier.weight"].T + state["classifier.bias"]
    torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)


def test_a_separable_block_of_given_numbers():
    """One place of two channels: the middle of each kernel, then a mixture, rectified at 6."""
    block = SeparableBlock(2, 2, 1).eval()
    for norm in (block.bn1, block.bn2):
        norm.eps = 0.0
    with torch.no_grad():
        block.conv_dw.weight.copy_(torch.zeros(2, 1, 3, 3))
        block.conv_dw.weight[:, 0, 1, 1] = torch.tensor([2.0, 100.0])
        block.conv_pw.weight.copy_(torch.tensor([[1.0, 0.5], [1.0, -1.0]])[:, :, None, None])
        found = block(torch.tensor([1.0, 1.0]).reshape(1, 2, 1, 1))
    assert found.flatten().tolist() == [2 + 3, 0]  # 2 and min(100, 6); 2 - 6 is rectified


def test_an_inverted_residual_block_is_that_of_plain_functions():
    torch.manual_seed(0)
    block = InvertedResidual(4, 4, 1, 6).eval()
    spread_statistics(block)
    state, maps = block.state_dict(), torch.randn(2, 4, 5, 7)
    hidden = normed(mixed(maps, state["conv.0.0.weight"]), state, "conv.0.1").clamp(0, 6)
    hidden = filtered(hidden, state["conv.1.0.weight"], 1)
    hidden = normed(hidden, state, "conv.1.1").clamp(0, 6)
    expected = maps + normed(mixed(hidden, state["conv.2.weight"]), state, "conv.3")
    torch.testing.assert_close(block(maps), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("hard_swish", "squeezes"), [(True, True), (False, True), (True, False)])
def test_a_block_of_the_third_one_is_that_of_plain_functions(hard_swish, squeezes):
    torch.manual_seed(0)
    block = Block(4, 16, 6, Bottleneck(5, 16, 6, squeezes, hard_swish, 2)).eval()
    spread_statistics(block)
    state, maps = block.state_dict(), 3 * torch.randn(2, 4, 7, 8)

    def activated(values):
        return values * (values + 3).clamp(0, 6) / 6 if hard_swish else values.clamp(min=0)

    hidden = mixed(maps, state["block.0.0.weight"])
    hidden = activated(normed(hidden, state, "block.0.1", 1e-3))
    hidden = filtered(hidden, state["block.1.0.weight"], 2)
    hidden = activated(normed(hidden, state, "block.1.1", 1e-3))
    if squeezes:
        first, second = (state[f"block.2.fc{i}.weight"][:, :, 0, 0] for i in (1, 2))
        units = hidden.mean((2, 3)) @ first.T + state["block.2.fc1.bias"]
        factors = units.clamp(min=0) @ second.T + state["block.2.fc2.bias"]
        hidden = hidden * ((factors + 3).clamp(0, 6) / 6)[:, :, None, None]
    last = f"block.{2 + squeezes}"
    expected = normed(mixed(hidden, state[f"{last}.0.weight"]), state, f"{last}.1", 1e-3)
    torch.testing.assert_close(block(maps), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "block",
    [InvertedResidual(8, 8, 1, 6), Block(8, 16, 8, Bottleneck(3, 16, 8, True, True, 1))],
)
def test_a_block_that_adds_nothing_is_the_identity(block):
    last = [module for module in block.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    maps = torch.randn(3, 8, 5, 5)
    assert torch.equal(block(maps), maps)


@pytest.mark.parametrize("block", [InvertedResidual(8, 8, 2, 6), InvertedResidual(8, 12, 1, 6)])
def test_a_block_that_changes_the_shape_adds_nothing_to_its_input_and_ends_linearly(block):
    block.eval()
    maps = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        before = block(maps)
        block.conv[-2].weight.neg_()
        torch.testing.assert_close(block(maps), -before)
    assert (before < 0).any()


@pytest.mark.parametrize(
    ("channels", "units"), [(16, 8), (72, 24), (96, 24), (120, 32), (288, 72), (672, 168)]
)
def test_the_squeeze_is_a_quarter_by_the_published_shapes(channels, units):
    assert squeezed(channels) == units


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_maps_embeddings_and_the_head_fit_each_other(name):
    network = small(name).eval()
    maps_size, size = FEATURES[name]
    for height, width in ((33, 40), (96, 65)):
        images = torch.randn(2, 3, height, width)
        maps = network.features(images)
        assert maps.shape == (2, maps_size, -(-height // 32), -(-width // 32))
        vectors = maps.mean((2, 3))
        if "v3" in name:
            layer = network.classifier[0]
            vectors = functional.hardswish(vectors @ layer.weight.T + layer.bias)
        torch.testing.assert_close(network.embed(images), vectors)
        head = network.classifier_head
        torch.testing.assert_close(network(images), vectors @ head.weight.T + head.bias)
    assert network.num_features == size
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


@pytest.mark.parametrize("name", PUBLISHED)
def test_dropout_stands_before_the_head_and_works_in_training_only(name):
    network = small(name, dropout=0.9)
    head = network.classifier_head
    seen = []
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.rand(4, 3, 64, 64)
    for training in (True, False):
        network.train(training)(images)
    assert (seen[0] == 0).float().mean() > 0.8
    assert torch.equal(seen[1], network.embed(images))


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_parameter_is_in_one_group_and_the_head_in_the_last(name):
    network = small(name)
    groups = network.layer_groups()
    for parameter, _ in network.named_parameters():
        found = [i for i, group in enumerate(groups) if _stands_in(parameter, group)]
        assert len(found) == 1
        assert (found[0] == len(groups) - 1) == parameter.startswith("classifier.")
    assert all(any(_stands_in(p, group) for p, _ in network.named_parameters()) for group in groups)


def _stands_in(parameter, group):
    return any(parameter.startswith(f"{prefix}.") for prefix in group)


@pytest.mark.parametrize("name", PUBLISHED)
def test_two_rows_of_the_least_size_can_be_trained_on_and_less_is_refused(name):
    settings = MODELS.resolve(name)(name=name, width=0.125)
    network = settings.build(0, 2, images=[[1, 32, 32]]).train()
    network(torch.randn(2, 1, 32, 32)).sum().backward()
    assert next(network.parameters()).grad.abs().sum() > 0
    with pytest.raises(InputError, match=f"too small for the model '{name}'"):
        settings.build(0, 2, images=[[1, 31, 40]])


@pytest.mark.slow
def test_a_hundred_steps_are_enough_for_the_running_statistics():
    network = small("mobilenet_v3_small")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    seen = []
    norms[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randn(4, 3, 33, 33)
    with torch.no_grad():
        for _ in range(100):
            network(images)
    mean, variance = seen[-1].mean((0, 2, 3)), seen[-1].var((0, 2, 3))
    torch.testing.assert_close(norms[-1].running_mean, mean, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(norms[-1].running_var, variance, atol=1e-3, rtol=1e-2)


def test_weights_start_with_the_variance_of_each_reference():
    """Two by the fan-out; TensorFlow counts that of a group, torchvision that of all channels."""
    torch.manual_seed(0)
    first = MobileNetV1Settings().build(0, 5, images=[[3, 64, 64]]).blocks[4][1]
    second = MobileNetV2Settings().build(0, 5, images=[[3, 64, 64]])
    third = MobileNetV3Settings().build(0, 5, images=[[3, 64, 64]])
    for weight, fan_out in (
        (first.conv_dw.weight, 9),
        (first.conv_pw.weight, 1024),
        (second.features[17].conv[1][0].weight, 960 * 9),
        (third.features[11].block[1][0].weight, 576 * 25),
    ):
        assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert third.classifier[0].weight.std().item() == pytest.approx(0.01, rel=0.05)
