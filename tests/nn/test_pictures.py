"""Filters, feature maps and receptive fields: the numbers, and the pictures of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from glial.core.errors import InputError
from glial.models import build
from glial.nn.pictures import (
    Sheet,
    Strip,
    Tile,
    cell_grid,
    draw_filters,
    draw_maps,
    draw_receptive_fields,
    feature_maps,
    measure_fields,
)


def pixels_of(sheet: Sheet) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(sheet.png())))


def first_tile(sheet: Sheet) -> np.ndarray:
    """The picture from the first tile's corner on: 14 pixels of margin, 22 of heading."""
    return pixels_of(sheet)[36:, 14:]


def convolution(weight: torch.Tensor, **sizes) -> nn.Conv2d:
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], bias=False, **sizes)
    layer.weight.data.copy_(weight)
    return layer


SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])


def test_a_grey_filter_appears_as_its_tile():
    sheet = draw_filters(nn.Sequential(convolution(SOBEL[None, None])))
    assert sheet.strips[0].heading == "0: 1 filter of 1 x 3 x 3; black -2, grey 0, white 2"
    # -2 is 0, 0 is 127.5 rounded up, 2 is 255, and +-1 lie half-way; a weight is 16 pixels wide.
    bytes_of = np.array([[64, 128, 191], [0, 128, 255], [64, 128, 191]], dtype=np.uint8)
    large = np.repeat(bytes_of.repeat(16, axis=0).repeat(16, axis=1)[..., None], 3, axis=2)
    assert np.array_equal(first_tile(sheet)[:48, :48], large)


def test_a_filter_of_colours_is_drawn_in_them():
    red = torch.zeros(1, 3, 1, 1)
    red[0, 0], red[0, 2] = 0.5, -0.5
    strip = draw_filters(nn.Sequential(convolution(red))).strips[0]
    assert strip.pixels(strip.tiles[0]).tolist() == [[[255, 128, 0]]]


def test_deeper_filters_are_means_over_channels():
    weight = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), convolution(weight))
    first, second = draw_filters(network, most=3).strips
    assert second.heading.startswith("2: 3 of 5 filters of 4 x 3 x 3, mean over channels")
    means = weight[:3].numpy().mean(axis=1)
    assert np.allclose(torch.stack([tile.values for tile in second.tiles]), means)
    assert (second.low, second.high) == pytest.approx((-abs(means).max(), abs(means).max()))
    assert len(first.tiles) == 3


def test_filters_of_one_pixel_are_drawn_only_where_named():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3))
    drawn = [strip.heading.partition(":")[0] for strip in draw_filters(network).strips]
    assert drawn == ["0", "2"]
    assert len(draw_filters(network, ["1"]).strips) == 1


def test_an_edge_filter_fires_at_an_edge():
    image = torch.zeros(1, 8, 8)
    image[:, :, 4:] = 1.0  # dark on the left, bright from column 4 on
    network = nn.Sequential(convolution(SOBEL[None, None]), nn.ReLU())
    (maps,) = feature_maps(network, image)
    # Windows at columns 2 and 3 lie over the edge; there the rise is 1 + 2 + 1.
    by_hand = [0, 0, 4, 4, 0, 0]
    assert maps.values.tolist() == [[by_hand] * 6]
    strip = draw_maps(network, image).strips[1]
    colours = strip.pixels(strip.tiles[0])
    assert colours[0, 2].tolist() == [255, 255, 255]
    assert colours[0, 0].tolist() == [6, 6, 18]


def test_maps_are_what_hooks_see_and_the_strongest_come_first():
    torch.manual_seed(0)
    network = build("residual_cnn", num_outputs=3, images=[[3, 16, 16]], widths=[4, 8])
    network.train()
    image = torch.randn(3, 16, 16)
    seen = {}
    names = ["stem.2", "blocks.1.activation2", "blocks.1"]
    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.update({name: output.detach().clone()})
        )
        for name in names
    ]
    network.eval()
    network(image[None])
    network.train()
    for handle in handles:
        handle.remove()
    found = feature_maps(network, image, names)
    assert {maps.layer for maps in found} == set(names)
    for maps in found:
        assert torch.equal(maps.values, seen[maps.layer][0])
        strength = maps.values.abs().mean(dim=(1, 2))[maps.strongest]
        assert (strength[:-1] >= strength[1:]).all()
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    sheet = draw_maps(network, image, ["stem.2"], most=2)
    assert [tile.label for tile in sheet.strips[1].tiles] == [
        str(c) for c in found[0].strongest[:2]
    ]


def test_an_activation_that_writes_over_its_input_leaves_the_maps_before_it():
    network = nn.Sequential(convolution(torch.tensor([[[[-1.0]]]])), nn.ReLU(inplace=True))
    before, after = feature_maps(network, torch.ones(1, 2, 2), ["0", "1"])
    assert before.values.unique().tolist() == [-1]
    assert after.values.unique().tolist() == [0]
    assert draw_maps(network, torch.ones(1, 2, 2), ["0"]).strips[1].palette == "signs"


def test_each_call_of_a_shared_layer_is_shown():
    relu = nn.ReLU()
    network = nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 3), relu)
    names = [maps.layer for maps in feature_maps(network, torch.rand(1, 8, 8))]
    assert names == ["1 (call 1 of 2)", "1 (call 2 of 2)"]


def test_maps_with_channels_behind_are_turned():
    class Behind(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.active = nn.Conv2d(1, 3, 3), nn.GELU()

        def forward(self, images):
            return self.active(self.convolution(images).permute(0, 2, 3, 1))

    network = Behind()
    image = torch.rand(1, 8, 9)
    (maps,) = feature_maps(network, image)
    assert torch.equal(maps.values, network(image[None])[0].permute(2, 0, 1))


CHAINS = {
    # Layers, then size and stride of each by hand: size grows by (kernel - 1) times the stride.
    "3x3 twice is 5x5": ([nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)], [(3, 1), (5, 1)]),
    "a stride doubles what follows": (
        [nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)],
        [(3, 2), (7, 2)],
    ),
    "a pooling": (
        [nn.Conv2d(1, 4, 5), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3)],
        [(5, 1), (6, 2), (10, 2)],
    ),
    "a dilation": ([nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, dilation=3)], [(3, 1), (9, 1)]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_fields_of_chains_are_those_by_hand_and_the_gradients_support(name):
    layers, by_hand = CHAINS[name]
    torch.manual_seed(0)
    found = measure_fields(nn.Sequential(*layers), (1, 32, 32))
    assert [(field.to_dict()["height"], field.to_dict()["stride"]) for field in found] == by_hand
    assert all(field.box[2] == field.box[3] for field in found)
    assert [field.support for field in found] == [field.box for field in found]


@pytest.mark.slow
def test_fields_of_named_models_are_the_published_ones():
    # Araujo, Norris, Sim (2019), doi:10.23915/distill.00021: AlexNet 195, VGG-16 212.
    for name, layer, size in (("alexnet", "features.12", 195), ("vgg16", "features.30", 212)):
        network = build(name, num_outputs=2, images=[[3, 64, 64]], width=0.125)
        (found,) = measure_fields(network, (3, 64, 64), [layer], samples=1)
        assert found.box[2:] == (size, size)
        assert found.field.stride == (32, 32)


def test_fields_grow_with_depth_also_past_shortcuts():
    torch.manual_seed(0)
    network = build("residual_cnn", num_outputs=2, images=[[1, 12, 12]], widths=[4, 8])
    found = measure_fields(network, (1, 32, 32))
    sizes = [field.box[2] for field in found]
    # Stem 3; two convolutions at stride 1; one that halves, then one at stride 2.
    assert sizes == [3, 5, 7, 9, 13]
    assert [field.layer for field in found][::2] == ["stem.0", "blocks.0.conv2", "blocks.1.conv2"]
    for field in found:
        inside = torch.zeros_like(field.strength)
        top, left, height, width = field.box
        inside[max(top, 0) : top + height, max(left, 0) : left + width] = 1
        assert (field.strength * (1 - inside)).sum() == 0
        assert field.support == field.box


def test_layers_that_work_at_each_place_widen_no_field():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
            self.norm, self.dense, self.active = nn.LayerNorm(4), nn.Linear(4, 4), nn.Hardswish()
            self.relu = nn.PReLU(4)

        def forward(self, images):
            hidden = self.norm(self.first(images).permute(0, 2, 3, 1))
            return self.second(self.relu(self.active(self.dense(hidden)).permute(0, 3, 1, 2)))

    torch.manual_seed(0)
    found = measure_fields(Mixed(), (1, 16, 16), ["first", "active", "relu", "second"])
    assert [field.box[2] for field in found] == [3, 3, 3, 5]
    assert [field.support for field in found] == [field.box for field in found]


def test_the_middle_counts_more_than_the_edge():
    # Two box filters make a triangle: 1 2 3 2 1 along each side (Luo et al. 2016, section 2).
    box = torch.ones(1, 1, 3, 3)
    network = nn.Sequential(convolution(box), convolution(box))
    found = measure_fields(network, (1, 9, 9))[1]
    along = torch.tensor([1.0, 2, 3, 2, 1], dtype=torch.float64)
    assert torch.equal(found.strength[2:7, 2:7], along[:, None] * along)


def test_behind_a_global_pooling_units_see_the_image():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 2, 1))
    sheet, found = draw_receptive_fields(network, (1, 10, 12), ["2"])
    assert found[0].to_dict() == {"layer": "2", "height": 10, "width": 12, "stride": 0}
    assert found[0].support == (0, 0, 10, 12)
    assert sheet.strips[0].tiles[0].label == "2\nall of the image"


def test_the_box_is_outlined_around_what_is_seen():
    network = nn.Sequential(convolution(torch.ones(1, 1, 3, 3)))
    sheet, (found,) = draw_receptive_fields(network, (1, 12, 12))
    assert found.box == (5, 5, 3, 3)  # unit 5 of 10 sees pixels 5 to 7
    factor = 174 // 12
    rows, columns = (first_tile(sheet) == (0, 214, 255)).all(axis=2).nonzero()
    assert (rows.min(), rows.max()) == (5 * factor - 1, 8 * factor)
    assert (columns.min(), columns.max()) == (5 * factor - 1, 8 * factor)


def test_networks_and_layers_that_cannot_be_drawn_are_refused():
    dense = nn.Sequential(nn.Linear(2, 2))
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(36, 1))
    for draw in (
        lambda network, layers: draw_filters(network, layers),
        lambda network, layers: draw_maps(network, torch.zeros(1, 8, 8), layers),
        lambda network, layers: draw_receptive_fields(network, (1, 8, 8), layers),
    ):
        with pytest.raises(InputError, match="no convolutions"):
            draw(dense, None)
        with pytest.raises(InputError, match="unknown layer 'O'"):
            draw(network, ["O"])
        with pytest.raises(InputError, match=r"'2' (gives no maps|has no filters)"):
            draw(network, ["0", "2"])
        assert not any(module._forward_hooks for module in network.modules())


def test_many_tiles_are_laid_in_rows_and_long_words_cut():
    tiles = [Tile(torch.eye(3), "a very long label") for _ in range(50)]
    narrow = pixels_of(Sheet([Strip("x" * 500, tiles[:1], 0.0, 1.0)]))
    wide = pixels_of(Sheet([Strip("x" * 500, tiles, 0.0, 1.0)]))
    assert narrow.shape[1] == wide.shape[1]
    # 20 tiles of 48 pixels and 6 between them fill 1104 - 28: 50 make two more rows of 67.
    assert wide.shape[0] - narrow.shape[0] == 2 * (48 + 13 + 6)
    assert (wide[:, -14:] == 255).all()


def test_numbers_that_are_none_are_drawn_as_the_lowest():
    strip = Strip("one", [Tile(torch.tensor([[float("nan"), 1.0]]))], 0.0, 1.0)
    assert strip.pixels(strip.tiles[0])[0, :, 0].tolist() == [0, 255]


def test_rows_of_a_hexagonal_map_are_shifted_by_half_a_cell():
    values = torch.arange(6.0).reshape(3, 2)
    grid = cell_grid(values, hexagonal=True)
    # The last row and every second from it begin at the left edge; the others half a cell later.
    wanted = [[0, 0, 1, 1, 1], [2, 2, 2, 3, 3], [4, 4, 5, 5, 5]]
    assert grid[::2].tolist() == wanted
    assert torch.equal(grid[::2], grid[1::2])
    assert torch.equal(cell_grid(values)[::2, ::2], values)
