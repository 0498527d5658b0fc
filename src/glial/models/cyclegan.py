"""From images to images without pairs: there and back again is where it started.

Variants: widths, blocks, strides, weights of the cycle and of what is to stay, size of the pool.

Source:
    Zhu, Park, Isola, Efros (2017), "Unpaired image-to-image translation using cycle-consistent
    adversarial networks", arXiv 1703.10593.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional import mean_absolute_error
from glial.functional.adversarial_losses import (
    AdversarialLoss,
    discriminator_loss,
    generator_loss,
)
from glial.models.image_pairs import (
    WIDTH,
    ImagePairsSettings,
    Images,
    PatchDiscriminator,
    normalization,
    padded,
    start,
)
from glial.models.image_pool import ImagePool
from glial.models.unlabelled import Drawn

LARGE, MIDDLE, SMALL = 256, 128, 32
MOST_STRIDES = 2
FORTH, BACK = 0, 1
ADVERSARIAL = 2.0  # the published least squares are not halved


class CycleGANSettings(ImagePairsSettings):
    """A network that learns from two heaps of images what one would be among the other.

    The rows' two images need not belong together: which stands beside which is drawn anew.

    Attributes:
        blocks: Residual blocks of each generator; None is 9 from 256 pixels on, 6 from 128, else 3.
        strides: How often a generator halves height and width; None is twice from 64 pixels on,
            once from 32, else never.
        normalization: ``instance``: of each image by itself, or ``batch``.
        cycle_weight: What the mean absolute error of there and back again counts.
        identity_weight: What changes of images that are already among the others count, in units
            of ``cycle_weight``; images of other channels have none.
        adversarial_loss: See `glial.functional.discriminator_loss`.
        pool_size: Made images that each discriminator remembers: half of those it sees are drawn
            from them. 0 is none.

    Example:
        >>> sizes = {"generator_width": 4, "discriminator_width": 4, "blocks": 1}
        >>> network = CycleGANSettings(**sizes).build(images=[[1, 16, 16], [3, 16, 16]])
        >>> network.translate(torch.zeros(2, 3, 16, 16), back=True).shape
        torch.Size([2, 1, 16, 16])
    """

    description: ClassVar[str] = "images into images, learnt without pairs, there and back again"
    source: ClassVar[str] = "Zhu, Park, Isola, Efros (2017), arXiv 1703.10593"

    name: Literal["cyclegan"] = "cyclegan"
    blocks: int | None = Field(default=None, ge=0, le=64)
    strides: int | None = Field(default=None, ge=0, le=4)
    normalization: Literal["instance", "batch"] = "instance"
    cycle_weight: float = Field(default=10.0, ge=0)
    identity_weight: float = Field(default=0.5, ge=0)
    adversarial_loss: AdversarialLoss = "least_squares"
    pool_size: int = Field(default=50, ge=0, le=100_000)

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        *,
        images: Sequence[Sequence[int]] = (),
    ) -> CycleGAN:
        """The network.

        Args:
            num_inputs: 0.
            num_outputs: 0.
            cardinalities: None.
            images: [channel, height, width] of the two kinds of images.
        """
        return CycleGAN(self, *self.pair_of(num_inputs, num_outputs, cardinalities, images))


class ResidualBlock(nn.Module):
    """Two convolutions whose maps are added to what came in.

    Args:
        channels: Of the maps.
        normalized: ``instance`` or ``batch``.

    Example:
        >>> ResidualBlock(4)(torch.zeros(1, 4, 5, 5)).shape
        torch.Size([1, 4, 5, 5])
    """

    def __init__(self, channels: int, normalized: str = "instance") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for rectified in (True, False):
            layers += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(channels, channels, 3, bias=normalized == "instance"),
                normalization(normalized, channels),
            ]
            if rectified:
                layers.append(nn.ReLU())
        self.conv_block = nn.Sequential(*layers)

    def forward(self, maps: Images) -> Images:
        """The sum."""
        output: Tensor = maps + self.conv_block(maps)
        return output


class ResNetGenerator(nn.Module):
    """Residual blocks at a part of the height and width, from images to images from -1 to 1.

    Parameters have the published names, ``model.<i>.weight`` and
    ``model.<i>.conv_block.<k>.weight``. Images may be of any size: their last row and column are
    repeated up to a multiple of what the strides halve.

    Args:
        before: Channels of the images that come in.
        after: Channels of those that go out.
        blocks: Residual blocks.
        width: Channels of the first layer; each stride doubles them.
        strides: How often height and width are halved; 2 is the published network.
        normalized: ``instance`` or ``batch``.

    Source:
        Johnson, Alahi, Fei-Fei (2016), "Perceptual losses for real-time style transfer",
        arXiv 1603.08155; Zhu et al. (2017), arXiv 1703.10593, appendix 7.2.

    Example:
        >>> ResNetGenerator(1, 3, 1, 4)(torch.zeros(2, 1, 30, 20)).shape
        torch.Size([2, 3, 30, 20])
    """

    def __init__(
        self,
        before: int,
        after: int,
        blocks: int = 9,
        width: int = WIDTH,
        strides: int = 2,
        normalized: str = "instance",
    ) -> None:
        super().__init__()
        self._multiple = 2**strides
        biased = normalized == "instance"

        def normed(layer: nn.Module, channels: int) -> list[nn.Module]:
            return [layer, normalization(normalized, channels), nn.ReLU()]

        first = nn.Conv2d(before, width, 7, bias=biased)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *normed(first, width)]
        for number in range(strides):
            less, more = width * 2**number, width * 2 ** (number + 1)
            layers += normed(nn.Conv2d(less, more, 3, 2, 1, bias=biased), more)
        layers += [ResidualBlock(width * 2**strides, normalized) for _ in range(blocks)]
        for number in reversed(range(strides)):
            less, more = width * 2**number, width * 2 ** (number + 1)
            layers += normed(nn.ConvTranspose2d(more, less, 3, 2, 1, 1, bias=biased), less)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, after, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, images: Images) -> Float[Tensor, "row made height width"]:
        """What the images become."""
        made: Tensor = self.model(padded(images, self._multiple))
        return made[..., : images.shape[2], : images.shape[3]]


class Circled(NamedTuple):
    """Images there and back again, beside those that they were.

    Example:
        >>> Circled(*torch.zeros(4, 2, 1, 8, 8)).source.shape
        torch.Size([2, 1, 8, 8])
    """

    source: Tensor
    source_again: Tensor
    target: Tensor
    target_again: Tensor


class CycleGAN(nn.Module):
    """Two generators, one for each way, and a judge of each kind of images.

    Parameters: ``generator.<way>.*`` and ``discriminator.<way>.*``, the way 0 from the first kind
    to the second and 1 back, within by the published names. Discriminator 0 judges the second
    kind, as what generator 0 makes.

    Args:
        settings: The settings.
        source: [channel, height, width] of the first kind.
        target: The same of the second.

    Example:
        >>> sizes = {"generator_width": 4, "discriminator_width": 4, "blocks": 1}
        >>> network = CycleGAN(CycleGANSettings(**sizes), (1, 8, 8), (1, 8, 8))
        >>> network.measure(*torch.zeros(2, 3, 1, 8, 8), generator=torch.Generator()).keys()
        dict_keys(['cycle_error'])
    """

    discriminator_steps: int = 1

    def __init__(
        self,
        settings: CycleGANSettings,
        source: tuple[int, int, int],
        target: tuple[int, int, int],
    ) -> None:
        super().__init__()
        side = min(source[1:])
        blocks = 9 if side >= LARGE else 6 if side >= MIDDLE else 3
        blocks = blocks if settings.blocks is None else settings.blocks
        strides = MOST_STRIDES if side >= 2 * SMALL else 1 if side >= SMALL else 0
        strides = strides if settings.strides is None else settings.strides
        ways = ((source, target), (target, source))
        self.generator = nn.ModuleList(
            ResNetGenerator(
                one[0],
                other[0],
                blocks,
                settings.generator_width or WIDTH,
                strides,
                settings.normalization,
            )
            for one, other in ways
        )
        self.discriminator = nn.ModuleList(
            PatchDiscriminator(
                other[0],
                settings.discriminator_width or WIDTH,
                settings.strides_of(other),
                settings.normalization,
            )
            for _, other in ways
        )
        self.pools = nn.ModuleList(ImagePool(settings.pool_size, other) for _, other in ways)
        self.discriminator_lr_factor = settings.discriminator_lr_factor
        self._pool_size = settings.pool_size
        self._kind = settings.adversarial_loss
        self._cycle_weight = settings.cycle_weight
        keeps = source[0] == target[0]
        self._identity_weight = settings.cycle_weight * settings.identity_weight if keeps else 0.0
        start(self)

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Images of both kinds side by side, at random; and which are held against older ones."""
        source, target = rows
        count = len(source)
        order = torch.randperm(count, generator=generator)
        swaps = torch.rand(count, 2, generator=generator) < 0.5
        places = [torch.randperm(max(count, self._pool_size), generator=generator) for _ in "ab"]
        chosen = torch.stack([part[:count] for part in places], dim=1)
        device = source.device
        inputs = (source, target[order.to(device)], swaps.to(device), chosen.to(device))
        return Drawn(inputs, source)

    def generate(
        self, source: Tensor, target: Tensor, swaps: Tensor, places: Tensor
    ) -> tuple[Tensor, ...]:
        """The first kind as the second, and the second as the first."""
        return self.generator[FORTH](source), self.generator[BACK](target)

    def discriminator_loss(
        self,
        made: tuple[Tensor, ...],
        source: Tensor,
        target: Tensor,
        swaps: Tensor,
        places: Tensor,
    ) -> Tensor:
        """How badly made images of either kind, some of them older, are told from real ones."""
        losses = []
        for way, real in ((FORTH, target), (BACK, source)):
            shown = self.pools[way](made[way], swaps[:, way], places[:, way])
            judge = self.discriminator[way]
            losses.append(discriminator_loss(judge(real), judge(shown), self._kind))
        return losses[FORTH] + losses[BACK]

    def generator_loss(
        self,
        made: tuple[Tensor, ...],
        source: Tensor,
        target: Tensor,
        swaps: Tensor,
        places: Tensor,
    ) -> Tensor:
        """How badly the judges are deceived, and how far images end from where they began."""
        total = source.new_zeros(())
        for way, real, origin in ((FORTH, target, source), (BACK, source, target)):
            judge, generator = self.discriminator[way], self.generator[way]
            judged = judge(made[way])
            told = judge(real) if self._kind.startswith("relativistic") else judged
            again = self.generator[1 - way](made[way])
            total = total + ADVERSARIAL * generator_loss(told, judged, self._kind)
            total = total + self._cycle_weight * mean_absolute_error(again, origin)
            if self._identity_weight:
                kept = mean_absolute_error(generator(real), real)
                total = total + self._identity_weight * kept
        return total

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        swaps: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Circled:
        """Both kinds of images, there and back again."""
        forth, back = self.generator
        return Circled(source, back(forth(source)), target, forth(back(target)))

    def loss(self, outputs: Circled, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean absolute error of there and back again, of both ways."""
        there = mean_absolute_error(outputs.source_again, outputs.source, weight=weight)
        back = mean_absolute_error(outputs.target_again, outputs.target, weight=weight)
        return (there + back) / 2

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The mean absolute error of there and back again, of both images of a row."""
        made = self(*rows)
        pairs = ((made.source_again, made.source), (made.target_again, made.target))
        errors = [(again - before).abs().mean(dim=(1, 2, 3)) for again, before in pairs]
        return {"cycle_error": (errors[0] + errors[1]) / 2}

    def translate(self, images: Tensor, *, back: bool = False) -> Tensor:
        """What images become.

        Args:
            images: Of the first kind, scaled.
            back: Images of the second kind instead become the first.
        """
        made: Tensor = self.generator[BACK if back else FORTH](images)
        return made
