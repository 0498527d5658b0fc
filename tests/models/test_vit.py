"""The vision transformer against published counts, torch's own layers and laws of attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.models import build
from glial.models.vit import EncoderLayer, ViT, ViTSettings, resized_positions
from glial.nn import MultiHeadAttention
from glial.nn.summary import summarize


def small(image=(3, 64, 48), **settings):
    torch.manual_seed(0)
    return ViT(ViTSettings(width=0.125, **settings), image, 5)


def test_parameters_and_operations_are_the_published_ones_and_those_of_a_hand_count():
    """86,567,656 parameters and 17.564 billion multiply-adds, as torchvision publishes them."""
    size = 768
    attention = (size * 3 * size + 3 * size) + (size * size + size)
    mlp = (size * 4 * size + 4 * size) + (4 * size * size + size)
    layer = attention + mlp + 2 * 2 * size
    total = 3 * 256 * size + size + size + 197 * size + 12 * layer + 2 * size + size * 1000 + 1000
    with torch.device("meta"):
        network = build("vit_b_16")
        summary = summarize(network, (torch.zeros(1, 3, 224, 224),))
    assert sum(p.numel() for p in network.parameters()) == total == 86_567_656
    assert summary.flops / 2e9 == pytest.approx(17.564, abs=0.001)


def test_names_are_those_of_published_weights():
    with torch.device("meta"):
        state = build("vit_b_16").state_dict()
    assert len(state) == 4 + 12 * 12 + 2 + 2
    shapes = {
        "class_token": (1, 1, 768),
        "conv_proj.weight": (768, 3, 16, 16),
        "encoder.pos_embedding": (1, 197, 768),
        "encoder.layers.encoder_layer_0.ln_1.weight": (768,),
        "encoder.layers.encoder_layer_3.self_attention.in_proj_weight": (2304, 768),
        "encoder.layers.encoder_layer_3.self_attention.in_proj_bias": (2304,),
        "encoder.layers.encoder_layer_3.self_attention.out_proj.weight": (768, 768),
        "encoder.layers.encoder_layer_11.mlp.0.weight": (3072, 768),
        "encoder.layers.encoder_layer_11.mlp.3.bias": (768,),
        "encoder.ln.bias": (768,),
        "heads.head.weight": (1000, 768),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_attention_is_torchs():
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(24, 4), nn.MultiheadAttention(24, 4, batch_first=True)
    nn.init.normal_(ours.in_proj_bias)
    nn.init.normal_(ours.out_proj.bias)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    vectors = torch.randn(3, 7, 24)
    expected, _ = theirs(vectors, vectors, vectors)
    torch.testing.assert_close(ours(vectors), expected)


def test_a_layer_is_torchs_and_so_are_its_gradients():
    torch.manual_seed(0)
    ours = EncoderLayer(24, 4)
    theirs = nn.TransformerEncoderLayer(
        24, 4, 96, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    names = {"ln_1": "norm1", "ln_2": "norm2", "self_attention": "self_attn"}
    names |= {"mlp.0": "linear1", "mlp.3": "linear2"}
    state = {}
    for name, value in ours.state_dict().items():
        layer = next(key for key in names if name.startswith(f"{key}."))
        state[names[layer] + name.removeprefix(layer)] = value
    theirs.load_state_dict(state, strict=True)
    inputs = [torch.randn(3, 7, 24).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    outputs = [layer(part) for layer, part in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)


def test_a_layer_without_what_it_adds_is_the_identity():
    layer = EncoderLayer(8, 2)
    for linear in (layer.self_attention.out_proj, layer.mlp[3]):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    vectors = torch.randn(2, 3, 8)
    assert torch.equal(layer(vectors), vectors)


def test_where_a_patch_stands_is_told_by_the_positions_alone():
    network = small((3, 32, 32)).eval()
    images = torch.randn(2, 3, 32, 32)
    turned = images.flip(2).unflatten(2, (2, 16)).flip(3).flatten(2, 3)  # the rows of patches
    assert not torch.allclose(network(turned), network(images), atol=1e-5)
    with torch.no_grad():
        network.encoder.pos_embedding[:, [1, 2, 3, 4]] = network.encoder.pos_embedding[
            :, [3, 4, 1, 2]
        ]
    before = small((3, 32, 32)).eval()(images)
    torch.testing.assert_close(network(turned), before, atol=1e-5, rtol=1e-4)


def test_maps_hold_the_patches_in_their_places_and_the_embedding_is_the_class_tokens():
    network = small().eval()
    images = torch.randn(2, 3, 64, 48)
    network.encoder = nn.Identity()
    nn.init.normal_(network.class_token)
    torch.testing.assert_close(network.features(images), network.conv_proj(images))
    torch.testing.assert_close(network.embed(images), network.class_token[0].expand(2, -1))


@pytest.mark.parametrize("image", [(3, 64, 48), (1, 16, 80)])
def test_maps_embeddings_and_the_head_fit_each_other(image):
    network = small(image).eval()
    images = torch.randn(2, *image)
    assert network.features(images).shape == (2, 96, image[1] // 16, image[2] // 16)
    assert network.embed(images).shape == (2, 96)
    assert torch.equal(network(images), network.heads.head(network.embed(images)))
    assert network.num_features == 96
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


def test_every_parameter_is_in_one_group_and_the_head_in_the_last():
    network = small()
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        found = [
            i
            for i, group in enumerate(groups)
            for prefix in group
            if name == prefix or name.startswith(f"{prefix}.")
        ]
        assert len(found) == 1
    assert len(groups) == 14
    assert groups[0] == ["class_token", "conv_proj", "encoder.pos_embedding"]
    assert groups[-1] == ["encoder.ln", "heads"]


def test_the_width_keeps_twelve_heads():
    sizes = {1 / 8: 96, 0.3: 192, 0.01: 96, 2: 1536}
    for width, size in sizes.items():
        with torch.device("meta"):
            network = ViTSettings(width=width).build()
        assert network.num_features == size
        layer = network.encoder.layers.encoder_layer_0
        assert (layer.self_attention.heads, layer.mlp[0].out_features) == (12, 4 * size)


def test_images_that_do_not_fit_the_patches_or_the_network_are_refused():
    with pytest.raises(InputError, match=r"size=\[32,48\]"):
        ViTSettings().build(0, 5, images=[[3, 30, 48]])
    with pytest.raises(InputError, match="too small for the model 'vit_b_16'"):
        ViTSettings().build(0, 5, images=[[3, 15, 48]])
    with pytest.raises(InputError, match="images of another size"):
        small()(torch.zeros(1, 3, 48, 64))


def test_positions_of_two_by_two_patches_become_three_by_three_by_hand():
    """Half way between two corners, a cubic through values held beyond them is their mean."""
    corners = torch.tensor([9.0, 0.0, 2.0, 4.0, 8.0]).reshape(1, 5, 1)
    found = resized_positions(corners, (3, 3)).flatten()
    assert found[0] == 9  # the class token's
    by_hand = torch.tensor([0, 1, 2, 2, 3.5, 5, 4, 6, 8])
    torch.testing.assert_close(found[1:], by_hand)
    assert resized_positions(corners, (1, 4)) is corners


def test_published_weights_are_read_at_another_size_and_by_their_older_names():
    network, published = small((3, 32, 64)), small((3, 48, 48))
    state = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for name, value in published.state_dict().items()
    }
    assert "encoder.layers.encoder_layer_11.mlp.linear_2.bias" in state
    converted = ViTSettings().converted(state, network)
    network.load_state_dict(converted, strict=True)
    found = network.encoder.pos_embedding.detach().reshape(9, 96)
    grid = published.encoder.pos_embedding.detach()[:, 1:].reshape(3, 3, 96)
    torch.testing.assert_close(found[1], grid[0, 0])
    torch.testing.assert_close(found[8], grid[2, 2])
    assert torch.equal(found[0], published.encoder.pos_embedding[0, 0])
    same = ViTSettings().converted(published.state_dict(), published)
    assert same.keys() == published.state_dict().keys()
    assert torch.equal(same["encoder.pos_embedding"], published.encoder.pos_embedding)


def test_positions_of_images_that_are_not_square_fit_no_other_network():
    with pytest.raises(InputError, match="square images"):
        resized_positions(torch.zeros(1, 1 + 6, 8), (2, 2))


def test_dropout_works_in_training_only():
    network = small(dropout=0.5)
    images = torch.randn(2, 3, 64, 48)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
    assert sum(isinstance(module, nn.Dropout) for module in network.modules()) == 1 + 12 * 3


def test_weights_start_as_published():
    """Of one variance from pixels to vectors, Glorot's bounds in layers, and a small head."""
    network = small((3, 32, 32))
    layer = network.encoder.layers.encoder_layer_5
    assert network.conv_proj.weight.std().item() == pytest.approx(768**-0.5, rel=0.05)
    assert layer.mlp[0].weight.abs().max().item() == pytest.approx((6 / 480) ** 0.5, rel=0.01)
    bound = layer.self_attention.in_proj_weight.abs().max().item()
    assert bound == pytest.approx((6 / (96 + 288)) ** 0.5, rel=0.01)
    assert network.encoder.pos_embedding.std().item() == pytest.approx(0.02, rel=0.1)
    assert not network.class_token.any()
