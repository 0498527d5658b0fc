r"""Diffusion: a network learns to take noise from rows, and makes rows of nothing but noise.

Source:
    Ho, Jain, Abbeel (2020), "Denoising diffusion probabilistic models", arXiv 2006.11239; fewer
    steps: Song, Meng, Ermon (2021), arXiv 2010.02502; classes: Ho, Salimans (2022),
    "Classifier-free diffusion guidance", arXiv 2207.12598.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from glial.functional.diffusion import cosine_alpha_bars, linear_alpha_bars
from glial.models.denoisers import DenseDenoiser, UNet
from glial.models.denoising import Diffusion, Predicts
from glial.models.unlabelled import UnlabelledSettings

SCHEDULES: dict[str, Callable[[int], Tensor]] = {
    "linear": linear_alpha_bars,
    "cosine": cosine_alpha_bars,
}
BATCH_SIZE, STEPS, MOST_EPOCHS = 128, 3_000, 1_000
FIRST_WIDTH, MOST_WIDTH, LAST_SIDE = 32, 128, 8


class DiffusionSettings(UnlabelledSettings):
    """A diffusion of numbers or of one column of images, of rows alone or with their classes.

    Attributes:
        schedule: How noise comes in over time: ``cosine`` or ``linear``.
        num_times: Times between a row and noise.
        predicts: What the network tells: ``velocity``, or the ``noise`` itself.
        hidden_size: Units of each layer, for numbers.
        layers: Residual blocks of two layers each, for numbers.
        widths: Channels of each stage, for images; None is 32, doubled at each stage up to 128,
            until maps have sides of at most 8.
        depth: Residual blocks of each stage on the way down, and again on the way up.
        patch: Side of the squares of pixels that one place of the first maps holds; "auto" is 1
            for images with a side of less than 20 pixels, 4 from 48 pixels on, else 2.
        attention: Whether places of the smallest maps see each other.
        drop_classes: Share of rows that are learnt without their class, for guidance.
        levels: Values that a pixel may have; for the bound alone.

    Example:
        >>> import torch
        >>> network = DiffusionSettings(hidden_size=8, layers=1).build(2, 0)
        >>> network.sample(5, generator=torch.Generator(), steps=3).shape
        torch.Size([5, 2])
    """

    tasks: ClassVar[tuple[str, ...]] = ("generate",)
    conditional: ClassVar[bool] = True
    description: ClassVar[str] = "diffusion: learns to take noise from rows; the best samples"
    source: ClassVar[str] = "Ho, Jain, Abbeel (2020), arXiv 2006.11239"

    name: Literal["diffusion"] = "diffusion"
    schedule: Literal["linear", "cosine"] = "cosine"
    num_times: int = Field(default=1000, ge=2, le=1_000_000)
    predicts: Predicts = "velocity"
    hidden_size: int = Field(default=128, ge=1)
    layers: int = Field(default=3, ge=1)
    widths: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    depth: int = Field(default=1, ge=1)
    patch: Literal["auto", 1, 2, 4] = "auto"
    attention: bool = True
    drop_classes: float = Field(default=0.1, ge=0, lt=1)
    levels: int = Field(default=256, ge=2)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cycle of the rate, about 3,000 steps whatever the rows, averaged weights.

        Example:
            >>> DiffusionSettings.train_defaults("generate", 42_000)["epochs"]
            10
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "weight_decay": 0.01,
            "schedule": "one_cycle",
            "clip_norm": 1.0,
            "ema": 0.995,
            "batch_size": BATCH_SIZE,
            "epochs": min(MOST_EPOCHS, math.ceil(STEPS * BATCH_SIZE / max(1, num_rows))),
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> DiffusionSettings:
        """Patches and widths by the size of the images.

        Example:
            >>> chosen = DiffusionSettings().for_data(60_000, 0, 10, images=[[1, 28, 28]])
            >>> chosen.patch, chosen.widths
            (2, [32, 64])
        """
        if not images:
            return self.model_copy()
        patch = _patch_of(images[0]) if self.patch == "auto" else self.patch
        widths = self.widths or _widths_of(images[0], patch)
        return self.model_copy(update={"patch": patch, "widths": widths})

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; sizes left open are those of `for_data`."""
        shape = self.shape_of(
            num_inputs, num_outputs, cardinalities, images=images, sequences=sequences
        )
        classes = num_outputs or 0
        if len(shape) == 1:
            denoiser: nn.Module = DenseDenoiser(
                shape[0], self.hidden_size, self.layers, self.num_times, classes
            )
        else:
            patch = _patch_of(shape) if self.patch == "auto" else self.patch
            widths = self.widths or _widths_of(shape, patch)
            denoiser = UNet(
                shape[0], widths, self.depth, self.num_times, classes, patch, self.attention
            )
        alpha_bars = SCHEDULES[self.schedule](self.num_times)
        return Diffusion(
            denoiser, shape, alpha_bars, classes, self.predicts, self.drop_classes, self.levels
        )


def _patch_of(image: Sequence[int]) -> Literal[1, 2, 4]:
    side = min(image[1:])
    return 1 if side < 20 else 4 if side >= 48 else 2


def _widths_of(image: Sequence[int], patch: int) -> list[int]:
    side, widths = math.ceil(max(image[1:]) / patch), [FIRST_WIDTH]
    while side > LAST_SIDE:
        side = math.ceil(side / 2)
        widths.append(min(MOST_WIDTH, 2 * widths[-1]))
    return widths
