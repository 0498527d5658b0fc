"""GoogLeNet against published counts, plain functions and the laws of auxiliary heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.googlenet import BLOCKS
from glial.models.inception import Branches, Conv
from glial.nn import WithAuxiliary
from glial.training.freezing import belongs_to


def small(**settings):
    torch.manual_seed(0)
    return build("googlenet", num_outputs=5, images=[[3, 32, 32]], **{"width": 0.125, **settings})


def published(**settings):
    with torch.device("meta"):
        return build("googlenet", **settings)


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_as_many_as_those_of_the_published_weights():
    # Torchvision's documentation says 6,624,904, and its file of weights holds 13,004,888.
    assert count(published()) == 13_004_888
    assert count(published(auxiliary=False)) == 6_624_904


def test_layers_are_those_of_table_1():
    network = published(auxiliary=False)
    kinds = [type(module) for module in network.modules()]
    # Three convolutions and nine blocks of six; then the head.
    assert (kinds.count(nn.Conv2d), kinds.count(nn.Linear)) == (3 + 9 * 6, 1)
    # Outputs of the blocks: the column "output size" of table 1.
    outputs = [getattr(network, name).out_channels for name in BLOCKS]
    assert outputs == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    weights = 192 * (64 + 96 + 16 + 32) + 9 * (96 * 128 + 16 * 32)
    assert count(network.inception3a) == weights + 2 * (64 + 96 + 128 + 16 + 32 + 32)


def test_names_are_torchvisions():
    state = published().state_dict()
    shapes = {
        "conv1.conv.weight": (64, 3, 7, 7),
        "conv3.bn.running_var": (192,),
        "inception3a.branch1.conv.weight": (64, 192, 1, 1),
        "inception3a.branch2.1.conv.weight": (128, 96, 3, 3),
        "inception4e.branch3.1.conv.weight": (128, 32, 3, 3),
        "inception5b.branch4.1.bn.num_batches_tracked": (),
        "aux1.conv.conv.weight": (128, 512, 1, 1),
        "aux2.fc1.weight": (1024, 2048),
        "aux2.fc2.bias": (1000,),
        "fc.weight": (1000, 1024),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    # Five values a normalisation and a kernel for each of 59 convolutions, and five linear layers.
    assert len(state) == 59 * 6 + 5 * 2


# Of 97 places the first convolution leaves 49, and poolings 24, 12, 6 and 3.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width", "high", "wide"), [(15, 15, 1, 1), (64, 97, 2, 3), (224, 224, 7, 7)]
)
def test_it_takes_images_of_any_size(height, width, high, wide):
    network = small().eval()
    images = torch.randn(2, 3, height, width)
    maps = network.features(images)
    assert maps.shape == (2, network.num_features, high, wide)
    torch.testing.assert_close(network.embed(images), maps.mean((2, 3)))
    torch.testing.assert_close(network(images), network.fc(network.embed(images)))


def test_too_small_images_are_refused():
    with pytest.raises(InputError, match="too small"):
        build("googlenet", num_outputs=5, images=[[3, 14, 14]])
    small_images = torch.randn(1, 3, 15, 15)
    assert small().train()(small_images).outputs.shape == (1, 5)


def test_a_block_is_its_branches_one_after_another():
    torch.manual_seed(0)
    branches = {
        "branch1": [Conv(2)],
        "branch2": [Conv(3), Conv(4, 3)],
        "branch4": [nn.MaxPool2d(3, 1, 1), Conv(1)],
    }
    block = Branches(5, branches, int).eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    state = block.state_dict()

    def unit(maps, name, padding):
        hidden = functional.conv2d(maps, state[f"{name}.conv.weight"], None, 1, padding)
        mean, var, scale, shift = (
            state[f"{name}.bn.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((hidden - mean) / (var + 1e-3).sqrt() * scale + shift).relu()

    maps = torch.randn(2, 5, 6, 7)
    expected = [
        unit(maps, "branch1", 0),
        unit(unit(maps, "branch2.0", 0), "branch2.1", 1),
        unit(functional.max_pool2d(maps, 3, 1, 1), "branch4.1", 0),
    ]
    torch.testing.assert_close(block(maps), torch.cat(expected, 1), atol=1e-5, rtol=1e-5)


def test_auxiliary_heads_are_heard_in_training_alone():
    network = small(dropout=0.0, auxiliary_dropout=0.0)
    images = torch.randn(4, 3, 32, 32)
    found = network(images)
    assert isinstance(found, WithAuxiliary)
    assert [part.shape for part in (found.outputs, *found.auxiliary)] == [(4, 5)] * 3
    assert found.weight == 0.3
    seen = {}
    for stage in ("inception4a", "inception4d"):
        hook = lambda _module, _inputs, maps, stage=stage: seen.update({stage: maps})  # noqa: E731
        getattr(network, stage).register_forward_hook(hook)
    first, second = network(images).auxiliary
    torch.testing.assert_close(network.aux1(seen["inception4a"]), first)
    torch.testing.assert_close(network.aux2(seen["inception4d"]), second)
    network.eval()
    without = small(auxiliary=False).eval()
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("aux")}
    without.load_state_dict(state)
    assert torch.equal(without(images), network(images))
    assert isinstance(without.train()(images), torch.Tensor)


def test_an_auxiliary_head_averages_parts_and_hides_one_layer():
    network = small().eval()
    head, maps = network.aux1, torch.randn(2, network.inception4a.out_channels, 8, 12)
    parts = head.conv(functional.avg_pool2d(maps, (2, 3)))
    hidden = (parts.reshape(2, -1) @ head.fc1.weight.T + head.fc1.bias).relu()
    torch.testing.assert_close(head(maps), hidden @ head.fc2.weight.T + head.fc2.bias)


def test_new_heads_are_put_everywhere_and_taken_away():
    network = small()
    network.reset_head(7)
    found = network(torch.randn(2, 3, 32, 32))
    assert [part.shape for part in (found.outputs, *found.auxiliary)] == [(2, 7)] * 3
    network.remove_head()
    images = torch.randn(2, 3, 32, 32)
    assert not any(name.startswith(("aux", "fc")) for name in network.state_dict())
    assert torch.equal(network.eval()(images), network.embed(images))


@pytest.mark.parametrize("auxiliary", [True, False])
def test_every_parameter_is_in_one_layer_group(auxiliary):
    network = small(auxiliary=auxiliary)
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        assert sum(belongs_to(name, group) for group in groups) == 1
    assert groups[-1] == [*(["aux1", "aux2"] if auxiliary else []), "fc"]
    assert groups[0] == ["conv1", "conv2", "conv3"]


def test_a_narrow_network_starts_with_sums_as_large_as_the_published_one():
    torch.manual_seed(0)
    network = small(width=0.25)
    # Half the width has weights of twice the variance: 0.01 by the square root of a quarter.
    assert network.inception5b.branch2[1].conv.weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.slow
def test_it_learns_random_labels_by_heart():
    network = small(dropout=0.0, auxiliary=False)
    images, labels = torch.randn(16, 3, 32, 32), torch.randint(0, 5, (16,))
    optimizer = torch.optim.AdamW(network.parameters(), 0.005)
    for _ in range(40):
        loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3
