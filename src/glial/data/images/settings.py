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
        fit: How images of another shape are brought to it: ``resize`` stretches them, ``pad``
            keeps their proportions and adds black edges, ``crop`` keeps them and cuts edges off.
        channels: ``grey`` or ``rgb``; ``auto`` is grey where no image has colours.
        scaling: ``standard`` subtracts each channel's mean over the training rows and divides
            by its standard deviation, ``mean`` only subtracts; ``unit`` is from 0 to 1,
            ``signed`` from -1 to 1, ``none`` from 0 to 255.
        max_unreadable: The largest share of rows that may be left out because their images
            cannot be read.

    Example:
        >>> ImageSettings(size=[28, 28]).fit
        'resize'
    """

    size: Annotated[list[Side], Field(min_length=2, max_length=2)] | Literal["auto"] = "auto"
    fit: Literal["resize", "pad", "crop"] = "resize"
    channels: Literal["auto", "grey", "rgb"] = "auto"
    scaling: Literal["standard", "mean", "unit", "signed", "none"] = "standard"
    max_unreadable: float = Field(default=0.05, ge=0, le=1)
