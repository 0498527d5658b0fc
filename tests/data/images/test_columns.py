"""Columns of images: scanned, opened, fitted on training rows, and kept as data."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding, ImageSettings, fingerprint, open_images
from glial.data.encoders import ImageEncoder
from glial.data.images import ImageForm, Scan, choose_form, decode_images, scan_images

Put = Callable[..., Path]


def scan_of(sizes: list[tuple[int, int]], *, grey: bool = True) -> Scan:
    return Scan(np.array(sizes), np.full(len(sizes), grey), {})


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(28, 28)] * 2 + [(50, 40), (30, 30)], (28, 28)),
        ([(10, 20), (30, 40), (50, 60)], (30, 40)),
        ([(1000, 500)] * 3, (128, 64)),
        ([(300, 1000)] * 10_001, (19, 64)),
        ([(4000, 2)] * 2, (128, 1)),
    ],
)
def test_the_size_that_is_chosen(sizes, expected) -> None:
    form = choose_form(scan_of(sizes), ImageSettings())
    assert (form.height, form.width) == expected


def test_what_is_asked_for_is_chosen() -> None:
    asked = ImageSettings(size=[5, 6], fit="pad", channels="rgb")
    assert choose_form(scan_of([(9, 9)]), asked) == ImageForm(5, 6, 3, "pad")
    assert choose_form(scan_of([(9, 9)], grey=False), ImageSettings()).channels == 3


@pytest.mark.parametrize(
    ("size", "settings", "expected"),
    [
        ((32, 32), {"min_side": 128}, (128, 128)),
        ((8, 16), {"min_side": 32}, (32, 64)),
        ((4, 100), {"min_side": 32}, (32, 128)),  # distorted: no side grows beyond 128
        ((300, 200), {"min_side": 128}, (192, 128)),
        ((28, 28), {"multiple": 16}, (32, 32)),
        ((100, 57), {"multiple": 16, "min_side": 16}, (96, 64)),
        ((3, 3), {"multiple": 16}, (16, 16)),
    ],
)
def test_the_size_that_a_network_needs(size, settings, expected) -> None:
    form = choose_form(scan_of([size] * 3), ImageSettings.read(settings))
    assert (form.height, form.width) == expected


def test_headers_tell_sizes_colours_and_what_cannot_be_read(put: Put, tmp_path: Path) -> None:
    grey = put("a.png", np.zeros((3, 4), dtype=np.uint8))
    colour = put("b.png", np.zeros((5, 6, 3), dtype=np.uint8))
    broken = put("c.png", b"no image")
    cells = [str(grey), str(colour), str(broken), None, str(tmp_path / "gone.png")]
    scan = scan_images(pl.Series("p", cells))
    assert scan.sizes.tolist() == [[3, 4], [5, 6], [0, 0], [0, 0], [0, 0]]
    assert scan.grey.tolist() == [True, False, False, False, False]
    assert list(scan.unreadable) == [2, 4]
    decoded = decode_images(pl.Series("p", cells), ImageForm(2, 2, 1))
    assert decoded.pixels.shape == (5, 2, 2)
    assert list(decoded.unreadable) == [2, 4]


def test_sizes_that_vary_are_brought_to_one(put: Put) -> None:
    cells = [
        str(put(f"{size}.png", np.full((size, 2 * size), size, dtype=np.uint8)))
        for size in (10, 20, 30)
    ]
    opened = open_images([pl.DataFrame({"p": cells})], ["p"], ImageSettings())
    assert opened.forms["p"] == ImageForm(20, 40, 1)
    pixels = opened.tables[0]["p"].to_numpy()
    assert pixels.shape == (3, 20, 40)
    assert [np.unique(image).tolist() for image in pixels] == [[10], [20], [30]]


def twenty(put: Put, broken: int) -> list[str]:
    dot = np.full((4, 4), 50, dtype=np.uint8)
    return [str(put(f"{i:02}.png", b"broken" if i < broken else dot)) for i in range(20)]


def test_rows_whose_image_is_broken_are_named_and_left_out(put: Put, caplog) -> None:
    frame = pl.DataFrame({"p": twenty(put, 1), "n": range(20)})
    with caplog.at_level(logging.WARNING, "glial"):
        opened = open_images([frame, frame[:3]], ["p"], ImageSettings(max_unreadable=0.1))
    assert opened.tables[0]["n"].to_list() == list(range(1, 20))
    assert opened.tables[1]["n"].to_list() == [1, 2]
    assert opened.kept[1].tolist() == [False, True, True]
    assert "00.png" in caplog.text
    assert "2 rows" in caplog.text


def test_too_many_broken_images_are_refused(put: Put) -> None:
    frame = pl.DataFrame({"p": twenty(put, 2)})
    with pytest.raises(InputError, match="2 of 20 images") as refused:
        open_images([frame], ["p"], ImageSettings())
    assert "00.png" in str(refused.value.got)
    assert open_images([frame], ["p"], ImageSettings(max_unreadable=0.1)).tables[0].height == 18
    with pytest.raises(InputError, match="no image that can be read"):
        open_images([frame[:2]], ["p"], ImageSettings(max_unreadable=1.0))


def test_missing_images_are_left_out_where_there_is_nothing_else(put: Put) -> None:
    frame = pl.DataFrame({"p": [*twenty(put, 0)[:3], None], "n": range(4)})
    assert open_images([frame], ["p"], ImageSettings()).tables[0]["n"].to_list() == [0, 1, 2]
    kept = open_images([frame], ["p"], ImageSettings(), needed=False).tables[0]
    assert kept["p"].is_null().to_list() == [False, False, False, True]


COLOURS = np.random.default_rng(0).integers(0, 256, (9, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("scaling", ["standard", "mean", "unit", "signed", "none"])
def test_scalings(scaling: str) -> None:
    column = pl.Series("x", COLOURS)
    encoder = ImageEncoder.fit(column, DataSettings(images={"scaling": scaling}))
    held = encoder.tensor(column)
    assert held.dtype == torch.uint8
    assert encoder.size == [3, 5, 4]
    found = encoder.finish(held)
    exact = COLOURS.transpose(0, 3, 1, 2) / 255
    mean, std = (f(exact, axis=(0, 2, 3))[:, None, None] for f in (np.mean, np.std))
    expected = {
        "standard": (exact - mean) / std,
        "mean": exact - mean,
        "unit": exact,
        "signed": 2 * exact - 1,
        "none": 255 * exact,
    }[scaling]
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), atol=1e-4, rtol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)
    # Floats from 0 to 1, as augmentation gives them, are scaled alike.
    torch.testing.assert_close(encoder.finish(held.float() / 255), found, atol=1e-4, rtol=1e-5)


def test_the_colours_of_imagenet_and_those_of_the_plan() -> None:
    column = pl.Series("x", np.full((2, 4, 4, 3), 255, dtype=np.uint8))
    published = ImageEncoder.fit(column, DataSettings(images={"scaling": "imagenet"}))
    white = published.finish(published.tensor(column))[0, :, 0, 0]
    wanted = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(white, wanted, rtol=1e-6)
    grey = pl.Series("x", np.full((2, 4, 4), 255, dtype=np.uint8))
    mean = ImageEncoder.fit(grey, DataSettings(images={"scaling": "imagenet"}))
    assert mean.shift[0] == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    own = {"mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 2.0]}
    given = ImageEncoder.fit(column, DataSettings(images=own))
    scaled = given.finish(given.tensor(column))[0, :, 0, 0]
    np.testing.assert_allclose(scaled, [1, 3, 0.5], rtol=1e-6)
    with pytest.raises(InputError, match="do not fit the images"):
        ImageEncoder.fit(grey, DataSettings(images=own))


def test_the_scaling_is_that_of_the_training_rows_alone() -> None:
    column = pl.Series("x", COLOURS)
    encoder = ImageEncoder.fit(column[:3], DataSettings())
    np.testing.assert_allclose(encoder.mean, COLOURS[:3].mean(axis=(0, 1, 2)) / 255)
    np.testing.assert_allclose(1 / encoder.scale, COLOURS[:3].std(axis=(0, 1, 2)) / 255)


def test_images_without_contrast_stay_finite() -> None:
    column = pl.Series("x", np.full((4, 3, 3), 9, dtype=np.uint8))
    encoder = ImageEncoder.fit(column, DataSettings())
    assert encoder.finish(encoder.tensor(column)).abs().max() < 1e-6


def test_paths_and_pixels_give_the_same_tensor(put: Put) -> None:
    cells = [str(put(f"{i}.png", image)) for i, image in enumerate(COLOURS)]
    by_path = ImageEncoder.fit(pl.Series("x", cells), DataSettings())
    by_pixel = ImageEncoder.fit(pl.Series("x", COLOURS), DataSettings())
    np.testing.assert_array_equal(by_path.mean, by_pixel.mean)
    assert torch.equal(
        by_path.tensor(pl.Series("x", cells)), by_pixel.tensor(pl.Series("x", COLOURS))
    )


def test_a_missing_image_has_the_mean_colour_and_a_broken_one_is_an_error(put: Put, caplog) -> None:
    encoder = ImageEncoder.fit(pl.Series("x", COLOURS), DataSettings())
    with caplog.at_level(logging.WARNING, "glial"):
        gone = encoder.tensor(pl.Series("x", [None], dtype=pl.String))
    assert "1 rows have no image" in caplog.text
    assert gone[0, :, 0, 0].tolist() == np.round(255 * encoder.mean).tolist()
    assert encoder.finish(gone).abs().max() < 0.01
    broken = put("broken.png", b"no image")
    with pytest.raises(InputError, match="cannot be read") as refused:
        encoder.tensor(pl.Series("x", [str(broken)]))
    assert "broken.png" in str(refused.value.got)


def test_an_encoding_of_images_is_saved_and_loaded(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": pl.Series(COLOURS), "n": np.arange(9.0)})
    kinds = {"n": "number", "x": "image"}
    encoding = Encoding.fit(frame, kinds, DataSettings(images={"fit": "crop", "size": [3, 3]}))
    encoding.save(tmp_path)
    again = Encoding.load(tmp_path)
    assert again.sizes("image") == [[3, 3, 3]]
    before, after = (e.finish(e.arguments(e.transform(frame))) for e in (encoding, again))
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert [part.shape[1:] for part in after] == [(1,), (3, 3, 3)]


def test_pixels_tell_one_table_from_another() -> None:
    other = COLOURS.copy()
    other[3, 2, 1, 0] ^= 1
    marks = {fingerprint(pl.DataFrame({"x": pl.Series(pixels)})) for pixels in (COLOURS, other)}
    assert len(marks) == 2


def test_without_pillow_one_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(InputError, match=r"glial\[vision\]"):
        open_images([pl.DataFrame({"x": ["a.png"]})], ["x"], ImageSettings())
