"""Every mode and format becomes the pixels that a hand would write down."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from glial.data.images import (
    ImageForm,
    UnreadableImageError,
    decode,
    decode_file,
    fit_pixels,
    read_header,
    to_bytes,
)

RAMP = np.array([[0, 128, 255], [10, 20, 30]], dtype=np.uint8)
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], dtype=np.uint8)
GREY, RGB = ImageForm(2, 3, 1), ImageForm(2, 2, 3)


def saved(image: Image.Image, ending: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, ending, **options)
    return file.getvalue()


@pytest.mark.parametrize("ending", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_back_their_pixels(ending: str) -> None:
    options = {"lossless": True} if ending == "WEBP" else {}
    grey = decode(saved(Image.fromarray(RAMP), ending, **options), GREY)
    assert grey.tolist() == RAMP.tolist()
    colours = decode(saved(Image.fromarray(COLOURS), ending, **options), RGB)
    assert colours.tolist() == COLOURS.tolist()


def test_jpeg_is_near_its_pixels() -> None:
    flat = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    found = decode(saved(Image.fromarray(flat), "JPEG", quality=95), ImageForm(16, 16, 3))
    assert np.abs(found.astype(int) - flat).max() <= 2


@pytest.mark.parametrize("ending", ["PNG", "TIFF"])
def test_16_bits_are_divided_by_257(ending: str) -> None:
    deep = np.array([[0, 256, 257], [385, 386, 65535]], dtype=np.uint16)
    # 256 / 257 = 0.996, 385 / 257 = 1.498, 386 / 257 = 1.502
    assert decode(saved(Image.fromarray(deep), ending), GREY).tolist() == [[0, 1, 1], [1, 2, 255]]


def test_16_bits_of_big_end_first_are_understood() -> None:
    deep = np.array([[0, 257, 514]], dtype=">u2")
    image = Image.frombytes("I;16B", (3, 1), deep.tobytes())
    assert decode(saved(image, "TIFF"), ImageForm(1, 3, 1)).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.4, 255.0], [0, 100, 255])],
)
def test_floats_count_from_0_to_1_or_to_255(values: list[float], expected: list[int]) -> None:
    content = saved(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    assert decode(content, ImageForm(1, 3, 1)).tolist() == [expected]


def test_one_bit_is_black_and_white() -> None:
    image = Image.fromarray(np.array([[True, False, True]]))
    assert decode(saved(image), ImageForm(1, 3, 1)).tolist() == [[255, 0, 255]]


def test_what_lets_through_is_laid_over_white() -> None:
    pixels = np.array([[[100, 0, 0, 255], [100, 0, 0, 0], [100, 0, 0, 51]]], dtype=np.uint8)
    found = decode(saved(Image.fromarray(pixels)), ImageForm(1, 3, 3))
    # 51 / 255 is a fifth: 0.2 * 100 + 0.8 * 255 = 224, 0.8 * 255 = 204
    assert found.tolist() == [[[100, 0, 0], [255, 255, 255], [224, 204, 204]]]
    two = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 51)])
    assert decode(saved(two), ImageForm(1, 1, 1)).tolist() == [[224]]


def test_a_palette_is_its_colours_and_may_let_through() -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    form = ImageForm(1, 2, 3)
    assert decode(saved(image), form).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    clear = decode(saved(image, transparency=1), form)
    assert clear.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_a_transparent_colour_without_an_alpha_channel_is_white() -> None:
    content = saved(Image.fromarray(COLOURS), transparency=(0, 255, 0))
    assert decode(content, RGB)[0].tolist() == [[255, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_other_colour_spaces_become_rgb(mode: str) -> None:
    flat = Image.new("RGB", (16, 16), (200, 100, 50)).convert(mode)
    found = decode(saved(flat, "JPEG" if mode == "YCbCr" else "TIFF"), ImageForm(16, 16, 3))
    assert np.abs(found.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("ending", ["GIF", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_taken(ending: str) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (40, 200)]
    options = {"lossless": True} if ending == "WEBP" else {}
    content = saved(frames[0], ending, save_all=True, append_images=frames[1:], **options)
    assert decode(content, ImageForm(4, 4, 1)).tolist() == [[40] * 4] * 4


# How a camera stores the upright image, by the value of its EXIF orientation.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("ending", ["TIFF", "PNG", "WEBP"])
def test_exif_turns_images_upright(orientation: int, ending: str, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](RAMP))
    options = {"lossless": True} if ending == "WEBP" else {}
    content = saved(Image.fromarray(stored), ending, exif=exif, **options)
    assert decode(content, GREY).tolist() == RAMP.tolist()
    path = tmp_path / "turned"
    path.write_bytes(content)
    header = read_header(str(path))
    assert (header.height, header.width) == RAMP.shape


def test_exif_turns_a_large_photograph_read_at_a_fraction() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = np.zeros((800, 400), dtype=np.uint8)
    upright[:400] = 255
    stored = np.ascontiguousarray(np.rot90(upright))
    found = decode(saved(Image.fromarray(stored), "JPEG", exif=exif), ImageForm(8, 4, 1))
    assert found[:3].min() > 250
    assert found[5:].max() < 5


def test_resize_pad_and_crop() -> None:
    wide = np.zeros((2, 6), dtype=np.uint8)
    wide[:, :2], wide[:, 4:] = 100, 200
    assert fit_pixels(wide, ImageForm(2, 2, 1, "crop")).tolist() == [[0, 0], [0, 0]]
    padded = fit_pixels(wide, ImageForm(6, 6, 1, "pad"))
    assert padded[2:4].tolist() == wide.tolist()
    assert not padded[:2].any()
    assert not padded[4:].any()
    flat = np.full((5, 7), 9, dtype=np.uint8)
    assert fit_pixels(flat, ImageForm(3, 3, 1)).tolist() == [[9] * 3] * 3
    halved = fit_pixels(np.array([[0, 100], [100, 200]], dtype=np.uint8), ImageForm(1, 1, 1))
    assert halved.tolist() == [[100]]


def test_grey_and_colours_are_turned_into_each_other() -> None:
    grey = saved(Image.fromarray(RAMP))
    assert decode(grey, ImageForm(2, 3, 3))[..., 0].tolist() == RAMP.tolist()
    # ITU-R 601-2: 0.299 red + 0.587 green + 0.114 blue
    lightness = decode(saved(Image.fromarray(COLOURS)), ImageForm(2, 2, 1))
    assert lightness.tolist() == [[76, 150], [29, 8]]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + packed + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7_100, 10_000, 60_000])
def test_bombs_are_refused_by_their_header(side: int, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it was decoded"))
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(side, side))
    with pytest.raises(UnreadableImageError, match="pixels"):
        decode_file(str(path), GREY)
    with pytest.raises(UnreadableImageError, match="pixels"):
        read_header(str(path))


@pytest.mark.parametrize("ending", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_files_cut_short_are_unreadable(ending: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), ending)
    with pytest.raises(UnreadableImageError):
        decode(content[: int(share * len(content))], ImageForm(40, 40, 3))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_are_read_or_refused_but_never_fatal(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ending = ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"][seed % 6]
    noise = generator.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    content = bytearray(saved(Image.fromarray(noise), ending))
    for place in generator.integers(0, len(content), 10):
        content[place] = generator.integers(0, 256)
    with contextlib.suppress(UnreadableImageError):
        assert decode(bytes(content), ImageForm(4, 4, 3)).shape == (4, 4, 3)


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x00" * 100])
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        decode(content, GREY)


def test_whole_numbers_of_any_type_become_bytes() -> None:
    assert to_bytes(np.array([True, False])).tolist() == [255, 0]
    assert to_bytes(np.array([0, 255])).tolist() == [0, 255]
    assert to_bytes(np.array([0, 65535])).tolist() == [0, 255]
    for bad in ([-1, 3], [0, 70_000], [0.0, 300.0], [0.0, float("nan")]):
        with pytest.raises(UnreadableImageError):
            to_bytes(np.array(bad))
