"""The plan's ``data.augment`` part: how training rows are changed at random, and by how much."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from glial.core.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]


class AugmentSettings(Settings):
    """How each training row is changed when it is learnt from; nothing by default.

    Amounts are drawn anew for every row of every batch.

    Attributes:
        rotate: The most degrees that an image is turned by, either way.
        flip: The axes along which half of the images, drawn at random, are mirrored.
        translate: The most that an image is moved by, as a share of its width and height.
        scale: The least and the most that an image is enlarged by; its logarithm is uniform.
        crop: Border that an image is padded with, as a share of its sides, before a piece of the
            first size is cut out anywhere: a move by whole pixels.
        blur: The most standard deviation of a Gaussian blur, in pixels.
        brightness: The most that the factor on all pixels differs from 1.
        contrast: The most that the factor on the distance from the image's mean differs from 1.
        saturation: The most that the factor on the distance from grey differs from 1; only
            images of three channels have one.
        noise: Standard deviation of noise on pixels, which lie between 0 and 1.
        mixup: Parameter of the beta distribution of the share that each row keeps when it is
            mixed with another row of its batch, by adding images or numbers; 0 never mixes.
        cutmix: Likewise, by pasting a rectangle of another image; with both, a coin decides
            for each batch.
        probability: Chance that an image or sound is changed, and that a batch is mixed.
        number_noise: Standard deviation of noise on numbers, in that of their column; columns
            of two values get none.
        token_dropout: Chance that a token becomes the unknown one; one of each text stays.
        sound_shift: The most that a sound is moved by, as a share of its length.
        speed: The most that the factor on a sound's speed differs from 1; it is higher with it.
        tract: The most that the factor on a sound's frequencies differs from 1, as by a shorter
            or longer vocal tract.
        gain: The most decibels that a sound becomes louder or softer by.
        sound_noise: The most standard deviation of noise on a sound, of which 1 is its loudest
            sample; the square root of the share of it is uniform.
        band_mask: The most bands of frequencies that are hidden, next to each other, as a share.
        frame_mask: The most of its length that is hidden, in one piece, as a share.

    Example:
        >>> AugmentSettings(flip="horizontal", rotate=10.0).changes_images
        True
    """

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    translate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    scale: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)] = (
        Field(default_factory=lambda: [1.0, 1.0])
    )
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    blur: Strength = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    noise: Strength = 0.0
    mixup: Strength = 0.0
    cutmix: Strength = 0.0
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    number_noise: Strength = 0.0
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sound_shift: Share = 0.0
    speed: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    tract: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    gain: Annotated[float, Field(ge=0, le=60)] = 0.0
    sound_noise: Strength = 0.0
    band_mask: Share = 0.0
    frame_mask: Share = 0.0

    @field_validator("scale")
    @classmethod
    def _rising(cls, value: list[float]) -> list[float]:
        if value[0] > value[1]:
            raise ValueError(f"the least before the most, not {value}")
        return value

    @property
    def moves(self) -> bool:
        """Whether images are turned, moved or scaled."""
        return bool(self.rotate or self.translate or self.crop or self.scale != [1.0, 1.0])

    @property
    def changes_images(self) -> bool:
        """Whether images are changed, one by one."""
        light = self.brightness or self.contrast or self.saturation
        return bool(self.moves or self.flip != "none" or self.blur or light or self.noise)

    @property
    def changes_sounds(self) -> bool:
        """Whether sounds are changed, one by one."""
        heard = self.sound_shift or self.speed or self.gain or self.sound_noise
        return bool(heard or self.tract or self.band_mask or self.frame_mask)

    @property
    def mixes(self) -> bool:
        """Whether rows are mixed with others of their batch."""
        return bool(self.mixup or self.cutmix)
