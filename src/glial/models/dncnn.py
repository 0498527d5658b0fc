"""A network that restores pictures: convolutions without a code tell what is to be taken away.

Source:
    Zhang, Zuo, Chen, Meng, Zhang (2017), "Beyond a Gaussian denoiser: residual learning of deep CNN
    for image denoising", arXiv 1608.03981; blocks of pixels as channels: Zhang, Zuo, Zhang (2018),
    "FFDNet: toward a fast and flexible solution for CNN-based image denoising", arXiv 1710.04026.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.functional.losses import mean_squared_error
from glial.models.autoencoding import PerRow, restoration_figures, within_range
from glial.models.corruption import CorruptionName, CorruptionSettings
from glial.models.unlabelled import Drawn

Images = Float[Tensor, "row channel height width"]


class DnCNNSettings(CorruptionSettings):
    """A residual restorer of pictures: the default against noise and blur.

    Attributes:
        width: Channels of all layers between the first and the last; the paper has 64.
        depth: Convolutions; the paper has 17, which see 35 x 35 pixels around each.
        fold: Side of the blocks of pixels that are channels of one place: a side of 2 sees twice as
            far in a quarter of the time. The paper has 1.
        norm: Whether layers between the first and the last normalise over batches.

    Example:
        >>> import torch
        >>> network = DnCNNSettings(width=4, depth=3).build(0, images=[[1, 12, 10]])
        >>> network.reconstruct(torch.zeros(2, 1, 12, 10)).shape
        torch.Size([2, 1, 12, 10])
    """

    tasks: ClassVar[tuple[str, ...]] = ("reduce",)
    takes_numbers: ClassVar[bool] = False
    description: ClassVar[str] = "takes noise and blur out of pictures"
    source: ClassVar[str] = "Zhang et al. (2017), arXiv 1608.03981"

    name: Literal["dncnn"] = "dncnn"
    corruption: CorruptionName = "gaussian"
    width: int = Field(default=32, ge=1)
    depth: int = Field(default=8, ge=2)
    fold: int = Field(default=2, ge=1)
    norm: bool = True

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cycle of the rate; more epochs where there are fewer rows.

        Example:
            >>> DnCNNSettings.train_defaults("reduce", 60_000)["epochs"]
            5
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "batch_size": 64,
            "epochs": 5 if num_rows >= 30_000 else 20 if num_rows >= 5_000 else 60,
            "schedule": "one_cycle",
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "reduce",
        images: Sequence[Sequence[int]] = (),
    ) -> DnCNNSettings:
        """The settings as they are: no size is left open."""
        return self.model_copy()

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network, of pictures of any size with as many channels."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return DnCNN(self, shape[0])


class DnCNN(nn.Module):
    """Convolutions of 3 x 3 that tell the difference between a picture and a better one.

    Parameters: ``layers.<i>.0.*`` the convolutions, ``layers.<i>.1.*`` their normalisation.

    Args:
        settings: The settings.
        channels: Of a picture.

    Example:
        >>> network = DnCNN(DnCNNSettings(width=4, depth=3, fold=1), 1)
        >>> sum(isinstance(layer, nn.Conv2d) for layer in network.modules())
        3
    """

    def __init__(self, settings: DnCNNSettings, channels: int) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        norm = nn.BatchNorm2d if settings.norm else nn.Identity
        self.fold = settings.fold
        channels *= self.fold**2
        first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU())
        between = [
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=not settings.norm),
                norm(width),
                nn.ReLU(),
            )
            for _ in range(settings.depth - 2)
        ]
        last = nn.Conv2d(width, channels, 3, padding=1)
        self.layers = nn.Sequential(first, *between, last)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer is not last:
                nn.init.kaiming_normal_(layer.weight)
        # It begins by giving pictures back nearly as they are.
        nn.init.normal_(last.weight, std=1e-3)
        if last.bias is not None:
            nn.init.zeros_(last.bias)

    def forward(self, images: Images) -> Images:
        """Pictures less what is told to be noise."""
        height, width = images.shape[2:]
        # What a block lacks at the far borders goes on as the picture ends.
        lacking = (0, -width % self.fold, 0, -height % self.fold)
        whole = functional.pad(images, lacking, mode="replicate") if any(lacking) else images
        found = self.layers(functional.pixel_unshuffle(whole, self.fold))
        difference = functional.pixel_shuffle(found, self.fold)
        return images - difference[:, :, :height, :width]

    def reconstruct(self, images: Images) -> Images:
        """What the network takes for the pictures without noise or blur."""
        return within_range(self(images))

    def draw(self, images: Images, *, generator: torch.Generator) -> Drawn:
        """Corrupted pictures to start from, and the pictures themselves to give back.

        Args:
            images: The pictures.
            generator: Draws.
        """
        return Drawn((self.settings.corrupted(images, generator),), images)

    def loss(self, outputs: Images, target: Images, weight: PerRow | None = None) -> Tensor:
        """The mean squared error a pixel.

        Args:
            outputs: What the network gave.
            target: What it should.
            weight: Of each row.
        """
        return mean_squared_error(outputs, target, weight=weight)

    def measure(self, images: Images, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How near restored pictures are to those before the corruption; and corrupted ones.

        Args:
            images: The pictures.
            generator: Draws.
        """
        corrupted = self.settings.corrupted(images, generator)
        return restoration_figures(self.reconstruct(corrupted), images, corrupted)


def _layer(width: int, *, norm: bool) -> nn.Sequential:
    convolution = nn.Conv2d(width, width, 3, padding=1, bias=not norm)
    return nn.Sequential(convolution, nn.BatchNorm2d(width) if norm else nn.Identity(), nn.ReLU())
