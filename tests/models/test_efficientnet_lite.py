"""EfficientNet-Lite0 against published counts and names, plain functions and hand-made blocks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.efficientnet_lite import Block, EfficientNetLite, EfficientNetLiteSettings
from glial.nn.summary import summarize

BLOCKS = [1, 2, 2, 3, 3, 4, 1]  # of each stage, as in table 1 of the paper


def small(**settings):
    torch.manual_seed(0)
    return EfficientNetLite(EfficientNetLiteSettings(width=0.125, **settings), 3, 5)


def test_parameters_and_operations_are_the_published_ones_and_those_of_a_hand_count():
    """4,652,008 parameters as timm counts them; the rows of the paper's table 1, step by step."""
    rows = [(1, 16, 1, 3, 112), (6, 24, 2, 3, 56), (6, 40, 2, 5, 28), (6, 80, 3, 3, 14)]
    rows += [(6, 112, 3, 5, 14), (6, 192, 4, 5, 7), (6, 320, 1, 3, 7)]
    parameters, products = 27 * 32 + 2 * 32, 27 * 32 * 112**2
    before, side = 32, 112
    for expansion, after, count, kernel, side_after in rows:
        for _ in range(count):
            hidden = before * expansion
            if expansion > 1:
                parameters += before * hidden + 2 * hidden
                products += before * hidden * side**2
            side = side_after
            parameters += kernel**2 * hidden + 2 * hidden + hidden * after + 2 * after
            products += (kernel**2 * hidden + hidden * after) * side**2
            before = after
    parameters += 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    products += 320 * 1280 * 49 + 1280 * 1000
    with torch.device("meta"):
        network = build("efficientnet_lite0")
        summary = summarize(network, (torch.zeros(1, 3, 224, 224),))
    assert sum(p.numel() for p in network.parameters()) == parameters == 4_652_008
    assert summary.flops == 2 * products


def test_names_are_timms():
    with torch.device("meta"):
        state = build("efficientnet_lite0").state_dict()
    assert len(state) == 49 * 6 + 2  # 2 + 2 + 15 * 3 convolutions with their norms, and the head
    shapes = {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.0.0.conv_dw.weight": (32, 1, 3, 3),
        "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
        "blocks.2.1.conv_pw.weight": (240, 40, 1, 1),
        "blocks.5.3.conv_dw.weight": (1152, 1, 5, 5),
        "blocks.6.0.conv_pwl.weight": (320, 1152, 1, 1),
        "blocks.6.0.bn3.running_mean": (320,),
        "conv_head.weight": (1280, 320, 1, 1),
        "bn2.weight": (1280,),
        "classifier.weight": (1000, 1280),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_names_of_the_published_package_become_the_networks():
    """Both hold their tensors in the order of the layers."""
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]

    def layer(convolution, after):
        return [f"{convolution}.weight", *(f"{after}.{part}" for part in norm)]

    names = layer("_conv_stem", "_bn0")
    for number in range(sum(BLOCKS)):
        block = f"_blocks.{number}."
        names += layer(f"{block}_expand_conv", f"{block}_bn0") if number else []
        names += layer(f"{block}_depthwise_conv", f"{block}_bn1")
        names += layer(f"{block}_project_conv", f"{block}_bn2")
    names += [*layer("_conv_head", "_bn1"), "_fc.weight", "_fc.bias"]
    network, settings = small(), EfficientNetLiteSettings()
    state = dict(zip(names, network.state_dict().values(), strict=True))
    mixed_up = dict(sorted(state.items()))
    network.load_state_dict(settings.converted(mixed_up, network), strict=True)
    assert list(settings.converted(state, network)) == list(network.state_dict())
    own = network.state_dict()
    assert settings.converted(own, network).keys() == own.keys()
    assert all(value is own[name] for name, value in settings.converted(own, network).items())
    odd = {"_other.weight": torch.zeros(1), "weight": torch.zeros(1)}
    assert settings.converted(odd, network).keys() == odd.keys()


@pytest.mark.parametrize(("side", "zeros"), [(8, (0, 1)), (9, (1, 1))])
def test_the_first_convolution_is_padded_as_tensorflow_does(side, zeros):
    network, images = small(), torch.randn(1, 3, side, side)
    padded = functional.pad(images, (*zeros, *zeros))
    expected = functional.conv2d(padded, network.conv_stem.weight, stride=2)
    torch.testing.assert_close(network.conv_stem(images), expected)
    assert expected.shape[-1] == -(-side // 2)


def test_a_block_is_that_of_plain_functions():
    torch.manual_seed(0)
    block = Block(4, 6, stride=2, kernel=5, expansion=6).eval()
    for norm in (block.bn1, block.bn2, block.bn3):
        norm.running_var.uniform_(0.5, 2)
        norm.running_mean.normal_()

    def normed(values, norm):
        mean, var = (part[:, None, None] for part in (norm.running_mean, norm.running_var))
        return (values - mean) / (var + 1e-3).sqrt()

    maps = 2 * torch.randn(2, 4, 8, 8)
    hidden = torch.einsum("nchw,oc->nohw", maps, block.conv_pw.weight[:, :, 0, 0])
    hidden = functional.pad(normed(hidden, block.bn1).clamp(0, 6), (1, 2, 1, 2))
    hidden = functional.conv2d(hidden, block.conv_dw.weight, stride=2, groups=24)
    hidden = normed(hidden, block.bn2).clamp(0, 6)
    hidden = torch.einsum("nchw,oc->nohw", hidden, block.conv_pwl.weight[:, :, 0, 0])
    torch.testing.assert_close(block(maps), normed(hidden, block.bn3), atol=1e-5, rtol=1e-5)


def test_a_block_that_adds_nothing_is_the_identity():
    block = Block(8, 8, stride=1, kernel=3, expansion=6, rate=0.5)
    nn.init.zeros_(block.conv_pwl.weight)
    maps = torch.randn(3, 8, 5, 5)
    assert torch.equal(block(maps), maps)


def test_a_block_is_skipped_for_a_share_of_the_rows_and_weighs_more_for_the_others():
    torch.manual_seed(0)
    block = Block(4, 4, stride=1, kernel=3, expansion=6)
    maps = torch.randn(200, 4, 3, 3)
    with torch.no_grad():
        added = block(maps) - maps
        block.rate = 0.75
        found = block(maps) - maps
    skipped = (found == 0).all(dim=(1, 2, 3))
    assert 0.65 < skipped.float().mean().item() < 0.85
    torch.testing.assert_close(found[~skipped], 4 * added[~skipped], atol=1e-5, rtol=1e-5)


def test_the_chance_of_being_skipped_grows_in_equal_steps():
    rates = [block.rate for block in small().modules() if isinstance(block, Block)]
    assert rates == pytest.approx([0.2 * number / 15 for number in range(1, 16)])


def test_maps_embeddings_and_the_head_fit_each_other():
    network = small().eval()
    for height, width in ((33, 40), (96, 65)):
        images = torch.randn(2, 3, height, width)
        maps = network.features(images)
        assert maps.shape == (2, 160, -(-height // 32), -(-width // 32))
        torch.testing.assert_close(network.embed(images), maps.mean((2, 3)))
        assert torch.equal(network(images), network.classifier(network.embed(images)))
    assert network.num_features == 160
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


def test_every_parameter_is_in_one_group_and_the_head_in_the_last():
    network = small()
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        found = [i for i, group in enumerate(groups) for p in group if name.startswith(f"{p}.")]
        assert len(found) == 1
    assert groups[0] == ["conv_stem", "bn1"]
    assert groups[-2:] == [["conv_head", "bn2"], ["classifier"]]


def test_two_rows_of_the_least_size_can_be_trained_on_and_less_is_refused():
    settings = EfficientNetLiteSettings(width=0.125, stochastic_depth=0.0)
    network = settings.build(0, 2, images=[[1, 32, 32]]).train()
    network(torch.randn(2, 1, 32, 32)).sum().backward()
    assert network.conv_stem.weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="too small for the model 'efficientnet_lite0'"):
        settings.build(0, 2, images=[[1, 31, 40]])
