"""The plan's ``data.images`` part: what images are brought to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from glial.core.settings import Settings

Side = Annotated[int, Field(ge=1, le=4096)]


class ImageSettings(Settings):
    """What images are brought to before a network sees them.

    Attributes:
        size: Height and width in pixels; ``auto`` is the commonest size, or the median where no
            size is common, with sides of at most 128 pixels (64 for more than 10,000 images).
            ``varied`` keeps every image's own, see ``max_side``.
        fit: How images of another shape are brought to it: ``resize`` stretches them, ``pad``
            keeps their proportions and adds black edges, ``crop`` keeps them and cuts edges off.
        channels: ``grey`` or ``rgb``; ``auto`` is grey where no image has colours.
        scaling: ``standard`` subtracts each channel's mean over the training rows and divides
            by its standard deviation, ``mean`` only subtracts; ``unit`` is from 0 to 1,
            ``signed`` from -1 to 1, ``none`` from 0 to 255; ``imagenet`` is by the colours of
            ImageNet, as published weights expect it.
        mean: Of each channel, from 0 to 1: subtracted in place of what ``scaling`` says.
        std: Of each channel, likewise: what they are divided by.
        min_side: Where the size is ``auto``, the least height and width; images below it are
            enlarged.
        multiple: Where the size is ``auto`` or ``varied``, sides are multiples of this.
        max_side: Where the size is ``varied``, images whose longer side is above it are made
            smaller; ``auto`` is 128 pixels, or 64 for more than 10,000 images.
        buckets: Where the size is ``varied``, to how many sizes images are padded.
        grouped: Where the size is ``varied``, whether a training batch holds images of one of these
            sizes only: faster, but its rows are alike. Else it is padded to what holds all.
        mask: Where the size is ``varied``, whether the network is told which pixels are padding;
            ``auto`` does so where it can use that.
        max_unreadable: The largest share of rows that may be left out because their images
            cannot be read.

    Example:
        >>> ImageSettings(size=[28, 28]).fit
        'resize'
    """

    size: Annotated[list[Side], Field(min_length=2, max_length=2)] | Literal["auto", "varied"] = (
        "auto"
    )
    fit: Literal["resize", "pad", "crop"] = "resize"
    channels: Literal["auto", "grey", "rgb"] = "auto"
    scaling: Literal["standard", "mean", "unit", "signed", "none", "imagenet"] = "standard"
    mean: list[float] | None = None
    std: list[Annotated[float, Field(gt=0)]] | None = None
    min_side: Side = 1
    multiple: Side = 1
    max_side: Side | Literal["auto"] = "auto"
    buckets: int = Field(default=8, ge=1, le=64)
    grouped: bool = False
    mask: bool | Literal["auto"] = "auto"
    max_unreadable: float = Field(default=0.05, ge=0, le=1)
