"""Images that keep their own sizes: cells that hold them, and the few sizes that they share.

A cell is one row of bytes, first height, width and channels and then the pixels, so that images of
all sizes fit in one column. Padded to the smallest of a few sizes that holds it, an image can be
computed together with others.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Sizes = NDArray[np.int64]
HEADER = 5
STEPS = 8  # sides of sizes are multiples of an eighth of the longest, of 8 pixels at least


def is_packed(column: pl.Series) -> bool:
    """Whether the cells of a column are images of their own sizes, as :func:`pack` makes them.

    Example:
        >>> is_packed(pl.Series(pack(np.zeros((2, 3), dtype=np.uint8), 16)[None]))
        True
    """
    return isinstance(column.dtype, pl.Array) and len(column.dtype.shape) == 1


def pack(pixels: Pixels, length: int) -> Pixels:
    """An image as so many bytes: its height, width and channels, its pixels, and zeros.

    Args:
        pixels: [height, width] or [height, width, 3].
        length: Bytes, at least the pixels' and five.

    Example:
        >>> pack(np.array([[7, 8, 9]], dtype=np.uint8), 9).tolist()
        [1, 0, 3, 0, 1, 7, 8, 9, 0]
    """
    packed = np.zeros(length, dtype=np.uint8)
    packed[:4] = np.array(pixels.shape[:2], dtype="<u2").view(np.uint8)
    packed[4] = 1 if pixels.ndim == 2 else 3
    packed[HEADER : HEADER + pixels.size] = pixels.ravel()
    return packed


def sizes_of(packed: Pixels) -> Sizes:
    """Height and width of packed images, [row, 2].

    Example:
        >>> sizes_of(pack(np.zeros((2, 300), dtype=np.uint8), 605)[None]).tolist()
        [[2, 300]]
    """
    header = np.ascontiguousarray(packed[:, :4])
    return header.view("<u2").astype(np.int64)


def unpack(packed: Pixels) -> Pixels:
    """The pixels of one packed image, [height, width] or [height, width, 3].

    Example:
        >>> unpack(np.array([1, 0, 2, 0, 1, 7, 8, 0], dtype=np.uint8)).tolist()
        [[7, 8]]
    """
    height, width = sizes_of(packed[None])[0]
    shape = (height, width) if packed[4] == 1 else (height, width, 3)
    return packed[HEADER : HEADER + int(np.prod(shape))].reshape(shape)


def choose_buckets(sizes: Sizes, most: int, least_side: int = 1, multiple: int = 1) -> Sizes:
    """A few sizes to which images are padded, such that little is added to them.

    Every image's sides are rounded up. While there are too many sizes, two of them become the
    least that holds both: those by which the fewest pixels are added to all images.

    Args:
        sizes: Height and width of each image, [row, 2].
        most: The most sizes.
        least_side: The least height and width.
        multiple: What heights and widths are multiples of.

    Returns:
        Heights and widths, [bucket, 2], those of fewer pixels first. The last holds all images.

    Example:
        >>> sizes = np.array([[64, 30], [61, 32], [30, 62], [64, 64]])
        >>> choose_buckets(sizes, 3).tolist()
        [[32, 64], [64, 32], [64, 64]]
        >>> choose_buckets(sizes, 1).tolist()
        [[64, 64]]
    """
    step = math.lcm(8 * max(1, -(-int(sizes.max()) // (8 * STEPS))), multiple)
    rounded = -(-np.maximum(sizes, least_side) // step) * step
    boxes, counts = np.unique(rounded, axis=0, return_counts=True)
    whole = boxes.max(axis=0)
    if not (boxes == whole).all(axis=1).any():  # for images such as training never showed
        boxes, counts = np.concatenate([boxes, whole[None]]), np.append(counts, 0)
    while len(boxes) > most:
        first, second = _cheapest(boxes, counts)
        boxes[first] = np.maximum(boxes[first], boxes[second])
        counts[first] += counts[second]
        boxes, counts = np.delete(boxes, second, axis=0), np.delete(counts, second)
    boxes = np.unique(boxes, axis=0)
    return np.asarray(boxes[boxes.prod(axis=1).argsort(kind="stable")], dtype=np.int64)


def _cheapest(boxes: Sizes, counts: Sizes) -> tuple[int, int]:
    """The two sizes whose union adds the fewest pixels."""
    union = np.maximum(boxes[:, None], boxes[None]).prod(axis=-1)
    pixels = boxes.prod(axis=1) * counts
    added = union * (counts[:, None] + counts[None]) - pixels[:, None] - pixels[None]
    first, second = np.triu_indices(len(boxes), 1)
    least = int(added[first, second].argmin())
    return int(first[least]), int(second[least])


def buckets_of(sizes: Sizes, buckets: Sizes) -> Sizes:
    """The number of the smallest bucket that holds each image; -1 where none does.

    Args:
        sizes: Height and width of each image, [row, 2].
        buckets: Heights and widths, those of fewer pixels first, [bucket, 2].

    Example:
        >>> buckets_of(np.array([[3, 9], [9, 9], [99, 1]]), np.array([[8, 16], [16, 16]])).tolist()
        [0, 1, -1]
    """
    holds = np.all(sizes[:, None] <= buckets[None], axis=-1)
    return np.where(np.any(holds, axis=1), np.argmax(holds, axis=1), -1)
