"""An image file as pixels of 8 bits: any mode and depth, turned upright, brought to one size.

What has an alpha channel is laid over white. 16 bits are scaled by 1/257, so that black and
white stay what they are; numbers with a point count from 0 to 1, or to 255 where one is above 1.
Of several frames or pages the first is taken. Colour profiles are not applied.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glial.core.optional import require
from glial.data.archives import read_bytes
from glial.data.images.varied import HEADER, pack, unpack
from glial.data.media import UnreadableFileError

Pixels = NDArray[np.uint8]
# What the content may be, whatever the file is called: formats that only draw pixels.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
MAX_PIXELS = 50_000_000
_ORIENTATION = 0x0112
_GREY = {"1", "L", "LA", "La", "I", "F"}
_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}


@dataclass(frozen=True)
class ImageForm:
    """What every image of a column is brought to.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for red, green and blue.
        fit: How another shape is brought to this one: ``resize`` stretches, ``pad`` keeps the
            proportions and fills the rest with black, ``crop`` keeps them and cuts the edges off,
            ``varied`` keeps the whole size, made smaller where the image exceeds height or width.

    Example:
        >>> ImageForm(28, 28, 1).fit
        'resize'
    """

    height: int
    width: int
    channels: int
    fit: Literal["resize", "pad", "crop", "varied"] = "resize"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image's pixels: [height, width], and 3 where it has colours.

        Of images of varied sizes bytes, as :func:`glial.data.images.varied.pack` makes them.
        """
        if self.fit == "varied":
            return (HEADER + self.height * self.width * self.channels,)
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, 3)

    @property
    def num_bytes(self) -> int:
        """What the pixels of one image take, at most."""
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels.

    Attributes:
        height: In pixels, upright.
        width: In pixels, upright.
        grey: Whether it has no colours.

    Example:
        >>> Header(28, 28, True).grey
        True
    """

    height: int
    width: int
    grey: bool


class UnreadableImageError(UnreadableFileError):
    """An image that cannot be decoded; the message says why, in a few words.

    Example:
        >>> str(UnreadableImageError("cut short"))
        'cut short'
    """


def read_header(path: str) -> Header:
    """The size and colours of an image file, without decoding it.

    Raises:
        UnreadableImageError: If the file is missing, is no image, or has too many pixels.

    Example:
        >>> read_header("no-such-file.png")
        Traceback (most recent call last):
        ...
        glial.data.images.decoding.UnreadableImageError: no such file
    """
    with _guarded(), _opened(read_bytes(path)) as image:
        height, width = _upright(image)
        return Header(height, width, image.mode in _GREY or image.mode.startswith("I;16"))


def decode_file(path: str, form: ImageForm) -> Pixels:
    """The pixels of an image file.

    Args:
        path: The file; a zip archive in its path is read in place.
        form: What the image is brought to.

    Returns:
        Pixels, [height, width] or [height, width, 3].

    Raises:
        UnreadableImageError: If the file is missing, damaged, cut short, no image, or has too
            many pixels, which is found out before it is decoded.
    """
    with _guarded():
        return decode(read_bytes(path), form)


def decode(content: bytes, form: ImageForm) -> Pixels:
    """The pixels of an image file's content: see :func:`decode_file`.

    Example:
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGBA", (4, 2), (255, 0, 0, 0)).save(file, "PNG")
        >>> decode(file.getvalue(), ImageForm(1, 2, 3)).tolist()
        [[[255, 255, 255], [255, 255, 255]]]
    """
    from PIL import ImageOps

    with _guarded(), _opened(content) as image:
        # A JPEG of many pixels is read at a half, a quarter or an eighth of its size at once.
        shape = _upright(image)
        height, width = _inner(shape, form)
        turned = shape != (image.height, image.width)
        image.draft(None, (height, width) if turned else (width, height))
        image.load()
        return _formed(_plain(ImageOps.exif_transpose(image)), form)


def fit_pixels(pixels: Pixels, form: ImageForm) -> Pixels:
    """Pixels of one image, [height, width] or [height, width, 3] or packed, brought to a form.

    Example:
        >>> fit_pixels(np.full((4, 4), 7, dtype=np.uint8), ImageForm(2, 2, 1)).tolist()
        [[7, 7], [7, 7]]
    """
    if pixels.ndim == 1:
        pixels = unpack(pixels)
    return pixels if pixels.shape == form.shape else _formed(pillow_image().fromarray(pixels), form)


def to_bytes(values: NDArray[Any]) -> Pixels:
    """Pixels of any depth as 8 bits.

    Args:
        values: Numbers from 0: of 8 bits; of 16 bits, which are divided by 257; others up to
            255 where none is above it, else up to 65535; with a point up to 1, or to 255 where
            one is above 1.

    Raises:
        UnreadableImageError: If a number is outside this, or is none.

    Example:
        >>> to_bytes(np.array([0, 257, 65535], dtype=np.uint16)).tolist()
        [0, 1, 255]
        >>> to_bytes(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    if values.dtype in (np.uint8, np.bool_):
        return values.astype(np.uint8) * np.uint8(255) if values.dtype == np.bool_ else values
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    limit = 255.0 if values.dtype.kind == "f" else 65535.0
    if values.dtype.kind not in "iuf" or not (low >= 0 and high <= limit):
        raise UnreadableImageError(f"pixels from {low:g} to {high:g} of the type {values.dtype}")
    if values.dtype.kind == "f":
        factor = 255.0 if high <= 1 else 1.0
    else:
        is_deep = values.dtype.itemsize == 2 and values.dtype.kind == "u"
        factor = 1 / 257 if is_deep or high > 255 else 1.0
    pixels: Pixels = np.floor(values.astype(np.float32) * np.float32(factor) + 0.5).astype(np.uint8)
    return pixels


def pillow_image() -> Any:
    """Pillow's module of images.

    Raises:
        InputError: If Pillow is not installed.

    Example:
        >>> pillow_image().new("L", (2, 3)).size
        (2, 3)
    """
    return require("PIL.Image", extra="vision", purpose="reading images")


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Turns whatever decoders raise on damaged files into one error."""
    pillow_image()
    try:
        yield
    except UnreadableImageError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())
        raise UnreadableImageError(words or type(error).__name__) from error


def _opened(content: bytes) -> Any:
    """An image whose header was read, unless it claims too many pixels."""
    pillow = pillow_image()
    try:
        image = pillow.open(io.BytesIO(content), formats=FORMATS)
    except pillow.UnidentifiedImageError as error:
        raise UnreadableImageError("no image of a known format") from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height}"
        image.close()
        raise UnreadableImageError(f"{size} pixels, where at most {MAX_PIXELS:,} are read")
    return image


def _upright(image: Any) -> tuple[int, int]:
    """Height and width of an image after it is turned as its EXIF data say."""
    # A PNG would be decoded to find EXIF data behind its pixels, where they hardly ever are; the
    # size of a TIFF is upright already.
    is_stored = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
    turned = is_stored and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


def _plain(image: Any) -> Any:
    """An image in the mode L or RGB, laid over white where it lets something through."""
    pillow = pillow_image()
    if image.mode in _ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        white = pillow.new("RGBA", image.size, "white")
        return pillow.alpha_composite(white, image).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return pillow.fromarray(to_bytes(np.asarray(image)))
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def _formed(image: Any, form: ImageForm) -> Pixels:
    """An image of the mode L or RGB as pixels of a form."""
    image = image.convert("L" if form.channels == 1 else "RGB")
    shape = (image.height, image.width)
    height, width = _inner(shape, form)
    if shape != (height, width):
        image = image.resize((width, height), pillow_image().Resampling.BILINEAR)
    if form.fit == "varied":
        return pack(np.asarray(image), form.shape[0])
    if (height, width) != (form.height, form.width):
        left, top = (width - form.width) // 2, (height - form.height) // 2
        image = image.crop((left, top, left + form.width, top + form.height))
    pixels: Pixels = np.asarray(image)
    return pixels


def _inner(shape: tuple[int, int], form: ImageForm) -> tuple[int, int]:
    """Height and width to which an image is resized, before it is padded or cut."""
    if form.fit == "resize":
        return form.height, form.width
    ratios = form.height / shape[0], form.width / shape[1]
    ratio = max(ratios) if form.fit == "crop" else min(ratios)
    if form.fit == "varied":
        ratio = min(1.0, ratio)
    return max(1, round(shape[0] * ratio)), max(1, round(shape[1] * ratio))
