"""Images as tensors of 8-bit pixels, turned into scaled floats batch by batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.data.cells import missing
from glial.data.images.columns import choose_form, decode_images, scan_images
from glial.data.images.decoding import ImageForm, Pixels
from glial.data.images.settings import ImageSettings
from glial.data.media import name_unreadable
from glial.data.settings import DataSettings, HeldAs

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
CHUNK = 1 << 24  # pixels counted at once
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageEncoder:
    """A column of images of one size, scaled channel by channel.

    Attributes:
        form: What every image is brought to.
        mean: Mean of each channel over the training rows, from 0 to 1, [channel]; the colour of
            an image that is missing.
        shift: What is subtracted from pixels from 0 to 1, [channel].
        scale: What they are then multiplied by, [channel].

    Example:
        >>> column = pl.Series("x", np.array([[[0, 255]], [[255, 0]]], dtype=np.uint8))
        >>> encoder = ImageEncoder.fit(column, DataSettings())
        >>> encoder.finish(encoder.tensor(column)).round().flatten()
        tensor([-1.,  1.,  1., -1.])
    """

    modality: ClassVar[HeldAs] = "image"

    form: ImageForm
    mean: Floats
    shift: Floats
    scale: Floats

    def __post_init__(self) -> None:
        shapes = {self.mean.shape, self.shift.shape, self.scale.shape}
        if shapes != {(self.form.channels,)} or self.form.channels not in (1, 3):
            raise ValueError("the channels of an image column and its scaling do not fit")
        if min(self.form.height, self.form.width) < 1:
            raise ValueError("an image column has no size")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> ImageEncoder:
        """The size and scaling of the training rows' images.

        Raises:
            InputError: If an image cannot be read, or there is none.
        """
        form = choose_form(scan_images(column), settings.images)
        there = column.filter(~missing(column))
        pixels = decoded(there, form)
        step = max(1, CHUNK // max(1, pixels[0].size if len(pixels) else 1))
        parts = (pixels[start : start + step] for start in range(0, len(pixels), step))
        return cls(form, *scaling_of(parts, form.channels, settings.images))

    @property
    def labels(self) -> list[str]:
        """None: the pixels stand in a tensor of their own."""
        return []

    @property
    def size(self) -> list[int]:
        """[channel, height, width]."""
        return [self.form.channels, self.form.height, self.form.width]

    @property
    def num_bytes(self) -> int:
        """What one image takes as it is held, at most."""
        return self.form.channels * self.form.height * self.form.width

    def tensor(self, column: pl.Series) -> Tensor:
        """Pixels of 8 bits, [row, channel, height, width], the channels of a pixel together.

        An image that is missing is all of the mean colour.

        Raises:
            InputError: If an image cannot be read; the message names the first of them.
        """
        pixels = decoded(column, self.form)
        gone = missing(column).to_numpy()
        if gone.any():
            logger.warning("column %r: %d rows have no image", column.name, int(gone.sum()))
            pixels = pixels.copy()
            colour = np.round(255 * self.mean).astype(np.uint8)
            pixels[gone] = colour if self.form.channels == 3 else colour[0]
        if not pixels.flags.writeable:
            pixels = pixels.copy()
        held = torch.from_numpy(pixels)
        return held[:, None] if self.form.channels == 1 else held.permute(0, 3, 1, 2)

    def finish(self, held: Tensor) -> Tensor:
        """Scaled floats of some rows, channels last in memory.

        Args:
            held: Pixels of 8 bits as :meth:`tensor` gives them, or floats from 0 to 1.
        """
        unit = 1.0 if held.is_floating_point() else 255.0
        kind = held.dtype if held.is_floating_point() else torch.float32
        floats = held.to(dtype=kind, memory_format=torch.channels_last)
        factors = torch.from_numpy(np.stack([-self.shift * self.scale, self.scale / unit]))
        shift, scale = factors.to(floats)[..., None, None]
        return torch.addcmul(shift, floats, scale)

    def restore(self, images: Tensor) -> Tensor:
        """Pixels of 8 bits of images as :meth:`finish` scales them, [row, channel, height, width].

        Args:
            images: Such images; colours that no pixel can have become the nearest that it can.
        """
        factors = torch.from_numpy(np.stack([self.shift, 1 / self.scale])).to(images)
        shift, scale = factors[..., None, None]
        shares = torch.addcmul(shift, images, scale).clamp(0, 1)
        return (shares * 255).round().to(torch.uint8)


def scaling_of(
    parts: Iterable[Pixels], channels: int, settings: ImageSettings
) -> tuple[Floats, Floats, Floats]:
    """Mean colour, shift and scale of pixels, as an :class:`ImageEncoder` has them.

    Args:
        parts: All pixels, some at a time, [..., channel].
        channels: 1 or 3.
        settings: The plan's ``data.images``.

    Example:
        >>> mean, shift, scale = scaling_of([np.zeros((2, 2), dtype=np.uint8)], 1, ImageSettings())
        >>> mean.tolist(), scale.tolist()
        ([0.0], [1.0])
    """
    mean, std = _moments(parts, channels)
    one = np.ones_like(mean)
    shift, scale = (
        _given(settings, channels)
        or {
            "standard": (mean, 1 / np.where(std > 0, std, one)),
            "mean": (mean, one),
            "unit": (0 * one, one),
            "signed": (0.5 * one, 2 * one),
            "none": (0 * one, 255 * one),
            "imagenet": (_of(IMAGENET_MEAN, one), 1 / _of(IMAGENET_STD, one)),
        }[settings.scaling]
    )
    return mean, shift, scale


def _of(colours: tuple[float, ...], one: Floats) -> Floats:
    """A figure for each channel; the mean of the three for grey images."""
    values = np.array(colours)
    return values if len(one) == len(values) else values.mean() * one


def _given(settings: ImageSettings, channels: int) -> tuple[Floats, Floats] | None:
    """Shift and scale that the plan says in numbers.

    Raises:
        InputError: If there are not as many as channels.
    """
    if settings.mean is None and settings.std is None:
        return None
    mean = [0.0] * channels if settings.mean is None else settings.mean
    std = [1.0] * channels if settings.std is None else settings.std
    if {len(mean), len(std)} != {channels}:
        raise InputError(
            "data.images.mean and data.images.std do not fit the images",
            expected=f"{channels} numbers each",
            got=f"{len(mean)} and {len(std)}",
            do="give one number a channel, or leave them out",
        )
    return np.array(mean), 1 / np.array(std)


def decoded(column: pl.Series, form: ImageForm) -> Pixels:
    """The pixels of a column's images, none of which may be unreadable.

    Raises:
        InputError: If one is; the message names the first of them.

    Example:
        >>> decoded(pl.Series(np.zeros((1, 2, 2), dtype=np.uint8)), ImageForm(1, 1, 1)).tolist()
        [[[0]]]
    """
    found = decode_images(column, form)
    if found.unreadable:
        raise InputError(
            f"{len(found.unreadable)} images of the column {column.name!r} cannot be read",
            expected="whole image files",
            got=name_unreadable({str(column[r]): why for r, why in found.unreadable.items()}),
            do="mend these files, or leave their rows out",
        )
    return found.pixels


def _moments(parts: Iterable[Pixels], channels: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel, from 0 to 1: exact, by counting values."""
    counts = np.zeros((channels, 256), dtype=np.int64)
    for part in parts:
        flat = part.reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(flat[:, channel], minlength=256)
    values = np.arange(256) / 255
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    return mean, np.sqrt(np.maximum(0.0, (shares * (values - mean[:, None]) ** 2).sum(axis=1)))
