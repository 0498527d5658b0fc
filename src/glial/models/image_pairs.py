"""What networks that turn images into images have in common: sizes, patches, first weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.models.unlabelled import UnlabelledSettings

KERNEL = 4
LEAST_PLACES, MOST_STRIDES = 4, 3
DEVIATION = 0.02
WIDTH, LARGE = 64, 128  # channels, and pixels from which on they are as published
MIN_SIDE = 8
Images = Float[Tensor, "row channel height width"]


@runtime_checkable
class Translates(Protocol):
    """A network that turns images of one kind into images of another.

    Example:
        >>> isinstance(nn.Linear(1, 1), Translates)
        False
    """

    def translate(self, images: Tensor, *, back: bool = False) -> Tensor:
        """Images of the first column as they would stand in the second.

        Args:
            images: [row, channel, height, width], scaled as the network's rows are.
            back: From the second to the first.

        Raises:
            InputError: If the network does not know the way.
        """


class ImagePairsSettings(UnlabelledSettings):
    """A network of rows of two images: the first is turned into the second.

    Attributes:
        generator_width: Channels of the generator's first layer; None is 64, of images below 128
            pixels 32.
        discriminator_width: Channels of the discriminator's first layer, likewise.
        discriminator_depth: Layers of it that halve height and width; None is 3, or as many as
            leave 4 places on the shorter side.
        discriminator_lr_factor: Its learning rate in units of the generator's.

    Example:
        >>> ImagePairsSettings().pair_of(0, 0, (), [[1, 8, 8], [3, 8, 8]])
        ((1, 8, 8), (3, 8, 8))
    """

    tasks: ClassVar[tuple[str, ...]] = ("generate",)
    objective: ClassVar[str] = "two_players"
    takes_numbers: ClassVar[bool] = False
    num_images: ClassVar[int] = 2

    generator_width: int | None = Field(default=None, ge=1, le=1024)
    discriminator_width: int | None = Field(default=None, ge=1, le=1024)
    discriminator_depth: int | None = Field(default=None, ge=0, le=8)
    discriminator_lr_factor: float = Field(default=1.0, gt=0)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam of little momentum; the last weights are kept, as no loss says which are best.

        Example:
            >>> ImagePairsSettings.train_defaults("generate", 400)["epochs"]
            200
        """
        batch_size = 1 if num_rows < 100 else 4 if num_rows < 1000 else 16
        return {
            "optimizer": "adam",
            "betas": [0.5, 0.999],
            "lr": 2e-4,
            "schedule": "cosine",
            "batch_size": batch_size,
            "epochs": max(5, min(200, 20_000 * batch_size // max(1, num_rows))),
            "restore_best": False,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> ImagePairsSettings:
        """Both widths by the size of the images.

        Example:
            >>> ImagePairsSettings().for_data(400, 0, 0, images=[[1, 28, 28]] * 2).generator_width
            32
        """
        side = min((length for image in images for length in image[1:]), default=LARGE)
        width = WIDTH if side >= LARGE else WIDTH // 2
        names = ("generator_width", "discriminator_width")
        return self.model_copy(update={name: getattr(self, name) or width for name in names})

    def pair_of(
        self,
        num_inputs: int,
        num_outputs: int | None,
        cardinalities: Sequence[int],
        images: Sequence[Sequence[int]],
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """[channel, height, width] of both images, checked.

        Args:
            num_inputs: 0.
            num_outputs: 0.
            cardinalities: None.
            images: Of the two columns.

        Raises:
            InputError: If there are not two images of one size from 8 pixels on, or anything else.
        """
        name = str(getattr(self, "name", ""))
        self.check_sizes(0, num_outputs or 0, cardinalities, images=images)
        if len(images) != 2 or num_inputs or num_outputs:
            raise InputError(
                f"the model {name!r} turns one column of images into another",
                expected="two columns of images, and no target",
                got=f"{len(images)} images, {num_inputs} numbers, {num_outputs or 0} classes",
                do="give a table with a column of paths of each, the images to turn first",
            )
        first, second = ((image[0], image[1], image[2]) for image in images)
        if first[1:] != second[1:] or min(first[1:]) < MIN_SIDE:
            raise InputError(
                f"the model {name!r} takes images of one size",
                expected=f"one height and width for both, from {MIN_SIDE} pixels on",
                got=f"{first[1]} x {first[2]} and {second[1]} x {second[2]}",
                do="set data.images.size=[32,32], or larger",
            )
        return first, second

    def strides_of(self, image: tuple[int, int, int]) -> int:
        """How many layers of the discriminator halve height and width.

        Example:
            >>> ImagePairsSettings().strides_of((3, 256, 256))
            3
            >>> ImagePairsSettings().strides_of((1, 8, 8))
            1
        """
        most = max(n for n in range(9) if min(image[1:]) >> n >= LEAST_PLACES)
        if self.discriminator_depth is None:
            return min(MOST_STRIDES, most)
        return min(self.discriminator_depth, most)


def normalization(name: str, channels: int) -> nn.Module:
    """Normalisation of maps by name: over the batch, or of each image by itself.

    Args:
        name: ``batch``, or ``instance``, which has no parameters.
        channels: Of the maps.

    Example:
        >>> normalization("batch", 4)
        BatchNorm2d(4, ...)
    """
    return nn.BatchNorm2d(channels) if name == "batch" else nn.InstanceNorm2d(channels)


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of images: with three strides, 70 x 70 pixels each.

    Parameters have the published names, ``model.<i>.weight``.

    Args:
        channels: Of the images.
        width: Channels of the first layer; each stride doubles them, up to eight times.
        strides: Layers that halve height and width.
        normalized: ``batch`` or ``instance``.

    Source:
        Isola, Zhu, Zhou, Efros (2017), "Image-to-image translation with conditional adversarial
        networks", arXiv 1611.07004, section 3.2.2 and appendix 6.1.2.

    Example:
        >>> import torch
        >>> PatchDiscriminator(6)(torch.zeros(1, 6, 256, 256)).shape
        torch.Size([1, 1, 30, 30])
    """

    def __init__(
        self, channels: int, width: int = WIDTH, strides: int = 3, normalized: str = "batch"
    ) -> None:
        super().__init__()
        biased = normalized == "instance"
        layers: list[nn.Module] = []
        before = channels
        for number in range(strides + 1):
            after, stride = width * min(2**number, 8), 2 if number < strides else 1
            first = number == 0
            layers.append(nn.Conv2d(before, after, KERNEL, stride, 1, bias=first or biased))
            if not first:
                layers.append(normalization(normalized, after))
            layers.append(nn.LeakyReLU(0.2))
            before = after
        layers.append(nn.Conv2d(before, 1, KERNEL, 1, 1))
        self.model = nn.Sequential(*layers)

    def forward(self, images: Images) -> Float[Tensor, "row 1 high wide"]:
        """A judgement of each patch; the larger, the more real."""
        judged: Tensor = self.model(images)
        return judged


def padded(images: Images, multiple: int) -> Float[Tensor, "row channel high wide"]:
    """Images with their last row and column repeated up to a multiple of pixels.

    Args:
        images: The images.
        multiple: Of height and of width.

    Example:
        >>> import torch
        >>> padded(torch.zeros(1, 1, 28, 31), 16).shape
        torch.Size([1, 1, 32, 32])
    """
    down, across = (-side % multiple for side in images.shape[2:])
    if not down and not across:
        return images
    return nn.functional.pad(images, (0, across, 0, down), mode="replicate")


def start(network: nn.Module) -> None:
    """First weights as published: normal with a deviation of 0.02, biases 0.

    Args:
        network: Whose convolutions and normalisations are started, in place.

    Source:
        Isola et al. (2017), arXiv 1611.07004, appendix 6.2.

    Example:
        >>> layer = nn.Conv2d(3, 64, 4)
        >>> start(layer)
        >>> layer.bias.abs().max().item()
        0.0
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, DEVIATION)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, DEVIATION)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
