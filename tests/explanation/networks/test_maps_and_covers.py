from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.explanation.networks import (
    attention_rollout,
    class_activation_map,
    grad_cam,
    occlusion,
)
from glial.models import build


@pytest.mark.slow
def test_grad_cam_equals_captum(convolution, images, classes, captum):
    layer = captum.LayerGradCam(convolution, convolution.last)
    maps = layer.attribute(images, target=classes, relu_attributions=True)
    expected = captum.LayerAttribution.interpolate(maps, (12, 12), "bilinear")
    for name in ("last", None):
        found = grad_cam(convolution, images, classes, layer=name).values[0]
        torch.testing.assert_close(found[:, :1], expected)


def test_maps_average_to_the_output(convolution, images, classes):
    found = class_activation_map(convolution, images, classes)
    maps = convolution.last(convolution.second(
        convolution.pool(convolution.relu(convolution.norm(convolution.first(images))))
    ))  # fmt: skip
    by_hand = torch.einsum("rc,rchw->rhw", convolution.head.weight[classes], maps)
    outputs = convolution(images).gather(1, classes[:, None])[:, 0]
    bias = convolution.head.bias[classes]
    torch.testing.assert_close(by_hand.mean(dim=(1, 2)) + bias, outputs)
    wide = nn.functional.interpolate(by_hand[:, None], (12, 12), mode="bilinear")
    torch.testing.assert_close(found.values[0][:, :1], wide)


def test_grad_cam_plus_plus_by_hand():
    # One map m, output y = 2 sum(m): gradients g = 2 everywhere, so each place's share is
    # g^2 / (2 g^2 + sum(m) g^3) = 1 / (2 + 2 sum(m)), and the weight 4 places of 2 such shares.
    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.ones_(self.maps.weight)

        def forward(self, images):
            return 2 * self.maps(images).flatten(1).sum(dim=1, keepdim=True)

    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    found = grad_cam(Summed(), image, plus_plus=True).values[0]
    torch.testing.assert_close(found, image * 4 * 2 / (2 + 2 * 10))


def test_cam_refuses_other_heads():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(InputError, match="averaged maps"):
        class_activation_map(network, torch.rand(1, 1, 4, 4))
    with pytest.raises(InputError, match="no maps"):
        grad_cam(nn.Linear(2, 2), torch.rand(1, 2))
    with pytest.raises(InputError, match="unknown layer"):
        grad_cam(network, torch.rand(1, 1, 4, 4), layer="9")


@pytest.mark.slow
def test_occlusion_equals_captum(convolution, images, classes, captum):
    expected = captum.Occlusion(convolution).attribute(
        images, target=classes, sliding_window_shapes=(3, 4, 4), strides=(3, 2, 2)
    )
    found = occlusion(convolution, images, classes, window=4, stride=2).values[0]
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-6)


def test_occlusion_of_tokens_by_hand():
    table = nn.EmbeddingBag(5, 1, mode="sum")
    tokens = torch.tensor([[2, 3, 4]])
    found = occlusion(table, tokens, fill=1).values[0]
    torch.testing.assert_close(found[0], (table.weight[tokens[0], 0] - table.weight[1, 0]).detach())
    with pytest.raises(InputError, match="window"):
        occlusion(nn.Linear(2, 1), torch.zeros(1, 2), window=3)


def test_rollout_of_one_layer_is_its_attention_and_the_place_itself():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x)[0]

    inputs = torch.randn(2, 5, 4)
    weights = layer(inputs, inputs, inputs, average_attn_weights=True)[1].detach()
    found = attention_rollout(One(), inputs, query=1)
    torch.testing.assert_close(found, (0.5 * weights + 0.5 * torch.eye(5))[:, 1])


def test_rollout_of_two_layers_multiplies_them():
    network = build("sequence_transformer", num_outputs=2, sequences=[[3]])
    inputs = (torch.randn(2, 7, 3), torch.tensor([7, 7]))
    found = attention_rollout(network, inputs)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2))
    with pytest.raises(InputError, match="rolled out"):
        attention_rollout(nn.Linear(2, 2), torch.zeros(1, 2))


def test_the_part_whose_cover_costs_more_matters_more():
    """A dog of 98 % stays at 98 % with one part covered, and falls to 65 % with the other."""

    class Dog(nn.Module):
        def forward(self, images):
            legs, head = images[:, 0, :, :4].mean((1, 2)), images[:, 0, :, 4:].mean((1, 2))
            return (0.65 + 0.33 * head + 0.0 * legs)[:, None]

    image = torch.ones(1, 1, 8, 8)
    found = occlusion(Dog(), image, window=[8, 4], stride=[8, 4])
    assert found.output.item() == pytest.approx(0.98)
    legs, head = found.values[0][0, 0, 0, 0], found.values[0][0, 0, 0, 7]
    assert (0.98 - legs).item() == pytest.approx(0.98)
    assert (0.98 - head).item() == pytest.approx(0.65)
    assert head > legs
