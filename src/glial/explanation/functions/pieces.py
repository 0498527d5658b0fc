"""Words of a text and parts of an image as players, whose absence is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.explanation.functions.games import ROWS_AT_ONCE, Bools, Floats

WORD = re.compile(r"\w+(?:['’]\w+)*")
PIXELS_AT_ONCE = 1 << 24
STEPS = 10


class WordGame:
    """What a function says of a text without some of its words.

    Args:
        predict: Gives a number for each of several texts.
        text: The text.

    Attributes:
        names: The words, in their order.

    Raises:
        InputError: If the text has no word.

    Example:
        >>> game = WordGame(lambda texts: [text.count("good") for text in texts], "a good book")
        >>> game.names, game(np.array([[True, False, True], [True, True, True]])).tolist()
        (['a', 'good', 'book'], [[0.0, 1.0]])
    """

    def __init__(self, predict: Callable[[list[str]], Any], text: str) -> None:
        self._predict = predict
        self._text = text
        self._places = [found.span() for found in WORD.finditer(text)]
        self.names = [text[start:end] for start, end in self._places]
        if not self.names:
            raise InputError("the text has no word", expected="a text", got=repr(text[:80]))

    def __call__(self, masks: Bools) -> Floats:
        """Worth of coalitions [coalition, word], as [1, coalition]."""
        texts = [self.without(mask) for mask in masks]
        parts = [
            np.asarray(self._predict(texts[start : start + ROWS_AT_ONCE]), dtype=np.float64)
            for start in range(0, len(texts), ROWS_AT_ONCE)
        ]
        return np.concatenate(parts)[None]

    def without(self, mask: NDArray[np.bool_]) -> str:
        """The text with these words alone; what stands between words stays."""
        pieces, last = [], 0
        for (start, end), kept in zip(self._places, mask, strict=True):
            pieces += [self._text[last:start], self._text[start:end] if kept else ""]
            last = end
        return " ".join("".join([*pieces, self._text[last:]]).split())


class SegmentGame:
    """What a function says of an image where some of its parts are covered.

    Args:
        predict: Gives a number for each of several images [image, channel, height, width].
        image: The image, [channel, height, width].
        segments: The number of the part of each pixel, from 0 on, [height, width].
        cover: What a part is covered with: ``mean`` is its own mean colour, ``flat`` the
            image's; or a number.

    Attributes:
        names: The parts, by their numbers.

    Raises:
        InputError: If image and segments do not fit.

    Example:
        >>> image, segments = np.array([[[1.0, 5.0]]]), np.array([[0, 1]])
        >>> game = SegmentGame(lambda x: x.sum(axis=(1, 2, 3)), image, segments, cover=0.0)
        >>> game(np.array([[True, False], [True, True]])).tolist()
        [[1.0, 6.0]]
    """

    def __init__(
        self,
        predict: Callable[[NDArray[Any]], Any],
        image: NDArray[Any],
        segments: NDArray[np.int64],
        cover: Literal["mean", "flat"] | float = "mean",
    ) -> None:
        numbers = np.unique(segments)
        fits = image.ndim == 3 and image.shape[1:] == segments.shape
        if not fits or not np.array_equal(numbers, np.arange(len(numbers))):
            raise InputError(
                "the image and its segments do not fit",
                expected="[channel, height, width], and for each pixel a number from 0 on",
                got=f"{image.shape} and {segments.shape}",
            )
        self.names = [str(number) for number in numbers]
        self._predict = predict
        self._image = image
        self._segments = segments
        if isinstance(cover, str):
            counts = np.bincount(segments.ravel())
            whole = image.reshape(len(image), -1)
            means = np.stack([np.bincount(segments.ravel(), c) / counts for c in whole])
            flat = np.broadcast_to(whole.mean(axis=1)[:, None, None], image.shape)
            self._cover = means[:, segments] if cover == "mean" else flat
        else:
            self._cover = np.full(image.shape, cover)

    def __call__(self, masks: Bools) -> Floats:
        """Worth of coalitions [coalition, part], as [1, coalition]."""
        at_once = max(1, PIXELS_AT_ONCE // self._image.size)
        parts = []
        for start in range(0, len(masks), at_once):
            kept = masks[start : start + at_once][:, self._segments][:, None]
            images = np.where(kept, self._image, self._cover).astype(self._image.dtype)
            parts.append(np.asarray(self._predict(images), dtype=np.float64))
        return np.concatenate(parts)[None]


def grid_segments(height: int, width: int, num_segments: int = 49) -> NDArray[np.int64]:
    """Rectangles of about equal size.

    Args:
        height: Of the image.
        width: Of the image.
        num_segments: About so many.

    Example:
        >>> grid_segments(2, 4, 2).tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    side = max(1.0, np.sqrt(height * width / num_segments))
    rows, columns = max(1, round(height / side)), max(1, round(width / side))
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    return np.asarray(down[:, None] * columns + across)


def colour_segments(
    image: NDArray[Any], num_segments: int = 49, *, compactness: float = 0.2
) -> NDArray[np.int64]:
    """Parts of an image that are near in place and alike in colour.

    Clusters of place and colour, started on a grid.

    Args:
        image: [channel, height, width].
        num_segments: About so many.
        compactness: What the size of a part of the grid weighs beside the spread of the colours;
            the greater, the more the parts are like those of the grid.

    Source:
        Achanta et al. (2012), "SLIC superpixels compared to state-of-the-art superpixel methods",
        doi:10.1109/TPAMI.2012.120 (without its search window, and with connection left out).

    Example:
        >>> image = np.zeros((1, 4, 6))
        >>> image[:, :, 2:] = 1.0
        >>> colour_segments(image, 2)[0].tolist()
        [0, 0, 1, 1, 1, 1]
    """
    from sklearn.cluster import KMeans

    channels, height, width = image.shape
    start = grid_segments(height, width, num_segments)
    colour = image.reshape(channels, -1).T.astype(np.float64)
    colour = (colour - colour.mean(axis=0)) / max(float(colour.std()), 1e-12)
    side = np.sqrt(height * width / (start.max() + 1))
    place = np.stack(list(np.mgrid[:height, :width]), axis=-1).reshape(-1, 2) / side
    points = np.concatenate([colour, compactness * place], axis=1)
    flat = start.ravel()
    first = np.stack([points[flat == number].mean(axis=0) for number in range(flat.max() + 1)])
    clusters = KMeans(len(first), init=first, n_init=1, max_iter=STEPS).fit(points)
    return np.unique(clusters.labels_, return_inverse=True)[1].reshape(height, width)
