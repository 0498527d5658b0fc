"""What a network that restores rows is made to restore: noise, gaps and blur in its settings."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from glial.core.errors import InputError
from glial.functional.corruption import (
    blurred,
    gaussian_kernels,
    gaussian_noise,
    masking_noise,
    motion_kernels,
    random_angles,
    salt_and_pepper,
)
from glial.models.unlabelled import UnlabelledSettings

CorruptionName = Literal["none", "gaussian", "masking", "salt_and_pepper", "blur"]
BlurName = Literal["gaussian", "motion"]
Level = Annotated[float, Field(gt=0)]

USUAL_LEVELS = {"gaussian": 0.5, "masking": 0.3, "salt_and_pepper": 0.2, "blur": 1.5}
# Pixels run from -1 to 1; of numbers in standard deviations few lie beyond two.
PIXEL_ENDS, NUMBER_ENDS = (-1.0, 1.0), (-2.0, 2.0)


class CorruptionSettings(UnlabelledSettings):
    """A network that may be given worse rows than those that it shall give back.

    Attributes:
        corruption: ``gaussian`` noise; ``masking`` a share of the numbers (0, the mean) or of
            the pixels (-1, black); ``salt_and_pepper``, a share of the pixels to black or white,
            and of numbers to two deviations below or above the mean; ``blur``, of pictures.
        corruption_level: How strong: of ``gaussian`` the standard deviation, in the units of
            scaled rows (pixels run from -1 to 1, so 0.5 is a quarter of their range); a share;
            of ``blur`` the standard deviation, or the way, in pixels. Two numbers are the ends
            between which each row's is drawn. None is 0.5, 0.3, 0.2 and 1.5 in turn, and 5 pixels
            of motion.
        blur: ``gaussian``, out of focus, or ``motion`` in a direction that is drawn for each row.

    Example:
        >>> settings = CorruptionSettings(corruption="masking", corruption_level=1.0)
        >>> settings.corrupted(torch.ones(1, 2), torch.Generator())
        tensor([[0., 0.]])
    """

    corruption: CorruptionName = "none"
    corruption_level: Level | Annotated[list[Level], Field(min_length=2, max_length=2)] | None = (
        None
    )
    blur: BlurName = "gaussian"

    @model_validator(mode="after")
    def _possible_levels(self) -> CorruptionSettings:
        low, high = self.levels
        if low > high:
            raise ValueError("the lesser of two levels first")
        if self.corruption in ("masking", "salt_and_pepper") and high > 1:
            raise ValueError("a share of at most 1 as the level of masking and of salt_and_pepper")
        if self.corruption == "blur" and self.blur == "motion" and low < 1:
            raise ValueError("a motion of at least 1 pixel")
        return self

    @property
    def levels(self) -> tuple[float, float]:
        """The least and the greatest level; both 0 where nothing is corrupted."""
        level = self.corruption_level
        if level is None:
            moves = self.corruption == "blur" and self.blur == "motion"
            level = 5.0 if moves else USUAL_LEVELS.get(self.corruption, 0.0)
        return (level[0], level[1]) if isinstance(level, list) else (level, level)

    def check_corruption(self, *, pictures: bool) -> None:
        """Refuse to blur what is no picture.

        Raises:
            InputError: If it is asked for.
        """
        if self.corruption == "blur" and not pictures:
            raise InputError(
                "only pictures can be blurred",
                expected="model.corruption: none, gaussian, masking or salt_and_pepper",
                got="model.corruption: blur, for rows without a picture",
                do="set model.corruption=gaussian",
            )

    def corrupted(
        self, rows: Float[Tensor, "row ..."], generator: torch.Generator
    ) -> Float[Tensor, "row ..."]:
        """Rows made worse.

        Args:
            rows: Scaled numbers, or pictures [row, channel, height, width].
            generator: Draws.
        """
        if self.corruption == "none":
            return rows
        low, high = self.levels
        level = low + (high - low) * torch.rand(len(rows), generator=generator)
        pictures = rows.ndim == 4
        if self.corruption == "gaussian":
            return gaussian_noise(rows, level, generator)
        ends = PIXEL_ENDS if pictures else NUMBER_ENDS
        if self.corruption == "masking":
            return masking_noise(rows, level, generator, fill=ends[0] if pictures else 0.0)
        if self.corruption == "salt_and_pepper":
            return salt_and_pepper(rows, level, generator, low=ends[0], high=ends[1])
        if self.blur == "motion":
            kernels = motion_kernels(level, random_angles(len(rows), generator))
        else:
            kernels = gaussian_kernels(level)
        return blurred(rows, kernels.to(rows))
