"""Where layers look: what is told is what is computed, for every network with attention."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from PIL import Image
from torch import nn

from glial.core.errors import InputError
from glial.models import build
from glial.models.gpt2 import GPT2, CausalAttention, GPT2Settings
from glial.nn import MultiHeadAttention
from glial.nn.attended import attended
from glial.nn.pictures import Alignment, alignment_png, alignment_svg, alignments

SOURCES = torch.tensor([[3, 4, 5, 0], [6, 7, 3, 4]])
TARGETS = torch.tensor([[2, 3, 1], [2, 1, 0]])


def made(name, **settings):
    torch.manual_seed(0)
    return build(name, num_outputs=5, vocabularies=[9, 5], size=8, **settings)


@pytest.mark.parametrize(
    ("name", "settings", "layers"),
    [
        ("seq2seq", {"attention": "additive"}, [(1, 3, 4, True)]),
        (
            "transformer",
            {"layers": 1, "heads": 2},
            [(2, 4, 4, False), (2, 3, 3, False), (2, 3, 4, True)],
        ),
    ],
)
def test_every_layer_is_told_and_nothing_is_changed(name, settings, layers):
    network = made(name, **settings)
    before = network(SOURCES, TARGETS).detach() if name == "seq2seq" else None
    found = attended(network, SOURCES, TARGETS)
    assert network.training
    assert [(*one.weights.shape[1:], one.crosses) for one in found] == layers
    for one in found:
        sums = one.weights.sum(dim=3)
        torch.testing.assert_close(sums, torch.ones_like(sums))
        if one.weights.shape[3] == 4:
            assert not one.weights[0, :, :, 3].any()  # padding
    if before is not None:
        assert not any(module._forward_hooks for module in network.modules())


def test_told_weights_are_those_that_mix():
    torch.manual_seed(0)
    layer, vectors = MultiHeadAttention(4, 2).eval(), torch.randn(2, 3, 4)
    (found,) = attended(nn.Sequential(layer), vectors)
    values = nn.functional.linear(vectors, layer.in_proj_weight[8:], layer.in_proj_bias[8:])
    values = values.reshape(2, 3, 2, 2).transpose(1, 2)
    mixed = (found.weights @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer.out_proj(mixed), layer(vectors))


def test_a_decoder_looks_back_alone():
    torch.manual_seed(0)
    settings = GPT2Settings(vocabulary=9, context=8, size=8, layers=2, heads=2, dropout=0.0)
    found = attended(GPT2(settings), torch.tensor([[3, 4, 5]]))
    assert [one.layer for one in found] == ["transformer.h.0.attn", "transformer.h.1.attn"]
    for one in found:
        assert not one.crosses
        assert not one.weights.triu(1).any()
    layer, vectors = CausalAttention(settings).eval(), torch.randn(1, 4, 8)
    values = layer.c_attn(vectors).chunk(3, dim=2)[2].reshape(1, 4, 2, 4).transpose(1, 2)
    mixed = (layer.weights(vectors) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer.c_proj(mixed), layer(vectors))


def test_bert_tells_each_layer_once():
    torch.manual_seed(0)
    network = build("bert", num_outputs=2, vocabularies=[9], size=8, layers=2, heads=2, context=10)
    found = attended(network, SOURCES)
    assert [one.weights.shape for one in found] == [(2, 2, 4, 4)] * 2
    told = network.eval().weights(SOURCES)
    for one, weights in zip(found, told, strict=True):
        torch.testing.assert_close(one.weights, weights)


def test_networks_without_attention_are_refused():
    with pytest.raises(InputError, match="no attention"):
        attended(nn.Linear(2, 2), torch.zeros(1, 2))
    with pytest.raises(InputError, match="no attention"):
        attended(made("seq2seq", attention="none"), SOURCES, TARGETS)


def drawn():
    found = attended(made("transformer", layers=1, heads=2), SOURCES[:1], TARGETS[:1])
    return alignments(found[2:], ["<a>", "b", "end"], ["▁x", "y", "&", "z"])


def test_a_drawing_has_a_cell_for_each_pair_and_its_share():
    maps = drawn()
    assert [one.heading for one in maps] == [
        f"decoder.layers.0.multihead_attn, head {number}" for number in (1, 2)
    ]
    tree = ElementTree.fromstring(alignment_svg(maps))
    cells = [part for part in tree.findall(".//{*}rect") if len(part)]
    assert len(cells) == 2 * 3 * 4
    told = cells[0][0].text
    assert told == f"<a> from ▁x: {maps[0].shares[0, 0]:.2f}"
    texts = [part.text for part in tree.findall(".//{*}text")]
    assert texts.count("&") == 2
    width, height = float(tree.get("width")), float(tree.get("height"))
    for cell in cells:
        assert float(cell.get("x")) + 16 <= width
        assert float(cell.get("y")) + 16 <= height


def test_a_picture_is_darker_where_more_was_taken():
    one = Alignment("one", torch.tensor([[0.0, 1.0]]), ["a"], ["b", "c"])
    image = Image.open(io.BytesIO(alignment_png([one])))
    left, top = 24 + one.margins[0], 24 + 22 + one.margins[1]
    cells = [image.getpixel((left + 16 * column + 8, top + 8)) for column in range(2)]
    assert cells[0] == (255, 255, 255)
    assert cells[1] == (16, 60, 120)
