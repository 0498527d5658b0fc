"""One photograph painted in the style of another, by what a network of images sees in both.

Source:
    Gatys, Ecker, Bethge (2016), "Image style transfer using convolutional neural networks", CVPR,
    doi:10.1109/CVPR.2016.265. Pixels are the sum of pictures of several sizes, as in Olah,
    Mordvintsev, Schubert (2017), "Feature visualization", doi:10.23915/distill.00007: without,
    broad areas hardly change their colours through a network with normalisations.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name
from glial.core.progress import share_logger
from glial.core.seeds import torch_generator
from glial.data.images import (
    ImageForm,
    UnreadableImageError,
    decode_file,
    fit_pixels,
    read_header,
    to_bytes,
)
from glial.functional.style import content_loss, gram_matrix, style_loss, total_variation
from glial.models.weights import PUBLISHED
from glial.nn.pictures.layers import check_layers
from glial.nn.pictures.maps import no_maps
from glial.runs.eyes import PIXELS, Eyes, eyes_of
from glial.runs.run import Run

logger = logging.getLogger(__name__)

STARTS = ("content", "noise")
MAX_SIDE = 2048
HALVINGS = (2, 4, 6)  # how often the sides of the smaller pictures are halved
HISTORY = 20  # steps that the optimiser remembers
STYLE = 30.0  # what the style counts at strength 1, beside the content
OUTSIDE = 10.0  # weight of the mean square by which pixels leave the range from 0 to 1

Image = str | Path | NDArray[Any]
Maps = dict[str, Tensor]


@dataclass(frozen=True)
class Stylized:
    """An image that was painted anew.

    Attributes:
        pixels: Of 8 bits, [height, width, 3], or [height, width] by a network of grey images.
        history: A row for each time that the loss was computed: ``content``, ``style`` and
            ``variation``, and the ``loss`` that they make together.
        content_layers: Where what the image shows was compared.
        style_layers: Where the style was compared.

    Example:
        >>> Stylized(np.zeros((2, 3), dtype=np.uint8), [{"loss": 0.0}], ["stem"], ["pixels"]).pixels
        array([[0, 0, 0],
               [0, 0, 0]], dtype=uint8)
    """

    pixels: NDArray[np.uint8]
    history: list[dict[str, float]]
    content_layers: list[str]
    style_layers: list[str]


def stylize(
    content: Image,
    style: Image,
    *,
    network: Run | str | Path = PUBLISHED,
    content_layers: Sequence[str] | None = None,
    style_layers: Sequence[str] | None = None,
    steps: int = 150,
    size: int = 256,
    strength: float = 1.0,
    smoothness: float = 0.3,
    start: Literal["content", "noise"] = "content",
    seed: int = 0,
) -> Stylized:
    """An image that shows what one image shows, in the style of another.

    Its pixels descend by L-BFGS, while the network stays as it is. Each layer's loss is divided by
    that of a network that sees nothing, so neither the layers nor the strength depend on how large
    a network's numbers are.

    Args:
        content: What is to be seen: an image file, or pixels [height, width] or [height, width, 3].
        style: How it is to look, likewise.
        network: Whose features compare images: ``imagenet`` for published weights of
            ``efficientnet_lite0``, or a run of images, or its folder.
        content_layers: Paths of layers, as in ``named_modules()``; None is the middle one of the
            layers of the style.
        style_layers: Likewise, ``pixels`` for the image's own colours; None is these and the last
            layer of each size of maps but the smallest.
        steps: Steps of the optimiser, each of one or a few passes.
        size: Pixels of the longer side, of both images and of the result; up to 2048.
        strength: How much the style counts; 0 leaves the image as it is.
        smoothness: Weight of the total variation.
        start: ``content`` starts from the image itself, ``noise`` from grey noise.
        seed: Of the noise.

    Raises:
        InputError: If an image cannot be read or is too small, a layer does not exist or gives no
            maps, the network is not one of images of any size, or a number is out of its range.

    Example:
        >>> import glial
        >>> import polars as pl
        >>> images = np.random.default_rng(0).integers(256, size=(40, 16, 16), dtype=np.uint8)
        >>> table = pl.DataFrame({"x": images, "y": ["a", "b"] * 20})
        >>> small = {"model.widths": [4, 8], "doctor.watch": False}
        >>> run = glial.train(table, "y", epochs=1, out=False, set=small)
        >>> waves = np.indices((16, 24)).sum(0) % 4 / 3
        >>> found = stylize(waves, waves.T, network=run, size=24, steps=3)
        >>> found.pixels.shape, found.history[-1]["loss"] < found.history[0]["loss"]
        ((16, 24), True)
    """
    _check_numbers(steps, size, strength, smoothness)
    if start not in STARTS:
        raise unknown_name("start", start, STARTS)
    eyes = eyes_of(network)
    shown, wanted = (_image(image, size, eyes) for image in (content, style))
    style_layers, content_layers = _layers(eyes, shown, style_layers, content_layers)
    target = _Target(eyes, shown, wanted, content_layers, style_layers)
    parts = _parts(shown, torch_generator(seed, "noise") if start == "noise" else None)
    history: list[dict[str, Tensor]] = []
    tell = share_logger(logger, "painting")

    def loss() -> Tensor:
        pixels = _sum_of(parts)
        told = target.distances(pixels)
        outside = OUTSIDE * (pixels - pixels.detach().clamp(0, 1)).square().mean()
        whole = told["content"] + strength * STYLE * told["style"]
        whole = whole + smoothness * told["variation"] + outside
        history.append({key: value.detach() for key, value in {**told, "loss": whole}.items()})
        tell(min(1.0, len(history) / steps))
        return whole

    _descend(parts, loss, steps)
    return Stylized(
        _to_bytes(_sum_of(parts)),
        [{key: value.item() for key, value in row.items()} for row in history],
        content_layers,
        style_layers,
    )


def _check_numbers(steps: int, size: int, strength: float, smoothness: float) -> None:
    for name, value, low, high in (
        ("steps", steps, 1, 100_000),
        ("size", size, 8, MAX_SIDE),
        ("strength", strength, 0, 1e6),
        ("smoothness", smoothness, 0, 1e6),
    ):
        if not low <= value <= high:  # also refuses nan
            raise InputError(
                f"{name} is out of its range",
                expected=f"from {low} to {high:g}",
                got=str(value),
                do=f"choose another {name}",
            )


def _image(image: Image, size: int, eyes: Eyes) -> Tensor:
    """An image as pixels from 0 to 1, [1, channel, height, width], its longer side as asked."""
    told = str(image) if isinstance(image, str | Path) else "an array"
    try:
        pixels = _pixels(image, size, eyes, told)
    except UnreadableImageError as error:
        raise InputError(
            f"the image {told} cannot be read",
            expected="an image file, or pixels [height, width] or [height, width, 3]",
            got=str(error),
            do="check the path, or open the file with another program",
        ) from error
    held = torch.from_numpy(pixels.astype(np.float32) / 255)
    held = held[None, None] if eyes.channels == 1 else held.permute(2, 0, 1)[None]
    return held.contiguous().to(eyes.shift)


def _pixels(image: Image, size: int, eyes: Eyes, told: str) -> NDArray[np.uint8]:
    if isinstance(image, str | Path):
        header = read_header(str(image))
        return decode_file(str(image), _form(header.height, header.width, size, eyes, told))
    array = np.asarray(image)
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        raise UnreadableImageError(f"an array of the shape {list(array.shape)}")
    return fit_pixels(to_bytes(array), _form(array.shape[0], array.shape[1], size, eyes, told))


def _form(height: int, width: int, size: int, eyes: Eyes, told: str) -> ImageForm:
    ratio = size / max(height, width)
    sides = [max(1, round(side * ratio)) for side in (height, width)]
    least = max(eyes.min_side, 2)
    if min(sides) < least:
        raise InputError(
            f"the image {told} is too small or too narrow",
            expected=f"at least {least} pixels on the shorter side, with {size} on the longer",
            got=f"{sides[0]} x {sides[1]}, from {height} x {width}",
            do="choose a larger size, or cut the image",
        )
    return ImageForm(sides[0], sides[1], eyes.channels)


def _layers(
    eyes: Eyes, pixels: Tensor, style: Sequence[str] | None, content: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """The layers of the style and of the content: those asked for, or the usual ones."""
    for asked in (style, content):
        if asked is not None and not asked:
            raise InputError("no layer is named", expected="at least one", got="none")
    named = [name for name in (*(style or ()), *(content or ())) if name != PIXELS]
    check_layers(eyes.network, named)
    with torch.no_grad():
        found = eyes.maps(pixels, named)
    for name in named:
        if name not in found:
            raise no_maps(eyes.network, name)
    if style is not None and content is not None:
        return list(dict.fromkeys(style)), list(dict.fromkeys(content))
    last = {maps.shape[2:]: name for name, maps in eyes.once(pixels).items()}
    usual = list(last.values())
    usual = usual[: max(1, len(usual) - 1)]
    style = [PIXELS, *usual] if style is None else style
    content = [usual[len(usual) // 2]] if content is None else content
    return list(dict.fromkeys(style)), list(dict.fromkeys(content))


class _Target:
    """What the pixels are to come near: the maps of one image, the Gram matrices of another."""

    def __init__(
        self, eyes: Eyes, shown: Tensor, wanted: Tensor, content: list[str], style: list[str]
    ) -> None:
        self._eyes = eyes
        self._names = list(dict.fromkeys([*content, *style]))
        with torch.no_grad():
            maps, styles = eyes.maps(shown, content), eyes.maps(wanted, style)
            self._maps = {name: maps[name] for name in content}
            self._grams = {name: gram_matrix(styles[name]) for name in style}
            self._maps_weight = {n: _share(content_loss, m) for n, m in self._maps.items()}
            self._grams_weight = {n: _share(style_loss, g) for n, g in self._grams.items()}

    def distances(self, pixels: Tensor) -> Maps:
        """How far pixels are in what they show and in style, 1 as for nothing; their variation."""
        maps = self._eyes.maps(pixels, self._names)
        content = [
            weight * content_loss(maps[name], self._maps[name]).sum()
            for name, weight in self._maps_weight.items()
        ]
        style = [
            weight * style_loss(gram_matrix(maps[name]), self._grams[name]).sum()
            for name, weight in self._grams_weight.items()
        ]
        return {
            "content": torch.stack(content).mean(),
            "style": torch.stack(style).mean(),
            "variation": total_variation(pixels).sum(),
        }


def _share(loss: Callable[[Tensor, Tensor], Tensor], target: Tensor) -> float:
    """What makes the loss of nothing at all 1; 1 where the target itself is nothing."""
    of_nothing = loss(torch.zeros_like(target), target).item()
    return 1 / of_nothing if of_nothing else 1.0


def _parts(shown: Tensor, generator: torch.Generator | None) -> list[Tensor]:
    """The picture, or grey noise in its place, and empty pictures that are added to it enlarged."""
    if generator is None:
        first = shown.clone()
    else:
        noise = torch.rand(shown.shape, generator=generator)
        first = (0.4 + 0.2 * noise).to(shown)
    sizes = [[max(1, side >> times) for side in shown.shape[2:]] for times in HALVINGS]
    smaller = [shown.new_zeros(*shown.shape[:2], *sides) for sides in sizes]
    return [part.requires_grad_() for part in (first, *smaller)]


def _sum_of(parts: list[Tensor]) -> Tensor:
    total, *smaller = parts
    for part in smaller:
        total = total + nn.functional.interpolate(part, total.shape[2:], mode="bilinear")
    return total


def _descend(parts: list[Tensor], loss: Callable[[], Tensor], steps: int) -> None:
    optimizer = torch.optim.LBFGS(
        parts,
        max_iter=steps,
        history_size=HISTORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def passes() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    optimizer.step(passes)  # type: ignore[no-untyped-call]
    if not all(math.isfinite(part.sum().item()) for part in parts):
        raise InputError(
            "the pixels are no longer numbers",
            expected="a strength at which the loss falls",
            got="a loss that is not finite",
            do="choose less strength, or other layers",
        )


@torch.no_grad()
def _to_bytes(pixels: Tensor) -> NDArray[np.uint8]:
    held = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    found: NDArray[np.uint8] = held.permute(1, 2, 0).contiguous().numpy()
    return found[..., 0] if found.shape[2] == 1 else found
