"""From images to images by pairs: a U-Net that is judged patch by patch.

Variants: widths, depth, without skips, normalisation, weight of the absolute error, dropout.

Source:
    Isola, Zhu, Zhou, Efros (2017), "Image-to-image translation with conditional adversarial
    networks", arXiv 1611.07004; U-Net: Ronneberger, Fischer, Brox (2015), arXiv 1505.04597.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional import mean_absolute_error
from glial.functional.adversarial_losses import (
    AdversarialLoss,
    discriminator_loss,
    generator_loss,
)
from glial.models.image_pairs import (
    KERNEL,
    WIDTH,
    ImagePairsSettings,
    Images,
    PatchDiscriminator,
    normalization,
    padded,
    start,
)
from glial.models.unlabelled import Drawn

MOST_WIDER = 8
MAX_DEPTH = 8


class Pix2PixSettings(ImagePairsSettings):
    """A network that learns from pairs what an image becomes.

    Attributes:
        depth: How often the generator halves height and width; None is as often as it can, at
            most 8 times.
        skips: Whether each layer of its way down is seen by the one of its size on the way up.
        normalization: ``batch``, or ``instance``: of each image by itself.
        dropout: In training, in the generator's layers below the fourth on the way up.
        absolute_weight: What the mean absolute error counts beside the discriminator.
        adversarial_loss: See `glial.functional.discriminator_loss`.

    Example:
        >>> network = Pix2PixSettings(generator_width=4, discriminator_width=4).build(
        ...     images=[[1, 16, 16], [3, 16, 16]]
        ... )
        >>> network.translate(torch.zeros(2, 1, 16, 16)).shape
        torch.Size([2, 3, 16, 16])
    """

    description: ClassVar[str] = "images into images, learnt from pairs: a U-Net against patches"
    source: ClassVar[str] = "Isola, Zhu, Zhou, Efros (2017), arXiv 1611.07004"

    name: Literal["pix2pix"] = "pix2pix"
    depth: int | None = Field(default=None, ge=1, le=MAX_DEPTH)
    skips: bool = True
    normalization: Literal["batch", "instance"] = "batch"
    dropout: float = Field(default=0.5, ge=0, lt=1)
    absolute_weight: float = Field(default=100.0, ge=0)
    adversarial_loss: AdversarialLoss = "non_saturating"

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        *,
        images: Sequence[Sequence[int]] = (),
    ) -> Pix2Pix:
        """The network.

        Args:
            num_inputs: 0.
            num_outputs: 0.
            cardinalities: None.
            images: [channel, height, width] of the image to turn and of what it becomes.
        """
        return Pix2Pix(self, *self.pair_of(num_inputs, num_outputs, cardinalities, images))


class UNetLevel(nn.Module):
    """Half the height and width, what lies below, and back; beside what came in.

    Args:
        outer: Channels of the maps that come in, and that come back from below.
        inner: Channels at half the height and width.
        below: The next level; None is the bottom.
        normalized: ``batch`` or ``instance``.
        dropout: On the way up.
        skips: Whether what came in is kept beside what comes back.

    Example:
        >>> UNetLevel(4, 8)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 6, 6])
    """

    def __init__(
        self,
        outer: int,
        inner: int,
        below: nn.Module | None = None,
        *,
        normalized: str = "batch",
        dropout: float = 0.0,
        skips: bool = True,
    ) -> None:
        super().__init__()
        biased = normalized == "instance"
        down = nn.Conv2d(outer, inner, KERNEL, 2, 1, bias=biased)
        layers: list[nn.Module] = [nn.LeakyReLU(0.2), down]
        if below is not None:
            layers += [normalization(normalized, inner), below]
        back = 2 * inner if below is not None and skips else inner
        up = nn.ConvTranspose2d(back, outer, KERNEL, 2, 1, bias=biased)
        layers += [nn.ReLU(), up, normalization(normalized, outer)]
        if dropout:
            layers.append(nn.Dropout(dropout))
        self.model = nn.Sequential(*layers)
        self.skips = skips

    def forward(self, maps: Images) -> Float[Tensor, "row both height width"]:
        """The maps of this level; what skips it is rectified, as in the published network."""
        first, *others = self.model
        back = rectified = first(maps)
        for layer in others:
            back = layer(back)
        return torch.cat([rectified, back], dim=1) if self.skips else back


class UNetGenerator(nn.Module):
    """A U-Net from images to images of numbers from -1 to 1.

    Parameters have the published names: ``model.model.0.weight``, ``model.model.1.model.1.weight``
    and so on inwards. Images may be of any size: their last row and column are repeated up to a
    multiple of what the depth halves.

    Args:
        before: Channels of the images that come in.
        after: Channels of those that go out.
        depth: How often height and width are halved; 8 is the published ``unet_256``.
        width: Channels of the first level; the next have 2, 4 and 8 times as many.
        normalized: ``batch`` or ``instance``.
        dropout: On the way up, below the fourth level, but for the bottom.
        skips: Whether each level's maps are seen on the way up.

    Example:
        >>> UNetGenerator(1, 3, 3, 4)(torch.zeros(2, 1, 28, 20)).shape
        torch.Size([2, 3, 28, 20])
    """

    def __init__(
        self,
        before: int,
        after: int,
        depth: int = MAX_DEPTH,
        width: int = WIDTH,
        *,
        normalized: str = "batch",
        dropout: float = 0.5,
        skips: bool = True,
    ) -> None:
        super().__init__()
        self._multiple = 2**depth
        widths = [width * min(2**number, MOST_WIDER) for number in range(depth)]
        level: UNetLevel | None = None
        for number in range(depth - 1, 0, -1):
            drops = dropout if 4 <= number < depth - 1 else 0.0
            level = UNetLevel(
                widths[number - 1],
                widths[number],
                level,
                normalized=normalized,
                dropout=drops,
                skips=skips,
            )
        layers: list[nn.Module] = [
            nn.Conv2d(before, width, KERNEL, 2, 1, bias=normalized == "instance")
        ]
        if level is not None:
            layers.append(level)
        back = 2 * width if level is not None and skips else width
        layers += [nn.ReLU(), nn.ConvTranspose2d(back, after, KERNEL, 2, 1), nn.Tanh()]
        self.model = nn.ModuleDict({"model": nn.Sequential(*layers)})

    def forward(self, images: Images) -> Float[Tensor, "row made height width"]:
        """What the images become."""
        made: Tensor = self.model["model"](padded(images, self._multiple))
        return made[..., : images.shape[2], : images.shape[3]]


class Pix2Pix(nn.Module):
    """A generator of images from images, and a judge of such pairs.

    Parameters: ``generator.*`` and ``discriminator.*``, both by the published names. In evaluation
    mode there is no dropout, so that an image becomes the same each time.

    Args:
        settings: The settings.
        source: [channel, height, width] of the images to turn.
        target: The same of what they become.

    Example:
        >>> settings = Pix2PixSettings(generator_width=4, discriminator_width=4)
        >>> network = Pix2Pix(settings, (1, 8, 8), (1, 8, 8)).eval()
        >>> network.measure(*torch.zeros(2, 3, 1, 8, 8), generator=torch.Generator()).keys()
        dict_keys(['absolute_error'])
    """

    discriminator_steps: int = 1

    def __init__(
        self,
        settings: Pix2PixSettings,
        source: tuple[int, int, int],
        target: tuple[int, int, int],
    ) -> None:
        super().__init__()
        most = min(MAX_DEPTH, min(source[1:]).bit_length() - 1)
        self.generator = UNetGenerator(
            source[0],
            target[0],
            most if settings.depth is None else settings.depth,
            settings.generator_width or WIDTH,
            normalized=settings.normalization,
            dropout=settings.dropout,
            skips=settings.skips,
        )
        self.discriminator = PatchDiscriminator(
            source[0] + target[0],
            settings.discriminator_width or WIDTH,
            settings.strides_of(target),
            settings.normalization,
        )
        self.discriminator_lr_factor = settings.discriminator_lr_factor
        self._absolute_weight = settings.absolute_weight
        self._kind = settings.adversarial_loss
        start(self)

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """The pairs as they are."""
        return Drawn(rows, rows[1])

    def generate(self, source: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """What the images become."""
        return (self.generator(source),)

    def discriminator_loss(
        self, made: tuple[Tensor, ...], source: Tensor, target: Tensor
    ) -> Tensor:
        """How badly true pairs are told from made ones."""
        return discriminator_loss(
            self._judged(source, target), self._judged(source, made[0]), self._kind
        )

    def generator_loss(self, made: tuple[Tensor, ...], source: Tensor, target: Tensor) -> Tensor:
        """How badly the judge is deceived, and how far the images are from the true ones."""
        judged = self._judged(source, made[0])
        real = self._judged(source, target) if self._kind.startswith("relativistic") else judged
        absolute = mean_absolute_error(made[0], target)
        return generator_loss(real, judged, self._kind) + self._absolute_weight * absolute

    def _judged(self, source: Tensor, target: Tensor) -> Tensor:
        judged: Tensor = self.discriminator(torch.cat([source, target], dim=1))
        return judged

    def forward(self, source: Tensor, target: Tensor | None = None) -> Tensor:
        """What the images become."""
        made: Tensor = self.generator(source)
        return made

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean absolute error."""
        return mean_absolute_error(outputs, target, weight=weight)

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The mean absolute error of each pair, in scaled units: 2 is white for black."""
        return {"absolute_error": (self(rows[0]) - rows[1]).abs().mean(dim=(1, 2, 3))}

    def translate(self, images: Tensor, *, back: bool = False) -> Tensor:
        """What images become.

        Args:
            images: Of the first column, scaled.
            back: Must be False: only one way is learnt.

        Raises:
            InputError: If the way back is asked for.
        """
        if back:
            raise InputError(
                "the model 'pix2pix' knows one way only",
                expected="images of the first column",
                got="the way back",
                do="train with the columns changed about, or the model cyclegan",
            )
        return self(images)  # type: ignore[no-any-return]
