"""Images that keep their sizes: as cells, in buckets, opened with their mask, and in batches."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding, fingerprint, open_images
from glial.data.augmentation import Augmentation, AugmentSettings
from glial.data.batches import Batch
from glial.data.encoders.varied import VariedImageEncoder
from glial.data.grouped import GroupedBatches
from glial.data.images.varied import (
    buckets_of,
    choose_buckets,
    is_packed,
    pack,
    sizes_of,
    unpack,
)
from glial.data.quality.sheet import understood
from glial.functional.masked import masked_places, mean_of_places
from glial.models.residual_cnn import ResidualCNNSettings
from glial.training import outputs_of

Image = pytest.importorskip("PIL.Image")

SIZES = [(20, 30), (30, 20), (9, 31), (24, 24)]


def settings(**images):
    return DataSettings(images={"size": "varied", **images})


@pytest.fixture
def paths(tmp_path):
    """Eight images of four sizes with colours, and their pixels."""
    draw = np.random.default_rng(0)
    names, pixels = [], []
    for number in range(8):
        pixels.append(draw.integers(0, 256, (*SIZES[number % 4], 3), dtype=np.uint8))
        names.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels[-1]).save(names[-1])
    return pl.Series("photo", names), pixels


def test_packed_images_come_back_as_they_were():
    draw = np.random.default_rng(0)
    for shape in ((1, 1), (3, 700), (300, 5, 3), (256, 257)):
        image = draw.integers(0, 256, shape, dtype=np.uint8)
        packed = pack(image, image.size + 99)
        assert np.array_equal(unpack(packed), image)
        assert sizes_of(packed[None]).tolist() == [list(shape[:2])]


def test_buckets_are_merged_where_that_adds_the_fewest_pixels():
    sizes = np.array([[8, 64]] * 5 + [[8, 56]] * 5 + [[64, 8]] * 5 + [[64, 64]])
    assert choose_buckets(sizes, 4).tolist() == [[8, 56], [8, 64], [64, 8], [64, 64]]
    # By hand: 8 x 56 in 8 x 64 adds 5 * 64 pixels; anything else adds thousands.
    assert choose_buckets(sizes, 3).tolist() == [[8, 64], [64, 8], [64, 64]]
    assert choose_buckets(sizes, 1).tolist() == [[64, 64]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("longest", [7, 60, 128, 300])
def test_buckets_hold_every_image_and_more_of_them_add_no_pixels(seed, longest):
    sizes = np.random.default_rng(seed).integers(1, longest + 1, (200, 2))
    padded = []
    for most in range(1, 12):
        buckets = choose_buckets(sizes, most)
        numbers = buckets_of(sizes, buckets)
        assert len(buckets) <= most
        assert (numbers >= 0).all()
        assert (buckets[numbers] >= sizes).all()
        assert (buckets % 8 == 0).all()
        assert (buckets[-1] == buckets.max(axis=0)).all()
        padded.append(int(buckets[numbers].prod(axis=1).sum()))
    assert padded[-1] <= padded[0]
    # The smallest that holds an image, by trying all.
    for size, number in zip(sizes[:20], numbers, strict=False):
        holding = [b for b in buckets.tolist() if b[0] >= size[0] and b[1] >= size[1]]
        assert buckets[number].prod() == min(h * w for h, w in holding)


def test_the_greedy_buckets_add_little_more_than_the_best_ones():
    sizes = np.random.default_rng(1).choice([8, 16, 24, 32], (40, 2))
    boxes = np.unique(sizes, axis=0).tolist()
    found = choose_buckets(sizes, 3)
    cost = found[buckets_of(sizes, found)].prod(axis=1).sum()
    best = min(
        sum(min(h * w for h, w in some if h >= a and w >= b) for a, b in sizes.tolist())
        for some in itertools.combinations(boxes, 3)
        if [32, 32] in some
    )
    assert cost <= 1.1 * best


def test_buckets_are_no_smaller_than_a_network_needs():
    assert choose_buckets(np.array([[9, 20], [20, 9]]), 4, least_side=16).tolist() == [
        [16, 24],
        [24, 16],
        [24, 24],
    ]
    assert choose_buckets(np.array([[9, 20]]), 4, multiple=12).tolist() == [[24, 24]]


def test_images_above_the_longest_side_are_made_smaller_and_never_distorted(tmp_path):
    big = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 300), dtype=np.uint8))
    small = Image.fromarray(np.full((5, 9), 7, dtype=np.uint8))
    names = [str(tmp_path / "big.png"), str(tmp_path / "small.png")]
    big.save(names[0])
    small.save(names[1])
    opened = open_images([pl.DataFrame({"x": names})], ["x"], settings(max_side=60).images)
    assert opened.forms["x"].fit == "varied"
    cells = opened.tables[0]["x"]
    assert is_packed(cells)
    first, second = (unpack(cell) for cell in cells.to_numpy())
    assert np.array_equal(first, np.asarray(big.resize((60, 18), Image.Resampling.BILINEAR)))
    assert np.array_equal(second, np.asarray(small))


def test_cells_say_what_the_images_are(paths):
    column, _ = paths
    table = pl.DataFrame({"x": [*column, column[0]]})
    cells = open_images([table], ["x"], settings().images).tables[0]
    assert fingerprint(cells) == fingerprint(cells.clone())
    assert fingerprint(cells) != fingerprint(cells[::-1])
    assert understood(cells, {"x": "image"})["x"].n_unique() == 8  # the copy is found


def test_rows_hold_their_pixels_the_mean_colour_and_a_mask(paths):
    column, pixels = paths
    encoder = VariedImageEncoder.fit(column, settings(mask=True))
    colours = np.concatenate([image.reshape(-1, 3) for image in pixels]) / 255
    assert np.allclose(encoder.mean, colours.mean(axis=0))
    assert np.allclose(encoder.scale, 1 / colours.std(axis=0))
    held = encoder.tensor(column)
    assert held.dtype == torch.uint8
    areas = encoder.buckets[encoder.groups(held).numpy()].prod(axis=1)
    assert held.shape[1] == 5 + 3 * areas.max()  # no more than the largest bucket in use
    fill = torch.from_numpy(np.round(255 * encoder.mean)).to(torch.uint8)
    for some in ([0], [0, 4], [2], list(range(8))):
        opened = encoder.opened(held[some])
        wanted = encoder.buckets[encoder.groups(held[some]).numpy()].max(axis=0)
        assert list(opened.shape) == [len(some), 4, *wanted]
        for row, image in zip(opened, (pixels[i] for i in some), strict=True):
            height, width = image.shape[:2]
            assert np.array_equal(row[:3, :height, :width].permute(1, 2, 0).numpy(), image)
            assert (row[3, :height, :width] == 255).all()
            assert int((row[3] > 0).sum()) == height * width
            padding = row[:3].permute(1, 2, 0)[row[3] == 0]
            assert (padding == fill).all()
    images, mask = encoder.finish(held)
    real = mask.expand_as(images) > 0
    assert images[real].reshape(-1).mean().abs() < 0.01
    assert (images[~real].abs() < 0.02).all()  # the mean colour, as a byte says it


def test_a_row_without_image_is_of_the_mean_colour(paths):
    column, _ = paths
    encoder = VariedImageEncoder.fit(column, settings(mask=True))
    images, mask = encoder.finish(encoder.tensor(pl.Series("x", [None], dtype=pl.String)))
    assert (images.abs() < 0.02).all()
    assert (mask == 1).all()


def test_images_of_sizes_that_training_never_had_are_padded_too(tmp_path):
    names = []
    for number, shape in enumerate([(16, 60), (60, 16), (60, 60), (500, 500), (3, 2)]):
        names.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(np.full(shape, 9, dtype=np.uint8)).save(names[-1])
    encoder = VariedImageEncoder.fit(pl.Series("x", names[:2]), settings())
    held = encoder.tensor(pl.Series("x", names))
    assert encoder.buckets.tolist() == [[16, 64], [64, 16], [64, 64]]
    assert encoder.groups(held).tolist() == [0, 1, 2, 2, 0]
    # Where no such image is, nothing is held for one.
    assert encoder.tensor(pl.Series("x", names[:2])).shape[1] == 5 + 16 * 64


def test_an_encoding_is_saved_and_read_again(paths, tmp_path):
    column, _ = paths
    frame = pl.DataFrame({"photo": column})
    encoding = Encoding.fit(frame, {"photo": "image"}, settings(mask=True))
    encoding.save(tmp_path)
    again = Encoding.load(tmp_path)
    rows = encoding.arguments(encoding.transform(frame))
    assert torch.equal(again.arguments(again.transform(frame))[0], rows[0])
    for ours, theirs in zip(encoding.finish(rows), again.finish(rows), strict=True):
        assert torch.equal(ours, theirs)
    assert again.groups(rows).tolist() == encoding.groups(rows).tolist()
    assert again.sizes("image") == [[3, 16, 24]]


def test_a_changed_list_of_sizes_is_refused(paths):
    encoder = VariedImageEncoder.fit(paths[0], settings())
    for buckets in (np.zeros((0, 2), dtype=np.int64), np.array([[8, 8]]), np.array([8, 8])):
        with pytest.raises(ValueError, match="an image column"):
            dataclasses.replace(encoder, buckets=buckets)


def test_arrays_of_one_size_are_one_bucket():
    column = pl.Series("x", np.zeros((3, 10, 12), dtype=np.uint8))
    encoder = VariedImageEncoder.fit(column, settings())
    assert encoder.buckets.tolist() == [[16, 16]]
    assert encoder.finish(encoder.tensor(column)).shape == (3, 1, 16, 16)


def test_every_row_comes_once_an_epoch_beside_rows_of_its_group():
    groups = torch.tensor([0] * 10 + [1] * 7 + [2])
    rows = Batch((torch.arange(18.0)[:, None],), torch.arange(18))
    batches = GroupedBatches(rows, groups, batch_size=4, seed=3)
    assert batches.num_batches == 3 + 2 + 1
    for epoch in range(3):
        found = list(batches.epoch(epoch))
        assert len(found) == batches.num_batches
        assert torch.cat([batch.target for batch in found]).sort()[0].tolist() == list(range(18))
        assert all(len(groups[batch.target].unique()) == 1 for batch in found)
        assert sorted(len(batch.target) for batch in found) == [1, 3, 3, 3, 4, 4]
        for start in range(7):
            rest = [batch.target.tolist() for batch in batches.epoch(epoch, start)]
            assert rest == [batch.target.tolist() for batch in found[start:]]
    first, second = ([b.target.tolist() for b in batches.epoch(epoch)] for epoch in (0, 1))
    assert first != second


def test_outputs_of_groups_stand_in_the_order_of_the_rows():
    rows = torch.arange(12.0)[:, None]
    groups = torch.arange(12) % 3
    seen = []

    def finish(inputs):
        seen.append(inputs[0].flatten().tolist())
        return inputs

    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(2.0)
    outputs = outputs_of(network, (rows,), finish, groups)
    assert torch.equal(outputs, 2 * rows)
    assert seen == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


def test_augmentation_moves_the_mask_with_its_image(paths):
    column, pixels = paths
    encoding = Encoding.fit(pl.DataFrame({"photo": column}), {"photo": "image"}, settings())
    rows = Batch(
        encoding.arguments(encoding.transform(pl.DataFrame({"photo": column}))), torch.arange(8)
    )
    augment = Augmentation(
        AugmentSettings(flip="horizontal", noise=0.2), ["image"], rows, encoding.opened
    )
    (changed,) = augment(rows, 1).inputs
    flipped = 0
    for row, image in zip(changed, pixels, strict=True):
        places = row[3].nonzero()
        top, left = places.amin(dim=0).tolist()
        assert len(places) == image.shape[0] * image.shape[1]
        assert set(row[3].unique().tolist()) <= {0.0, 1.0}  # noise leaves the mask alone
        found = row[:3, top : top + image.shape[0], left : left + image.shape[1]]
        wanted = torch.from_numpy(image).permute(2, 0, 1) / 255
        if left:
            wanted, flipped = wanted.flip(-1), flipped + 1
        assert (found - wanted).abs().mean() < 0.25 < (found - wanted.flip(-1)).abs().mean()
    assert 0 < flipped < 8


def test_places_without_a_real_pixel_are_zero_and_count_nothing():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2, :3] = 1
    maps = torch.tensor([[1.0, 2.0], [4.0, 8.0]])[None, None]
    assert masked_places(maps, mask).flatten().tolist() == [1.0, 2.0, 0.0, 0.0]
    # Four real pixels of the first place and two of the second, by hand.
    assert mean_of_places(maps, mask).item() == pytest.approx((4 * 1 + 2 * 2) / 6)
    assert mean_of_places(maps, torch.ones(1, 1, 4, 4)).item() == pytest.approx(15 / 4)
    assert mean_of_places(maps, None).item() == pytest.approx(15 / 4)
    assert mean_of_places(maps, torch.zeros(1, 1, 4, 4)).item() == 0.0
    assert masked_places(maps, None) is maps


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["none", "spatial"])
@pytest.mark.parametrize("stem", [1, 2, 4])
def test_more_padding_changes_nothing_where_a_mask_says_so(stem, attention):
    torch.manual_seed(0)
    settings = ResidualCNNSettings(widths=[8, 16, 32], stem=stem, attention=attention)
    network = settings.build(0, 5, images=[[3, 32, 32]]).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training: padding is not 0 behind them
            module.running_mean.normal_()
            nn.init.normal_(module.bias)
    network.eval()
    images = torch.randn(2, 3, 22, 37, dtype=torch.float64)

    def padded(height, width):
        canvas = torch.full((2, 3, height, width), 0.3, dtype=torch.float64)
        canvas[..., :22, :37] = images
        mask = torch.zeros(2, 1, height, width, dtype=torch.float64)
        mask[..., :22, :37] = 1
        return canvas, mask

    wanted = network(*padded(32, 48))
    for size in ((32, 64), (48, 48), (128, 96)):
        assert torch.allclose(network(*padded(*size)), wanted, rtol=0, atol=1e-12)
    plain = [network(padded(*size)[0]) for size in ((32, 48), (128, 96))]
    assert (plain[0] - plain[1]).abs().max() > 0.01  # what the mask is for


def test_a_mask_of_ones_is_as_no_mask():
    network = ResidualCNNSettings(widths=[4, 8]).build(0, 3, images=[[1, 16, 24]]).eval()
    images = torch.randn(2, 1, 16, 24)
    assert torch.allclose(network(images, torch.ones_like(images)), network(images), atol=1e-6)


@pytest.mark.parametrize("bad", [{"buckets": 0}, {"max_side": 0}, {"size": "some"}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises((InputError, ValueError)):
        settings(**bad)
