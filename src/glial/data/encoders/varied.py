"""Images that keep their own sizes: padded to one of a few, with a mask of what is real."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glial.data.cells import missing
from glial.data.encoders.images import ImageEncoder, decoded, scaling_of
from glial.data.images.columns import choose_form, scan_images
from glial.data.images.varied import buckets_of, choose_buckets, sizes_of, unpack
from glial.data.settings import DataSettings

logger = logging.getLogger(__name__)

HEADER = 5  # bytes before the pixels: number of the bucket, height and width


@dataclass(frozen=True)
class VariedImageEncoder(ImageEncoder):
    """A column of images of varied sizes, each at the upper left of the smallest bucket for it.

    An image is held as one row of bytes, the pixels of its padded bucket behind each other, so a
    row takes no more than the largest bucket in use. The rest of a bucket has the mean colour.

    Attributes:
        buckets: Heights and widths, those of fewer pixels first, [bucket, 2].
        masked: Whether the network is called with a mask after the images.

    Example:
        >>> column = pl.Series("x", np.array([[[0, 255]], [[255, 0]]], dtype=np.uint8))
        >>> images = {"size": "varied", "mask": True}
        >>> encoder = VariedImageEncoder.fit(column, DataSettings(images=images))
        >>> pixels, mask = encoder.finish(encoder.tensor(column))
        >>> pixels.shape, mask.sum().item()
        (torch.Size([2, 1, 8, 8]), 4.0)
    """

    buckets: NDArray[np.int64]
    masked: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.buckets.ndim != 2 or self.buckets.shape[1] != 2 or not 1 <= len(self.buckets) < 256:
            raise ValueError("an image column has no list of sizes")
        if (self.buckets[-1] < [self.form.height, self.form.width]).any() or self.buckets.min() < 1:
            raise ValueError("the last size of an image column does not hold all images")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> VariedImageEncoder:
        """The buckets and the scaling of the training rows' images.

        Raises:
            InputError: If an image cannot be read, or there is none.
        """
        form = choose_form(scan_images(column), settings.images)
        cells = decoded(column.filter(~missing(column)), form)
        images = settings.images
        buckets = choose_buckets(sizes_of(cells), images.buckets, images.min_side, images.multiple)
        scaling = scaling_of(map(unpack, cells), form.channels, images)
        return cls(form, *scaling, buckets, images.mask is True)

    @property
    def size(self) -> list[int]:
        """[channel, height, width]: the least that a network must be able to take."""
        height, width = self.buckets.min(axis=0).tolist()
        return [self.form.channels, height, width]

    @property
    def num_bytes(self) -> int:
        """What one image takes as it is held, at most."""
        return HEADER + self.form.channels * int(self.buckets.prod(axis=1).max())

    def tensor(self, column: pl.Series) -> Tensor:
        """Padded pixels of 8 bits behind a header, [row, byte].

        An image that is missing is all of the mean colour.

        Raises:
            InputError: If an image cannot be read; the message names the first of them.
        """
        cells = decoded(column, self.form)
        sizes, gone = sizes_of(cells), missing(column).to_numpy()
        if gone.any():
            logger.warning("column %r: %d rows have no image", column.name, int(gone.sum()))
            sizes[gone] = self.buckets[0]
        numbers, channels = buckets_of(sizes, self.buckets), self.form.channels
        areas = self.buckets.prod(axis=1)
        room = int(areas[numbers].max(initial=0)) * channels
        held = np.zeros((len(cells), HEADER + room), dtype=np.uint8)
        held[:, 0] = numbers
        held[:, 1:HEADER] = sizes.astype("<u2").view(np.uint8)
        for row, number in enumerate(numbers):
            height, width = self.buckets[number]
            padded = held[row, HEADER : HEADER + areas[number] * channels]
            padded = padded.reshape(height, width, channels)
            padded[:] = self._colour
            if not gone[row]:
                image = unpack(cells[row])
                padded[: image.shape[0], : image.shape[1]] = image.reshape(*image.shape[:2], -1)
        return torch.from_numpy(held)

    @property
    def _colour(self) -> NDArray[np.uint8]:
        return np.round(255 * self.mean).astype(np.uint8)

    def groups(self, held: Tensor) -> Tensor:
        """The number of each row's bucket, [row]."""
        return held[:, 0]

    def opened(self, held: Tensor) -> Tensor:
        """Pixels of 8 bits, [row, channel, height, width], and a last channel of 255 where real.

        Rows of several buckets are padded to what holds all of them.

        Args:
            held: Rows of :meth:`tensor`; what is opened already stays so.
        """
        if held.ndim == 4:
            return held
        there = torch.unique(held[:, 0]).tolist()
        high, wide = self.buckets[there].max(axis=0).tolist() if there else (1, 1)
        channels = self.form.channels
        opened = held.new_zeros(len(held), high, wide, channels + 1)
        opened[..., :channels] = torch.from_numpy(self._colour).to(held.device)
        for number in there:
            rows = held[:, 0] == number
            height, width = self.buckets[number].tolist()
            padded = held[rows, HEADER : HEADER + height * width * channels]
            opened[rows, :height, :width, :channels] = padded.reshape(-1, height, width, channels)
        low, high_ = held[:, 1:HEADER:2].long(), held[:, 2:HEADER:2].long()
        height, width = (low + 256 * high_)[:, :, None].unbind(dim=1)
        down = torch.arange(high, device=held.device) < height
        across = torch.arange(wide, device=held.device) < width
        opened[..., channels] = (down[:, :, None] & across[:, None]).to(torch.uint8) * 255
        return opened.permute(0, 3, 1, 2)

    def squared(self, held: Tensor, side: int) -> Tensor:
        """The real pixels of each image stretched to a square, from 0 to 1.

        Args:
            held: Rows of :meth:`tensor`.
            side: Height and width.

        Returns:
            [row, channel, side, side].
        """
        images = []
        for row in torch.split(held, 1):
            opened = self.opened(row)
            height, width = (int(n) for n in (opened[0, -1] > 0).nonzero().amax(dim=0) + 1)
            image = opened[:, :-1, :height, :width].float() / 255
            images.append(functional.adaptive_avg_pool2d(image, (side, side)))
        return torch.cat(images)

    def finish(self, held: Tensor) -> Tensor | tuple[Tensor, ...]:  # type: ignore[override]
        """Scaled floats of some rows, channels last in memory, and their mask where it is used.

        Args:
            held: Rows of :meth:`tensor`, or of :meth:`opened`, these also as floats from 0 to 1.

        Returns:
            Images [row, channel, height, width]; and 1 where a pixel is real, else 0,
            [row, 1, height, width].
        """
        opened = self.opened(held)
        images = super().finish(opened[:, :-1])
        if not self.masked:
            return images
        mask = opened[:, -1:]
        return images, (mask if mask.is_floating_point() else mask.float() / 255).to(images.dtype)
